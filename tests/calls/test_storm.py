"""A storm of faults: nothing is lost, nothing differs from calm weather, nobody is impatient."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LATENCY = "lognormal:0.05:0.3"


@pytest.fixture
def storms(monkeypatch):
    """The part of the benchmark that asks in any weather."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_storms")


def passage(storms, work, faults):
    """What came of the work at a provider with these faults."""
    with storms.provider(faults, LATENCY) as url:
        return storms.weather(work, f"{url}/v1", storms.asker(url))


@pytest.mark.slow
def test_a_storm_changes_no_answer(storms):
    """Every sample is answered as in calm weather, or recorded as failed with its cause."""
    work = storms.Work(samples=160, max_retries=4)
    calm, storm = passage(storms, work, ""), passage(storms, work, storms.FAULTS)
    assert storms.compared(storm, calm, work) == []
    assert set(storm.faults) == {"429", "500", "reset", "badjson", "hang"}
    assert storm.waits > 0


@pytest.mark.slow
def test_a_failure_is_recorded_with_its_cause(storms):
    """With no retries left, what a storm costs is counted by kind, and nothing goes missing."""
    work = storms.Work(samples=160, max_retries=0)
    storm = passage(storms, work, storms.FAULTS)
    assert len(storm.answers) + storm.failed.total() == storm.requests == 160
    assert storm.recorded == storm.failed.total() == sum(storm.faults.values())
    assert set(storm.failed) == {"rate_limit", "overloaded", "connection", "malformed", "timeout"}
