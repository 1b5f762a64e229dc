"""Which of two is better on the same samples, and how large a data set has to be to tell.

In: two columns of scores from 0 to 1, row by row of the same sample. Out: an `Estimate` of the mean
difference, p-values, and sample sizes. Nothing here corrects for looking more than once, or at more
than two: whoever looks often divides the error among the looks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.bootstrap import Limits, bca_limits, jackknife_means, resampled_means
from harness.stats.clusters import Clusters, checked, checked_level, clustered, standard_error
from harness.stats.intervals import NO_VARIATION, unvaried_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.stats.clusters import Floats, Groups

# With fewer differing clusters than this, the bootstrap alone covers 91 to 94 % at a stated 95 %.
FEW_DIFFER = 20
# The limits then move by some 2 % of their distance from seed to seed, for 0.1 s per 1,000 samples.
RESAMPLES = 5_000


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    level: float,
    seed: int,
    groups: Groups = None,
    method: Literal["bootstrap", "t"] = "bootstrap",
) -> Estimate:
    """The mean of a - b over samples that both answered, from -1 to 1, with a two-sided interval.

    a, b: scores of the same samples in the same order. groups: the cluster of each sample, `None` for
    no clusters; whole clusters are resampled. method: "bootstrap", bias-corrected and accelerated, or
    "t", on the clustered standard error with C - 1 degrees of freedom. Where fewer than 20 clusters
    differ at all, the bootstrap is too sure of itself, and each end is the wider of the two methods'.
    When all clusters differ by the same amount, neither knows anything, and `unvaried_limits` holds:
    for 100 samples without a difference, 0 give or take 0.03 at 95 %.
    The order of the samples does not matter, and exchanging a and b mirrors the interval exactly.
    Raises StatsError for a score outside [0, 1], different lengths, and fewer than two clusters.
    Source: Efron 1987, JASA 82(397); pairing and clusters: Miller 2024, arXiv 2411.00640.
    """
    differences = _differences(a, b)
    clusters, sign = _in_standard_order(clustered(differences, groups))
    limits, used = _limits(clusters, checked_level(level), seed if method == "bootstrap" else None)
    low, high = sorted((sign * max(-1.0, limits.low), sign * min(1.0, limits.high)))
    # Adding zero turns -0.0 into 0.0.
    value = sign * clusters.mean + 0.0
    return Estimate(
        value=value,
        low=min(value, low),
        high=max(value, high),
        level=level,
        n=len(differences),
        clusters=clusters.count,
        method=used,
    )


def loses_p(challenger: Floats, leader: Floats) -> float:
    """How likely a challenger no worse than the leader does at least as badly as this one: one-sided p.

    challenger, leader: scores of the same samples in the same order; nothing but their shape is checked,
    because a race asks this for each arm after each block. Small means that the challenger loses.
    Paired t with n - 1 degrees of freedom. Where all differences are the same, t does not exist: then
    the sign test, 0.5^n, if the challenger always loses, and 1 if it never does. 1 also for n < 2.
    Raises StatsError for different shapes.
    Source: Student 1908, Biometrika 6(1); sign test: Conover 1999, section 3.4.
    """
    from scipy.special import stdtr

    if challenger.shape != leader.shape:
        raise StatsError(
            f"scores have shapes {challenger.shape} and {leader.shape}; expected the same samples"
        )
    differences = challenger - leader
    n = differences.size
    if n < 2:
        return 1.0
    mean = float(differences.sum()) / n
    deviations = differences - mean
    variance = float(deviations @ deviations) / (n - 1)
    if variance <= NO_VARIATION**2:
        return 0.5**n if mean < -NO_VARIATION else 1.0
    return float(stdtr(n - 1, mean / math.sqrt(variance / n)))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of "both are right equally often" from the samples on which they disagree.

    only_first: samples that only the first answered rightly; only_second: only the second. 1 when
    they never disagree. Raises StatsError for a negative count.
    Source: McNemar 1947, Psychometrika 12(2), with the exact binomial distribution instead of chi-square.
    """
    from scipy.special import bdtr

    if min(only_first, only_second) < 0:
        raise StatsError(f"{only_first!r} and {only_second!r} disagreements; expected counts from 0 up")
    total = only_first + only_second
    # Under the hypothesis each disagreement is a fair coin, so that both tails are equal.
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), total, 0.5)))


