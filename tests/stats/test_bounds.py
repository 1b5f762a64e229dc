"""One-sided bounds: published tables, hand-worked cases, and how often they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import StatsError
from harness.stats.bounds import (
    mean_bounds,
    percentile_bounds,
    share_bounds,
    shared,
    two_sided,
    units_to_show,
)

# -- levels


def test_an_error_is_shared_among_statements():
    """Four statements at 98.75 % hold all together at 95 %; one alone keeps its level, and so do none."""
    assert shared(0.95, 4) == pytest.approx(0.9875)
    assert shared(0.95, 1) == shared(0.95, 0) == 0.95


def test_an_interval_between_two_bounds_is_less_sure_than_each():
    """Both may fail; at 50 % the interval is a point but for a hair."""
    assert two_sided(0.975) == pytest.approx(0.95)
    assert 0 < two_sided(0.5) < 1e-5


# -- means


def test_a_mean_by_hand():
    """1, 2, 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees at 95 % is 2.91999; no skewness."""
    bounds = mean_bounds([1.0, 2.0, 3.0], level=0.95)
    half = 2.919986 / math.sqrt(3)
    assert (bounds.low, bounds.high) == pytest.approx((2 - half, 2 + half))
    assert (bounds.n, bounds.method, bounds.level) == (3, "t", 0.95)


def test_a_longer_tail_moves_the_bound_on_its_side_alone():
    """Johnson's correction by hand: 0, 0, 0, 4 has mean 1, standard error 1 and skewness 2 / sqrt(3)."""
    t = 2.35336
    moved = 2 / math.sqrt(3) * (1 + 2 * t * t) / (6 * 2)
    bounds = mean_bounds([0.0, 0.0, 0.0, 4.0], level=0.95)
    assert bounds.high == pytest.approx(1 + t + moved, rel=1e-5)
    assert bounds.low == 0.0, "1 - t is below 0, and no price is"
    mirrored = mean_bounds([14.0, 14.0, 14.0, 10.0], level=0.95)
    assert (mirrored.low, mirrored.high) == pytest.approx((13 - t - moved, 13 + t), rel=1e-5)


def test_figures_that_are_all_the_same_are_their_own_bounds():
    """A price without variation is known."""
    bounds = mean_bounds([0.5] * 8, level=0.99)
    assert (bounds.low, bounds.high) == (0.5, 0.5)


def test_calls_of_one_cluster_count_once():
    """Four copies of each price are no more evidence than one."""
    once = mean_bounds([1.0, 2.0, 3.0], level=0.95)
    copied = mean_bounds([1.0] * 4 + [2.0] * 4 + [3.0] * 4, level=0.95, groups=list("aaaabbbbcccc"))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))
    assert (copied.n, copied.method) == (3, "clustered t")


def test_one_value_bounds_nothing():
    """A single call, or a single cluster, says nothing on how prices vary."""
    assert mean_bounds([1.0], level=0.95).high is None
    assert mean_bounds([1.0, 2.0], level=0.95, groups=["a", "a"]).low is None


# -- shares


def test_the_rule_of_three():
    """0 of 60: at most 1 - 0.05^(1/60)."""
    bounds = share_bounds(0, 60, level=0.95)
    assert (bounds.low, bounds.high) == (0.0, pytest.approx(1 - 0.05 ** (1 / 60)))


@pytest.mark.parametrize(("hits", "n"), [(1, 10), (3, 60), (59, 60), (60, 60), (17, 40)])
def test_shares_are_those_of_scipys_exact_test(hits, n):
    """One-sided Clopper-Pearson, both ways."""
    bounds = share_bounds(hits, n, level=0.9)
    upper = stats.binomtest(hits, n, alternative="less").proportion_ci(0.9, "exact").high
    lower = stats.binomtest(hits, n, alternative="greater").proportion_ci(0.9, "exact").low
    assert (bounds.low, bounds.high) == pytest.approx((lower, upper))


def test_repeats_of_a_sample_are_no_further_evidence():
    """3 of 60 calls on 20 samples are as sure as 1 of 20."""
    repeated, once = share_bounds(3, 60, level=0.95, units=20), share_bounds(1, 20, level=0.95)
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))
    assert repeated.n == 20


@pytest.mark.parametrize(("share", "needed"), [(0.02, 149), (0.05, 59), (1.0, 1), (0.0, None)])
def test_how_many_calls_without_a_hit_show_a_share(share, needed):
    """The inverse of the rule of three; no number of calls shows that something never happens."""
    assert units_to_show(share, level=0.95) == needed
    if needed is not None and needed > 1:
        assert share_bounds(0, needed, level=0.95).high <= share
        assert share_bounds(0, needed - 1, level=0.95).high > share


# -- percentiles


