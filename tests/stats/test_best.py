"""Promises of statements about several arms that hold together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.best import best_set, simultaneous_differences
from harness.stats.multiple import holm
from harness.stats.paired import exceeds_p

MATRIX = st.integers(2, 5).flatmap(
    lambda arms: st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=arms, max_size=arms), min_size=3, max_size=20
    )
)


def answers(rng, qualities, n):
    """Right and wrong answers; which samples are hard is much the same for all arms."""
    from scipy.special import ndtri

    hard = 0.7**0.5 * rng.normal(size=n) + 0.3**0.5 * rng.normal(size=(len(qualities), n))
    return (hard < ndtri(np.array(qualities))[:, None]).astype(float)


def test_of_two_the_worse_has_the_p_of_the_paired_t_test():
    """One-sided, but for the noise of 10,000 draws."""
    from scipy.stats import ttest_rel

    scores = np.random.default_rng(1).random((2, 40))
    best = best_set(scores, level=0.95, seed=1)
    worse = int(np.argmin(scores.mean(axis=1)))
    expected = ttest_rel(scores[worse], scores[1 - worse], alternative="less").pvalue
    assert best.p_values[worse] == pytest.approx(expected, abs=0.01)
    assert best.p_values[1 - worse] == 1


def test_of_three_the_worst_has_the_p_of_a_multivariate_t():
    """The largest of two correlated t statistics with 29 degrees of freedom."""
    from scipy.stats import multivariate_t

    scores = np.random.default_rng(2).random((3, 30)) + np.array([[0.0], [0.1], [0.15]])
    scores /= 2
    leads = scores[1:] - scores[0]
    errors = leads.std(axis=1, ddof=1) / 30**0.5
    largest = (leads.mean(axis=1) / errors).max()
    expected = 1 - multivariate_t(shape=np.corrcoef(leads), df=29, seed=1).cdf([largest, largest])
    assert best_set(scores, level=0.95, seed=1).p_values[0] == pytest.approx(expected, abs=0.01)


def test_the_difference_of_two_has_the_paired_t_interval():
    """With one rival there is nothing to allow for."""
    from scipy.stats import ttest_rel

    scores = np.random.default_rng(3).random((2, 40))
    found = simultaneous_differences(scores, 0, level=0.9, seed=1)
    test = ttest_rel(scores[1], scores[0])
    low, high = test.confidence_interval(0.9)
    assert (found.low[1], found.high[1]) == pytest.approx((low, high), abs=0.005)
    assert found.p_values[1] == pytest.approx(test.pvalue, abs=0.015)
    assert (found.values[0], found.low[0], found.high[0], found.p_values[0]) == (0, 0, 0, 1)


@given(MATRIX, st.floats(0.5, 0.99))
@settings(max_examples=25, deadline=None)
def test_the_leader_is_always_a_member(rows, level):
    """Whoever has the highest mean may be the best; intervals hold their difference."""
    scores = np.array(rows).T
    best = best_set(scores, level=level, seed=1)
    assert best.members[np.argmax(scores.mean(axis=1))]
    assert ((best.p_values > 0) & (best.p_values <= 1)).all()
    found = simultaneous_differences(scores, 0, level=level, seed=1)
    assert (found.low <= found.values).all()
    assert (found.values <= found.high).all()
    assert (np.abs([found.low, found.high]) <= 1).all()


@given(MATRIX)
@settings(max_examples=25, deadline=None)
def test_repeats_are_no_new_evidence(rows):
    """Each sample three times, as one cluster: the same members and intervals."""
    scores = np.array(rows).T
    groups = list(range(scores.shape[1])) * 3
    once, often = (
        best_set(scores, level=0.9, seed=1),
        best_set(np.tile(scores, 3), level=0.9, seed=1, groups=groups),
    )
    assert often.p_values == pytest.approx(once.p_values, abs=0.02)
    lone = simultaneous_differences(scores, 0, level=0.9, seed=1)
    tiled = simultaneous_differences(np.tile(scores, 3), 0, level=0.9, seed=1, groups=groups)
    assert tiled.low == pytest.approx(lone.low, abs=0.03)


def test_copies_of_an_arm_stand_and_fall_together():
    """Two arms that give the same answers have the same p-value, and no difference that could be seen."""
    scores = answers(np.random.default_rng(4), [0.9, 0.6], 100)
    scores = np.vstack([scores, scores[1]])
    best = best_set(scores, level=0.95, seed=1)
    assert best.members.tolist() == [True, False, False]
    assert best.p_values[1] == best.p_values[2]
    found = simultaneous_differences(scores, 1, level=0.95, seed=1)
    unseen = 1 - 0.025 ** (1 / 100)
    assert (found.low[2], found.high[2], found.p_values[2]) == (
        pytest.approx(-unseen),
        pytest.approx(unseen),
        1,
    )


@pytest.mark.parametrize(("n", "p"), [(4, 2 * 0.5**3), (20, 2 * 0.5**19)])
def test_always_behind_by_the_same_is_as_telling_as_throws_of_a_coin(n, p):
    """0.5 behind on all samples: no spread, and not certain; 4 samples are not enough to say so."""
    scores = np.array([[0.3] * n, [0.8] * n, [0.8] * n])
    best = best_set(scores, level=0.95, seed=1)
    assert best.p_values == pytest.approx([p, 1, 1])
    found = simultaneous_differences(scores, 1, level=0.95, seed=1)
    assert found.p_values[0] == pytest.approx(p)
    assert found.low[0] < -0.5 < found.high[0]


def test_adjusted_differences_are_between_one_and_all():
    """Never below the p-value of one comparison, hardly above Holm's, in the order of the evidence."""
    scores = answers(np.random.default_rng(5), [0.8, 0.77, 0.74, 0.7, 0.65], 150)
    found = simultaneous_differences(scores, 0, level=0.95, seed=1)
    alone = np.array([2 * exceeds_p(scores[0], scores[arm], 0.0, seed=1, method="t") for arm in range(1, 5)])
    assert (found.p_values[1:] >= alone - 0.01).all()
    assert (found.p_values[1:] <= holm(np.minimum(alone, 1)) + 0.01).all()
    assert (np.diff(found.p_values[1:][np.argsort(alone)]) >= 0).all()


