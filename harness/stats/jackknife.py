"""Intervals of smooth figures of a whole sample, by leaving out one cluster at a time.

In: rows and a figure of them. Out: an `Estimate`. For figures that a bootstrap moves: drawing rows twice
makes partitions agree more than they do, leaving some out does not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.clusters import checked_level

if TYPE_CHECKING:
    from numpy.typing import NDArray


def jackknife_interval(
    rows: NDArray[np.generic],
    statistic: Callable[[NDArray[np.generic]], float],
    *,
    level: float,
    groups: Sequence[Hashable],
    low: float = 0.0,
    high: float = 1.0,
) -> Estimate:
    """The figure of these rows with a t interval of its jackknife error, kept between low and high.

    groups: the cluster of each row; rows of one are left out together. Raises StatsError with fewer than two
    clusters. Source: Efron and Stein 1981, Annals of Statistics 9(3); t with one degree less than clusters.
    """
    from scipy.stats import t

    numbers: dict[Hashable, int] = {}
    owners = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    count = len(numbers)
    if count < 2:
        raise StatsError(f"{count} cluster(s) of rows; an error cannot be told from fewer than two")
    value = statistic(rows)
    left = np.array([statistic(rows[owners != number]) for number in range(count)])
    error = float(np.sqrt((count - 1) / count * np.sum((left - left.mean()) ** 2)))
    reach = float(t.ppf((1 + checked_level(level)) / 2, count - 1)) * error
    return Estimate(
        value=value,
        low=max(low, value - reach),
        high=min(high, value + reach),
        level=level,
        n=len(rows),
        clusters=count,
        method="jackknife t",
    )
