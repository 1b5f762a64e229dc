"""Intervals by leaving out: against the formula for a mean, and as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatsError
from harness.stats.jackknife import jackknife_interval


def without_each(figure, rows, groups=None):
    """The figure without each group of rows, each row its own where there are none."""
    owners = np.arange(len(rows)) if groups is None else np.asarray(groups)
    return np.array([figure(rows[owners != owner]) for owner in np.unique(owners)])


def test_of_a_mean_it_is_the_t_interval():
    """For a mean the jackknife error is the standard error: that of 0.4, 0.4, 0.6, 0.6 is 0.0577."""
    rows = np.array([0.4, 0.4, 0.6, 0.6])
    found = jackknife_interval(0.5, without_each(np.mean, rows), n=4, level=0.95)
    assert (found.value, found.n, found.clusters) == (0.5, 4, 4)
    assert (found.low, found.high) == (pytest.approx(0.31626, abs=1e-4), pytest.approx(0.68374, abs=1e-4))


def test_rows_of_a_cluster_are_left_out_together():
    """Copies of a row in one cluster tell no more than the row: the interval does not shrink."""
    rows = np.array([0.2, 0.4, 0.9])
    once = jackknife_interval(0.5, without_each(np.mean, rows), n=3, level=0.9)
    copies = without_each(np.mean, np.repeat(rows, 3), np.repeat(range(3), 3))
    thrice = jackknife_interval(0.5, copies, n=9, level=0.9)
    assert (thrice.low, thrice.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_it_holds_as_often_as_it_says():
    """Of 400 samples, the interval holds the true variance of a normal in 93 to 97 of a hundred."""
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        rows = random.normal(size=80)
        found = jackknife_interval(
            float(np.var(rows)), without_each(np.var, rows), n=80, level=0.95, high=9.0
        )
        hits += found.low <= 1.0 <= found.high
    assert 0.90 <= hits / 400 <= 0.98


def test_one_cluster_tells_no_error():
    """Rows of a single cluster have no interval."""
    with pytest.raises(StatsError, match="fewer than two"):
        jackknife_interval(0.15, np.array([0.1]), n=2, level=0.9)


def test_a_figure_that_nothing_changes_is_not_certain():
    """Of 43 clusters that are all in order, one in 15 more may be out of it: the bound of 0 events of 43."""
    found = jackknife_interval(1.0, np.ones(43), n=43, level=0.95)
    assert (found.low, found.high) == (pytest.approx(0.05 ** (1 / 43)), 1.0)
