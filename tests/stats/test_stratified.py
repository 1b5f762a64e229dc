"""Tests with a margin where strata count by weights: from the tests of each stratum, and never too sure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.margins import margin_p, paired_spread
from harness.stats.strata import Strata
from harness.stats.stratified import WeightedMargins

RNG = np.random.default_rng(5)
ALPHA = 0.05


def answers(lost, gained, n):
    """Right and wrong answers of two, of which the second has so many only wrong, and only right."""
    place = np.arange(n)
    first = (place >= gained) * 1.0
    return first, np.where((place >= gained) & (place < gained + lost), 0.0, 1.0)


BINARY = answers(3, 14, 80)
GRADED = (RNG.beta(8, 3, 60), RNG.beta(8, 4, 60))
TEXTS = [f"text-{place // 4}" for place in range(80)]


def one_stratum(first, second, groups=None):
    """Both columns as the only stratum."""
    strata = Strata(np.zeros(len(first), np.intp), (1.0,))
    return WeightedMargins.of(second, first, strata, seed=1, groups=groups)


@pytest.mark.parametrize(("columns", "groups"), [(BINARY, None), (GRADED, None), (BINARY, TEXTS)])
@pytest.mark.parametrize("threshold", [-0.1, -0.02, 0.05, 0.12])
def test_one_stratum_is_tested_as_without_strata(columns, groups, threshold):
    """By the tests of margins, up to how finely limits are computed; from one half on, 1."""
    first, second = columns
    found = one_stratum(first, second, groups)
    for p, exact in (
        (found.above_p(threshold), margin_p(second, first, threshold, seed=1, groups=groups)),
        (found.below_p(threshold), margin_p(first, second, -threshold, seed=1, groups=groups)),
    ):
        assert p == 1 if exact > 0.5 else p == pytest.approx(exact, rel=0.25, abs=0.001)


def test_a_hand_worked_pair_of_tasks():
    """Of three quarters and one: distances of the bounds add up as squares, weighted; values as they are."""
    many, few = answers(4, 10, 60), answers(1, 5, 20)
    columns = [np.concatenate(pair) for pair in zip(many, few, strict=True)]
    strata = Strata(np.repeat([0, 1], [60, 20]), (0.75, 0.25))
    found = WeightedMargins.of(columns[1], columns[0], strata, seed=1).bounds(0.95)
    parts = [one_stratum(*pair).bounds(0.95) for pair in (many, few)]
    assert found.value == pytest.approx(0.75 * 6 / 60 + 0.25 * 4 / 20)
    below = math.hypot(*(w * (p.value - p.low) for w, p in zip(strata.weights, parts, strict=True)))
    above = math.hypot(*(w * (p.high - p.value) for w, p in zip(strata.weights, parts, strict=True)))
    assert (found.low, found.high) == pytest.approx((found.value - below, found.value + above))
    assert (found.n, found.clusters) == (80, 80)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(12, 40), st.floats(0.1, 1)),
        min_size=2,
        max_size=3,
    )
)
def test_bounds_p_values_and_exchanged_sides_agree(tasks):
    """A bound is where its p-value is the error; exchanging both sides mirrors all; order is no matter."""
    pairs = [answers(lost, gained, n) for lost, gained, n, _ in tasks]
    first, second = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    total = math.fsum(weight for *_, weight in tasks)
    members = np.repeat(np.arange(len(tasks)), [n for _, _, n, _ in tasks])
    strata = Strata(members, tuple(weight / total for *_, weight in tasks))
    found = WeightedMargins.of(second, first, strata, seed=1)
    bounds = found.bounds(0.95)
    assert -1 <= bounds.low <= bounds.value <= bounds.high <= 1
    assert found.above_p(bounds.low) == pytest.approx(ALPHA, abs=1e-4)
    assert found.below_p(bounds.high) == pytest.approx(ALPHA, abs=1e-4)
    order = np.random.default_rng(2).permutation(len(members))
    mirrored = WeightedMargins.of(
        first[order], second[order], Strata(members[order], strata.weights), seed=1
    ).bounds(0.95)
    assert (mirrored.low, mirrored.high) == pytest.approx((-bounds.high, -bounds.low))


@pytest.mark.parametrize(
    ("sizes", "weights", "churn", "margin"),
    [((16, 10, 6), (0.5, 0.3, 0.2), (0.1, 0.2, 0.3), 0.05), ((40, 12), (0.8, 0.2), (0.0, 0.1), 0.08)],
)
def test_a_drop_of_just_the_margin_is_rarely_called_larger(sizes, weights, churn, margin):
    """In at most 5 % of 400 draws; three standard errors are allowed for so few of them."""
    rng = np.random.default_rng(11)
    strata = Strata(np.repeat(np.arange(len(sizes)), sizes), weights)
    known: dict[tuple[tuple[int, int], ...], bool] = {}
    called = 0
    for _ in range(400):
        counts = tuple(
            tuple(rng.multinomial(n, [c / 2 + margin, c / 2, 1 - c - margin])[:2].tolist())
            for n, c in zip(sizes, churn, strict=True)
        )
        if counts not in known:
            pairs = [answers(lost, gained, n) for (lost, gained), n in zip(counts, sizes, strict=True)]
            first, second = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
            known[counts] = WeightedMargins.of(second, first, strata, seed=1).below_p(-margin) < ALPHA
        called += known[counts]
    assert called / 400 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 400)


def test_the_spread_is_that_of_the_stratified_mean():
    """By hand: variances of both strata over their sizes, with squared weights."""
    first, second = GRADED
    strata = Strata(np.repeat([0, 1], [45, 15]), (0.6, 0.4))
    apart = first - second
    variance = 0.36 * apart[:45].var(ddof=1) / 45 + 0.16 * apart[45:].var(ddof=1) / 15
    assert paired_spread(first, second, strata=strata) == pytest.approx(math.sqrt(60 * variance))


def test_a_stratum_without_two_samples_is_refused():
    """It tells nothing of its part."""
    strata = Strata(np.array([0, 0, 0, 1]), (0.5, 0.5))
    with pytest.raises(StatsError):
        WeightedMargins.of([1, 0, 1, 1], [0, 0, 1, 0], strata, seed=1)


def test_another_number_of_strata_than_of_scores_is_refused():
    """One for each sample."""
    with pytest.raises(StatsError, match="2 and 2 scores in 1 strata"):
        WeightedMargins.of([1, 0], [0, 0], Strata(np.array([0]), (1.0,)), seed=1)


def test_a_bound_at_even_odds_is_refused():
    """A one-sided bound takes more."""
    with pytest.raises(StatsError, match="a one-sided bound takes more than"):
        one_stratum(*BINARY).bounds(0.5)
