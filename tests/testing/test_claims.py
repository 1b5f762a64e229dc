"""Races for confidence on recorded answers: a claim is true or not, and counted as such."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.testing.claims import UNDECIDED, ClaimTask, claim, summarise_claims
from harness.testing.outcomes import Budgets


def task(matrix, *fractions: float, **changes) -> ClaimTask:
    """A task of a matrix, at 95 % and within a point."""
    budgets = Budgets(matrix=matrix, fractions=fractions or (1.0,), in_usd=changes.pop("in_usd", False))
    return ClaimTask(budgets=budgets, **({"alpha": 0.05, "epsilon": 0.01} | changes))


def test_a_clear_winner_is_claimed_and_true(matrix) -> None:
    """One row that is right where all others are wrong is named long before everything was asked."""
    recorded = matrix(6, 300)
    score = np.zeros((6, 300))
    score[2] = 1
    (found,) = claim(task(replace(recorded, score=score)), 0)
    assert (found.ending, found.regret, found.left, found.true) == ("resolved", 0.0, 1, True)
    assert found.spent < 0.5
    assert found.calls == pytest.approx(found.spent * 1800)


def test_equal_rows_cannot_be_told_apart(matrix) -> None:
    """Rows that answer alike all stay, and saying so is true whoever is named."""
    recorded = matrix(5, 200)
    score = np.tile(recorded.score[0], (5, 1))
    (found,) = claim(task(replace(recorded, score=score), epsilon=0.0), 0)
    assert (found.ending, found.left, found.true) == (UNDECIDED, 5, True)


def test_a_budget_ends_a_race(matrix) -> None:
    """Nothing is decided then, in calls or in dollars, and no more is spent than there is."""
    for in_usd in (False, True):
        for found in claim(task(matrix(12, 200), 0.05, 0.1, in_usd=in_usd), 3):
            assert found.ending == ""
            assert found.spent <= 0.1 + 1e-9
            assert found.left > 1


def test_a_false_claim_is_counted(matrix) -> None:
    """Of four claims one is false and two are undecided: shares as counted by hand."""
    base = claim(task(matrix()), 0)[0]
    told = [
        replace(base, ending="resolved", true=True, regret=0.0, spent=0.1, calls=100, usd=1.0, left=1),
        replace(base, ending="good enough", true=False, regret=1.5, spent=0.2, calls=200, usd=2.0, left=3),
        replace(base, ending=UNDECIDED, true=True, regret=1.0, spent=0.4, calls=400, usd=4.0, left=2),
        replace(base, ending="", true=True, regret=3.0, spent=0.5, calls=500, usd=5.0, left=6),
    ]
    (summary,) = summarise_claims(task(matrix()), [[one] for one in told])
    assert (summary.coverage, summary.cannot_be_told_apart, summary.out_of_budget) == (0.75, 0.25, 0.25)
    assert summary.coverage_se == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    assert (summary.mean_fraction, summary.max_fraction) == (pytest.approx(0.3), 0.5)
    assert (summary.p_within_1pt, summary.p_within_2pt, summary.mean_left) == (0.5, 0.75, 3.0)
    assert (summary.mean_calls, summary.mean_usd) == (300, pytest.approx(3.0))
