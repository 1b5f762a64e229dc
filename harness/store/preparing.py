"""A database made ready: checked, and its tables made or brought up to date.

In: an engine for a URL. Out: the same, safe to use as a store. Rows are none of its business.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.store.connections import lock_making, set_up, shown
from harness.store.migrations import migrate
from harness.store.patience import patiently
from harness.store.schema import VERSION, tables

if TYPE_CHECKING:
    import sqlalchemy


def prepare(database: sqlalchemy.Engine) -> None:
    """Set every connection up, look at the pages, and make the tables or bring them up to date.

    Raises StoreError when this is no store, is damaged, or is of a newer version.
    """
    set_up(database)
    if database.dialect.name == "sqlite":
        with database.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if verdict != "ok":
            address = shown(database.url)
            raise StoreError(f"the store {address} is damaged: {verdict}; restore a copy, or move it away")
    patiently(partial(_make_tables, database, address=shown(database.url)))


def _make_tables(database: sqlalchemy.Engine, *, address: str) -> None:
    from sqlalchemy import inspect

    schema = tables()
    with database.begin() as connection:
        # Two processes may make the same new store at once: one of them waits here.
        lock_making(connection)
        found = inspect(connection).get_table_names()
        if database.dialect.name == "sqlite" and found and schema.about.name not in found:
            raise StoreError(
                f"the store {address} is the database of another program (it has a table {found[0]!r}); name "
                "another file with HARNESS_STORE"
            )
        schema.metadata.create_all(connection)
        is_version = schema.about.c.name == "version"
        version = connection.execute(schema.about.select().where(is_version)).first()
        if version is None:
            connection.execute(schema.about.insert().values(name="version", value=str(VERSION)))
            return
        known = {str(number): number for number in range(1, VERSION + 1)}
        if version.value not in known:
            raise StoreError(
                f"the store {address} has version {version.value}, and this harness knows versions up to "
                f"{VERSION}; update harness, or name another store with HARNESS_STORE"
            )
        if version.value != str(VERSION):
            migrate(connection, known[version.value], VERSION)
            connection.execute(schema.about.update().values(value=str(VERSION)).where(is_version))
