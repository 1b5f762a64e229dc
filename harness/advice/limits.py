"""Which trials keep the limits for sure, which break them, and of which that cannot be told yet.

In: trials with the bounds of their figures. Out: where each figure stands, and words for it. A limit is held
against bounds, never against the figure itself: half of the settings that lie a little above a limit are
measured below it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.advice.finalist import percent
from harness.findings import Trial
from harness.plan.limits import FACTS, FIGURES, broken_limits, digits
from harness.plan.problems import written
from harness.records import Bounds
from harness.stats.bounds import units_to_show

RATES = ("failure_rate", "unscored_rate", "truncation_rate")
# A mean of figures that are all the same lies a rounding error above them.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A figure of a trial held against its limit.

    standing: "keeps" when the upper bound is at or below the limit, "breaks" when the lower bound is above
    it, "unclear" between. unshown: a rate without a single event, which counts as kept although so few calls
    cannot show it.
    """

    figure: str
    most: float
    value: float | None
    bounds: Bounds | None
    standing: Literal["keeps", "breaks", "unclear"]
    unshown: bool = False

    def words(self) -> str:
        """Figure, bound and limit as a clause."""
        name, limit = self.figure, f"the limit is {written(self.most)}"
        if name in FACTS and self.value is not None:
            return f"{name} is {digits(self.value)}, {limit}"
        if self.value is None or self.bounds is None or self.bounds.high is None:
            known = "unknown" if self.value is None else f"{digits(self.value)} on too few calls to bound it"
            return f"{name} is {known}, {limit}"
        sure = f"with {percent(self.bounds.level)} confidence"
        if self.standing == "breaks":
            return f"{name} is {digits(self.value)}, {sure} above {written(self.most)}"
        high = f"{sure} at most {digits(self.bounds.high)} ({self.bounds.method})"
        return f"{name} is {digits(self.value)}, {high}, {limit}"

    def more_calls(self) -> float:
        """About how many further calls would settle it if the figure stays; infinite where none would.

        The distance of a bound from the figure shrinks with the square root of the calls; on a logarithmic
        scale for latencies, whose bounds are symmetric there.
        """
        bounds, value = self.bounds, self.value
        if self.standing != "unclear":
            return 0.0
        if value is None or bounds is None or bounds.low is None or bounds.high is None:
            return math.inf
        near = bounds.high if value <= self.most else bounds.low
        if self.figure.endswith("_s") and min(value, near, self.most) > 0:
            gap, reach = math.log(self.most / value), math.log(near / value)
        else:
            gap, reach = self.most - value, near - value
        return math.inf if gap == 0 else max(1.0, math.ceil(bounds.n * ((reach / gap) ** 2 - 1)))


def check(trial: Trial, limits: Mapping[str, float]) -> list[Check]:
    """Each limit with where this trial stands, in the order of the limits."""
    return [_check(trial, name, most) for name, most in limits.items()]


def keeps(checks: Sequence[Check]) -> bool:
    """Whether all limits are kept."""
    return all(one.standing == "keeps" for one in checks)


def cut_off(trials: Sequence[Trial], assumed: Mapping[str, float]) -> str:
    """Why none of these trials can be recommended although it keeps what was written down, and what helps."""
    trial = max(trials, key=lambda one: (_quality(one), -one.number))
    limit = trial.settings.max_output_tokens
    broken = "; ".join(broken_limits(trial, assumed))
    return (
        f"the best trial, {trial.number}, is not recommended: its {broken} at max_output_tokens {limit}; let "
        "answers be longer, or allow it with aim.within.truncation_rate"
    )


def breaks(trial: Trial, limits: Mapping[str, float]) -> list[str]:
    """The limits that this trial breaks for sure, as clauses."""
    return [one.words() for one in check(trial, limits) if one.standing == "breaks"]


def unshown_caveats(checks: Sequence[Check]) -> list[str]:
    """What is to be said of rates that count as kept because nothing happened."""
    return [_unshown(one) for one in checks if one.unshown]


def nobody_keeps(trials: Sequence[Trial], limits: Mapping[str, float]) -> str:
    """Why no trial can be recommended, and what would help. trials: at least one, none keeps all limits."""
    checked = [(trial, check(trial, limits)) for trial in trials]
    open_ones = [(trial, checks) for trial, checks in checked if all(c.standing != "breaks" for c in checks)]
    if not open_ones:
        trial, checks = max(checked, key=lambda pair: (_quality(pair[0]), -pair[0].number))
        missed = "; ".join(one.words() for one in checks if one.standing == "breaks")
        return (
            f"no trial meets the limits; the best one, trial {trial.number}, misses them: {missed}; "
            "relax aim.within or widen the search"
        )

    def distance(pair: tuple[Trial, list[Check]]) -> tuple[bool, float, float, int]:
        trial, checks = pair
        over = any(one.value is None or one.value > one.most for one in checks)
        return over, max(one.more_calls() for one in checks), -_quality(trial), trial.number

    trial, checks = min(open_ones, key=distance)
    unsure = "; ".join(one.words() for one in checks if one.standing == "unclear")
    more = max(one.more_calls() for one in checks)
    if math.isinf(more):
        return (
            f"no trial is sure to meet the limits, and more calls would not tell; the nearest is trial "
            f"{trial.number}: {unsure}; relax aim.within or widen the search"
        )
    return (
        f"no trial is sure to meet the limits; the nearest is trial {trial.number}: {unsure}; about "
        f"{more:.0f} more calls on the confirm split would settle it: give more samples, or relax aim.within"
    )


def _check(trial: Trial, name: str, most: float) -> Check:
    value, bounds = FIGURES[name](trial), trial.bounds.get(name)
    unshown = False
    standing: Literal["keeps", "breaks", "unclear"] = "unclear"
    if value is not None and name in FACTS:
        standing = "keeps" if value <= most else "breaks"
    elif value is not None and bounds is not None:
        allowed = most * (1 + ROUNDING)
        if bounds.high is not None and bounds.high <= allowed:
            standing = "keeps"
        elif bounds.low is not None and bounds.low > allowed:
            standing = "breaks"
        elif name in RATES and value == 0.0:
            standing, unshown = "keeps", True
    return Check(figure=name, most=most, value=value, bounds=bounds, standing=standing, unshown=unshown)


def _unshown(one: Check) -> str:
    assert one.bounds is not None
    assert one.bounds.high is not None
    needed = units_to_show(one.most, level=one.bounds.level)
    would = "no number of calls can" if needed is None else f"{needed} calls without an event would"
    return (
        f"{one.figure} was 0 in {one.bounds.n} calls, which leaves up to {digits(one.bounds.high)} possible "
        f"({percent(one.bounds.level)} confidence): it counts as at most {written(one.most)}, but {would} "
        "show it."
    )


def _quality(trial: Trial) -> float:
    return trial.quality.value if trial.quality else -math.inf
