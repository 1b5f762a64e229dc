"""Intervals by leaving out: against the formula for a mean, and as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatsError
from harness.stats.jackknife import jackknife_interval


def mean(rows):
    """The figure of these tests."""
    return float(np.mean(rows))


def test_of_a_mean_it_is_the_t_interval():
    """For a mean the jackknife error is the standard error: that of 0.4, 0.4, 0.6, 0.6 is 0.0577."""
    found = jackknife_interval(np.array([0.4, 0.4, 0.6, 0.6]), mean, level=0.95, groups=range(4))
    assert (found.value, found.n, found.clusters) == (0.5, 4, 4)
    assert (found.low, found.high) == (pytest.approx(0.31626, abs=1e-4), pytest.approx(0.68374, abs=1e-4))


def test_rows_of_a_cluster_are_left_out_together():
    """Copies of a row in one cluster tell no more than the row: the interval does not shrink."""
    rows = np.array([0.2, 0.4, 0.9])
    once = jackknife_interval(rows, mean, level=0.9, groups=range(3))
    thrice = jackknife_interval(np.repeat(rows, 3), mean, level=0.9, groups=np.repeat(range(3), 3).tolist())
    assert (thrice.low, thrice.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_it_holds_as_often_as_it_says():
    """Of 400 samples, the interval holds the true variance of a normal in 93 to 97 of a hundred."""
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        rows = random.normal(size=80)
        found = jackknife_interval(rows, np.var, level=0.95, groups=range(80), high=9.0)
        hits += found.low <= 1.0 <= found.high
    assert 0.90 <= hits / 400 <= 0.98


def test_one_cluster_tells_no_error():
    """Rows of a single cluster have no interval."""
    with pytest.raises(StatsError, match="fewer than two"):
        jackknife_interval(np.array([0.1, 0.2]), mean, level=0.9, groups=["a", "a"])
