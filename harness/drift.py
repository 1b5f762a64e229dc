"""How far the vectors of two runs agree on who is near whom: read from the store, nothing is sent.

In: the names of two runs of embedding models. Out: a `SpaceDrift`. Vectors of one run are never compared with
those of the other; only the neighbours that each gives to the same texts are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.clock import SystemClock
from harness.errors import UsageError
from harness.findings import RunRecord
from harness.past import open_engine, plan_of
from harness.plan.plan import Plan
from harness.records import Call, Completion, Settings
from harness.stats.drift import Drift, drift
from harness.store.store import RunRow, Store, open_store
from harness.trials.vectors import texts_asked
from harness.vectors import length_of

FEWEST = 3  # texts below which nobody has a neighbour to lose


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceDrift:
    """What stayed of the neighbours. before, after: run and settings. lowest: the text that moved most."""

    before: tuple[str, Settings]
    after: tuple[str, Settings]
    found: Drift
    lowest: str


def space_drift(before: str, after: str, *, k: int = 10, store: str | None = None) -> SpaceDrift:
    """The drift between the spaces of two runs, over the texts that both embedded as they are.

    before, after: runs of a task with a kind; of a search, the space that it recommends counts. k: neighbours
    compared. Raises UsageError for other runs, and when both have fewer than 3 texts in common.
    """
    database = open_store(store)
    try:
        rows = [database.run(before), database.run(after)]
        settings = [_settings(row) for row in rows]
        spaces = [_vectors(row, one, database) for row, one in zip(rows, settings, strict=True)]
    finally:
        database.close()
    texts = [text for text in spaces[0] if text in spaces[1]]
    if len(texts) < FEWEST:
        raise UsageError(
            f"runs {rows[0].run!r} and {rows[1].run!r} have {len(texts)} texts in common that both embedded "
            f"as they are, and at least {FEWEST} are needed; give two runs of the same texts"
        )
    sides = [np.stack([np.frombuffer(space[text], "<f4") for text in texts]) for space in spaces]
    found = drift(sides[0], sides[1], k)
    return SpaceDrift(
        before=(rows[0].run, settings[0]),
        after=(rows[1].run, settings[1]),
        found=found,
        lowest=texts[found.lowest],
    )


def _settings(row: RunRow) -> Settings:
    record = row.record
    if record is None:
        raise UsageError(
            f"run {row.run!r} has not ended; finish it with `harness {row.verb} --resume {row.run}`"
        )
    return _chosen(record)


def _chosen(record: RunRecord) -> Settings:
    if record.recommendation is not None:
        return record.recommendation.settings
    if record.verb == "tune":
        raise UsageError(f"run {record.run!r} recommends nothing; measure one space with `harness eval`")
    return record.trials[0].settings


def _vectors(row: RunRow, settings: Settings, database: Store) -> dict[str, bytes]:
    """The vectors of this run's space by text, without those that are cut to pieces."""
    plan = plan_of(row)
    if plan.task.embedding is None:
        raise UsageError(f"run {row.run!r} is of models that write; drift is between spaces of vectors")
    found: dict[str, bytes] = {}
    with open_engine(plan, row.run, database, {}, SystemClock(), use_cache=True) as engine:
        for outcome in engine.recall(_calls(plan, settings)):
            if isinstance(outcome, Completion) and outcome.reply.vectors:
                found.setdefault(outcome.call.texts[0], outcome.reply.vectors[0])
    lengths = {length_of(vector) for vector in found.values()}
    if len(lengths) > 1:
        sizes = " and ".join(map(str, sorted(lengths)))
        raise UsageError(f"run {row.run!r} has vectors of {sizes} numbers; they are not of one space")
    return found


def _calls(plan: Plan, settings: Settings) -> Iterator[Call]:
    for one in texts_asked(plan, settings):
        if len(one.calls) == len(one.ends):
            yield from one.calls
