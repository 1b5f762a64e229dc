"""Connections to the database: how they are made, and how their failures are told.

In: a URL that was read, or an engine of SQLAlchemy. Out: connections that are set up for this database, and
transactions whose every failure is a StoreLostError. It knows no tables.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreLostError
from harness.store.patience import LOCK_TIMEOUT_S, PATIENCE_S, is_locked
from harness.store.schema import lost_store

if TYPE_CHECKING:
    import sqlalchemy

logger = logging.getLogger(__name__)
_MAKING = 6110371  # a number of our own for the lock of PostgreSQL under which a store is made
SWITCH_TIMEOUT_S = 30.0  # for a new file's switch to the write-ahead log, which takes milliseconds
SWITCH_PAUSE_S = 0.005
CALM_S = 60.0  # without a lock in the way, before the next one is told again
_FILE = "harness.file"  # key under which a connection keeps what is known of its file

_Identity = tuple[str, int, int]  # path, device, number of the file


@contextmanager
def transaction(
    database: sqlalchemy.Engine, what: str = "failed after it was opened"
) -> Generator[sqlalchemy.Connection]:
    """A transaction that is committed at the end of the block. what: of a failure, after "the store".

    Raises StoreLostError when the database fails, and when what was committed went to a file of SQLite that
    is no longer where it was: the system lets a process write to a file that was deleted under it.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with database.connect() as connection:
            with connection.begin():
                yield connection
            _require_file(connection)
    except SQLAlchemyError as error:
        raise lost_store(what, error) from error


def driver_url(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """The URL with psycopg 3 as the driver of PostgreSQL, unless it names another."""
    plain = url.drivername in ("postgresql", "postgres")
    return url.set(drivername="postgresql+psycopg") if plain else url


def shown(url: sqlalchemy.URL) -> str:
    """The URL without its password."""
    # A password may also stand among the options, which SQLAlchemy would show.
    options = dict.fromkeys(url.query, "hidden")
    return url.set(query=options).render_as_string(hide_password=True)


def set_up(database: sqlalchemy.Engine) -> None:
    """Let every connection to come be set up for its database."""
    from sqlalchemy import event

    _tell_of_locks(database)
    if database.dialect.name == "postgresql":
        event.listen(database, "connect", _limit_waits)
    if database.dialect.name != "sqlite":
        return
    path = str(Path(str(database.url.database)).absolute())
    first: list[_Identity] = []

    def on_connect(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous=FULL")  # a committed answer survives a power cut
        cursor.close()
        found = _identity(path)
        if not first and found is not None:
            first.append(found)
        # Also a connection made later must be to the file that was opened first.
        record.info[_FILE] = first[0] if first else (path, -1, -1)

    event.listen(database, "connect", on_connect)


def _tell_of_locks(database: sqlalchemy.Engine) -> None:
    """Tell once when somebody else's lock is in the way; whoever met it tries again."""
    from sqlalchemy import event

    met_at: list[float] = []

    def on_error(context: sqlalchemy.ExceptionContext) -> None:
        if context.sqlalchemy_exception is None or not is_locked(context.sqlalchemy_exception):
            return
        now = time.monotonic()
        if not met_at or now - met_at[-1] > CALM_S:
            logger.warning(
                "another program holds the lock of the store %s (a backup, a database shell, a clean-up): "
                "waiting for it, up to %d minutes; nothing that was paid is lost meanwhile",
                shown(database.url),
                PATIENCE_S // 60,
            )
        met_at[:] = [now]

    event.listen(database, "handle_error", on_error)


def _limit_waits(connection: Any, _: object) -> None:
    """Have PostgreSQL tell of a lock that it waits for, as SQLite does."""
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S:.0f}s'")
    cursor.close()
    connection.commit()  # a transaction that is rolled back takes its settings along


def _write_ahead(cursor: Any) -> None:
    """Let readers never wait for the writer: SQLite's write-ahead log.

    SQLite does not wait for its own lock when two connections switch a new file at once, whatever its
    time-out: one of them is told at once that the database is locked, and tries again here.
    """
    deadline = time.monotonic() + SWITCH_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(SWITCH_PAUSE_S)
        else:
            return


def lock_making(connection: sqlalchemy.Connection) -> None:
    """Within a transaction: let no other process make the tables of this database at the same time."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MAKING})")


def _require_file(connection: sqlalchemy.Connection) -> None:
    opened: _Identity | None = connection.info.get(_FILE)
    if opened is not None and _identity(opened[0]) != opened:
        raise StoreLostError(
            f"the store's file {opened[0]} was deleted, replaced or emptied in mid-run: answers since then "
            "are lost; put it back from a copy, or begin the run anew"
        )


def _identity(path: str) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - looked at after every transaction, and a Path costs as much again
    except OSError:
        return None
    if not found.st_size:  # SQLite writes its first page before anything else
        return None
    return path, found.st_dev, found.st_ino