def smallest_difference(n: int, sd: float, level: float, power: float, *, sides: Literal[1, 2] = 1) -> float:
    """The mean difference that n pairs find with probability `power` when it is really there.

    (z of level + z of power) sd / sqrt(n). sd: standard deviation of the paired differences; for
    scores of 0 and 1 about the square root of the share of samples on which the two disagree.
    level: 1 minus the error rate of the test. sides: 1 to ask which is better in a given direction,
    2 for a two-sided interval that leaves out zero. Normal quantiles: a little too small for n < 30.
    Raises StatsError for n < 1, a negative sd, and level or power outside (0, 1).
    Source: Miller 2024, arXiv 2411.00640, on power; Cohen 1988, chapter 2.
    """
    if n < 1:
        raise StatsError(f"n is {n!r}; expected at least 1 pair")
    return _detectable_in_sd(level, power, sides) * _checked_sd(sd) / math.sqrt(n)


def pairs_needed(
    difference: float, sd: float, level: float, power: float, *, sides: Literal[1, 2] = 1
) -> int:
    """How many pairs find this mean difference with probability `power`.

    The inverse of `smallest_difference`, rounded up, with the same meanings and source. Raises
    StatsError for a difference of 0 or less, and where `smallest_difference` does.
    """
    if difference <= 0:
        raise StatsError(f"the difference to find is {difference!r}; expected a number above 0")
    needed = (_detectable_in_sd(level, power, sides) * _checked_sd(sd) / difference) ** 2
    # Rounded first, so that 400.00000000000006 asks for 400.
    return max(1, math.ceil(round(needed, 9)))


def _detectable_in_sd(level: float, power: float, sides: Literal[1, 2]) -> float:
    from scipy.special import ndtri

    if not 0.0 < power < 1.0:
        raise StatsError(f"the power is {power!r}; expected a share between 0 and 1, such as 0.8")
    error = (1 - checked_level(level)) / sides
    return float(ndtri(1 - error) + ndtri(power))


def _checked_sd(sd: float) -> float:
    if not (math.isfinite(sd) and sd >= 0):
        raise StatsError(f"the standard deviation is {sd!r}; expected a number from 0 up")
    return sd


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    first, second = checked(a, what="scores of a"), checked(b, what="scores of b")
    if len(first) != len(second):
        raise StatsError(f"{len(first)} and {len(second)} scores; a paired difference needs the same samples")
    return first - second


def _in_standard_order(clusters: Clusters) -> tuple[Clusters, Literal[1, -1]]:
    """The clusters sorted, and of a - b and b - a always the same one, with the sign that undoes it."""
    plain, mirrored = _sorted(clusters, 1), _sorted(clusters, -1)
    differ = np.flatnonzero(plain.sums != mirrored.sums)
    if len(differ) and plain.sums[differ[0]] < mirrored.sums[differ[0]]:
        return mirrored, -1
    return plain, 1


def _sorted(clusters: Clusters, sign: Literal[1, -1]) -> Clusters:
    order = np.lexsort((clusters.sizes, sign * clusters.sums))
    return Clusters(sign * clusters.sums[order], clusters.sizes[order], np.argsort(order)[clusters.members])


def _limits(clusters: Clusters, level: float, seed: int | None) -> tuple[Limits, str]:
    """The limits by the bootstrap, or by t when there is no seed, and the name of the method used."""
    error = standard_error(clusters)
    if error <= NO_VARIATION:
        return unvaried_limits(
            clusters.mean, clusters.count, level, low=-1, high=1
        ), "bound without variation"
    by_t = _t_limits(clusters.mean, error, clusters.count, level)
    resampled = None if seed is None else _bootstrap_limits(clusters, level, seed)
    if resampled is None:
        return by_t, "paired t"
    if np.count_nonzero(clusters.sums) >= FEW_DIFFER:
        return resampled, "paired BCa bootstrap"
    wider = Limits(min(resampled.low, by_t.low), max(resampled.high, by_t.high))
    return wider, "paired BCa bootstrap, at least t"


def _bootstrap_limits(clusters: Clusters, level: float, seed: int) -> Limits | None:
    resampled = resampled_means(clusters.sums, clusters.sizes, resamples=RESAMPLES, seed=seed)
    left_out = jackknife_means(clusters.sums, clusters.sizes)
    return bca_limits(clusters.mean, resampled, left_out, level)


def _t_limits(mean: float, error: float, count: int, level: float) -> Limits:
    from scipy.special import stdtrit

    half = float(stdtrit(count - 1, (1 + level) / 2)) * error
    return Limits(mean - half, mean + half)
