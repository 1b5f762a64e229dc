"""Exact tests of two columns of right and wrong answers, on whatever share of the samples they disagree.

In: how many samples only the first, and only the second, answered rightly, and a margin. Out: p-values that
are never too small, and the chance of a find. Samples have to be independent: with clusters, see `margins`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.stats.clusters import checked_level

if TYPE_CHECKING:
    from harness.stats.clusters import Floats

# Beyond so many samples the score test errs as often as stated, and the sums here take seconds.
EXACT_MOST = 2_000
STEPS_A_ROOT = (
    6  # values tried of the unknown share, for each square root of n: the sums are smooth in between
)
# Between these lie the scores from which on a level of 0.5 to 0.9999 is reached.
LEAST_SCORE, LARGEST_SCORE = 0.0, 8.0
HALVINGS = 16  # to a ten-thousandth: scores of so many counts lie further apart where it matters
NEGLIGIBLE = -30.0  # logarithm of a chance that changes no sum
ROUNDING = 1e-9


@lru_cache(maxsize=4096)
def exact_p(only_first: int, only_second: int, *, n: int, threshold: float) -> float:
    """One-sided p-value of "the share of the first minus that of the second is at most `threshold`".

    The chance of a score as large as this one, or larger, under the worst of all shares on which they may
    disagree: below alpha in at most alpha of all cases, for every number of samples. threshold: between -1
    and 1, ends excluded. Raises StatsError for another one, and counts below 0 or above n. Source: Hsueh,
    Liu and Chen 2001, Biometrics 57(2), with the score of Tango 1998, Statistics in Medicine 17(8); that the
    worst share lies on the margin: Roehmel and Mansmann 1999, Biometrical Journal 41(2).
    """
    _check(only_first, only_second, n, threshold)
    seen = _scores(np.array([float(only_first)]), np.array([float(only_second)]), n, threshold)[0]
    return _worst_chance(_tail(n, threshold, float(seen)), n, threshold)


def exact_power(*, n: int, disagree: float, difference: float, threshold: float, level: float) -> float:
    """How likely `exact_p` is below 1 - level when the first really is better by `difference`.

    disagree: the share of samples that one of the two answers rightly and the other not, from |difference| to
    1. Raises StatsError for other shares, levels and thresholds. Source: as `exact_p`.
    """
    _check(0, 0, n, threshold)
    if not abs(difference) <= disagree <= 1:
        raise StatsError(
            f"{disagree!r} disagree and the difference is {difference!r}; expected a share of at most 1, and "
            "a difference no larger than it"
        )
    tail = _tail(n, threshold, _critical(n, threshold, checked_level(level)))
    second = np.array([(disagree - difference) / 2])
    return float(_chances(tail, second, second + difference, n)[0])


@lru_cache(maxsize=256)
def _critical(n: int, threshold: float, level: float) -> float:
    """The smallest score whose worst chance is at most 1 - level."""
    refuted, possible = LARGEST_SCORE, LEAST_SCORE
    for _ in range(HALVINGS):
        middle = (refuted + possible) / 2
        if _worst_chance(_tail(n, threshold, middle), n, threshold) <= 1 - level:
            refuted = middle
        else:
            possible = middle
    return refuted


def _tail(n: int, threshold: float, score: float) -> Floats:
    """By how many only the first has right, 0 to n: the most that only the second may, for such a score.

    -1: no number of them. The score falls when the second gets more right.
    """
    first = np.arange(n + 1, dtype=np.float64)
    low, high = np.full(n + 1, -1.0), n - first
    for _ in range(n.bit_length() + 1):
        middle = np.ceil((low + high) / 2)
        reaches = (middle < 0) | (_scores(first, np.maximum(middle, 0), n, threshold) >= score - ROUNDING)
        low, high = np.where(reaches, middle, low), np.where(reaches, high, middle - 1)
    return low


def _worst_chance(tail: Floats, n: int, threshold: float) -> float:
    """The chance of this tail, at the margin, under the share of the second that makes it largest."""
    lowest, highest = max(0.0, -threshold), (1 - threshold) / 2
    steps = 16 + math.ceil(STEPS_A_ROOT * math.sqrt(n))
    # Evenly spaced in their roots: the chance changes as quickly as the spread of a count.
    second = lowest + (highest - lowest) * np.linspace(0.0, 1.0, steps) ** 2
    return float(np.max(_chances(tail, second, second + threshold, n)))


def _chances(tail: Floats, second: Floats, first: Floats, n: int) -> Floats:
    """The chance of the tail, for each pair of shares that only the second, and only the first, has right."""
    from scipy.special import bdtr, gammaln, xlog1py, xlogy

    counts = np.flatnonzero(tail >= 0)
    if not len(counts):
        return np.zeros(len(second))
    first = np.clip(first, 0.0, 1.0)
    ways = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    logs = ways + xlogy(counts, first[:, None]) + xlog1py(n - counts, -first[:, None])
    rest = np.clip(np.where(first < 1, second / np.maximum(1 - first, ROUNDING), 0.0), 0.0, 1.0)
    most = tail[counts]
    shares, places = np.nonzero(logs > NEGLIGIBLE)
    below = np.zeros(logs.shape)
    below[shares, places] = bdtr(most[places], n - counts[places], rest[shares])
    return np.minimum(1.0, (np.exp(logs) * below).sum(axis=1))


def _scores(first: Floats, second: Floats, n: int, difference: float) -> Floats:
    """Standardised distance of counts from those expected under this difference, as in `disagreements`."""
    linear = (2 * n - first + second) * difference - first - second
    constant = -second * difference * (1 - difference)
    root = np.sqrt(np.maximum(0.0, linear * linear - 8 * n * constant))
    variance = n * ((root - linear) / (2 * n) + difference * (1 - difference))
    distance = first - second - n * difference
    certain = np.where(np.abs(distance) < ROUNDING, 0.0, np.copysign(np.inf, distance))
    spread = np.sqrt(np.where(variance > ROUNDING, variance, 1.0))
    return np.where(variance > ROUNDING, distance / spread, certain)


def _check(only_first: int, only_second: int, n: int, threshold: float) -> None:
    if min(only_first, only_second) < 0 or only_first + only_second > n or n < 1:
        raise StatsError(
            f"{only_first!r} and {only_second!r} disagreements on {n!r} samples; expected counts from 0 up, "
            "at most n together"
        )
    if not -1 < threshold < 1:
        raise StatsError(f"the threshold is {threshold!r}; expected a difference between -1 and 1")
