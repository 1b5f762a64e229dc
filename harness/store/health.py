"""How the store is, without making one: for whoever wants to know before a run.

In: a URL. Out: where it is, whether it can be used, and what stands in the way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError
from harness.store.connections import transaction
from harness.store.schema import VERSION, tables
from harness.store.store import DEFAULT_URL, Store, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """Where the store is, and whether it can be used.

    address: without its password. version: of its tables, or of those that would be made. problem: what
    stands in the way of using it, in words; empty when nothing does.
    """

    address: str
    exists: bool
    version: str
    problem: str = ""


def store_health(url: str | None, environ: Mapping[str, str]) -> StoreHealth:
    """The store at this URL, else at `HARNESS_STORE`, else the default one; none is made.

    An existing one is opened, which proves that it can be written, checks its pages, and knows its version.
    """
    url = url or environ.get("HARNESS_STORE") or DEFAULT_URL
    file = _file_of(url)
    if file is not None and not file.exists():
        return StoreHealth(address=url, exists=False, version=str(VERSION), problem=_unwritable(file))
    try:
        store = open_store(url, environ)
    except StoreError as error:
        # The message names the store; its URL may hold a password in any of its parts.
        return StoreHealth(address="", exists=True, version="", problem=str(error))
    try:
        return StoreHealth(address=store.address, exists=True, version=_version(store))
    except StoreError as error:
        return StoreHealth(address=store.address, exists=True, version="", problem=str(error))
    finally:
        store.close()


def missing_file(url: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file of the store at this URL, else at `HARNESS_STORE`, else the default one, if it is not there.

    `None`: it is there, or the store is no file.
    """
    file = _file_of(url or environ.get("HARNESS_STORE") or DEFAULT_URL)
    return None if file is None or file.exists() else file


def _file_of(url: str) -> Path | None:
    """The file of a URL of SQLite; `None` for any other, and for one that cannot be read."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def _unwritable(file: Path) -> str:
    """Why this file cannot be made, in words; empty when it can."""
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return ""
    return (
        f"the store cannot be made at {file}: {folder} cannot be written to; name another with HARNESS_STORE"
    )


def _version(store: Store) -> str:
    about = tables().about
    with transaction(store.database) as connection:
        row = connection.execute(about.select().where(about.c.name == "version")).one()
    return str(row.value)
