"""One arm against another on the samples that both answered: pure functions on arrays.

In: quality per sample of a challenger and of the champion. Out: how they stand, whether to go on, and what a
sampler is told. A difference is taken sample by sample, never between two means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.stats.paired import loses_p

Floats = NDArray[np.float64]
FIRST_BLOCK = 8  # samples before a challenger may be dropped
WINS_N, WINS_P = 32, 0.8  # samples, and chance to be the better one, from which a challenger has won
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
    """Numbers of samples after which a challenger is looked at again: 8, 16, 32, ..., n."""
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


def unpromising(standing: Verdict) -> bool:
    """Whether a challenger should give way: its chance to beat the champion is below a rising bar.

    The bar is 0.15 after 8 samples and reaches 0.5 after 128: a cheap look forgives much, a dear one little.
    """
    bar = min(0.5, 0.15 + 0.1 * math.log2(max(standing.n, 1) / FIRST_BLOCK))
    return standing.n >= FIRST_BLOCK and standing.p_loses < bar


def wins(standing: Verdict) -> bool:
    """Whether a challenger has likely beaten the champion: a chance above 0.8, from 32 samples on."""
    return standing.n >= WINS_N and standing.difference > 0 and standing.p_loses > WINS_P


def shrunk(standing: Verdict) -> float:
    """The difference as a sampler is told it: shrunk towards 0 when it rests on few samples.

    Raw means over few samples and over many are not comparable; a champion's value plus this is.
    """
    return standing.difference * standing.n / (standing.n + PRIOR_N)
