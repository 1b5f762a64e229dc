"""A run as an Optuna study: Optuna's own loaders, tables, importances and plots read it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest

from harness.errors import UsageError
from harness.plan.plan import Choices, Range, Sampler, Space
from harness.records import Settings
from harness.testing.builders import a_recommendation, a_run_record, a_trial
from harness.trials.study import RUN, make_study, write_study

MODELS = ("sim/small", "sim/large")
SPACE = Space(
    models=MODELS,
    prompts=("plain", "steps"),
    dimensions={
        "sim/small": (Range("temperature", 0.0, 1.0), Choices("stop", (["a"], ["b"]))),
        "sim/large": (Range("temperature", 0.0, 2.0), Choices("stop", (["a"], ["b"]))),
    },
    defaults={model: Settings(model=model, prompt="plain", temperature=0.3, stop=("a",)) for model in MODELS},
)
BEGAN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def plan(lab):
    """A plan over this space, with a limit on the price."""
    made = lab.plan(n_samples=20)
    return replace(
        made, space=SPACE, aim=replace(made.aim, limits={"usd_per_1k_calls": 2.0, "failure_rate": 0.1})
    )


def searched(number, told, *, model="sim/small", temperature=0.3, stop=("a",), **changes):
    """A trial with a value told."""
    settings = Settings(model=model, prompt="plain", temperature=temperature, stop=stop)
    given = {"samples": 30, "usd_per_1k_calls": 1.0, "state": "complete"} | changes
    return a_trial(number=number, settings=settings, told=told, **given)


def a_run(trials, **changes):
    """The record of a run with these trials."""
    given = {
        "started_at": BEGAN,
        "ended_at": BEGAN + timedelta(minutes=5),
        "finalists": (),
        "recommendation": None,
    }
    return a_run_record(run="run-1", trials=tuple(trials), **given | changes)


def many(count=24):
    """Trials of both models at all temperatures; the value hangs on the temperature alone."""
    return [
        searched(
            n, 0.9 - abs(n / count - 0.5), model=MODELS[n % 2], temperature=n / count, stop=("ab"[n % 3 % 2],)
        )
        for n in range(count)
    ]


def test_trials_keep_numbers_parameters_and_distributions(plan):
    """A range is a range and a list is one of the categories, as the search itself knows them."""
    study = make_study(a_run([searched(0, 0.7), searched(1, 0.8, temperature=0.75, stop=("b",))]), plan)
    first, second = study.trials
    assert (first.number, second.number) == (0, 1)
    assert second.params == {
        "model": "sim/small",
        "prompt": "plain",
        "temperature@sim/small": 0.75,
        "stop": '["b"]',
    }
    assert second.distributions["temperature@sim/small"] == optuna.distributions.FloatDistribution(0.0, 1.0)
    assert second.distributions["stop"].choices == ('["a"]', '["b"]')
    assert (study.study_name, study.direction.name) == ("run-1", "MAXIMIZE")
    assert study.user_attrs[RUN] == "run-1"


def test_values_are_those_that_compare(plan):
    """What the sampler was told; what the samples say stands beside it with its interval."""
    trial = searched(0, 0.71, quality=0.8, reason="", latency_p95_s=1.5)
    (frozen,) = make_study(a_run([trial]), plan).trials
    assert frozen.value == 0.71
    told = frozen.user_attrs
    assert (told["quality"], told["samples"], told["latency_p95_s"]) == (0.8, 30, 1.5)
    assert told["quality_low"] < 0.8 < told["quality_high"]
    assert (told["state"], "reason" in told, "recommended" in told) == ("complete", False, False)
    assert frozen.intermediate_values == {30: 0.8}


@pytest.mark.parametrize(
    ("trial", "state"),
    [
        (searched(0, 0.5, state="eliminated", reason="9 points behind"), "COMPLETE"),
        (searched(0, 0.5, state="infeasible"), "COMPLETE"),
        (searched(0, None, state="failed"), "FAIL"),
        (searched(0, None, state="stopped", quality=None, samples=0), "FAIL"),
        (searched(0, None, state="running"), "RUNNING"),
    ],
)
def test_states_are_optunas_and_ours_is_an_attribute(plan, trial, state):
    """A short trial with a value is complete for Optuna: importances count it."""
    (frozen,) = make_study(a_run([trial]), plan).trials
    assert (frozen.state.name, frozen.user_attrs["state"]) == (state, trial.state)
    assert (frozen.datetime_complete is None) is (state == "RUNNING")


def test_what_breaks_a_limit_is_no_best_trial(plan):
    """Limits are constraints by name, broken by shares of themselves; an unknown figure keeps none."""
    trials = [
        searched(0, 0.9, usd_per_1k_calls=3.0),
        searched(1, 0.8, usd_per_1k_calls=None),
        searched(2, 0.7, usd_per_1k_calls=1.0, failure_rate=0.1),
    ]
    study = make_study(a_run(trials), plan)
    assert [dict(trial.constraints) for trial in study.trials] == [
        {"usd_per_1k_calls": 0.5, "failure_rate": -1.0},
        {"usd_per_1k_calls": 1.0, "failure_rate": -1.0},
        {"usd_per_1k_calls": -0.5, "failure_rate": 0.0},
    ]
    assert study.best_trial.number == 2


def test_finalists_and_the_choice_are_marked(plan):
    """What the confirm split says stands beside what the search said."""
    trials = [searched(0, 0.6), searched(1, 0.8)]
    confirmed = replace(a_trial(number=1, quality=0.75, split="confirm"), samples=20)
    record = a_run(trials, finalists=(confirmed,), recommendation=a_recommendation(trial=confirmed))
    first, second = make_study(record, plan).trials
    assert "confirm_quality" not in first.user_attrs
    assert (second.user_attrs["confirm_quality"], second.user_attrs["confirm_samples"]) == (0.75, 20)
    assert second.user_attrs["recommended"] is True


def test_a_front_has_two_values(plan):
    """Quality up and price down; a trial whose price is unknown has neither."""
    trials = [
        searched(0, 0.6),
        searched(1, 0.9, usd_per_1k_calls=None),
        searched(2, 0.5, usd_per_1k_calls=1.5),
    ]
    study = make_study(a_run(trials), replace(plan, sampler=Sampler(front=True)))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in study.trials] == [[0.6, 1.0], None, [0.5, 1.5]]
    assert [trial.number for trial in study.best_trials] == [0]
    assert study.metric_names == ["quality", "usd_per_1k_calls"]


def test_moments_are_local_and_keep_the_order_of_trials(plan):
    """As Optuna writes its own: without a zone."""
    study = make_study(a_run(many(4)), plan)
    starts = [trial.datetime_start for trial in study.trials]
    assert starts == sorted(starts)
    assert starts[0].astimezone(UTC) == BEGAN
    assert {trial.datetime_complete.astimezone(UTC) for trial in study.trials} == {
        BEGAN + timedelta(minutes=5)
    }


# -- in a storage, with Optuna's own tools


@pytest.fixture(params=["sqlite", "journal"])
def storage(request, tmp_path):
    """A URL, and a file for the journal."""
    return f"sqlite:///{tmp_path}/study.db" if request.param == "sqlite" else str(tmp_path / "study.log")


def loaded(storage, name="run-1"):
    """What Optuna's own loader finds."""
    there = storage
    if "://" not in storage:
        backend = optuna.storages.journal.JournalFileBackend(storage)
        there = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name=name, storage=there)


