"""Runs that are over, or were cut off: read back from the store. Nothing is sent here.

In: the name of a run. Out: its record, its evidence filled in again, its recommendation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from harness.advice.finalist import Finalist, Searched
from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.provider import Provider
from harness.clock import Clock, SystemClock
from harness.errors import InconclusiveError, UsageError
from harness.findings import AnswerRow, Recommendation, RunRecord, Trial, TrialState
from harness.outputs.exports.selection import PolicyLabel
from harness.plan.plan import Plan
from harness.plan.planner import data_fingerprint, make_plan
from harness.plan.provenance import provenance_of, task_cards
from harness.plan.yaml_source import parse_yaml, read_yaml
from harness.records import Split, Verb
from harness.result import EvalResult, TuneResult
from harness.store.health import missing_file
from harness.store.store import RunRow, Store, TrialRow, open_store
from harness.trials.board import Board
from harness.trials.evaluate import answer_rows, remember
from harness.trials.evidence import Arm
from harness.trials.vectors import remember_vectors, vector_rows

REPORTS = Path("reports")


def find_run(database: Store, run: str, verb: Verb) -> RunRow:
    """The run of this name and verb; "latest" is the one begun last. Raises UsageError for any other."""
    if run == "latest":
        run = next((row.run for row in database.runs() if row.verb == verb), run)
    row = database.run(run)
    if row.verb != verb:
        raise UsageError(
            f"run {row.run!r} is of `harness {row.verb}`, expected one of `harness {verb}`; `harness list` "
            "shows all runs"
        )
    return row


def load_run(
    run: str = "latest",
    *,
    store: str | None = None,
    reports: str | Path = REPORTS,
    clock: Clock | None = None,
    scorers: Sequence[Any] = (),
) -> TuneResult | EvalResult:
    """A finished run, read back from the store; nothing is sent. Raises UsageError when it is not there.

    scorers: the functions and objects that its spec was given in Python.
    """
    clock = clock or SystemClock()
    database = open_store(store)
    try:
        row = database.run(run)
        record, folder = ended_record(row), Path(reports) / row.run
        plan = plan_of(row, {"scorers": scorers})
        if row.verb == "eval":
            return EvalResult(record, row.spec_text, folder, plan=plan)
        with open_engine(plan, row.run, database, {}, clock, use_cache=True) as engine:
            arms = arms_of(record, plan, engine, database)
        finalists, searched = finalists_of(record, arms), searched_of(record, arms[0])
        return TuneResult(record, row.spec_text, folder, plan=plan, finalists=finalists, searched=searched)
    finally:
        database.close()


def record_of(run: str = "latest", *, store: str | None = None) -> RunRecord:
    """The record of a finished run, whatever became of its spec. Raises UsageError when it is not there."""
    database = open_store(store)
    try:
        return ended_record(database.run(run))
    finally:
        database.close()


def ended_record(row: RunRow) -> RunRecord:
    """The record of this run. Raises UsageError when it has not ended."""
    if row.record is None:
        raise UsageError(
            f"run {row.run!r} has not ended; finish it with `harness {row.verb} --resume {row.run}`"
        )
    return row.record


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a finished run recommends.

    templates: of all its prompts, as they were measured, by variant. labelled: the choice under every policy.
    """

    recommendation: Recommendation
    templates: Mapping[str, str]
    labelled: tuple[tuple[PolicyLabel, Recommendation], ...] = ()


def chosen(
    run: str = "latest",
    policy: str | Mapping[str, object] | None = None,
    *,
    store: str | None = None,
    policies: bool = False,
) -> Chosen:
    """What a finished run recommends, as it was written down: its spec and data need not be there any more.

    policy: choose anew, for which spec and data are read again; see `TuneResult.recommend`. policies: choose
    under every policy as well, for which they are read again too.
    Raises UsageError when the run is not there or has not ended, InconclusiveError without a choice.
    """
    database = open_store(store)
    try:
        row = find_run(database, run, "tune")
    finally:
        database.close()
    record = ended_record(row)
    recommendation = record.recommendation
    labelled: tuple[tuple[PolicyLabel, Recommendation], ...] = ()
    if policy is not None or policies:
        loaded = load_run(row.run, store=store)
        assert isinstance(loaded, TuneResult), "a run of `harness tune` was found"
        recommendation = loaded.recommend(policy)
        labelled = loaded.labelled() if policies else ()
    if recommendation is None:
        why = "; ".join(record.notes) or "it ended before a decision"
        raise InconclusiveError(f"run {row.run!r} recommends nothing: {why}")
    return Chosen(recommendation, row.prompts, labelled)


