"""Which column of a row is what: a raw record goes in, the parts of a sample come out.

Must not open files. A row that cannot be used is a `Fault`, so that all faults of a file can be
listed together; whoever reads the file adds the place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from harness.fingerprint import fingerprint
from harness.records import JsonValue

# 64 bits: among a million rows, two share an id by chance once in some 37 million data sets.
ID_DIGITS = 16
TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns; `None` means the default.

    target: the default may be missing, any other may not; missing and null are the same.
    id: default "id" where the first row has it, otherwise an id made from the row's content.
    group: default "group" if present; several: rows that share a text in any of them belong together.
    metadata: default the mapping "metadata" if present; a list names columns that are kept but not shown to
    the template. inputs: default every other column.
    """

    id: str | None = None
    target: str = TARGET
    group: str | tuple[str, ...] | None = None
    inputs: tuple[str, ...] | None = None
    metadata: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row cannot be used, in words that follow its place.

    spec: the place in the spec that is to blame when no row at all can be used; empty for the data. What is
    `columns` may stand in a data set definition instead.
    """

    message: str
    spec: tuple[str, ...] = ()


# Where the spec says which column is what.
COLUMNS = ("task", "columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A usable row. id: as written, or made from the content. shared: what others of its group have too.

    target: `None` where there is none, which scorers may or may not need.
    """

    id: str
    inputs: Mapping[str, JsonValue]
    target: JsonValue
    shared: tuple[str, ...]
    metadata: Mapping[str, JsonValue]


def parse_line(raw: bytes) -> dict[str, JsonValue] | Fault:
    """The JSON object in one line of text. NaN and infinities are faults: JSON does not know them."""
    try:
        value = cast("object", _DECODER.decode(raw.decode("utf-8").strip()))
    except UnicodeDecodeError as error:
        return Fault(f"is not UTF-8 text (byte {error.start + 1} of the line); save the file as UTF-8")
    except json.JSONDecodeError as error:
        return Fault(f"is not JSON: {error.msg} at column {error.colno}; write one object a line")
    except (ValueError, RecursionError) as error:
        return Fault(f"is not usable JSON: {error}")
    if not isinstance(value, dict):
        return Fault(f"is {_kind(value)}, not an object; write one object a line")
    return cast("dict[str, JsonValue]", value)


def shape(record: Mapping[str, JsonValue], columns: Columns, *, made_ids: bool) -> Row | Fault:
    """The record sorted into id, inputs, target, what it shares and metadata, or why that fails.

    made_ids: take the id from the record's content, independent of its position in the file.
    """
    missing = _missing_columns(record, columns, made_ids=made_ids)
    if missing:
        listed = ", ".join(repr(name) for name in missing)
        have = ", ".join(repr(name) for name in record) or "none"
        return Fault(
            f"has no {listed}; its columns are {have}. Add it, or name another under `columns`", COLUMNS
        )
    sample_id = fingerprint(record)[:ID_DIGITS] if made_ids else _id(record[columns.id or "id"])
    if isinstance(sample_id, Fault):
        return sample_id
    metadata = _metadata(record, columns)
    if isinstance(metadata, Fault):
        return metadata
    return Row(
        id=sample_id,
        inputs=_inputs(record, columns, made_ids=made_ids),
        target=record.get(columns.target),
        shared=_shared(record, columns),
        metadata=metadata,
    )


def no_target(row: Row, who: str) -> Fault:
    """That a row has no target, and who needs one."""
    have = ", ".join(repr(name) for name in row.inputs) or "none"
    return Fault(
        f"has no target, which {who} needs: the column is missing or null; its inputs are {have}. Add it, or "
        "name another under `columns.target`",
        COLUMNS,
    )


def _missing_columns(record: Mapping[str, JsonValue], columns: Columns, *, made_ids: bool) -> list[str]:
    wanted = [*(columns.inputs or ()), *(columns.metadata or ())]
    if columns.target != TARGET:
        wanted.insert(0, columns.target)
    if not made_ids:
        wanted.insert(0, columns.id or "id")
    wanted += [columns.group] if isinstance(columns.group, str) else columns.group or ()
    return [name for name in dict.fromkeys(wanted) if name not in record]


def _id(value: JsonValue) -> str | Fault:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return Fault(f"has the id {value!r}; an id is text or a whole number, and not empty")
    return str(value)


def _shared(record: Mapping[str, JsonValue], columns: Columns) -> tuple[str, ...]:
    """The name of the row's group; or one for each text that it shares, in any case and space around it."""
    if not isinstance(columns.group, tuple):
        group = record.get(columns.group or "group")
        return () if group is None else (_text(group),)
    values = [record[name] for name in columns.group if record[name] is not None]
    return tuple(fingerprint(_text(value).strip().casefold())[:ID_DIGITS] for value in values)


def _metadata(record: Mapping[str, JsonValue], columns: Columns) -> Mapping[str, JsonValue] | Fault:
    if columns.metadata is not None:
        return {name: record[name] for name in columns.metadata}
    value = record.get("metadata")
    if value is None or "metadata" in (columns.inputs or ()):
        return {}
    if not isinstance(value, dict):
        return Fault(
            f"has {_kind(value)} as metadata, expected an object; "
            "or list the columns to keep under `columns.metadata`"
        )
    return value


def _inputs(record: Mapping[str, JsonValue], columns: Columns, *, made_ids: bool) -> dict[str, JsonValue]:
    if columns.inputs is not None:
        return {name: record[name] for name in columns.inputs}
    taken = {columns.target}
    if not isinstance(columns.group, tuple):  # what several rows may share is an input like others
        taken.add(columns.group or "group")
    taken.update(columns.metadata if columns.metadata is not None else ("metadata",))
    if not made_ids:
        taken.add(columns.id or "id")
    return {name: value for name, value in record.items() if name not in taken}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _kind(value: object) -> str:
    names = {
        "dict": "an object",
        "list": "a list",
        "str": "text",
        "bool": "true or false",
        "NoneType": "null",
    }
    return names.get(type(value).__name__, "a number")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON value; use null")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text} is too large")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
