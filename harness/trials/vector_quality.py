"""What one sample adds to a figure of vectors, and the figure of all of them with its interval.

In: an arm of an embedding task with its evidence. Out: values from 0 to 1 by sample, which races and paired
differences rest on, and estimates. Nothing is decided.

A metric of pairs or clusters has no value for one sample. What stands for it is how far the sample is in
order among those seen: `concordance` of a pair, `purity` of a text. They need no scale, so that models whose
similarities lie higher or lower are compared fairly.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import InconclusiveError, StatsError
from harness.plan.limits import FALSE_HITS
from harness.records import Bounds, Estimate
from harness.scores.metrics import Metric
from harness.scores.vectors import clusters, cross_fitted_labels
from harness.stats.concordance import concordance, purity
from harness.stats.intervals import bootstrap_interval, clopper_pearson, mean_interval
from harness.stats.jackknife import jackknife_interval
from harness.stats.neighbours import nearest
from harness.stats.tables import OF_NUMBERS, v_measure, v_measures_left_out
from harness.stats.threshold import Pairs, Threshold, choose

if TYPE_CHECKING:
    from harness.trials.board import Board
    from harness.trials.evidence import Arm

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
OF_ALL = ("pairs", "vectors", "clusters", "hits")  # what metrics read that look at all samples together
OF_THE_WHOLE = ("pairs", "clusters", "hits")  # those of which a single sample has no value
OF_PAIRS = ("pairs", "hits")
BEYOND = (
    2.0  # past every cosine: a pair that failed and counts as wrong; the threshold of a cache that is off
)
DIGITS = 4  # of a threshold that is shipped, rounded up


@dataclass(frozen=True, slots=True)
class Whole:
    """What was found looking at all samples. values: shape (samples,), NaN where there is none.

    labels: found for each sample, where there are labels or clusters. threshold: from which on a pair hits;
    why_none: why there is none.
    """

    values: Floats
    labels: Sequence[str | None] = ()
    threshold: float | None = None
    why_none: str = ""


def values_of(arm: Arm) -> Floats:
    """What each sample adds, shape (samples,), from 0 to 1; NaN where there is nothing to count."""
    return whole_of(arm).values


def decisions(arm: Arm) -> Floats:
    """As `values_of`, but of a cache with a threshold: whether each pair is told rightly."""
    whole, likeness = whole_of(arm), arm.value[:, 0].astype(np.float64)
    threshold = BEYOND if arm.off else whole.threshold
    if arm.board.metric.reads != "hits" or threshold is None:
        return whole.values
    told = (likeness >= threshold) == (_gold(arm) == 1.0)
    return np.where(np.isnan(likeness), np.nan, told)


def told_pair(arm: Arm, position: int) -> str:
    """What a cache with a threshold makes of a pair, in words; empty without one."""
    likeness = float(arm.value[position, 0])
    if np.isnan(likeness):
        return ""
    threshold = None if arm.off or arm.board.metric.reads != "hits" else whole_of(arm).threshold
    if threshold is None:
        return ""
    target = arm.board.targets[position]
    hit, same = likeness >= threshold, target is not None and float(target) == 1.0
    told = "a false hit" if hit and not same else "missed" if same and not hit else "told rightly"
    return f"{told} (threshold {threshold:.4f})"


def whole_of(arm: Arm) -> Whole:
    """What all samples of this arm say together; looked at again only when there are more."""
    answers = int(arm.seen.sum())
    if arm.whole is None or arm.whole[0] != answers:
        arm.whole = (answers, _whole(arm))
    return arm.whole[1]


def threshold_of(arm: Arm) -> Threshold | None:
    """The threshold that these pairs choose for a cache. Raises InconclusiveError when they are too few.

    The limit holds for whichever of the settings that may be tried is taken in the end.
    """
    embedding = arm.board.plan.task.embedding
    pairs = pairs_of(arm)
    if embedding is None or pairs is None:
        return None
    level = arm.board.plan.aim.confidence
    found = choose(
        pairs,
        limit=embedding.false_hit_rate,
        level=level,
        of=embedding.false_hits_of,
        among=arm.board.plan.most_trials,
    )
    # Rounded up for shipping: a higher threshold keeps what a lower one does.
    shipped = float(np.ceil(found.cosine * 10**DIGITS) / 10**DIGITS)
    return replace(found, cosine=shipped, counts=pairs.counts(shipped))


def finalist(arm: Arm, board: Board) -> Arm:
    """This arm on other samples, with the threshold that its pairs chose, where the task is to choose one.

    What confirms it holds the threshold still: chosen anew on every split, it would flatter itself. Where
    its pairs chose none, the cache is off, and the settings hold no threshold.
    """
    settings, whole = arm.settings, whole_of(arm) if arm.board.metric.reads == "hits" else None
    if whole is not None and whole.threshold is not None:
        settings = replace(settings, local={**settings.local, "threshold": whole.threshold})
    made = type(arm).of(arm.number, settings, board)
    made.off = (
        "" if whole is None or whole.threshold is not None else whole.why_none or "no pair was answered"
    )
    return made


def pairs_of(arm: Arm) -> Pairs | None:
    """The pairs that were answered, with their labels; `None` without any."""
    likeness, gold = arm.value[:, 0].astype(np.float64), _gold(arm)
    known = ~np.isnan(likeness) & ~np.isnan(gold)
    return Pairs.of(likeness[known], gold[known] == 1.0) if known.any() else None


def different_groups(arm: Arm) -> int | None:
    """How many groups the different pairs come from; `None` where every pair stands alone."""
    groups = arm.groups()
    if groups is None:
        return None
    places = np.flatnonzero(~np.isnan(arm.value[:, 0]) & (_gold(arm) == 0.0)).tolist()
    return len({groups[place] for place in places})


def cache_figures(arm: Arm) -> dict[str, float]:
    """What a cache with this arm's threshold does on its pairs, by name; nothing without one.

    false_hit_rate: of what the task bounds, different pairs or all hits.
    """
    embedding, threshold, pairs = arm.board.plan.task.embedding, whole_of(arm).threshold, pairs_of(arm)
    if embedding is None or threshold is None or pairs is None:
        return {}
    counts = pairs.counts(threshold)
    among = counts.different if embedding.false_hits_of == "different" else counts.hits
    return {
        "threshold": threshold,
        FALSE_HITS: counts.false / among if among else 0.0,
        "hits": float(counts.hits),
    }


def cache_bounds(arm: Arm, level: float) -> dict[str, Bounds]:
    """Exact bounds of the false hits, each at this level; nothing without a threshold."""
    embedding, threshold, pairs = arm.board.plan.task.embedding, whole_of(arm).threshold, pairs_of(arm)
    if embedding is None or threshold is None or pairs is None:
        return {}
    return {FALSE_HITS: pairs.counts(threshold).bounds(embedding.false_hits_of, level)}


def false_hits(arm: Arm, among: Marks, level: float) -> Estimate | None:
    """Of the different pairs marked, the share that hits at the arm's threshold; `None` without any."""
    likeness, threshold = arm.value[:, 0].astype(np.float64), whole_of(arm).threshold
    different = among & ~np.isnan(likeness) & (_gold(arm) == 0.0)
    if threshold is None or not different.any():
        return None
    return clopper_pearson(
        int((likeness[different] >= threshold).sum()), int(different.sum()), level, sides=1
    )


