"""Promises of tests and limits that rest on disagreements alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.disagreements import mcnemar_p, score_limits, score_p

COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200)).filter(sum)


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


@given(st.integers(0, 60), st.integers(0, 60), st.booleans())
@settings(max_examples=50, deadline=None)
def test_one_side_of_mcnemar_asks_whether_the_first_is_better(only_first, only_second, mid):
    """The binomial tail; mid-p counts what was seen by half, and both directions then add up to 1."""
    from scipy.stats import binom

    total = only_first + only_second
    tail = float(binom.sf(only_first - 1, total, 0.5))
    if mid:
        tail -= float(binom.pmf(only_first, total, 0.5)) / 2
    assert mcnemar_p(only_first, only_second, sides=1, mid=mid) == pytest.approx(tail, abs=1e-12)
    if mid:
        other = mcnemar_p(only_second, only_first, sides=1, mid=True)
        assert tail + other == pytest.approx(1)
        assert mcnemar_p(only_first, only_second, mid=True) == pytest.approx(2 * min(tail, other))


def test_mid_p_of_published_cases():
    """1 and 7 disagreements: 18/256 and 10/256; 6 and 16: 0.034690 (R's contingencytables)."""
    assert mcnemar_p(1, 7) == pytest.approx(18 / 256)
    assert mcnemar_p(1, 7, mid=True) == pytest.approx(10 / 256)
    assert mcnemar_p(6, 16, mid=True) == pytest.approx(0.034690, abs=5e-7)


@pytest.mark.parametrize(
    ("counts", "n", "level", "expected"),
    [
        # R's PropCIs::scoreci.mp(25, 28, 618, 0.9).
        ((28, 25), 618, 0.90, (-0.0148, 0.0247)),
        # R's contingencytables for Fagerland, Lydersen and Laake 2017, chapter 8, complete response.
        ((6, 16), 161, 0.95, (-0.1240, -0.0054)),
    ],
)
def test_score_limits_of_published_cases(counts, n, level, expected):
    """The same numbers as others have, to their four digits."""
    assert tuple(score_limits(*counts, n=n, level=level)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("n", [1, 30, 1000])
def test_score_limits_without_disagreement(n):
    """z^2 / (n + z^2) to both sides."""
    z2 = 1.959963985**2
    limits = score_limits(0, 0, n=n, level=0.95)
    assert tuple(limits) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)), abs=1e-9)


@given(COUNTS, st.floats(0.5, 0.999))
@settings(deadline=None)
def test_score_limits_hold_the_difference_and_are_mirrored(counts, level):
    """-1 <= low <= difference <= high <= 1, never a point, and exactly turned round for b - a."""
    only_first, only_second, rest = counts
    n = only_first + only_second + rest
    limits = score_limits(only_first, only_second, n=n, level=level)
    assert -1 <= limits.low <= (only_first - only_second) / n <= limits.high <= 1
    assert limits.low < limits.high
    mirrored = score_limits(only_second, only_first, n=n, level=level)
    assert (mirrored.low, mirrored.high) == (-limits.high, -limits.low)


@given(COUNTS, st.floats(0.5, 0.999))
@settings(deadline=None)
def test_score_limits_are_where_the_test_turns(counts, level):
    """At the lower limit the one-sided p-value is half of the error."""
    only_first, only_second, rest = counts
    n = only_first + only_second + rest
    low = score_limits(only_first, only_second, n=n, level=level).low
    if -1 < low < (only_first - only_second) / n:
        p = score_p(only_first, only_second, n=n, threshold=low)
        assert p == pytest.approx((1 - level) / 2, abs=1e-6)


def test_score_p_without_margin_is_mcnemars_chi_square():
    """At threshold 0: (first - second) / sqrt(first + second), standard normal (10 and 4: 1.6036)."""
    from scipy.special import ndtr

    assert score_p(10, 4, n=99, threshold=0) == pytest.approx(float(ndtr(-6 / 14**0.5)), abs=1e-12)


@pytest.mark.parametrize("disagree", [0.05, 0.2])
def test_score_limits_cover_the_truth_as_often_as_they_say(disagree):
    """2,000 comparisons of 100 samples: each end errs in about 2.5 %, also where few disagree."""
    shares = [disagree / 2 + 0.015, disagree / 2 - 0.015, 1 - disagree]
    counts = np.random.default_rng(3).multinomial(100, shares, size=2000)
    limits = np.array([score_limits(int(a), int(b), n=100, level=0.95) for a, b, _ in counts])
    assert 0.93 <= np.mean((limits[:, 0] <= 0.03) & (limits[:, 1] >= 0.03)) <= 0.97
    assert np.mean(limits[:, 0] > 0.03) <= 0.045
    assert np.mean(limits[:, 1] < 0.03) <= 0.045


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_limits(3, 3, n=5, level=0.95), "6 disagreements on 5 samples"),
        (lambda: score_limits(0, 0, n=0, level=0.95), "on 0 samples"),
        (lambda: score_limits(-1, 3, n=5, level=0.95), "expected counts"),
        (lambda: score_limits(1, 3, n=5, level=95), "confidence level"),
        (lambda: score_p(1, 3, n=5, threshold=1), "between -1 and 1"),
        (lambda: score_p(1, 3, n=3, threshold=0), "4 disagreements on 3 samples"),
    ],
)
def test_impossible_counts_are_errors(call, message):
    """A message names what cannot be."""
    with pytest.raises(StatsError, match=message):
        call()
