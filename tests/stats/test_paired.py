"""Promises of paired differences, tests and sample sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.paired import loses_p, mcnemar_p, paired_difference, pairs_needed, smallest_difference

SCORE = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
PAIRS = st.lists(st.tuples(SCORE, SCORE), min_size=2, max_size=30)


def columns(pairs):
    """The two columns of a list of pairs."""
    return np.array(pairs).T


def difference(a, b, **options):
    """A paired difference at 95 % with a fixed seed."""
    return paired_difference(a, b, **({"level": 0.95, "seed": 7} | options))


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_exchanging_a_and_b_mirrors_the_difference_exactly(pairs):
    """Which of two is named first decides nothing."""
    a, b = columns(pairs)
    forth, back = difference(a, b), difference(b, a)
    assert (forth.value, forth.low, forth.high) == (-back.value, -back.high, -back.low)


@given(PAIRS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_samples_does_not_matter(pairs, random):
    """With the same seed, the same samples give the same interval, however they are sorted."""
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert difference(*columns(pairs)) == difference(*columns(shuffled))


@given(PAIRS, st.sampled_from(["bootstrap", "t"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_an_interval_contains_the_difference_and_stays_within_bounds(pairs, method, together):
    """-1 <= low <= value <= high <= 1, and never a point."""
    a, b = columns(pairs)
    groups = [i // 2 for i in range(len(a))] if together and len(a) > 2 else None
    estimate = difference(a, b, method=method, groups=groups)
    assert -1 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.value == pytest.approx(np.mean(a - b))
    assert estimate.low < estimate.high


def test_the_t_method_agrees_with_scipy():
    """The paired t interval of every textbook."""
    from scipy.stats import ttest_rel

    a, b = np.random.default_rng(1).random((2, 25))
    expected = ttest_rel(a, b).confidence_interval(0.95)
    estimate = difference(a, b, method="t")
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected))
    assert estimate.method == "paired t"


def test_the_bootstrap_is_near_scipy():
    """Other random numbers, the same limits within their noise."""
    from scipy.stats import bootstrap

    rng = np.random.default_rng(1)
    a, b = rng.random((2, 100))
    theirs = bootstrap(
        (a, b), lambda x, y: np.mean(x - y), paired=True, vectorized=False, n_resamples=4000, rng=rng
    ).confidence_interval
    estimate = difference(a, b)
    assert (estimate.low, estimate.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert (estimate.n, estimate.clusters, estimate.method) == (100, 100, "paired BCa bootstrap")


def test_pairing_is_what_makes_a_small_difference_visible():
    """Two that differ on 30 of 300 samples, all one way: clear, though their own intervals overlap."""
    a = np.array([1.0] * 180 + [0.0] * 120)
    b = np.array([1.0] * 150 + [0.0] * 150)
    estimate = difference(a, b)
    assert 0.05 < estimate.low < 0.1 < estimate.high < 0.15


def test_two_that_never_differ_are_not_certainly_equal():
    """100 samples without a difference: at most 3 % of all samples differ, at 95 %."""
    estimate = difference([1, 0] * 50, [1, 0] * 50)
    assert estimate.value == 0
    assert -estimate.low == estimate.high == pytest.approx(1 - 0.05 ** (1 / 100))
    assert estimate.method == "bound without variation"


def test_a_difference_that_is_always_the_same_is_not_certain():
    """Always 0.5 better on 10 samples: others may be as bad as -1."""
    estimate = difference([1.0] * 10, [0.5] * 10)
    unseen = 1 - 0.05 ** (1 / 10)
    assert estimate.low == pytest.approx(0.5 * (1 - unseen) - unseen)
    assert estimate.high == pytest.approx(0.5 * (1 - unseen) + unseen)


def test_few_differing_samples_get_the_wider_of_two_intervals():
    """One disagreement in 50: a bootstrap that mostly draws it at most once is too sure of itself."""
    a, b = np.zeros(50), np.array([1.0] + [0.0] * 49)
    wide, by_t = difference(a, b), difference(a, b, method="t")
    assert wide.method == "paired BCa bootstrap, at least t"
    assert wide.low <= by_t.low
    assert wide.high >= by_t.high


def test_repeats_of_a_sample_are_resampled_together():
    """Ten copies of each pair leave the interval about as wide; a large cluster weighs more."""
    a, b = np.random.default_rng(2).random((2, 40))
    once = difference(a, b)
    often = difference(np.tile(a, 10), np.tile(b, 10), groups=list(range(40)) * 10)
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=0.01)
    assert (often.n, often.clusters) == (400, 40)
    assert difference([1, 1, 1, 0], [0, 0, 0, 0], groups=["x", "x", "x", "y"]).value == 0.75


def test_paired_intervals_cover_the_truth_as_often_as_they_say():
    """400 simulated comparisons, seeded: 100 samples, better on 8 %, worse on 4 %."""
    rng = np.random.default_rng(13)
    covered = 0
    for seed in range(400):
        better = rng.choice([1.0, -1.0, 0.0], p=[0.08, 0.04, 0.88], size=100)
        estimate = difference((better > 0) * 1.0, (better < 0) * 1.0, seed=seed)
        covered += estimate.low <= 0.04 <= estimate.high
    assert 0.93 <= covered / 400 <= 0.99


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([1], [0], {}, "at least 2 are needed"),
        ([1, 0], [0], {}, "2 and 1 scores"),
        ([1, 2], [0, 0], {}, r"scores of a\[1\] is 2.0"),
        ([1, 0], [0, -1], {}, r"scores of b\[1\] is -1.0"),
        ([], [], {}, "at least one number"),
        ([1, 0], [0, 0], {"groups": ["a", "a"]}, "at least 2 are needed"),
        ([1, 0], [0, 0], {"level": 95}, "confidence level"),
    ],
)
def test_what_cannot_be_compared_is_an_error(a, b, options, message):
    """A difference of unlike things is never made up."""
    with pytest.raises(StatsError, match=message):
        difference(a, b, **options)


def test_loses_p_agrees_with_scipy():
    """The one-sided paired t test."""
    from scipy.stats import ttest_rel

    challenger, leader = np.random.default_rng(1).random((2, 25))
    expected = ttest_rel(challenger, leader, alternative="less").pvalue
    assert loses_p(challenger, leader) == pytest.approx(expected, abs=1e-12)
    assert loses_p(challenger, leader) + loses_p(leader, challenger) == pytest.approx(1)


def test_loses_p_of_a_hand_worked_case():
    """Differences -1, 0, -1, 0: t = -0.5 / sqrt(1/3 / 4) = -1.7321 with 3 degrees of freedom."""
    assert loses_p(np.array([0, 0, 0, 1.0]), np.array([1, 0, 1, 1.0])) == pytest.approx(0.0908, abs=1e-4)


@pytest.mark.parametrize(
    ("challenger", "leader", "p"),
    [
        ([0.0] * 5, [1.0] * 5, 0.5**5),
        ([1.0] * 5, [0.0] * 5, 1),
        ([1.0, 0.0], [1.0, 0.0], 1),
        ([0.0], [1.0], 1),
        ([], [], 1),
    ],
)
def test_loses_p_stays_honest_without_variation(challenger, leader, p):
    """Five losses in a row are 1 in 32, not impossible; equal scores and single samples prove nothing."""
    assert loses_p(np.array(challenger), np.array(leader)) == p


def test_loses_p_of_scores_that_differ_by_rounding_is_no_evidence():
    """0.1 + 0.2 is 0.3."""
    assert loses_p(np.full(30, 0.3), np.full(30, 0.1 + 0.2)) == 1


def test_loses_p_refuses_different_samples():
    """A shorter column cannot be paired."""
    with pytest.raises(StatsError, match="expected the same samples"):
        loses_p(np.zeros(3), np.zeros(2))


def test_loses_p_rejects_equals_as_often_as_it_says():
    """1,000 seeded races of equals at 5 %: between 3 and 7 % are called lost."""
    rng = np.random.default_rng(14)
    scores = rng.integers(0, 2, size=(1000, 2, 60)).astype(float)
    lost = np.mean([loses_p(first, second) < 0.05 for first, second in scores])
    assert 0.03 <= lost <= 0.07


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(10, 2, 2 * (1 + 12 + 66) / 2**12), (3, 3, 1), (0, 0, 1), (0, 5, 2 / 2**5), (1, 0, 1)],
)
def test_mcnemar_of_hand_worked_cases(only_first, only_second, p):
    """Twice the smaller tail of a fair coin, at most 1."""
    assert mcnemar_p(only_first, only_second) == pytest.approx(p)


@given(st.integers(0, 100), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_mcnemar_agrees_with_the_binomial_test(only_first, only_second):
    """The same p-value as scipy's exact test, whichever comes first."""
    from scipy.stats import binomtest

    total = only_first + only_second
    expected = binomtest(only_first, total).pvalue if total else 1
    assert mcnemar_p(only_first, only_second) == pytest.approx(expected, abs=1e-12)
    assert mcnemar_p(only_first, only_second) == mcnemar_p(only_second, only_first)


