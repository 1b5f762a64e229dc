"""Runs that are over, or were cut off: read back from the store. Nothing is sent here.

In: the name of a run. Out: its record, its evidence filled in again, its recommendation, its report.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.advice.finalist import Finalist, Searched
from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.provider import Provider
from harness.clock import Clock, SystemClock
from harness.errors import InconclusiveError, UsageError
from harness.outputs.report import write_report
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.records import AnswerRow, Recommendation, RunRecord
from harness.result import TuneResult
from harness.store.store import RunRow, Store, open_store
from harness.trials.evaluate import answer_rows, remember
from harness.trials.evidence import Arm, Board

REPORTS = Path("reports")


def load_run(
    run: str = "latest",
    *,
    store: str | None = None,
    reports: str | Path = REPORTS,
    clock: Clock | None = None,
) -> TuneResult:
    """A finished run, read back from the store; nothing is sent. Raises UsageError when it is not there."""
    clock = clock or SystemClock()
    database = open_store(store)
    try:
        row = database.run(run)
        if row.record is None:
            raise UsageError(
                f"run {row.run!r} has not ended; finish it with `harness tune --resume {row.run}`"
            )
        plan = plan_of(row)
        with open_engine(plan, row.run, database, {}, clock, use_cache=True) as engine:
            arms = arms_of(row.record, plan, engine, database)
        finalists, searched = finalists_of(row.record, arms), searched_of(row.record, arms[0])
        return TuneResult(row.record, plan, finalists, Path(reports) / row.run, searched=searched)
    finally:
        database.close()


def recommended(run: str = "latest", *, store: str | None = None) -> Recommendation:
    """What a finished run recommends, as it was written down: its spec and data need not be there any more.

    Raises UsageError when the run is not there or has not ended, InconclusiveError without a choice.
    """
    database = open_store(store)
    try:
        row = database.run(run)
    finally:
        database.close()
    if row.record is None:
        raise UsageError(f"run {row.run!r} has not ended; finish it with `harness tune --resume {row.run}`")
    if row.record.recommendation is None:
        why = "; ".join(row.record.notes) or "it ended before a decision"
        raise InconclusiveError(f"run {row.run!r} recommends nothing: {why}")
    return row.record.recommendation


def rebuild_report(
    run: str = "latest", *, store: str | None = None, reports: str | Path = REPORTS
) -> TuneResult:
    """Write the report of a finished run anew, from the store alone."""
    database = open_store(store)
    try:
        row = database.run(run)
        result = load_run(row.run, store=store, reports=reports)
        with open_engine(result.plan, row.run, database, {}, SystemClock(), use_cache=True) as engine:
            arms = arms_of(result.record, result.plan, engine, database)
            result.files = tuple(write_report(result.record, rows_of(arms, engine), result.folder))
        return result
    finally:
        database.close()


def plan_of(row: RunRow, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of this run, made again. Raises UsageError when it is not the plan that the run began with."""
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    spec = json.loads(row.spec_text) if row.spec_file is None else Path(row.spec_file)
    plan = make_plan(spec, **{**row.overrides, **given})
    if plan.fingerprint() != row.plan:
        raise UsageError(
            f"the spec of run {row.run!r} has changed since it began, or its data, prompts or prices have; "
            "put them back, or begin a new run (answers to unchanged calls are not paid again)"
        )
    return plan


def open_engine(
    plan: Plan, run: str, store: Store, providers: Mapping[str, Provider], clock: Clock, *, use_cache: bool
) -> Engine:
    """An engine for this plan, under the caps of its budget."""
    budget = plan.budget
    return Engine(
        run=run,
        providers=providers,
        endpoints=plan.endpoints,
        models=plan.models,
        store=store,
        caps=Caps(usd=budget.usd, calls=budget.calls, tokens=budget.tokens, minutes=budget.minutes),
        clock=clock,
        seed=plan.seed,
        use_cache=use_cache,
    )


def finalists_of(record: RunRecord, arms: tuple[Sequence[Arm], Sequence[Arm]]) -> tuple[Finalist, ...]:
    """The finalists of a run that came to its end, as the record has them; none of any other run."""
    if record.state != "complete":
        return ()
    searched, trials = {arm.number: arm for arm in arms[0]}, {trial.number: trial for trial in record.trials}
    confirmed = {trial.number: trial for trial in record.finalists}
    return tuple(
        Finalist(
            search=trials[arm.number],
            confirm=confirmed[arm.number],
            search_values=searched[arm.number].quality_values(),
            confirm_values=arm.quality_values(),
            groups=arm.groups(),
        )
        for arm in arms[1]
        if arm.number in confirmed
    )


def searched_of(record: RunRecord, arms: Sequence[Arm]) -> tuple[Searched, ...]:
    """The trials of the search, as the record has them, with their quality sample by sample."""
    trials = {trial.number: trial for trial in record.trials}
    return tuple(
        Searched(trial=trials[arm.number], values=arm.quality_values(), groups=arm.groups()) for arm in arms
    )


def arms_of(record: RunRecord, plan: Plan, engine: Engine, database: Store) -> tuple[list[Arm], list[Arm]]:
    """The arms of a finished run, filled again from the store."""
    seen = {(row.split, row.number): row.seen for row in database.trials(record.run)}
    boards = {"search": Board.of(plan, "search"), "confirm": Board.of(plan, "confirm")}
    rebuilt: tuple[list[Arm], list[Arm]] = ([], [])
    for trials, arms in zip((record.trials, record.finalists), rebuilt, strict=True):
        for trial in trials:
            arm = Arm.of(trial.number, trial.settings, boards[trial.split])
            remember(arm, seen[trial.split, trial.number], engine)
            arm.state, arm.reason = trial.state, trial.reason
            arms.append(arm)
    return rebuilt


def rows_of(arms: tuple[Iterable[Arm], Iterable[Arm]], engine: Engine) -> Iterator[AnswerRow]:
    """The per-sample table of these arms, both splits."""
    for side in arms:
        for arm in side:
            yield from answer_rows(arm, engine)
