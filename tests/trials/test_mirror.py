"""The live mirror: what is shown is written down by its own thread, and trouble never reaches the search."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from harness.records import Settings
from harness.testing.builders import a_run_record, a_trial
from harness.trials.mirror import Mirror, mirrored
from harness.trials.study import RUN


@pytest.fixture
def plan(lab, tmp_path):
    """A plan with a mirror in a journal file: the fastest storage."""
    return replace(lab.plan(n_samples=20), optuna_storage=str(tmp_path / "live.log"))


def a_searched(plan, number, told=None, **changes):
    """A trial of the plan's space."""
    model = plan.space.models[number % 3]
    settings: Settings = replace(plan.space.defaults[model], temperature=0.1 * number)
    given = {"state": "running" if told is None else "complete", "samples": 8} | changes
    return a_trial(number=number, settings=settings, told=told, **given)


class Shows(list):
    """A snapshot; when it has been written, the next one is shown, and after the last the mirror closes."""

    def __init__(self, mirror, trials, *following):
        super().__init__(trials)
        self.mirror, self.following = mirror, following

    def __iter__(self):
        yield from super().__iter__()
        if self.following:
            self.mirror.show(Shows(self.mirror, *self.following))
        else:
            self.mirror.close()


def shown(plan, *snapshots):
    """The study after these snapshots, all of them written."""
    mirror = Mirror("run-1", plan, plan.optuna_storage)
    mirror.show(Shows(mirror, *snapshots))
    mirror.work()
    assert mirror.trouble == ""
    return loaded(plan)


def loaded(plan):
    """What Optuna finds in the journal."""
    backend = optuna.storages.journal.JournalFileBackend(plan.optuna_storage)
    return optuna.load_study(study_name="run-1", storage=optuna.storages.JournalStorage(backend))


def test_running_trials_are_seen_with_their_parameters(plan):
    """And with their quality by samples, as it grows."""
    first = [a_searched(plan, 0, quality=0.5), a_searched(plan, 1, quality=None, samples=0)]
    second = [a_searched(plan, 0, quality=0.6, samples=16), a_searched(plan, 1, quality=0.4)]
    study = shown(plan, first, second)
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "RUNNING"]
    assert [trial.intermediate_values for trial in study.trials] == [{8: 0.5, 16: 0.6}, {8: 0.4}]
    assert study.trials[1].params["model"] == plan.space.models[1]
    assert study.user_attrs[RUN] == "run-1"


def test_trials_end_when_they_are_told(plan):
    """With value and attributes; later snapshots add nothing to them, and new trials follow in order."""
    first = [a_searched(plan, 0), a_searched(plan, 1, 0.7, reason="9 points behind", state="eliminated")]
    second = [a_searched(plan, 0), replace(first[1], reason="other"), a_searched(plan, 2)]
    third = [a_searched(plan, 0, 0.9), first[1], a_searched(plan, 2, None, state="failed")]
    study = shown(plan, first, second, third)
    assert [(trial.state.name, trial.value) for trial in study.trials] == [
        ("COMPLETE", 0.9),
        ("COMPLETE", 0.7),
        ("FAIL", None),
    ]
    assert study.trials[1].user_attrs["reason"] == "9 points behind"


def test_a_run_that_goes_on_starts_its_mirror_anew(plan):
    """The trials of the process that died are shown again, not twice."""
    shown(plan, [a_searched(plan, 0), a_searched(plan, 1)])
    assert len(shown(plan, [a_searched(plan, 0)]).trials) == 1


def test_the_finished_study_replaces_the_one_that_grew(plan):
    """Its end is part of it: what was found out on the confirm split, and what the limits say."""
    with mirrored("run-1", plan) as mirror:
        mirror.show([a_searched(plan, 0, 0.7)])
    trials = (a_searched(plan, 0, 0.7, state="infeasible"), a_searched(plan, 1, 0.6))
    record = a_run_record(run="run-1", trials=trials, finalists=(), recommendation=None)
    assert mirror.finish(record) == record
    study = loaded(plan)
    assert [trial.user_attrs["state"] for trial in study.trials] == ["infeasible", "complete"]


def test_without_a_storage_there_is_no_mirror(plan):
    """Nor a thread."""
    with mirrored("run-1", replace(plan, optuna_storage=None)) as mirror:
        assert mirror is None


def test_trouble_is_told_once_and_stops_the_mirror(plan):
    """The note names the storage and what to do; showing more trials does nothing."""
    broken = replace(plan, optuna_storage="/nowhere/at/all/live.log")
    with mirrored("run-1", broken) as mirror:
        mirror.show([a_searched(plan, 0)])
    mirror.show([a_searched(plan, 0)])
    assert "'/nowhere/at/all/live.log' does not work: FileNotFoundError" in mirror.trouble
    assert "`harness study run-1` writes it again" in mirror.trouble
    record = a_run_record(run="run-1", notes=("before",))
    noted = mirror.finish(record)
    assert noted.notes == ("before", mirror.trouble)
    assert mirror.finish(noted) == noted
