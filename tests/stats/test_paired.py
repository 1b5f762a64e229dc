"""Promises of paired differences, tests and sample sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.disagreements import score_limits, score_p
from harness.stats.paired import exceeds_p, loses_p, paired_difference
from harness.stats.power import disagreement_sd, power_of

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
    """100 graded samples without a difference: at most 3 % of all samples differ, at 95 %."""
    estimate = difference([0.5, 0] * 50, [0.5, 0] * 50)
    assert estimate.value == 0
    assert -estimate.low == estimate.high == pytest.approx(1 - 0.05 ** (1 / 100))
    assert estimate.method == "bound without variation"


def test_right_and_wrong_answers_get_the_score_interval():
    """By counts of disagreements; clusters and graded scores take the bootstrap."""
    a, b = [1.0] * 60 + [0.0] * 40, [1.0] * 50 + [0.0] * 35 + [1.0] * 15
    estimate = difference(a, b)
    assert (estimate.low, estimate.high) == tuple(score_limits(10, 15, n=100, level=0.95))
    assert (estimate.value, estimate.n, estimate.method) == (-0.05, 100, "paired score")
    assert difference(a, b, groups=[i // 2 for i in range(100)]).method.startswith("paired BCa bootstrap")
    assert difference([0.5, *a[1:]], b).method == "paired BCa bootstrap"


@pytest.mark.parametrize("method", ["auto", "bootstrap", "t"])
def test_one_sided_bounds_are_the_ends_of_a_wider_question(method):
    """Each end at 95 % is an end of the interval at 90 %."""
    a, b = (np.random.default_rng(8).random((2, 80)) < 0.6).astype(float)
    each = difference(a, b, sides=1, method=method)
    both = difference(a, b, level=0.9, method=method)
    assert (each.low, each.high, each.level) == (both.low, both.high, 0.95)
    assert each.method == f"{both.method}, each end by itself"


def test_one_sided_bounds_without_variation_are_exact():
    """20 graded pairs always alike: with 95 % no more than 1 - 0.05^(1/20) of all differ for the worse."""
    estimate = difference([0.5] * 20, [0.5] * 20, sides=1)
    assert estimate.low == pytest.approx(-(1 - 0.05 ** (1 / 20)))


@given(PAIRS, st.sampled_from(["auto", "bootstrap", "t"]), st.booleans(), st.integers(-9, 9))
@settings(max_examples=60, deadline=None)
def test_p_and_one_sided_bound_agree(pairs, method, together, tenth):
    """The threshold is exceeded at 5 % exactly where the lower bound at 95 % lies above it."""
    a, b = columns(pairs)
    groups = [i // 2 for i in range(len(a))] if together and len(a) > 2 else None
    threshold = tenth / 10 + 0.0123
    p = exceeds_p(a, b, threshold, seed=7, groups=groups, method=method)
    low = difference(a, b, sides=1, groups=groups, method=method).low
    assert 0 <= p <= 1
    if abs(p - 0.05) > 2e-3:
        assert (p < 0.05) == (low > threshold)


def test_exceeds_p_agrees_with_scipy():
    """The one-sided paired t test, and for clusters that of their means."""
    from scipy.stats import ttest_1samp

    a, b = np.random.default_rng(1).random((2, 30))
    expected = ttest_1samp(a - b, -0.1, alternative="greater").pvalue
    assert exceeds_p(a, b, -0.1, seed=1, method="t") == pytest.approx(expected, abs=1e-12)
    means = (a - b).reshape(10, 3).mean(axis=1)
    expected = ttest_1samp(means, -0.1, alternative="greater").pvalue
    groups = [i // 3 for i in range(30)]
    assert exceeds_p(a, b, -0.1, seed=1, method="t", groups=groups) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("disagree", "margin"), [(0.2, 0.05), (0.1, 0.03), (0.05, 0.03)])
def test_a_gate_passes_too_bad_a_one_as_seldom_as_it_says(disagree, margin):
    """4,000 gates with 300 samples, truly worse by the margin: passed in 5 %, give or take."""
    shares = [(disagree - margin) / 2, (disagree + margin) / 2, 1 - disagree]
    counts = np.random.default_rng(15).multinomial(300, shares, size=4000)
    passed = np.mean([score_p(int(g), int(w), n=300, threshold=-margin) < 0.05 for g, w, _ in counts])
    assert 0.035 <= passed <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 4000)


def test_a_gate_passes_equals_as_often_as_its_power_says():
    """4,000 gates with 300 samples that disagree on 10 %, margin 5 points: what `power_of` says."""
    counts = np.random.default_rng(16).multinomial(300, [0.05, 0.05, 0.9], size=4000)
    passed = np.mean([score_p(int(g), int(w), n=300, threshold=-0.05) < 0.05 for g, w, _ in counts])
    assert passed == pytest.approx(power_of(0.05, 300, disagreement_sd(0.1), 0.95), abs=0.03)


def test_a_difference_that_is_always_the_same_is_not_certain():
    """Always 0.5 better on 10 samples: others may be as bad as -1."""
    estimate = difference([1.0] * 10, [0.5] * 10)
    unseen = 1 - 0.05 ** (1 / 10)
    assert estimate.low == pytest.approx(0.5 * (1 - unseen) - unseen)
    assert estimate.high == pytest.approx(0.5 * (1 - unseen) + unseen)


def test_few_differing_samples_get_the_wider_of_two_intervals():
    """One disagreement in 50: a bootstrap that mostly draws it at most once is too sure of itself."""
    a, b = np.zeros(50), np.array([0.9] + [0.0] * 49)
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
        ([1, 0], [0, 0], {"level": 0.4, "sides": 1}, "more than 0.5"),
    ],
)
def test_what_cannot_be_compared_is_an_error(a, b, options, message):
    """A difference of unlike things is never made up."""
    with pytest.raises(StatsError, match=message):
        difference(a, b, **options)


def test_a_threshold_beyond_all_differences_is_an_error():
    """A mean of -1 or less cannot be refuted."""
    with pytest.raises(StatsError, match="between -1 and 1"):
        exceeds_p([1, 0], [0, 0], -1, seed=1)


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
