"""Race: decisions on paired samples, worked by hand and as properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from harness.trials.race import (
    Verdict,
    checkpoints,
    clearly_lost,
    leader_of,
    told_value,
    unpromising,
    verdict,
)

binary = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=60)
pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40)


@pytest.mark.parametrize(
    ("n", "marks"),
    [(1, [1]), (8, [8]), (9, [8, 9]), (100, [8, 16, 32, 64, 100]), (64, [8, 16, 32, 64])],
)
def test_a_race_looks_after_8_16_32_and_at_the_end(n, marks):
    """Looks double, so that there are few of them."""
    assert checkpoints(n) == marks


@settings(deadline=None)
@given(st.integers(1, 100_000))
def test_checkpoints_rise_to_the_end(n):
    """Every mark is new, and the last one is all there is."""
    marks = checkpoints(n)
    assert marks == sorted(set(marks))
    assert marks[-1] == n


def test_a_verdict_by_hand():
    """Differences -1, 0, -1, 0: mean -0.5, and the t-test that scipy makes of them."""
    arm, leader = np.array([0.0, 1.0, 0.0, 1.0]), np.ones(4)
    standing = verdict(arm, leader)
    assert (standing.difference, standing.n) == (-0.5, 4)
    assert standing.p_loses == pytest.approx(ttest_1samp(arm - leader, 0.0, alternative="less").pvalue)


def test_a_verdict_looks_at_common_samples_only():
    """What one of them did not answer decides nothing."""
    nan = math.nan
    arm, leader = np.array([1.0, nan, 0.0, 1.0]), np.array([1.0, 0.0, nan, 0.0])
    standing = verdict(arm, leader)
    assert (standing.difference, standing.n) == (0.5, 2)


@pytest.mark.parametrize("arm", [[math.nan, math.nan], [1.0, math.nan]])
def test_fewer_than_two_common_samples_are_no_evidence(arm):
    """Without evidence nobody has lost."""
    standing = verdict(np.array(arm), np.zeros(2))
    assert standing.difference == 0.0
    assert not clearly_lost(standing)
    assert not unpromising(standing)


@settings(deadline=None)
@given(pairs)
def test_exchanging_the_two_turns_the_difference_round(rows):
    """What one is ahead, the other is behind, and both cannot have lost."""
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    there, back = verdict(first, second), verdict(second, first)
    assert there.difference == pytest.approx(-back.difference)
    assert not (clearly_lost(there) and clearly_lost(back))


@settings(deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(rows, dice):
    """A race decides the same in whatever order answers arrive."""
    shuffled = list(rows)
    dice.shuffle(shuffled)
    one, other = (verdict(*(np.array(c) for c in zip(*r, strict=True))) for r in (rows, shuffled))
    assert one.difference == pytest.approx(other.difference)
    assert one.p_loses == pytest.approx(other.p_loses, abs=1e-6)


def test_the_leader_has_the_best_mean():
    """Means are taken over what is known."""
    values = [np.array([1.0, 0.0, math.nan]), np.array([1.0, 1.0, 0.0]), np.full(3, math.nan)]
    assert leader_of(values, [1.0, 5.0, 0.1]) == 1


def test_equal_means_go_to_the_cheaper_then_to_the_earlier():
    """Ties are decided, and always in the same way."""
    same = [np.array([1.0, 0.0])] * 3
    assert leader_of(same, [2.0, 1.0, 1.0]) == 1
    assert leader_of(same, [1.0, 1.0, 1.0]) == 0


def test_arms_without_values_have_a_leader_too():
    """Somebody has to go on."""
    assert leader_of([np.full(2, math.nan)] * 2, [2.0, 1.0]) == 1


def test_nobody_is_dropped_before_the_first_look_counts():
    """8 samples for a challenger, 16 for an arm of the pool, however bad they look."""
    assert not clearly_lost(Verdict(-1.0, 0.0, 15))
    assert clearly_lost(Verdict(-1.0, 0.0, 16))
    assert not unpromising(Verdict(-1.0, 0.0, 7))
    assert unpromising(Verdict(-1.0, 0.0, 8))


@pytest.mark.parametrize("n", [8, 16, 32, 64, 128, 1000])
def test_an_arm_that_is_not_behind_goes_on(n):
    """Whoever is level or ahead has neither lost nor is it without promise."""
    level = verdict(np.ones(n), np.ones(n))
    ahead = verdict(np.ones(n), np.zeros(n))
    for standing in (level, ahead):
        assert not clearly_lost(standing)
        assert not unpromising(standing)


@settings(deadline=None)
@given(binary)
def test_identical_answers_never_part_two_arms(values):
    """Settings that answer alike are never told apart."""
    column = np.array(values)
    standing = verdict(column, column.copy())
    assert not clearly_lost(standing)
    assert not unpromising(standing)


@settings(deadline=None)
@given(st.integers(8, 4000), st.floats(0, 0.6), st.floats(-1, 0))
def test_a_bar_that_rises_forgives_less_with_more_samples(n, p, difference):
    """What has no promise after n samples would have none after 2n with the same p."""
    if unpromising(Verdict(difference, p, n)):
        assert unpromising(Verdict(difference, p, 2 * n))


def test_a_told_value_by_hand():
    """0.8 - 0.2 * 14 / (14 + 6) = 0.66."""
    assert told_value(0.8, Verdict(-0.2, 0.1, 14)) == pytest.approx(0.66)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(-1, 1), st.integers(0, 1000))
def test_a_short_trial_tells_less_of_its_difference(mean, difference, n):
    """The told value lies between the champion's mean and the raw difference, nearer with more samples."""
    short, long = (abs(told_value(mean, Verdict(difference, 0.5, k)) - mean) for k in (n, n + 1))
    assert short <= long + 1e-12
    assert long <= abs(difference) + 1e-12
