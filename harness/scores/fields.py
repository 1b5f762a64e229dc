"""The scorer for values extracted from a text: `fields`.

In: an answer that should be a JSON object, and an object as target. Out: a score from 0 to 1, and what is
missing or too much. It compares values as written, and never looks up what they mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING, cast

from harness.scores.answer import Answer, judged
from harness.scores.structured import LONGEST_REASON, read_json
from harness.scores.text import folded

if TYPE_CHECKING:
    from harness.records import JsonValue, Score

# As JSON writes numbers: "007" is a name of three characters.
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:e[+-]?[0-9]{1,3})?")
# Levels of a JSON value that are walked through; deeper ones are no data that somebody asked for.
DEEPEST = 100
# Of a list in an answer, twice the target's members and so many more are looked at; the rest is too much.
MOST_MORE = 100


@dataclass(frozen=True)
class Fields:
    """F1 of the fields that were extracted rightly, from 0 to 1; the target is an object, the answer JSON.

    names: top-level fields that count; without them, all. strict: as for `json`. A right field is one with
    the target's value: texts without regard to case, width and white space; numbers by value, `"3"` is 3 as
    well; objects field by field; lists in any order, their objects matched one to one so that most fields
    agree. A null and an absent field are the same. 2 right / (fields in the answer + fields in the target);
    1 when both have none. The reason names what is missing and what is too much. Unscored when the target is
    no object.
    Source: slot F1, as in MUC (Chinchor 1992), with values compared as stated.
    """

    names: tuple[str, ...] = ()
    strict: bool = False
    name: str = "fields"
    version: int = field(default=2, init=False)

    def score(self, answer: Answer) -> Score:
        """Value from 0 to 1; no label."""
        target = answer.sample.target
        if not isinstance(target, Mapping):
            return judged(self, answer, None, reason=f"target {target!r:.80} is no object of fields")
        value, fault = read_json(answer.text, strict=self.strict)
        if not fault and not isinstance(value, Mapping):
            fault = "the answer is JSON, but no object"
        if fault:
            return judged(self, answer, 0.0, reason=fault)
        agreed = _compared("", self._chosen(target), self._chosen(cast("Mapping[str, JsonValue]", value)), 0)
        total = 2 * agreed.right + len(agreed.missing) + len(agreed.extra)
        notes = [
            *_listed("missing or other", agreed.missing),
            *_listed("too much or other", agreed.extra),
        ]
        return judged(self, answer, 2 * agreed.right / total if total else 1.0, reason="; ".join(notes))

    def _chosen(self, fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        return {name: value for name, value in fields.items() if not self.names or name in self.names}


@dataclass(frozen=True, slots=True)
class _Agreed:
    """How many values are the same, and the places of those that only one side has."""

    right: int = 0
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def _compared(place: str, wanted: JsonValue, found: JsonValue, depth: int) -> _Agreed:
    if depth < DEEPEST:
        if isinstance(wanted, dict) and isinstance(found, dict):
            return _all(
                _compared(f"{place}.{name}" if place else name, wanted.get(name), found.get(name), depth + 1)
                for name in dict.fromkeys((*wanted, *found))
            )
        if isinstance(wanted, list) and isinstance(found, list):
            return _members(f"{place}[]", wanted, found, depth + 1)
    if _is_value(wanted, depth) and _is_value(found, depth) and _plain(wanted) == _plain(found):
        return _Agreed(right=1)
    return _Agreed(0, tuple(_places(place, wanted, depth)), tuple(_places(place, found, depth)))


def _members(place: str, wanted: list[JsonValue], found: list[JsonValue], depth: int) -> _Agreed:
    """Members of two lists, paired so that most values agree."""
    most = 2 * len(wanted) + MOST_MORE
    table = [[_compared(place, mine, theirs, depth) for theirs in found[:most]] for mine in wanted]
    pairs = _pairs([[agreed.right for agreed in row] for row in table])
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    alone = [_compared(place, mine, None, depth) for at, mine in enumerate(wanted) if at not in rows]
    more = [
        _compared(place, None, other, depth) for column, other in enumerate(found) if column not in columns
    ]
    return _all([*(table[row][column] for row, column in pairs), *alone, *more])


def _pairs(gains: list[list[int]]) -> list[tuple[int, int]]:
    if not gains or not gains[0]:
        return []
    from harness.stats.assignment import best_pairs  # SciPy, for lists alone

    return best_pairs(gains)


def _all(parts: Iterable[_Agreed]) -> _Agreed:
    listed = list(parts)
    return _Agreed(
        sum(part.right for part in listed),
        tuple(place for part in listed for place in part.missing),
        tuple(place for part in listed for place in part.extra),
    )


def _is_value(value: JsonValue, depth: int) -> bool:
    return value is not None and (depth >= DEEPEST or not isinstance(value, dict | list))


def _places(place: str, value: JsonValue, depth: int) -> Iterator[str]:
    """The place of each value inside."""
    if isinstance(value, dict) and depth < DEEPEST:
        for name, inner in value.items():
            yield from _places(f"{place}.{name}" if place else name, inner, depth + 1)
    elif isinstance(value, list) and depth < DEEPEST:
        for inner in value:
            yield from _places(f"{place}[]", inner, depth + 1)
    elif value is not None:
        yield place


def _plain(value: JsonValue) -> str:
    if isinstance(value, dict | list):
        return "nested too deeply"
    if isinstance(value, bool):
        return json.dumps(value)
    text = " ".join(folded(value if isinstance(value, str) else repr(value)).split())
    if not NUMBER.fullmatch(text):
        return text
    # In one spelling, and exact: identifiers of twenty digits differ by their last one.
    plain = Decimal(text).normalize(Context(prec=len(text)))
    return "0" if plain.is_zero() else str(plain)


def _listed(what: str, places: tuple[str, ...]) -> list[str]:
    return [f"{what}: {', '.join(dict.fromkeys(places))}"[:LONGEST_REASON]] if places else []
