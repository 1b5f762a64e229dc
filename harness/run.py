"""The corridor: joins the rooms, from a spec to results on disk. No arithmetic.

In: a spec or the name of a run. Out: a result, with everything it rests on in the store and its report in a
folder. What happens on the way is told to `on_progress`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.advice.limits import breaks
from harness.advice.measured import caveats
from harness.calls.provider import Provider
from harness.clock import Clock, SystemClock
from harness.environment import environment
from harness.errors import InconclusiveError, UsageError
from harness.outputs.exports.mlflow_export import model_config
from harness.outputs.exports.selection import Selection
from harness.outputs.outbox import send, traces_of
from harness.outputs.traces import Traces, known_traces
from harness.outputs.tracking import Parcel, PromptText
from harness.past import REPORTS, finalists_of, searched_of
from harness.plan.given import Given
from harness.records import Split
from harness.result import EvalResult, RebuiltResult, RunResult, TuneResult, choose, goal_of, selected
from harness.session import Means, Session, Watcher, open_session
from harness.trials.escalate import Escalation
from harness.trials.measure import Measurement
from harness.trials.search import Search

logger = logging.getLogger(__name__)


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
    traces: Traces = "none",
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    **overrides: Any,
) -> TuneResult:
    """Search the spec's space and recommend settings; resume goes on with a run that was cut off.

    spec: a YAML file, or the same as a mapping. store: URL, else HARNESS_STORE. providers: by name, in
    place of those the endpoints name (for tests and own back ends). on_progress: told how far the run
    is; `None`: a line in a notebook, else nothing. use_cache: False asks everything anew,
    also when such a run is resumed.
    traces: calls that MLflow gets as traces: "none", "finalists" (on the samples that confirm them) or "all".
    overrides: limit, repeat, seed, n_trials, max_cost, max_concurrency, and sampler, a name or an object of
    Optuna; see `plan.overrides.Overrides`.
    An interrupt (Ctrl-C, a notebook's stop button) ends the run with what it has: state "stopped".
    Raises HarnessError; what was answered until then is in the store.
    """
    means = _means(store, reports, providers, on_progress, use_cache=use_cache, environ=environ, clock=clock)
    means = replace(means, mlflow=mlflow, traces=known_traces(traces))
    with open_session(means, "tune", spec, resume, overrides) as session:
        result = _search(session)
    if session.mirror is not None:
        result.record = session.mirror.finish(result.record)
    track(result, session)
    return result


def evaluate(  # noqa: PLR0913 - what is measured, and with what means
    spec: str | Path | Mapping[str, Any] | None = None,
    settings: Given | None = None,
    *,
    split: Split | None = None,
    resume: str | None = None,
    store: str | None = None,
    reports: str | Path = REPORTS,
    providers: Mapping[str, Provider] | None = None,
    on_progress: Watcher | None = None,
    use_cache: bool = True,
    mlflow: bool = True,
    traces: Traces = "none",
    offline: bool = False,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    **overrides: Any,
) -> EvalResult:
    """Measure one set of settings on the spec's task; resume goes on with a run that was cut off.

    settings: `Settings`, a `Recommendation`, settings by name, or the path of a JSON or YAML file with them:
    a recommendation.json, an evaluation.json, an exported settings.json, or plain names and values. They are
    sent as they are: what is not there is not sent. `None`: the untuned default, as trial 0 of a search.
    split: the samples that answer; `None`: all. offline: ask the store alone, for which no key is needed; a
    missing answer is an error. overrides: limit, repeat, seed, max_cost, max_concurrency.
    All else is as for `tune`. A budget that does not cover all samples, and answers of which none could be
    scored, end the run as "inconclusive", with what it has.
    Raises HarnessError; what was answered until then is in the store.
    """
    if resume is not None and (settings is not None or split is not None):
        raise UsageError(f"run {resume!r} has its settings and its split; resume it without others")
    if offline and not use_cache:
        raise UsageError(
            "offline asks the store alone, which use_cache=False (--no-cache) leaves out; give one"
        )
    means = _means(store, reports, providers, on_progress, use_cache=use_cache, environ=environ, clock=clock)
    means = replace(means, offline=offline, mlflow=mlflow, traces=known_traces(traces))
    asked = {} if resume is not None else {"split": split or "all", "settings": settings}
    with open_session(means, "eval", spec, resume, {**overrides, **asked}) as session:
        result = _measure(session)
    track(result, session)
    return result


def track(result: RunResult, session: Session | None = None) -> None:
    """Mirror the result in MLflow and note where; when MLflow is away, say so once and keep it for later.

    session: of the run that has just ended, which MLflow gets a share of; without one, MLflow is waited for.
    """
    if session is None:
        result.tracked = send(_parcel(result))
        return
    tracker = session.tracker
    if tracker is None:
        return
    result.tracked = tracker.finish(_parcel(result), took_s=session.clock.monotonic() - session.began)
    if result.tracked is None:
        logger.warning("%s", tracker.trouble)


def _parcel(result: RunResult) -> Parcel:
    traces = traces_of(result.record.run)
    return Parcel(
        record=result.record,
        spec_text=result.spec_text,
        files=tuple(path.resolve() for path in result.files),
        prompts=_prompts(result),
        traces=traces if traces.is_dir() else None,
    )


def _prompts(result: RunResult) -> tuple[PromptText, ...]:
    """What MLflow's registry is given: the recommended prompt of each task with its settings."""
    choice, selection = result.record.recommendation, _selection(result)
    if choice is None or selection is None or selection.is_embedding:
        return ()
    config = model_config(selection.settings)
    texts = {f"{choice.experiment}-{task}": text for task, text in (selection.task_templates or {}).items()}
    if not texts and selection.prompt_text:
        texts = {choice.experiment: selection.prompt_text}
    return tuple(PromptText(name=name, template=text, config=config) for name, text in texts.items())


def _selection(result: RunResult) -> Selection | None:
    """The recommended settings with their templates; `None`: nothing is recommended."""
    if isinstance(result, RebuiltResult):
        return result.selection
    choice = result.record.recommendation
    return selected(choice, result.plan) if choice is not None and isinstance(result, TuneResult) else None


def _search(session: Session) -> TuneResult:
    search = _work(session)
    state = session.attempt(search)
    plan = session.plan
    for arm in search.arms:
        broken = breaks(arm.trial(plan.aim.confidence), plan.aim.limits)
        if broken and arm.state in ("complete", "stopped") and arm.samples():
            arm.state, arm.reason = "infeasible", "; ".join(broken)
    record = session.record(search, state)
    finalists = finalists_of(record, (search.arms, search.finalists))
    searched = searched_of(record, search.arms)
    if state == "complete":
        try:
            choice = choose(record, finalists, goal_of(plan), searched=searched)
            record = replace(record, recommendation=choice)
        except InconclusiveError as error:
            record = replace(record, state="inconclusive", notes=(*record.notes, str(error)))
    files = session.conclude(search, record)
    return TuneResult(
        *(record, plan.spec_text, session.folder, files),
        plan=plan,
        finalists=finalists,
        searched=searched,
    )


def _work(session: Session) -> Search | Escalation:
    """The search of this plan: of all model classes at once, or class by class."""
    ask = session.asks(lambda: session.on_answer(work))
    work: Search | Escalation
    if session.plan.escalate:
        work = Escalation(session.plan, ask, lambda found: _suffices(session, found), session.on_block)
    else:
        work = Search(session.plan, ask, session.on_block)
    return work


def _suffices(session: Session, found: Escalation) -> bool:
    """Whether something would be recommended, were this all that is tried."""
    record = session.record(found, "complete")
    finalists = finalists_of(record, (found.arms, found.finalists))
    try:
        choose(record, finalists, goal_of(session.plan), searched=searched_of(record, found.arms))
    except InconclusiveError:
        return False
    return True


def _measure(session: Session) -> EvalResult:
    plan, evaluated = session.plan, session.plan.evaluated
    assert evaluated is not None, "the plan of an evaluation says what is evaluated"
    measurement = Measurement(plan, session.asks(lambda: session.on_answer(measurement)), session.on_block)
    state = session.attempt(measurement)
    record = session.record(measurement, state)
    said = caveats(record.trials[0], plan.aim.limits, evaluated.chosen_by)
    record = replace(record, notes=(*record.notes, *said))
    files = session.conclude(measurement, record)
    return EvalResult(record, plan.spec_text, session.folder, files, plan=plan)


def _means(
    store: str | None,
    reports: str | Path,
    providers: Mapping[str, Provider] | None,
    on_progress: Watcher | None,
    *,
    use_cache: bool,
    environ: Mapping[str, str] | None,
    clock: Clock | None,
) -> Means:
    return Means(
        store=store,
        reports=Path(reports),
        providers=providers,
        on_progress=on_progress,
        use_cache=use_cache,
        environ=environment() if environ is None else environ,
        clock=clock or SystemClock(),
    )
