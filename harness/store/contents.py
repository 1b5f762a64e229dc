"""What the store holds: counted, checked, handed out, and thinned out.

In: an open store. Out: figures, faults, and rows as plain values. Rows pass through in batches, each in a
transaction of its own, so that neither memory nor the runs of others depend on how many there are. Must
never touch the ledger of money: what was paid stays paid.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UsageError
from harness.records import Call, JsonValue, Settings
from harness.store.answers import completion, is_sound
from harness.store.connections import transaction
from harness.store.patience import patient
from harness.store.schema import tables
from harness.store.shrinking import shrink
from harness.store.store import LOOK_UP, Store
from harness.vectors import numbers_of

if TYPE_CHECKING:
    import sqlalchemy

    _Rows = sqlalchemy.Select[Any]

BATCH = 1000  # rows a transaction
LISTED_FAULTS = 20  # a systematic fault is in every row: the first ones tell the story
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswers:
    """The answers of one model, and those that are vectors. list_usd: price; unpriced: nobody stated it."""

    model: str
    answers: int
    list_usd: float
    unpriced: int
    oldest: datetime
    newest: datetime
    vectors: int = 0
    vector_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a store holds. size_bytes: on disk, all tables. paid_usd and paid_calls: the ledger, of all runs.

    saved_usd: list price of answers that runs took from the store; runs that have not ended do not say.
    failures: calls that brought no answer, by kind.
    """

    address: str
    size_bytes: int
    models: tuple[ModelAnswers, ...]
    runs: int
    paid_usd: float
    paid_calls: int
    saved_usd: float
    failures: Mapping[str, int]

    @property
    def answers(self) -> int:
        """Answers of all models."""
        return sum(model.answers for model in self.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went, or would go. runs: runs that paid for it, whose reports cannot be made anew without.

    shrunk: whether the file gave its room back to the disk; False while another process is at work in it.
    """

    answers: int
    list_usd: float
    runs: int
    shrunk: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what was wrong.

    removed: damaged answers taken out. listed: the first faults, in words.
    """

    answers: int
    runs: int
    faults: int
    removed: int
    listed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Answers meant: of this model, and older than this moment; `None`: whichever."""

    model: str | None = None
    before: datetime | None = None

    def conditions(self) -> list[sqlalchemy.ColumnElement[bool]]:
        """What a query on answers has to ask for."""
        table = tables().answers
        model = [] if self.model is None else [table.c.model == self.model]
        return model if self.before is None else [*model, table.c.at < self.before.timestamp()]


def contents(store: Store) -> Contents:
    """Everything counted."""
    from sqlalchemy import func, select

    schema = tables()
    failures, paid = schema.failures, schema.payments
    by_kind = select(failures.c.kind, func.count()).group_by(failures.c.kind).order_by(failures.c.kind)
    bill = select(func.coalesce(func.sum(paid.c.usd), 0.0), func.count())
    with transaction(store.database) as connection:
        usd, calls = connection.execute(bill).one()
        kinds = {str(kind): int(count) for kind, count in connection.execute(by_kind)}
    return Contents(
        address=store.address,
        size_bytes=_size_bytes(store),
        models=_models(store),
        runs=len(_run_names(store)),
        paid_usd=float(usd),
        paid_calls=int(calls),
        saved_usd=_saved_usd(store),
        failures=kinds,
    )


def prune(store: Store, which: Which, *, dry_run: bool = False) -> Pruned:
    """Remove these answers, and give the disk its room back; with dry_run, only count them.

    Raises UsageError when neither model nor age is given, or when the store has no answer of the model.
    """
    from sqlalchemy import func, select

    if which == Which():
        raise UsageError("nothing says which answers go; give an age, a model, or both")
    _require_model(store, which)
    schema = tables()
    answers, paid = schema.answers, schema.payments
    keys = select(answers.c.key).where(*which.conditions())
    with transaction(store.database) as connection:
        total = select(func.count(), func.coalesce(func.sum(answers.c.price_usd), 0.0))
        total = total.select_from(answers).where(*which.conditions())
        count, usd = connection.execute(total).one()
        payers = select(func.count(paid.c.run.distinct())).where(paid.c.key.in_(keys))
        runs = connection.execute(payers).scalar_one()
    shrunk = True
    if not dry_run and count:
        for batch in _batches(store, keys):
            _delete(store, [row["key"] for row in batch])
        shrunk = shrink(store)
    return Pruned(answers=int(count), list_usd=float(usd), runs=int(runs), shrunk=shrunk)


def verify(store: Store, *, remove: bool = False) -> Verified:
    """Look at every page, answer and run; with remove, take damaged answers out, to be asked again.

    Raises StoreLostError when the database cannot be read.
    """
    answers = removed = 0
    faults = _Faults()
    for fault in _broken_pages(store):
        faults.add(fault)
    for batch in _batches(store, _raw_columns(store)):
        answers += len(batch)
        damaged = {row["key"]: fault for row in batch if (fault := _fault(row)) is not None}
        for key, fault in damaged.items():
            faults.add(fault, f"answer {key}")
        if remove:
            _delete(store, list(damaged))
            removed += len(damaged)
    runs = _run_names(store)
    for run in runs:
        if (fault := _fault_of_run(store, run)) is not None:
            faults.add(fault, f"run {run}")
    return Verified(
        answers=answers,
        runs=len(runs),
        faults=faults.count,
        removed=removed,
        listed=tuple(faults.listed),
    )


def export_rows(store: Store, model: str | None = None) -> Iterator[dict[str, JsonValue]]:
    """Each answer as JSON-like values, by key. What was asked is not among them: its hash is the key.

    Raises UsageError when the store has no answer of this model.
    """
    which = Which(model=model)
    _require_model(store, which)
    for batch in _batches(store, tables().answers.select().where(*which.conditions())):
        for row in batch:
            answer = completion(row, _stand_in(row))
            vectors = answer.reply.vectors
            named = {name: value for name, value in row.items() if name not in ("vectors", "at", "checksum")}
            yield {
                **cast("dict[str, JsonValue]", named),
                "vectors": None if vectors is None else [list[JsonValue](numbers_of(one)) for one in vectors],
                "at": answer.at.isoformat(),
            }


class _Faults:
    """Counts faults, and remembers the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[str] = []

    def add(self, fault: str, where: str = "database") -> None:
        self.count += 1
        if len(self.listed) < LISTED_FAULTS:
            self.listed.append(f"{where}: {fault}")


def _models(store: Store) -> tuple[ModelAnswers, ...]:
    from sqlalchemy import func, select

    table = tables().answers
    query = (
        select(
            table.c.model,
            func.count(),
            func.coalesce(func.sum(table.c.price_usd), 0.0),
            func.count(table.c.price_usd),
            func.min(table.c.at),
            func.max(table.c.at),
            func.count(table.c.vectors),
            func.coalesce(func.sum(func.length(table.c.vectors)), 0),
        )
        .group_by(table.c.model)
        .order_by(table.c.model)
    )
    with transaction(store.database) as connection:
        found = connection.execute(query).all()
    return tuple(
        ModelAnswers(
            model=model,
            answers=int(count),
            list_usd=float(usd),
            unpriced=int(count) - int(priced),
            oldest=datetime.fromtimestamp(oldest, UTC),
            newest=datetime.fromtimestamp(newest, UTC),
            vectors=int(vectors),
            vector_bytes=int(size),
        )
        for model, count, usd, priced, oldest, newest, vectors, size in found
    )


def _size_bytes(store: Store) -> int:
    if store.database.dialect.name == "sqlite":
        file = Path(str(store.database.url.database))
        parts = [file, file.with_name(f"{file.name}-wal")]
        return sum(part.stat().st_size for part in parts if part.exists())
    from sqlalchemy import text

    names = [table.name for table in tables().metadata.sorted_tables]
    with transaction(store.database) as connection:
        asked = text("SELECT coalesce(pg_total_relation_size(to_regclass(:name)), 0)")
        return sum(int(connection.execute(asked, {"name": name}).scalar_one()) for name in names)


def _saved_usd(store: Store) -> float:
    from sqlalchemy import select

    table = tables().runs
    saved: list[float] = []
    for run in _run_names(store):
        with transaction(store.database) as connection:
            record = connection.execute(select(table.c.record).where(table.c.run == run)).scalar()
        if record is not None:
            saved.append(float(json.loads(record)["spend"]["saved_usd"]))
    return math.fsum(saved)


def _run_names(store: Store) -> list[str]:
    from sqlalchemy import select

    table = tables().runs
    with transaction(store.database) as connection:
        return list(connection.execute(select(table.c.run).order_by(table.c.run)).scalars())


def _require_model(store: Store, which: Which) -> None:
    from sqlalchemy import select

    table = tables().answers
    if which.model is None:
        return
    with transaction(store.database) as connection:
        known = connection.execute(select(table.c.model).distinct().order_by(table.c.model)).scalars().all()
    if which.model not in known:
        raise UsageError(
            f"this store has no answer of {which.model!r}; it has answers of {', '.join(known) or 'nobody'}"
        )


def _raw_columns(store: Store) -> _Rows:
    """The rows as they lie on the disk: what SQLite holds may be of another type, and text no UTF-8."""
    from sqlalchemy import LargeBinary, String, select, type_coerce
    from sqlalchemy import cast as as_type
    from sqlalchemy.types import NullType

    table = tables().answers
    as_bytes = store.database.dialect.name == "sqlite"
    columns = [
        as_type(column, LargeBinary).label(column.name)
        if as_bytes and isinstance(column.type, String) and not column.primary_key
        else type_coerce(column, NullType()).label(column.name)
        for column in table.c
    ]
    return cast("_Rows", select(*columns))


def _batches(store: Store, query: _Rows) -> Iterator[list[dict[str, Any]]]:
    """The rows of a query on answers that selects their key, in its order."""
    key = tables().answers.c.key
    last = ""
    while True:
        part = query.where(key > last).order_by(key).limit(BATCH)
        with transaction(store.database) as connection:
            batch: list[dict[str, Any]] = [dict(row) for row in connection.execute(part).mappings()]
        if not batch:
            return
        yield batch
        last = batch[-1]["key"]


@patient
def _delete(store: Store, keys: Sequence[str]) -> None:
    table = tables().answers
    with transaction(store.database) as connection:
        for start in range(0, len(keys), LOOK_UP):
            connection.execute(table.delete().where(table.c.key.in_(keys[start : start + LOOK_UP])))


def _broken_pages(store: Store) -> list[str]:
    if store.database.dialect.name != "sqlite":
        return []
    with transaction(store.database) as connection:
        found = connection.exec_driver_sql(f"PRAGMA integrity_check({LISTED_FAULTS})").scalars().all()
    return [str(line) for line in found if line != "ok"]


def _stand_in(row: Mapping[str, Any]) -> Call:
    """A call for an answer whose question is known by its hash alone."""
    return Call(settings=Settings(model=str(row["model"]), prompt=""), sample_id="")


def _fault(row: Mapping[str, Any]) -> str | None:
    if not _KEY.fullmatch(str(row["key"])):
        return "its key is not a SHA-256"
    try:
        texts = {n: v.decode() for n, v in row.items() if isinstance(v, bytes) and n != "vectors"}
        completion({**row, **texts}, _stand_in(row))
    except (TypeError, ValueError, OverflowError, OSError) as error:
        return f"it cannot be decoded: {error}"
    numbers = {name: row[name] for name in row if name.endswith(("_s", "_usd", "_tokens"))}
    for name, value in numbers.items():
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            return f"its {name} is {value!r}, expected a number from 0 on"
    return None if is_sound({**row, **texts}) else "it is not what was stored: its checksum differs"


def _fault_of_run(store: Store, run: str) -> str | None:
    try:
        store.run(run)
        store.trials(run)
    except (UsageError, ValueError, TypeError) as error:
        return f"it cannot be decoded: {error}"
    return None
