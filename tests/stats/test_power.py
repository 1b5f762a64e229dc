"""Promises of sample sizes, and of what they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.power import disagreement_sd, pairs_needed, power_of, smallest_difference


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
        (lambda: power_of(0.1, 0, 0.4, 0.95), "at least 1 pair"),
        (lambda: power_of(0.1, 9, 0.4, 95), "confidence level"),
        (lambda: disagreement_sd(1.2), "a share of at most 1"),
        (lambda: disagreement_sd(0.1, -0.2), "no larger than it"),
    ],
)
def test_sizes_are_refused_for_impossible_questions(call, message):
    """A message names the figure that cannot be."""
    with pytest.raises(StatsError, match=message):
        call()


def test_pairs_needed_of_the_published_case():
    """Miller 2024: 3 points, two-sided 5 %, power 80 %, variance of the difference 1/9: 969 questions."""
    assert pairs_needed(0.03, math.sqrt(1 / 9), 0.95, 0.8, sides=2) == 969


@given(st.integers(2, 5000), st.floats(0.01, 1), st.floats(0.05, 0.99), st.sampled_from([1, 2]))
@settings(deadline=None)
def test_power_is_what_the_smallest_difference_was_made_for(n, sd, power, sides):
    """There and back again."""
    difference = smallest_difference(n, sd, 0.95, power, sides=sides)
    assert power_of(difference, n, sd, 0.95, sides=sides) == pytest.approx(power, abs=1e-9)


def test_power_of_hand_worked_cases():
    """Nothing to find: the error rate. No spread: certain. 7 points, 120 pairs, sd 0.3: see below.

    0.07 / (0.3 / sqrt(120)) - 1.644854 = 0.911185; Phi of it is 0.818901.
    """
    assert power_of(0, 50, 0.4, 0.95) == pytest.approx(0.05)
    assert power_of(0.1, 5, 0, 0.95) == 1
    assert power_of(0, 5, 0, 0.95) == 0
    assert power_of(0.07, 120, 0.3, 0.95) == pytest.approx(0.818901, abs=1e-5)


def test_power_agrees_with_simulation():
    """6 points, 120 pairs of which 12 % disagree, one-sided 5 %: as often as said, within 3 points."""
    sd = disagreement_sd(0.12, 0.06)
    draws = np.random.default_rng(17).choice([1.0, -1.0, 0.0], p=[0.09, 0.03, 0.88], size=(4000, 120))
    errors = draws.std(axis=1, ddof=1) / math.sqrt(120)
    found = np.mean(draws.mean(axis=1) / errors > 1.6576)
    assert power_of(0.06, 120, sd, 0.95) == pytest.approx(found, abs=0.03)


@given(st.floats(0, 1), st.floats(-1, 1))
@settings(deadline=None)
def test_disagreement_sd_is_that_of_the_differences(disagree, share):
    """1 with probability (disagree + difference) / 2, -1 with the rest of disagree, else 0."""
    difference = share * disagree
    up, down = (disagree + difference) / 2, (disagree - difference) / 2
    variance = up + down - (up - down) ** 2
    assert disagreement_sd(disagree, difference) == pytest.approx(math.sqrt(max(0, variance)), abs=1e-7)
