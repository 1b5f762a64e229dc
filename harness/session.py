"""A run under way: begun in the store, watched, saved as it goes, and kept however it ends.

In: a plan, and work to do. Out: how the work ended, with every answer of it in the store. It decides nothing
and writes no report.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from harness.calls.engine import Engine
from harness.calls.lanes import open_providers
from harness.calls.provider import Provider
from harness.clock import Clock
from harness.errors import HarnessError, InconclusiveError, StoreError, UsageError
from harness.findings import AnswerRow, JudgeReport, Progress, RunRecord, RunState, Trial
from harness.outputs.files import require_folder
from harness.outputs.live_tracking import Tracker, tracked
from harness.outputs.outbox import traces_of
from harness.outputs.progress import NotebookProgress, in_notebook
from harness.outputs.report import write_report
from harness.outputs.traces import Traces, tracing
from harness.past import find_run, open_engine, plan_of, rows_of
from harness.plan.estimate import require_bounds
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.recorded import Work, begun, ended_trials, near_notes, recorded, trials_of
from harness.records import Verb
from harness.result import selected
from harness.store.bills import paid_by_model, with_others
from harness.store.store import RunRow, Store, TrialRow, open_store
from harness.trials.evaluate import Ask, Pipeline
from harness.trials.evidence import Arm
from harness.trials.measured_judge import measure_judges, measuring, require_telling
from harness.trials.mirror import Mirror, mirrored
from harness.trials.stored import RecallAll, StoredAnswers, StoredVectors
from harness.trials.vectors import VectorPipeline

JUDGES_QUIET_S = 2.0  # of a judge's measurement, before its first progress snapshot
GLANCE_S = 0.5  # between two progress snapshots while answers arrive
GLANCE_SHARE = 0.05  # of the time that snapshots may take: those of resampled metrics are dear

Watcher = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what runs are carried out; see `run.tune` for each of them."""

    store: str | None
    reports: Path
    providers: Mapping[str, Provider] | None
    on_progress: Watcher | None
    use_cache: bool
    environ: Mapping[str, str]
    clock: Clock
    offline: bool = False
    mlflow: bool = True
    traces: Traces = "none"


