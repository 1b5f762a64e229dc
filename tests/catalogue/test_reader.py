"""A fault in a provider file is refused by file and key; what is right arrives whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalogue.models import Catalogue, LongPrompt, Prices
from harness.catalogue.reader import read_catalogue
from harness.errors import CatalogueError

Read = Callable[[str], Catalogue]

GOOD = """\
provider: acme
wire: openai
litellm_prefix: openai
api_base: https://llm.example/v1
api_key_env: ACME_API_KEY
source: https://llm.example/prices
as_of: "2026-11-23"
classes: {SMALL: nut}
settings:
  sampling:
    temperature: {low: 0.0, high: 2.0, default: 0.3}
    max_output_tokens: {low: 1, default: 64}
    reasoning_effort: {choices: [low, high]}
models:
  nut:
    class: SMALL
    takes: sampling
    prices: {input: 1.0, output: 2.0, long_prompt: {above_tokens: 10, input: 3.0, output: 4.0}}
    context_tokens: 1000
    max_output_tokens: 100
  oak: {class: LARGE, takes: sampling, prices: free}
  elm: {class: LARGE, takes: sampling}
retired:
  bud: {class: SMALL, successor: nut, also: [bud-2020]}
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a folder that holds this one file."""

    def reads(text: str) -> Catalogue:
        (tmp_path / "acme.yaml").write_text(text, encoding="utf-8")
        return read_catalogue(tmp_path)

    return reads


def test_a_model_arrives_whole(read: Read) -> None:
    """Prices, limits, settings, source and date are those of the file."""
    catalogue = read(GOOD)
    nut = catalogue.find("acme/nut")
    assert nut.prices == Prices(
        input=1.0,
        output=2.0,
        long_prompt=LongPrompt(above_tokens=10, prices=Prices(input=3.0, output=4.0)),
    )
    assert (nut.context_tokens, nut.max_output_tokens, nut.default_of_class) == (1000, 100, True)
    assert (nut.source, nut.as_of, catalogue.as_of) == (
        "https://llm.example/prices",
        "2026-11-23",
        "2026-11-23",
    )
    assert nut.settings["reasoning_effort"].choices == ("low", "high")
    assert catalogue.provider("acme").api_key_env == "ACME_API_KEY"


def test_custom_parameters_have_ranges_and_refusals(read: Read) -> None:
    """Under `extra` of a set; a setting has no place there."""
    extra = "    extra: {top_k: {low: 1, high: 5}, min_p: {choices: []}}\nmodels:"
    nut = read(GOOD.replace("models:", extra, 1)).find("acme/nut")
    assert (nut.custom["top_k"].high, nut.custom["min_p"].choices) == (5, ())
    assert not {"top_k", "min_p", "extra"} & nut.settings.keys()
    with pytest.raises(CatalogueError, match=r"settings\.sampling\.extra\.stop: is a setting"):
        read(GOOD.replace("models:", "    extra: {stop: {}}\nmodels:", 1))


def test_output_ends_at_the_limit_of_the_model(read: Read) -> None:
    """The shared set leaves the end open; each model closes it with its own."""
    assert read(GOOD).find("acme/nut").settings["max_output_tokens"].high == 100


def test_answer_times_are_the_provider_s_unless_a_model_has_its_own(read: Read) -> None:
    """Low and high seconds with source and date; an embedding is no answer, and none is a guess."""
    timed = 'answer_s: {low: 0.5, high: 2, source: watched, as_of: "2026-01-01"}'
    own = timed.replace("0.5", "1.5")
    text = GOOD.replace("classes:", f"{timed}\nclasses:")
    text = text.replace(
        "prices: free}", f"prices: free, {own}}}\n  vec: {{class: EMBEDDING, takes: sampling}}"
    )
    catalogue = read(text)
    nut, oak, vec = (catalogue.find(f"acme/{name}") for name in ("nut", "oak", "vec"))
    assert (nut.answer_s, nut.answer_s_source) == ((0.5, 2), "watched, 2026-01-01")
    assert oak.answer_s == (1.5, 2)
    assert (vec.answer_s, read(GOOD).find("acme/nut").answer_s) == (None, None)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ("low: 0, high: 2", "answer_s.low: is 0, expected more than 0"),
        ("low: 3, high: 2", "at most high, 2"),
        ("low: 1", "answer_s.high: is None, expected a number"),
    ],
)
def test_answer_times_that_make_no_sense_are_refused(read: Read, figures: str, words: str) -> None:
    """File and key are named."""
    timed = f'answer_s: {{{figures}, source: watched, as_of: "2026-01-01"}}\n'
    with pytest.raises(CatalogueError, match=words):
        read(timed + GOOD)


def test_a_provider_may_note_what_a_setting_does_there(read: Read) -> None:
    """By the name of a setting; another name is a fault."""
    noted = read(GOOD + "notes: {temperature: is halved}\n")
    assert noted.provider("acme").notes == {"temperature": "is halved"}
    with pytest.raises(CatalogueError, match=r"acme.yaml: notes.warmth: is no known key"):
        read(GOOD + "notes: {warmth: is halved}\n")


def test_free_and_unpriced_are_two_things(read: Read) -> None:
    """`free` is a price of zero; no price is an unknown price."""
    catalogue = read(GOOD)
    assert catalogue.find("acme/oak").prices == Prices(input=0.0, output=0.0)
    assert catalogue.find("acme/elm").prices is None


def test_other_spellings_of_a_retired_model_are_retired_too(read: Read) -> None:
    """`also` names the same model under the ids that people still write."""
    retired = {model.name for model in read(GOOD).models if model.retired}
    assert retired == {"bud", "bud-2020"}


def test_the_oldest_file_dates_the_catalogue(tmp_path: Path) -> None:
    """A catalogue is as old as its oldest part."""
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    newer = GOOD.replace("provider: acme", "provider: birch").replace("2026-11-23", "2027-01-01")
    (tmp_path / "b.yaml").write_text(newer, encoding="utf-8")
    assert read_catalogue(tmp_path).as_of == "2026-11-23"


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        (
            "wire: openai",
            "wire: soap",
            "acme.yaml: wire: is 'soap', expected one of openai, litellm, embedded",
        ),
        ("wire: openai", "wier: openai", "acme.yaml: wier: is no known key"),
        ("provider: acme", "provider: 7", "acme.yaml: provider: is 7, expected a text"),
        ('"2026-11-23"', '"yesterday"', "acme.yaml: as_of: is 'yesterday', expected a date"),
        ("SMALL: nut}", "SMALL: oak}", "acme.yaml: classes.SMALL: is 'oak', expected a current model"),
        ("SMALL: nut}", "SMALL: bud}", "acme.yaml: classes.SMALL: is 'bud', expected a current model"),
        ("temperature: {low", "temprature: {low", "settings.sampling.temprature: is no known key"),
        (
            "low: 0.0, high: 2.0",
            "low: 3.0, high: 2.0",
            "sampling.temperature.low: is 3.0, which is above high",
        ),
        (
            "default: 0.3",
            "default: 2.5",
            "sampling.temperature.default: is 2.5, which lies outside 0.0 to 2.0",
        ),
        (
            "[low, high]}",
            "[low, high], default: mid}",
            "reasoning_effort.default: is 'mid', which is none of",
        ),
        ("[low, high]", "low", "reasoning_effort.choices: is 'low', expected a list"),
        ("class: SMALL\n", "class: TINY\n", "models.nut.class: is 'TINY', expected one of SMALL, MEDIUM"),
        (
            "takes: sampling\n",
            "takes: sampler\n",
            "models.nut.takes: is 'sampler', expected a set under settings",
        ),
        ("input: 1.0", "input: 0.0", "models.nut.prices.input: is 0.0, expected more than 0; .* `free`"),
        ("output: 2.0", "output: 0.0", "models.nut.prices.output: is 0.0, expected more than 0"),
        ("input: 1.0", 'input: "1"', "models.nut.prices.input: is '1', expected a number"),
        ("input: 1.0", "input: 1.0, cached_input: 2.0", "prices.cached_input: is 2.0, expected 0 to 1.0"),
        ("above_tokens: 10, ", "", "prices.long_prompt.above_tokens: is missing"),
        ("prices: free", "prices: cheap", "models.oak.prices: is 'cheap', expected keys with values"),
        (
            "context_tokens: 1000",
            "context_tokens: 1e3",
            "models.nut.context_tokens: is 1000.0, expected a whole",
        ),
        ("successor: nut", "successor: fir", "retired.bud.successor: is 'fir', expected a current model"),
        ("also: [bud-2020]", "also: [nut]", "retired: acme/nut is described twice"),
        ("  oak:", "  4.1:", "models: has the key 4.1, expected a text; put it in quotes"),
        ("  oak:", "  nut:", "cannot be read as YAML: .*duplicate key"),
        ("classes: {SMALL: nut}", "classes: {SMALL: nut", "cannot be read as YAML"),
    ],
)
def test_a_fault_is_named_by_file_and_key(read: Read, right: str, wrong: str, expected: str) -> None:
    """Whoever edits the catalogue learns where the mistake is and what was expected."""
    assert right in GOOD
    with pytest.raises(CatalogueError, match=f"(?s){expected}"):
        read(GOOD.replace(right, wrong, 1))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_file_of_another_shape_is_refused(read: Read, text: str) -> None:
    """A file that holds no keys is no provider file."""
    with pytest.raises(CatalogueError, match=r"acme.yaml: holds .*, expected keys with values"):
        read(text)


def test_two_files_cannot_describe_one_provider(tmp_path: Path) -> None:
    """Which one would count must not depend on their names."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    with pytest.raises(
        CatalogueError, match=r"b.yaml: provider: 'acme' is described by another file already"
    ):
        read_catalogue(tmp_path)


def test_a_folder_without_provider_files_is_refused(tmp_path: Path) -> None:
    """An empty catalogue would make every model unknown."""
    (tmp_path / "weights.yaml").write_text("weights: {}", encoding="utf-8")
    with pytest.raises(CatalogueError, match="holds no provider file"):
        read_catalogue(tmp_path)
