"""Promises of the set that holds the best arm, at any look and for any number of arms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.contenders import Contenders
from harness.stats.sequential import Bets


def answers(rng, qualities, n):
    """Right and wrong answers of arms with these qualities, alike in which samples are hard."""
    ease = rng.normal(size=n) * 0.1
    return (rng.random((len(qualities), n)) < np.array(qualities)[:, None] + ease).astype(float)


def race(scores, *, level=0.95, tolerance=0.0, finite=False, every=8):
    """Look after every few samples until something is good enough; the samples used so far."""
    arms, n = scores.shape
    contenders = Contenders(arms, level=level, tolerance=tolerance, horizon=n, finite=finite)
    for start in range(0, n, every):
        contenders.absorb(scores[:, start : start + every])
        if contenders.good_enough is not None:
            return contenders, min(n, start + every)
    return contenders, n


@pytest.mark.parametrize("best", [0.5, 0.75])
@pytest.mark.parametrize("finite", [False, True])
def test_the_best_loses_nothing_on_average(best, finite):
    """Over all answers of three arms to three samples, weighted: the wealth against the best is at most 1.

    Two are right on half of the samples, and the best on half or more; finite, over all orders of three.
    """
    earned = 0.0
    if finite:
        table = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1 if best > 0.5 else 0.0]])
        columns = [table[:, order] for order in itertools.permutations(range(3))]
        chances = [1 / 6] * 6
    else:
        columns = [np.array(bits).reshape(3, 3) for bits in itertools.product([0.0, 1.0], repeat=9)]
        chances = [0.5**6 * math.prod(best if right else 1 - best for right in c[0]) for c in columns]
    for chance, scores in zip(chances, columns, strict=True):
        contenders = Contenders(3, level=0.999, tolerance=0.0, horizon=3, finite=finite)
        contenders.absorb(scores[:, :2] if finite else scores)
        earned += chance * math.exp(contenders._wealth.log_evidence[0])
    assert earned <= 1 + 1e-9
    if best == 0.5 and not finite:
        assert earned == pytest.approx(1)


@given(st.integers(0, 1000), st.lists(st.integers(1, 30), min_size=1, max_size=6), st.booleans())
@settings(max_examples=20, deadline=None)
def test_blocks_do_not_matter(seed, sizes, finite):
    """Sample by sample or all at once: the same arms are left, and the same is good enough."""
    n = sum(sizes)
    scores = answers(np.random.default_rng(seed), [0.9, 0.6, 0.6, 0.2], n)
    whole, parts = (Contenders(4, level=0.8, tolerance=0.05, horizon=n, finite=finite) for _ in range(2))
    whole.absorb(scores)
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        parts.absorb(scores[:, end - size : end])
    assert whole.left.tolist() == parts.left.tolist()
    assert whole.good_enough == parts.good_enough


def test_the_best_of_many_stays_as_often_as_stated():
    """300 races of 30 equal arms: each is the best, and each is put out in at most 5 %, give or take."""
    rng = np.random.default_rng(21)
    put_out = np.zeros(30)
    for _ in range(300):
        contenders, _ = race(answers(rng, [0.7] * 30, 200), every=200)
        put_out += ~np.isin(np.arange(30), contenders.left)
    assert put_out.max() / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert 0.02 <= put_out.mean() / 300 <= 0.05 + math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("finite", [False, True])
def test_what_is_called_good_enough_is(finite):
    """100 races of 4 arms, all but the best a little more than the tolerance behind: wrong in 5 %."""
    rng = np.random.default_rng(22)
    wrong = 0
    for _ in range(100):
        scores = answers(rng, [0.7] + [0.64] * 3, 200)
        truth = scores.mean(axis=1) if finite else np.array([0.7] + [0.64] * 3)
        named = race(scores, tolerance=0.05, finite=finite)[0].good_enough
        wrong += named is not None and truth.max() - truth[named] > 0.05 + 1e-9
    assert wrong / 100 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)


def test_two_good_ones_end_a_race_with_a_tolerance():
    """Two equal ones far above the rest: without a tolerance it never ends, with one it does."""
    rng = np.random.default_rng(23)
    ended = 0
    for _ in range(20):
        scores = answers(rng, [0.9, 0.9, 0.3, 0.3], 500)
        strict, _ = race(scores)
        assert {0, 1} <= set(strict.left.tolist()) or strict.good_enough in (0, 1)
        named, used = race(scores, tolerance=0.1)
        ended += named.good_enough in (0, 1) and used < 500
    assert ended >= 18


def test_many_arms_cost_no_more_than_few():
    """Put out at the full error: sooner than by tests against the true best, at a 49th of it each."""
    rng = np.random.default_rng(24)
    together = apart = 0
    for _ in range(10):
        scores = answers(rng, [0.8] + [0.6] * 49, 400)
        contenders, used = race(scores, every=1)
        assert contenders.left[0] == 0
        together += used
        bets = Bets(np.zeros(49), alpha=0.05 / 49, horizon=400)
        for start in range(400):
            bets.absorb(scores[1:, start : start + 1] - scores[0, start])
            apart += not bets.refuted.all()
    assert together < apart


def test_a_finite_set_is_known_in_the_end():
    """Whoever is behind by one of 60 answers is out when the last samples cannot make up for it."""
    rng = np.random.default_rng(25)
    scores = rng.permuted(np.tile([1.0] * 30 + [0.0] * 30, (3, 1)), axis=1)
    scores[0, scores[0].argmin()] = 1
    contenders = Contenders(3, level=0.99, tolerance=0.0, horizon=60, finite=True)
    contenders.absorb(scores)
    assert 0 in contenders.left
    assert race(np.hstack([scores, scores]), level=0.99, finite=True)[0].left[0] == 0


def test_arms_that_are_out_are_not_asked_any_more():
    """Their rows may hold anything, or nothing."""
    scores = answers(np.random.default_rng(26), [0.9, 0.9, 0.1], 200)
    contenders = Contenders(3, level=0.95, tolerance=0.0, horizon=300)
    contenders.absorb(scores)
    assert contenders.left.tolist() == [0, 1]
    contenders.absorb([[1.0], [1.0], [math.nan]])
    assert contenders.left.tolist() == [0, 1]


def test_a_single_arm_is_the_best():
    """Nobody to compare it with."""
    contenders = Contenders(1, level=0.95, tolerance=0.0, horizon=5)
    contenders.absorb([[0.0, 1.0]])
    assert contenders.good_enough == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Contenders(0, level=0.95, tolerance=0, horizon=9), "0 arms"),
        (lambda: Contenders(2, level=0.95, tolerance=-1, horizon=9), "tolerance -1"),
        (lambda: Contenders(2, level=95, tolerance=0, horizon=9), "confidence level"),
        (lambda: Contenders(2, level=0.95, tolerance=0, horizon=0), "at least 1 sample"),
        (lambda: Contenders(2, level=0.95, tolerance=0, horizon=9).absorb([[1.0]]), r"expected \(2, block\)"),
        (lambda: Contenders(2, level=0.95, tolerance=0, horizon=1).absorb([[1, 1], [0, 0]]), "horizon is 1"),
        (lambda: Contenders(2, level=0.95, tolerance=0, horizon=9).absorb([[1], [math.nan]]), "missing"),
        (lambda: Contenders(2, level=0.95, tolerance=0, horizon=9).absorb([[1], [1.5]]), "out of range"),
    ],
)
def test_impossible_questions_are_errors(call, message):
    """A message says what is wrong."""
    with pytest.raises(StatsError, match=message):
        call()
