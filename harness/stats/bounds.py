"""Where the true value of a figure lies: one-sided bounds of means, shares and percentiles.

In: figures of calls. Out: `Bounds`, each end with the confidence asked for. A bound that cannot be told from
so few calls is `None`; nothing here guesses, and nothing here knows what a figure is good for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.errors import StatsError
from harness.records import Bounds
from harness.stats.clusters import checked_level, clustered, standard_error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.stats.clusters import Floats, Groups

# The narrowest interval that is asked for, where two bounds are wanted at 50 %.
LARGEST_EXPONENT = 700.0  # e to it is the largest power that a float holds, but for a little
NARROWEST = 1e-6
# Seconds: a clock that says 0 means less than it can tell, and 0 has no logarithm.
SHORTEST_S = 1e-6


class _Ranks(NamedTuple):
    """Places in ascending order, from 1, of the values that bound a percentile; 0: there is none."""

    low: int
    high: int


def two_sided(level: float) -> float:
    """Confidence of the interval between two bounds that each hold with confidence `level`, from 0.5."""
    return max(NARROWEST, 2 * checked_level(level) - 1)


def shared(level: float, among: int) -> float:
    """Confidence of each of so many statements that are to hold all together with confidence `level`.

    1 - (1 - level) / among; with fewer than one statement, `level`.
    Source: Bonferroni, in the form of Dunn 1961, JASA 56(293).
    """
    return 1 - (1 - checked_level(level)) / max(1, among)


def mean_bounds(values: ArrayLike, *, level: float, groups: Groups = None) -> Bounds:
    """Bounds of a mean of figures from 0 up, such as prices.

    groups: the cluster of each value, `None` for no clusters. t with C - 1 degrees of freedom on the
    clustered standard error. Prices lean to the right, and t then sets its upper bound too low: the bound
    on the side of the longer tail is moved out by Johnson's correction for skewness, and none is moved in.
    Both ends are `None` with fewer than two clusters. Raises StatsError without values.
    Source: Student 1908, Biometrika 6(1); Johnson 1978, JASA 73(363).
    """
    from scipy.special import stdtrit

    array = _some(values)
    clusters = clustered(array, groups)
    count, mean = clusters.count, clusters.mean
    if count < 2:
        return Bounds(low=None, high=None, level=checked_level(level), n=count, method="t")
    error = standard_error(clusters)
    deviations = clusters.sums - clusters.sizes * mean
    spread = float(np.sqrt(np.mean(deviations**2)))
    lean = float(np.mean(deviations**3)) / spread**3 if error > 0.0 else 0.0
    t = float(stdtrit(count - 1, checked_level(level)))
    moved = lean * (1 + 2 * t * t) / (6 * math.sqrt(count))
    return Bounds(
        low=max(0.0, mean - (t + max(0.0, -moved)) * error),
        high=mean + (t + max(0.0, moved)) * error,
        level=level,
        n=count,
        method="t" if clusters.single else "clustered t",
    )


def share_bounds(hits: int, n: int, *, level: float, units: int | None = None) -> Bounds:
    """Bounds of the share that `hits` of `n` calls estimate.

    units: how many of the calls are independent, such as samples that were asked several times; `None`: all.
    The share is then taken to be seen in so many calls. The lower bound is 0 without a hit, and the upper
    one 1 when all are hits. Raises StatsError unless 0 <= hits <= n and 1 <= units <= n.
    Source: Clopper and Pearson 1934, Biometrika 26(4), one-sided; fewer units than calls, with a share of
    them that is no whole number: Korn and Graubard 1998, Survey Methodology 24(2).
    """
    from scipy.special import betaincinv

    units = n if units is None else units
    if not (0 <= hits <= n and 1 <= units <= n):
        raise StatsError(f"{hits!r} of {n!r} calls, {units!r} of them independent; expected rising counts")
    seen, error = hits * units / n, 1 - checked_level(level)
    return Bounds(
        low=0.0 if hits == 0 else float(betaincinv(seen, units - seen + 1, error)),
        high=1.0 if hits == n else float(betaincinv(seen + 1, units - seen, 1 - error)),
        level=level,
        n=units,
        method="Clopper-Pearson",
    )


def percentile_bounds(values: ArrayLike, share: float, *, level: float, units: int | None = None) -> Bounds:
    """Bounds of the value that a `share` of calls stays at or below, for figures from 0 up such as seconds.

    units: as in `share_bounds`. Where there are enough calls, the bounds are two of the values themselves,
    chosen by rank, whatever the distribution: for the upper bound of the 95th percentile at 95 % that takes
    59 calls, at 98.75 % 86. Else they are tolerance bounds for logarithms that are normal, and the upper one
    is at least the largest value: a tail that is heavier than that shows there first. Each end has the
    method that is open to it; `method` names that of the upper one. Both are `None` with fewer than two
    calls.
    Raises StatsError without values and for a share outside (0, 1).
    Source: Hahn and Meeker 1991, Statistical Intervals, sections 5.2 (ranks) and 4.6 (normal percentiles, by
    the noncentral t); the largest value as a floor is ours.
    """
    if not 0.0 < share < 1.0:
        raise StatsError(f"the share is {share!r}; expected a number between 0 and 1, such as 0.95")
    array = np.sort(_some(values))
    units = len(array) if units is None else units
    if units < 2:
        return Bounds(low=None, high=None, level=checked_level(level), n=units, method="order statistics")
    ranks = _ranks(units, share, checked_level(level))
    low, high = (float(array[_place(rank, units, len(array))]) for rank in ranks)
    if not ranks.low:
        low = _tolerance(array, share, 1 - level, units)
    if not ranks.high:
        high = max(_tolerance(array, share, level, units), float(array[-1]))
    method = "order statistics" if ranks.high else "log-normal tolerance bound"
    return Bounds(low=low, high=high, level=level, n=units, method=method)


def units_to_show(share: float, *, level: float) -> int | None:
    """How many independent calls without a single hit show that the true share is at most this.

    The rule of three: 149 for 2 % at 95 %. `None` for a share of 0, which no number of calls can show.
    Source: Clopper and Pearson 1934 for 0 of n, solved for n.
    """
    if share <= 0.0:
        return None
    return 1 if share >= 1.0 else math.ceil(math.log(1 - checked_level(level)) / math.log1p(-share))


def _some(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not (array >= 0).all():
        raise StatsError(
            f"values have shape {array.shape}; expected a list of at least one number, each from 0 up"
        )
    return array


def _ranks(units: int, share: float, level: float) -> _Ranks:
    """The ranks whose values bound the percentile, the upper one the lowest and the lower one the highest."""
    from scipy.special import bdtr

    ranks = np.arange(1, units + 1)
    # The value of rank r is below the percentile when r values or more are: bdtr counts up to r - 1.
    below = bdtr((ranks - 1).astype(np.float64), units, share)
    high, low = np.flatnonzero(below >= level), np.flatnonzero(1 - below >= level)
    return _Ranks(int(ranks[low[-1]]) if len(low) else 0, int(ranks[high[0]]) if len(high) else 0)


def _place(rank: int, units: int, count: int) -> int:
    """Where the value of a rank among independent units stands among all values, from 0."""
    return max(0, math.ceil(rank * count / units) - 1)


def _tolerance(values: Floats, share: float, level: float, units: int) -> float:
    """What the percentile is at most with confidence `level`, when logarithms are normal."""
    from scipy.special import nctdtrit, ndtri

    logs = np.log(np.maximum(values, SHORTEST_S))
    root = math.sqrt(units)
    factor = float(nctdtrit(units - 1, float(ndtri(share)) * root, level)) / root
    # The largest exponent of a float: a bound beyond it is no bound, and infinite.
    exponent = float(logs.mean() + factor * logs.std(ddof=1))
    return math.exp(exponent) if exponent < LARGEST_EXPONENT else math.inf