def test_mcnemar_refuses_negative_counts():
    """A count is a count."""
    with pytest.raises(StatsError, match="expected counts"):
        mcnemar_p(-1, 2)


@pytest.mark.parametrize(("n", "points"), [(50, 14.1), (100, 9.9), (200, 7.0), (1000, 3.1)])
def test_smallest_difference_of_hand_worked_cases(n, points):
    """(1.6449 + 0.8416) 0.4 / sqrt(n), one-sided 5 %, power 80 %."""
    assert 100 * smallest_difference(n, 0.4, 0.95, 0.8) == pytest.approx(points, abs=0.05)


def test_two_sides_need_a_larger_difference():
    """(1.9600 + 0.8416) 0.4 / 10: what a two-sided interval can keep apart from zero."""
    assert smallest_difference(100, 0.4, 0.95, 0.8, sides=2) == pytest.approx(0.11206, abs=1e-5)


@pytest.mark.parametrize(
    ("margin", "disagree", "n"), [(0.03, 0.10, 952), (0.05, 0.10, 343), (0.03, 0.05, 476)]
)
def test_pairs_needed_of_hand_worked_cases(margin, disagree, n):
    """(1.6449 + 1.2816)^2 times the share of disagreements over the margin squared."""
    assert pairs_needed(margin, math.sqrt(disagree), 0.95, 0.9) == n


@given(st.integers(1, 5000), st.floats(0.01, 1))
@settings(deadline=None)
def test_pairs_needed_is_the_inverse_of_smallest_difference(n, sd):
    """Exactly n pairs are needed for what n pairs can find."""
    assert pairs_needed(smallest_difference(n, sd, 0.95, 0.8), sd, 0.95, 0.8) == n


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smallest_difference(0, 0.4, 0.95, 0.8), "at least 1 pair"),
        (lambda: smallest_difference(9, -0.4, 0.95, 0.8), "standard deviation"),
        (lambda: smallest_difference(9, math.nan, 0.95, 0.8), "standard deviation"),
        (lambda: smallest_difference(9, 0.4, 0.95, 80), "power is 80"),
        (lambda: smallest_difference(9, 0.4, 1, 0.8), "confidence level"),
        (lambda: pairs_needed(0, 0.4, 0.95, 0.8), "above 0"),
    ],
)
def test_sizes_are_refused_for_impossible_questions(call, message):
    """A message names the figure that cannot be."""
    with pytest.raises(StatsError, match=message):
        call()