def test_optunas_own_tools_read_it(plan, storage):
    """Loader, data frame, importances and plots; written and read without a warning of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert write_study(a_run(many()), plan, storage) == "run-1"
    study = loaded(storage)
    frame = study.trials_dataframe()
    assert len(frame) == 24
    assert {"value", "params_model", "user_attrs_samples", "user_attrs_quality", "user_attrs_state"} <= set(
        frame
    )
    assert study.best_value == 0.9
    importances = optuna.importance.get_param_importances(study, params=["model", "stop"])
    assert set(importances) == {"model", "stop"}
    assert len(optuna.visualization.plot_optimization_history(study).data[0].y) == 24
    assert optuna.visualization.plot_slice(study, params=["temperature@sim/small"]).data
    assert json.dumps(study.user_attrs)
    _close(study)


def test_the_study_may_be_gone_on_with(plan):
    """It is one like any other: a user's own optimisation starts from what is known."""
    study = make_study(a_run(many()), plan)
    study.sampler = optuna.samplers.TPESampler(seed=0, multivariate=False)
    study.optimize(lambda trial: trial.suggest_float("temperature@sim/small", 0.0, 1.0), n_trials=3)
    assert len(study.trials) == 27


def test_writing_again_replaces_what_was_written(plan, storage):
    """Of the same run; under another name it stands beside it."""
    write_study(a_run(many(3)), plan, storage)
    write_study(a_run(many(5)), plan, storage)
    write_study(a_run(many(4)), plan, storage, "mine")
    studies = [loaded(storage), loaded(storage, "mine")]
    assert [len(study.trials) for study in studies] == [5, 4]
    for study in studies:
        _close(study)


def test_somebody_elses_study_is_left_alone(plan, tmp_path):
    """Also one of another run under the same name."""
    storage = f"sqlite:///{tmp_path}/study.db"
    _close(optuna.create_study(storage=storage, study_name="mine"))
    with pytest.raises(
        UsageError, match=r"holds a study 'mine' that is not written by harness; give another name"
    ):
        write_study(a_run(many(3)), plan, storage, "mine")
    write_study(a_run(many(3)), plan, storage, "ours")
    with pytest.raises(UsageError, match=r"'ours' that is of run 'run-1'"):
        write_study(replace(a_run(many(3)), run="run-2"), plan, storage, "ours")


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("sqlite:////nowhere/at/all/study.db", "'sqlite:////nowhere/at/all/study.db' does not work"),
        ("nosuchdb://x/y", "nosuchdb"),
        ("/nowhere/at/all/journal.log", "does not work: FileNotFoundError"),
        ("nosuchdb://me:secret@host/y", "the Optuna storage <hidden> does not work"),
    ],
)
def test_a_storage_that_does_not_work_says_so(plan, storage, words):
    """Without a traceback, and without the password of a URL."""
    with pytest.raises(UsageError) as caught:
        write_study(a_run(many(2)), plan, storage)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def _close(study):
    backend = getattr(study._storage, "_backend", None)
    if backend is not None and hasattr(backend, "engine"):
        backend.remove_session()
        backend.engine.dispose()
