"""Is one worse than another by more than a margin, where the samples of strata count by weights.

In: two columns of scores from 0 to 1, row by row of the same sample, and the stratum of each. Out: p-values
and bounds that belong together: a p-value is the error at which a bound reaches the threshold. What `margins`
tests in each stratum is put together as `strata` puts intervals together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.clusters import among, checked, checked_level, clustered
from harness.stats.margins import margin_test
from harness.stats.strata import weighted_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.stats.clusters import Floats, Groups
    from harness.stats.strata import Strata

STEPS = 24  # limits of a stratum that are computed: in between, their distance runs nearly straight
LEAST_P = 1e-6  # a limit with less error is as far off as a difference can be
HALVINGS = 40
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a limit lies from the value, by the normal score of its level. Both rise."""

    scores: Floats
    distances: Floats

    def at(self, score: float) -> float:
        """The distance of the limit with this score."""
        return float(np.interp(score, self.scores, self.distances))


@dataclass(frozen=True, slots=True)
class _Part:
    """What one stratum says of the mean of a - b."""

    value: float
    n: int
    clusters: int
    below: _Reach
    above: _Reach

    def estimate(self, score: float, level: float) -> Estimate:
        """The mean with its limits."""
        return Estimate(
            value=self.value,
            low=self.value - self.below.at(score),
            high=self.value + self.above.at(score),
            level=level,
            n=self.n,
            clusters=self.clusters,
            method="paired by stratum, each end by itself",
        )


@dataclass(frozen=True, slots=True)
class WeightedMargins:
    """The weighted mean over strata of the mean of a - b, held against margins.

    Within a stratum the limits are those that `margins.margin_p` does not refute; they are combined as in
    `strata.weighted_mean`, whose source this has.
    """

    _parts: tuple[_Part, ...]
    _weights: tuple[float, ...]

    @classmethod
    def of(
        cls, a: ArrayLike, b: ArrayLike, strata: Strata, *, seed: int, groups: Groups = None
    ) -> WeightedMargins:
        """Of two columns. groups: the cluster of each sample, `None` for no clusters; seed: of resampling.

        Raises StatsError for a score outside [0, 1], different lengths, and fewer than two clusters in any of
        the strata.
        """
        first, second = checked(a, what="scores of a"), checked(b, what="scores of b")
        if not len(first) == len(second) == len(strata.members):
            raise StatsError(
                f"{len(first)} and {len(second)} scores in {len(strata.members)} strata; expected one of "
                "each for each sample"
            )
        parts = [_part(first[marks], second[marks], among(groups, marks), seed) for marks in strata.marks()]
        return cls(tuple(parts), strata.weights)

    def bounds(self, level: float) -> Estimate:
        """The weighted mean with two bounds that each hold with probability `level` by itself.

        Raises StatsError for a level of 0.5 or less.
        """
        from scipy.special import ndtri

        if checked_level(level) <= 0.5:
            raise StatsError(f"the confidence level is {level!r}; a one-sided bound takes more than 0.5")
        return self._estimate(float(ndtri(level)), level)

    def above_p(self, threshold: float) -> float:
        """One-sided p-value of "it is at most `threshold`": small when it exceeds it, 1 from 0.5 on."""
        return self._p(lambda score: self._estimate(score).low > threshold)

    def below_p(self, threshold: float) -> float:
        """One-sided p-value of "it is at least `threshold`": small when it is below, 1 from 0.5 on."""
        return self._p(lambda score: self._estimate(score).high < threshold)

    def _estimate(self, score: float, level: float = 0.5) -> Estimate:
        return weighted_mean([part.estimate(score, level) for part in self._parts], self._weights)

    def _p(self, refuted: Callable[[float], bool]) -> float:
        """The error of the last limit that still refutes."""
        from scipy.special import ndtr, ndtri

        if not refuted(0.0):
            return 1.0
        low, high = 0.0, -float(ndtri(LEAST_P))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if refuted(middle) else (low, middle)
        return float(ndtr(-low))


def _part(first: Floats, second: Floats, groups: Groups, seed: int) -> _Part:
    clusters = clustered(first - second, groups)
    if clusters.count < 2:
        raise StatsError(f"{clusters.count} independent samples in a stratum; at least 2 are needed")
    value = clusters.mean
    return _Part(
        value=value,
        n=len(first),
        clusters=clusters.count,
        below=_reach(margin_test(first, second, seed=seed, groups=groups), value),
        above=_reach(margin_test(second, first, seed=seed, groups=groups), -value),
    )


def _reach(p_of: Callable[[float], float], value: float) -> _Reach:
    """How far below the value its limits lie, for p-values by threshold.

    Close together near the value, where those of large samples are. Where a test refutes one threshold and
    not one that is further off, the limit is the further one.
    """
    from scipy.special import ndtri

    distances, errors = list[float](), list[float]()
    for step in range(STEPS + 1):
        distance = (value + 1) * (step / STEPS) ** 2
        threshold = min(max(value - distance, -1 + ROUNDING), 1 - ROUNDING)
        distances.append(distance)
        errors.append(p_of(threshold))
        if errors[-1] < LEAST_P:
            break
    scores = -ndtri(np.clip(errors, LEAST_P, 1 - LEAST_P))
    rising = np.minimum.accumulate(scores[::-1])[::-1]
    # Beyond the last limit that was computed nothing is known but that differences end at -1.
    return _Reach(np.append(rising, rising[-1] + ROUNDING), np.append(distances, value + 1))