@dataclass(slots=True)
class Session:
    """What is needed to say how far a run is, and to keep it.

    folder: of its report. offline: whether nobody is asked but the store. traces: calls kept for MLflow.
    """

    run: str
    plan: Plan
    folder: Path
    store: Store
    engine: Engine
    clock: Clock
    started_at: datetime
    on_progress: Watcher | None
    mirror: Mirror | None
    tracker: Tracker | None
    offline: bool
    traces: Traces
    began: float = field(init=False)
    next_glance: float = field(init=False)
    last_glance_s: float = field(default=0.0, init=False)
    judges: tuple[JudgeReport, ...] = field(default=(), init=False)
    _planned: int | None = field(default=None, init=False)
    written: dict[tuple[str, int], TrialRow] = field(
        default_factory=dict[tuple[str, int], TrialRow], init=False
    )

    ended: list[Trial] = field(default_factory=list[Trial], init=False)

    def __post_init__(self) -> None:
        self.began = self.next_glance = self.clock.monotonic()

    def asks(self, watch: Callable[[], None]) -> Ask:
        """A way to let arms answer samples; `watch` is called after each outcome."""
        of_vectors = self.plan.task.embedding is not None
        if self.offline:
            return (StoredVectors if of_vectors else StoredAnswers)(self.engine, watch).ask
        if of_vectors:
            return VectorPipeline(self.engine.run, watch).ask
        return Pipeline(self.engine, watch).ask

    def on_answer(self, work: Work) -> None:
        """Show how far the work is, now and then."""
        self._glance(lambda: self.progress(work))

    def _glance(self, progress: Callable[[], Progress]) -> None:
        began = self.clock.monotonic()
        if self.on_progress and began >= self.next_glance:
            self.on_progress(progress())
            ended = self.clock.monotonic()
            # One glance may have loaded a library; two dear ones in a row are dear by themselves.
            dear_s, self.last_glance_s = min(self.last_glance_s, ended - began), ended - began
            self.next_glance = ended + max(GLANCE_S, dear_s / GLANCE_SHARE)

    def on_block(self, work: Work) -> None:
        """Write down how far the work is, and show it."""
        self.save(work)
        if self.mirror:
            self.mirror.show(trials_of(work))
            if self.mirror.trouble and self.mirror.trouble not in work.notes:
                work.notes.append(self.mirror.trouble)
        if self.tracker:
            self._track(self.tracker, work)
        if self.on_progress:
            self.on_progress(self.progress(work))

    def _track(self, tracker: Tracker, work: Work) -> None:
        """Show trials to MLflow when they have ended: their figures are what they will stay."""
        known = {trial.number for trial in self.ended}
        ended = ended_trials(work, self.plan.aim.confidence, known)
        if not ended or self.plan.evaluated is not None:
            return
        self.ended += ended
        presets = self.plan.space.named({trial.number: trial.settings for trial in self.ended})
        record = begun(self.plan, run=self.run, started_at=self.started_at)
        tracker.show(replace(record, trials=tuple(self.ended), presets=presets))

    def save(self, work: Work) -> None:
        """Write down the trials that changed since the last time."""
        arms = (*work.arms, *work.finalists)
        rows = [_trial_row(self.run, arm, work.told) for arm in arms]
        changed = [row for row in rows if self.written.get((row.split, row.number)) != row]
        self.store.put_trials(changed)
        self.written.update(((row.split, row.number), row) for row in changed)

    def progress(self, work: Work) -> Progress:
        """A snapshot of the work."""
        done = sum(int(arm.seen.sum()) for arm in (*work.arms, *work.finalists))
        return Progress(
            run=self.run,
            phase=_phase(self.plan, work),
            trials=tuple(arm.trial() for arm in work.arms),
            done=done,
            planned=max(done, self.planned(work)),
            spend=self.engine.spend(),
            elapsed_s=self.clock.monotonic() - self.began,
            note=([*near_notes(self.plan, (*work.arms, *work.finalists)), *work.notes] or [""])[-1],
            # What a search notes explains its figures, and can wait for them.
            news=() if self.plan.evaluated is None else tuple(work.notes),
        )

    def planned(self, work: Work) -> int:
        """The most answers that the work can ask for: the same to its end, and not quickly told."""
        if self._planned is None:
            self._planned = work.planned_calls()
        return self._planned

    def attempt(self, work: Work) -> RunState:
        """Do the work and say how it ended; a fault is passed on when what there is was written down."""
        try:
            self.judges = self._measured_judges()
            require_telling(self.plan, self.judges)
            work.run()
        except KeyboardInterrupt:
            act = "tune" if self.plan.verb == "tune" else "evaluate"
            work.notes.append(
                f"stopped by the user; go on with `harness {self.plan.verb} --resume {self.run}`, in Python "
                f"with harness.{act}(resume={self.run!r})"
            )
            return "stopped"
        except InconclusiveError as error:
            work.notes.append(str(error))
            return "inconclusive"
        except HarnessError:
            # A store that is lost cannot take this down, and its own error is the one to tell.
            with suppress(StoreError):
                self.save(work)
                self.store.set_state(self.run, "failed")
            raise
        return "complete"

    def _measured_judges(self) -> tuple[JudgeReport, ...]:
        if not self.offline:
            # A handful of quick verdicts needs no bar.
            self.next_glance = self.clock.monotonic() + JUDGES_QUIET_S
            reports = measure_judges(self.plan, self.engine.run, self._on_verdict)
            self.next_glance = self.clock.monotonic()
            return reports
        stored = RecallAll(self.engine)
        reports = measure_judges(self.plan, stored)
        stored.require_all()
        return reports

    def _on_verdict(self, done: int, planned: int) -> None:
        """Show how far the measurement of judges is, now and then."""
        spend, began = self.engine.spend, self.began
        self._glance(lambda: measuring(self.run, done, planned, spend(), self.clock.monotonic() - began))

    def record(self, work: Work, state: RunState) -> RunRecord:
        """What the work found, without a recommendation."""
        spend = with_others(self.store, self.run, self.engine.spend())
        bills = paid_by_model(self.store, self.run, self.plan.task.studies)
        return recorded(
            *(self.plan, work, state, replace(spend, by_model=bills), self.judges),
            run=self.run,
            started_at=self.started_at,
            ended_at=self.clock.now(),
        )

    def conclude(self, work: Work, record: RunRecord) -> tuple[Path, ...]:
        """Write the record into the store and its report into the folder; gives the report's files."""
        # The store is the truth and the report a picture of it: a full disk must not undo a finished run.
        self.save(work)
        self.store.end_run(record)
        try:
            rows, choice = self._rows(work, record), record.recommendation
            selection = None if choice is None else selected(choice, self.plan)
            return tuple(write_report(record, rows, self.folder, selection))
        except UsageError as error:
            raise HarnessError(
                f"{error}; the run itself is safe: `harness report {self.run} -o FOLDER` writes its report"
            ) from error

    def _rows(self, work: Work, record: RunRecord) -> Iterator[AnswerRow]:
        """The per-sample table; on their way, calls are kept for MLflow."""
        rows = rows_of((work.arms, work.finalists), self.engine)
        return tracing(rows, record, self.traces, traces_of(self.run))


