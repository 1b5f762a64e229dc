"""Scores sample by sample, and sides of comparisons, for tests of whatever compares.

In: the fields that a test is about, as keywords. Out: a record whose other fields are plausible and fixed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.sheets import Basis, Sheet
from harness.testing.builders import a_settings
from harness.verdicts import Side


def a_sheet(**changes: Any) -> Sheet:
    """Scores of a small model on samples s0, s1, ... that stand alone; as many as the scores given.

    Every answer cost 14 millionths of a dollar and took half a second.
    """
    scores = changes.pop("scores", {"accuracy": (1.0, 1.0, 1.0, 0.0)})
    n = len(next(iter(scores.values())))
    basis = Basis(
        data="d" * 64,
        scoring="c" * 64,
        scorers={"choice": 1},
        prompt="e" * 64,
        prices={"input": 0.1, "output": 0.4},
    )
    sheet = Sheet(
        trial=0,
        settings=a_settings(),
        split="all",
        samples=tuple(f"s{place}" for place in range(n)),
        scores=scores,
        usd=(0.000014,) * n,
        latency_s=(0.5,) * n,
        basis=basis,
    )
    return replace(sheet, **changes)


def a_side(sheet: Sheet | None = None, **changes: Any) -> Side:
    """One side of a comparison: run "run-1" of the experiment "ticket-triage"."""
    side = Side(
        name="run-1",
        experiment="ticket-triage",
        metric="accuracy",
        sheet=sheet or a_sheet(),
        figures={"usd_per_1k_calls": 0.014, "latency_p50_s": 0.5, "latency_p95_s": 0.9, "failure_rate": 0.0},
    )
    return replace(side, **changes)
