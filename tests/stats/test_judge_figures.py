"""Promises of agreement and bias of a judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.judged import Passed, kappa, verbosity_bias

COUNTS = st.integers(1, 40).flatmap(lambda n: st.builds(Passed, st.integers(0, n), st.just(n)))


def test_kappa_of_a_hand_worked_case():
    """20 of 25 good and 10 of 25 bad pass: observed 0.7, expected 0.6 * 0.5 + 0.4 * 0.5 = 0.5, kappa 0.4."""
    assert kappa(Passed(20, 25), Passed(10, 25)) == pytest.approx(0.4)


@given(COUNTS, COUNTS)
@settings(deadline=None)
def test_kappa_agrees_with_scikit_learn(good, bad):
    """On the labels that make these counts."""
    from sklearn.metrics import cohen_kappa_score

    people = [1] * good.n + [0] * bad.n
    judge = [1] * good.passed + [0] * (good.n - good.passed) + [1] * bad.passed + [0] * (bad.n - bad.passed)
    assert kappa(good, bad) == pytest.approx(cohen_kappa_score(people, judge), abs=1e-9)


def test_verbosity_bias_of_a_hand_worked_case():
    """Of four long bad answers three pass, of four short bad ones one: 0.75 - 0.25 = 0.5.

    Variance (4 * 0.1875 + 0.5) / 16 in each half, 0.15625 together; 1.96 standard errors are 0.7747.
    """
    passed = [True, True, True, False, True, False, False, False]
    bias = verbosity_bias(passed, [False] * 8, [90, 80, 70, 60, 50, 40, 30, 20], 0.95)
    assert bias.value == pytest.approx(0.5)
    assert (bias.low, bias.high) == pytest.approx((0.5 - 0.7747, 1.0), abs=1e-3)


def test_longer_answers_that_are_better_are_no_bias():
    """A judge that is always right has none, whatever good answers look like."""
    good = [True] * 10 + [False] * 10
    bias = verbosity_bias(good, good, [*range(100, 110), *range(10)], 0.95)
    assert bias.value == 0
    assert bias.low < 0 < bias.high


def test_a_bias_towards_length_is_found():
    """A judge that passes whatever is long: half of the long ones are bad, half of the short ones good."""
    good = np.arange(200) % 2 == 0
    lengths = np.arange(200)
    bias = verbosity_bias(lengths > 100, good, lengths, 0.95)
    assert bias.value == pytest.approx(1.0, abs=0.02)
    assert bias.low > 0.8


def test_answers_of_one_length_tell_nothing_of_verbosity():
    """There are no longer ones."""
    with pytest.raises(StatsError, match="of about one length"):
        verbosity_bias([True, False], [True, True], [5, 5], 0.95)
