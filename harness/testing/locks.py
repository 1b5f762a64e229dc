"""Somebody else who holds the lock of a store, and a store that notices it at once.

In: an open store. Out: its lock held for a block, and how often it was met. It reads and writes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from harness.store.patience import is_locked
from harness.store.schema import tables
from harness.store.store import Store

WAIT_MS = 30  # for a lock, in place of seconds
PATIENCE_S = 30.0


class Locked:
    """A lock that is held. `let_go` ends it; harmless when called twice."""

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._met = threading.Semaphore(0)

    def on_error(self, context: Any) -> None:
        """Count an error of the lock; SQLAlchemy calls this."""
        if is_locked(context.sqlalchemy_exception):
            self._met.release()

    def met(self, times: int) -> None:
        """Return when the lock was in the way so many times more."""
        for _ in range(times):
            assert self._met.acquire(timeout=PATIENCE_S), "nobody came to the lock"

    def let_go(self) -> None:
        """Let others write."""
        self._holder.close()


@contextmanager
def locked(store: Store) -> Generator[Locked]:
    """Hold the lock of this store in the block; whoever wants it is told after `WAIT_MS`, for good.

    In SQLite nobody can write meanwhile, in PostgreSQL nobody can read either.
    """
    from sqlalchemy import create_engine, event

    sqlite = store.database.dialect.name == "sqlite"
    hurry = f"PRAGMA busy_timeout = {WAIT_MS}" if sqlite else f"SET lock_timeout = {WAIT_MS}"

    def on_connect(connection: Any, _: object) -> None:
        connection.cursor().execute(hurry)
        connection.commit()

    event.listen(store.database, "connect", on_connect)
    store.database.dispose()  # connections to come are in a hurry
    other = create_engine(store.database.url)
    holder = other.connect()
    names = ", ".join(table.name for table in tables().metadata.sorted_tables)
    holder.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
    lock = Locked(holder)
    event.listen(store.database, "handle_error", lock.on_error)
    try:
        yield lock
    finally:
        lock.let_go()
        other.dispose()
