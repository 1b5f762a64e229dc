"""Runs that are killed at random moments: the benchmark's own checks, on a few of them."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
# The page of the benchmark counts 100 ms; here others may keep the disk and the processors from us.
WINDOW_S = 2.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


@pytest.fixture
def kills(monkeypatch):
    """The part of the benchmark that kills."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_kills")


def test_killed_runs_lose_nothing_they_were_told(kills):
    """Five runs, each killed one to three times and resumed.

    What a process had been told is in its store, the store is sound after every kill, no process asks for
    the same twice, and each run ends with the answers and the bill of one that nobody disturbed.
    """
    findings = kills.carry_out(kills.asking(300), 5, seed=20, window_s=WINDOW_S, jobs=1)
    assert len(findings) == 5
    assert [fault for finding in findings for fault in finding.faults] == []
    assert all(1 <= finding.kills <= kills.MOST_KILLS and finding.kept == 300 for finding in findings)


def test_no_kill_lets_a_run_cross_its_cap(kills):
    """What is under way when a process dies may be on the bill of its provider: the cap covers it."""
    findings = kills.carry_out(kills.capped(300, most=60), 4, seed=7, window_s=WINDOW_S, jobs=1)
    assert [fault for finding in findings for fault in finding.faults] == []
    assert any(finding.requests > finding.kept for finding in findings)  # asked in vain, and yet below
