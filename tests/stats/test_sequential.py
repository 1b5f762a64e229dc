"""Promises of bets on paired differences: exact at any look, and worth their calls."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.sequential import Bets, asymptotic_bounds, confidence_bounds, sequential_mcnemar

ATOMS = np.array([-1.0, -0.25, 0.0, 0.5, 1.0])


def pairs(seed, runs, n, *, disagree, difference):
    """Differences of simulated pairs that disagree on a share of samples, shape (runs, n)."""
    gains, losses = (disagree + difference) / 2, (disagree - difference) / 2
    return np.random.default_rng(seed).choice(
        [1.0, -1.0, 0.0], p=[gains, losses, 1 - disagree], size=(runs, n)
    )


def orders(seed, runs, n, *, disagree, difference):
    """The same finite set of n differences in many random orders, shape (runs, n)."""
    gains, losses = round(n * (disagree + difference) / 2), round(n * (disagree - difference) / 2)
    everything = np.repeat([1.0, -1.0, 0.0], [gains, losses, n - gains - losses])
    return np.random.default_rng(seed).permuted(np.tile(everything, (runs, 1)), axis=1)


def race(differences, *, alpha=0.05, finite=False, margin=0.0, every=5):
    """Which tests are refuted when looked at after every few samples, and after how many samples."""
    runs, n = differences.shape
    bets = Bets(np.full(runs, margin), alpha=alpha, horizon=n, finite=finite)
    used = np.full(runs, n)
    for start in range(0, n, every):
        before = bets.refuted
        bets.absorb(differences[:, start : start + every])
        used[bets.refuted & ~before] = start + every
    return bets.refuted, used


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(-1, 0.9), st.floats(0.001, 0.5))
@settings(max_examples=30, deadline=None)
def test_a_true_hypothesis_earns_nothing_on_average(weights, margin, alpha):
    """Over all 625 sequences of 4 differences, weighted by their probability: at most 1.

    At most 1 because the mean may lie above the margin; exactly 1 where it is the margin.
    """
    shares = (np.array(weights) + 1e-3) / (np.array(weights) + 1e-3).sum()
    mean = float(shares @ ATOMS)
    sequences = np.array(list(itertools.product(range(5), repeat=4)))
    chances = shares[sequences].prod(axis=1)
    for stated in (mean, min(margin, mean)):
        bets = Bets(np.full(len(sequences), stated), alpha=alpha, horizon=30)
        bets.absorb(ATOMS[sequences])
        earned = float(chances @ np.exp(bets.log_evidence))
        assert earned <= 1 + 1e-9
        if stated == mean and abs(mean) < 1:
            assert earned == pytest.approx(1)


@given(
    st.lists(st.sampled_from(ATOMS.tolist()) | st.floats(-1, 1), min_size=5, max_size=5),
    st.floats(0.001, 0.5),
    st.integers(1, 5),
)
@settings(max_examples=30, deadline=None)
def test_a_true_hypothesis_on_a_finite_set_earns_nothing_on_average(values, alpha, n):
    """Over all orders of 5 differences whose mean is the margin, after any number of them: at most 1."""
    every = np.array(list(itertools.permutations(values)))
    bets = Bets(np.full(len(every), np.mean(values)), alpha=alpha, horizon=5, finite=True)
    bets.absorb(every[:, :n])
    assert np.exp(bets.log_evidence).mean() <= 1 + 1e-6
    assert np.isfinite(bets.log_evidence).all()


@given(st.integers(0, 100), st.lists(st.integers(1, 7), min_size=1, max_size=8), st.booleans())
@settings(max_examples=30, deadline=None)
def test_blocks_do_not_matter(seed, sizes, finite):
    """Sample by sample, or all at once: the same evidence to the last bit."""
    n = sum(sizes)
    differences = np.random.default_rng(seed).uniform(-1, 0.5, (3, n))
    whole, parts = (Bets([0.0, 0.1, -0.2], alpha=0.05, horizon=n, finite=finite) for _ in range(2))
    whole.absorb(differences)
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        parts.absorb(differences[:, end - size : end])
    assert (whole.log_evidence == parts.log_evidence).all()


def test_one_test_knows_nothing_of_the_others():
    """Evidence is the same alone and among others, also after some of these are forgotten."""
    differences = pairs(1, 4, 60, disagree=0.4, difference=-0.2)
    bets = Bets(np.zeros(4), alpha=0.01, horizon=60)
    bets.absorb(differences[:, :30])
    bets.keep(np.array([False, True, False, True]))
    bets.absorb(differences[[1, 3], 30:])
    alone = Bets([0.0], alpha=0.01, horizon=60)
    alone.absorb(differences[[3]])
    assert bets.log_evidence[1] == alone.log_evidence[0]


def test_a_refuted_hypothesis_stays_refuted():
    """After the goal nothing is staked any more, whatever comes."""
    bets = Bets([0.0], alpha=0.05, horizon=200)
    bets.absorb(np.full((1, 30), -1.0))
    assert bets.refuted.all()
    assert bets.log_evidence[0] == pytest.approx(math.log(20))
    bets.absorb(np.full((1, 100), 1.0))
    assert bets.refuted.all()


def test_missing_values_are_no_evidence():
    """A sample that one of the two did not answer changes nothing but the time that is left."""
    bets = Bets([0.0], alpha=0.05, horizon=50)
    bets.absorb([[math.nan] * 10])
    assert bets.log_evidence[0] == pytest.approx(0)
    bets.absorb([[-1.0] * 20])
    assert bets.refuted.all()


def test_a_finite_set_is_decided_by_counting_at_the_latest():
    """5 of 6 seen with sum -2: the last one cannot bring the mean to 0; with sum -1 it can."""
    lost = Bets([0.0, 0.0], alpha=1e-9, horizon=6, finite=True)
    lost.absorb([[-1, -1, 0, 0, 0], [-1, 0, 0, 0, 0]])
    assert lost.refuted.tolist() == [False, False]
    lost.absorb([[0], [1]])
    longer = Bets([0.0, 0.0], alpha=1e-9, horizon=7, finite=True)
    longer.absorb([[-1, -1, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0]])
    # The second may still end at 0, the first may not; it is known with the sample after it is true.
    longer.absorb([[1], [1]])
    assert longer.refuted.tolist() == [True, False]


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("disagree", [0.2, 0.08])
def test_peeking_costs_no_error(finite, disagree):
    """2,000 equal pairs, a look after every 5 of 400 samples: refuted in 5 %, give or take two errors."""
    draw = orders if finite else pairs
    wrong, _ = race(draw(5, 2000, 400, disagree=disagree, difference=0.0), finite=finite)
    assert 0.02 <= wrong.mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2000)


def test_many_arms_share_one_error():
    """20 arms as good as their leader, each at a twentieth: any of them refuted in at most 5 % of races."""
    differences = pairs(6, 20 * 300, 200, disagree=0.2, difference=0.0)
    wrong, _ = race(differences, alpha=0.05 / 20)
    assert wrong.reshape(300, 20).any(axis=1).mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize(
    ("finite", "disagree", "power", "samples"),
    [(False, 0.2, 0.55, 305), (False, 0.08, 0.93, 210), (True, 0.2, 1.0, 225), (True, 0.08, 1.0, 170)],
)
def test_a_loser_is_found_and_early(finite, disagree, power, samples):
    """5 points worse, 400 samples. A mixture of seven fixed bets: 0.39 after 324 samples at 20 %."""
    draw = orders if finite else pairs
    found, used = race(draw(7, 1000, 400, disagree=disagree, difference=-0.05), finite=finite)
    assert found.mean() >= power
    assert used.mean() <= samples


def test_a_margin_is_a_margin():
    """Equal pairs are soon found not to lead by 10 points, and never found not to be within 10 points."""
    differences = pairs(8, 500, 400, disagree=0.2, difference=0.0)
    assert race(differences, margin=0.1)[0].mean() > 0.95
    assert race(differences, margin=-0.1)[0].mean() <= 0.005


@pytest.mark.parametrize("finite", [False, True])
def test_bounds_hold_at_all_looks_together(finite):
    """100 pairs at 95 %, 5 looks: the truth is outside at any of them in at most 5 %, give or take."""
    draw = orders if finite else pairs
    differences = draw(9, 100, 200, disagree=0.3, difference=0.1)
    truth = differences.mean(axis=1) if finite else np.full(100, 0.1)
    missed = np.zeros(100, dtype=bool)
    for n in (25, 50, 100, 150, 200):
        bounds = confidence_bounds(differences[:, :n], level=0.95, horizon=200, finite=finite)
        missed |= (bounds.low > truth + 1e-9) | (bounds.high < truth - 1e-9)
    assert missed.mean() <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)
    width = (bounds.high - bounds.low).mean()
    assert width <= 0.02 if finite else 0.15 <= width <= 0.22


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.booleans())
@settings(max_examples=30, deadline=None)
def test_bounds_hold_the_mean_and_are_mirrored(values, finite):
    """-1 <= low <= mean seen or possible <= high <= 1, and for b - a the same turned round."""
    array = np.array([values])
    bounds = confidence_bounds(array, level=0.9, horizon=len(values) + 10, finite=finite)
    assert -1 <= bounds.low[0] <= bounds.high[0] <= 1
    mirrored = confidence_bounds(-array, level=0.9, horizon=len(values) + 10, finite=finite)
    assert (mirrored.low[0], mirrored.high[0]) == (-bounds.high[0], -bounds.low[0])
    if not finite:
        assert bounds.low[0] - 0.005 <= np.mean(values) <= bounds.high[0] + 0.005


def test_bounds_agree_with_the_test():
    """A margin is refuted exactly if the upper bound at that error lies at or below it."""
    differences = pairs(10, 50, 150, disagree=0.3, difference=-0.1)
    bets = Bets(np.zeros(50), alpha=0.025, horizon=150)
    bets.absorb(differences)
    high = confidence_bounds(differences, level=0.95, horizon=150).high
    assert ((high <= 1e-12) == bets.refuted).all()


def test_extreme_pairs_have_bounds_too():
    """Always better: 1 is possible and is where the interval ends; nothing seen: everything is."""
    bounds = confidence_bounds([[1.0] * 50, [-1.0] * 50], level=0.95, horizon=50)
    assert (bounds.high[0], bounds.low[1]) == (1, -1)
    assert bounds.low[0] > 0.8
    nothing = confidence_bounds([[math.nan] * 5], level=0.95, horizon=50)
    assert (nothing.low[0], nothing.high[0]) == (-1, 1)


def test_asymptotic_bounds_of_a_hand_worked_case():
    """50 times -1, 50 times 1: mean 0, variance 1, n = horizon = 100, alpha 0.05.

    -2 log 0.05 = 5.9915; rho^2 = (5.9915 + log 6.9915) / 100 = 0.079362; n rho^2 + 1 = 8.9362;
    half = sqrt(2 * 8.9362 / (10000 * 0.079362) * log(2.9894 / 0.05)) = 0.30351.
    """
    bounds = asymptotic_bounds([[-1.0] * 50 + [1.0] * 50], level=0.95, horizon=100)
    assert (bounds.low[0], bounds.high[0]) == pytest.approx((-0.30351, 0.30351), abs=2e-5)


def test_asymptotic_bounds_without_spread_say_nothing():
    """Ten equal values, or none, have no spread that could be known."""
    bounds = asymptotic_bounds([[0.0] * 10, [math.nan] * 10], level=0.95, horizon=100)
    assert bounds.low.tolist() == [-1, -1]
    assert bounds.high.tolist() == [1, 1]


def test_asymptotic_bounds_hold_where_pairs_often_differ():
    """500 pairs at 95 %, looked at from 50 samples on: the truth is outside in at most 5 %."""
    differences = pairs(11, 500, 400, disagree=0.3, difference=0.1)
    missed = np.zeros(500, dtype=bool)
    for n in range(50, 401, 10):
        bounds = asymptotic_bounds(differences[:, :n], level=0.95, horizon=400)
        missed |= (bounds.low > 0.1) | (bounds.high < 0.1)
    assert missed.mean() <= 0.05


@pytest.mark.parametrize(
    ("first", "second", "value"), [(0, 0, 1), (0, 1, 1.5), (1, 0, 0.5), (0, 2, 7 / 3), (1, 1, 2 / 3)]
)
def test_sequential_mcnemar_of_hand_worked_cases(first, second, value):
    """2^n times 2 times the integral of p^first (1 - p)^second from 0 to 1/2."""
    assert np.exp(sequential_mcnemar(first, second)) == pytest.approx(value)


def test_sequential_mcnemar_of_many_disagreements_is_finite_or_nothing():
    """No overflow where it is clear, no false evidence where it is clear the other way round."""
    clear, against = sequential_mcnemar([0, 5000], [5000, 0])
    assert clear == pytest.approx(5001 * math.log(2) - math.log(5001))
    assert against == -math.inf


@given(st.integers(0, 30), st.floats(0.5, 1))
@settings(deadline=None)
def test_sequential_mcnemar_earns_nothing_on_average(n, share):
    """Over all counts of n disagreements, if the first wins at least half of them: at most 1."""
    first = np.arange(n + 1)
    chances = np.array([math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in first])
    earned = chances @ np.exp(sequential_mcnemar(first, n - first))
    assert earned <= 1 + 1e-9
    if share == 0.5:
        assert earned == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Bets([1.5], alpha=0.05, horizon=9), "from -1 to 1, one per test"),
        (lambda: Bets([0.0], alpha=0, horizon=9), "confidence level"),
        (lambda: Bets([0.0], alpha=0.05, horizon=0), "at least 1 sample"),
        (lambda: Bets([0.0], alpha=0.05, horizon=9).absorb([0.0]), r"expected \(1, block\)"),
        (lambda: Bets([0.0], alpha=0.05, horizon=9).absorb([[0.0] * 10]), "the horizon is 9"),
        (lambda: Bets([0.0], alpha=0.05, horizon=9).absorb([[2.0]]), "NaN where one has no value"),
        (lambda: Bets([0.0], alpha=0.05, horizon=9, finite=True).absorb([[math.nan]]), "from -1 to 1$"),
        (lambda: confidence_bounds([[0.0]], level=95, horizon=9), "confidence level"),
        (lambda: asymptotic_bounds([[0.0]], level=0.95, horizon=0), "at least 1 sample"),
        (lambda: sequential_mcnemar(-1, 2), "counts from 0 up"),
    ],
)
def test_impossible_questions_are_errors(call, message):
    """A message says what is wrong."""
    with pytest.raises(StatsError, match=message):
        call()
