"""Faults of a file, gathered so that one reading mends them all, and words to describe them with.

In: places inside a YAML file and what is wrong there. Out: `errors.Problem`. Must never repeat a
secret: every value that reaches a message passes through `shown`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias, cast

from harness.errors import Problem, SpecError

if TYPE_CHECKING:
    from harness.plan.yaml_source import YamlSource

Place: TypeAlias = tuple[str | int, ...]

LONGEST_VALUE = 60
# Shapes of the keys that providers hand out, and of passwords inside an address.
_SECRET = re.compile(
    r"(?:\bsk[-_][A-Za-z0-9_-]{8,}"
    # The rarer prefixes also begin ordinary words with dashes: a digit tells a key from those.
    r"|\b(?:pk|rk|gsk|xai|tgp|csk)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{10,}|\bhf_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bAKIA[A-Z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{20,}|\b[Bb]earer\s+\S{8,}|://[^/\s:@]+:[^/\s@]+@)"
)
KEY_REFUSED = (
    "looks like an API key or a password (its value is not repeated here); remove it, put it into an "
    "environment variable, and name that variable in `providers.<name>.api_key_env`"
)


class Problems:
    """What is wrong with one spec and the files that it names, in the order in which it is found.

    task: whose places are meant by `task`; see `of_task`. found: where faults are gathered, `None`: here.
    """

    def __init__(self, source: YamlSource, task: str = "", found: list[Problem] | None = None) -> None:
        self._source = source
        self._task = task
        self._found: list[Problem] = list(source.problems) if found is None else found

    def add(self, place: Place, message: str) -> None:
        """Note a fault at a place inside the spec; its line is looked up here."""
        if self._task and place[:1] == ("task",):
            place = ("tasks", self._task, *place[1:])
        self._found.append(problem_at(self._source, place, message))

    def of_task(self, name: str) -> Problems:
        """These problems for a look at one of several tasks: `task` means `tasks.NAME`. "": the only one."""
        return self if not name else Problems(self._source, name, self._found)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note faults of other files."""
        self._found.extend(problems)

    @property
    def found(self) -> tuple[Problem, ...]:
        """Everything noted so far: this file's own faults first, by line."""
        own: list[Problem] = []
        others: list[Problem] = []
        for problem in dict.fromkeys(self._found):
            (own if problem.file == self._source.file else others).append(problem)
        return (*sorted(own, key=lambda problem: problem.line or 0), *others)

    def about(self, place: Place) -> bool:
        """Whether a fault is noted at this very place."""
        return any(one.file == self._source.file and one.key == dotted(place) for one in self._found)

    @property
    def none(self) -> bool:
        """Whether nothing is wrong so far."""
        return not self._found

    def raise_any(self) -> None:
        """Raise SpecError with everything noted so far; do nothing if that is nothing."""
        if self._found:
            raise SpecError(self.found)


def problem_at(source: YamlSource, place: Place, message: str) -> Problem:
    """A fault at a place inside a YAML file, with the line of the nearest key that exists."""
    return Problem(source.file, source.line(place), dotted(place), message)


def dotted(place: Place) -> str:
    """The place as people write it, as in `search.models[2]`; a secret used as a key is masked."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = "<hidden>" if looks_secret(part) else part
            text += f".{name}" if text else name
    return text


def shown(value: object) -> str:
    """The value for a message: secrets hidden, long ones cut, prompts and tables not repeated."""
    if isinstance(value, Mapping):
        names = cast("Mapping[object, object]", value)
        return (
            f"a mapping with the keys {', '.join(shown(name) for name in names)}"
            if names
            else "an empty mapping"
        )
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"a list of {len(cast('Sequence[object]', value))}"
    text = repr(value)
    if looks_secret(text):
        return "<hidden>"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 4]}...{text[-1]}"


def written(number: float) -> str:
    """The number as people write it: 99999999 and 0.00001, no exponent, no point behind a whole number."""
    return f"{Decimal(repr(number)):f}".removesuffix(".0")


def looks_secret(text: str) -> bool:
    """Whether the text has the shape of an API key, a bearer token, or a password inside an address."""
    return _SECRET.search(text) is not None


def secrets_in(value: object, place: Place = ()) -> list[Place]:
    """Places of all keys and values in a tree of lists and mappings that look like secrets."""
    if isinstance(value, str):
        return [place] if looks_secret(value) else []
    found: list[Place] = []
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, object]", value).items():
            found += [(*place, key)] if looks_secret(key) else secrets_in(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(cast("list[object]", value)):
            found += secrets_in(inner, (*place, number))
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word closest to this one, or nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """A half sentence: the closest known word if there is one, otherwise all of them."""
    names = sorted(known)
    close = did_you_mean(word, names)
    if close:
        return f"did you mean {close!r}?"
    return f"known: {', '.join(names)}" if names else "there are none"
