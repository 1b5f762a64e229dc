"""How far the vectors of two runs agree on who is near whom: read from the store, nothing is sent.

In: the names of two runs of embedding models. Out: a `SpaceDrift`. Vectors of one run are never compared with
those of the other; only the neighbours that each gives to the same documents and samples are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from harness.clock import SystemClock
from harness.errors import UsageError
from harness.findings import RunRecord
from harness.past import open_engine, plan_of
from harness.plan.plan import Plan
from harness.records import Completion, Settings
from harness.stats.drift import Drift, drift
from harness.store.store import RunRow, Store, open_store
from harness.trials.embed import Wanted, embed
from harness.trials.vectors import Source, texts_asked
from harness.vectors import length_of

FEWEST = 3  # texts below which nobody has a neighbour to lose


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceDrift:
    """What stayed of the neighbours. before, after: run and settings. lowest: the text that moved most.

    compared: documents and texts of samples that both runs embedded whole, found by their ids, among which
    `changed` read otherwise before; equal ones count once in `found`. alone: those of each run without a
    partner in the other. cut: those of each that were cut into pieces, and are not compared. of: data sets of
    each.
    """

    before: tuple[str, Settings]
    after: tuple[str, Settings]
    found: Drift
    lowest: str
    compared: int
    changed: int
    alone: tuple[int, int]
    cut: tuple[int, int]
    of: tuple[str, str]

    def words(self) -> str:
        """What was compared, as a sentence."""
        same = "all with the same text" if not self.changed else f"{self.changed} of them with a changed text"
        told = [f"{self.compared} documents and texts of samples, by their ids, {same}"]
        if self.found.texts < self.compared:
            told.append(f"{self.found.texts} different ones, each counted once")
        if any(self.alone):
            told.append(f"without a partner: {self.alone[0]} before, {self.alone[1]} after")
        if any(self.cut):
            told.append(f"left out because cut to pieces: {self.cut[0]} before, {self.cut[1]} after")
        if self.of[0] != self.of[1]:
            told.append(f"the data sets differ ({self.of[0]}; {self.of[1]}): equal ids have to mean the same")
        return "; ".join(told)


@dataclass(slots=True)
class _Space:
    """The texts of a run with their vectors, by where they come from. cut: how many are in pieces."""

    of: str
    texts: dict[Source, str] = field(default_factory=dict[Source, str])
    vectors: dict[Source, bytes] = field(default_factory=dict[Source, bytes])
    cut: int = 0


def space_drift(before: str, after: str, *, k: int = 10, store: str | None = None) -> SpaceDrift:
    """The drift between the spaces of two runs, over what both embedded whole.

    A document or sample of one run is that of the same id in the other, whatever its text is there: another
    template, or an article that was rewritten. before, after: runs of a task with a kind; of a search, the
    space that it recommends counts. k: neighbours compared. Raises UsageError for other runs, for a run and
    itself, and when both have fewer than 3 texts in common.
    """
    database = open_store(store)
    try:
        rows = [database.run(before), database.run(after)]
        if rows[0].run == rows[1].run:
            raise UsageError(
                f"{before!r} and {after!r} are the same run, {rows[0].run}, which agrees with itself "
                "whatever it holds; name two runs (AFTER is the latest one where it is left out)"
            )
        settings = [_settings(row) for row in rows]
        first, second = (_space(row, one, database) for row, one in zip(rows, settings, strict=True))
    finally:
        database.close()
    common = [one for one in first.vectors if one in second.vectors]
    # A text that stands in many pairs is one text, with one place in the space.
    distinct = list({(first.texts[one], second.texts[one]): one for one in common}.values())
    if len(distinct) < FEWEST:
        raise UsageError(
            f"runs {rows[0].run!r} ({first.of}) and {rows[1].run!r} ({second.of}) have {len(distinct)} texts "
            "in common that both embedded whole, by the ids of documents and samples, and at least "
            f"{FEWEST} are needed; give two runs of the same data, and give rows an id where texts may "
            "change: without one, it is made of the text"
        )
    sides = [np.stack([np.frombuffer(one.vectors[at], "<f4") for at in distinct]) for one in (first, second)]
    found = drift(sides[0], sides[1], k)
    return SpaceDrift(
        before=(rows[0].run, settings[0]),
        after=(rows[1].run, settings[1]),
        found=found,
        lowest=second.texts[distinct[found.lowest]],
        compared=len(common),
        changed=sum(first.texts[one] != second.texts[one] for one in common),
        alone=(len(first.vectors) - len(common), len(second.vectors) - len(common)),
        cut=(first.cut, second.cut),
        of=(first.of, second.of),
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


def _space(row: RunRow, settings: Settings, database: Store) -> _Space:
    """The texts of this run with their vectors, without those that are cut to pieces."""
    plan = plan_of(row)
    embedding = plan.task.embedding
    if embedding is None:
        raise UsageError(f"run {row.run!r} is of models that write; drift is between spaces of vectors")
    corpus = "" if embedding.corpus is None else f" and {embedding.corpus.name}"
    space = _Space(f"{plan.task.rows.card.name}{corpus}")
    with open_engine(plan, row.run, database, {}, SystemClock(), use_cache=True) as engine:
        for one in embed(_whole(plan, settings, space), engine.recall):
            outcome, source = one.outcomes[0], one.wanted.asked
            if isinstance(outcome, Completion) and outcome.reply.vectors:
                space.texts[source] = outcome.call.texts[0]
                space.vectors[source] = outcome.reply.vectors[0]
    lengths = {length_of(vector) for vector in space.vectors.values()}
    if len(lengths) > 1:
        sizes = " and ".join(map(str, sorted(lengths)))
        raise UsageError(f"run {row.run!r} has vectors of {sizes} numbers; they are not of one space")
    return space


def _whole(plan: Plan, settings: Settings, space: _Space) -> Iterator[Wanted[Source]]:
    for one in texts_asked(plan, settings):
        if len(one.calls) == 1:
            yield one
        else:
            space.cut += 1
