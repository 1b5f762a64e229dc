"""The gate: may these settings take the place of those of the baseline?

In: a baseline, what was measured now, and floors. Out: a verdict with its reasons, and beforehand what such
a gate can see. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.advice.finalist import percent
from harness.advice.matched import Matched, Pairs
from harness.errors import StatsError
from harness.findings import Trial
from harness.plan.gate_spec import QUALITY, Floor
from harness.plan.limits import FIGURES, digits
from harness.plan.resolution import more_samples, points
from harness.records import Bounds
from harness.sheets import Basis, Sheet
from harness.stats.bounds import two_sided
from harness.stats.clusters import among, clustered, standard_error
from harness.stats.intervals import mean_interval
from harness.stats.margins import margin_power
from harness.stats.power import disagreement_sd
from harness.verdicts import Comparison, FloorCheck, GateVerdict, Outcome, Power

RATES = ("failure_rate", "unscored_rate", "truncation_rate")
ROUNDING = 1e-6  # a mean of figures that are all the same lies a rounding error beside them
CHANCE = 0.8  # of seeing the drop that is named beforehand
HALVINGS = 30
MOST_MOVED = 5  # samples that a message names
MOST_SAMPLES = 1_000_000


def moved(base: Sheet, basis: Basis, samples: Sequence[str], prices: Mapping[str, float] | None) -> list[str]:
    """What makes the baseline stale: what its scores rest on and is no longer so, a sentence each.

    basis, samples: of what would be measured now. prices: today's of the baseline's model; `None`: unknown.
    """
    old, found = base.basis, list[str]()
    gone, new = _apart(base.samples, samples), _apart(samples, base.samples)
    if gone or new:
        found.append(f"the data moved: {_listed(gone)} gone from the baseline, {_listed(new)} new")
    elif old.data != basis.data:
        found.append("the data moved: the samples have the same ids, and other contents")
    versions = [
        f"{name} from version {old.scorers.get(name, 'none')} to {basis.scorers.get(name, 'none')}"
        for name in sorted({*old.scorers, *basis.scorers})
        if old.scorers.get(name) != basis.scorers.get(name)
    ]
    if versions:
        found.append(f"scorers moved: {', '.join(versions)}")
    elif old.scoring != basis.scoring:
        found.append("the scoring moved: options of scorers, metric, repeats or the line on failures")
    if prices is not None and dict(prices) != dict(old.prices):
        kinds = [
            f"{kind} from {_usd(old.prices.get(kind))} to {_usd(prices.get(kind))}"
            for kind in sorted({*prices, *old.prices})
            if prices.get(kind) != old.prices.get(kind)
        ]
        found.append(f"prices of {base.settings.model} moved, USD per million tokens: {', '.join(kinds)}")
    return found


def power(base: Sheet, metric: str, *, tolerance: float, level: float) -> Power:
    """What a gate can see of this metric with the samples of the baseline.

    How much two settings differ from sample to sample is not known yet. Assumed is a spread of differences
    like that of the baseline's own scores: scores of the two that are correlated by one half, and right and
    wrong answers that change on half of the samples on which unrelated settings would. level: 1 minus the
    error rate of one metric. Raises StatsError with fewer than two independent samples.
    """
    pairs = Matched.of(base, base).column(metric)
    return _power(metric, _spreads(pairs), by_task=pairs.strata is not None, tolerance=tolerance, level=level)


def expected_power(metric: str, *, n: int, clusters: int, sd: float, tolerance: float, level: float) -> Power:
    """What a gate can see with so many samples, before there is a baseline to go by.

    clusters: how many of them are independent. sd: assumed of the differences, as for `power`. Raises
    StatsError as it does.
    """
    part = _Spread(weight=1.0, n=n, clusters=clusters, sd=sd, binary=False)
    return _power(metric, [part], by_task=False, tolerance=tolerance, level=level)


def _power(metric: str, parts: Sequence[_Spread], *, by_task: bool, tolerance: float, level: float) -> Power:
    """by_task: whether the parts are tasks that count by weights."""
    n, clusters = sum(part.n for part in parts), sum(part.clusters for part in parts) - len(parts) + 1
    binary = all(part.binary for part in parts)

    def spread(drop: float) -> float:
        return math.sqrt(n) * math.hypot(*(part.weight * part.error(drop) for part in parts))

    # Exact tests of right and wrong answers see less than t: about what half a sample of each task is worth.
    steps = [part.weight / (2 * part.n) for part in parts if part.binary and by_task]

    def chance(drop: float, threshold: float) -> float:
        return margin_power(
            drop - math.hypot(*steps),
            threshold,
            n=n,
            sd=spread(drop),
            level=level,
            clusters=None if binary and not by_task else clusters,
            right_or_wrong=binary,
        )

    found = Power(
        metric=metric,
        n=n,
        tolerance=tolerance,
        drop=_smallest(chance, tolerance),
        twice=chance(min(0.999, 2 * tolerance), tolerance),
        unchanged=chance(0.0, -tolerance) if tolerance > 0 else 0.0,
        sd=spread(0.0),
    )
    return replace(found, sentence=_sentence(found))


@dataclass(frozen=True, slots=True)
class _Spread:
    """How much the scores of a task differ. weight: of the task, 0 to 1. binary: right or wrong, alone."""

    weight: float
    n: int
    clusters: int
    sd: float
    binary: bool

    def error(self, drop: float) -> float:
        """Standard error of the task's difference, where the truth is this drop."""
        sd = disagreement_sd(min(1.0, self.sd**2 + abs(drop)), drop) if self.binary else self.sd
        return sd / math.sqrt(self.n)


