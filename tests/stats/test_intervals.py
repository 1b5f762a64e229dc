"""Promises of the intervals of one figure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.bootstrap import bca_limits, jackknife_means, resampled_means
from harness.stats.clusters import clustered, standard_error
from harness.stats.intervals import (
    bootstrap_interval,
    clopper_pearson,
    mean_interval,
    unvaried_limits,
    wilson,
)

SCORES = st.lists(st.floats(0, 1), min_size=2, max_size=40)
BINARY = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=40)


def spread(rows: np.ndarray) -> float:
    """A statistic that is no mean: the share of the most frequent value."""
    return float(np.unique(rows, return_counts=True)[1].max() / len(rows))


def test_wilson_of_a_published_case():
    """8 of 10 at 95 %: 0.490 to 0.943 (any table of score intervals)."""
    estimate = wilson(8, 10, 0.95)
    assert (estimate.value, estimate.n, estimate.clusters, estimate.method) == (0.8, 10, 10, "Wilson")
    assert estimate.low == pytest.approx(0.4901625)
    assert estimate.high == pytest.approx(0.9433178)


@given(st.integers(1, 200), st.data())
@settings(deadline=None)
def test_wilson_agrees_with_scipy(n, data):
    """The same limits as scipy's, at every count and level, with 0 and 1 kept exactly."""
    from scipy.stats import binomtest

    successes = data.draw(st.integers(0, n))
    level = data.draw(st.sampled_from([0.5, 0.8, 0.95, 0.999]))
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    estimate = wilson(successes, n, level)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_a_share_refuses_impossible_counts(method, successes, n):
    """A share needs a whole to be a share of."""
    with pytest.raises(StatsError, match="expected from 0 to n"):
        method(successes, n, 0.95)


@given(st.integers(1, 200), st.data())
@settings(deadline=None)
def test_clopper_pearson_agrees_with_scipy(n, data):
    """The same limits as scipy's exact ones, at every count and level, on both sides and on one."""
    from scipy.stats import binomtest

    successes = data.draw(st.integers(0, n))
    level = data.draw(st.sampled_from([0.5, 0.8, 0.95, 0.999]))
    expected = binomtest(successes, n).proportion_ci(level, method="exact")
    estimate = clopper_pearson(successes, n, level)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    below = binomtest(successes, n, alternative="less").proportion_ci(level, method="exact").high
    assert clopper_pearson(successes, n, level, sides=1).high == pytest.approx(below, abs=1e-9)


def test_clopper_pearson_of_a_published_case():
    """0 of 100: at most 0.0295 with 95 %, the rule of three; two-sided 0.0362."""
    assert clopper_pearson(0, 100, 0.95, sides=1).high == pytest.approx(1 - 0.05 ** (1 / 100))
    assert clopper_pearson(0, 100, 0.95).high == pytest.approx(0.0362, abs=5e-5)


@pytest.mark.parametrize(("share", "n"), [(0.01, 100), (0.02, 300), (0.5, 20)])
def test_clopper_pearson_errs_never_more_often_than_it_says(share, n):
    """Summed over all counts: a bound from above at 95 % is below the truth in at most 5 %."""
    from scipy.stats import binom

    bounds = np.array([clopper_pearson(k, n, 0.95, sides=1).high for k in range(n + 1)])
    assert binom.pmf(np.arange(n + 1), n, share)[bounds < share].sum() <= 0.05


def test_a_population_that_was_seen_is_known():
    """All 10 of 10: no interval. 10 of 40: t times sqrt(3/4). Without variation: no more than is unseen."""
    graded = np.linspace(0.1, 0.9, 10)
    whole = mean_interval(graded, level=0.95, population=10)
    assert (whole.low, whole.value, whole.high) == pytest.approx((0.5, 0.5, 0.5))
    endless, part = mean_interval(graded, level=0.95), mean_interval(graded, level=0.95, population=40)
    assert part.high - part.low == pytest.approx((endless.high - endless.low) * 0.75**0.5)
    alike = mean_interval([0.5] * 10, level=0.95, population=11)
    assert alike.low == pytest.approx(0.5 - 0.5 / 11)
    assert wilson(7, 10, 0.95, population=10).low == pytest.approx(0.7)
    assert mean_interval([1.0] * 7 + [0.0] * 3, level=0.95, population=12) == wilson(
        7, 10, 0.95, population=12
    )


