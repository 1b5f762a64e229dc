"""A run as a study of Optuna: for its dashboard, importances, plots and the like. A door to Optuna.

In: the record of a run, finished or not, and its plan. Out: a study in memory, or in a storage. Nothing is
proposed here, and what is written is a copy: the store stays the truth.

A trial's value is what the sampler was told, which compares short trials with long ones; quality, price,
samples and the like are its user attributes. Without such a value, it is running or failed, as Optuna says.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.findings import RunRecord, Trial
from harness.plan.limits import excess
from harness.plan.parameters import parameters_of, suggested
from harness.plan.plan import Plan
from harness.plan.problems import looks_secret, shown
from harness.plan.samplers import directions, experimental_allowed

if TYPE_CHECKING:
    import optuna

RUN = "harness.run"  # user attribute of a study: whose it is
OBJECTIVES = ["quality", "usd_per_1k_calls"]
# Trials are raced in turns and have no time of their own; a millisecond apart, they keep their order.
APART = timedelta(milliseconds=1)
FIGURES_SHOWN = (
    *("usd_per_1k_calls", "latency_p50_s", "latency_p95_s", "first_token_p50_s"),
    *("failure_rate", "unscored_rate", "truncation_rate", "spent_usd"),
)


def make_study(record: RunRecord, plan: Plan) -> optuna.Study:
    """The study of a run, in memory. Trials keep their numbers.

    Directions are those of the search: quality up, on a front also price down.
    """
    import optuna

    study = empty_study(record.run, plan)
    confirmed = {trial.number: trial for trial in record.finalists}
    choice = record.recommendation
    scratch = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for trial in record.trials:
        asked = proposed(scratch, trial, plan)
        attributes = attributes_of(trial, confirmed.get(trial.number))
        if choice is not None and choice.trial.number == trial.number:
            attributes["recommended"] = True
        values = values_of(trial, plan)
        frozen = optuna.trial.create_trial(
            state=state_of(trial, values),
            values=values,
            params=asked.params,
            distributions=asked.distributions,
            user_attrs=attributes,
            constraints=excess(trial, plan.aim.limits),
            intermediate_values=seen_of(trial, plan),
        )
        frozen.datetime_start = _local(record.started_at) + trial.number * APART
        if frozen.state.is_finished():
            ended = record.ended_at or record.started_at
            frozen.datetime_complete = max(_local(ended), frozen.datetime_start)
        study.add_trial(frozen)
    return study


def write_study(record: RunRecord, plan: Plan, storage: str, name: str | None = None) -> str:
    """Write the study of a run into a storage, in place of an earlier one of the same run; gives its name.

    storage: a URL that Optuna takes, or the path of a file for its journal. Raises UsageError when it cannot
    be opened or written, and for the name of a study that is not of this run.
    """
    made, name = make_study(record, plan), name or record.run
    with opened(storage) as there:
        clear(there, name, record.run)
        empty_study(record.run, plan, there, name).add_trials(made.trials)
    return name


# -- the parts of a study, which a mirror writes one by one


def empty_study(
    run: str, plan: Plan, storage: optuna.storages.BaseStorage | None = None, name: str | None = None
) -> optuna.Study:
    """A study without trials that says of which run it is."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ways = directions(front=plan.sampler.front)
    study = optuna.create_study(storage=storage, study_name=name or run, directions=ways)
    if plan.sampler.front:  # with names, a single objective would lose its usual column, `value`
        with experimental_allowed():
            study.set_metric_names(OBJECTIVES)
    told = {
        RUN: run,
        "harness.experiment": plan.experiment,
        "harness.metric": plan.task.metric,
        "harness.aim": plan.aim.words(),
        "harness.plan": plan.fingerprint(),
    }
    for key, value in told.items():
        study.set_user_attr(key, value)
    return study


def clear(storage: optuna.storages.BaseStorage, name: str, run: str) -> None:
    """Delete the study of this name if it is of this run. Raises UsageError if it is somebody else's."""
    import optuna

    known = {summary.study_name: summary for summary in optuna.get_all_study_summaries(storage)}
    if name not in known:
        return
    owner = known[name].user_attrs.get(RUN)
    if owner != run:
        whose = "not written by harness" if owner is None else f"of run {owner!r}"
        raise UsageError(f"the storage holds a study {name!r} that is {whose}; give another name")
    optuna.delete_study(study_name=name, storage=storage)


@contextmanager
def opened(storage: str) -> Generator[optuna.storages.BaseStorage]:
    """Optuna's storage at this URL or in this file, closed afterwards.

    Raises UsageError for whatever goes wrong in it, without a password that a URL may hold.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    rdb: Any = None
    try:
        if "://" in storage:
            rdb = optuna.storages.RDBStorage(storage)
            yield rdb
        else:
            yield optuna.storages.JournalStorage(JournalFileBackend(storage))
    except UsageError:
        raise
    except Exception as error:
        # SQLAlchemy, drivers, the disk and Optuna itself have errors without a common name.
        raise UsageError(f"the Optuna storage {shown(storage)} does not work: {_cause(error)}") from error
    finally:
        if rdb is not None:
            rdb.remove_session()
            rdb.engine.dispose()


def proposed(study: optuna.Study, trial: Trial, plan: Plan) -> optuna.trial.Trial:
    """A new running trial of this study, with the parameters of ours."""
    study.enqueue_trial(parameters_of(trial.settings, plan.space))
    asked = study.ask()
    suggested(asked, plan.space, rounded=False)
    return asked


def values_of(trial: Trial, plan: Plan) -> list[float] | None:
    """What the sampler was told, and on a front the price; `None`: nothing that it could learn from."""
    if trial.told is None:
        return None
    if not plan.sampler.front:
        return [trial.told]
    return None if trial.usd_per_1k_calls is None else [trial.told, trial.usd_per_1k_calls]


def state_of(trial: Trial, values: list[float] | None) -> optuna.trial.TrialState:
    """Complete with a value, however few samples it rests on; else running or failed."""
    from optuna.trial import TrialState

    if values is not None:
        return TrialState.COMPLETE
    return TrialState.RUNNING if trial.state == "running" else TrialState.FAIL


def seen_of(trial: Trial, plan: Plan) -> dict[int, float]:
    """The quality by the number of samples behind it; nothing on a front, where Optuna takes none."""
    if plan.sampler.front or trial.quality is None:
        return {}
    return {trial.samples: trial.quality.value}


def attributes_of(trial: Trial, confirmed: Trial | None = None) -> dict[str, Any]:
    """What is known of a trial besides its value, in our own words; what is unknown is absent."""
    known: dict[str, Any] = {
        "state": trial.state,
        "reason": trial.reason,
        "samples": trial.samples,
        "model_class": trial.model_class,
        **_quality("", trial),
        **{name: getattr(trial, name) for name in FIGURES_SHOWN},
    }
    if confirmed is not None:
        known |= {"confirm_samples": confirmed.samples, **_quality("confirm_", confirmed)}
    return {name: value for name, value in known.items() if value not in (None, "")}


def _quality(prefix: str, trial: Trial) -> dict[str, float]:
    measured = trial.quality
    if measured is None:
        return {}
    named = {"quality": measured.value, "quality_low": measured.low, "quality_high": measured.high}
    return {f"{prefix}{name}": value for name, value in named.items()}


def _local(moment: datetime) -> datetime:
    # Optuna's own moments are local and have no zone.
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone().replace(tzinfo=None)


def _cause(error: Exception) -> str:
    text = (str(getattr(error, "orig", None) or error).splitlines() or [""])[0]
    return type(error).__name__ if looks_secret(text) else f"{type(error).__name__}: {text}"
