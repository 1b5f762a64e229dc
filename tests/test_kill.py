"""A run that is cut off goes on where it was: no answer is paid twice, and the end is the same."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from harness.past import load_run

MODEL = "smollm2-135m-instruct"
WAIT_S = 120.0
HELD = 4  # calls in flight when all are held: the concurrency of the desk's endpoint
LOCAL_CONCURRENCY = 2  # of a model on this machine, unless the spec says otherwise
POOL = 2  # trials of the race of defaults: one for each prompt

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How the experiment of the desk ends when nobody interferes. moments: requests at which to do so."""

    requests: int
    settings: Any
    moments: tuple[int, ...]


@pytest.fixture
def undisturbed(archive: Path) -> Undisturbed:
    """Read from the run in the archive: a moment for each of its three parts, in the middle of it."""
    result = load_run(store=f"sqlite:///{archive}/.harness/harness.db")
    record = result.record
    pool = sum(trial.samples for trial in record.trials[:POOL])
    search = sum(trial.samples for trial in record.trials)
    confirm = sum(trial.samples for trial in record.finalists)
    return Undisturbed(
        requests=record.spend.calls,
        settings=result.best_params,
        moments=(pool // 2, (pool + search) // 2, search + confirm // 2),
    )


def settings_of(outcome: Any) -> dict[str, Any]:
    """The settings that `tune --json` recommended, set ones only."""
    settings = json.loads(outcome.out)["settings"]
    return {name: value for name, value in settings.items() if value not in (None, {})}


def test_killed_three_times_loses_what_was_in_flight_alone(
    desk: Any, answers: Any, undisturbed: Undisturbed
) -> None:
    """SIGKILL while defaults race, while proposals are tried, and while finalists are confirmed.

    The provider is asked again for those calls alone whose answers were not durable, the database is sound
    each time, and the recommendation is that of a run nobody disturbed.
    """
    desk.spec(api_base=answers.url)
    command, lost = ["tune", "words.yaml"], 0
    for moment in undisturbed.moments:
        answers.hold_after(moment + lost)
        killed = desk.interrupted(answers, signal.SIGKILL, *command, "-q")
        assert killed.code == -signal.SIGKILL, killed.err
        before, lost = lost, answers.requests - desk.answered()
        assert lost - before >= HELD
        (run,) = desk.runs()
        assert desk.cli("list").out.split()[:2] == [run, "running"]
        command = ["tune", "--resume", run]
    ended = desk.harness(*command, "--json")
    assert ended.code == 0, ended.err
    assert settings_of(ended) == undisturbed.settings
    assert desk.answered() == undisturbed.requests
    assert answers.requests == undisturbed.requests + lost


def test_interrupted_keeps_what_was_in_flight(desk: Any, answers: Any, undisturbed: Undisturbed) -> None:
    """SIGINT once: the calls under way are waited for and kept, so that not one is paid twice."""
    desk.spec(api_base=answers.url)
    answers.hold_after(undisturbed.moments[1])
    stopped = desk.interrupted(answers, signal.SIGINT, "tune", "words.yaml", "-q")
    (run,) = desk.runs()
    assert (stopped.code, stopped.err) == (4, "")
    assert f"harness tune --resume {run}" in stopped.out
    assert desk.answered() == answers.requests >= undisturbed.moments[1] + HELD
    assert desk.cli("list").out.split()[:2] == [run, "stopped"]
    ended = desk.cli("tune", "--resume", run, "--json", "-q")
    assert ended.code == 0, ended.err
    assert settings_of(ended) == undisturbed.settings
    assert desk.answered() == answers.requests == undisturbed.requests


@dataclass(frozen=True, slots=True)
class Served:
    """A local model behind an address, in a process of its own."""

    url: str
    child: subprocess.Popen[str]
    out: IO[str]

    def end(self) -> int:
        """Stop it as Ctrl-C does; gives how many requests it says it served."""
        self.child.send_signal(signal.SIGINT)
        rest = self.out.read()
        assert self.child.wait(WAIT_S) == 0
        return int(re.fullmatch(r"(\d+) requests served\n", rest)[1])


@contextmanager
def served_model(folder: Path, port: int = 0) -> Iterator[Served]:
    """`harness models serve` in this folder."""
    command = [sys.executable, "-m", "harness", "models", "serve", MODEL, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as child:
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            yield Served(re.search(r"http://\S+/v1", line)[0], child, child.stdout)
        finally:
            child.kill()


def killed_after(answers: int, folder: Path, *arguments: str) -> None:
    """Run a command and kill it when its progress tells of so many answers."""
    command = [sys.executable, "-m", "harness", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            told = re.match(r"search: (\d+) answer", line)
            assert told is not None, line
            if int(told[1]) >= answers:
                break
        child.kill()
    assert child.returncode == -signal.SIGKILL


@pytest.mark.local_model
def test_served_local_model_is_asked_once_for_each_answer(
    desk: Any, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the server's own count: a killed run costs what was in flight, a finished one is free again."""
    monkeypatch.setenv("HARNESS_MODELS", str(weights))
    monkeypatch.setenv("HARNESS_LIMIT", "12")
    monkeypatch.setenv("HARNESS_N_TRIALS", "3")
    with served_model(desk.folder) as server:
        text = desk.spec(("mine/tiny", f"local/{MODEL}")).read_text().partition("providers:")
        rest = text[2].partition("\naim:")
        desk.write(
            "words.yaml",
            f"{text[0]}providers: {{local: {{api_base: '{server.url}'}}}}\naim:"
            + rest[2].replace("{policy", "{within: {truncation_rate: 1.0}, policy"),
        )
        killed_after(4, desk.folder, "tune", "words.yaml")
        before = desk.answered()
        (run,) = desk.runs()
        assert desk.harness("tune", "--resume", run, "-q").code == 0
        answered = desk.answered()
        assert answered > before > 0
        assert answered <= server.end() <= answered + LOCAL_CONCURRENCY
    port = int(re.search(r":(\d+)/v1", server.url)[1])
    with served_model(desk.folder, port) as again:
        assert desk.harness("tune", "words.yaml", "-q").code == 0
        assert again.end() == 0
