"""A semantic cache at every threshold: what would hit, what of it would be wrong, and what it would save.

In: arms of a task that chooses a threshold. Out: reports of it. The threshold itself is chosen in
`vector_quality`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.insights import CachePoint, CacheReport
from harness.stats.bounds import shared
from harness.stats.hit_curve import Point, Traffic, eliza_landmarks, hit_curve, point_at
from harness.stats.threshold import Pairs, Threshold, check, most_false, pairs_to_confirm
from harness.trials.evidence import Arm
from harness.trials.vector_quality import BEYOND, different_groups, pairs_of, whole_of

MOST_POINTS = 200  # of a curve: more cannot be told apart in a picture
CHOSEN = "chosen"


def cache_reports(searched: Sequence[Arm], confirmed: Sequence[Arm], level: float) -> tuple[CacheReport, ...]:
    """What there is to tell of thresholds: of each finalist, its choice and its check on other pairs.

    searched: arms that chose thresholds, or the one arm of an evaluation; confirmed: finalists, best first.
    """
    arms = {arm.number: arm for arm in searched}
    finalists = {arm.number: arm for arm in confirmed}
    found: list[CacheReport] = []
    for number in finalists or arms:
        if number in arms and (made := _report(arms[number], None, level)):
            found.append(made)
        if number in finalists and (made := _report(finalists[number], arms.get(number), level)):
            found.append(made)
    return tuple(found)


def _report(arm: Arm, chosen_by: Arm | None, level: float) -> CacheReport | None:
    embedding, pairs, whole = arm.board.plan.task.embedding, pairs_of(arm), whole_of(arm)
    if embedding is None or pairs is None or not (pairs.same.any() and (~pairs.same).any()):
        return None
    traffic = Traffic(answer_usd=embedding.usd_per_answer or 0.0, embed_usd=_embed_usd(arm))
    priced = embedding.usd_per_answer is not None
    threshold = whole.threshold
    counts = pairs.counts(BEYOND if threshold is None else threshold)
    marks = eliza_landmarks() | ({} if threshold is None else {CHOSEN: threshold})
    # Of the settings that may have been taken, each has its bound at its share of the error.
    each = (
        level if chosen_by or "threshold" in arm.settings.local else shared(level, arm.board.plan.most_trials)
    )
    # A threshold that an evaluation was given had no part of these pairs in its choice.
    given = arm.board.plan.evaluated is not None and "threshold" in arm.settings.local
    confirming = threshold is not None and (given or chosen_by is not None)
    among = counts.different if embedding.false_hits_of == "different" else counts.hits
    limits = {"limit": embedding.false_hit_rate, "level": level}
    return CacheReport(
        trial=arm.number,
        split=arm.board.split,
        threshold=threshold,
        limit=embedding.false_hit_rate,
        of=embedding.false_hits_of,
        level=level,
        why=whole.why_none,
        hits=counts.hits,
        false=counts.false,
        different=counts.different,
        same=counts.same,
        high=counts.bounds(embedding.false_hits_of, each).high,
        verdict=_verdict(arm, pairs, threshold, level) if confirming and threshold is not None else "",
        allowed=most_false(among, **limits) if confirming else None,
        needed=pairs_to_confirm(counts.false / among, **limits) if confirming and among else None,
        groups=different_groups(arm),
        curve=tuple(_point(one, priced) for one in _thinned(hit_curve(pairs, traffic))),
        landmarks=tuple(_point(point_at(pairs, at, traffic), priced, name) for name, at in marks.items()),
    )


def _verdict(arm: Arm, pairs: Pairs, threshold: float, level: float) -> str:
    embedding = arm.board.plan.task.embedding
    assert embedding is not None, "a threshold belongs to a task of vectors"
    held = Threshold(
        cosine=threshold,
        limit=embedding.false_hit_rate,
        level=level,
        of=embedding.false_hits_of,
        counts=pairs.counts(threshold),
    )
    return check(held, pairs).verdict


def _embed_usd(arm: Arm) -> float:
    """The price of the vector that a request needs: half of what a pair took; 0 where it is unknown."""
    known = arm.price[~np.isnan(arm.price)]
    return float(known.mean()) / 2 if len(known) else 0.0


def _point(point: Point, priced: bool, name: str = "") -> CachePoint:
    return CachePoint(
        cosine=point.cosine,
        hit_rate=point.true_hit_rate,
        false_hit_rate=point.false_hit_rate,
        wrong_share=point.wrong_share,
        saved_usd_per_1k=point.saved_usd_per_1k if priced else None,
        name=name,
    )


def _thinned(curve: Sequence[Point]) -> list[Point]:
    """At most some 200 points, the first and the last among them."""
    places = np.unique(np.linspace(0, len(curve) - 1, min(MOST_POINTS, len(curve))).round().astype(int))
    return [curve[place] for place in places.tolist()]
