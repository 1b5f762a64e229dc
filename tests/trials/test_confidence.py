"""Races for confidence: what they claim holds as often as stated, and they stop when more would not help."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.trials.confidence import FUTILE_N, ConfidenceRace


def a_world(arms=10, samples=300, *, seed=0, spread=1.0):
    """Scores of 0 and 1 with samples of different difficulty; and their means."""
    dice = np.random.default_rng(seed)
    ability = dice.normal(0.5, spread, arms)
    chance = 1 / (1 + np.exp(-(ability[:, None] - dice.normal(0, 1.5, samples))))
    scores = (dice.random(chance.shape) < chance).astype(float)
    return scores, scores.mean(axis=1)


def run(race, scores, budget=math.inf):
    """Let a race have this many calls; gives how many it used."""
    used = 0
    while (block := race.next(budget - used, np.ones(len(scores)))) is not None:
        used += len(block.rows) * (block.stop - block.start)
        race.take(block, scores[list(block.rows), block.start : block.stop])
    return used


def a_race(scores, *, alpha=0.05, epsilon=0.01):
    """A race for 95 % confidence and within 1 point."""
    return ConfidenceRace(*scores.shape, alpha=alpha, epsilon=epsilon)


def test_a_clear_winner_is_named_after_a_fraction_of_the_calls():
    """Nobody else is left, and the losers answered few samples."""
    scores = np.vstack([np.ones(400), np.tile(np.arange(400) % 3 == 0, (5, 1))]).astype(float)
    race = a_race(scores)
    used = run(race, scores)
    assert (race.ending, race.alive, race.named) == ("resolved", [0], 0)
    assert used < 0.2 * scores.size
    assert race.exits[3].why.startswith("not the best")


def test_settings_of_the_same_quality_are_never_told_apart():
    """20 arms that answer alike but for chance: the race says so, and does not ask everything."""
    chance = np.random.default_rng(2).uniform(0.2, 0.9, 400)
    told, used = [], []
    for seed in range(20):
        scores = (np.random.default_rng(seed).random((20, 400)) < chance).astype(float)
        race = a_race(scores)
        used.append(run(race, scores) / scores.size)
        told.append(race.ending)
    assert told.count("cannot be told apart") >= 19
    assert np.mean(used) < 1.0


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_best_is_put_out_as_seldom_as_stated(spread):
    """At alpha 0.1, over 120 worlds: the true best is among those left, or good enough is what was named."""
    wrong = 0
    for seed in range(120):
        scores, truth = a_world(8, 200, seed=seed, spread=spread)
        race = a_race(scores, alpha=0.1, epsilon=0.02)
        run(race, scores)
        if race.ending == "good enough":
            wrong += truth.max() - truth[race.named] > 0.02 + 1e-9
        else:
            wrong += truth.argmax() not in race.alive and truth[race.alive].max() < truth.max()
    # 12 are allowed on average; 20 or more would come by chance once in 80 times.
    assert wrong < 20


def test_futile_races_end_after_a_fair_look_only():
    """Nobody gives up before 50 samples."""
    scores = (np.random.default_rng(0).random((3, 400)) < 0.5).astype(float)
    race = a_race(scores)
    run(race, scores)
    assert race.ending == "cannot be told apart"
    assert race.depth >= FUTILE_N


def test_the_budget_bounds_a_race_for_confidence():
    """It stops without a claim, within what it may spend."""
    scores, _ = a_world(10, 300, spread=0.2)
    race = a_race(scores)
    used = run(race, scores, budget=333)
    assert used <= 333
    assert race.ending == ""
    assert len(race.alive) > 1


def test_all_samples_used_is_an_end():
    """With 30 samples nothing can be said about arms that hardly differ."""
    scores = np.tile(np.arange(30) % 2, (2, 1)).astype(float)
    race = a_race(scores)
    assert run(race, scores) == 60
    assert race.ending == "cannot be told apart"


def test_what_cannot_be_counted_speaks_for_nobody():
    """Two equal arms, one of them without a value in half of the samples: neither is put out for it."""
    scores = np.tile(np.arange(200) % 2, (2, 1)).astype(float)
    scores[1, ::2] = math.nan
    race = a_race(scores)
    run(race, scores)
    assert race.alive == [0, 1]


def test_arms_that_are_removed_are_not_asked_again():
    """The caller may take one out for reasons of its own."""
    scores, _ = a_world(4, 200, spread=0.1)
    race = a_race(scores)
    block = race.next(1000, np.ones(4))
    race.take(block, scores[:, block.start : block.stop])
    race.remove(2)
    assert 2 not in race.next(1000, np.ones(4)).rows


def test_a_race_that_is_over_by_removal_says_so():
    """With one arm left it is resolved, whoever took the other out."""
    scores, _ = a_world(2, 200, spread=0.1)
    race = a_race(scores)
    block = race.next(1000, np.ones(2))
    race.take(block, scores[:, block.start : block.stop])
    race.remove(0)
    assert race.next(1000, np.ones(2)) is None
    assert (race.ending, race.alive) == ("resolved", [1])
