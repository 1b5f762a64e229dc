"""Which of two is better on the same samples.

In: two columns of scores from 0 to 1, row by row of the same sample. Out: an `Estimate` of the mean
difference, and p-values. Nothing here corrects for looking more than once, for which see `sequential`, or at
more than two, for which see `best` and `multiple`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.bootstrap import Limits, bca_limits, bca_share, jackknife_means, resampled_means
from harness.stats.clusters import Clusters, checked, checked_level, clustered, standard_error
from harness.stats.disagreements import score_limits, score_p
from harness.stats.intervals import NO_VARIATION, unvaried_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.stats.clusters import Floats, Groups

Method: TypeAlias = Literal["auto", "bootstrap", "t"]

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
    method: Method = "auto",
    sides: Literal[1, 2] = 2,
) -> Estimate:
    """The mean of a - b over samples that both answered, from -1 to 1, with an interval.

    a, b: scores of the same samples in the same order. groups: the cluster of each sample, `None` for
    no clusters; whole clusters are resampled. sides: 2 for an interval that holds the truth with probability
    `level`; 1 for two bounds, each of which holds with that probability by itself, as a gate needs them.
    method: "auto" is the score interval for scores of 0 and 1 without clusters, and else the bootstrap;
    "bootstrap" is bias-corrected and accelerated; "t" rests on the clustered standard error with C - 1
    degrees of freedom. Where fewer than 20 clusters differ at all, the bootstrap is too sure of itself, and
    each end is the wider of those by bootstrap and t. When all clusters differ by the same amount, neither
    knows anything, and `unvaried_limits` holds.
    The order of the samples does not matter, and exchanging a and b mirrors the interval exactly.
    Raises StatsError for a score outside [0, 1], different lengths, fewer than two clusters, and one side
    with a level of 0.5 or less.
    Source: score interval: Tango 1998, Statistics in Medicine 17(8); Efron 1987, JASA 82(397); pairing and
    clusters: Miller 2024, arXiv 2411.00640.
    """
    first, second = _columns(a, b)
    clusters, sign = _in_standard_order(clustered(first - second, groups))
    error = standard_error(clusters)
    counts = _disagreements(first, second, clusters) if method == "auto" else None
    if sides == 1 and checked_level(level) <= 0.5:
        raise StatsError(f"the confidence level is {level!r}; a one-sided bound takes more than 0.5")
    between = 2 * checked_level(level) - 1 if sides == 1 else level
    if counts is not None:
        limits, used = score_limits(*counts, n=len(first), level=between), "paired score"
    else:
        limits, used = _limits(clusters, error, level, between, None if method == "t" else seed)
        limits = Limits(*sorted((sign * limits.low, sign * limits.high)))
    # Adding zero turns -0.0 into 0.0.
    value = sign * clusters.mean + 0.0
    return Estimate(
        value=value,
        low=min(value, max(-1.0, limits.low)),
        high=max(value, min(1.0, limits.high)),
        level=level,
        n=len(first),
        clusters=clusters.count,
        method=used if sides == 2 else f"{used}, each end by itself",
    )


def exceeds_p(
    a: ArrayLike, b: ArrayLike, threshold: float, *, seed: int, groups: Groups = None, method: Method = "auto"
) -> float:
    """One-sided p-value of "the mean of a - b is at most `threshold`": small when it exceeds it.

    "a is not worse than b by a margin": threshold = -margin (non-inferiority). "a is worse": exchange a and
    b, threshold 0. It is below 1 - level where the lower bound of `paired_difference` with one side is above
    the threshold. threshold: between -1 and 1, ends excluded; the rest, errors and sources as there.
    """
    if not -1 < threshold < 1:
        raise StatsError(f"the threshold is {threshold!r}; expected a difference between -1 and 1")
    return exceeding(a, b, seed=seed, groups=groups, method=method)(threshold)


def exceeding(
    a: ArrayLike, b: ArrayLike, *, seed: int, groups: Groups = None, method: Method = "auto"
) -> Callable[[float], float]:
    """`exceeds_p` by threshold: what is resampled for one is there for all. Errors: as there."""
    first, second = _columns(a, b)
    clusters, sign = _in_standard_order(clustered(first - second, groups))
    error = standard_error(clusters)
    counts = _disagreements(first, second, clusters) if method == "auto" else None
    if counts is not None:
        return lambda threshold: score_p(*counts, n=len(first), threshold=threshold)
    if error <= NO_VARIATION:
        return lambda threshold: _unvaried_p(sign * clusters.mean, clusters.count, threshold)

    def by_t(threshold: float) -> float:
        return _t_p(sign * clusters.mean, error, clusters.count, threshold)

    if method == "t":
        return by_t
    resampled = resampled_means(clusters.sums, clusters.sizes, resamples=RESAMPLES, seed=seed)
    left_out = jackknife_means(clusters.sums, clusters.sizes)

    def by_bootstrap(threshold: float) -> float:
        below = bca_share(sign * threshold, clusters.mean, resampled, left_out)
        if below is None:
            return by_t(threshold)
        p = below if sign == 1 else 1 - below
        return p if np.count_nonzero(clusters.sums) >= FEW_DIFFER else max(p, by_t(threshold))

    return by_bootstrap


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


def mean_change(changes: ArrayLike, *, level: float, groups: Groups = None) -> Estimate:
    """The mean of changes of any size and sign, such as of prices, with a two-sided interval.

    groups: the cluster of each, `None` for no clusters. t with C - 1 degrees of freedom on the clustered
    standard error. Raises StatsError for fewer than two clusters.
    Source: Student 1908, Biometrika 6(1); clusters: Miller 2024, arXiv 2411.00640.
    """
    values = checked(changes, what="changes", low=-math.inf, high=math.inf)
    clusters = clustered(values, groups)
    error = standard_error(clusters)
    limits = _t_limits(clusters.mean, error, clusters.count, checked_level(level))
    return Estimate(
        value=clusters.mean,
        low=limits.low,
        high=limits.high,
        level=level,
        n=len(values),
        clusters=clusters.count,
        method="paired t",
    )


def _columns(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    first, second = checked(a, what="scores of a"), checked(b, what="scores of b")
    if len(first) != len(second):
        raise StatsError(f"{len(first)} and {len(second)} scores; a paired difference needs the same samples")
    return first, second


def _disagreements(first: Floats, second: Floats, clusters: Clusters) -> tuple[int, int] | None:
    """How many samples only one of the two answered rightly; `None` for graded or clustered scores."""
    if not clusters.single or not np.isin(np.concatenate([first, second]), (0.0, 1.0)).all():
        return None
    return int(np.count_nonzero(first > second)), int(np.count_nonzero(second > first))


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


def _limits(
    clusters: Clusters, error: float, level: float, between: float, seed: int | None
) -> tuple[Limits, str]:
    """The limits by the bootstrap, or by t when there is no seed, and the name of the method used.

    between: the probability of lying between both limits, `level` or, where each counts by itself, less.
    """
    if error <= NO_VARIATION:
        limits = unvaried_limits(clusters.mean, clusters.count, level, low=-1, high=1)
        return limits, "bound without variation"
    by_t = _t_limits(clusters.mean, error, clusters.count, between)
    resampled = None if seed is None else _bootstrap_limits(clusters, between, seed)
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


def _t_p(mean: float, error: float, count: int, threshold: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(count - 1, (threshold - mean) / error))


def _unvaried_p(mean: float, count: int, threshold: float) -> float:
    """The error at which the lower of `unvaried_limits` is the threshold."""
    return min(1.0, ((1 + threshold) / (1 + mean)) ** count) if mean > threshold else 1.0
