"""Promises of rates that a judge's errors are taken out of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.intervals import wilson
from harness.stats.judged import Effective, Passed, chance_p, corrected_rate, labels_needed

COUNTS = st.integers(1, 60).flatmap(lambda n: st.builds(Passed, st.integers(0, n), st.just(n)))


def test_a_rate_of_a_hand_worked_case():
    """70 of 100 pass; 45 of 50 good and 10 of 50 bad do: (0.7 - 0.2) / (0.9 - 0.2) = 0.7143."""
    estimate = corrected_rate(Passed(70, 100), Passed(45, 50), Passed(10, 50), 0.95)
    assert estimate.value == pytest.approx(0.5 / 0.7)
    assert (estimate.low < 0.6, estimate.high > 0.8) == (True, True)
    assert (estimate.n, estimate.level, estimate.method) == (100, 0.95, "Rogan-Gladen")


def test_the_interval_of_a_hand_worked_case():
    """The same by the steps of Lang and Reiczigel, z = 2 for easy numbers (level 0.9544997).

    rate 72/104 = 0.692308, good 46/52 = 0.884615, bad 11/52 = 0.211538; shifted 0.480769 / 0.673077 =
    0.714286; variances 0.213018/104 = 0.00204825, 0.102071/52 = 0.00196290, 0.166790/52 = 0.00320750;
    half 2 sqrt(0.00204825 + 0.510204 * 0.00196290 + 0.0816327 * 0.00320750) / 0.673077 = 0.170994;
    centre 0.714286 + 8 (0.714286 * 0.00196290 - 0.285714 * 0.00320750) = 0.718171.
    """
    estimate = corrected_rate(Passed(70, 100), Passed(45, 50), Passed(10, 50), 0.9544997361)
    assert (estimate.low, estimate.high) == pytest.approx(
        (0.718171 - 0.170994, 0.718171 + 0.170994), abs=2e-5
    )


def test_a_judge_that_never_errs_leaves_the_rate_alone():
    """With many labels: nearly the interval of a plain share."""
    estimate = corrected_rate(Passed(70, 100), Passed(9999, 9999), Passed(0, 9999), 0.95)
    plain = wilson(70, 100, 0.95)
    assert estimate.value == pytest.approx(0.7)
    assert (estimate.low, estimate.high) == pytest.approx((plain.low, plain.high), abs=0.02)


@given(COUNTS, COUNTS, COUNTS)
@settings(deadline=None)
def test_a_corrected_rate_is_a_rate_or_an_error(unknown, good, bad):
    """0 <= low <= value <= high <= 1, or the judge does not tell good from bad."""
    if good.passed / good.n <= bad.passed / bad.n:
        with pytest.raises(StatsError, match="does not tell them apart"):
            corrected_rate(unknown, good, bad, 0.9)
        return
    try:
        estimate = corrected_rate(unknown, good, bad, 0.9)
    except StatsError:
        return
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("labels", [40, 100])
@pytest.mark.parametrize(("truth", "sensitivity", "specificity"), [(0.6, 0.9, 0.85), (0.7, 0.8, 0.9)])
def test_the_interval_covers_the_truth_as_often_as_it_says(truth, sensitivity, specificity, labels):
    """1,000 judges of 200 answers, 40 or 100 labels of each kind: 93 to 97 % at a stated 95 %."""
    rng = np.random.default_rng(31)
    passing = truth * sensitivity + (1 - truth) * (1 - specificity)
    covered = 0
    for passed, good, bad in zip(
        rng.binomial(200, passing, 1000),
        rng.binomial(labels, sensitivity, 1000),
        rng.binomial(labels, 1 - specificity, 1000),
        strict=True,
    ):
        known = (Passed(int(good), labels), Passed(int(bad), labels))
        estimate = corrected_rate(Passed(int(passed), 200), *known, 0.95)
        covered += estimate.low <= truth <= estimate.high
    assert 0.93 <= covered / 1000 <= 0.97


def test_a_perfect_judge_leaves_the_rate_of_alike_answers_alone():
    """5 of 8 that tell as much as 7 independent ones are 5 of 8, and not 4 of 7."""
    perfect = (Passed(40, 40), Passed(0, 40))
    found = corrected_rate(Effective(5 / 8 * 7, 7), *perfect, 0.95)
    assert found.value == pytest.approx(5 / 8, abs=1e-9)
    whole = corrected_rate(Passed(5, 8), *perfect, 0.95)
    assert found.high - found.low > whole.high - whole.low


@pytest.mark.parametrize(("right", "needed"), [(0.8, 32), (0.75, 45)])
def test_so_many_labels_tell_a_judge_from_chance_in_four_of_five_runs(right, needed):
    """As many as are named, of good and bad answers alike, at an error of 1 %."""
    good = Passed(round(20 * right), 20)
    assert labels_needed(good, Passed(20 - good.passed, 20), 0.99, 0.8) == needed
    half, rng = needed // 2, np.random.default_rng(4)
    told = [
        chance_p(Passed(int(one), half), Passed(int(other), half)) < 0.01
        for one, other in zip(rng.binomial(half, right, 600), rng.binomial(half, 1 - right, 600), strict=True)
    ]
    assert np.mean(told) == pytest.approx(0.8, abs=0.08)


def test_no_number_of_labels_tells_a_judge_by_lot():
    """And a perfect one takes few."""
    assert labels_needed(Passed(10, 20), Passed(10, 20), 0.99, 0.8) is None
    assert labels_needed(Passed(10, 10), Passed(0, 10), 0.99, 0.8) <= 20


def test_the_lady_tasting_tea():
    """All four right of eight: 1/70; three: 17/70 (Fisher 1935)."""
    assert chance_p(Passed(4, 4), Passed(0, 4)) == pytest.approx(1 / 70)
    assert chance_p(Passed(3, 4), Passed(1, 4)) == pytest.approx(17 / 70)


@given(COUNTS, COUNTS)
@settings(deadline=None)
def test_chance_p_agrees_with_scipy(good, bad):
    """Fisher's exact test, one-sided."""
    from scipy.stats import fisher_exact

    table = [[good.passed, good.n - good.passed], [bad.passed, bad.n - bad.passed]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert chance_p(good, bad) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("counts", [Passed(-1, 3), Passed(4, 3), Passed(0, 0)])
def test_impossible_counts_are_errors(counts):
    """A share needs a whole to be a share of."""
    fine = Passed(1, 2)
    for call in (
        lambda: corrected_rate(counts, fine, fine, 0.95),
        lambda: chance_p(counts, fine),
        lambda: chance_p(fine, counts),
    ):
        with pytest.raises(StatsError, match="expected from 0 to n"):
            call()
