"""What else is worth a look: the Pareto front, and the best of each model class.

In: finalists, trials of the search, and the choice. Out: trials with their evidence. The choice stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from harness.advice.finalist import Finalist, Goal, Searched, difference
from harness.advice.limits import check, keeps
from harness.advice.policies import by_quality, pick
from harness.errors import InconclusiveError
from harness.findings import Champion, FrontTrial, PairedDifference, Trial
from harness.plan.limits import broken_limits
from harness.records import MODEL_CLASSES, ModelClass

Axis = Literal["price", "latency"]
AXES: Mapping[Axis, Callable[[Trial], float | None]] = {
    "price": lambda trial: trial.usd_per_1k_calls,
    "latency": lambda trial: trial.latency_p50_s,
}
OUT = ("infeasible", "failed")


def front(trials: Sequence[Trial]) -> tuple[FrontTrial, ...]:
    """The trials that none beats in quality and price, or in quality and latency; best quality first.

    A trial is beaten by one that is at least as good in both figures and better in one. Who has no quality,
    or neither figure, is not on it. All trials are to be of one split.
    """
    on: dict[int, list[Axis]] = {}
    for axis, figure in AXES.items():
        points = [
            (trial.number, trial.quality.value, value)
            for trial in trials
            if trial.quality is not None and (value := figure(trial)) is not None
        ]
        for number, quality, value in points:
            beaten = any(
                better >= quality and less <= value and (better, less) != (quality, value)
                for _, better, less in points
            )
            if not beaten:
                on.setdefault(number, []).append(axis)
    kept = [FrontTrial(trial=t, against=tuple(on[t.number])) for t in trials if t.number in on]
    return tuple(sorted(kept, key=lambda one: (-_quality(one.trial), one.trial.number)))


def champions(
    chosen: Finalist,
    able: Sequence[Finalist],
    searched: Sequence[Searched],
    found: Sequence[PairedDifference],
    goal: Goal,
) -> tuple[Champion, ...]:
    """The best of each model class that was tried, under the goal's policy.

    able: finalists with answers on both splits. searched: all trials of the search. found: differences of the
    choice to the finalists. Of a class without a finalist, the one that did best on the search split.
    """
    versus = {one.other: one for one in found}
    made: list[Champion | None] = []
    for kind in MODEL_CLASSES:
        own = [finalist for finalist in able if finalist.confirm.model_class == kind]
        if chosen.confirm.model_class == kind:
            made.append(Champion(model_class=kind, trial=chosen.confirm, versus=None))
        elif own:
            best, note = _of_finalists(own, goal)
            pair = versus.get(best.number)
            made.append(Champion(model_class=kind, trial=best.confirm, versus=pair, note=note))
        else:
            made.append(_of_search(kind, chosen, searched, goal))
    return tuple(champion for champion in made if champion is not None)


def _of_finalists(own: Sequence[Finalist], goal: Goal) -> tuple[Finalist, str]:
    kept = [
        finalist
        for finalist in own
        if keeps(check(finalist.confirm, goal.limits)) and not broken_limits(finalist.confirm, goal.assumed)
    ]
    try:
        if kept:
            return pick(kept, goal).finalist, ""
    except InconclusiveError as error:
        return min(kept, key=by_quality), str(error)
    best = min(own, key=by_quality)
    missed = [one.words() for one in check(best.confirm, goal.limits) if one.standing != "keeps"]
    missed += broken_limits(best.confirm, goal.assumed)
    return best, f"not sure to keep the limits: {'; '.join(missed)}"


def _of_search(
    kind: ModelClass, chosen: Finalist, searched: Sequence[Searched], goal: Goal
) -> Champion | None:
    own = [
        one
        for one in searched
        if one.trial.model_class == kind and one.trial.quality is not None and one.trial.state not in OUT
    ]
    if not own:
        return None
    best = max(own, key=lambda one: (one.trial.samples, one.quality, -one.trial.number))
    gap = difference(
        chosen.search_values, best.values, best.groups, best.strata, level=goal.level, seed=goal.seed
    )
    return Champion(
        model_class=kind,
        trial=best.trial,
        versus=None if gap is None else PairedDifference(other=best.trial.number, difference=gap),
        note="not among the finalists: its figures are of the search split",
    )


def _quality(trial: Trial) -> float:
    return trial.quality.value if trial.quality else -math.inf
