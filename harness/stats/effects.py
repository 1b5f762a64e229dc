"""How a figure differs between the levels of one factor when other things differed as well.

In: one figure a unit, the level of its factor, and the block it was in. Out: an `Estimate` a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.clusters import checked_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# With fewer, the variation about the fit is hardly known: t at 95 % would be 12.7 for a single one.
FEWEST_FREE = 2
NO_VARIATION = 1e-12
SAME = 1e-8  # of two vectors of shares, beyond rounding


def adjusted_means(
    values: ArrayLike, factor: Sequence[int], blocks: Sequence[int], *, level: float
) -> list[Estimate | None]:
    """The mean of each level of a factor, as if every level had met all blocks alike.

    values: one a unit. factor, blocks: of each unit its level and block, both counted from 0. Fits value =
    block + level by least squares; a level's mean is its prediction with the blocks in their shares among all
    units. The interval is that of a t with n minus rank degrees of freedom, on one variance for all units.
    `None` for a level that cannot be told from the blocks it met (it met only blocks that no other level
    did), and for all of them with fewer than two degrees of freedom or without any variation.
    Raises StatsError when the three are not of one length.
    Source: least-squares means, Searle, Speed and Milliken 1980, The American Statistician 34(4).
    """
    from scipy.special import stdtrit

    y = np.asarray(values, dtype=np.float64)
    if not len(y) == len(factor) == len(blocks):
        raise StatsError(
            f"{len(y)} values, {len(factor)} levels and {len(blocks)} blocks; expected one of each a unit"
        )
    levels = max(factor, default=-1) + 1
    design = np.hstack([_indicators(blocks, max(blocks, default=-1) + 1), _indicators(factor, levels)])
    inverse = np.linalg.pinv(design) if len(y) else design.T
    free = len(y) - (int(np.linalg.matrix_rank(design)) if len(y) else 0)
    fit = inverse @ y
    variance = float(((y - design @ fit) ** 2).sum()) / max(1, free)
    if free < FEWEST_FREE or variance < NO_VARIATION:
        return [None] * levels
    half_per_error = float(stdtrit(free, (1 + checked_level(level)) / 2))
    shares = design[:, : design.shape[1] - levels].mean(axis=0)
    made: list[Estimate | None] = []
    for place in range(levels):
        contrast = np.concatenate([shares, np.eye(levels)[place]])
        if np.abs(contrast @ inverse @ design - contrast).max() > SAME:
            made.append(None)
            continue
        mean = float(contrast @ fit)
        weights = contrast @ inverse
        half = half_per_error * float(np.sqrt(variance * (weights @ weights)))
        units = sum(one == place for one in factor)
        made.append(_estimate(mean, half, level=level, n=units, within=y))
    return made


def _indicators(of_units: Sequence[int], count: int) -> NDArray[np.float64]:
    """Shape (units, count): 1 where a unit has the level, else 0."""
    return np.eye(count)[np.asarray(of_units, dtype=np.intp)]


def _estimate(mean: float, half: float, *, level: float, n: int, within: NDArray[np.float64]) -> Estimate:
    # Scores run from 0 to 1, some metrics below 0: an interval ends where no unit could be.
    low, high = min(0.0, float(within.min())), max(1.0, float(within.max()))
    return Estimate(
        value=min(high, max(low, mean)),
        low=max(low, mean - half),
        high=min(high, mean + half),
        level=level,
        n=n,
        clusters=n,
        method="least-squares mean, t",
    )
