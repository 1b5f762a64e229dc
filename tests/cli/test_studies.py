"""`harness study`: runs, finished or not, for Optuna's own tools."""

from __future__ import annotations

import signal

import optuna
import pytest


@pytest.fixture
def journal(desk, monkeypatch):
    """The file of an Optuna journal at the desk, and what Optuna finds in it."""
    monkeypatch.delenv("OPTUNA_STORAGE", raising=False)
    path = desk.folder / "study.log"

    def load(name):
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))

    return load


def test_a_finished_run_is_written(desk, finished, journal):
    """Under its own name or another; the next command is said."""
    done = desk.cli("study", "--storage", "study.log")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"wrote study {finished} with 8 trials",
        "next: optuna-dashboard study.log",
    ]
    assert desk.cli("study", finished, "--storage", "study.log", "--name", "mine").code == 0
    studies = [journal(finished), journal("mine")]
    assert [len(study.trials) for study in studies] == [8, 8]
    assert {trial.state.name for trial in studies[0].trials} == {"COMPLETE"}
    assert studies[0].best_trial.user_attrs["samples"] > 0


def test_the_storage_may_stand_in_the_environment(desk, finished, journal, monkeypatch):
    """Under the name that Optuna's own command line reads."""
    monkeypatch.setenv("OPTUNA_STORAGE", "study.log")
    assert desk.cli("study").code == 0
    assert len(journal(finished).trials) == 8


def test_a_run_that_was_killed_is_written_as_far_as_it_came(desk, answers, journal):
    """Its trials are running, with the samples that the store knows of; nothing is sent."""
    desk.spec(api_base=answers.url)
    answers.hold_after(40)
    desk.interrupted(answers, signal.SIGKILL, "tune", "words.yaml", "-q")
    sent = answers.requests
    assert desk.cli("study", "--storage", "study.log").code == 0
    study = journal(desk.runs()[0])
    assert {trial.state.name for trial in study.trials} == {"RUNNING"}
    assert sum(trial.user_attrs["samples"] for trial in study.trials) > 0
    assert answers.requests == sent


def test_faults_are_told_in_one_line(desk, finished):
    """A run that is not there, and a storage that does not work."""
    for arguments, words in [
        (("nobody", "--storage", "study.log"), "no run 'nobody'"),
        (("--storage", "/nowhere/at/all.log"), "the Optuna storage '/nowhere/at/all.log' does not work"),
        ((), "--storage"),
    ]:
        done = desk.cli("study", *arguments)
        assert done.code == 2
        assert words in done.err
        assert "Traceback" not in done.err
