"""Runs that are killed at random moments: the benchmark's own checks, on a few of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILL = Path(__file__).resolve().parents[2] / "benchmarks" / "kill.py"
# The page of the benchmark counts 100 ms; here others may keep the disk and the processors from us.
WINDOW_S = 2.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


def test_killed_runs_lose_nothing_they_were_told(tmp_path):
    """Five runs, each killed one to three times and resumed.

    What a process had been told is in its store, the store is sound after every kill, no process asks for
    the same twice, and each run ends with the answers and the bill of one that nobody disturbed.
    """
    command = [sys.executable, KILL, "--runs", "5", "--searches", "0", "--window", f"{WINDOW_S}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)["calls"]
    assert len(findings) == 5
    assert all(1 <= finding["kills"] <= 3 and finding["kept"] == 300 for finding in findings)