def _spreads(pairs: Pairs) -> list[_Spread]:
    """One a task whose samples count by weights, else one of all samples."""
    everywhere = (1.0, np.ones(len(pairs.base), np.bool_))
    strata = pairs.strata
    parts = [everywhere] if strata is None else zip(strata.weights, strata.marks(), strict=True)
    found: list[_Spread] = []
    for weight, marks in parts:
        column, groups = pairs.base[marks], among(pairs.groups, marks)
        clusters = clustered(column, groups)
        # Where all scores are the same there is no spread to go by: as if one of them had differed.
        sd = max(standard_error(clusters) * math.sqrt(len(column)), len(column) ** -0.5)
        binary = clusters.single and bool(np.isin(column, (0.0, 1.0)).all())
        found.append(_Spread(weight=weight, n=len(column), clusters=clusters.count, sd=sd, binary=binary))
    return found


def _smallest(chance: Callable[[float, float], float], tolerance: float) -> float | None:
    low, high = tolerance, 1.0 - ROUNDING
    if chance(high, tolerance) < CHANCE:
        return None
    for _ in range(HALVINGS // 2):
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle, tolerance) >= CHANCE else (middle, high)
    return high


def _sentence(one: Power) -> str:
    if one.drop is None:
        seen = "no drop is likely to be seen"
    else:
        seen = f"a drop of {points(one.drop)} is called worse in {CHANCE:.0%} of cases"
    return (
        f"{one.metric}: with {one.n} samples and a tolerance of {points(one.tolerance)}, {seen}; a drop of "
        f"{points(2 * one.tolerance)} in {one.twice:.0%}; settings that are as good are found to be so in "
        f"{one.unchanged:.0%}, and are else unclear."
    )


def check_floors(
    floors: Sequence[Floor], trial: Trial, sheet: Sheet, metric: str, level: float
) -> list[FloorCheck]:
    """Where each floor stands. level: of one floor; trial: with bounds at it."""
    return [_floor(floor, trial, sheet, metric, level) for floor in floors]


