"""Statements that run for every group of calls, handed to the driver as text.

In: SQL that SQLite and PostgreSQL share, with `?` where a value goes, and values that the driver takes as
they are. Out: rows. SQLAlchemy Core builds a statement anew at each use and looks at every value of every
row, which costs more than SQLite needs to run it.

Many rows go in blocks, each of them one step of the driver: it lets other threads run at every step, and to
get the interpreter back from them costs more than the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")
BLOCKS = (64, 8, 1)  # rows a statement: so few different ones that the driver keeps them prepared


class Insert(NamedTuple):
    """What is inserted where. conflict: what to do about a row that is there already, as SQL."""

    table: str
    columns: tuple[str, ...]
    conflict: str = ""


def execute(connection: sqlalchemy.Connection, sql: str, values: Sequence[object] = ()) -> int:
    """Run a statement that gives no rows; gives how many it changed."""
    return connection.exec_driver_sql(_marked(connection, sql), tuple(values)).rowcount


def fetch(connection: sqlalchemy.Connection, sql: str, values: Sequence[object] = ()) -> Sequence[Any]:
    """The rows that a query gives, each a tuple."""
    return connection.exec_driver_sql(_marked(connection, sql), tuple(values)).fetchall()


def insert(connection: sqlalchemy.Connection, into: Insert, rows: Sequence[tuple[object, ...]]) -> int:
    """Insert these rows, values in the order of the columns; gives how many are new or changed."""
    return sum(
        execute(connection, _insert_sql(into, len(block)), tuple(chain.from_iterable(block)))
        for block in blocks(rows)
    )


def select_sql(table: str, columns: Sequence[str], where: str) -> str:
    """A query for these columns. where: which rows, as SQL, and their order if it matters."""
    # Names of our own tables and columns; values are never part of the text.
    return f"SELECT {', '.join(columns)} FROM {table} WHERE {where}"  # noqa: S608


def marks(values: Sequence[object]) -> str:
    """A list of as many `?` as there are values, in parentheses."""
    return f"({', '.join('?' * len(values))})"


def blocks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in as few blocks of the sizes `BLOCKS` as there can be, in order."""
    start = 0
    for size in BLOCKS:
        while len(values) - start >= size:
            yield values[start : start + size]
            start += size


@cache
def _insert_sql(into: Insert, count: int) -> str:
    rows = ", ".join([marks(into.columns)] * count)
    return f"INSERT INTO {into.table} ({', '.join(into.columns)}) VALUES {rows} {into.conflict}"  # noqa: S608


def _marked(connection: sqlalchemy.Connection, sql: str) -> str:
    # psycopg has its own mark; no statement of ours holds a question mark or a percent sign otherwise.
    return sql.replace("?", "%s") if connection.dialect.name == "postgresql" else sql