@contextmanager
def open_session(
    means: Means,
    verb: Verb,
    spec: str | Path | Mapping[str, Any] | None,
    resume: str | None,
    overrides: Mapping[str, Any],
) -> Generator[Session]:
    """A session of a new run of this spec, or of the run of this verb to go on with.

    Raises HarnessError when the plan cannot be made, or store, report folder or providers be opened.
    """
    database = open_store(means.store, means.environ)
    try:
        if resume is None:
            plan = _new_plan(verb, spec, overrides, database)
            row = _new_row(plan, {**overrides, "use_cache": means.use_cache}, means.clock.now())
        else:
            row = _row_again(verb, spec, resume, database)
            plan = plan_of(row, overrides)
            row = replace(row, overrides={**row.overrides, **_kept(overrides), **plan.pins})
        require_folder(means.reports)
        use_cache = means.use_cache and row.use_cache
        _require_agreeing(plan, row.run, use_cache=use_cache, offline=means.offline)
        providers = {} if means.offline else means.providers
        if providers is None:
            providers = open_providers(plan.endpoints, plan.asked_models, means.environ)
        database.begin_run(row)
        with (
            _watched(means.on_progress) as watch,
            open_engine(plan, row.run, database, providers, means.clock, use_cache=use_cache) as engine,
            mirrored(row.run, plan) as mirror,
            _tracked(row, plan, means) as tracker,
        ):
            folder, began = means.reports / row.run, row.started_at
            yield Session(
                *(row.run, plan, folder, database, engine, means.clock, began, watch, mirror, tracker),
                offline=means.offline,
                traces=means.traces if tracker else "none",
            )
    finally:
        database.close()


def _require_agreeing(plan: Plan, run: str, *, use_cache: bool, offline: bool) -> None:
    """Raise UsageError where a run would both ask for answers and refuse them, or where no cap could hold."""
    if not offline:
        require_bounds(plan)
    if plan.near is not None and (offline or not use_cache):
        raise UsageError(
            "semantic_cache gives answers not asked for, and --offline and --no-cache refuse them; "
            "remove it from the spec, or go without them"
        )
    if offline and not use_cache:
        raise UsageError(
            f"offline asks the store alone, which use_cache=False (--no-cache) leaves out, and run {run!r} "
            "began with it; resume it online, or begin a new run"
        )


def _new_plan(
    verb: Verb, spec: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any], database: Store
) -> Plan:
    if spec is None:
        raise UsageError(f"nothing to {verb}: give a spec, or a run to resume")
    plan = make_plan(Path(spec) if isinstance(spec, str) else spec, store=database, **overrides)
    if plan.verb != verb:
        raise UsageError("split and settings belong to an evaluation; call harness.evaluate for one")
    return plan


def _new_row(plan: Plan, overrides: Mapping[str, Any], now: datetime) -> RunRow:
    evaluated, kind = plan.evaluated, ""
    if evaluated is not None:
        # The settings themselves, not the file they came in: it may change before the run goes on.
        overrides, kind = {**overrides, "split": evaluated.split, "settings": evaluated.form}, "-eval"
    return RunRow(
        run=f"{plan.experiment}{kind}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        experiment=plan.experiment,
        state="running",
        spec_file=None if plan.spec_file is None else str(Path(plan.spec_file).resolve()),
        spec_text=plan.spec_text,
        overrides={**_kept(overrides), **plan.pins},
        prompts=plan.task.templates(),
        plan=plan.fingerprint(),
        started_at=now,
        ended_at=None,
        record=None,
    )


def _kept(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What a run that is resumed goes on with, unless it is told otherwise."""
    # Objects of Python cannot be kept; the spec holds their names and checksums.
    return {name: value for name, value in overrides.items() if value is not None and name != "scorers"}


def _row_again(verb: Verb, spec: object, resume: str, database: Store) -> RunRow:
    if spec is not None:
        raise UsageError(f"both a spec and the run to resume, {resume!r}, are given; give one of them")
    row = find_run(database, resume, verb)
    if row.state == "complete":
        raise UsageError(
            f"run {row.run!r} is complete; begin a new one with `harness {verb} SPEC`, or see its report "
            f"with `harness report {row.run}`"
        )
    return replace(row, state="running")


@contextmanager
def _watched(on_progress: Watcher | None) -> Generator[Watcher | None]:
    """The given watcher; in a notebook without one, a line that follows the run."""
    if on_progress is not None or not in_notebook():
        yield on_progress
        return
    bar = NotebookProgress()
    try:
        yield bar
    finally:
        bar.close()


@contextmanager
def _tracked(row: RunRow, plan: Plan, means: Means) -> Generator[Tracker | None]:
    """What shows this run to MLflow, if it is to be shown."""
    if not means.mlflow:
        yield None
        return
    with tracked(
        *(row.run, plan.experiment, means.clock),
        lambda: begun(plan, run=row.run, started_at=row.started_at),
    ) as tracker:
        yield tracker


def _phase(plan: Plan, work: Work) -> Literal["search", "confirm", "eval"]:
    if plan.evaluated is not None:
        return "eval"
    return "confirm" if work.finalists else "search"


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
