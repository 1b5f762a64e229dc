"""Records as JSON text and back, without loss. The one place that knows how a record is written down."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harness.errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


def encode(record: object, *, indent: int | None = None) -> str:
    """The record as JSON text; nested records, tuples, moments and mappings included.

    A number that is none stays what it is: written as `NaN`, which pydantic's own JSON would lose.
    """
    plain = _adapter(type(record)).dump_python(record, mode="json")
    separators = (",", ":") if indent is None else None
    return json.dumps(plain, indent=indent, separators=separators, ensure_ascii=False)


def decode(kind: type[T], text: str, *, file: str = "<text>") -> T:
    """The record of this kind that `encode` wrote.

    Raises UsageError naming the file and the first fault when the text is no such record.
    """
    from pydantic import ValidationError

    try:
        return cast("T", _adapter(kind).validate_json(text, strict=False))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole text"
        raise UsageError(
            f"{file}: not a {kind.__name__} written by harness: {place}: {first['msg']}; write it again"
        ) from None


def json_schema(kind: type[object]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `encode` writes for records of this kind."""
    return _adapter(kind).json_schema(mode="serialization")


@cache
def _adapter(kind: type[object]) -> TypeAdapter[object]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
