"""Scorers for answers that are data: `json`, `json_schema`, `fields`.

In: an answer that should be JSON. Out: a score from 0 to 1. Nothing in an answer or a schema is fetched or
executed. The only module that may load jsonschema, and only when a scorer with a schema is built.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UsageError
from harness.scores.answer import Answer, judged
from harness.scores.patterns import repeats_ambiguously
from harness.scores.text import folded

if TYPE_CHECKING:
    from harness.records import JsonValue, Score

# An answer that is one fenced block of Markdown and nothing else.
FENCED = re.compile(r"\s*```[A-Za-z]*[ \t]*\n(?P<inside>.*?)\n?[ \t]*```\s*", re.DOTALL)
# An answer is read this far: JSON of a model is short, and one that never ends is none.
LONGEST_JSON = 2_000_000
LONGEST_REASON = 300
# As JSON writes numbers: "007" is a name of three characters.
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:e[+-]?[0-9]{1,3})?")
# Levels of a JSON value that are walked through; deeper ones are no data that somebody asked for.
DEEPEST = 100


@dataclass(frozen=True)
class Json:
    """1 if the answer is one JSON value, else 0; the target does not matter.

    strict: JSON and nothing around it; else one fenced block of Markdown may hold it. As in RFC 8259: NaN and
    infinities are no JSON; a key that occurs twice is refused too, since readers disagree on what it means.
    """

    strict: bool = False
    name: str = "json"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; the reason says where reading stopped; no label."""
        _, fault = read_json(answer.text, strict=self.strict)
        return judged(self, answer, float(not fault), reason=fault)


@dataclass(frozen=True)
class JsonSchema:
    """1 if the answer is JSON that fits the schema, else 0; the target does not matter.

    schema: JSON Schema, draft 2020-12 unless its `$schema` says otherwise; `$ref` inside the schema only, for
    nothing is fetched. `format` is not checked, as the draft has it. strict: as for `json`. The reason names
    the place of the first fault. A pattern that could take for ever on some answers is refused, as for
    `regex`.
    Source: JSON Schema 2020-12, by the library jsonschema.
    """

    schema: Mapping[str, Any]
    strict: bool = False
    name: str = "json_schema"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        for what, value in _keywords(self.schema):
            if what in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
                raise UsageError(
                    f"scorer {self.name!r}: the schema refers to {value!r}; nothing is fetched: put it under "
                    "$defs and refer to it as #/$defs/NAME"
                )
            patterns = value if what == "patternProperties" and isinstance(value, Mapping) else [value]
            if what in ("pattern", "patternProperties"):
                self._check_patterns(str(pattern) for pattern in cast("Iterator[object]", patterns))
        _ = self._validator

    def _check_patterns(self, patterns: Iterator[str]) -> None:
        for pattern in patterns:
            try:
                ambiguous = repeats_ambiguously(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise UsageError(
                    f"scorer {self.name!r}: pattern {pattern!r} cannot be read: {error}"
                ) from error
            if ambiguous:
                raise UsageError(
                    f"scorer {self.name!r}: pattern {pattern!r} repeats a part that matches in several "
                    "ways, and could take for ever on some answers; see scorer 'regex' for the rule"
                )

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for

        kind = validator_for(dict(self.schema), default=Draft202012Validator)
        try:
            kind.check_schema(dict(self.schema))
        except SchemaError as error:
            raise UsageError(
                f"scorer {self.name!r}: schema is no JSON Schema: {error.message} (at {error.json_path})"
            ) from error
        return kind(dict(self.schema))

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; no label."""
        value, fault = read_json(answer.text, strict=self.strict)
        if not fault:
            try:
                first = next(iter(self._validator.iter_errors(value)), None)
                fault = "" if first is None else f"{first.json_path}: {first.message}"[:LONGEST_REASON]
            except RecursionError:
                fault = "the answer is nested too deeply to be checked"
        return judged(self, answer, float(not fault), reason=fault)


@dataclass(frozen=True)
class Fields:
    """F1 of the fields that were extracted rightly, from 0 to 1; the target is an object, the answer JSON.

    names: top-level fields that count; without them, all. strict: as for `json`. A right field is one with
    the target's value: texts without regard to case, width and white space; numbers by value, `"3"` is 3 as
    well; lists in any order; objects field by field. A null and an absent field are the same. 2 right /
    (fields in the answer + fields in the target); 1 when both have none. The reason names what is missing and
    what is too much. Unscored when the target is no object.
    Source: slot F1, as in MUC (Chinchor 1992), with values compared as stated.
    """

    names: tuple[str, ...] = ()
    strict: bool = False
    name: str = "fields"
    version: int = field(default=1, init=False)

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
        wanted, found = self._facts(target), self._facts(cast("Mapping[str, JsonValue]", value))
        right, total = (wanted & found).total(), wanted.total() + found.total()
        notes = [*_listed("missing or other", wanted - found), *_listed("too much or other", found - wanted)]
        return judged(self, answer, 2 * right / total if total else 1.0, reason="; ".join(notes))

    def _facts(self, fields: Mapping[str, JsonValue]) -> Counter[tuple[str, str]]:
        chosen = {name: value for name, value in fields.items() if not self.names or name in self.names}
        return Counter(_facts("", chosen, 0))


def read_json(text: str, *, strict: bool) -> tuple[JsonValue, str]:
    """The JSON value of an answer and "", or `None` and why it is none."""
    fenced = None if strict else FENCED.fullmatch(text[:LONGEST_JSON])
    inside = text[:LONGEST_JSON] if fenced is None else fenced["inside"]
    if not inside.strip():
        return None, "the answer is empty"
    try:
        return _DECODER.decode(inside.strip()), ""
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError as error:
        return None, f"not JSON: {error}"
    except RecursionError:
        return None, "not JSON that can be read: nested too deeply"


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = Counter(name for name, _ in pairs)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"the key {twice!r:.80} occurs twice")
    return dict(pairs)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)


def _keywords(schema: object) -> Iterator[tuple[str, object]]:
    """Every key of a schema with its value, at any depth."""
    if isinstance(schema, Mapping):
        for name, value in cast("Mapping[str, object]", schema).items():
            yield name, value
            yield from _keywords(value)
    elif isinstance(schema, list | tuple):
        for value in cast("list[object]", schema):
            yield from _keywords(value)


def _facts(path: str, value: JsonValue, depth: int) -> Iterator[tuple[str, str]]:
    """What a value says, as pairs of a place and a plain text; the order of lists is no part of it."""
    if isinstance(value, dict) and depth < DEEPEST:
        for name, inner in value.items():
            yield from _facts(f"{path}.{name}" if path else name, inner, depth + 1)
    elif isinstance(value, list) and depth < DEEPEST:
        for inner in value:
            yield from _facts(f"{path}[]", inner, depth + 1)
    elif value is not None:
        yield path, "nested too deeply" if isinstance(value, dict | list) else _plain(value)


def _plain(value: JsonValue) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    text = " ".join(folded(value if isinstance(value, str) else repr(value)).split())
    if not NUMBER.fullmatch(text):
        return text
    # In one spelling, and exact: identifiers of twenty digits differ by their last one.
    plain = Decimal(text).normalize(Context(prec=len(text)))
    return "0" if plain.is_zero() else str(plain)


def _listed(what: str, facts: Counter[tuple[str, str]]) -> list[str]:
    places = list(dict.fromkeys(place for place, _ in facts))
    return [f"{what}: {', '.join(places)}"[:LONGEST_REASON]] if places else []
