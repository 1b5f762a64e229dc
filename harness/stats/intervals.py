"""How sure one figure is.

In: scores from 0 to 1, one per answer, and the cluster of each. Out: an `Estimate`. No interval here
has width zero: data without variation is little evidence, not certainty. (A whole population is.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.bootstrap import Limits, bca_limits
from harness.stats.clusters import Clusters, checked, checked_level, clustered, standard_error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.stats.clusters import Floats, Groups

# Enough for the limits to move by less than a tenth of their distance from one seed to another.
RESAMPLES = 2_000
# Errors below this are rounding, not variation: scores run from 0 to 1.
NO_VARIATION = 1e-12
# Leaving out each of n clusters takes n times n steps.
JACKKNIFE_MOST = 5_000


def wilson(successes: int, n: int, level: float, *, population: int | None = None) -> Estimate:
    """A share with its score interval.

    population: as in `mean_interval`. Raises StatsError unless 0 <= successes <= n, n >= 1, and for a
    population below n.
    Source: Wilson 1927, JASA 22(158); recommended for small n by Brown, Cai and DasGupta 2001,
    Statistical Science 16(2). Without continuity correction.
    """
    from scipy.special import ndtri

    if not 0 <= successes <= n or n < 1:
        raise StatsError(f"{successes!r} successes of {n!r}; expected from 0 to n of at least 1")
    share = successes / n
    z = float(ndtri((1 + checked_level(level)) / 2)) * math.sqrt(_unseen_share(n, population))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the formula ends exactly at 0 and 1, but for rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Estimate(value=share, low=low, high=high, level=level, n=n, clusters=n, method="Wilson")


def clopper_pearson(successes: int, n: int, level: float, *, sides: Literal[1, 2] = 2) -> Estimate:
    """A share with its exact interval: it holds the truth with at least the stated probability, always.

    For guarantees, where an approximation will not do; else `wilson` is nearer to the level. sides: 2 for an
    interval; 1 for two bounds, each of which holds with probability `level` by itself, as in "at most a share
    of 0.01 of the hits is false". Raises StatsError unless 0 <= successes <= n and n >= 1.
    Source: Clopper and Pearson 1934, Biometrika 26(4).
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= n or n < 1:
        raise StatsError(f"{successes!r} successes of {n!r}; expected from 0 to n of at least 1")
    tail = (1 - checked_level(level)) / sides
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    method = "Clopper-Pearson" if sides == 2 else "Clopper-Pearson, each end by itself"
    return Estimate(value=successes / n, low=low, high=high, level=level, n=n, clusters=n, method=method)


def mean_interval(
    values: ArrayLike,
    *,
    level: float,
    groups: Groups = None,
    binary: bool | None = None,
    population: int | None = None,
) -> Estimate:
    """The mean of scores from 0 to 1 with a two-sided interval, by the method that fits the data.

    - scores of 0 and 1 without clusters: Wilson;
    - otherwise: t interval with C - 1 degrees of freedom on the clustered standard error, cut to [0, 1];
    - all clusters alike, so that the standard error is 0: `unvaried_limits`.

    groups: the cluster of each score, `None` for no clusters. binary: whether scores are 0 or 1 by
    their nature; `None`: look at them. population: the mean in question is that over exactly this many
    samples (clusters, where there are any), of which those seen are a random part: variances are multiplied
    by the share not seen. `None`: it is that of the source of the samples, which is what a user wants who
    will meet other ones. Raises StatsError for a score outside [0, 1], for a score other than 0 and 1
    although binary, for a population smaller than what was seen, and with fewer than two clusters (but
    Wilson takes a single score).
    Source: Miller 2024, arXiv 2411.00640; t instead of normal quantiles, because these are too narrow
    for small data sets (Bowyer, Aitchison and Ivanova 2025, arXiv 2503.01747); population: Cochran 1977,
    Sampling Techniques, section 2.6.
    """
    scores = checked(values, what="scores")
    clusters = clustered(scores, groups)
    two_valued = bool(np.isin(scores, (0.0, 1.0)).all())
    if binary and not two_valued:
        raise StatsError("scores are said to be binary, but not all of them are 0 or 1")
    if two_valued and clusters.single and binary is not False:
        return wilson(int(scores.sum()), len(scores), level, population=population)
    unseen = _unseen_share(clusters.count, population)
    limits, method = _t_limits(clusters, checked_level(level), unseen)
    return _estimate(clusters, clusters.mean, limits, level=level, method=method)


def unvaried_limits(
    value: float, clusters: int, level: float, *, low: float, high: float, unseen: float = 1.0
) -> Limits:
    """An interval for the mean of a quantity that was the same in every cluster seen.

    With confidence `level`, at most a share u = 1 - (1 - level)^(1 / clusters) of clusters differs
    from those seen, and these lie between `low` and `high`; hence the mean is between
    (1 - u) value + u low and (1 - u) value + u high. At 95 % and 30 clusters u is 0.095.
    unseen: the share of all clusters that was not seen; no more than these can differ.
    Source: one-sided Clopper and Pearson 1934, Biometrika 26(4), for 0 of n: the "rule of three",
    u near 3 / n (Hanley and Lippman-Hand 1983, JAMA 249(13)); the step to bounded means is ours.
    """
    share = min(unseen, 1 - (1 - level) ** (1 / clusters))
    return Limits((1 - share) * value + share * low, (1 - share) * value + share * high)


