"""The table of models says what there is, with units in its head; its JSON says all that is known."""

from __future__ import annotations

import json

import pytest

from harness.catalogue.listing import table, takes, values
from harness.catalogue.models import Accepts, load_catalogue


def test_the_table_names_every_current_model_once_under_its_provider() -> None:
    """A part a provider, in the order of the files."""
    catalogue = load_catalogue()
    lines = list(table(catalogue))
    heads = [line.partition(":")[0] for line in lines if line and not line.startswith((" ", "*"))]
    assert heads == list(catalogue.providers)
    for model in catalogue.models:
        rows = [line for line in lines if line.split()[1:2] == [model.name]]
        at = sum(other.name == model.name and not other.retired for other in catalogue.models)
        assert len(rows) == (0 if model.retired and not at else at), model.full_name


def test_figures_stand_below_heads_with_their_units() -> None:
    """Dollars per million tokens, the longest prompt and answer, and the settings taken."""
    lines = list(table(load_catalogue()))
    openai = lines[next(place for place, line in enumerate(lines) if line.startswith("openai:")) :]
    assert openai[1].split()[:5] == ["class", "model", "$/M", "in", "cached"]
    words = next(line for line in openai if " gpt-4o-mini " in line).split(maxsplit=9)
    assert words[2:5] == ["0.15", "0.075", "0.6"]
    assert words[5:9] == ["128", "000", "16", "384"]
    assert words[9] == "temp 0..2, top_p 0..1, freq -2..2, pres -2..2, stop, seed"
    assert "$/M: US dollars per million tokens" in lines[-1]


def test_retired_models_are_counted_or_listed_with_their_successor() -> None:
    """By default they are out of the way."""
    short, long = (list(table(load_catalogue(), retired=flag)) for flag in (False, True))
    assert not any("claude-3-haiku" in line for line in short)
    assert any("retired names: --all lists them" in line for line in short)
    assert "  retired  o3-mini (SMALL, since 2026-10-23): use gpt-5.4-mini" in long


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_table_fits_a_terminal_and_says_the_same(width: int) -> None:
    """No line is longer than the terminal, and every model keeps its figures and settings."""
    catalogue = load_catalogue()
    whole, narrow = list(table(catalogue, retired=True)), list(table(catalogue, retired=True, width=width))
    assert max(map(len, narrow)) <= width
    said = " ".join(" ".join(narrow).split())
    unbroken = said.replace(" ", "")
    for model in catalogue.models:
        if not model.retired:
            assert f" {model.name} " in said
            assert takes(model.settings).replace(" ", "") in unbroken
    assert len(narrow) < 2.6 * len(whole)
    if width == 200:
        assert narrow[:-2] == whole[:-1]


def test_a_narrow_table_puts_settings_below_and_long_names_above() -> None:
    """Nothing is cut off: a name that does not fit its column has a line of its own."""
    lines = list(table(load_catalogue(), width=80))
    place = next(n for n, line in enumerate(lines) if "claude-haiku-4-5-20251001" in line)
    assert lines[place : place + 3] == [
        "  MEDIUM      anthropic.claude-haiku-4-5-20251001-v1:0",
        "                                                     1        5  200 000  64 000",
        "              temp 0..1, top_p 0..1 or temp, stop",
    ]


def test_conditions_are_written_beside_the_setting() -> None:
    """An "or" for what excludes each other, "if" for what is needed."""
    told = takes(
        {
            "top_p": Accepts(low=0.0, high=1.0, not_with=("temperature",)),
            "temperature": Accepts(low=0.0, high=2.0, only_with={"reasoning_effort": ("none", None)}),
        }
    )
    assert told == "top_p 0..1 or temp, temp 0..2 if effort is none or unset"


def test_values_are_json_and_state_their_unit() -> None:
    """Programs read prices, limits, settings, end and successor."""
    found = {one["full_name"]: one for one in json.loads(json.dumps(values(load_catalogue())))}
    mini = found["openai/gpt-4o-mini"]
    assert mini["unit_of_prices"] == "USD per million tokens"
    assert mini["prices"]["output"] == 0.6
    assert mini["settings"]["temperature"] == {"low": 0.0, "high": 2.0, "default": 0.3}
    assert found["openai/o3-mini"]["successor"] == "gpt-5.4-mini"
