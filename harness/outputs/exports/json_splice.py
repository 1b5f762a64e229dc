"""Changes in a JSON text that leave everything else as it is, byte for byte.

In: the text of one JSON object, places and their new values. Out: the text with them, in its own indentation.
Must not know what the text is for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from harness.errors import UsageError
from harness.records import JsonValue

Path: TypeAlias = tuple[str, ...]
SPACE = re.compile(r"[ \t\r\n]*")
DEFAULT_INDENT = "  "


class _Gone:
    """Says that a member is to be taken out."""


GONE: Final = _Gone()


@dataclass(frozen=True, slots=True)
class _Member:
    """Where one member of an object stands: its key, and its value from `start` to `end`."""

    name: str
    key: int
    start: int
    end: int


def splice(text: str, changes: Mapping[Path, JsonValue | _Gone], *, file: str) -> str:
    """The text with these members set, or taken out where the value is `GONE`; objects on the way are made.

    file: its name, for messages. Raises UsageError when the text is no JSON object, or a place on the way is
    none.
    """
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{file}: is not JSON: {error}; expected a character file") from error
    if not isinstance(whole, dict):
        raise UsageError(f"{file}: holds {type(cast('object', whole)).__name__}, expected one JSON object")
    for path, value in changes.items():
        text = _without(text, path) if isinstance(value, _Gone) else _with(text, path, value, file)
    return text


def _with(text: str, path: Path, value: JsonValue, file: str) -> str:
    at = SPACE.match(text, 0).end()  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess] - matches the empty text
    for depth, name in enumerate(path):
        if text[at] != "{":
            place = ".".join(path[:depth])
            raise UsageError(f"{file}: {place} is no object, expected one that can hold {name!r}")
        members, _ = _members(text, at)
        found = next((member for member in reversed(members) if member.name == name), None)
        if found is None:
            nested: JsonValue = value
            for inner in reversed(path[depth + 1 :]):
                nested = {inner: nested}
            return _inserted(text, at, name, nested)
        if depth == len(path) - 1:
            indent, unit = _indents(text, at, members)
            return text[: found.start] + _written(value, indent, unit, text) + text[found.end :]
        at = found.start
    raise AssertionError("a path has at least one name")


def _without(text: str, path: Path) -> str:
    at = SPACE.match(text, 0).end()  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess] - matches the empty text
    for depth, name in enumerate(path):
        if text[at] != "{":
            return text
        members, _ = _members(text, at)
        number = next((n for n, member in reversed([*enumerate(members)]) if member.name == name), None)
        if number is None:
            return text
        if depth == len(path) - 1:
            return _cut(text, members, number, at)
        at = members[number].start
    raise AssertionError("a path has at least one name")


def _cut(text: str, members: list[_Member], number: int, at: int) -> str:
    """The text without one member: with the comma before it, or after it when it is the first."""
    if number > 0:
        return text[: members[number - 1].end] + text[members[number].end :]
    if len(members) > 1:
        return text[: members[0].key] + text[members[1].key :]
    return text[: at + 1] + text[members[0].end :].lstrip(" \t\r\n")


def _inserted(text: str, at: int, name: str, value: JsonValue) -> str:
    members, end = _members(text, at)
    indent, unit = _indents(text, at, members)
    line = _newline(text)
    written = f"{json.dumps(name, ensure_ascii=False)}: {_written(value, indent, unit, text)}"
    if not members:
        outer = indent.removesuffix(unit)
        return f"{text[: at + 1]}{line}{indent}{written}{line}{outer}{text[end - 1 :]}"
    last = members[-1].end
    if "\n" not in text[at : members[0].key]:
        return f"{text[:last]}, {written}{text[last:]}"
    return f"{text[:last]},{line}{indent}{written}{text[last:]}"


def _written(value: JsonValue, indent: str, unit: str, text: str) -> str:
    """The value as JSON; its further lines stand at this indentation."""
    lines = json.dumps(value, indent=unit, ensure_ascii=False, allow_nan=False).split("\n")
    return (_newline(text) + indent).join(lines)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indents(text: str, at: int, members: list[_Member]) -> tuple[str, str]:
    """The indentation of this object's members, and what one level of it is."""
    unit = _unit(text)
    if members and "\n" in text[at : members[0].key]:
        return text[text.rindex("\n", 0, members[0].key) + 1 : members[0].key], unit
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))] + unit, unit


def _unit(text: str) -> str:
    """One level of the text's own indentation: that of its first member."""
    found = re.match(r"\s*\{[ \t]*\r?\n([ \t]+)", text)
    return found.group(1) if found else DEFAULT_INDENT


def _members(text: str, at: int) -> tuple[list[_Member], int]:
    """The members of the object that begins here, and where it ends."""
    members: list[_Member] = []
    place = _skip(text, at + 1)
    while text[place] != "}":
        key = place
        name, place = json.JSONDecoder().raw_decode(text, key)
        start = _skip(text, _skip(text, place) + 1)
        _, end = json.JSONDecoder().raw_decode(text, start)
        members.append(_Member(name, key, start, end))
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)
    return members, place + 1


def _skip(text: str, place: int) -> int:
    while text[place] in " \t\r\n":
        place += 1
    return place
