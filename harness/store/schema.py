"""The tables of the store, and the error for losing them.

A change of a table needs a new `VERSION` and a step in `migrations`.

`answers` is the cache: one row per paid answer. `payments` is the ledger: one row per request that was
paid, by run. `failures` holds the calls of a run that brought no answer. `runs` and `trials` hold what a
run asked for and found. `owners`, `claims` and `leases` are what processes at work hold right now.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import StoreLostError
from harness.store.patience import is_locked

if TYPE_CHECKING:
    import sqlalchemy

VERSION = 3
LET_GO = "end what holds its lock (a backup, a database shell, a clean-up or upgrade of the store)"


class Tables(NamedTuple):
    """All tables, by name."""

    metadata: sqlalchemy.MetaData
    about: sqlalchemy.Table
    answers: sqlalchemy.Table
    payments: sqlalchemy.Table
    failures: sqlalchemy.Table
    runs: sqlalchemy.Table
    trials: sqlalchemy.Table
    owners: sqlalchemy.Table
    claims: sqlalchemy.Table
    leases: sqlalchemy.Table


def lost_store(what: str, error: Exception) -> StoreLostError:
    """The error of a store that worked and fails now. what: what it could not do."""
    # The driver's own words: SQLAlchemy would add the statement, and with it what people were asked.
    cause = (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
    cure = LET_GO if is_locked(error) else "free the disk or put back a copy of the store"
    lost = StoreLostError(
        f"the store {what}: {cause}; {cure}, then resume the run: answers that the store holds are not paid "
        "again"
    )
    lost.__cause__ = error
    return lost


@cache
def tables() -> Tables:
    """The tables of schema `VERSION`; built once a process, since SQLAlchemy loads late."""
    from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text

    metadata = MetaData()
    about = Table("about", metadata, Column("name", String(64), primary_key=True), Column("value", Text))
    answers = Table(
        "answers",
        metadata,
        Column("key", String(64), primary_key=True),
        Column("model", Text, nullable=False),
        Column("text", Text),
        Column(
            "vectors", LargeBinary
        ),  # how many, in 4 bytes, and `harness.vectors`; float64 until version 2
        Column("finish_reason", Text),
        Column("served_by", Text),
        Column("input_tokens", Integer),
        Column("cached_input_tokens", Integer),
        Column("output_tokens", Integer),
        Column("reasoning_tokens", Integer),
        Column("cache_write_tokens", Integer),  # none in rows of version 1
        Column("price_usd", Float),
        Column("queue_s", Float, nullable=False),
        Column("total_s", Float, nullable=False),
        Column("first_token_s", Float),
        Column("at", Float, nullable=False),  # seconds since 1970-01-01 UTC
        Column("checksum", BigInteger),  # see `answers.checksum`; none in rows of version 1
        sqlite_with_rowid=False,  # one tree instead of two: half the cost of a write
    )
    payments = Table(
        "payments",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("run", Text, nullable=False, index=True),
        Column("key", String(64), nullable=False),
        Column("purpose", String(16), nullable=False),
        Column("usd", Float, nullable=False),
        Column("input_tokens", Integer, nullable=False),
        Column("output_tokens", Integer, nullable=False),
        Column("at", Float, nullable=False),
    )
    failures = Table(
        "failures",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("run", Text, nullable=False),
        Column("key", String(64), nullable=False, index=True),
        Column("kind", String(16), nullable=False),
        Column("message", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("at", Float, nullable=False),
    )
    runs = Table(
        "runs",
        metadata,
        Column("run", Text, primary_key=True),
        Column("experiment", Text, nullable=False),
        Column("state", String(16), nullable=False),
        Column("spec_file", Text),
        Column("spec_text", Text, nullable=False),
        Column("overrides", Text, nullable=False),
        Column("prompts", Text, nullable=False),
        Column("plan", String(64), nullable=False),
        Column("started_at", Float, nullable=False),
        Column("ended_at", Float),
        Column("record", Text),
    )
    trials = Table(
        "trials",
        metadata,
        Column("run", Text, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("split", String(16), primary_key=True),
        Column("settings", Text, nullable=False),
        Column("state", String(16), nullable=False),
        Column("samples", Integer, nullable=False),
        Column("told", Float),
        Column("reason", Text, nullable=False),
        Column("seen", Text, nullable=False),
    )
    return Tables(metadata, about, answers, payments, failures, runs, trials, *_shared(metadata))


def _shared(metadata: sqlalchemy.MetaData) -> tuple[sqlalchemy.Table, ...]:
    """The tables of what processes hold while they work."""
    from sqlalchemy import Column, Float, Integer, String, Table, Text

    owners = Table(
        "owners",
        metadata,
        Column("owner", String(32), primary_key=True),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("started", Text, nullable=False),
        Column("beat", Integer, nullable=False),
    )
    claims = Table(
        "claims",
        metadata,
        Column("key", String(64), primary_key=True),
        Column("owner", String(32), nullable=False),
        sqlite_with_rowid=False,
    )
    leases = Table(
        "leases",
        metadata,
        Column("run", Text, primary_key=True),
        Column("owner", String(32), primary_key=True),
        Column("usd", Float, nullable=False),
        Column("calls", Float, nullable=False),
        Column("tokens", Float, nullable=False),
    )
    return owners, claims, leases
