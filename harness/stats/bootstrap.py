"""Limits from resampling: the bias-corrected and accelerated bootstrap.

In: resampled figures. Out: the limits of an interval, or nothing when there is no variation to learn
from. Randomness comes in as a seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from harness.stats.clusters import Floats

# Rows of resamples drawn at once, so that memory stays within some 30 MB whatever the data.
DRAWN_AT_ONCE = 2_000_000


class Limits(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def bca_limits(point: float, resampled: Floats, jackknife: Floats, level: float) -> Limits | None:
    """The bias-corrected and accelerated limits of a bootstrap distribution.

    point: the figure on the data. resampled: on resamples, shape (n_resamples,). jackknife: with one
    cluster left out at a time, shape (n_clusters,). `None` where the method is not defined: no
    variation, or the point outside of all resamples.
    Source: Efron 1987, JASA 82(397), sections 2 to 4; Efron and Tibshirani 1993, equations 14.9 to
    14.15. As in `scipy.stats.bootstrap`, a resample equal to the point counts half in the bias.
    """
    from scipy.special import ndtr, ndtri

    corrections = _corrections(point, resampled, jackknife)
    if corrections is None:
        return None
    bias, acceleration = corrections
    tails = ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    shares = ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(resampled, shares)
    return Limits(float(low), float(high))


def bca_share(value: float, point: float, resampled: Floats, jackknife: Floats) -> float | None:
    """The one-sided p-value of "the true figure is at most `value`", by the same method.

    The level whose lower limit is this value: the way of `bca_limits` backwards, source and `None` as there.
    Neither 0 nor 1: a value beyond all resamples counts as half a resample from the end.
    """
    from scipy.special import ndtr, ndtri

    corrections = _corrections(point, resampled, jackknife)
    if corrections is None:
        return None
    bias, acceleration = corrections
    end = 0.5 / len(resampled)
    below = (np.mean(resampled < value) + np.mean(resampled <= value)) / 2
    shifted = float(ndtri(np.clip(below, end, 1 - end))) - bias
    # So far from the data that no level has its limit there.
    if 1 + acceleration * shifted <= 0:
        return None
    return float(ndtr(shifted / (1 + acceleration * shifted) - bias))


def _corrections(point: float, resampled: Floats, jackknife: Floats) -> tuple[float, float] | None:
    """Bias and acceleration; `None` where there is no variation to learn them from."""
    from scipy.special import ndtri

    below = (np.mean(resampled < point) + np.mean(resampled <= point)) / 2
    spread = jackknife.mean() - jackknife
    scale = float(np.sum(spread**2)) ** 1.5
    if not 0.0 < below < 1.0 or scale <= 0.0 or np.ptp(resampled) <= 0.0:
        return None
    return float(ndtri(below)), float(np.sum(spread**3)) / (6 * scale)


def resampled_means(sums: Floats, sizes: Floats, *, resamples: int, seed: int) -> Floats:
    """Means over values of resamples that draw whole clusters with replacement, shape (resamples,)."""
    generator = np.random.default_rng(seed)
    count = len(sums)
    rows = max(1, DRAWN_AT_ONCE // count)
    means: list[Floats] = []
    for start in range(0, resamples, rows):
        drawn = generator.integers(count, size=(min(rows, resamples - start), count), dtype=np.int32)
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def jackknife_means(sums: Floats, sizes: Floats) -> Floats:
    """Means over values with one cluster left out at a time, shape (n_clusters,)."""
    return (sums.sum() - sums) / (sizes.sum() - sizes)