def test_a_population_counts_clusters_where_there_are_any():
    """5 of 10 texts, two questions each, are half of them."""
    values, groups = np.linspace(0.1, 0.9, 10), list("aabbccddee")
    endless = mean_interval(values, level=0.9, groups=groups)
    part = mean_interval(values, level=0.9, groups=groups, population=10)
    assert part.high - part.value == pytest.approx((endless.high - endless.value) * 0.5**0.5)


@pytest.mark.parametrize("values", [[1.0, 0.0, 1.0], [0.2, 0.4, 0.6]])
def test_a_population_smaller_than_what_was_seen_is_an_error(values):
    """A part cannot be larger than the whole."""
    with pytest.raises(StatsError, match="the population is 2, but 3 were seen"):
        mean_interval(values, level=0.95, population=2)


@pytest.mark.parametrize("graded", [False, True])
def test_intervals_of_a_finite_population_cover_its_mean(graded):
    """1,000 seeded draws of 60 from 100: at a stated 95 % at least 93 % hold the mean of the 100."""
    rng = np.random.default_rng(19)
    everything = rng.beta(4, 2, 100) if graded else (rng.random(100) < 0.8).astype(float)
    estimates = [
        mean_interval(rng.permutation(everything)[:60], level=0.95, population=100) for _ in range(1000)
    ]
    covered = np.mean([e.low <= everything.mean() <= e.high for e in estimates])
    assert 0.93 <= covered <= 0.98


@pytest.mark.parametrize("level", [0, 1, 95])
@pytest.mark.parametrize(
    "method", [lambda level: wilson(1, 2, level), lambda level: mean_interval([0, 0.5], level=level)]
)
def test_a_level_is_a_share(method, level):
    """95 instead of 0.95 is a mistake that a formula would hide."""
    with pytest.raises(StatsError, match="confidence level"):
        method(level)


def test_clustered_error_of_a_hand_worked_case():
    """Two questions on each of three texts.

    Mean 0.5; sums of deviations by text 1, -1, 0; their squares add up to 2;
    sqrt(3 / 2 * 2) / 6 = sqrt(3) / 6.
    """
    scores = np.array([1, 1, 0, 0, 1, 0.0])
    assert standard_error(clustered(scores, ["x", "x", "y", "y", "z", "z"])) == pytest.approx(3**0.5 / 6)


def test_clustered_error_agrees_with_miller_formula():
    """Miller 2024 adds up all covariances within clusters; ours is that times C / (C - 1)."""
    rng = np.random.default_rng(3)
    scores, groups = rng.random(40), rng.integers(8, size=40)
    deviations = scores - scores.mean()
    same = groups[:, None] == groups[None, :]
    miller = np.sqrt((deviations[:, None] * deviations[None, :] * same).sum()) / 40
    count = len(set(groups.tolist()))
    expected = miller * np.sqrt(count / (count - 1))
    assert standard_error(clustered(scores, groups.tolist())) == pytest.approx(expected)


@given(SCORES)
@settings(deadline=None)
def test_clusters_of_one_give_the_plain_error(values):
    """Clustering that joins nothing changes nothing."""
    scores = np.array(values)
    expected = scores.std(ddof=1) / len(scores) ** 0.5
    for groups in (None, list(range(len(scores))), [None] * len(scores)):
        assert standard_error(clustered(scores, groups)) == pytest.approx(expected, abs=1e-12)


def test_graded_scores_get_a_t_interval():
    """0.2, 0.4, 0.6: mean 0.4, sd 0.2, t with 2 degrees of freedom 4.302653, cut at 0."""
    estimate = mean_interval([0.2, 0.4, 0.6], level=0.95)
    assert estimate.high == pytest.approx(0.4 + 4.302653 * 0.2 / 3**0.5)
    assert (estimate.low, estimate.n, estimate.clusters, estimate.method) == (0, 3, 3, "t")


def test_binary_scores_get_a_wilson_interval():
    """Zeros and ones are recognised; with clusters they need the clustered error."""
    values = [1.0] * 8 + [0.0] * 2
    assert mean_interval(values, level=0.95) == wilson(8, 10, 0.95)
    assert mean_interval(values, level=0.95, groups=list("aabbccddee")).method == "clustered t"
    assert mean_interval(values, level=0.95, binary=False).method == "t"
    assert mean_interval([1.0], level=0.95, binary=True) == wilson(1, 1, 0.95)


