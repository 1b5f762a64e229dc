"""Tests with a margin, for gates: which one is used, and that p-values, bounds and power belong together."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatsError
from harness.stats.margins import margin_bounds, margin_p, margin_power, paired_spread
from harness.stats.paired import exceeds_p, mean_change, paired_difference
from harness.stats.power import disagreement_sd
from harness.stats.unconditional import exact_p, exact_power

RNG = np.random.default_rng(5)
GRADED = (RNG.beta(8, 3, 60), RNG.beta(8, 4, 60))
RIGHT = ((np.arange(80) < 70) * 1.0, (np.arange(80) >= 22) * 1.0)


def test_right_and_wrong_answers_are_tested_exactly():
    """From the samples on which the two disagree."""
    first, second = RIGHT
    counts = (int((first > second).sum()), int((second > first).sum()))
    assert margin_p(first, second, 0.02, seed=1) == exact_p(*counts, n=80, threshold=0.02)


def test_graded_scores_take_the_larger_of_two():
    """Of bootstrap and t; the bounds are the wider ones."""
    by_t = exceeds_p(*GRADED, 0.01, seed=1, method="t")
    assert margin_p(*GRADED, 0.01, seed=1) == max(by_t, exceeds_p(*GRADED, 0.01, seed=1))
    bounds = margin_bounds(*GRADED, level=0.95, seed=1)
    one, other = (
        paired_difference(*GRADED, level=0.95, seed=1, sides=1, method=method) for method in ("auto", "t")
    )
    assert (bounds.low, bounds.high) == (min(one.low, other.low), max(one.high, other.high))


def test_clusters_of_right_and_wrong_answers_are_no_independent_counts():
    """Each answer four times is no more evidence than once, but for what few clusters leave unknown."""
    groups = [f"text-{place // 4}" for place in range(80)]
    assert margin_p(*RIGHT, 0.02, seed=1, groups=groups) > margin_p(*RIGHT, 0.02, seed=1)


def test_bounds_of_right_and_wrong_answers_are_the_score_bounds():
    """As everywhere else."""
    assert margin_bounds(*RIGHT, level=0.95, seed=1) == paired_difference(*RIGHT, level=0.95, seed=1, sides=1)


def test_power_of_right_and_wrong_answers_is_exact():
    """And that of the t test is near it."""
    sd = disagreement_sd(0.3, 0.15)
    exact = margin_power(0.15, 0.03, n=150, sd=sd, level=0.95, right_or_wrong=True)
    assert exact == exact_power(n=150, disagree=0.3, difference=0.15, threshold=0.03, level=0.95)
    assert margin_power(0.15, 0.03, n=150, sd=sd, level=0.95) == pytest.approx(exact, abs=0.03)


def test_power_of_t_is_that_of_simulated_tests():
    """30 samples with normal differences."""
    n, sd, gain = 30, 0.1, 0.04
    drawn = np.random.default_rng(2).normal(gain, sd, (4000, n))
    t = (drawn.mean(axis=1) - 0.01) / (drawn.std(axis=1, ddof=1) / np.sqrt(n))
    found = float((t > 1.699).mean())
    assert margin_power(gain, 0.01, n=n, sd=sd, level=0.95) == pytest.approx(found, abs=0.02)


def test_power_counts_clusters_not_samples():
    """Few clusters know less of the spread, and find less."""
    alone = margin_power(0.05, 0.0, n=200, sd=0.3, level=0.95)
    assert margin_power(0.05, 0.0, n=200, sd=0.3, level=0.95, clusters=8) < alone


def test_without_any_spread_a_difference_is_certain():
    """And so is none."""
    assert margin_power(0.05, 0.01, n=50, sd=0.0, level=0.95) == 1.0
    assert margin_power(0.0, 0.01, n=50, sd=0.0, level=0.95) == 0.0


def test_power_of_a_single_sample_is_refused():
    """It tells nothing apart."""
    with pytest.raises(StatsError, match="at least 2"):
        margin_power(0.1, 0.0, n=1, sd=0.3, level=0.95)


def test_spread_of_clusters_is_that_of_independent_samples_with_the_same_error():
    """Copies of each sample add nothing: twice the samples, twice the variance."""
    first, second = GRADED
    doubled = paired_spread(np.repeat(first, 2), np.repeat(second, 2), [place // 2 for place in range(120)])
    assert doubled == pytest.approx(paired_spread(first, second) * np.sqrt(2))


def test_a_mean_change_may_be_of_any_size():
    """By hand: mean 2, standard error 1, t with two degrees of freedom 4.303."""
    found = mean_change([2 - np.sqrt(3), 2.0, 2 + np.sqrt(3)], level=0.95)
    assert found.value == pytest.approx(2.0)
    assert (found.low, found.high) == (
        pytest.approx(2 - 4.3027, abs=1e-3),
        pytest.approx(2 + 4.3027, abs=1e-3),
    )
