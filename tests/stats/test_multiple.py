"""Promises of p-values that allow for how many were asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.multiple import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_holm_of_a_hand_worked_case():
    """0.01, 0.02, 0.03, 0.04 in another order: 4 x 0.01, 3 x 0.02, 2 x 0.03, and not less for 0.04."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_benjamini_hochberg_of_the_published_case():
    """The 15 p-values of Benjamini and Hochberg 1995, section 3.2: four found at 5 %, by Holm three."""
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    assert np.count_nonzero(benjamini_hochberg(published) <= 0.05) == 4
    assert np.count_nonzero(holm(published) <= 0.05) == 3
    assert benjamini_hochberg(published)[3] == pytest.approx(0.0095 * 15 / 4)


@given(P_VALUES)
@settings(deadline=None)
def test_benjamini_hochberg_agrees_with_scipy(values):
    """The same as scipy's."""
    from scipy.stats import false_discovery_control

    assert benjamini_hochberg(values) == pytest.approx(false_discovery_control(values), abs=1e-12)


@given(P_VALUES, st.floats(0.001, 0.5))
@settings(deadline=None)
def test_holm_rejects_what_its_steps_reject(values, alpha):
    """From the smallest on: while the i-th of k is at most alpha / (k - i), i from 0."""
    order = np.argsort(values, kind="stable")
    rejected = np.zeros(len(values), dtype=bool)
    for step, test in enumerate(order):
        if values[test] * (len(values) - step) > alpha:
            break
        rejected[test] = True
    assert ((holm(values) <= alpha) == rejected).all()


@given(P_VALUES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_adjusted_values_belong_to_their_tests(values, random):
    """In any order: never below the plain one, never above 1, and Holm is never below the other."""
    order = list(range(len(values)))
    random.shuffle(order)
    array = np.array(values)
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(array)
        assert ((adjusted >= array) & (adjusted <= 1)).all()
        assert adjust(array[order]) == pytest.approx(adjusted[order])
    assert (holm(array) >= benjamini_hochberg(array) - 1e-15).all()


def test_no_tests_need_no_adjustment():
    """An empty list stays one."""
    assert len(holm([])) == len(benjamini_hochberg([])) == 0


@pytest.mark.parametrize("values", [[1.2], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_value_is_an_error(values):
    """A probability is one."""
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(StatsError, match="numbers from 0 to 1"):
            adjust(values)