def test_repeats_of_a_sample_do_not_pass_for_new_samples():
    """Ten copies of each answer leave the interval as wide as it was."""
    values, groups = [0.2, 0.9, 0.4, 0.7, 0.1], list("abcde")
    once = mean_interval(values, level=0.95, groups=groups)
    often = mean_interval(values * 10, level=0.95, groups=groups * 10)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert (often.n, often.clusters) == (50, 5)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_scores_without_variation_are_not_certain(value):
    """With 30 equal clusters, up to 9.5 % of all clusters may well be different."""
    estimate = mean_interval([value] * 60, level=0.95, groups=[i // 2 for i in range(60)])
    unseen = 1 - 0.05 ** (1 / 30)
    assert unseen == pytest.approx(0.095, abs=1e-3)
    assert estimate.low == pytest.approx(value * (1 - unseen))
    assert estimate.high == pytest.approx(value * (1 - unseen) + unseen)
    assert estimate.method == "bound without variation"


def test_the_bound_without_variation_is_clopper_and_pearson():
    """For nothing but successes its lower end is the exact one-sided bound."""
    from scipy.stats import binomtest

    exact = binomtest(25, 25, alternative="greater").proportion_ci(0.9, method="exact").low
    assert unvaried_limits(1, 25, 0.9, low=0, high=1).low == pytest.approx(exact)


@given(BINARY | SCORES, st.booleans())
@settings(deadline=None)
def test_an_interval_contains_its_value_and_stays_within_bounds(values, pairs):
    """0 <= low <= value <= high <= 1, and never a point."""
    groups = [i // 2 for i in range(len(values))] if pairs and len(values) > 2 else None
    estimate = mean_interval(values, level=0.9, groups=groups)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.low < estimate.high


@given(SCORES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_samples_does_not_matter_to_a_mean(values, random):
    """A data set is a set."""
    shuffled = list(values)
    random.shuffle(shuffled)
    plain, other = (mean_interval(v, level=0.95) for v in (values, shuffled))
    assert (plain.value, plain.low, plain.high) == pytest.approx(
        (other.value, other.low, other.high), abs=1e-9
    )


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "expected a list of at least one number"),
        ([[0.5]], {}, "have shape"),
        ([0.5], {}, "at least 2 are needed"),
        ([0.5, 0.6], {"groups": ["a", "a"]}, "at least 2 are needed"),
        ([0.5, 1.5], {}, r"scores\[1\] is 1.5; expected a number from 0 to 1"),
        ([0.5, float("nan")], {}, r"scores\[1\] is nan"),
        ([0.5, 0.6], {"groups": ["a"]}, "1 clusters for 2 values"),
        ([0.5, 0.6], {"binary": True}, "said to be binary"),
    ],
)
def test_what_cannot_be_estimated_is_an_error(values, options, message):
    """An interval is never made up."""
    with pytest.raises(StatsError, match=message):
        mean_interval(values, level=0.95, **options)


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng: (rng.random(40) < 0.9).astype(float), 0.9),
        (lambda rng: rng.beta(4, 2, 30), 2 / 3),
    ],
    ids=["binary", "graded"],
)
def test_intervals_cover_the_truth_as_often_as_they_say(draw, truth):
    """1,000 simulated data sets, seeded: at a stated 95 % at least 93 % contain the true mean."""
    rng = np.random.default_rng(11)
    estimates = [mean_interval(draw(rng), level=0.95) for _ in range(1000)]
    covered = np.mean([estimate.low <= truth <= estimate.high for estimate in estimates])
    assert 0.93 <= covered <= 0.99


def test_clustered_intervals_cover_where_plain_ones_do_not():
    """15 texts of 8 questions that are all right or all wrong together, in part."""
    rng = np.random.default_rng(12)
    groups = [i // 8 for i in range(120)]
    plain = clustered_hits = 0
    for _ in range(400):
        ease = np.repeat(rng.beta(1, 1, 15), 8)
        values = (rng.random(120) < ease).astype(float)
        alone, together = mean_interval(values, level=0.95), mean_interval(values, level=0.95, groups=groups)
        plain += alone.low <= 0.5 <= alone.high
        clustered_hits += together.low <= 0.5 <= together.high
    assert plain / 400 < 0.85
    assert clustered_hits / 400 >= 0.92


def test_bca_limits_agree_with_scipy():
    """On scipy's own resamples, scipy's own limits."""
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).beta(1, 6, 40)
    theirs = bootstrap((values,), np.mean, n_resamples=3000, method="BCa", rng=np.random.default_rng(2))
    jackknife = jackknife_means(values, np.ones(40))
    ours = bca_limits(values.mean(), theirs.bootstrap_distribution, jackknife, 0.95)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)


