"""Who is chosen under a policy, and why.

In: finalists that may all be shipped. Out: one of them with its reason. Every rule is a function of the set:
the order of finalists and the units of price and time do not matter, what is worse in every figure is never
chosen, and what is chosen stays chosen when it becomes better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from harness.advice.finalist import Finalist, Goal, difference, paired_sd, percent, points
from harness.errors import InconclusiveError
from harness.plan.limits import digits
from harness.plan.problems import written
from harness.stats.bounds import shared, two_sided, units_to_show
from harness.stats.power import pairs_needed

POWER = 0.8  # chance that so many samples as are asked for show what is there
ROUNDING = 1e-9  # quality: 0.58 - 0.01 is less than 0.57 in binary floating point
# Of the difference of two settings on one sample: 0.35 to 0.48 on recorded results of right and wrong.
USUAL_SD = 0.4

Order: TypeAlias = "tuple[float, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A choice with its reason, a sentence, and what weakens it."""

    finalist: Finalist
    reason: str
    caveats: tuple[str, ...] = ()


def pick(finalists: Sequence[Finalist], goal: Goal) -> Pick:
    """The finalist to ship under the goal's policy. finalists: at least one, each keeps the limits.

    Raises InconclusiveError when the policy wants what none of them is sure to have.
    """
    if goal.policy.name == "floor":
        return _reaching(finalists, goal)
    if goal.policy.name in ("knee", "weights"):
        return _weighted(finalists, goal)
    return _within(finalists, goal)


def comparable(finalists: Sequence[Finalist]) -> list[Finalist]:
    """Those that answered the most search samples.

    A mean over a few easy samples may lie above one over all: who dropped out early cannot win by it.
    """
    most = max(finalist.search.samples for finalist in finalists)
    return [finalist for finalist in finalists if finalist.search.samples == most]


def by_quality(finalist: Finalist) -> Order:
    """Order of preference: quality, then price; never latency, which differs from run to run."""
    return -finalist.search_quality, finalist.price, *_last(finalist)


def _by_price(finalist: Finalist) -> Order:
    return finalist.price, -finalist.search_quality, *_last(finalist)


def _by_latency(finalist: Finalist) -> Order:
    return finalist.latency_s, -finalist.search_quality, finalist.price, *_last(finalist)


def _last(finalist: Finalist) -> tuple[float, int]:
    """What decides between those that are alike in everything else: the confirm split, then the number."""
    quality = finalist.confirm.quality
    return -quality.value if quality else math.inf, finalist.number


ORDERS: Mapping[str, Callable[[Finalist], Order]] = {
    "best": by_quality,
    "cheapest_within": _by_price,
    "fastest_within": _by_latency,
}


# -- best, cheapest_within, fastest_within


