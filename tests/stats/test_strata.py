"""Strata: figures of several tasks as one, by weight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.intervals import mean_interval, wilson
from harness.stats.strata import Strata, weighted_mean
from harness.testing.builders import an_estimate


def test_a_hand_worked_mean() -> None:
    """Half of 0.8 [0.7, 0.86] and half of 0.4 [0.3, 0.5]: ends as far off as the roots of summed squares."""
    parts = [an_estimate(0.8, low=0.7, high=0.86), an_estimate(0.4, low=0.3, high=0.5)]
    found = weighted_mean(parts, [2, 2])
    assert found.value == pytest.approx(0.6)
    assert found.low == pytest.approx(0.6 - math.sqrt(0.05**2 + 0.05**2))
    assert found.high == pytest.approx(0.6 + math.sqrt(0.03**2 + 0.05**2))
    assert (found.n, found.clusters) == (400, 400)


def test_one_stratum_is_itself() -> None:
    """A single figure keeps value and ends."""
    one = an_estimate(0.7, low=0.5, high=0.8)
    found = weighted_mean([one], [3])
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.5, 0.8))


def test_the_half_width_is_that_of_the_stratified_variance() -> None:
    """For symmetric intervals, half widths add up as standard errors do: with squared weights."""
    rng = np.random.default_rng(3)
    columns = [rng.beta(8, 4, size) for size in (400, 900)]
    parts = [mean_interval(column, level=0.95) for column in columns]
    found = weighted_mean(parts, [0.7, 0.3])
    errors = [column.std(ddof=1) / math.sqrt(len(column)) for column in columns]
    by_variance = math.sqrt((0.7 * errors[0]) ** 2 + (0.3 * errors[1]) ** 2)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * by_variance, rel=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(12, 40), st.floats(0.01, 10)), min_size=1, max_size=4)
)
def test_the_interval_stays_a_share(tasks: list[tuple[int, int, float]]) -> None:
    """Of shares, the mean and both ends are shares, and the value lies between the ends."""
    found = weighted_mean([wilson(hits, n, 0.95) for hits, n, _ in tasks], [weight for *_, weight in tasks])
    assert -1e-12 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1 + 1e-12


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    """Three tasks of 24, 15 and 9 samples: 95 % intervals hold the true mean in 93 to 98 of 100 runs."""
    rng = np.random.default_rng(11)
    truths, sizes, weights = (0.9, 0.55, 0.3), (24, 15, 9), (0.5, 0.3, 0.2)
    true = math.fsum(w * p for w, p in zip(weights, truths, strict=True))
    held = 0
    for _ in range(2000):
        hits = [int(rng.binomial(n, p)) for n, p in zip(sizes, truths, strict=True)]
        parts = [wilson(count, n, 0.95) for count, n in zip(hits, sizes, strict=True)]
        found = weighted_mean(parts, weights)
        held += found.low <= true <= found.high
    assert 0.93 <= held / 2000 <= 0.98


@pytest.mark.parametrize(
    ("parts", "weights"),
    [
        ([], []),
        ([an_estimate(0.5)], [1, 1]),
        ([an_estimate(0.5)], [0]),
        ([an_estimate(0.5), an_estimate(0.5, level=0.9)], [1, 1]),
    ],
)
def test_what_has_no_weighted_mean_is_refused(parts: list[Estimate], weights: list[float]) -> None:
    """Nothing, another number of weights, a weight of 0, and different levels."""
    with pytest.raises(StatsError):
        weighted_mean(parts, weights)


def test_strata_mark_their_samples() -> None:
    """Every sample is in exactly one stratum."""
    strata = Strata(np.array([0, 1, 0, 2]), (0.5, 0.3, 0.2))
    assert [marks.tolist() for marks in strata.marks()] == [
        [True, False, True, False],
        [False, True, False, False],
        [False, False, False, True],
    ]