@pytest.mark.parametrize("qualities", [[0.8] * 4, [0.95, 0.95, 0.9, 0.9]])
def test_the_best_is_a_member_as_often_as_stated(qualities):
    """400 comparisons of 100 samples at 95 %: the first, who is the best, is left out in at most 5 %."""
    rng = np.random.default_rng(6)
    out = sum(
        not best_set(answers(rng, qualities, 100), level=0.95, seed=run).members[0] for run in range(400)
    )
    assert out / 400 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_all_intervals_hold_together_as_often_as_stated():
    """400 comparisons of 4 arms and 200 samples: all three differences are within in 95 %, give or take."""
    rng = np.random.default_rng(7)
    truth = np.array([0, 0, -0.05, -0.1])
    covered = 0
    for run in range(400):
        found = simultaneous_differences(answers(rng, 0.8 + truth, 200), 0, level=0.95, seed=run)
        covered += ((found.low <= truth + 1e-9) & (truth - 1e-9 <= found.high)).all()
    assert 0.93 <= covered / 400 <= 0.98


def test_the_same_seed_gives_the_same_set():
    """Randomness comes from the seed alone."""
    scores = answers(np.random.default_rng(8), [0.8, 0.75, 0.7], 60)
    first, again = (best_set(scores, level=0.95, seed=3).p_values for _ in range(2))
    assert (first == again).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_set([0.1, 0.2], level=0.95, seed=1), r"expected \(arms, n\)"),
        (lambda: best_set(np.zeros((2, 0)), level=0.95, seed=1), r"expected \(arms, n\)"),
        (lambda: best_set([[0.1, 2]], level=0.95, seed=1), "expected a number from 0 to 1"),
        (lambda: best_set([[0.1], [0.2]], level=0.95, seed=1), "at least 2 are needed"),
        (lambda: best_set([[0.1, 0.2]], level=95, seed=1), "confidence level"),
        (lambda: best_set([[0.1, 0.2]], level=0.9, seed=1, groups=["a"]), "1 clusters for 2 values"),
        (lambda: simultaneous_differences([[0.1, 0.2]], 1, level=0.9, seed=1), "row 1 of 1"),
    ],
)
def test_what_cannot_be_compared_is_an_error(call, message):
    """A message says what is wrong."""
    with pytest.raises(StatsError, match=message):
        call()
