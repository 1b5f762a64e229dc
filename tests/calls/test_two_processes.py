"""Two processes on one store: every distinct call reaches the provider once, and both get all answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.store.store import open_store
from harness.testing.delays import constant
from harness.testing.experiment_files import served_at, world_answers
from harness.testing.http_server import SimulatorServer
from harness.testing.simulator import simulated_experiment
from harness.testing.sources import FixedAnswers

ASK = Path(__file__).parent / "drivers" / "ask.py"
TEXT = " ".join(str(word) for word in range(40))
COUNT = 300
PATIENCE_S = 120.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are told apart by /proc")


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """A provider that counts what reaches it, and takes 5 ms for an answer."""
    with SimulatorServer(FixedAnswers(TEXT), delay=constant(0.005)) as serving:
        yield serving


def asking(store_url, server, run, *options) -> subprocess.Popen[str]:
    """A process that asks COUNT questions."""
    return subprocess.Popen(
        [sys.executable, ASK, store_url, server.api_base, run, str(COUNT), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process) -> list[list]:
    """The outcomes that a process was told, by key; it must have ended well."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return sorted(json.loads(line) for line in out.splitlines() if line.startswith("["))


def paid(store_url, *runs) -> int:
    """Calls that these runs have on their bill."""
    with closing(open_store(store_url, {})) as store:
        return sum(store.spent(run).calls for run in runs)


def test_every_distinct_call_is_asked_once(each_url, server):
    """Two runs of the same questions, started together in an empty store."""
    both = [asking(each_url, server, run) for run in ("run-1", "run-2")]
    first, second = (ended(process) for process in both)
    assert first == second
    assert len({key for key, *_ in first}) == COUNT
    assert not any(outcome[2] == "failed" for outcome in first)
    assert sorted(server.bodies().values()) == [1] * COUNT
    assert paid(each_url, "run-1", "run-2") == COUNT


def test_what_a_killed_process_was_asking_falls_to_the_other(each_url, server):
    """Its claims lapse, and nobody waits for ever."""
    doomed, other = (asking(each_url, server, run) for run in ("run-1", "run-2"))
    assert doomed.stdout is not None
    for _ in range(30):  # outcomes: it holds claims on many more
        doomed.stdout.readline()
    doomed.kill()
    doomed.communicate()
    outcomes = ended(other)
    assert len({key for key, *_ in outcomes}) == COUNT
    assert not any(outcome[2] == "failed" for outcome in outcomes)
    assert paid(each_url, "run-1", "run-2") == COUNT <= server.stats().requests


def test_two_processes_of_one_run_share_its_cap(each_url, server):
    """What the provider sees stays within the cap, and all of the cap is used."""
    both = [asking(each_url, server, "run-1", "--cap", "100") for _ in range(2)]
    outcomes = [outcome for process in both for outcome in ended(process)]
    assert len(outcomes) == 2 * COUNT
    assert {outcome[3] for outcome in outcomes if outcome[2] == "failed"} == {"budget"}
    assert server.stats().requests == paid(each_url, "run-1") == 100


def test_two_searches_pay_for_one(each_url, tmp_path, monkeypatch):
    """The same `harness tune`, twice at the same time: one bill, the same recommendation."""
    monkeypatch.setenv("HARNESS_NO_MLFLOW", "1")
    made = simulated_experiment(
        tmp_path, n_samples=40, search={"n_trials": 4}, budget={"calls": 1000, "usd": 5.0}
    )
    with SimulatorServer(world_answers(made), delay=constant(0.005)) as server:
        spec = tmp_path / "spec.yaml"
        spec.write_text(json.dumps(served_at(made, server.api_base).spec))
        command = [sys.executable, "-m", "harness", "tune", spec, "--store", each_url, "--json", "-q"]
        both = [
            subprocess.Popen(
                [*command, "-o", tmp_path / name],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in ("one", "two")
        ]
        told = [process.communicate(timeout=PATIENCE_S) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    first, second = (json.loads(out) for out, _ in told)
    assert first["settings"] == second["settings"]
    assert set(server.bodies().values()) == {1}
