"""Ties: from whom the choice can be told apart, and what it would take."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.advice.ties import SCORE
from harness.stats.paired import paired_difference
from harness.stats.power import pairs_needed
from harness.testing.finalists import a_choice, a_finalist

N = 100


def right(number, quality, right, **more):
    """A finalist that has the first so many of 100 confirm samples right."""
    return a_finalist(number, quality=quality, confirm_values=(np.arange(N) < right) * 1.0, **more)


def by_chance(number, share, *, seed, **more):
    """A finalist whose confirm answers are right by chance, so that pairs differ."""
    values = (np.random.default_rng(seed).random(N) < share).astype(float)
    return a_finalist(number, quality=0.9 - number / 10, confirm_values=values, **more)


def test_differences_are_paired_and_hold_together():
    """Chosen minus other, each at 1 - 0.05 / 2, by number."""
    chosen, *others = (by_chance(n, 0.8, seed=n + 1) for n in range(3))
    made = a_choice([chosen, *reversed(others)])
    assert [one.other for one in made.differences] == [1, 2]
    for one, other in zip(made.differences, others, strict=True):
        assert one.difference == paired_difference(
            chosen.confirm_values, other.confirm_values, level=0.975, seed=1
        )
        assert one.difference.method == SCORE
    assert made.versus_runner_up == made.differences[0]


def test_ties_are_those_whose_difference_may_be_zero():
    """Equal answers tie; 40 points behind do not."""
    made = a_choice([right(0, 0.9, 80), right(1, 0.8, 80), right(2, 0.7, 40)])
    assert made.ties == (1,)
    assert made.certainty == (
        "It cannot be told apart from trial 1, with 95% confidence for all comparisons together."
    )


def test_many_rivals_widen_what_counts_as_a_tie():
    """All statements "it differs" hold together: the error is divided among the rivals."""
    # 20 samples that only the winner has right, 7 that only the rival has: 2.6 standard errors.
    winner = right(0, 0.9, 80)
    rival = a_finalist(1, quality=0.8, confirm_values=((np.arange(N) >= 20) & (np.arange(N) < 87)) * 1.0)
    crowd = [right(n, 0.5, 5) for n in range(2, 21)]
    assert a_choice([winner, rival]).ties == ()
    assert a_choice([winner, rival, *crowd]).ties == (1,)


def test_where_the_exact_test_cannot_tell_the_interval_reaches_zero():
    """10 disagreements for the winner, 2 against: the score interval leaves 0 out, the exact p is 0.039."""
    winner = right(0, 0.9, 90)
    rival = a_finalist(1, quality=0.8, confirm_values=((np.arange(N) >= 10) & (np.arange(N) < 92)) * 1.0)
    plain = paired_difference(winner.confirm_values, rival.confirm_values, level=0.97, seed=1)
    assert plain.low > 0
    made = a_choice([winner, rival], level=0.97)
    assert (made.versus_runner_up.difference.low, made.ties) == (0.0, (1,))
    assert made.versus_runner_up.difference.high == plain.high
    assert a_choice([winner, rival], level=0.95).ties == ()


def test_that_nobody_can_be_told_apart_is_a_sentence():
    """The default is named as such, and last."""
    made = a_choice([right(0, 0.7, 80), right(1, 0.9, 80), right(2, 0.8, 81)])
    assert made.certainty == (
        "It cannot be told apart from trial 2 and the untuned default: no difference in quality is shown, "
        "with 95% confidence for all comparisons together."
    )


@pytest.mark.parametrize(
    ("rivals", "words"), [(1, "the one other finalist"), (3, "each of the 3 other finalists")]
)
def test_that_all_can_be_told_apart_is_a_sentence(rivals, words):
    """With the confidence for all of them."""
    made = a_choice([right(0, 0.9, 95), *(right(n, 0.5, 20) for n in range(1, rivals + 1))])
    assert (made.ties, made.separations) == ((), ())
    assert made.certainty == (
        f"It can be told apart from {words}, with 95% confidence for all comparisons together."
    )


def test_one_common_sample_is_no_comparison():
    """It cannot be told apart, and nothing is claimed."""
    lonely = np.full(N, math.nan)
    lonely[0] = 1.0
    made = a_choice([right(0, 0.9, 80), replace(right(1, 0.8, 80), confirm_values=lonely)])
    assert (made.versus_runner_up, made.differences, made.ties) == (None, (), (1,))
    assert made.separations[0].more == made.separations[0].samples > N


def test_groups_of_the_common_samples_count():
    """Whole groups are the independent units."""
    groups = [f"g{place // 10}" for place in range(N)]
    made = a_choice([by_chance(n, 0.7, seed=n, groups=groups) for n in (1, 2)])
    assert made.differences[0].difference.clusters == 10


# -- what it would take


def test_separation_by_hand():
    """The difference that was seen, its spread, and the price of the missing samples for both."""
    chosen = right(1, 0.9, 80, usd_per_1k_calls=2.0)
    rival = a_finalist(0, quality=0.8, confirm_values=((np.arange(N) >= 5) & (np.arange(N) < 82)) * 1.0)
    made = a_choice([chosen, rival], repeats=3)
    spread = float(np.std(chosen.confirm_values - rival.confirm_values, ddof=1))
    needed = pairs_needed(0.03, spread, 0.95, 0.8, sides=2)
    (one,) = made.separations
    assert (one.other, one.samples, one.more, one.power) == (0, needed, needed - N, 0.8)
    assert one.difference == pytest.approx(0.03)
    assert one.usd == pytest.approx((needed - N) * 3 * (2.0 + 1.0) / 1000)


def test_nobody_looks_for_less_than_a_point():
    """Where the answers were equally good, the price is that of finding a point; here of 1 sample in 100."""
    made = a_choice([right(1, 0.9, 80), right(0, 0.8, 80)])
    (one,) = made.separations
    assert one.difference == 0.01
    assert one.samples == pairs_needed(0.01, 0.1, 0.95, 0.8, sides=2)


def test_the_nearest_rival_and_the_default_are_priced():
    """One each, by number, and only while they tie."""
    tied = [right(0, 0.6, 80), right(1, 0.9, 80), right(2, 0.7, 80), right(3, 0.8, 80)]
    assert [one.other for one in a_choice(tied).separations] == [0, 3]
    assert [one.other for one in a_choice([right(0, 0.6, 20), *tied[1:]]).separations] == [3]


def test_an_unknown_price_makes_no_bill():
    """The samples are known all the same."""
    made = a_choice([right(1, 0.9, 80), right(0, 0.8, 82, usd_per_1k_calls=None)])
    assert made.separations[0].usd is None
    assert made.separations[0].more > 0
