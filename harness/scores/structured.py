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
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UsageError
from harness.scores.answer import Answer, judged
from harness.scores.patterns import repeats_ambiguously
from harness.scores.text import ends

if TYPE_CHECKING:
    from harness.records import JsonValue, Score

# The first line of an answer that is one fenced block of Markdown.
FENCE = re.compile(r"```[A-Za-z]*[ \t]*")
LONGEST_JSON = 2_000_000  # characters: JSON of a model is short, and what never ends is none
LONGEST_REASON = 300
# Keywords of JSON Schema whose keys are names, and those whose values are data.
NAMING = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
DATA = ("const", "enum", "default", "examples")


@dataclass(frozen=True)
class Json:
    """1 if the answer is one JSON value, else 0; the target does not matter.

    strict: JSON and nothing around it; else one fenced block of Markdown may hold it. As in RFC 8259: NaN and
    infinities are no JSON; a key that occurs twice is refused too, since readers disagree on what it means.
    Source: RFC 8259 (Bray 2017), sections 2 to 8; of names that are not unique, section 4.
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
    the place of the first fault. A pattern that could take for ever on some answers is refused, and a text of
    more than 10,000 characters is read at both ends, as for `regex`.
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
        from jsonschema.validators import Draft202012Validator, extend, validator_for

        kind = validator_for(dict(self.schema), default=Draft202012Validator)
        try:
            kind.check_schema(dict(self.schema))
        except SchemaError as error:
            raise UsageError(
                f"scorer {self.name!r}: schema is no JSON Schema: {error.message} (at {error.json_path})"
            ) from error
        return extend(kind, {"pattern": _searched})(dict(self.schema))

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


def _searched(_: Any, pattern: str, text: object, __: Any) -> Iterator[Exception]:
    """The keyword `pattern` of JSON Schema, in time that does not run away with the text."""
    from jsonschema import ValidationError

    if isinstance(text, str) and not re.search(pattern, ends(text)):
        yield ValidationError(f"{text[:80]!r} does not match {pattern!r}")


def read_json(text: str, *, strict: bool) -> tuple[JsonValue, str]:
    """The JSON value of an answer and "", or `None` and why it is none."""
    inside = text.strip()
    if len(inside) > LONGEST_JSON:
        return None, f"longer than {LONGEST_JSON:,} characters"
    if not strict:
        inside = _unfenced(inside)
    if not inside:
        return None, "the answer is empty"
    try:
        return _DECODER.decode(inside), ""
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError as error:
        return None, f"not JSON: {error}"
    except RecursionError:
        return None, "not JSON that can be read: nested too deeply"


def _unfenced(text: str) -> str:
    """The inside of a text that is one fenced block and nothing else, or the text as it is."""
    first, _, rest = text.partition("\n")
    return rest[:-3].strip() if FENCE.fullmatch(first) and rest.endswith("```") else text


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
    """Every keyword of a schema with its value, at any depth; names that it gives to others are none."""
    if isinstance(schema, Mapping):
        for name, value in cast("Mapping[str, object]", schema).items():
            yield name, value
            named = name in NAMING and isinstance(value, Mapping)
            inner = list(cast("Mapping[str, object]", value).values()) if named else value
            yield from () if name in DATA else _keywords(inner)
    elif isinstance(schema, list | tuple):
        for value in cast("list[object]", schema):
            yield from _keywords(value)