def neighbour_labels(vectors: NDArray[np.float32], labels: Sequence[str]) -> list[str | None]:
    """Of each text, the label of the nearest other: what stands for the metric while labels are few."""
    if len(labels) < 2:
        return [None] * len(labels)
    found: list[tuple[int, int]] = nearest(vectors, vectors, 2).places.tolist()
    return [labels[second if first == own else first] for own, (first, second) in enumerate(found)]


def measure_all(arm: Arm, metric: Metric, level: float, known: Marks) -> Estimate | None:
    """The metric over the samples marked, with its interval; `None` where it cannot be told."""
    if metric.reads not in ("pairs", "clusters"):
        return _mean(arm, _counted(arm, metric), level, known)
    groups = arm.groups() or range(len(arm.seen))
    among = [groups[place] for place in np.flatnonzero(known).tolist()]
    try:
        if metric.reads == "clusters":
            return _agreement(arm, known, among, level)
        rows, statistic = _pair_rows(arm, metric, known), OF_NUMBERS[metric.name]
        around = bootstrap_interval(
            rows, statistic, level=level, seed=arm.board.plan.seed, groups=among, lowest=metric.low
        )
    except StatsError:
        return None
    return replace(around, value=statistic(rows), n=int(known.sum()))


def _whole(arm: Arm) -> Whole:
    reads, answered = arm.board.metric.reads, ~np.isnan(arm.value[:, 0])
    if reads == "scores":
        return Whole(_settled(arm, arm.value[:, 0].astype(np.float64)))
    if reads in OF_PAIRS:
        return _of_pairs(arm)
    if not answered.any() or arm.vectors is None:
        return Whole(_settled(arm, np.full(len(arm.seen), np.nan)))
    places = np.flatnonzero(answered)
    labels = [arm.board.targets[place] or "" for place in places.tolist()]
    values, given = np.full(len(arm.seen), np.nan), list[str | None]([None] * len(arm.seen))
    seed, groups = arm.board.plan.seed, arm.groups()
    try:
        if reads == "vectors":
            among = None if groups is None else [groups[place] for place in places.tolist()]
            told: Sequence[str | None] = cross_fitted_labels(
                arm.vectors[places], labels, seed=seed, groups=among
            )
            values[places] = [one == label for one, label in zip(told, labels, strict=True)]
        else:
            found = clusters(arm.vectors[places], min(len(set(labels)), len(places)), seed=seed)
            values[places], told = purity(labels, found), [str(one) for one in found]
    except StatsError:  # too few of a label so far
        told = neighbour_labels(arm.vectors[places], labels)
        values[places] = [one == label for one, label in zip(told, labels, strict=True)]
    for place, label in zip(places.tolist(), told, strict=True):
        given[place] = label
    return Whole(_settled(arm, values), given)


