"""The catalogue as a table for people and as plain values for programs.

In: a catalogue. Out: lines of text, and JSON-like values. It decides nothing and prints nothing.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from harness.catalogue.models import Accepts, Catalogue, Model, Prices
from harness.records import MODEL_CLASSES, JsonValue

UNIT = "USD per million tokens"
HEAD = ("class", "model", "$/M in", "cached", "$/M out", "prompt", "answer", "settings that it takes")
FREE = Prices(input=0.0, output=0.0)
NAME, CACHED, SETTINGS = 1, 3, 7  # columns of these
TO_THE_RIGHT = range(2, 7)  # columns of figures
GAP, INDENT = "  ", "  "
UNBROKEN = "\N{NO-BREAK SPACE}"
MOST_LISTED = 5  # choices of a setting that are written out
SHORT: Mapping[str, str] = {
    "temperature": "temp",
    "frequency_penalty": "freq",
    "presence_penalty": "pres",
    "reasoning_effort": "effort",
}
LEGEND = (
    "* the model that provider/CLASS means. $/M: US dollars per million tokens. +: more for long prompts; "
    "--json has that price, and those of cache writes and reasoning. prompt, answer: the most "
    "tokens of each. temp, freq, pres, effort: temperature, frequency_penalty, presence_penalty, "
    "reasoning_effort; every model of texts takes max_output_tokens up to its limit."
)


def table(catalogue: Catalogue, *, retired: bool = False, width: int | None = None) -> Iterator[str]:
    """Lines for people: a part for each provider, its models by class. retired: with those that ended.

    width: columns of the terminal. Where lines would be longer, settings stand below their model; where
    figures alone would be, the price of cached input is left out, and a long name has a line of its own.
    `None`: one line a model, however long.
    """
    rows = {name: [HEAD, *map(_row, _current(catalogue, name))] for name in catalogue.providers}
    fits = width is None or max(map(len, chain.from_iterable(map(_aligned, rows.values())))) <= width
    for name, of_provider in rows.items():
        yield from _wrapped(_heading(catalogue, name), width)
        if len(of_provider) == 1:
            own = f"{INDENT}serves what you start it with: declare it under providers.{name}.models"
            yield from _wrapped(own, width)
        else:
            yield from _aligned(of_provider) if fits or width is None else _folded(of_provider, width)
        ended = [model for model in catalogue.models if model.provider == name and model.retired]
        if retired:
            for model in ended:
                yield from _wrapped(f"{INDENT}retired  {_ending(model)}", width)
        elif ended:
            yield f"{INDENT}{len(ended)} retired name{'' if len(ended) == 1 else 's'}: --all lists them"
        yield ""
    yield from _wrapped(LEGEND, width, indent="")


def _current(catalogue: Catalogue, provider: str) -> list[Model]:
    models = (model for model in catalogue.models if model.provider == provider and not model.retired)
    return sorted(models, key=_by_class)


def _heading(catalogue: Catalogue, provider: str) -> str:
    """Where the provider is asked, the variable of its key, and how old its prices are."""
    facts, current = catalogue.providers[provider], _current(catalogue, provider)
    key = f", key in {facts.api_key_env}" if facts.api_key_env else ""
    dates = sorted({model.as_of for model in current if model.as_of})
    free = facts.free or (current and all(model.prices == FREE for model in current))
    prices = "free" if free else f"prices of {dates[0]}" if dates else "no prices"
    served = "runs on this machine" if facts.wire == "embedded" else "address known to litellm"
    return f"{provider}: {facts.api_base or served}{key}, {prices}"


def values(catalogue: Catalogue) -> list[dict[str, JsonValue]]:
    """Every model with all that is known of it, retired ones too."""
    return [_values(model) for model in catalogue.models]


def takes(settings: Mapping[str, Accepts]) -> str:
    """Settings with their ranges in short words, but for the output limit, which is a figure of its own."""
    words = [_taken(name, accepts) for name, accepts in settings.items() if name != "max_output_tokens"]
    return ", ".join(words)


def _row(model: Model) -> tuple[str, ...]:
    mark = "*" if model.default_of_class else ""
    prompt = model.max_input_tokens or model.context_tokens
    words = [takes(model.settings) or "-"]
    if model.dimensions:
        words = [f"vectors of {model.dimensions} numbers", *filter(None, [takes(model.settings)])]
    if model.deprecation_date:
        after = f", then {model.successor}" if model.successor else ""
        words.append(f"ends {model.deprecation_date}{after}")
    prices = ("?", "", "?") if model.prices is None else _prices(model.prices)
    limits = _tokens(prompt), "" if model.dimensions else _tokens(model.max_output_tokens)
    return (f"{model.model_class}{mark}", model.name, *prices, *limits, "; ".join(words))


def _prices(prices: Prices) -> tuple[str, str, str]:
    if prices.input == prices.output == 0:
        return "free", "", "free"
    cached = "" if prices.cached_input is None else f"{prices.cached_input:g}"
    # Long prompts are dearer: the price of short ones is a floor.
    more = "+" if prices.long_prompt else ""
    return f"{prices.input:g}{more}", cached, f"{prices.output:g}{more}" if prices.output else ""


def _tokens(count: int | None) -> str:
    return "" if count is None else f"{count:,}".replace(",", " ")


def _taken(name: str, accepts: Accepts) -> str:
    word = SHORT.get(name, name)
    if accepts.choices is not None and len(accepts.choices) > MOST_LISTED:
        word += f" of {len(accepts.choices)} kinds"
    elif accepts.choices is not None:
        word += " " + "|".join(str(choice) for choice in accepts.choices)
    elif name != "seed" and accepts.low is not None and accepts.high is not None:
        word += f" {accepts.low:g}..{accepts.high:g}"
    word += "".join(f" or {SHORT.get(other, other)}" for other in accepts.not_with)
    for other, allowed in accepts.only_with.items():
        word += f" if {SHORT.get(other, other)} is {'|'.join(str(v) for v in allowed if v is not None)}"
        word += " or unset" if None in allowed else ""
    return word


def _ending(model: Model) -> str:
    when = f"since {model.deprecation_date}" if model.deprecation_date else f"as of {model.as_of}"
    return f"{model.name} ({model.model_class}, {when}): use {model.successor}"


def _by_class(model: Model) -> tuple[int, bool, str]:
    return MODEL_CLASSES.index(model.model_class), not model.default_of_class, model.name


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    return (_line(row, dict(enumerate(widths))) for row in rows)


def _line(row: Sequence[str], widths: Mapping[int, int]) -> str:
    """The cells of these columns, figures to the right."""
    cells = (
        row[place].rjust(width) if place in TO_THE_RIGHT else row[place].ljust(width)
        for place, width in widths.items()
    )
    return f"{INDENT}{GAP.join(cells)}".rstrip()


def _folded(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The same with settings below, within so many columns."""
    widths = {place: max(len(row[place]) for row in rows) for place in range(SETTINGS)}
    if _taken_by(widths) > width:
        del widths[CACHED]
    widths[NAME] -= max(0, _taken_by(widths) - width)
    below = INDENT + (widths[0] + len(GAP)) * " "
    for row in rows:
        cells = list(row)
        if len(row[NAME]) > widths[NAME]:
            yield _line(row, {0: widths[0], NAME: 0})
            cells[:2] = "", ""
        yield _line(cells, widths)
        words = " ".join(part.replace(" ", UNBROKEN) for part in re.split(r"(?<=[,;]) ", row[SETTINGS]))
        for line in textwrap.wrap(
            words, width, initial_indent=below, subsequent_indent=below, break_on_hyphens=False
        ):
            yield line.replace(UNBROKEN, " ")


def _taken_by(widths: Mapping[int, int]) -> int:
    return len(INDENT) + sum(widths.values()) + len(GAP) * (len(widths) - 1)


def _wrapped(line: str, width: int | None, indent: str = 2 * INDENT) -> Iterable[str]:
    return (
        [line]
        if width is None
        else textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)
    )


def _values(model: Model) -> dict[str, JsonValue]:
    told: dict[str, Any] = {
        **dataclasses.asdict(model),
        "settings": {n: _plain(a) for n, a in model.settings.items()},
    }
    del told["answer_s"], told["answer_s_source"]
    return {"full_name": model.full_name, "unit_of_prices": UNIT, **told}


def _plain(accepts: Accepts) -> dict[str, JsonValue]:
    """What is stated of a setting, nothing else."""
    return {name: value for name, value in dataclasses.asdict(accepts).items() if value not in (None, (), {})}