def bootstrap_interval(
    rows: NDArray[np.generic],
    statistic: Callable[[NDArray[np.generic]], float],
    *,
    level: float,
    seed: int,
    groups: Groups = None,
    resamples: int = RESAMPLES,
    lowest: float = 0.0,
    telling: int | None = None,
) -> Estimate:
    """A figure up to 1 without a formula for its error, such as macro F1, with a bootstrap interval.

    rows: what the statistic needs of each answer, shape (n,) or (n, columns); a single column of whole
    numbers is quickest. statistic: from such rows, in any number and order, to the figure. lowest: the least
    that the figure can be, 0 or -1. groups: as in `mean_interval`; clusters are drawn as a whole. The
    bias-corrected and accelerated interval; percentiles where that is not defined; and `unvaried_limits`, as
    an approximation, where all resamples give the same figure: of so many clusters as are `telling`, `None`
    for all, since of those without a rare label it says nothing that they are alike. With more than 5,000
    clusters, percentiles as well: their correction no longer shows. Raises StatsError with fewer than two
    clusters, and for a figure outside its range. Source: Efron 1987, JASA 82(397); whole clusters after
    Davison and Hinkley 1997, section 3.8.
    """
    clusters = clustered(np.zeros(len(rows)), groups)
    if clusters.count < 2:
        raise StatsError(f"{clusters.count} independent cluster; at least 2 are needed to resample")
    members = np.split(
        np.argsort(clusters.members, kind="stable"), np.cumsum(clusters.sizes)[:-1].astype(int)
    )
    point = float(checked([statistic(rows)], what="figures", low=lowest)[0])
    generator = np.random.default_rng(seed)
    # One at a time: all draws of 50,000 clusters together would take 800 MB.
    draws = (generator.integers(clusters.count, size=clusters.count) for _ in range(resamples))
    chosen = draws if clusters.single else (np.concatenate([members[c] for c in draw]) for draw in draws)
    figures = np.array([statistic(rows[positions]) for positions in chosen])
    if np.ptp(figures) <= NO_VARIATION:
        limits = unvaried_limits(point, telling or clusters.count, checked_level(level), low=lowest, high=1)
        method = "bound without variation"
    else:
        left_out = _left_out(rows, statistic, members) if clusters.count <= JACKKNIFE_MOST else None
        limits, method = _resampled_limits(point, figures, left_out, checked_level(level))
    return _estimate(clusters, point, limits, level=level, method=method, lowest=lowest)


def _left_out(
    rows: NDArray[np.generic],
    statistic: Callable[[NDArray[np.generic]], float],
    members: Sequence[NDArray[np.intp]],
) -> Floats:
    """The figure with one cluster left out at a time; equal clusters are computed once."""
    known: dict[bytes, float] = {}
    figures: list[float] = []
    for member in members:
        key = rows[member].tobytes() if rows.dtype != np.object_ else str(member).encode()
        if key not in known:
            known[key] = statistic(np.delete(rows, member, axis=0))
        figures.append(known[key])
    return np.array(figures)


def _resampled_limits(
    point: float, figures: Floats, left_out: Floats | None, level: float
) -> tuple[Limits, str]:
    limits = None if left_out is None else bca_limits(point, figures, left_out, level)
    if limits:
        return limits, "BCa bootstrap"
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Limits(float(low), float(high)), "percentile bootstrap"


def _t_limits(clusters: Clusters, level: float, unseen: float) -> tuple[Limits, str]:
    from scipy.special import stdtrit

    error = standard_error(clusters)
    if error <= NO_VARIATION:
        limits = unvaried_limits(clusters.mean, clusters.count, level, low=0, high=1, unseen=unseen)
        return limits, "bound without variation"
    half = float(stdtrit(clusters.count - 1, (1 + level) / 2)) * error * math.sqrt(unseen)
    return Limits(clusters.mean - half, clusters.mean + half), "t" if clusters.single else "clustered t"


def _unseen_share(seen: int, population: int | None) -> float:
    if population is None:
        return 1.0
    if population < seen:
        raise StatsError(f"the population is {population!r}, but {seen} were seen; expected at least as many")
    return 1 - seen / population


def _estimate(
    clusters: Clusters, value: float, limits: Limits, *, level: float, method: str, lowest: float = 0.0
) -> Estimate:
    # Sums of scores may leave their range by rounding.
    value = min(1.0, max(lowest, value))
    return Estimate(
        value=value,
        low=min(value, max(lowest, limits.low)),
        high=max(value, min(1.0, limits.high)),
        level=level,
        n=len(clusters.members),
        clusters=clusters.count,
        method=method,
    )
