"""Exact tests of right and wrong answers: never below what is true, and as powerful as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multinomial

from harness.errors import StatsError
from harness.stats.disagreements import score_p
from harness.stats.unconditional import exact_p, exact_power


def all_counts(n):
    """Every pair of counts of disagreements that n samples can have."""
    return [(one, other) for one in range(n + 1) for other in range(n + 1 - one)]


def chances(n, only_first, only_second):
    """The chance of each pair of counts under these shares."""
    counts = [(one, other, n - one - other) for one, other in all_counts(n)]
    return multinomial.pmf(counts, n, [only_first, only_second, 1 - only_first - only_second])


@pytest.mark.parametrize(("n", "threshold"), [(9, 0.0), (12, 0.05), (14, -0.1)])
def test_p_is_the_largest_chance_of_such_a_score(n, threshold):
    """Summed over all tables by hand, for many shares on which the two may disagree."""
    seen = (5, 1)
    scores = {counts: score_p(*counts, n=n, threshold=threshold) for counts in all_counts(n)}
    tail = np.array([scores[counts] <= scores[seen] + 1e-12 for counts in all_counts(n)])
    lowest = max(0.0, -threshold)
    shares = np.linspace(lowest, (1 - threshold) / 2, 1500)
    worst = max(chances(n, share + threshold, share)[tail].sum() for share in shares)
    assert exact_p(*seen, n=n, threshold=threshold) == pytest.approx(worst, rel=2e-3)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("threshold", [0.0, 0.03])
def test_it_never_errs_more_often_than_stated(share, threshold):
    """At the margin itself, where the score test of the same counts errs in up to 7 %."""
    n, alpha = 40, 0.05
    refuted = np.array([exact_p(*counts, n=n, threshold=threshold) < alpha for counts in all_counts(n)])
    assert chances(n, share + threshold, share)[refuted].sum() <= alpha


def test_power_is_the_chance_of_a_find():
    """Summed over all tables on which the test finds something."""
    n, threshold, difference, disagree = 30, 0.05, 0.25, 0.35
    found = np.array([exact_p(*counts, n=n, threshold=threshold) < 0.05 for counts in all_counts(n)])
    by_hand = chances(n, (disagree + difference) / 2, (disagree - difference) / 2)[found].sum()
    power = exact_power(n=n, disagree=disagree, difference=difference, threshold=threshold, level=0.95)
    assert power == pytest.approx(by_hand, abs=1e-6)


def test_more_disagreements_of_the_first_are_more_evidence():
    """And those of the second are less."""
    p = [exact_p(first, 3, n=100, threshold=0.02) for first in range(3, 20)]
    assert p == sorted(p, reverse=True)
    assert exact_p(10, 2, n=100, threshold=0.02) < exact_p(10, 5, n=100, threshold=0.02)


@pytest.mark.parametrize("counts", [(-1, 0), (6, 5)])
def test_impossible_counts_are_refused(counts):
    """Below 0, or more than there are samples."""
    with pytest.raises(StatsError, match="disagreements on 10 samples"):
        exact_p(*counts, n=10, threshold=0.0)


def test_impossible_shares_and_margins_are_refused():
    """A difference larger than the share that disagrees, and a margin of 1."""
    with pytest.raises(StatsError, match="no larger than it"):
        exact_power(n=10, disagree=0.1, difference=0.2, threshold=0.0, level=0.95)
    with pytest.raises(StatsError, match="the threshold is 1"):
        exact_p(1, 0, n=10, threshold=1)