def decide(
    *,
    comparison: Comparison | None,
    floors: Sequence[FloorCheck],
    ended: str,
) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome, and why. ended: why the measurement did not come to its end, "" where it did."""
    reasons = [f"{one.floor}: {one.reason}" for one in floors if one.standing == "breaks"]
    worse = comparison is not None and comparison.verdict == "worse"
    if comparison is not None:
        reasons = [comparison.reason, *reasons] if worse or not reasons else [*reasons, comparison.reason]
    unsure = [f"{one.floor}: {one.reason}" for one in floors if one.standing == "unclear"]
    if worse or any(one.standing == "breaks" for one in floors):
        return "failed", tuple(reasons)
    if ended:
        return "unclear", (ended, *reasons, *unsure)
    if unsure or (comparison is not None and comparison.verdict == "unclear"):
        return "unclear", (*reasons, *unsure)
    kept = [f"{one.floor}: {one.reason}" for one in floors]
    return "passed", (*reasons, *kept)


def stale_verdict(verdict: GateVerdict) -> str:
    """What to do about a stale baseline, as a sentence."""
    return (
        f"The baseline {verdict.baseline} is stale, so nothing was asked: {'; '.join(verdict.stale)}. "
        "Measure the settings that are in use again with --update-baseline, look at the new file, and commit "
        "it."
    )


def _floor(floor: Floor, trial: Trial, sheet: Sheet, metric: str, level: float) -> FloorCheck:
    value, bounds = _figure(floor.figure, trial, sheet, metric, level)
    low, high = (None, None) if bounds is None else (bounds.low, bounds.high)
    standing, unshown = _standing(floor, value, low, high)
    more = None
    if standing == "unclear" and value is not None and bounds is not None:
        more = _more(floor, value, bounds)
    return FloorCheck(
        floor=str(floor),
        figure=floor.figure,
        value=value,
        low=low,
        high=high,
        level=level,
        standing=standing,
        reason=_words(floor, value, bounds, standing, more, unshown=unshown),
        more=more,
    )


def _figure(
    name: str, trial: Trial, sheet: Sheet, metric: str, level: float
) -> tuple[float | None, Bounds | None]:
    if name in (metric, QUALITY):
        return (None if trial.quality is None else trial.quality.value), trial.bounds.get("quality")
    if name in FIGURES:
        return FIGURES[name](trial), trial.bounds.get(name)
    places = [place for place, value in enumerate(sheet.scores.get(name, ())) if value is not None]
    if not places:
        return None, None
    values = [sheet.scores[name][place] or 0.0 for place in places]
    groups = [sheet.groups[place] for place in places] if sheet.groups else None
    try:
        found = mean_interval(values, level=two_sided(level), groups=groups)
    except StatsError:  # a single cluster
        return float(np.mean(values)), None
    return found.value, Bounds(
        low=found.low, high=found.high, level=level, n=found.clusters, method=found.method
    )


def _standing(
    floor: Floor, value: float | None, low: float | None, high: float | None
) -> tuple[Literal["keeps", "breaks", "unclear"], bool]:
    if value is None:
        return "unclear", False
    slack = ROUNDING * max(floor.bound, ROUNDING)
    if floor.sign == "<=":
        keeps = high is not None and high <= floor.bound + slack
        breaks = low is not None and low > floor.bound + slack
    else:
        keeps = low is not None and low >= floor.bound - slack
        breaks = high is not None and high < floor.bound - slack
    if keeps or breaks:
        return ("keeps" if keeps else "breaks"), False
    unshown = floor.figure in RATES and value == 0.0
    return ("keeps" if unshown else "unclear"), unshown


def _more(floor: Floor, value: float, bounds: Bounds) -> int | None:
    """About how many further samples: a bound nears the figure with the root of their number."""
    above = value > floor.bound
    near = bounds.low if above else bounds.high
    if near is None or value in (floor.bound, near):
        return None
    if floor.figure.endswith("_s") and min(value, near, floor.bound) > 0:
        reach, gap = math.log(near / value), math.log(floor.bound / value)
    else:
        reach, gap = near - value, floor.bound - value
    needed = bounds.n * ((reach / gap) ** 2 - 1)
    return max(1, math.ceil(round(needed, 6))) if needed <= MOST_SAMPLES else None


def _words(
    floor: Floor,
    value: float | None,
    bounds: Bounds | None,
    standing: str,
    more: int | None,
    *,
    unshown: bool,
) -> str:
    if value is None:
        return "the figure is unknown"
    if bounds is None or (bounds.low is None and bounds.high is None):
        return f"it is {digits(value)}, on too few samples to bound it"
    sure = f"with {percent(bounds.level)} confidence"
    if unshown:
        most = "" if bounds.high is None else f", which leaves up to {digits(bounds.high)} possible"
        return f"it was 0 in {bounds.n} samples{most}: it counts as kept"
    upper = (floor.sign == "<=") == (standing != "breaks")
    end = bounds.high if upper else bounds.low
    told = "" if end is None else f", {sure} {'at most' if upper else 'at least'} {digits(end)}"
    settle = f"; {more_samples(more)} would settle it, if it stays" if more is not None else ""
    return f"it is {digits(value)}{told}{settle}"


def _apart(one: Sequence[str], other: Sequence[str]) -> list[str]:
    known = set(other)
    return [name for name in one if name not in known]


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no samples"
    shown = ", ".join(names[:MOST_MOVED])
    more = ", ..." if len(names) > MOST_MOVED else ""
    return f"{len(names)} sample{'' if len(names) == 1 else 's'} ({shown}{more})"


def _usd(price: float | None) -> str:
    return "none" if price is None else f"{price:g}"
