"""Figures of tables of counts and of ranks, in arithmetic that a bootstrap can ask for often.

In: counts of (target, label) pairs, or two columns of numbers. Out: one figure. What a label or a number
means is not known here. scikit-learn and scipy give the same figures, and take some 40 times as long to check
their input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from harness.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.stats.clusters import Floats

    Places: TypeAlias = NDArray[np.intp]


def macro_f1(table: ArrayLike) -> float:
    """F1 of each label among the targets, averaged with equal weight, from 0 to 1.

    table: counts of shape (labels, labels + 1); row: target, column: label given, the last one for none. As
    for all tables here. Raises StatsError for another shape, and for a table of zeros. Source: F1 = 2 hits /
    (given + targets), van Rijsbergen 1979, chapter 7; averaged over labels.
    """
    hits, targets, given = _margins(table)
    wanted = targets > 0
    return float(np.mean(2 * hits[wanted] / (targets[wanted] + given[:-1][wanted])))


def micro_f1(table: ArrayLike) -> float:
    """F1 of all labels among the targets together, from 0 to 1; an answer without a label is missed.

    Source: as scikit-learn's `f1_score`, average "micro" over the labels of the targets.
    """
    hits, targets, given = _margins(table)
    return float(2 * hits.sum() / (targets.sum() + given[:-1][targets > 0].sum()))


def kappa(table: ArrayLike) -> float:
    """Agreement beyond chance, from -1 to 1; 0 where chance would agree always. No label is one more.

    Source: Cohen 1960, Educational and Psychological Measurement 20(1).
    """
    hits, targets, given = _margins(table)
    n = targets.sum()
    chance = float((targets / n) @ (given[:-1] / n))
    return 0.0 if chance >= 1 else (float(hits.sum() / n) - chance) / (1 - chance)


def precision(table: ArrayLike, place: int) -> float:
    """Share of right ones among the answers with this label, from 0 to 1; 0 when there are none."""
    hits, _, given = _margins(table)
    return float(hits[place] / given[place]) if given[place] else 0.0


def recall(table: ArrayLike, place: int) -> float:
    """Share of the targets with this label that were given it, from 0 to 1; 0 when there are none."""
    hits, targets, _ = _margins(table)
    return float(hits[place] / targets[place]) if targets[place] else 0.0


def label_f1(table: ArrayLike, place: int) -> float:
    """F1 of this label, from 0 to 1; 0 when neither a target nor an answer has it. Source: as `macro_f1`."""
    hits, targets, given = _margins(table)
    size = targets[place] + given[place]
    return float(2 * hits[place] / size) if size else 0.0


def spearman(pairs: ArrayLike) -> float:
    """Rank correlation of two columns, from -1 to 1; 0 when one of them does not vary.

    pairs: shape (n, 2). Equal values share the mean of their ranks. Raises StatsError for another shape.
    Source: Spearman 1904, American Journal of Psychology 15(1).
    """
    columns = _two_columns(pairs)
    first, second = (_ranks(columns[:, place]) for place in (0, 1))
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(np.clip(first @ second / scale, -1.0, 1.0)) if scale > 0 else 0.0


def average_precision(pairs: ArrayLike) -> float:
    """How well a number tells pairs that belong together from others, from 0 to 1; 0 when none does.

    pairs: shape (n, 2): the number, such as a cosine, and 1 or 0 for what belongs together or not. Precision
    at each number from the top down, weighted by what recall gains there; equal numbers are taken together,
    so that their order says nothing. Raises StatsError for another shape, and for what is neither 1 nor 0.
    Source: as scikit-learn's `average_precision_score`, and MTEB's pair classification with it.
    """
    hits, seen = _from_the_top(pairs)
    if not hits[-1]:
        return 0.0
    return float(np.sum(np.diff(hits, prepend=0.0) * hits / seen) / hits[-1])


def best_f1(pairs: ArrayLike) -> float:
    """F1 of "belongs together from this number up" at the number that makes it largest, from 0 to 1.

    pairs: as of `average_precision`. It is chosen on the pairs that it is measured on, and so flatters them.
    Source: MTEB's pair classification; numbers that are equal are on one side, there as well as here.
    """
    hits, seen = _from_the_top(pairs)
    return float(np.max(2 * hits / (seen + hits[-1])))


def _from_the_top(pairs: ArrayLike) -> tuple[Floats, Floats]:
    """For each distinct number, from the top down: the pairs that belong together, and all of them."""
    columns = _two_columns(pairs)
    other = ~np.isin(columns[:, 1], (0, 1))
    if other.any():
        raise StatsError(
            f"the second column holds {float(columns[other][0, 1])!r}; expected 1 for what belongs "
            "together, else 0"
        )
    _, places = np.unique(-columns[:, 0], return_inverse=True)
    hits, seen = np.bincount(places, weights=columns[:, 1]), np.bincount(places)
    return np.cumsum(hits, dtype=np.float64), np.cumsum(seen, dtype=np.float64)


def v_measure(table: ArrayLike) -> float:
    """How far clusters and labels are the same partition, from 0 to 1; 1 as well where there is one of each.

    table: counts of shape (labels, clusters). The harmonic mean of homogeneity and completeness.
    Raises StatsError for a table of zeros.
    Source: Rosenberg and Hirschberg 2007, EMNLP-CoNLL, with beta 1.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or not counts.sum() > 0:
        raise StatsError(f"the table has shape {counts.shape}; expected labels, clusters, and some counts")
    joint, labels, clusters = (_entropy(one) for one in (counts, counts.sum(axis=1), counts.sum(axis=0)))
    shared = labels + clusters - joint
    homogeneous = shared / labels if labels > 0 else 1.0
    complete = shared / clusters if clusters > 0 else 1.0
    both = homogeneous + complete
    return float(np.clip(2 * homogeneous * complete / both, 0.0, 1.0)) if both > 0 else 0.0


