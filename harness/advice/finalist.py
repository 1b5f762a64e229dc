"""What advice rests on: trials with their quality sample by sample, and what the choice should be good at.

In: what trials have shown. Out: plain records, and the paired difference of two of them. Decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.errors import StatsError
from harness.findings import Trial
from harness.plan.policy import Policy
from harness.records import Estimate
from harness.stats.clusters import among
from harness.stats.margins import paired_spread
from harness.stats.paired import paired_difference
from harness.stats.strata import Strata, weighted_mean

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
DEFAULT = 0  # number of the untuned default


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A trial as the search split saw it. values: quality per sample, NaN where there is none.

    groups: cluster of each sample, `None` when every sample stands alone. strata: tasks of the samples,
    `None` with one task.
    """

    trial: Trial
    values: Floats
    groups: Sequence[str] | None = None
    strata: Strata | None = None

    @property
    def quality(self) -> float:
        """Mean quality; minus infinity while there is none."""
        return self.trial.quality.value if self.trial.quality else -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A trial that reached the confirm split. *_values: quality per sample, NaN where there is none.

    groups: cluster of each confirm sample, `None` when every sample stands alone. strata: tasks of the
    confirm samples, `None` with one task.
    """

    search: Trial
    confirm: Trial
    search_values: Floats
    confirm_values: Floats
    groups: Sequence[str] | None = None
    strata: Strata | None = None

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.search.number

    @property
    def search_quality(self) -> float:
        """Mean quality on the search split, which is what chooses."""
        return self.search.quality.value if self.search.quality else -math.inf

    @property
    def price(self) -> float:
        """USD for a thousand calls on the search split; infinite while unknown, which is not cheap."""
        return _known(self.search.usd_per_1k_calls)

    @property
    def latency_s(self) -> float:
        """Median latency on the search split; infinite while unknown, which is not fast."""
        return _known(self.search.latency_p50_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the choice should be good at. limits: upper bounds by figure name, which have to be sure.

    assumed: upper bounds of figures as they were measured, which hold although nobody wrote them. level:
    confidence of whatever is said of several finalists together. repeats: calls a sample.
    """

    level: float
    seed: int
    policy: Policy = field(default_factory=Policy)
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    assumed: Mapping[str, float] = field(default_factory=dict[str, float])
    repeats: int = 1


def _known(figure: float | None) -> float:
    return math.inf if figure is None else figure


def difference(
    one: Floats,
    other: Floats,
    groups: Sequence[str] | None,
    strata: Strata | None,
    *,
    level: float,
    seed: int,
) -> Estimate | None:
    """Quality of one minus that of the other on the samples that both answered, by the weights of strata.

    `None` for fewer than two independent samples in common, in any of the strata.
    """
    both = ~(np.isnan(one) | np.isnan(other))
    if strata is None:
        return _difference(one, other, groups, both, level=level, seed=seed)
    parts = [
        _difference(one, other, groups, both & marks, level=level, seed=seed) for marks in strata.marks()
    ]
    known = [part for part in parts if part is not None]
    return weighted_mean(known, strata.weights) if len(known) == len(parts) else None


def _difference(
    one: Floats, other: Floats, groups: Sequence[str] | None, marks: Marks, *, level: float, seed: int
) -> Estimate | None:
    try:
        return paired_difference(
            one[marks], other[marks], level=level, seed=seed, groups=among(groups, marks)
        )
    except StatsError:
        return None


def paired_sd(one: Finalist, other: Finalist) -> float:
    """Spread of the difference of two finalists on one confirm sample; 0 when none is seen."""
    known = ~np.isnan(one.confirm_values - other.confirm_values)
    try:
        return paired_spread(
            one.confirm_values[known],
            other.confirm_values[known],
            among(one.groups, known),
            None if one.strata is None else one.strata.at(known),
        )
    except StatsError:
        return 0.0


def points(share: float) -> str:
    """A difference of quality in points of a hundred."""
    return f"{share * 100:.1f} points"


def percent(level: float) -> str:
    """A confidence in percent, as in "98.75%"."""
    return f"{level * 100:.4g}%"
