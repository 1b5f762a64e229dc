"""The corridor: joins the rooms, from a spec to results on disk. No arithmetic.

In: a spec or the name of a run. Out: a `TuneResult`, with everything it rests on in the store and its
report in a folder. What happens on the way is told to `on_progress`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.advice.limits import breaks
from harness.calls.engine import Engine
from harness.calls.lanes import open_providers
from harness.calls.provider import Provider
from harness.clock import Clock, SystemClock
from harness.errors import HarnessError, InconclusiveError, ProviderError, StoreError, UsageError
from harness.outputs import display
from harness.outputs.files import require_folder
from harness.outputs.report import write_report
from harness.past import REPORTS, finalists_of, open_engine, plan_of, rows_of, searched_of
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.plan.provenance import provenance_of
from harness.records import Progress, RunRecord, RunState
from harness.result import TuneResult, choose, goal_of
from harness.stats.bounds import shared
from harness.store.store import RunRow, Store, TrialRow, open_store
from harness.trials.evaluate import Answered, ask
from harness.trials.evidence import Arm
from harness.trials.search import Search

Watcher = Callable[[Progress], None]
GLANCE_S = 0.5  # between two progress snapshots while answers arrive
GLANCE_SHARE = 0.05  # of the time that snapshots may take: those of resampled metrics are dear


@dataclass(slots=True)
class _Session:
    """A run under way: what is needed to say how far it is."""

    run: str
    plan: Plan
    store: Store
    engine: Engine
    clock: Clock
    started_at: datetime
    on_progress: Watcher | None
    began: float = field(init=False)
    next_glance: float = field(init=False)
    watch: Callable[[], None] | None = field(default=None, init=False)
    written: dict[tuple[str, int], TrialRow] = field(
        default_factory=dict[tuple[str, int], TrialRow], init=False
    )

    def __post_init__(self) -> None:
        self.began = self.next_glance = self.clock.monotonic()

    def ask(self, arms: Sequence[Arm], positions: Sequence[int]) -> Answered:
        return ask(arms, positions, self.engine, self.watch)

    def on_answer(self, search: Search) -> None:
        began = self.clock.monotonic()
        if self.on_progress and began >= self.next_glance:
            self.on_progress(self.progress(search))
            ended = self.clock.monotonic()
            self.next_glance = ended + max(GLANCE_S, (ended - began) / GLANCE_SHARE)

    def on_block(self, search: Search) -> None:
        self.save(search)
        if self.on_progress:
            self.on_progress(self.progress(search))

    def save(self, search: Search) -> None:
        """Write down the trials that changed since the last time."""
        arms = (*search.arms, *search.finalists)
        rows = [_trial_row(self.run, arm, search.told) for arm in arms]
        changed = [row for row in rows if self.written.get((row.split, row.number)) != row]
        self.store.put_trials(changed)
        self.written.update(((row.split, row.number), row) for row in changed)

    def progress(self, search: Search) -> Progress:
        done = sum(int(arm.seen.sum()) for arm in (*search.arms, *search.finalists))
        return Progress(
            run=self.run,
            phase="confirm" if search.finalists else "search",
            trials=tuple(arm.trial() for arm in search.arms),
            done=done,
            planned=max(done, search.planned_calls()),
            spend=self.engine.spend(),
            elapsed_s=self.clock.monotonic() - self.began,
            note=search.notes[-1] if search.notes else "",
        )


def tune(
    spec: str | Path | Mapping[str, Any] | None = None,
    *,
    resume: str | None = None,
    store: str | None = None,
    reports: str | Path = REPORTS,
    providers: Mapping[str, Provider] | None = None,
    on_progress: Watcher | None = None,
    use_cache: bool = True,
    mlflow: bool = True,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    **overrides: Any,
) -> TuneResult:
    """Search the spec's space and recommend settings; resume goes on with a run that was cut off.

    spec: a YAML file, or the same as a mapping. store: URL, else HARNESS_STORE. providers: by name, in
    place of those the endpoints name (for tests and own back ends). on_progress: told how far the run
    is; `None`: a bar in a notebook, else nothing. use_cache: False asks everything anew.
    overrides: limit, repeat, seed, n_trials, max_cost, max_concurrency; see `plan.planner.make_plan`.
    An interrupt (Ctrl-C, a notebook's stop button) ends the run with what it has: state "stopped".
    Raises HarnessError; what was answered until then is in the store.
    """
    clock, environ = clock or SystemClock(), os.environ if environ is None else environ
    if spec is not None and resume is not None:
        raise UsageError(f"both a spec and the run to resume, {resume!r}, are given; give one of them")
    database = open_store(store, environ)
    try:
        plan, row = _begin(spec, resume, database, clock, overrides)
        require_folder(Path(reports))
        speak = providers if providers is not None else open_providers(plan.endpoints, plan.models, environ)
        database.begin_run(row)
        with (
            _watched(on_progress) as watch,
            open_engine(plan, row.run, database, speak, clock, use_cache=use_cache) as engine,
        ):
            session = _Session(row.run, plan, database, engine, clock, row.started_at, watch)
            result = _carry_out(session, Path(reports))
        if mlflow:
            result = mirror(result)
        return result
    finally:
        database.close()


def mirror(result: TuneResult) -> TuneResult:
    """The result, mirrored in MLflow; when MLflow is away the result says so and stays as it is."""
    from harness.outputs.tracking import log_run

    spec_file = result.folder / "spec.yaml"
    spec_file.write_text(result.plan.spec_text, encoding="utf-8")
    try:
        result.tracked = log_run(
            result.record,
            result.folder / "scores.parquet",
            [path for path in result.files if path.name != "scores.parquet"],
            tracking_uri=None,
            spec_text=result.plan.spec_text,
        )
    except ProviderError as error:
        result.record = replace(result.record, notes=(*result.record.notes, str(error)))
    return result


# -- beginning


def _begin(
    spec: str | Path | Mapping[str, Any] | None,
    resume: str | None,
    database: Store,
    clock: Clock,
    overrides: Mapping[str, Any],
) -> tuple[Plan, RunRow]:
    if resume is not None:
        row = database.run(resume)
        if row.state == "complete":
            raise UsageError(f"run {row.run!r} is complete; begin a new one with `harness tune SPEC`")
        return plan_of(row, overrides), replace(row, state="running")
    if spec is None:
        raise UsageError("nothing to tune: give a spec, or a run to resume")
    plan = make_plan(Path(spec) if isinstance(spec, str) else spec, **overrides)
    now = clock.now()
    row = RunRow(
        run=f"{plan.experiment}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        experiment=plan.experiment,
        state="running",
        spec_file=None if plan.spec_file is None else str(Path(plan.spec_file).resolve()),
        spec_text=plan.spec_text,
        overrides=dict(overrides),
        prompts={name: prompt.source for name, prompt in plan.task.prompts.items()},
        plan=plan.fingerprint(),
        started_at=now,
        ended_at=None,
        record=None,
    )
    return plan, row


@contextmanager
def _watched(on_progress: Watcher | None) -> Generator[Watcher | None]:
    """The given watcher; in a notebook without one, a progress bar."""
    if on_progress is not None or not display.in_notebook():
        yield on_progress
        return
    bar = display.NotebookProgress()
    try:
        yield bar
    finally:
        bar.close()


# -- carrying out


def _carry_out(session: _Session, reports: Path) -> TuneResult:
    search = Search(session.plan, session.ask, session.on_block)
    session.watch = lambda: session.on_answer(search)
    state: RunState = "complete"
    try:
        search.run()
    except KeyboardInterrupt:
        state = "stopped"
        search.notes.append(f"stopped by the user; go on with `harness tune --resume {session.run}`")
    except InconclusiveError as error:
        state = "inconclusive"
        search.notes.append(str(error))
    except HarnessError:
        # A store that is lost cannot take this down, and its own error is the one to tell.
        with suppress(StoreError):
            session.save(search)
            session.store.set_state(session.run, "failed")
        raise
    return _conclude(session, search, state, reports)


def _conclude(session: _Session, search: Search, state: RunState, reports: Path) -> TuneResult:
    plan, level = session.plan, session.plan.aim.confidence
    confirmed = [arm for arm in search.finalists if arm.samples()]
    for arm in search.arms:
        broken = breaks(arm.trial(level), plan.aim.limits)
        if broken and arm.state in ("complete", "stopped") and arm.samples():
            arm.state, arm.reason = "infeasible", "; ".join(broken)
    record = RunRecord(
        run=session.run,
        experiment=plan.experiment,
        description=plan.description,
        state=state,
        metric=plan.task.metric,
        aim=plan.aim.words(),
        trials=tuple(arm.trial(level) for arm in search.arms),
        finalists=tuple(arm.trial(shared(level, len(confirmed))) for arm in confirmed),
        recommendation=None,
        spend=session.engine.spend(),
        data=plan.task.rows.card,
        provenance=provenance_of(plan, session.started_at),
        started_at=session.started_at,
        ended_at=session.clock.now(),
        failures=plan.failures,
        notes=tuple(search.notes),
    )
    finalists = finalists_of(record, (search.arms, search.finalists))
    searched = searched_of(record, search.arms)
    if state == "complete":
        try:
            choice = choose(record, finalists, goal_of(plan), searched=searched)
            record = replace(record, recommendation=choice)
        except InconclusiveError as error:
            record = replace(record, state="inconclusive", notes=(*record.notes, str(error)))
    folder = reports / session.run
    # The store is the truth and the report a picture of it: a full disk must not undo a finished run.
    session.save(search)
    session.store.end_run(record)
    try:
        files = write_report(record, rows_of((search.arms, search.finalists), session.engine), folder)
    except UsageError as error:
        raise HarnessError(
            f"{error}; the run itself is safe: `harness report {session.run} -o FOLDER` writes its report"
        ) from error
    return TuneResult(record, plan, finalists, folder, tuple(files), searched=searched)


def _trial_row(run: str, arm: Arm, told: Mapping[int, float]) -> TrialRow:
    return TrialRow(
        run=run,
        number=arm.number,
        split=arm.board.split,
        settings=arm.settings,
        state=arm.state,
        samples=arm.samples(),
        told=told.get(arm.number) if arm.board.split == "search" else None,
        reason=arm.reason,
        seen=arm.seen_text(),
    )
