"""One figure from those of several strata that count by weights, such as the tasks of an experiment.

In: an estimate a stratum, and weights. Out: their weighted mean with its interval. Strata are taken as
independent of each other; what is alike within one is its own estimate's to know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import StatsError
from harness.records import Estimate


@dataclass(frozen=True, slots=True)
class Strata:
    """Which stratum each sample is in. members: shape (samples,), counted from 0. weights: add up to 1."""

    members: NDArray[np.intp]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, names: Sequence[str], weights: Mapping[str, float]) -> Strata:
        """From the name of each sample's stratum. weights: of all strata, by name."""
        places = {name: place for place, name in enumerate(weights)}
        return cls(np.array([places[name] for name in names], np.intp), tuple(weights.values()))

    def mean(self, values: NDArray[np.float64]) -> float:
        """The weighted mean of the means of the strata. values: shape (samples,); none may be empty."""
        return math.fsum(
            weight * float(values[marks].mean())
            for weight, marks in zip(self.weights, self.marks(), strict=True)
        )

    def at(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> Strata:
        """Those of the samples at these places; a stratum may be left without any."""
        return Strata(self.members[places], self.weights)

    def marks(self) -> list[NDArray[np.bool_]]:
        """The samples of each stratum, shape (samples,) each."""
        return [self.members == number for number in range(len(self.weights))]


def weighted_mean(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """The weighted mean of independent figures, with an interval at the level that theirs have.

    weights: one for each, above 0; only their proportions matter. Each end is as far from the mean as the
    root of the sum of the squared weighted distances of the parts' ends from their values: variances add up
    with squared weights, and what is skew, bounded or clustered in a part stays so.
    Raises StatsError for no estimates, another number of weights, a weight that is not above 0, and levels
    that differ.
    Source: Newcombe 1998, Statistics in Medicine 17(8), in the general form of Zou and Donner 2008, ibid.
    27(10); the variance is that of a stratified mean, Cochran 1977, Sampling Techniques, section 5.3.
    """
    if not estimates or len(weights) != len(estimates) or not all(weight > 0 for weight in weights):
        raise StatsError(
            f"{len(estimates)} estimates and weights {list(weights)!r}; expected a number above 0 for each"
        )
    if len({estimate.level for estimate in estimates}) > 1:
        raise StatsError("the estimates have different levels; compute them at one")
    total = math.fsum(weights)
    parts = [(weight / total, estimate) for weight, estimate in zip(weights, estimates, strict=True)]
    value = math.fsum(share * estimate.value for share, estimate in parts)
    below = math.hypot(*(share * (estimate.value - estimate.low) for share, estimate in parts))
    above = math.hypot(*(share * (estimate.high - estimate.value) for share, estimate in parts))
    methods = dict.fromkeys(estimate.method for estimate in estimates)
    return Estimate(
        value=value,
        low=value - below,
        high=value + above,
        level=estimates[0].level,
        n=sum(estimate.n for estimate in estimates),
        clusters=sum(estimate.clusters for estimate in estimates),
        method=f"weighted, {', '.join(methods)}",
    )
