"""Two columns of right and wrong answers: only the samples on which they disagree tell them apart.

In: how many samples only the first, and only the second, answered rightly. Out: p-values and limits of the
difference of their shares. Samples have to be independent: with clusters, see `paired`.
"""

from __future__ import annotations

import math
from typing import Literal

from harness.errors import StatsError
from harness.stats.bootstrap import Limits
from harness.stats.clusters import checked_level

# Halvings of an interval of length 2 until its ends are neighbours in floating point.
HALVINGS = 60


def mcnemar_p(only_first: int, only_second: int, *, sides: Literal[1, 2] = 2, mid: bool = False) -> float:
    """Exact p-value of "both are right equally often"; with one side, of "the first is no better".

    1 when they never disagree. mid: count what was seen only half, as a test that errs as often as stated
    on average instead of never more often. Raises StatsError for a negative count.
    Source: McNemar 1947, Psychometrika 12(2), with the exact binomial distribution instead of chi-square;
    mid-p: Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91.
    """
    from scipy.special import bdtr

    total = only_first + only_second
    _check(only_first, only_second, max(1, total))
    # Under the hypothesis each disagreement is a fair coin, so that both tails are equal.
    few = only_second if sides == 1 else min(only_first, only_second)
    tail = float(bdtr(few, total, 0.5))
    if mid:
        below = float(bdtr(few - 1, total, 0.5)) if few else 0.0
        tail -= (tail - below) / 2
    return min(1.0, sides * tail)


def score_limits(only_first: int, only_second: int, *, n: int, level: float) -> Limits:
    """The two-sided score interval of the difference first - second of two shares of n samples.

    Within -1 and 1, and never a point: for n samples without a disagreement 0 give or take z^2 / (n + z^2).
    Raises StatsError for counts below 0 or above n, and a level outside (0, 1).
    Source: Tango 1998, Statistics in Medicine 17(8): all differences that his test does not refute.
    """
    from scipy.special import ndtri

    _check(only_first, only_second, n)
    z = float(ndtri((1 + checked_level(level)) / 2))
    return Limits(-_upper_end(only_second, only_first, n, z), _upper_end(only_first, only_second, n, z))


def score_p(only_first: int, only_second: int, *, n: int, threshold: float) -> float:
    """One-sided p-value of "the share of the first minus that of the second is at most `threshold`".

    threshold: between -1 and 1, ends excluded; a margin of non-inferiority is -threshold.
    Raises StatsError for another threshold, and counts below 0 or above n.
    Source: Tango 1998, Statistics in Medicine 17(8), equation 12.
    """
    from scipy.special import ndtr

    _check(only_first, only_second, n)
    if not -1 < threshold < 1:
        raise StatsError(f"the threshold is {threshold!r}; expected a difference between -1 and 1")
    return float(ndtr(-_score(only_first, only_second, n, threshold)))


def _upper_end(only_first: int, only_second: int, n: int, z: float) -> float:
    possible, refuted = (only_first - only_second) / n, 1.0
    for _ in range(HALVINGS):
        middle = (possible + refuted) / 2
        if _score(only_first, only_second, n, middle) >= -z:
            possible = middle
        else:
            refuted = middle
    return possible


def _score(only_first: int, only_second: int, n: int, difference: float) -> float:
    """Standardised distance of the counts from those expected under this difference."""
    # The likeliest share of samples that only the second answers rightly, under this difference: the
    # larger root of 2 n x^2 + linear x + constant.
    linear = (2 * n - only_first + only_second) * difference - only_first - only_second
    constant = -only_second * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear * linear - 8 * n * constant))
    share = (root - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    distance = only_first - only_second - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _check(only_first: int, only_second: int, n: int) -> None:
    if min(only_first, only_second) < 0:
        raise StatsError(f"{only_first!r} and {only_second!r} disagreements; expected counts from 0 up")
    if only_first + only_second > n or n < 1:
        raise StatsError(f"{only_first + only_second} disagreements on {n!r} samples; expected at most n")
