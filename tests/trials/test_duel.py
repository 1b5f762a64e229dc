"""Duel: decisions on paired samples, worked by hand and as properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from harness.trials.duel import Verdict, checkpoints, shrunk, unpromising, verdict, wins

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
    assert not unpromising(standing)
    assert not wins(standing)


@settings(deadline=None)
@given(pairs)
def test_exchanging_the_two_turns_the_difference_round(rows):
    """What one is ahead, the other is behind, and both cannot have won."""
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    there, back = verdict(first, second), verdict(second, first)
    assert there.difference == pytest.approx(-back.difference)
    assert not (wins(there) and wins(back))


@settings(deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(rows, dice):
    """A race decides the same in whatever order answers arrive."""
    shuffled = list(rows)
    dice.shuffle(shuffled)
    one, other = (verdict(*(np.array(c) for c in zip(*r, strict=True))) for r in (rows, shuffled))
    assert one.difference == pytest.approx(other.difference)
    assert one.p_loses == pytest.approx(other.p_loses, abs=1e-6)


def test_nobody_is_dropped_or_through_before_the_first_look_counts():
    """8 samples to give way, 32 to win, however clear it looks."""
    assert not unpromising(Verdict(-1.0, 0.0, 7))
    assert unpromising(Verdict(-1.0, 0.0, 8))
    assert not wins(Verdict(1.0, 1.0, 31))
    assert wins(Verdict(1.0, 1.0, 32))


@pytest.mark.parametrize("n", [8, 16, 32, 64, 128, 1000])
def test_an_arm_that_is_not_behind_goes_on(n):
    """Whoever is level or ahead has neither lost nor is it without promise."""
    level = verdict(np.ones(n), np.ones(n))
    ahead = verdict(np.ones(n), np.zeros(n))
    for standing in (level, ahead):
        assert not unpromising(standing)


@settings(deadline=None)
@given(binary)
def test_identical_answers_never_part_two_arms(values):
    """Settings that answer alike are never told apart."""
    column = np.array(values)
    standing = verdict(column, column.copy())
    assert not unpromising(standing)
    assert not wins(standing)


@settings(deadline=None)
@given(st.integers(8, 4000), st.floats(0, 0.6), st.floats(-1, 0))
def test_a_bar_that_rises_forgives_less_with_more_samples(n, p, difference):
    """What has no promise after n samples would have none after 2n with the same p."""
    if unpromising(Verdict(difference, p, n)):
        assert unpromising(Verdict(difference, p, 2 * n))


def test_a_shrunk_difference_by_hand():
    """-0.2 * 14 / (14 + 6) = -0.14."""
    assert shrunk(Verdict(-0.2, 0.1, 14)) == pytest.approx(-0.14)


@settings(deadline=None)
@given(st.floats(-1, 1), st.integers(0, 1000))
def test_a_short_trial_tells_less_of_its_difference(difference, n):
    """What is told lies between nothing and the raw difference, nearer to it with more samples."""
    short, long = (abs(shrunk(Verdict(difference, 0.5, k))) for k in (n, n + 1))
    assert short <= long + 1e-12
    assert long <= abs(difference) + 1e-12
