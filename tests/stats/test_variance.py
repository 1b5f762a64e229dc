"""Promises of the parts that noise is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.variance import VarianceParts, variance_parts


def simulated(seed, shape, *, between, sampling, judging):
    """Scores around 0 with these variances, small enough to stay within -1 and 1."""
    rng = np.random.default_rng(seed)
    samples, repeats, judges = shape
    return (
        rng.normal(0, math.sqrt(between), (samples, 1, 1))
        + rng.normal(0, math.sqrt(sampling), (samples, repeats, 1))
        + rng.normal(0, math.sqrt(judging), (samples, repeats, judges))
    )


def test_parts_of_a_hand_worked_case():
    """Two samples, two answers each: (0, 0.2) and (0.6, 1).

    Means 0.1 and 0.8; within: (0.02 + 0.08) / 2 = 0.05; between: 2 x 0.245 = 0.49, (0.49 - 0.05) / 2 = 0.22.
    """
    parts = variance_parts([[0, 0.2], [0.6, 1]])
    assert (parts.between, parts.sampling, parts.judging) == (pytest.approx(0.22), pytest.approx(0.05), None)


def test_parts_agree_with_a_one_way_analysis_of_variance():
    """The mean squares of scipy's F: between over within."""
    from scipy.stats import f_oneway

    scores = np.random.default_rng(1).random((30, 4)) * 0.5 + np.linspace(0, 0.5, 30)[:, None]
    parts = variance_parts(scores)
    assert (4 * parts.between + parts.sampling) / parts.sampling == pytest.approx(
        f_oneway(*scores).statistic, abs=1e-9
    )


@given(st.integers(0, 100), st.integers(2, 10), st.integers(2, 4), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_parts_give_back_the_usual_standard_error(seed, samples, repeats, judges):
    """For the numbers at hand, the error of the mean of per-sample means, unless a part was cut at 0."""
    scores = np.random.default_rng(seed).random((samples, repeats, judges))
    parts = variance_parts(scores)
    usual = scores.mean(axis=(1, 2)).std(ddof=1) / math.sqrt(samples)
    error = parts.standard_error(samples, repeats, judges)
    if parts.between > 0 and parts.sampling > 0:
        assert error == pytest.approx(usual)
    else:
        assert error >= usual - 1e-12


def test_parts_of_a_simulated_case_are_found():
    """4,000 samples, 3 answers, 2 verdicts: within some percent of what went in."""
    scores = simulated(2, (4000, 3, 2), between=0.02, sampling=0.01, judging=0.005)
    parts = variance_parts(scores)
    assert parts.between == pytest.approx(0.02, rel=0.1)
    assert parts.sampling == pytest.approx(0.01, rel=0.1)
    assert parts.judging == pytest.approx(0.005, rel=0.1)


def test_what_is_not_repeated_is_part_of_the_one_before():
    """One answer each: sampling is part of between. One verdict each: judging is part of sampling."""
    scores = simulated(3, (4000, 3, 2), between=0.02, sampling=0.01, judging=0.005)
    once = variance_parts(scores[:, :1])
    assert (once.sampling, once.between) == (None, pytest.approx(0.03, rel=0.1))
    unjudged = variance_parts(scores[:, :, 0])
    assert (unjudged.judging, unjudged.sampling) == (None, pytest.approx(0.015, rel=0.1))
    single = variance_parts(scores[:, 0, 0][:, None])
    assert single == VarianceParts(pytest.approx(0.035, rel=0.1), None, None)


def test_samples_with_unknown_scores_are_left_out():
    """As if they had never been there."""
    scores = np.random.default_rng(4).random((20, 3))
    broken = np.vstack([scores, [0.5, math.nan, 0.5]])
    assert variance_parts(broken) == variance_parts(scores)


def test_a_negative_estimate_is_none_at_all():
    """Samples more alike than chance would have them differ by nothing."""
    assert variance_parts([[0, 1], [1, 0], [0, 1]]).between == 0


def test_new_samples_are_worth_more_than_repeats():
    """200 answers: of 200 samples a smaller error than of 100 twice; repeats never hurt."""
    parts = VarianceParts(0.15, 0.08, None)
    assert parts.standard_error(200) < parts.standard_error(100, 2) < parts.standard_error(100)
    assert parts.standard_error(100, 2) == pytest.approx(math.sqrt((0.15 + 0.04) / 100))
    judged = VarianceParts(0.15, 0.08, 0.02)
    assert judged.standard_error(50, 2, 2) == pytest.approx(math.sqrt((0.15 + 0.09 / 2) / 50))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: variance_parts([0.1, 0.2]), r"expected \(samples, repeats\)"),
        (lambda: variance_parts([[0.1, 2], [0, 0]]), "out of range"),
        (lambda: variance_parts([[0.1, 0.2], [0.1, math.nan]]), "1 samples have all"),
        (lambda: VarianceParts(0.1, None, None).standard_error(0), "at least 1"),
        (lambda: VarianceParts(0.1, None, None).standard_error(10, 2), "is unknown"),
        (lambda: VarianceParts(0.1, 0.1, None).standard_error(10, 2, 2), "is unknown"),
    ],
)
def test_what_cannot_be_split_is_an_error(call, message):
    """A message says what is missing."""
    with pytest.raises(StatsError, match=message):
        call()