def _of_pairs(arm: Arm) -> Whole:
    order = _settled(arm, concordance(arm.value[:, 0].astype(np.float64), _gold(arm)))
    if arm.board.metric.reads == "pairs":
        return Whole(order)
    if arm.off:
        return Whole(_hits(arm, BEYOND), why_none=arm.off)
    fixed = arm.settings.local.get("threshold")
    if isinstance(fixed, int | float):
        return Whole(_hits(arm, float(fixed)), threshold=float(fixed))
    try:
        found = threshold_of(arm)
    except InconclusiveError as error:
        return Whole(order, why_none=str(error))
    return Whole(order, threshold=None if found is None else found.cosine)


def _hits(arm: Arm, threshold: float) -> Floats:
    """Of each pair that means the same, whether it is found; NaN of the others, which are no hits to have."""
    likeness = arm.value[:, 0].astype(np.float64)
    found = np.where(np.isnan(likeness), np.nan, likeness >= threshold)
    return np.where(_gold(arm) == 1.0, _settled(arm, found), np.nan)


def _counted(arm: Arm, metric: Metric) -> Floats:
    """What is averaged: hits at the threshold that these pairs choose, none where they can choose none."""
    if metric.reads != "hits":
        return values_of(arm)
    threshold = whole_of(arm).threshold
    return _hits(arm, BEYOND if threshold is None else threshold)


def _mean(arm: Arm, values: Floats, level: float, known: Marks) -> Estimate | None:
    places, groups = np.flatnonzero(known & ~np.isnan(values)), arm.groups()
    try:
        among = None if groups is None else [groups[place] for place in places.tolist()]
        return mean_interval(values[places], level=level, groups=among) if len(places) else None
    except StatsError:  # a single sample, or samples of a single cluster
        return None


def _pair_rows(arm: Arm, metric: Metric, known: Marks) -> Floats:
    """Likeness and target of the pairs marked; what failed stands where it harms most, or in the middle."""
    likeness, gold = arm.value[known, 0].astype(np.float64), _gold(arm)[known]
    gone = np.isnan(likeness)
    if metric.name == "spearman":
        middle = float(np.median(likeness[~gone])) if not gone.all() else 0.0
        likeness = np.where(gone, middle, likeness)
    else:
        likeness = np.where(gone, np.where(gold == 1.0, -BEYOND, BEYOND), likeness)
    return np.column_stack([likeness, gold])


def _agreement(arm: Arm, known: Marks, among: Sequence[Hashable], level: float) -> Estimate:
    """How far labels and clusters of the texts marked are one partition. among: the group of each."""
    found, targets = whole_of(arm).labels, arm.board.targets
    places = np.flatnonzero(known).tolist()
    clusters = [found[place] if found else None for place in places]
    return agreement([targets[place] for place in places], clusters, among, level)


def agreement(
    targets: Sequence[str | None], clusters: Sequence[str | None], among: Sequence[Hashable], level: float
) -> Estimate:
    """The V-measure of two partitions of the same rows, with its interval. among: the group of each row.

    `None` is a part of its own. Raises StatsError where all rows are of one group.
    """
    labels = np.unique([one or "" for one in targets], return_inverse=True)[1]
    parts = np.unique([one or "" for one in clusters], return_inverse=True)[1]
    numbers: dict[Hashable, int] = {}
    owners = [numbers.setdefault(group, len(numbers)) for group in among]
    left_out = v_measures_left_out(labels, parts, owners)
    table = np.zeros((labels.max() + 1, parts.max() + 1), np.intp)
    np.add.at(table, (labels, parts), 1)
    return jackknife_interval(v_measure(table), left_out, n=len(targets), level=level)


def _gold(arm: Arm) -> Floats:
    """What each pair is held against; NaN where it was not met yet."""
    return np.array([np.nan if target is None else float(target) for target in arm.board.targets])


def _settled(arm: Arm, values: Floats) -> Floats:
    """The values, with 0 for what failed where the spec counts it as wrong."""
    if arm.board.plan.failures != "count_as_wrong":
        return values
    return np.where(arm.seen.any(axis=1) & np.isnan(arm.value[:, 0]), 0.0, values)
