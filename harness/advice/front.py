"""What else is worth a look: the Pareto front, and the best of each model class and provider.

In: finalists, trials of the search, and the choice. Out: trials with their evidence. The choice stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness.advice.finalist import Finalist, Goal, Searched, difference
from harness.advice.limits import check, keeps
from harness.advice.policies import by_quality, pick
from harness.errors import InconclusiveError
from harness.findings import Champion, FrontTrial, PairedDifference, ProviderChampion, Trial
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


@dataclass(frozen=True, slots=True)
class _Known:
    """Among what the best is looked for; see `champions`."""

    chosen: Finalist
    able: Sequence[Finalist]
    searched: Sequence[Searched]
    found: Sequence[PairedDifference]
    goal: Goal


@dataclass(frozen=True, slots=True)
class _Best:
    """The best of some trials. versus: the lead of the choice over it; `None` when it is the choice."""

    trial: Trial
    versus: PairedDifference | None
    note: str = ""


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
    known = _Known(chosen, able, searched, found, goal)
    made: list[tuple[ModelClass, _Best | None]] = [
        (kind, _best(partial(_of_class, kind), known)) for kind in MODEL_CLASSES
    ]
    return tuple(
        Champion(model_class=kind, trial=best.trial, versus=best.versus, note=best.note)
        for kind, best in made
        if best is not None
    )


def provider_champions(
    chosen: Finalist,
    able: Sequence[Finalist],
    searched: Sequence[Searched],
    found: Sequence[PairedDifference],
    goal: Goal,
) -> tuple[ProviderChampion, ...]:
    """The best of each provider that was tried, by name; all else is as for `champions`."""
    names = sorted(
        {f.confirm.settings.provider for f in able} | {s.trial.settings.provider for s in searched}
    )
    known = _Known(chosen, able, searched, found, goal)
    made = {name: _best(partial(_of_provider, name), known) for name in names}
    return tuple(
        ProviderChampion(provider=name, trial=best.trial, versus=best.versus, note=best.note)
        for name, best in made.items()
        if best is not None
    )


def _of_class(kind: ModelClass, trial: Trial) -> bool:
    return trial.model_class == kind


def _of_provider(name: str, trial: Trial) -> bool:
    return trial.settings.provider == name


def _best(belongs: Callable[[Trial], bool], known: _Known) -> _Best | None:
    """The best of the trials that belong together, under the goal's policy; `None`: none has a quality."""
    if belongs(known.chosen.confirm):
        return _Best(known.chosen.confirm, None)
    own = [finalist for finalist in known.able if belongs(finalist.confirm)]
    if not own:
        among = [one for one in known.searched if belongs(one.trial)]
        return _of_search(among, known.chosen, known.goal)
    best, note = _of_finalists(own, known.goal)
    versus = next((one for one in known.found if one.other == best.number), None)
    return _Best(best.confirm, versus, note)


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


def _of_search(among: Sequence[Searched], chosen: Finalist, goal: Goal) -> _Best | None:
    own = [one for one in among if one.trial.quality is not None and one.trial.state not in OUT]
    if not own:
        return None
    best = max(own, key=lambda one: (one.trial.samples, one.quality, -one.trial.number))
    gap = difference(
        chosen.search_values, best.values, best.groups, best.strata, level=goal.level, seed=goal.seed
    )
    return _Best(
        best.trial,
        None if gap is None else PairedDifference(other=best.trial.number, difference=gap),
        "not among the finalists: its figures are of the search split",
    )


def _quality(trial: Trial) -> float:
    return trial.quality.value if trial.quality else -math.inf