@dataclass(frozen=True, slots=True)
class RunNow:
    """What a run rests on, as it is today.

    data: fingerprint of its rows; `None`: spec or rows are not there. prices: what its spec said of a model's
    prices, and says now, where these differ; `None`: nothing.
    """

    data: str | None
    prices: Mapping[str, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]


def run_now(run: str, *, store: str | None = None) -> RunNow:
    """What a run rests on, as it is today; a store that is not there is not made.

    Raises HarnessError when its rows are there and cannot be used, as when they are not the pinned ones.
    """
    nothing = RunNow(None, {})
    if missing_file(store, os.environ) is not None:
        return nothing
    database = open_store(store)
    try:
        row = database.run(run)
    except UsageError:
        return nothing
    finally:
        database.close()
    if row.spec_file is None:
        return RunNow(data_fingerprint(json.loads(row.spec_text), **row.overrides), {})
    path = Path(row.spec_file)
    if not path.is_file():
        return nothing
    then, now = own_prices(parse_yaml(path.name, row.spec_text).value), own_prices(read_yaml(path).value)
    moved = {name: (then.get(name), now.get(name)) for name in {**then, **now}}
    prices = {name: pair for name, pair in moved.items() if pair[0] != pair[1]}
    return RunNow(data_fingerprint(path, **row.overrides), prices)


def own_prices(spec: Any) -> dict[str, Mapping[str, Any]]:
    """What these values of a spec say of prices, by full name of the model; faults are passed over."""
    found: dict[str, Mapping[str, Any]] = {}
    for provider, entry in _mapping(_mapping(spec).get("providers")).items():
        free = {"free": True} if _mapping(entry).get("free") else {}
        for name, model in _mapping(_mapping(entry).get("models")).items():
            stated = {**_mapping(_mapping(model).get("prices")), **free}
            if stated:
                found[f"{provider}/{name}"] = stated
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def plan_of(row: RunRow, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of this run, made again. Raises UsageError when it is not the plan that the run began with."""
    plan = plan_again(row, overrides)
    if plan.fingerprint() != row.plan:
        raise UsageError(
            f"the spec of run {row.run!r} has changed since it began, or its data, prompts or prices have, "
            "or harness itself; put them back, or begin a new run (answers to unchanged calls are not paid "
            "again)"
        )
    return plan


def plan_again(row: RunRow, overrides: Mapping[str, Any] | None = None) -> Plan:
    """What this run's spec and files make today, whether or not it is the plan that the run began with."""
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    kept = dict(row.overrides)
    # Code was allowed for the spec as it was, and not for what somebody may have made of it since.
    if row.spec_file is not None and not _unchanged(Path(row.spec_file), row.spec_text):
        kept.pop("allow_code", None)
    spec = json.loads(row.spec_text) if row.spec_file is None else Path(row.spec_file)
    return make_plan(spec, **{**kept, **given})


def _unchanged(spec: Path, text: str) -> bool:
    return spec.is_file() and spec.read_bytes() == text.encode("utf-8", "surrogatepass")


def open_engine(
    plan: Plan, run: str, store: Store, providers: Mapping[str, Provider], clock: Clock, *, use_cache: bool
) -> Engine:
    """An engine for this plan, under the caps of its budget."""
    budget = plan.budget
    return Engine(
        run=run,
        providers=providers,
        endpoints=plan.endpoints,
        models=plan.asked_models,
        store=store,
        caps=Caps(usd=budget.usd, calls=budget.calls, tokens=budget.tokens),
        minutes=budget.minutes,
        clock=clock,
        seed=plan.seed,
        use_cache=use_cache,
        reuse_limits=plan.reuse_limits,
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
            strata=arm.board.strata,
        )
        for arm in arms[1]
        if arm.number in confirmed
    )


