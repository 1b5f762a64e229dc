"""How large a data set has to be to tell two apart, and what it cannot tell.

In: the spread of paired differences, a level and a power. Out: differences, numbers of pairs, chances.
`variance` says what the spread is made of.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

from harness.errors import StatsError
from harness.stats.clusters import checked_level

# Not from scipy: a plan asks for these figures, and should not wait for a library.
_NORMAL = NormalDist()


def smallest_difference(n: int, sd: float, level: float, power: float, *, sides: Literal[1, 2] = 1) -> float:
    """The mean difference that n pairs find with probability `power` when it is really there.

    (z of level + z of power) sd / sqrt(n). sd: standard deviation of the paired differences; for
    scores of 0 and 1 see `disagreement_sd`. level: 1 minus the error rate of the test. sides: 1 to ask which
    is better in a given direction, 2 for a two-sided interval that leaves out zero. Normal quantiles: a
    little too small for n < 30.
    Raises StatsError for n < 1, a negative sd, and level or power outside (0, 1).
    Source: Miller 2024, arXiv 2411.00640, on power; Cohen 1988, chapter 2.
    """
    return _detectable_in_sd(level, power, sides) * _checked_sd(sd) / math.sqrt(_checked_n(n))


def pairs_needed(
    difference: float, sd: float, level: float, power: float, *, sides: Literal[1, 2] = 1
) -> int:
    """How many pairs find this mean difference with probability `power`.

    The inverse of `smallest_difference`, rounded up, with the same meanings and source. For a gate with a
    margin, the difference is the margin plus the true one. Raises StatsError for a difference of 0 or less,
    and where `smallest_difference` does.
    """
    if difference <= 0:
        raise StatsError(f"the difference to find is {difference!r}; expected a number above 0")
    needed = (_detectable_in_sd(level, power, sides) * _checked_sd(sd) / difference) ** 2
    # Rounded first, so that 400.00000000000006 asks for 400.
    return max(1, math.ceil(round(needed, 9)))


def power_of(difference: float, n: int, sd: float, level: float, *, sides: Literal[1, 2] = 1) -> float:
    """The probability that n pairs find a mean difference of this size, from 0 to 1.

    The inverse of `smallest_difference` for its power, with the same meanings, source and errors; with two
    sides, finding it in the wrong direction does not count. A difference of 0 is found by mistake only.
    """
    spread = _checked_sd(sd) / math.sqrt(_checked_n(n))
    if spread == 0:
        return float(difference > 0)
    return _NORMAL.cdf(difference / spread - _needed_z(level, sides))


def disagreement_sd(disagree: float, difference: float = 0.0) -> float:
    """Standard deviation of the paired differences of right and wrong answers, from 0 to 1.

    sqrt(disagree - difference^2). disagree: the share of samples that one of the two answers rightly and the
    other not, from 0 to 1. difference: of their shares of right answers, at most as large.
    Raises StatsError for a share outside [0, 1] and a larger difference.
    Source: Connor 1987, Biometrics 43(1), on the size of McNemar's test.
    """
    if not abs(difference) <= disagree <= 1:
        raise StatsError(
            f"{disagree!r} disagree and the difference is {difference!r}; expected a share of at most 1, and "
            "a difference no larger than it"
        )
    return math.sqrt(disagree - difference * difference)


def _detectable_in_sd(level: float, power: float, sides: Literal[1, 2]) -> float:
    if not 0.0 < power < 1.0:
        raise StatsError(f"the power is {power!r}; expected a share between 0 and 1, such as 0.8")
    return _needed_z(level, sides) + _NORMAL.inv_cdf(power)


def _needed_z(level: float, sides: Literal[1, 2]) -> float:
    return _NORMAL.inv_cdf(1 - (1 - checked_level(level)) / sides)


def _checked_n(n: int) -> int:
    if n < 1:
        raise StatsError(f"n is {n!r}; expected at least 1 pair")
    return n


def _checked_sd(sd: float) -> float:
    if not (math.isfinite(sd) and sd >= 0):
        raise StatsError(f"the standard deviation is {sd!r}; expected a number from 0 up")
    return sd
