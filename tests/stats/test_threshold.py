"""Promises of the threshold of a cache of near matches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from harness.errors import InconclusiveError, StatsError
from harness.stats.threshold import (
    Pairs,
    chance_to_confirm,
    check,
    choose,
    most_false,
    pairs_to_confirm,
)

SIMULATIONS = 1_000
# Cosines of a world: same pairs lie high, different ones low, and they overlap.
SAME, DIFFERENT = norm(0.82, 0.08), norm(0.55, 0.12)


def _drawn(random, n_same, n_different, places=None):
    cosines = np.concatenate([SAME.rvs(n_same, random), DIFFERENT.rvs(n_different, random)]).clip(-1, 1)
    same = np.arange(n_same + n_different) < n_same
    order = random.permutation(len(same))
    return Pairs.of((cosines if places is None else cosines.round(places))[order], same[order])


@pytest.mark.parametrize(("n", "limit"), [(400, 0.02), (800, 0.005), (150, 0.1)])
def test_different_questions_hit_more_often_than_the_limit_in_at_most_1_of_20_worlds(n, limit):
    """The true rate above the chosen threshold, over 1,000 sets of pairs; it is chosen from these pairs."""
    random = np.random.default_rng(1)
    chosen = [choose(_drawn(random, 50, n), limit=limit).cosine for _ in range(SIMULATIONS)]
    broken = int((DIFFERENT.sf(chosen) > limit).sum())
    assert broken <= 0.05 * SIMULATIONS
    # Not by being far too careful: it is the exact bound.
    exact = binom.cdf(choose(_drawn(random, 50, n), limit=limit).counts.false, n, limit)
    assert broken == pytest.approx(exact * SIMULATIONS, abs=25)


def test_the_limit_holds_with_few_distinct_cosines():
    """Rounded to a tenth: many pairs at one cosine hit together, or none of them."""
    random = np.random.default_rng(2)
    chosen = [choose(_drawn(random, 50, 300, places=1), limit=0.05).cosine for _ in range(SIMULATIONS)]
    grid = np.append(np.arange(-10, 11) / 10, np.inf)
    # What is rounded to the first tenth that reaches the threshold is at least the middle below it.
    reached = grid[np.searchsorted(grid, chosen)] - 0.05
    assert (DIFFERENT.sf(reached) > 0.05).sum() <= 0.05 * SIMULATIONS


@pytest.mark.parametrize("arms", [1, 6, 20])
def test_the_limit_holds_for_the_settings_with_most_hits(arms):
    """Of K settings that each choose a threshold, the one with most hits breaks the limit in 1 of 20 worlds.

    The K are as good as each other and see the same pairs, independently: the worst case of a search. Above
    the margin lies a share of 5 % in 1 of 1,000 runs of this test.
    """
    random, worlds = np.random.default_rng(5), 300
    same = np.arange(700) < 100
    broken = 0
    for _ in range(worlds):
        best, taken = -1, 1.0
        for _ in range(arms):
            cosines = np.where(same, SAME.rvs(700, random), DIFFERENT.rvs(700, random)).clip(-1, 1)
            found = choose(Pairs.of(cosines, same), limit=0.02, among=arms)
            right = found.counts.hits - found.counts.false
            if right > best:
                best, taken = right, found.cosine
        broken += DIFFERENT.sf(taken) > 0.02
    assert broken <= binom.ppf(0.999, worlds, 0.05)


@pytest.mark.parametrize(("share_same", "limit"), [(0.5, 0.1), (0.2, 0.2)])
def test_hits_are_wrong_more_often_than_the_limit_in_at_most_1_of_20_worlds(share_same, limit):
    """The true share among hits above the chosen threshold, over 1,000 sets of pairs."""
    random = np.random.default_rng(3)
    broken = undecided = 0
    for _ in range(SIMULATIONS):
        n_same = random.binomial(1_000, share_same)
        try:
            cosine = choose(_drawn(random, n_same, 1_000 - n_same), limit=limit, of="hits").cosine
        except InconclusiveError:
            undecided += 1
            continue
        wrong, right = (1 - share_same) * DIFFERENT.sf(cosine), share_same * SAME.sf(cosine)
        broken += wrong / (wrong + right) > limit
    assert broken <= 0.05 * SIMULATIONS
    assert undecided <= 0.15 * SIMULATIONS


def test_the_limit_on_hits_holds_where_higher_cosines_are_worse():
    """Different texts that are almost the same letter by letter: above 0.9, a third of the hits are wrong."""
    random = np.random.default_rng(4)
    broken = 0
    for _ in range(SIMULATIONS):
        cosines = random.uniform(0, 1, 600)
        wrong_at = np.where(cosines > 0.9, 1 / 3, np.where(cosines > 0.5, 0.01, 0.6))
        pairs = Pairs.of(cosines, random.uniform(size=600) >= wrong_at)
        try:
            cosine = choose(pairs, limit=0.1, of="hits").cosine
        except InconclusiveError:
            continue
        grid = np.linspace(cosine, 1, 20_001)
        true = np.where(grid > 0.9, 1 / 3, np.where(grid > 0.5, 0.01, 0.6)).mean()
        broken += true > 0.1
    assert broken <= 0.05 * SIMULATIONS


def test_it_is_the_lowest_threshold_that_the_exact_bound_allows():
    """Of 100 different pairs, 5 % at 95 % allows one hit: the threshold is just above the second highest."""
    cosines = [*np.linspace(0.01, 0.99, 99), 0.999, 0.95]
    found = choose(Pairs.of(cosines, [False] * 100 + [True]), limit=0.05)
    assert binom.cdf(1, 100, 0.05) <= 0.05 < binom.cdf(2, 100, 0.05)
    assert found.counts.false == 1
    assert 0.99 < found.cosine < 0.99 + 1e-12


def test_too_few_pairs_say_how_many_would_do():
    """59 show 5 % at 95 % when none of them hits; 58 show nothing."""
    assert choose(Pairs.of([0.5] * 59, [False] * 59), limit=0.05).counts.false == 0
    with pytest.raises(InconclusiveError, match=r"58 pairs are labelled different.* fewer than 59"):
        choose(Pairs.of([0.5] * 58, [False] * 58), limit=0.05)
    with pytest.raises(
        InconclusiveError, match=r"no threshold can be shown to keep wrong hits at 5\.00% of hits"
    ):
        choose(Pairs.of([0.5] * 58, [True] * 58), limit=0.05, of="hits")


def test_confirm_pairs_keep_break_or_leave_it_open():
    """By the exact bounds on these pairs: none of 100 hits; 20 of 100 do; one of 10 does."""
    threshold = choose(Pairs.of(np.linspace(0, 0.8, 100), [False] * 100), limit=0.05)

    def verdict(hits, n):
        return check(threshold, Pairs.of([0.9] * hits + [0.1] * (n - hits), [False] * n)).verdict

    assert [verdict(0, 100), verdict(20, 100), verdict(1, 10)] == ["kept", "broken", "unclear"]


def test_nothing_that_hits_tells_nothing_of_hits():
    """No confirm pair above the threshold: anything may be true."""
    threshold = choose(Pairs.of(np.linspace(0.8, 1, 200), [True] * 200), limit=0.05, of="hits")
    found = check(threshold, Pairs.of([0.1], [True]))
    assert (found.bounds.low, found.bounds.high, found.verdict) == (0, 1, "unclear")


@pytest.mark.parametrize(
    ("cosines", "same"), [([], []), ([0.5], [True, False]), ([1.5], [True]), ([np.nan], [True])]
)
def test_what_are_no_pairs_is_refused(cosines, same):
    """One cosine and one label each."""
    with pytest.raises(StatsError, match="expected"):
        Pairs.of(cosines, same)


def test_a_limit_is_a_share():
    """Neither 0, which no number of pairs shows, nor a percentage."""
    for limit in (0, 1, 5):
        with pytest.raises(StatsError, match="a share between 0 and 1"):
            choose(Pairs.of([0.5], [False]), limit=limit)


@pytest.mark.parametrize(
    ("choosing", "confirming", "limit"), [(360, 240, 0.02), (230, 540, 0.02), (200, 90, 0.05)]
)
def test_the_chance_to_confirm_is_how_often_other_pairs_do(choosing, confirming, limit):
    """Over 1,000 worlds: choose on some pairs, check on others; within three standard errors."""
    random = np.random.default_rng(11)
    kept = [
        check(choose(_drawn(random, 5, choosing), limit=limit), _drawn(random, 5, confirming)).verdict
        == "kept"
        for _ in range(SIMULATIONS)
    ]
    told = chance_to_confirm(choosing, confirming, limit=limit)
    assert np.mean(kept) == pytest.approx(told, abs=3 * np.sqrt(told * (1 - told) / SIMULATIONS))


def test_too_few_pairs_have_no_chance_to_confirm():
    """149 show 2 % at 95 % when none of them hits, on either side."""
    assert chance_to_confirm(148, 1000, limit=0.02) == chance_to_confirm(1000, 148, limit=0.02) == 0.0
    assert chance_to_confirm(149, 149, limit=0.02) > 0


def test_the_most_false_hits_are_those_that_a_check_still_keeps():
    """At the number that is told the bound is within the limit, and with one more it is not."""
    for n in (149, 240, 1000):
        most = most_false(n, 0.02, 0.95)
        for false, verdict in ((most, True), (most + 1, False)):
            pairs = Pairs.of(np.where(np.arange(n) < false, 0.9, 0.1), np.zeros(n, bool))
            assert (pairs.counts(0.5).bounds("different", 0.95).high <= 0.02) is verdict
    assert most_false(148, 0.02, 0.95) is None


@pytest.mark.parametrize("rate", [0.0, 0.004, 0.0083, 0.015])
def test_as_many_pairs_as_are_told_confirm_at_the_share_seen(rate):
    """And one pair fewer does not."""
    n = pairs_to_confirm(rate, limit=0.02)
    assert most_false(n, 0.02, 0.95) >= np.ceil(rate * n)
    assert (most_false(n - 1, 0.02, 0.95) or -1) < np.ceil(rate * (n - 1))


def test_no_number_of_pairs_confirms_a_share_at_the_limit():
    """What hits as often as the limit allows is never shown to hit less."""
    assert pairs_to_confirm(0.02, limit=0.02) is None
