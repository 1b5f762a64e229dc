"""The report of a finished run, written anew from the store. Nothing is sent here.

In: the name of a run. Out: its report: whole, where spec and files find the evidence that the run had; else
what its record holds, and why it is no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.calls.engine import Engine
from harness.clock import SystemClock
from harness.errors import HarnessError
from harness.findings import RunRecord
from harness.outputs.exports.selection import selection_of
from harness.outputs.outbox import traces_of
from harness.outputs.report import write_report
from harness.outputs.traces import Traces, tracing
from harness.past import REPORTS, arms_of, ended_record, open_engine, plan_again, rows_of
from harness.plan.plan import Plan
from harness.plan.provenance import provenance_of
from harness.result import RebuiltResult
from harness.store.store import RunRow, Store, open_store
from harness.trials.evidence import Arm


def rebuild_report(
    run: str = "latest",
    *,
    store: str | None = None,
    reports: str | Path = REPORTS,
    scorers: Sequence[Any] = (),
    traces: Traces = "none",
) -> RebuiltResult:
    """Write the report of a finished run anew, from the store alone.

    Where what the run began with is not there any more, and what is there does not give its figures, the
    report has no table of answers; one that was written before stays. scorers: as for `load_run`.
    traces: calls that are kept for MLflow, as for `run.tune`.
    Raises UsageError when the run is not there, has not ended, or its answers were taken out of the store.
    """
    database = open_store(store)
    try:
        row = database.run(run)
        record, folder = ended_record(row), Path(reports) / row.run
        choice = record.recommendation
        selection = None if choice is None else selection_of([choice], templates={row.run: row.prompts})
        plan, lacking = _plan(row, record, scorers)
        files: list[Path] | None = None
        if plan is not None:
            with open_engine(plan, row.run, database, {}, SystemClock(), use_cache=True) as engine:
                arms = _arms(row, record, plan, engine, database)
                if arms is not None:
                    rows = tracing(rows_of(arms, engine), record, traces, traces_of(row.run))
                    files, lacking = write_report(record, rows, folder, selection), ""
        if files is None:
            files = write_report(record, None, folder, selection)
    finally:
        database.close()
    return RebuiltResult(record, row.spec_text, folder, tuple(files), lacking=lacking, selection=selection)


def _plan(row: RunRow, record: RunRecord, scorers: Sequence[Any]) -> tuple[Plan | None, str]:
    """The plan that may tell what was asked; `None`: none can any more. And why it may be another one."""
    try:
        plan = plan_again(row, {"scorers": scorers})
    except HarnessError as error:
        return None, f"run {row.run!r} cannot be planned any more: {error}"
    if plan.fingerprint() == row.plan:
        return plan, ""
    then, now = record.provenance, provenance_of(plan, row.started_at)
    same_data, same_prompts = then.data == now.data, row.prompts == plan.task.templates()
    parts = {"another spec": then.spec == now.spec, "other data": same_data, "other prompts": same_prompts}
    moved = [name for name, same in parts.items() if not same] or ["another version of harness"]
    why = (
        f"run {row.run!r} began with {' and '.join(moved)}; put back what it began with for the whole report"
    )
    return plan if same_data and same_prompts else None, why


def _arms(
    row: RunRow, record: RunRecord, plan: Plan, engine: Engine, database: Store
) -> tuple[list[Arm], list[Arm]] | None:
    """The evidence of the run; `None` where another plan than its own does not find the same."""
    if plan.fingerprint() == row.plan:
        return arms_of(record, plan, engine, database)
    try:
        arms = arms_of(record, plan, engine, database)
    except HarnessError:  # other samples, whose answers are not there
        return None
    return arms if _agree(record, arms) else None


def _agree(record: RunRecord, arms: tuple[Sequence[Arm], Sequence[Arm]]) -> bool:
    """Whether the evidence that is found today gives the figures of the record."""
    known = (*record.trials, *record.finalists)
    for trial, arm in zip(known, (*arms[0], *arms[1]), strict=True):
        found = arm.trial()
        if found.samples != trial.samples or (found.quality is None) != (trial.quality is None):
            return False
        if trial.quality and found.quality and not math.isclose(trial.quality.value, found.quality.value):
            return False
    return True
