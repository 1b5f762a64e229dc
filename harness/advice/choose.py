"""Which settings to ship, why, and how sure that is.

The search split chooses, the confirm split reports. In: finalists with their evidence on both splits, and
the aim. Out: a recommendation, or an InconclusiveError that says what is missing. Pure: it looks nothing
up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.advice.measured import FEW, rate_caveats
from harness.errors import InconclusiveError, StatsError
from harness.plan.limits import broken_limits
from harness.records import Estimate, PairedDifference, Provenance, Recommendation, Trial
from harness.stats.paired import paired_difference
from harness.stats.power import smallest_difference

Floats = NDArray[np.float64]
DEFAULT = 0  # number of the untuned default
POWER = 0.8  # chance of seeing a difference of the size that a caveat names
ROUNDING = 1e-9  # quality: 0.58 - 0.01 is less than 0.57 in binary floating point


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A trial that reached the confirm split. *_values: quality per sample, NaN where there is none.

    groups: cluster of each confirm sample, `None` when every sample stands alone.
    """

    search: Trial
    confirm: Trial
    search_values: Floats
    confirm_values: Floats
    groups: Sequence[str] | None = None

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.search.number

    @property
    def search_quality(self) -> float:
        """Mean quality on the search split, which is what chooses."""
        return self.search.quality.value if self.search.quality else -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the choice should be good at; see `plan.Aim` for the fields."""

    policy: str
    tolerance: float
    limits: Mapping[str, float]
    level: float
    seed: int


def recommend(
    finalists: Sequence[Finalist],
    goal: Goal,
    *,
    experiment: str,
    run: str,
    provenance: Provenance,
    notes: Sequence[str],
) -> Recommendation:
    """The settings to ship under this goal, among the finalists that answered the most search samples.

    Raises InconclusiveError when no finalist has quality on both splits, or none meets the limits.
    """
    able = [f for f in finalists if _answered(f.search) and _answered(f.confirm)]
    if not able:
        raise InconclusiveError(
            "no trial has enough scored answers on both splits; look at the failure rates, then raise the "
            "budget or the number of samples"
        )
    feasible = [f for f in able if not broken_limits(f.search, goal.limits)]
    if not feasible:
        nearest = max(able, key=lambda f: f.search_quality)
        raise InconclusiveError(
            f"no trial meets the limits; the best one, trial {nearest.number}, misses them: "
            f"{'; '.join(broken_limits(nearest.search, goal.limits))}; relax aim.within or widen the search"
        )
    eligible = _comparable(feasible)
    best = max(eligible, key=lambda f: (f.search_quality, -_price(f), -f.number))
    chosen = best if goal.policy == "best" else _cheapest(eligible, best, goal.tolerance)
    rivals = [f for f in able if f is not chosen]
    others = [f for f in eligible if f is not chosen] or [f for f in feasible if f is not chosen]
    runner_up = max(others, key=lambda f: (f.search_quality, -f.number), default=None)
    default = next((f for f in rivals if f.number == DEFAULT), None)
    return Recommendation(
        experiment=experiment,
        run=run,
        policy=goal.policy if goal.policy == "best" else f"{goal.policy}: {goal.tolerance:g}",
        settings=chosen.search.settings,
        trial=chosen.confirm,
        search_trial=chosen.search,
        ties=_ties(chosen, rivals, goal),
        runner_up=runner_up.number if runner_up else None,
        versus_runner_up=versus(chosen, runner_up, level=goal.level, seed=goal.seed),
        versus_default=versus(chosen, default, level=goal.level, seed=goal.seed),
        reason=_reason(chosen, best, eligible, goal),
        caveats=(*_caveats(chosen, rivals, goal), *notes),
        provenance=provenance,
    )


def _answered(trial: Trial) -> bool:
    # Where failures count as wrong, silence has a quality too: 0, which nobody would ship.
    return trial.quality is not None and trial.failure_rate + trial.unscored_rate < 1


def _comparable(finalists: Sequence[Finalist]) -> list[Finalist]:
    # A mean over a few easy samples may lie above one over all: who dropped out early cannot win.
    most = max(finalist.search.samples for finalist in finalists)
    return [finalist for finalist in finalists if finalist.search.samples == most]


def versus(chosen: Finalist, other: Finalist | None, *, level: float, seed: int) -> PairedDifference | None:
    """Quality of the choice minus that of the other on the confirm samples both answered.

    `None` without another, or with fewer than two samples in common.
    """
    if other is None:
        return None
    both = ~(np.isnan(chosen.confirm_values) | np.isnan(other.confirm_values))
    groups = None if chosen.groups is None else [chosen.groups[int(p)] for p in np.flatnonzero(both)]
    try:
        difference = paired_difference(
            chosen.confirm_values[both], other.confirm_values[both], level=level, seed=seed, groups=groups
        )
    except StatsError:
        return None
    return PairedDifference(other=other.number, difference=difference)


def _cheapest(eligible: Sequence[Finalist], best: Finalist, tolerance: float) -> Finalist:
    near = [f for f in eligible if f.search_quality >= best.search_quality - tolerance - ROUNDING]
    return min(near, key=lambda f: (_price(f), -f.search_quality, f.number))


def _price(finalist: Finalist) -> float:
    price = finalist.search.usd_per_1k_calls
    return math.inf if price is None else price


def _ties(chosen: Finalist, rivals: Sequence[Finalist], goal: Goal) -> tuple[int, ...]:
    # Bonferroni over the rivals: all statements "it differs" hold together at the stated level.
    level = 1 - (1 - goal.level) / max(1, len(rivals))
    tied: list[int] = []
    for rival in rivals:
        paired = versus(chosen, rival, level=level, seed=goal.seed)
        if paired is None or paired.difference.low <= 0 <= paired.difference.high:
            tied.append(rival.number)
    return tuple(sorted(tied))


def _reason(chosen: Finalist, best: Finalist, eligible: Sequence[Finalist], goal: Goal) -> str:
    among = f"{len(eligible)} finalist{'s' if len(eligible) > 1 else ''}"
    limits = " that meet the limits" if goal.limits else ""
    if chosen is best:
        rule = (
            ""
            if goal.policy == "best"
            else f", and no cheaper finalist came within {_points(goal.tolerance)}"
        )
        return f"Trial {chosen.number} had the highest quality of {among}{limits} on the search split{rule}."
    behind = _points(best.search_quality - chosen.search_quality)
    return (
        f"Trial {chosen.number} was the cheapest of {among}{limits} within {_points(goal.tolerance)} of the "
        f"best, trial {best.number}; it was {behind} behind on the search split."
    )


def _caveats(chosen: Finalist, rivals: Sequence[Finalist], goal: Goal) -> list[str]:
    caveats: list[str] = []
    quality = chosen.confirm.quality
    assert quality is not None
    spread = _paired_sd(chosen, rivals)
    if quality.n < FEW:
        caveats.append(
            f"Only {quality.n} samples confirm this: all they can say is {quality.low:.2f} to "
            f"{quality.high:.2f}. Use more samples before you ship."
        )
    elif spread is not None:
        gap = smallest_difference(quality.n, spread, level=goal.level, power=POWER)
        caveats.append(
            f"With {quality.n} confirm samples a true difference below {_points(gap)} is likely to go unseen."
        )
    if chosen.search.quality and _drop_is_large(chosen.search.quality, quality):
        caveats.append(
            "Quality on the confirm split is well below that on the search split: "
            "the search flattered its winner."
        )
    broken = broken_limits(chosen.confirm, goal.limits)
    if broken:
        caveats.append(
            f"On the confirm split it misses limits that it met in the search: {'; '.join(broken)}."
        )
    return [*caveats, *rate_caveats(chosen.confirm)]


def _paired_sd(chosen: Finalist, rivals: Sequence[Finalist]) -> float | None:
    spreads = [
        float(np.nanstd(chosen.confirm_values - rival.confirm_values, ddof=1))
        for rival in rivals
        if (~np.isnan(chosen.confirm_values - rival.confirm_values)).sum() > 1
    ]
    return max(spreads) if spreads and max(spreads) > 0 else None


def _drop_is_large(search: Estimate, confirm: Estimate) -> bool:
    return confirm.high < search.value


def _points(share: float) -> str:
    return f"{share * 100:.1f} points"