def v_measures_left_out(labels: ArrayLike, clusters: ArrayLike, owners: ArrayLike) -> Floats:
    """The V-measure of all rows but those of one owner, for each owner, shape (owners,).

    labels, clusters, owners: whole numbers from 0, shape (rows,). Each sum of n log n is corrected where an
    owner has rows, so that it takes as long as counting once. Raises StatsError when an owner has all rows.
    """
    label, cluster, owner = (np.asarray(one, dtype=np.intp) for one in (labels, clusters, owners))
    joint = label * (int(cluster.max(initial=0)) + 1) + cluster
    left = len(owner) - np.bincount(owner)
    if not len(left) or left.min() < 1:
        raise StatsError("one owner has all rows; there is no figure of the others")
    both, of_labels, of_clusters = (_entropies_left_out(one, owner, left) for one in (joint, label, cluster))
    shared = of_labels + of_clusters - both
    homogeneous = np.divide(shared, of_labels, out=np.ones_like(shared), where=of_labels > 0)
    complete = np.divide(shared, of_clusters, out=np.ones_like(shared), where=of_clusters > 0)
    sums = homogeneous + complete
    found = np.divide(2 * homogeneous * complete, sums, out=np.zeros_like(sums), where=sums > 0)
    return np.clip(found, 0.0, 1.0)


def _entropies_left_out(cells: Places, owners: Places, left: Places) -> Floats:
    """The entropy of the cells without the rows of each owner. left: rows that then remain."""
    held, numbers, counts = np.unique(cells, return_inverse=True, return_counts=True)
    pairs, gone = np.unique(owners * len(held) + numbers, return_counts=True)
    of, before = pairs // len(held), counts[pairs % len(held)]
    change = np.bincount(of, weights=_n_log_n(before - gone) - _n_log_n(before), minlength=len(left))
    entropies = np.log(left) - (_n_log_n(counts).sum() + change) / left
    # Of a single cell it is 0, which a difference of logarithms misses by its last digit.
    remaining = len(held) - np.bincount(of[before == gone], minlength=len(left))
    return np.where(remaining > 1, entropies, 0.0)


def _n_log_n(counts: Places) -> Floats:
    return np.asarray(counts * np.log(np.maximum(counts, 1)), np.float64)


def _entropy(counts: Floats) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _two_columns(pairs: ArrayLike) -> Floats:
    columns = np.asarray(pairs, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[1] != 2 or not len(columns):
        raise StatsError(f"pairs have shape {columns.shape}; expected two columns of at least one number")
    return columns


def _ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places]


def _margins(table: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Hits by label, targets by label, and labels given, the last of them none."""
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] != counts.shape[0] + 1 or not counts.sum() > 0:
        raise StatsError(
            f"the table has shape {counts.shape}; expected one row a label, a column more, and some counts"
        )
    return np.diagonal(counts).copy(), counts.sum(axis=1), counts.sum(axis=0)


WHOLE_TABLE: Mapping[str, Callable[[ArrayLike], float]] = {
    "macro_f1": macro_f1,
    "micro_f1": micro_f1,
    "kappa": kappa,
    "v_measure": v_measure,
}
ONE_LABEL: Mapping[str, Callable[[ArrayLike, int], float]] = {
    "precision": precision,
    "recall": recall,
    "f1": label_f1,
}
OF_NUMBERS: Mapping[str, Callable[[ArrayLike], float]] = {
    "spearman": spearman,
    "average_precision": average_precision,
    "best_f1": best_f1,
}
