"""Promises of the curve of a cache of near matches."""

from __future__ import annotations

import pytest

from harness.errors import StatsError
from harness.stats.hit_curve import Traffic, as_cosine, eliza_landmarks, hit_curve, point_at
from harness.stats.threshold import Pairs

PAIRS = Pairs.of(
    [0.95, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [True, True, False, True, False, True, False, False]
)


def test_a_hand_worked_point():
    """From 0.9 up two of four same pairs and one of four different ones hit."""
    point = point_at(PAIRS, 0.9, Traffic(answer_usd=0.01, embed_usd=0.001))
    assert (point.hit_rate, point.true_hit_rate, point.false_hit_rate) == (3 / 8, 2 / 4, 1 / 4)
    assert point.wrong_share == pytest.approx(1 / 3)
    assert point.saved_usd_per_1k == pytest.approx(1000 * (3 / 8 * 0.01 - 0.001))


def test_rare_repeats_make_the_same_threshold_worse():
    """One request in ten has its like in store: 0.05 right and 0.225 wrong hits a request."""
    point = point_at(PAIRS, 0.9, Traffic(repeats=0.1))
    assert point.hit_rate == pytest.approx(0.1 * 0.5 + 0.9 * 0.25)
    assert point.wrong_share == pytest.approx(0.225 / 0.275)
    assert point.false_hit_rate == 1 / 4


def test_the_curve_has_every_distinct_cosine_from_the_top():
    """And says at each what `point_at` says there."""
    curve = hit_curve(PAIRS, Traffic(repeats=0.3, answer_usd=0.002))
    assert [point.cosine for point in curve] == [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert list(curve) == [
        point_at(PAIRS, one.cosine, Traffic(repeats=0.3, answer_usd=0.002)) for one in curve
    ]
    assert (curve[-1].hit_rate, curve[-1].true_hit_rate, curve[-1].false_hit_rate) == (1, 1, 1)


def test_nothing_hits_nothing_is_wrong():
    """There is no share of no hits, and a vector was paid for each request."""
    point = point_at(PAIRS, 0.99, Traffic(answer_usd=0.01, embed_usd=0.001))
    assert point.wrong_share is None
    assert point.saved_usd_per_1k == pytest.approx(-1)


def test_requests_of_a_kind_without_pairs_are_not_guessed():
    """Pairs of one kind tell nothing of the other."""
    with pytest.raises(StatsError, match="label pairs of both kinds"):
        point_at(Pairs.of([0.9], [True]), 0.5, Traffic(repeats=0.5))


def test_what_a_threshold_of_eliza_means():
    """0.85 is a distance of 0.1765 on SQLite and 0.15 on PostgreSQL, so nearly the same text."""
    assert as_cosine(0.85, "inverse distance") == pytest.approx(1 - (1 / 0.85 - 1) ** 2 / 2)
    assert [round(one, 3) for one in eliza_landmarks().values()] == [0.85, 0.984, 0.989]
    with pytest.raises(StatsError, match="above 0 and at most 1"):
        as_cosine(0, "inverse distance")
