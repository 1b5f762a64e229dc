"""Who is out, and who leads, on the samples that arms have in common: pure functions on arrays.

In: quality per sample, rows are arms, columns are samples that all of them answered. Out: decisions with
their figures. Everything is paired: a difference is taken sample by sample, never between two means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.stats.paired import loses_p

Floats = NDArray[np.float64]
FIRST_BLOCK = 8  # samples before anybody may be dropped from a refinement
CLEAR_N = 16  # samples before a clear loser may be dropped from the pool
CLEAR_P = 0.005  # one-sided p below which an arm of the pool has clearly lost
PRIOR_N = 6  # samples' worth of doubt: shrinks the difference that a short trial tells


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an arm stands against the leader. difference: its mean minus the leader's, from -1 to 1.

    p_loses: one-sided p-value of "it is no worse than the leader": near 0 when it has lost, near 1 when it
    wins; read as the chance that it is the better one under a flat prior. n: samples in common.
    """

    difference: float
    p_loses: float
    n: int


def checkpoints(n: int) -> list[int]:
    """Numbers of samples after which a race looks again: 8, 16, 32, ..., n."""
    marks: list[int] = []
    mark = FIRST_BLOCK
    while mark < n:
        marks.append(mark)
        mark *= 2
    return [*marks, n]


def verdict(arm: Floats, leader: Floats) -> Verdict:
    """How this arm stands against the leader, on the samples where both have a value."""
    both = ~(np.isnan(arm) | np.isnan(leader))
    n = int(both.sum())
    if n < 2:
        return Verdict(0.0, 1.0, n)
    difference = float(np.mean(arm[both] - leader[both]))
    return Verdict(difference, loses_p(arm[both], leader[both]), n)


def leader_of(values: Sequence[Floats], prices: Sequence[float]) -> int:
    """Row of the best mean; equal means: the cheaper one, then the earlier one."""
    means = [float(np.nanmean(row)) if not np.isnan(row).all() else -math.inf for row in values]
    return min(range(len(values)), key=lambda row: (-means[row], prices[row], row))


def clearly_lost(standing: Verdict) -> bool:
    """Whether an arm of the pool is so far behind that more samples would be wasted on it."""
    return standing.n >= CLEAR_N and standing.difference < 0 and standing.p_loses < CLEAR_P


def unpromising(standing: Verdict) -> bool:
    """Whether a challenger should give way: its chance to beat the champion is below a rising bar.

    The bar is 0.15 after 8 samples and reaches 0.5 after 128: a cheap look forgives much, a dear one little.
    """
    bar = min(0.5, 0.15 + 0.1 * math.log2(max(standing.n, 1) / FIRST_BLOCK))
    return standing.n >= FIRST_BLOCK and standing.p_loses < bar


def told_value(champion_mean: float, standing: Verdict) -> float:
    """The value a sampler is told: the champion's mean plus the paired difference, shrunk when n is small.

    A raw mean over few samples and one over many are not comparable; this is.
    """
    return champion_mean + standing.difference * standing.n / (standing.n + PRIOR_N)
