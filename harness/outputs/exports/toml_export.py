"""Settings as TOML, with their evidence: the same values as the JSON export."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

from harness.errors import UsageError
from harness.outputs.exports.document import document, fates
from harness.outputs.exports.manifest import Export
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue

DESCRIPTION = "model, prompt, parameters, evidence and provenance as TOML"


def write(selection: Selection) -> Export:
    """One file, settings.toml; see `document` for its layout.

    Raises UsageError for a null among parameters, which TOML has not.
    """
    settings = selection.settings
    if _holds_null({**settings.extra, **settings.local}):
        raise UsageError("a parameter holds a null, which TOML cannot express; export json")
    lines = _table(document(selection), ())
    return Export(files={"settings.toml": "\n".join(lines).strip() + "\n"}, fates=fates(selection))


def _holds_null(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any(_holds_null(part) for part in value.values())
    return value is None or (isinstance(value, list) and any(_holds_null(part) for part in value))


def _table(values: Mapping[str, JsonValue], path: tuple[str, ...]) -> Iterator[str]:
    """The lines of a table: its plain values first, for a line after a heading belongs to that heading."""
    for name, value in values.items():
        if not isinstance(value, dict) and value is not None:
            yield f"{_text(name)} = {_value(value)}"
    for name, value in values.items():
        if isinstance(value, dict):
            yield ""
            yield f"[{'.'.join(_text(part) for part in (*path, name))}]"
            yield from _table(value, (*path, name))


def _value(value: JsonValue) -> str:
    """The value on one line."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(part) for part in value)}]"
    if isinstance(value, dict):
        inner = (f"{_text(name)} = {_value(part)}" for name, part in value.items() if part is not None)
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)  # always with a point or an exponent, which TOML takes for a float
    return json.dumps(value)


def _text(value: str) -> str:
    """A basic string: the escapes of JSON are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
