"""What a cache of near matches does at each threshold: hits, false hits, money saved.

In: labelled pairs, prices, and how often requests come back. Out: a curve of points, and landmarks on it.
Nothing is chosen here; that is `threshold.choose`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import StatsError
from harness.stats.threshold import Counts, Pairs

Scale = Literal["cosine", "inverse distance", "one less distance"]
# The cosine of two unit vectors at distance d is 1 - d^2 / 2. Eliza 0.x scores a match by its distance: on
# SQLite as 1 / (1 + d), on PostgreSQL as 1 - d.
DISTANCE: Mapping[Scale, Callable[[float], float]] = {
    "cosine": lambda score: math.sqrt(2 - 2 * score),
    "inverse distance": lambda score: 1 / score - 1,
    "one less distance": lambda score: 1 - score,
}
# The threshold of Eliza's search in knowledge, and what each reading of it is as a cosine.
ELIZA = 0.85
PER_1K = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What requests are like and cost.

    repeats: share of requests for which a text of the same intent is stored, from 0 to 1; `None`: as among
    the pairs. answer_usd: of an answer that is not given from the cache. embed_usd: of the vector that every
    request needs.
    """

    repeats: float | None = None
    answer_usd: float = 0.0
    embed_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One threshold. Shares are from 0 to 1; `None`: nothing to take the share of.

    hit_rate: of all requests. true_hit_rate: of same pairs, hits. false_hit_rate: of different pairs, hits.
    wrong_share: of hits, the wrong ones. saved_usd_per_1k: requests; below 0 where vectors cost more than
    hits save.
    """

    cosine: float
    hit_rate: float
    true_hit_rate: float | None
    false_hit_rate: float | None
    wrong_share: float | None
    saved_usd_per_1k: float


def hit_curve(pairs: Pairs, traffic: Traffic | None = None) -> tuple[Point, ...]:
    """A point for each distinct cosine, from the highest down: every different set of hits is among them.

    Raises StatsError as `point_at`.
    """
    falling, places = np.unique(-pairs.cosines, return_inverse=True)
    hits = np.cumsum(np.bincount(places))
    false = np.cumsum(np.bincount(places, weights=~pairs.same)).astype(np.intp)
    same = int(pairs.same.sum())
    counts = (
        Counts(hits=hit, false=wrong, different=len(places) - same, same=same)
        for hit, wrong in zip(hits.tolist(), false.tolist(), strict=True)
    )
    return tuple(
        _point(-cosine, one, traffic or Traffic())
        for cosine, one in zip(falling.tolist(), counts, strict=True)
    )


def point_at(pairs: Pairs, cosine: float, traffic: Traffic | None = None) -> Point:
    """What happens from this threshold up. Raises StatsError for repeats that the pairs say nothing of."""
    return _point(cosine, pairs.counts(cosine), traffic or Traffic())


def _point(cosine: float, counts: Counts, traffic: Traffic) -> Point:
    true = (counts.hits - counts.false) / counts.same if counts.same else None
    false = counts.false / counts.different if counts.different else None
    repeats = counts.same / (counts.same + counts.different) if traffic.repeats is None else traffic.repeats
    if (true is None and repeats > 0) or (false is None and repeats < 1):
        raise StatsError(
            f"{repeats:.0%} of requests have a stored text of the same intent, and of the pairs "
            f"{counts.same} are the same and {counts.different} different; label pairs of both kinds"
        )
    right, wrong = repeats * (true or 0.0), (1 - repeats) * (false or 0.0)
    hit_rate = right + wrong
    return Point(
        cosine=cosine,
        hit_rate=hit_rate,
        true_hit_rate=true,
        false_hit_rate=false,
        wrong_share=wrong / hit_rate if hit_rate > 0 else None,
        saved_usd_per_1k=PER_1K * (hit_rate * traffic.answer_usd - traffic.embed_usd),
    )


def as_cosine(score: float, scale: Scale) -> float:
    """The cosine of unit vectors with this score on this scale.

    Raises StatsError for a score that the scale does not have.
    """
    if scale == "cosine":
        return score
    if not 0 < score <= 1:
        raise StatsError(f"a score of {score!r} by {scale}; expected above 0 and at most 1")
    return 1 - DISTANCE[scale](score) ** 2 / 2


def eliza_landmarks() -> dict[str, float]:
    """The cosines that a threshold of 0.85 may mean, by how it is read."""
    return {
        f"{ELIZA} as a cosine": ELIZA,
        f"{ELIZA} in Eliza 0.x on SQLite, 1 / (1 + distance)": as_cosine(ELIZA, "inverse distance"),
        f"{ELIZA} in Eliza 0.x on PostgreSQL, 1 - distance": as_cosine(ELIZA, "one less distance"),
    }
