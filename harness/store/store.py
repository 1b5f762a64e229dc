"""The one database: opening it, reading answers, and the rows of runs and trials.

In: a URL. Out: records. Everything else that the package shows is a function of what stands here.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import StoreError, UsageError
from harness.findings import Paid, RunRecord, RunState, Spend
from harness.loading import loading
from harness.records import Purpose, Settings, Split, Verb
from harness.store.answers import ANSWER_COLUMNS, FAILURE_COLUMNS, require_sound
from harness.store.codec import decode, encode
from harness.store.connections import driver_url, shown, transaction
from harness.store.leases import left_behind
from harness.store.patience import LOCK_TIMEOUT_S, is_locked, patient
from harness.store.preparing import prepare
from harness.store.schema import LET_GO, Tables, tables
from harness.store.statements import fetch, marks, select_sql

if TYPE_CHECKING:
    import sqlalchemy

DEFAULT_URL = "sqlite:///.harness/harness.db"
LOOK_UP = 500  # keys a query: SQLite takes some 32,000 parameters, but short queries answer sooner


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What was asked of a run, and what it found; `record` is `None` until it ended, and in listings.

    prompts: template by variant. plan: fingerprint of the plan. overrides: what was asked beside the spec;
    a `split` makes the run an evaluation, and without `use_cache` it takes no answers but its own.
    """

    run: str
    experiment: str
    state: RunState
    spec_file: str | None
    spec_text: str
    overrides: Mapping[str, Any]
    prompts: Mapping[str, str]
    plan: str
    started_at: datetime
    ended_at: datetime | None
    record: RunRecord | None

    @property
    def verb(self) -> Verb:
        """What the run is for."""
        return "eval" if "split" in self.overrides else "tune"

    @property
    def use_cache(self) -> bool:
        """Whether the run takes answers that others paid for."""
        return bool(self.overrides.get("use_cache", True))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial on one split, as the driver saw it: state "running" until it was told.

    told: the value the sampler got. seen: which answers it saw; see `trials.evidence.Arm.seen_text`.
    """

    run: str
    number: int
    split: Split
    settings: Settings
    state: str
    samples: int
    told: float | None
    reason: str
    seen: str


class Store:
    """An open database. Safe to read from several threads; answers are written through `Journal`.

    Every method raises StoreLostError when the database fails after it was opened.
    """

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self.database = database
        self._tables: Tables = tables()

    @property
    def address(self) -> str:
        """The store's URL, without its password."""
        return shown(self.database.url)

    def _transaction(self) -> AbstractContextManager[sqlalchemy.Connection]:
        return transaction(self.database)

    def answers(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The rows of those of these keys that were answered before, by key.

        Raises StoreLostError when one of them is not what was stored.
        """
        found = self._by_key("answers", ANSWER_COLUMNS, keys)
        for row in found.values():
            require_sound(row)
        return found

    def failures(self, run: str, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The newest failure of each of these keys in this run, by key."""
        return self._by_key("failures", FAILURE_COLUMNS, keys, "AND run = ? ORDER BY id", (run,))

    @patient
    def _by_key(
        self,
        table: str,
        columns: Sequence[str],
        keys: Sequence[str],
        more: str = "",
        values: Sequence[object] = (),
    ) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        place = columns.index("key")
        with self._transaction() as connection:
            for start in range(0, len(keys), LOOK_UP):
                some = keys[start : start + LOOK_UP]
                query = select_sql(table, columns, f"key IN {marks(some)} {more}")
                for row in fetch(connection, query, (*some, *values)):
                    found[row[place]] = dict(zip(columns, row, strict=True))
        return found

    @patient
    def spent(self, run: str) -> Spend:
        """What this run has paid so far, over all its attempts."""
        from sqlalchemy import func, select

        paid = self._tables.payments
        query = select(
            paid.c.purpose,
            func.coalesce(func.sum(paid.c.usd), 0.0),
            func.count(),
            func.coalesce(func.sum(paid.c.input_tokens), 0),
            func.coalesce(func.sum(paid.c.output_tokens), 0),
        ).where(paid.c.run == run)
        with self._transaction() as connection:
            rows = connection.execute(query.group_by(paid.c.purpose)).all()
            lost = left_behind(connection, run)
        parts: dict[Purpose, Paid] = {
            cast("Purpose", purpose): Paid(
                usd=float(usd), calls=int(calls), input_tokens=int(tokens_in), output_tokens=int(tokens_out)
            )
            for purpose, usd, calls, tokens_in, tokens_out in rows
        }
        return Spend(
            usd=math.fsum(part.usd for part in parts.values()),
            calls=sum(part.calls for part in parts.values()),
            input_tokens=sum(part.input_tokens for part in parts.values()),
            output_tokens=sum(part.output_tokens for part in parts.values()),
            by_purpose=parts,
            lost=Paid(usd=lost.usd, calls=int(lost.calls)),
        )

    @patient
    def begin_run(self, row: RunRow) -> None:
        """Write down a run before its first call, or open it again when it is resumed."""
        values = {
            "experiment": row.experiment,
            "state": row.state,
            "spec_file": row.spec_file,
            "spec_text": row.spec_text,
            "overrides": json.dumps(dict(row.overrides), sort_keys=True),
            "prompts": json.dumps(dict(row.prompts), sort_keys=True),
            "plan": row.plan,
            "started_at": row.started_at.timestamp(),
        }
        table = self._tables.runs
        with self._transaction() as connection:
            changed = connection.execute(
                table.update()
                .where(table.c.run == row.run)
                .values(state=row.state, overrides=values["overrides"], ended_at=None, record=None)
            )
            if not changed.rowcount:
                connection.execute(table.insert().values(run=row.run, **values))

    @patient
    def set_state(self, run: str, state: RunState) -> None:
        """Write down how a run stands that found nothing to write down."""
        table = self._tables.runs
        with self._transaction() as connection:
            connection.execute(table.update().where(table.c.run == run).values(state=state))

    @patient
    def end_run(self, record: RunRecord) -> None:
        """Write down what a run found."""
        table = self._tables.runs
        ended = record.ended_at.timestamp() if record.ended_at else None
        with self._transaction() as connection:
            connection.execute(
                table.update()
                .where(table.c.run == record.run)
                .values(state=record.state, ended_at=ended, record=encode(record))
            )

    @patient
    def run(self, run: str) -> RunRow:
        """The run of this name; "latest" is the one begun last. Raises UsageError naming the newest ones."""
        table = self._tables.runs
        newest = table.select().order_by(table.c.started_at.desc(), table.c.run.desc()).limit(1)
        query = newest if run == "latest" else table.select().where(table.c.run == run)
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
        if row is not None:
            return _run_row(cast("Mapping[str, Any]", row), row["record"])
        known = ", ".join(row.run for row in self.runs()[:5]) or "none yet: run `harness tune SPEC` first"
        raise UsageError(f"no run {run!r} in this store; the newest are: {known}")

    @patient
    def runs(self) -> list[RunRow]:
        """All runs, newest first, without their records."""
        from sqlalchemy import select

        table = self._tables.runs
        light = [column for column in table.c if column.name != "record"]
        query = select(*light).order_by(table.c.started_at.desc(), table.c.run.desc())
        with self._transaction() as connection:
            rows = connection.execute(query).mappings()
            return [_run_row(cast("Mapping[str, Any]", row), None) for row in rows]

    @patient
    def put_trials(self, rows: Sequence[TrialRow]) -> None:
        """Write these trials, each replacing what stood under its run, number and split."""
        if not rows:
            return
        table = self._tables.trials
        with self._transaction() as connection:
            for row in rows:
                match = (table.c.run == row.run) & (table.c.number == row.number)
                connection.execute(table.delete().where(match, table.c.split == row.split))
            connection.execute(
                table.insert(),
                [
                    {
                        "run": row.run,
                        "number": row.number,
                        "split": row.split,
                        "settings": encode(row.settings),
                        "state": row.state,
                        "samples": row.samples,
                        "told": row.told,
                        "reason": row.reason,
                        "seen": row.seen,
                    }
                    for row in rows
                ],
            )

    @patient
    def trials(self, run: str) -> list[TrialRow]:
        """The trials of a run, the search split first, by number."""
        table = self._tables.trials
        query = table.select().where(table.c.run == run).order_by(table.c.split.desc(), table.c.number)
        with self._transaction() as connection:
            return [
                TrialRow(
                    run=run,
                    number=row["number"],
                    split=row["split"],
                    settings=decode(Settings, row["settings"]),
                    state=row["state"],
                    samples=row["samples"],
                    told=row["told"],
                    reason=row["reason"],
                    seen=row["seen"],
                )
                for row in connection.execute(query).mappings()
            ]

    def close(self) -> None:
        """Close all connections."""
        self.database.dispose()


def open_store(url: str | None = None, environ: Mapping[str, str] | None = None) -> Store:
    """The store at this URL, else at `HARNESS_STORE`, else `DEFAULT_URL`; made when there is none.

    Raises StoreError when it cannot be opened, is no store, is damaged, or is of a newer version.
    """
    url = url or (environ if environ is not None else os.environ).get("HARNESS_STORE") or DEFAULT_URL
    with loading():
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import SQLAlchemyError

    try:
        parsed = driver_url(make_url(url))
    except (SQLAlchemyError, ValueError):
        # The URL may hold a password in any of its parts, and the cause repeats parts of it.
        raise StoreError(
            "the store's URL cannot be read; write it as in sqlite:///folder/file.db or "
            "postgresql://user:password@host:5432/name (HARNESS_STORE)"
        ) from None
    database: sqlalchemy.Engine | None = None
    try:
        connect_args = _connect_args(parsed)
        # Statements carry what people asked and were answered: no message may repeat them.
        database = create_engine(parsed, connect_args=connect_args, hide_parameters=True)
        prepare(database)
    except (SQLAlchemyError, StoreError, OSError, ImportError) as error:
        if database is not None:
            database.dispose()
        if isinstance(error, StoreError):
            raise
        raise _cannot_be_opened(shown(parsed), error) from error
    return Store(database)


def _cannot_be_opened(address: str, error: Exception) -> StoreError:
    cause = (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
    expected = (
        "expected a database that harness made, in a folder that can be written; move the file away, or name "
        "another with HARNESS_STORE"
    )
    if address.startswith("postgresql"):
        expected = "expected a PostgreSQL server that takes this user; start it, or mend HARNESS_STORE"
    if is_locked(error):
        expected = LET_GO
    if isinstance(error, ImportError):
        expected = "install its driver: pip install 'psycopg[binary]>=3.2'"
    return StoreError(f"the store {address} cannot be opened: {cause}; {expected}")


def _connect_args(url: sqlalchemy.URL) -> dict[str, Any]:
    if url.get_backend_name() != "sqlite":
        return {}
    if url.database in (None, "", ":memory:"):
        raise StoreError(
            f"the store {shown(url)} would be kept in memory, where each thread sees another one; name a "
            f"file, as in {DEFAULT_URL}"
        )
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    return {} if "timeout" in url.query else {"timeout": LOCK_TIMEOUT_S}


def _run_row(row: Mapping[str, Any], record: str | None) -> RunRow:
    ended = row["ended_at"]
    return RunRow(
        run=row["run"],
        experiment=row["experiment"],
        state=row["state"],
        spec_file=row["spec_file"],
        spec_text=row["spec_text"],
        overrides=json.loads(row["overrides"]),
        prompts=json.loads(row["prompts"]),
        plan=row["plan"],
        started_at=datetime.fromtimestamp(row["started_at"], UTC),
        ended_at=None if ended is None else datetime.fromtimestamp(ended, UTC),
        record=None if record is None else decode(RunRecord, record),
    )
