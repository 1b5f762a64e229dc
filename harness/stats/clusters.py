"""Clusters: samples that are alike, such as questions on one text, or repeats of one sample.

In: values and the cluster of each. Out: per-cluster sums and the standard error they give. Everything
in this folder that needs clusters takes them from here, so that interval and test cannot disagree.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import StatsError

Floats: TypeAlias = "NDArray[np.float64]"
Groups: TypeAlias = "Sequence[Hashable | None] | None"


@dataclass(frozen=True, slots=True)
class Clusters:
    """Sums and sizes, one per cluster, in the order in which clusters first appear.

    members: the cluster of each value, by position in `sums`.
    """

    sums: Floats
    sizes: Floats
    members: NDArray[np.intp]

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """The mean over values, not over clusters: a larger cluster weighs more."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def single(self) -> bool:
        """Whether each cluster is one value."""
        return self.count == len(self.members)


def checked(values: ArrayLike, *, what: str, low: float = 0.0, high: float = 1.0) -> Floats:
    """The values as an array of shape (n,).

    Raises StatsError when there are none, and for one that is no number or outside the range.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise StatsError(f"{what} have shape {array.shape}; expected a list of at least one number")
    # NaN fails both comparisons.
    good = (array >= low) & (array <= high)
    if not good.all():
        at = int(np.argmin(good))
        raise StatsError(f"{what}[{at}] is {float(array[at])!r}; expected a number from {low:g} to {high:g}")
    return array


def checked_level(level: float) -> float:
    """The confidence level. Raises StatsError unless it lies between 0 and 1, ends excluded."""
    if not 0.0 < level < 1.0:
        raise StatsError(f"the confidence level is {level!r}; expected a share between 0 and 1, such as 0.95")
    return level


def clustered(values: Floats, groups: Groups) -> Clusters:
    """The values gathered by cluster.

    groups: the cluster of each value; `None`, for all or for one, means a cluster of its own.
    Raises StatsError when the lengths differ.
    """
    if groups is None:
        return Clusters(values, np.ones_like(values), np.arange(len(values)))
    if len(groups) != len(values):
        raise StatsError(f"{len(groups)} clusters for {len(values)} values; expected one for each")
    codes: dict[object, int] = {}
    keys = ((position,) if group is None else group for position, group in enumerate(groups))
    members = np.fromiter((codes.setdefault(key, len(codes)) for key in keys), np.intp, len(values))
    sums = np.bincount(members, weights=values).astype(np.float64)
    return Clusters(sums, np.bincount(members).astype(np.float64), members)


def among(groups: Groups, marks: NDArray[np.bool_]) -> Groups:
    """The clusters of the values that are marked, shape (values,); `None` where each is its own."""
    return None if groups is None else [groups[int(place)] for place in np.flatnonzero(marks)]


def standard_error(clusters: Clusters) -> float:
    """Standard error of the mean over values when values within a cluster are alike.

    sqrt(C / (C - 1) * sum over clusters of (sum of its deviations from the mean)^2) / n. With
    clusters of one value it is the usual sample standard deviation / sqrt(n).
    Raises StatsError with fewer than two clusters: the error is not estimable, not 0.
    Source: Miller 2024, arXiv 2411.00640, appendix A; we add the correction C / (C - 1), without
    which few clusters look too certain (Cameron and Miller 2015, Journal of Human Resources 50(2)).
    """
    count = clusters.count
    if count < 2:
        raise StatsError(
            f"{count} independent sample or cluster; at least 2 are needed to tell how sure a mean is"
        )
    deviations = clusters.sums - clusters.sizes * clusters.mean
    n = clusters.sizes.sum()
    return float(np.sqrt(count / (count - 1) * (deviations @ deviations)) / n)
