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


def test_killed_runs_lose_nothing_they_were_told(monkeypatch):
    """Five runs, each killed one to three times and resumed.

    What a process had been told is in its store, the store is sound after every kill, no process asks for
    the same twice, and each run ends with the answers and the bill of one that nobody disturbed.
    """
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    kills = importlib.import_module("_kills")
    findings = kills.carry_out(kills.asking(300), 5, seed=20, window_s=WINDOW_S, jobs=1)
    assert len(findings) == 5
    assert [fault for finding in findings for fault in finding.faults] == []
    assert all(1 <= finding.kills <= kills.MOST_KILLS and finding.kept == 300 for finding in findings)
