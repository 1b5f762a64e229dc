"""Older tables brought up to date: one step a version, all of them in the transaction that opens the store.

In: a connection that holds the lock of making. Out: tables of schema `VERSION`, or tables left as they were:
a process that dies half-way leaves the version that it found. A step adds columns that may be empty, so that
a process of the older version that is still at work can go on writing new answers. Replacing stored ones
(`--no-cache`) it cannot: it would leave checksums of those before.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.store.statements import execute
from harness.vectors import packed

if TYPE_CHECKING:
    import sqlalchemy

    Step = Callable[[sqlalchemy.Connection], None]


def _complete_answers(connection: sqlalchemy.Connection) -> None:
    """1 to 2: new answers can be told from damaged ones, and say what was written to a cache."""
    connection.exec_driver_sql("ALTER TABLE answers ADD COLUMN cache_write_tokens INTEGER")
    connection.exec_driver_sql("ALTER TABLE answers ADD COLUMN checksum BIGINT")


def _halve_vectors(connection: sqlalchemy.Connection) -> None:
    """2 to 3: a number of a vector takes four bytes, as it came, and no longer eight.

    Their checksums go: what is rounded is no longer what was stored.
    """
    found = connection.exec_driver_sql(
        "SELECT key, vectors FROM answers WHERE vectors IS NOT NULL"
    ).fetchall()
    sql = "UPDATE answers SET vectors = ?, checksum = NULL WHERE key = ?"
    for key, wide in found:
        doubles = array("d")
        doubles.frombytes(bytes(wide[4:]))
        execute(connection, sql, (bytes(wide[:4]) + packed(doubles), key))


STEPS: Mapping[int, Step] = {1: _complete_answers, 2: _halve_vectors}


def migrate(
    connection: sqlalchemy.Connection, found: int, wanted: int, steps: Mapping[int, Step] = STEPS
) -> None:
    """Take the tables from version `found` to `wanted`. steps: by the version that each one leaves."""
    for version in range(found, wanted):
        steps[version](connection)