def _within(finalists: Sequence[Finalist], goal: Goal) -> Pick:
    """The first in the policy's order of those that give up no more quality than the policy allows.

    Allowed is the leader of the search split; who is shown on the confirm split to be within the margin of
    every other finalist; and, while there are too few samples to show that, who is within it of the leader on
    the search split and not shown to be outside. With a margin of 0 this is the policy `best`.
    """
    margin = goal.policy.tolerance
    racing = comparable(finalists)
    leader = min(racing, key=by_quality)
    gaps = _Gaps.of(finalists, goal)
    least = leader.search_quality - margin - ROUNDING
    near = [] if _can_show(finalists, goal) else [f for f in racing if f.search_quality >= least]
    allowed = [f for f in finalists if gaps.shown(f) or (f in near and not gaps.refuted(f))]
    chosen = min([leader, *allowed], key=ORDERS[goal.policy.name])
    shown = gaps.shown(chosen)
    return Pick(
        finalist=chosen,
        reason=_reason_within(chosen, leader, finalists, goal, shown=shown),
        caveats=() if shown or chosen is leader else _unshown(chosen, leader, finalists, goal),
    )


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Lower and upper bound of each finalist's quality minus that of each other one, by their numbers.

    The error is divided among the rivals of a finalist, whose number never changes. Holm's finer division
    would let evidence for one finalist lower the bar for a cheaper one, so that a better result could unseat
    whoever had it.
    """

    margin: float
    bounds: Mapping[int, Sequence[tuple[float, float]]]

    @classmethod
    def of(cls, finalists: Sequence[Finalist], goal: Goal) -> _Gaps:
        level = two_sided(shared(goal.level, len(finalists) - 1))
        bounds: dict[int, list[tuple[float, float]]] = {f.number: [] for f in finalists}
        for place, one in enumerate(finalists):
            for other in finalists[place + 1 :]:
                values = (one.confirm_values, other.confirm_values)
                found = difference(*values, one.groups, one.strata, level=level, seed=goal.seed)
                low, high = (-math.inf, math.inf) if found is None else (found.low, found.high)
                bounds[one.number].append((low, high))
                bounds[other.number].append((-high, -low))
        return cls(goal.policy.tolerance, bounds)

    def shown(self, finalist: Finalist) -> bool:
        """Whether it is shown to be within the margin of every other finalist."""
        gaps = self.bounds[finalist.number]
        return bool(gaps) and all(low > -self.margin for low, _ in gaps)

    def refuted(self, finalist: Finalist) -> bool:
        """Whether it is shown to be further than the margin below another finalist."""
        return any(high < -self.margin for _, high in self.bounds[finalist.number])


def _can_show(finalists: Sequence[Finalist], goal: Goal) -> bool:
    """Whether there are samples enough to show that a setting as good as the others is within the margin.

    By their number and the usual spread: the spread of a setting's own answers would make the rule for it
    depend on them.
    """
    margin = goal.policy.tolerance
    if margin <= 0:
        return False
    qualities = [f.confirm.quality for f in finalists]
    samples = min(quality.clusters if quality else 0 for quality in qualities)
    level = shared(goal.level, len(finalists) - 1)
    return samples >= pairs_needed(margin, USUAL_SD, level, POWER)


def _unshown(
    chosen: Finalist, leader: Finalist, finalists: Sequence[Finalist], goal: Goal
) -> tuple[str, ...]:
    margin, quality = goal.policy.tolerance, chosen.confirm.quality
    if margin <= 0 or quality is None:
        return ()
    level = shared(goal.level, len(finalists) - 1)
    # Answers that never differ have no spread, and are still no proof: see `stats.intervals.unvaried_limits`.
    needed = max(
        pairs_needed(margin, paired_sd(chosen, leader), level, POWER), units_to_show(margin, level=level) or 0
    )
    rests = f"That it gives up no more than {points(margin)} rests on the means of the search split alone"
    return (f"{rests}: {quality.n} confirm samples cannot show it, about {needed} could.",)


def _reason_within(
    chosen: Finalist, leader: Finalist, finalists: Sequence[Finalist], goal: Goal, *, shown: bool
) -> str:
    margin = points(goal.policy.tolerance)
    first, kind = ("fastest", "faster") if goal.policy.name == "fastest_within" else ("cheapest", "cheaper")
    if shown and chosen is not leader:
        return (
            f"Trial {chosen.number} is the {first} of {_among(finalists, goal)} that is shown on the confirm "
            f"split to give up less than {margin} against each other one ({percent(goal.level)} confidence)."
        )
    among = _among(comparable(finalists), goal)
    if chosen is leader:
        came = "is shown to be" if _can_show(finalists, goal) else "came"
        rule = "" if goal.policy.name == "best" else f", and no {kind} one {came} within {margin}"
        return f"Trial {chosen.number} had the highest quality of {among} on the search split{rule}."
    behind = points(leader.search_quality - chosen.search_quality)
    return (
        f"Trial {chosen.number} was the {first} of {among} within {margin} of the best, "
        f"trial {leader.number}; it was {behind} behind on the search split."
    )


# -- floor


def _reaching(finalists: Sequence[Finalist], goal: Goal) -> Pick:
    floor = goal.policy.amount
    reached = [f for f in finalists if _surely(f) >= floor]
    if not reached:
        raise InconclusiveError(_nobody_reaches(finalists, floor))
    chosen = min(reached, key=_by_price)
    among = _among(finalists, goal)
    others = "the only one" if len(reached) == 1 else f"the cheapest of the {len(reached)}"
    return Pick(
        finalist=chosen,
        reason=(
            f"Trial {chosen.number} was {others} of {among} whose quality is sure to reach {written(floor)}: "
            f"{_at_least(chosen)} on the confirm split."
        ),
    )


def _surely(finalist: Finalist) -> float:
    bounds = finalist.confirm.bounds.get("quality")
    return -math.inf if bounds is None or bounds.low is None else bounds.low


def _at_least(finalist: Finalist) -> str:
    bounds = finalist.confirm.bounds["quality"]
    assert bounds.low is not None
    return f"at least {digits(bounds.low)} with {percent(bounds.level)} confidence"


def _nobody_reaches(finalists: Sequence[Finalist], floor: float) -> str:
    nearest = max(finalists, key=lambda f: (_surely(f), f.search_quality, -f.number))
    quality, low = nearest.confirm.quality, _surely(nearest)
    start = f"no trial is sure to reach a quality of {written(floor)}"
    if quality is None or math.isinf(low):
        return f"{start}: there are too few confirm samples to tell; give more"
    found = f"{start}; the nearest, trial {nearest.number}, has {digits(quality.value)}, {_at_least(nearest)}"
    if quality.value <= floor:
        return f"{found}; search for better settings, or lower the floor"
    more = quality.clusters * (((quality.value - low) / (quality.value - floor)) ** 2 - 1)
    return f"{found}; about {math.ceil(more)} more confirm samples would settle it, if that quality stays"


# -- knee, weights


def _weighted(finalists: Sequence[Finalist], goal: Goal) -> Pick:
    """The highest weighted sum of figures, each stretched from 0, the worst finalist, to 1, the best.

    The knee is that of quality and price with equal weights: on such scales it is the point that lies
    farthest above the line from the cheapest to the best.
    """
    racing = comparable(finalists)
    weights = goal.policy.weights or {"quality": 1.0, "price": 1.0}
    figures = {
        "quality": [f.search_quality for f in racing],
        "price": [-f.price for f in racing],
        "latency": [-f.latency_s for f in racing],
    }
    sums = [0.0] * len(racing)
    for name, weight in weights.items():
        sums = [total + weight * part for total, part in zip(sums, _stretched(figures[name]), strict=True)]
    # Rounded: a different unit must not decide between two that are equal.
    order = [(-round(total, 9), *by_quality(f)) for total, f in zip(sums, racing, strict=True)]
    place = order.index(min(order))
    chosen, among = racing[place], _among(racing, goal)
    if goal.policy.name == "knee":
        reason = (
            f"Trial {chosen.number} stands at the knee of {among} on the search split: none gains as much "
            "quality for its price, both measured from the worst of them to the best."
        )
    else:
        reason = (
            f"Trial {chosen.number} has {goal.policy.words()} of {among} on the search split, "
            f"{sums[place] / sum(weights.values()):.2f} of 1; each figure counts from 0, the worst of them, "
            "to 1, the best."
        )
    return Pick(finalist=chosen, reason=reason)


def _stretched(figures: Sequence[float]) -> list[float]:
    """The figures, more being better, from 0 to 1; an unknown one is 0, and all are 1 when alike."""
    known = [figure for figure in figures if not math.isinf(figure)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    width = high - low
    return [0.0 if math.isinf(f) else (f - low) / width if width > 0 else 1.0 for f in figures]


def _among(finalists: Sequence[Finalist], goal: Goal) -> str:
    limits = " that keep the limits" if goal.limits else ""
    return f"{len(finalists)} finalist{'s' if len(finalists) > 1 else ''}{limits}"
