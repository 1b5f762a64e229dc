"""Many questions at once: p-values that allow for how many were asked.

In: p-values of several tests. Out: adjusted ones in the same order, to be compared with the error that all
tests share. Nothing here looks at data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.stats.clusters import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values: those below alpha hold together, with at most alpha for any error among them.

    For gates and for every list of which one wrong entry would hurt. p_values: shape (tests,), from 0 to 1,
    however they depend on each other. The smallest is multiplied by their number, the next by one less, and
    none is below a smaller one. Raises StatsError for other shapes and values.
    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    values = _checked(p_values)
    order = np.argsort(values, kind="stable")
    left = len(values) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * left), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values: of those below alpha, a share of at most alpha is wrong on average.

    For looking around, as over slices, where some false alarms among many finds are no harm. p_values: as in
    `holm`, but independent or positively dependent. Each is multiplied by tests / rank, and none is above a
    larger one. Raises StatsError for other shapes and values.
    Source: Benjamini and Hochberg 1995, JRSS B 57(1); dependence: Benjamini and Yekutieli 2001, Annals of
    Statistics 29(4).
    """
    values = _checked(p_values)
    order = np.argsort(values, kind="stable")[::-1]
    ranks = len(values) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(np.minimum(values[order] * (len(values) / ranks), 1.0))
    return adjusted


def _checked(p_values: ArrayLike) -> Floats:
    values = np.asarray(p_values, dtype=np.float64)
    # NaN fails both comparisons.
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise StatsError("p-values are a list of numbers from 0 to 1")
    return values
