"""Rows of other formats, written once as JSON Lines, so that one mechanism reads them all.

In: a CSV file, or the rows that `hub` gives. Out: a JSON Lines file in a cache folder in which each line
carries the row and its line in the original. Must not change a value: CSV cells stay the text they are.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from harness.errors import DataError, Problem
from harness.records import JsonValue

# Part of the name of each converted file: raise it when the conversion changes.
CONVERSION = 1
# The csv module stops at 128 KiB a cell; documents are longer.
LONGEST_CELL = 1 << 28
OTHER_SEPARATORS = (";", "\t", "|")

NumberedRow: TypeAlias = tuple[int, dict[str, JsonValue]]


def csv_rows(path: Path, shown: str) -> Iterator[NumberedRow]:
    """Rows of a CSV file with a header, each with the line it begins on; every cell is text.

    Separator is the comma; UTF-8, with or without a byte order mark. A short row has the value `None` in its
    last columns. Raises DataError naming the line for a broken quote, a long row or a faulty header.
    """
    previous_limit = csv.field_size_limit(LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _numbered(stream, shown)
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start + 1} of a block); save the file as UTF-8"
        raise DataError([Problem(shown, None, "", message)]) from error
    finally:
        csv.field_size_limit(previous_limit)


def write_rows(rows: Iterable[NumberedRow], folder: Path, name: str) -> Path:
    """Write rows as JSON Lines to `folder/name.jsonl`, whole or not at all; gives the path."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            for line, row in rows:
                json.dump({"line": line, "row": row}, stream, ensure_ascii=True, allow_nan=False)
                stream.write("\n")
        # Two processes may convert the same file: the last one wins with the same content.
        return Path(temporary).replace(folder / f"{name}.jsonl")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _numbered(stream: Iterable[str], shown: str) -> Iterator[NumberedRow]:
    reader = csv.reader(stream, strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            if header is None and cells:
                header = _header(cells, shown, begins)
            elif header is not None and cells:
                if len(cells) > len(header):
                    message = f"has {len(cells)} cells, but the header names {len(header)} columns"
                    raise DataError([Problem(shown, begins, "", f"{message}; quote cells that hold a comma")])
                filled: list[JsonValue] = [*cells, *[None] * (len(header) - len(cells))]
                yield begins, dict(zip(header, filled, strict=True))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError([Problem(shown, begins, "", f"is not CSV: {error}; check its quotes")]) from error


def _header(cells: list[str], shown: str, line: int) -> list[str]:
    other = next((mark for mark in OTHER_SEPARATORS if len(cells) == 1 and mark in cells[0]), None)
    if other is not None:
        message = f"has one column, {cells[0]!r}: it is separated by {other!r}, expected commas"
        raise DataError([Problem(shown, line, "", f"{message}; save it with commas, or as JSON Lines")])
    for place, name in enumerate(cells):
        if not name.strip() or name in cells[:place]:
            fault = f"names column {place + 1} {name!r}, which is empty or used twice"
            raise DataError([Problem(shown, line, "", f"{fault}; give each column its own name")])
    return cells
