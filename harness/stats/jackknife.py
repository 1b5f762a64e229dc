"""Intervals of smooth figures of a whole sample, by leaving out one cluster at a time.

In: a figure, and what it is without each cluster. Out: an `Estimate`. For figures that a bootstrap moves:
drawing rows twice makes partitions agree more than they do, leaving some out does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.bootstrap import Limits
from harness.stats.clusters import checked_level
from harness.stats.intervals import NO_VARIATION, unvaried_limits

if TYPE_CHECKING:
    from harness.stats.clusters import Floats


def jackknife_interval(
    value: float, left_out: Floats, *, n: int, level: float, low: float = 0.0, high: float = 1.0
) -> Estimate:
    """The figure with a t interval of its jackknife error, kept between low and high.

    left_out: the figure without each cluster, shape (clusters,). n: rows in all. `unvaried_limits`, as an
    approximation, where leaving out changes nothing, as of perfect partitions. Raises StatsError with fewer
    than two clusters. Source: Efron and Stein 1981, Annals of Statistics 9(3); t with one degree less than
    clusters.
    """
    from scipy.stats import t

    count = len(left_out)
    if count < 2:
        raise StatsError(f"{count} cluster(s) of rows; an error cannot be told from fewer than two")
    error = float(np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2)))
    if error <= NO_VARIATION:
        limits, method = (
            unvaried_limits(value, count, checked_level(level), low=low, high=high),
            "bound without variation",
        )
    else:
        reach = float(t.ppf((1 + checked_level(level)) / 2, count - 1)) * error
        limits, method = Limits(max(low, value - reach), min(high, value + reach)), "jackknife t"
    return Estimate(
        value=value,
        low=limits.low,
        high=limits.high,
        level=level,
        n=n,
        clusters=count,
        method=method,
    )
