"""The room that removed answers took, given back to the disk.

In: an open store. Out: whether it was done. It holds the write lock for as long as a copy of the file takes,
and so is left alone while anybody is at work.
"""

from __future__ import annotations

from harness.store.connections import transaction
from harness.store.owners import Owners
from harness.store.schema import tables
from harness.store.store import Store


def shrink(store: Store) -> bool:
    """Give free pages of SQLite's file back; False: others are at work. PostgreSQL does so by itself.

    A run that begins meanwhile waits until the file is written.
    """
    if store.database.dialect.name != "sqlite":
        return True
    if _others_at_work(store):
        return False
    from sqlalchemy.exc import OperationalError

    with store.database.connect() as connection:
        free = connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            free.exec_driver_sql("VACUUM")
            busy = free.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
        except OperationalError:  # another process is writing, or the disk has no room for a copy
            return False
    return not busy


def _others_at_work(store: Store) -> bool:
    Owners(store.database).let_lapse()
    owners = tables().owners
    with transaction(store.database) as connection:
        return connection.execute(owners.select().limit(1)).first() is not None