def test_bca_limits_are_undefined_without_variation():
    """No variation, or a point beyond all resamples: nothing to correct by."""
    flat, varied = np.full(9, 0.5), np.linspace(0, 1, 9)
    assert bca_limits(0.5, flat, varied, 0.95) is None
    assert bca_limits(0.5, varied, flat, 0.95) is None
    assert bca_limits(2.0, varied, varied, 0.95) is None


def test_resampled_means_are_drawn_by_the_cluster():
    """A cluster of three values comes as a whole or not at all; drawing in parts changes no count."""
    means = resampled_means(np.array([0.0, 3.0]), np.array([1.0, 3.0]), resamples=500, seed=5)
    assert len(means) == 500
    assert set(np.round(means, 6)) == {0.0, 0.75, 1.0}
    assert len(resampled_means(np.zeros(500_000), np.ones(500_000), resamples=5, seed=5)) == 5


def test_the_bootstrap_of_a_mean_is_near_its_t_interval():
    """Where a formula exists, resampling finds about the same."""
    values = np.random.default_rng(4).random(200)
    resampled = bootstrap_interval(values, lambda rows: float(np.mean(rows)), level=0.95, seed=1)
    formula = mean_interval(values, level=0.95)
    assert (resampled.low, resampled.high) == pytest.approx((formula.low, formula.high), abs=0.01)
    assert (resampled.n, resampled.clusters, resampled.method) == (200, 200, "BCa bootstrap")


def test_the_bootstrap_draws_clusters_as_a_whole():
    """Ten copies of each row are no new evidence: the interval stays as wide, not a third of it."""
    values = np.random.default_rng(4).random(30)
    groups = list(range(30)) * 10
    mean = np.mean
    once = bootstrap_interval(values, mean, level=0.95, seed=1)
    often = bootstrap_interval(np.tile(values, 10), mean, level=0.95, seed=1, groups=groups)
    naive = bootstrap_interval(np.tile(values, 10), mean, level=0.95, seed=1)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.05)
    assert naive.high - naive.low < (once.high - once.low) / 2
    assert (often.n, often.clusters) == (300, 30)


def test_the_bootstrap_takes_rows_of_several_columns():
    """A metric over labels needs prediction and target of each answer."""
    rows = np.array([["a", "a"], ["b", "a"], ["a", "b"], ["b", "b"]] * 10)
    estimate = bootstrap_interval(rows, lambda r: float(np.mean(r[:, 0] == r[:, 1])), level=0.95, seed=1)
    assert estimate.low < estimate.value == 0.5 < estimate.high


def test_the_bootstrap_is_the_same_for_the_same_seed():
    """Randomness comes from the seed alone."""
    rows = np.random.default_rng(4).integers(3, size=40)
    first, again = (bootstrap_interval(rows, spread, level=0.95, seed=8) for _ in range(2))
    assert first == again


def test_the_bootstrap_falls_back_to_percentiles():
    """A statistic that any single row leaves as it is has no acceleration."""
    rows = np.repeat([0.0, 1.0], 10)
    estimate = bootstrap_interval(rows, lambda r: float(np.mean(r) > 0.4), level=0.95, seed=1)
    assert estimate.method == "percentile bootstrap"
    assert (estimate.low, estimate.high) == (0, 1)


def test_the_bootstrap_without_variation_is_not_certain():
    """A perfect score on 20 answers is 0.86 to 1."""
    estimate = bootstrap_interval(np.ones(20), lambda r: float(np.mean(r)), level=0.95, seed=1)
    assert estimate.low == pytest.approx(0.05 ** (1 / 20))
    assert (estimate.high, estimate.method) == (1, "bound without variation")


def test_the_bootstrap_needs_two_clusters():
    """One cluster resampled is the same cluster."""
    with pytest.raises(StatsError, match="at least 2 are needed"):
        bootstrap_interval(np.zeros(3), np.mean, level=0.95, seed=1, groups=["a"] * 3)


@given(st.lists(st.integers(0, 2), min_size=2, max_size=20), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_a_bootstrap_interval_contains_its_value(values, seed):
    """Also for figures that resampling shifts, as it does the share of the most frequent value."""
    estimate = bootstrap_interval(np.array(values), spread, level=0.9, seed=seed, resamples=100)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