@pytest.mark.parametrize(("level", "needed"), [(0.95, 59), (0.9875, 86), (0.99, 90)])
def test_enough_calls_bound_the_95th_percentile_by_one_of_them(level, needed):
    """With 0.95^n below the error, the largest of n does, whatever the distribution."""
    values = np.arange(1.0, needed + 1)
    assert percentile_bounds(values, 0.95, level=level).high == needed
    assert percentile_bounds(values, 0.95, level=level).method == "order statistics"
    assert percentile_bounds(values[1:], 0.95, level=level).method == "log-normal tolerance bound"


def test_ranks_of_a_median_by_hand():
    """Of 20 values, ranks 6 and 15 bound the median: P(Bin(20, 1/2) <= 14) = 0.979, of 13 only 0.942."""
    bounds = percentile_bounds(np.arange(1.0, 21.0), 0.5, level=0.95)
    assert (bounds.low, bounds.high) == (6.0, 15.0)


@pytest.mark.parametrize(("n", "factor"), [(5, 4.203), (10, 2.911), (20, 2.396), (50, 2.065)])
def test_tolerance_factors_are_those_of_the_tables(n, factor):
    """Hahn and Meeker, table A.12a: 95 % of a normal distribution at 95 %."""
    logs = np.linspace(0.0, 1.0, n)
    values = np.exp(logs)
    expected = math.exp(logs.mean() + factor * logs.std(ddof=1))
    assert percentile_bounds(values, 0.95, level=0.95).high == pytest.approx(expected, rel=2e-3)


def test_a_tolerance_bound_is_never_below_what_was_seen():
    """One very slow call of thirty is a heavier tail than a normal one has."""
    values = np.concatenate([np.linspace(1.0, 1.1, 29), [50.0]])
    assert percentile_bounds(values, 0.95, level=0.95).high == 50.0


def test_repeats_do_not_make_a_percentile_surer():
    """Three copies of forty calls are forty, and so no rank of them will do."""
    values = np.exp(np.random.default_rng(2).standard_normal(40))
    copied = percentile_bounds(np.repeat(values, 3), 0.95, level=0.95, units=40)
    once = percentile_bounds(values, 0.95, level=0.95)
    assert copied.method == once.method == "log-normal tolerance bound"
    assert copied.high == pytest.approx(once.high, rel=0.05)
    assert copied.low == once.low


def test_a_latency_of_zero_has_bounds():
    """A clock that is too coarse for an answer does not break the logarithm."""
    bounds = percentile_bounds([0.0, 0.0, 0.1], 0.95, level=0.95)
    assert bounds.high is not None
    assert math.isfinite(bounds.high)


def test_one_call_has_no_percentile():
    """Nor any bound of it."""
    bounds = percentile_bounds([0.4], 0.95, level=0.95)
    assert (bounds.low, bounds.high) == (None, None)


@given(
    st.lists(st.floats(0.001, 1000), min_size=2, max_size=120),
    st.sampled_from([0.5, 0.95]),
    st.sampled_from([0.9, 0.95, 0.9875]),
    st.integers(-8, 8).map(lambda power: 2.0**power),
)
def test_bounds_of_a_percentile_follow_the_unit(values, share, level, scale):
    """Seconds or milliseconds: the same bounds; and the lower is not above the upper."""
    bounds = percentile_bounds(values, share, level=level)
    scaled = percentile_bounds([value * scale for value in values], share, level=level)
    assert (scaled.low, scaled.high) == pytest.approx((bounds.low * scale, bounds.high * scale), rel=1e-6)
    assert bounds.low <= bounds.high * (1 + 1e-9)


@pytest.mark.parametrize("n", [20, 60, 100])
@pytest.mark.parametrize("sd", [0.3, 0.8])
def test_bounds_of_a_percentile_hold_as_often_as_they_say(n, sd):
    """On log-normal latencies each end fails in at most 5 % of studies, but for the simulation's error."""
    rng, truth, studies = np.random.default_rng(n), math.exp(sd * 1.6448536), 1000
    found = [percentile_bounds(np.exp(sd * rng.standard_normal(n)), 0.95, level=0.95) for _ in range(studies)]
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)
    assert np.mean([bounds.high < truth for bounds in found]) <= allowed
    assert np.mean([bounds.low > truth for bounds in found]) <= allowed


# -- faults


def test_what_cannot_be_bounded_is_told():
    """No values, a negative one, counts that contradict each other, and shares out of range."""
    for wrong in ([], [-1.0], [math.nan]):
        with pytest.raises(StatsError, match="expected a list of at least one number, each from 0 up"):
            mean_bounds(wrong, level=0.95)
    for hits, n, units in ((3, 2, None), (0, 0, None), (1, 5, 6)):
        with pytest.raises(StatsError, match="expected rising counts"):
            share_bounds(hits, n, level=0.95, units=units)
    with pytest.raises(StatsError, match="share is 1"):
        percentile_bounds([1.0, 2.0], 1.0, level=0.95)
    with pytest.raises(StatsError, match="confidence level is 1"):
        share_bounds(0, 5, level=1)