def searched_of(record: RunRecord, arms: Sequence[Arm]) -> tuple[Searched, ...]:
    """The trials of the search, as the record has them, with their quality sample by sample."""
    trials = {trial.number: trial for trial in record.trials}
    return tuple(
        Searched(
            trial=trials[arm.number],
            values=arm.quality_values(),
            groups=arm.groups(),
            strata=arm.board.strata,
        )
        for arm in arms
    )


def arms_of(record: RunRecord, plan: Plan, engine: Engine, database: Store) -> tuple[list[Arm], list[Arm]]:
    """The arms of a finished run, filled again from the store."""
    seen = {(row.split, row.number): row.seen for row in database.trials(record.run)}
    trials = (*record.trials, *record.finalists)
    splits: set[Split] = {trial.split for trial in trials}
    boards = {split: Board.of(plan, split) for split in splits}
    rebuilt: tuple[list[Arm], list[Arm]] = ([], [])
    for trials, arms in zip((record.trials, record.finalists), rebuilt, strict=True):
        for trial in trials:
            arm = Arm.of(trial.number, trial.settings, boards[trial.split])
            _remember(arm, seen[trial.split, trial.number], engine)
            _require_answers(arm, trial, record.run)
            arm.state, arm.reason = trial.state, trial.reason
            arms.append(arm)
    return rebuilt


def _require_answers(arm: Arm, trial: Trial, run: str) -> None:
    """Raise UsageError when answers of this trial are gone: without them its figures would be others."""
    calls = int(arm.seen.sum())
    gone = calls - round(trial.failure_rate * calls) - arm.answers()
    if gone > 0:
        raise UsageError(
            f"{gone} answers of run {run!r} are no longer in the store (`harness cache prune` removes some): "
            "what the run found is kept, but neither its report nor another choice can be made from it"
        )


def rows_of(arms: tuple[Iterable[Arm], Iterable[Arm]], engine: Engine) -> Iterator[AnswerRow]:
    """The per-sample table of these arms, both splits."""
    for side in arms:
        for arm in side:
            of_vectors = arm.board.plan.task.embedding is not None
            yield from vector_rows(arm, engine) if of_vectors else answer_rows(arm, engine)


def _remember(arm: Arm, seen: str, engine: Engine) -> None:
    """Fill an empty arm with what it saw in an earlier process."""
    of_vectors = arm.board.plan.task.embedding is not None
    (remember_vectors if of_vectors else remember)(arm, seen, engine)


def record_so_far(run: str = "latest", *, store: str | None = None) -> tuple[RunRecord, Plan]:
    """The record of a search and its plan; of one that has not ended, what the store knows of its trials.

    Nothing is sent. Such a record ends now, is "running" and recommends nothing. Raises UsageError when the
    run is not there, or measured one set of settings.
    """
    clock = SystemClock()
    database = open_store(store)
    try:
        row = find_run(database, run, "tune")
        plan = plan_of(row)
        if row.record is not None:
            return row.record, plan
        with open_engine(plan, row.run, database, {}, clock, use_cache=True) as engine:
            trials = list(_trials_so_far(database.trials(row.run), plan, engine))
            spend = engine.spend()
    finally:
        database.close()
    record = RunRecord(
        run=row.run,
        experiment=plan.experiment,
        description=plan.description,
        state="running",
        metric=plan.task.metric,
        aim=plan.aim.words(),
        trials=tuple(trial for trial in trials if trial.split == "search"),
        finalists=tuple(trial for trial in trials if trial.split == "confirm" and trial.samples),
        recommendation=None,
        spend=spend,
        data=plan.task.rows.card,
        provenance=provenance_of(plan, row.started_at),
        started_at=row.started_at,
        ended_at=clock.now(),
        failures=plan.failures,
        tasks=task_cards(plan),
    )
    return record, plan


def _trials_so_far(rows: Iterable[TrialRow], plan: Plan, engine: Engine) -> Iterator[Trial]:
    boards = {"search": Board.of(plan, "search"), "confirm": Board.of(plan, "confirm")}
    for row in rows:
        arm = Arm.of(row.number, row.settings, boards[row.split])
        _remember(arm, row.seen, engine)
        arm.state, arm.reason = cast("TrialState", row.state), row.reason
        yield replace(arm.trial(), told=row.told)
