"""What may be said of one set of settings against another, from the same samples.

In: two sheets, and how much of a drop matters. Out: a `Comparison` with its reason. Pure.

Three questions are asked of each metric, one-sided: is the drop beyond the tolerance (worse), can it be at
most the tolerance (same), is there a gain (better)? "Worse" and "better" are claims that one metric of many
suffices for, so they allow for how many there are (Holm); "same" has to hold for every metric, and needs no
allowance. Source: intersection-union tests, Berger 1982, Technometrics 24(4); Holm 1979, as in
`stats.multiple`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.advice.finalist import percent
from harness.advice.matched import Floats, Matched, Pairs
from harness.errors import InconclusiveError, StatsError, UsageError
from harness.plan.resolution import more_samples
from harness.records import Estimate
from harness.stats.bounds import shared
from harness.stats.margins import margin_bounds, margin_p, paired_spread
from harness.stats.multiple import holm
from harness.stats.paired import mean_change, paired_difference
from harness.stats.power import pairs_needed
from harness.stats.stratified import WeightedMargins
from harness.verdicts import (
    Comparison,
    Flip,
    Shift,
    Side,
    SliceDifference,
    TaskDifference,
    Verdict,
    Versus,
)

POWER = 0.8  # chance of settling an unclear verdict with the samples that are named
# An "unclear" that would take more samples than these is one that no data set settles.
MOST_SAMPLES = 1_000_000
A_THOUSAND = 1000
UNCHANGED = "The same settings gave the same score on every sample: nothing changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a comparison is about. metrics: the ones that decide; `None`: all that both have.

    alpha: the chance of calling something worse, or better, that is not, for all metrics together.
    tolerance: by how much a metric may drop, from 0; tolerances: of single metrics. seed: of resampling.
    """

    alpha: float = 0.05
    tolerance: float = 0.01
    tolerances: Mapping[str, float] = field(default_factory=dict[str, float])
    metrics: Sequence[str] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise UsageError(f"alpha is {self.alpha!r}, expected an error rate above 0 and below 0.5")
        for name, drop in {"tolerance": self.tolerance, **self.tolerances}.items():
            if not 0 <= drop < 1:
                raise UsageError(f"{name} is {drop!r}, expected a share from 0 to below 1; a point is 0.01")

    def tolerance_of(self, metric: str) -> float:
        """By how much this metric may drop."""
        return self.tolerances.get(metric, self.tolerance)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the samples say of one metric; see `Versus`."""

    difference: Estimate
    worse_p: float
    same_p: float
    better_p: float


def compare(base: Side, new: Side, question: Question) -> Comparison:
    """New against base, on the samples that both answered.

    Raises InconclusiveError when these are fewer than two independent ones, UsageError for a metric that one
    of them does not have.
    """
    both, names = Matched.of(base.sheet, new.sheet), _names(base, new, question)
    columns = [both.column(name) for name in names]
    for name, pairs in zip(names, columns, strict=True):
        _require_pairs(name, pairs, base, new, tasks=list(both.weights))
    identical = _identical(both, columns)
    tasks = _tasks(both, question)
    metrics = _versus(names, columns, question, tasks, identical=identical)
    quality = columns[0]
    verdict = together(metrics)
    return Comparison(
        base=base,
        new=new,
        level=1 - question.alpha,
        verdict=verdict,
        reason=_reason(verdict, metrics),
        metrics=metrics,
        identical=identical,
        flips=_flips(both, quality),
        slices=_slices(both, names[0], question),
        tasks=tasks,
        price=_price(both, question),
        latency=_latency(both, question),
        notes=tuple(_notes(base, new, both, names[0])),
    )


def together(metrics: Sequence[Versus]) -> Verdict:
    """The verdict of all metrics together; see `Comparison`."""
    found = {one.verdict for one in metrics}
    if "worse" in found:
        return "worse"
    if "unclear" in found:
        return "unclear"
    return "better" if "better" in found else "same"


def _names(base: Side, new: Side, question: Question) -> list[str]:
    have = [name for name in base.sheet.scores if name in new.sheet.scores]
    wanted = have if question.metrics is None else list(question.metrics)
    missing = [name for name in wanted if name not in have]
    if missing or not wanted:
        raise UsageError(
            f"{', '.join(missing) or 'no metric'} is not measured by both: {base.name} has "
            f"{', '.join(base.sheet.scores)}, and {new.name} has {', '.join(new.sheet.scores)}"
        )
    return wanted


def _require_pairs(name: str, pairs: Pairs, base: Side, new: Side, *, tasks: list[str]) -> None:
    of_each = pairs.units()
    units = min(of_each)
    if units < 2:
        of = "" if pairs.strata is None else f" of task {tasks[of_each.index(units)]!r}"
        raise InconclusiveError(
            f"{base.name} and {new.name} have {units} independent sample{'' if units == 1 else 's'}{of} with "
            f"{name} in common, and at least 2 are needed to compare them; measure both on the same data"
        )


def _identical(both: Matched, columns: Sequence[Pairs]) -> bool:
    """Whether the same question got the same scores: then no noise is left that could hide anything."""
    same_question = (both.base.settings, both.base.basis) == (both.new.settings, both.new.basis)
    return (
        same_question
        and len(both.samples) == len(both.base.samples) == len(both.new.samples)
        and all(np.array_equal(pairs.base, pairs.new) for pairs in columns)
    )


def _versus(
    names: Sequence[str],
    columns: Sequence[Pairs],
    question: Question,
    tasks: Sequence[TaskDifference],
    *,
    identical: bool,
) -> tuple[Versus, ...]:
    raw = [_measured(name, pairs, question) for name, pairs in zip(names, columns, strict=True)]
    worse = holm([one.worse_p for one in raw]).tolist()
    better = holm([one.better_p for one in raw]).tolist()
    found: list[Versus] = []
    for one, pairs, worse_p, better_p in zip(raw, columns, worse, better, strict=True):
        adjusted = replace(one, worse_p=worse_p, better_p=better_p)
        verdict: Verdict = "same" if identical else _verdict(adjusted, question.alpha)
        more = _more(one, pairs, question, among=len(raw)) if verdict == "unclear" else None
        judged = replace(adjusted, verdict=verdict, more=more)
        by_task = "" if pairs.strata is None else "".join(map(_task_words, tasks))
        reason = UNCHANGED if identical else _sentence(judged, percent(1 - question.alpha), by_task)
        found.append(replace(judged, reason=reason))
    return tuple(found)


def _measured(name: str, pairs: Pairs, question: Question) -> Versus:
    tolerance = question.tolerance_of(name)
    weigh = _alike if pairs.strata is None else _by_weight
    made, (base, new) = weigh(pairs, tolerance, question), pairs.means()
    return Versus(
        metric=name,
        base=base,
        new=new,
        difference=made.difference,
        tolerance=tolerance,
        verdict="unclear",
        worse_p=made.worse_p,
        same_p=made.same_p,
        better_p=made.better_p,
    )


def _by_weight(pairs: Pairs, tolerance: float, question: Question) -> _Evidence:
    assert pairs.strata is not None, "without tasks, samples count alike"
    margins = WeightedMargins.of(pairs.new, pairs.base, pairs.strata, seed=question.seed, groups=pairs.groups)
    return _Evidence(
        margins.bounds(1 - question.alpha),
        worse_p=margins.below_p(-tolerance),
        same_p=margins.above_p(-tolerance),
        better_p=margins.above_p(0.0),
    )


def _alike(pairs: Pairs, tolerance: float, question: Question) -> _Evidence:
    base, new, groups, seed = pairs.base, pairs.new, pairs.groups, question.seed
    worse_p = margin_p(base, new, tolerance, seed=seed, groups=groups)
    same_p = margin_p(new, base, -tolerance, seed=seed, groups=groups)
    better_p = same_p if tolerance == 0 else margin_p(new, base, 0.0, seed=seed, groups=groups)
    bounds = margin_bounds(new, base, level=1 - question.alpha, seed=seed, groups=groups)
    # The bounds of right and wrong answers hold on average, the tests always: where these show nothing, the
    # interval must not seem to.
    low, high = bounds.low, bounds.high
    if worse_p >= question.alpha:
        high = max(high, -tolerance)
    if same_p >= question.alpha:
        low = min(low, -tolerance)
    if better_p >= question.alpha:
        low = min(low, 0.0)
    return _Evidence(replace(bounds, low=low, high=high), worse_p=worse_p, same_p=same_p, better_p=better_p)


def _verdict(one: Versus, alpha: float) -> Verdict:
    if one.worse_p < alpha:
        return "worse"
    if one.better_p < alpha and one.same_p < alpha:
        return "better"
    return "same" if one.same_p < alpha else "unclear"


def _more(one: Versus, pairs: Pairs, question: Question, *, among: int) -> int | None:
    """Further samples that would settle it in four of five cases, if difference and spread stay."""
    distance = one.difference.value + one.tolerance
    level = 1 - question.alpha if distance > 0 else shared(1 - question.alpha, among)
    spread = paired_spread(pairs.new, pairs.base, pairs.groups, pairs.strata) or len(pairs.base) ** -0.5
    if distance == 0:
        return None
    needed = pairs_needed(abs(distance), spread, level, POWER)
    return max(1, needed - len(pairs.base)) if needed <= MOST_SAMPLES else None


def _flips(both: Matched, pairs: Pairs) -> tuple[Flip, ...]:
    moved = [
        Flip(sample_id=both.samples[place], base=base, new=new)
        for place, base, new in zip(
            pairs.places.tolist(), pairs.base.tolist(), pairs.new.tolist(), strict=True
        )
        if base != new
    ]
    return tuple(sorted(moved, key=lambda flip: (flip.new - flip.base, flip.sample_id)))


def _slices(both: Matched, metric: str, question: Question) -> tuple[SliceDifference, ...]:
    marks: list[tuple[str, str, NDArray[np.bool_]]] = []
    for name, column in both.new.slices.items():
        values = [column[place] for place in both.new_at]
        known = sorted({one for one in values if one is not None})
        marks += [(name, value, np.array([one == value for one in values])) for value in known]
    level = shared(1 - question.alpha, len(marks))
    found: list[SliceDifference] = []
    for name, value, mark in marks:
        pairs = both.column(metric, mark)
        estimate = _two_sided(pairs, level=level, seed=question.seed)
        found.append(SliceDifference(field=name, value=value, n_pairs=len(pairs.base), difference=estimate))
    return tuple(found)


def _tasks(both: Matched, question: Question) -> tuple[TaskDifference, ...]:
    """How each task moved in what gives the quality; a task without two independent pairs is left out."""
    if not both.weights or both.new.quality not in both.base.scores:
        return ()
    strata, level = both.strata(), shared(1 - question.alpha, len(both.weights))
    found: list[TaskDifference] = []
    for (name, weight), marks in zip(both.weights.items(), strata.marks(), strict=True):
        pairs = both.column(both.new.quality, marks)
        estimate = _two_sided(pairs, level=level, seed=question.seed)
        if estimate is not None:
            found.append(
                TaskDifference(name=name, weight=weight, n_pairs=len(pairs.base), difference=estimate)
            )
    return tuple(found)


def _two_sided(pairs: Pairs, *, level: float, seed: int) -> Estimate | None:
    try:
        return paired_difference(pairs.new, pairs.base, level=level, seed=seed, groups=pairs.groups)
    except StatsError:  # fewer than two independent samples
        return None


def _price(both: Matched, question: Question) -> Shift | None:
    pairs = both.pairs(both.base.usd, both.new.usd)
    return _shift(
        pairs.base * A_THOUSAND, pairs.new * A_THOUSAND, pairs.groups, level=1 - question.alpha, ratio=False
    )


def _latency(both: Matched, question: Question) -> Shift | None:
    pairs = both.pairs(both.base.latency_s, both.new.latency_s)
    if (pairs.base <= 0).any() or (pairs.new <= 0).any():
        return None
    return _shift(pairs.base, pairs.new, pairs.groups, level=1 - question.alpha, ratio=True)


def _shift(base: Floats, new: Floats, groups: list[str] | None, *, level: float, ratio: bool) -> Shift | None:
    """How the figure moved; `None` with fewer than two independent samples. ratio: as a factor."""
    apart = np.log(new) - np.log(base) if ratio else new - base
    try:
        change = mean_change(apart, level=level, groups=groups)
    except StatsError:
        return None
    if not ratio:
        return Shift(base=float(base.mean()), new=float(new.mean()), change=change)
    factor = replace(
        change, value=math.exp(change.value), low=math.exp(change.low), high=math.exp(change.high)
    )
    return Shift(base=float(np.median(base)), new=float(np.median(new)), change=factor)


def _notes(base: Side, new: Side, both: Matched, quality: str) -> list[str]:
    found: list[str] = []
    if base.experiment != new.experiment:
        found.append(f"{base.name} is of another experiment, {base.experiment!r}, than {new.experiment!r}")
    old, now = base.sheet.basis, new.sheet.basis
    if old.data != now.data:
        found.append("the data are not the same: samples are paired by their ids alone")
    if old.scoring != now.scoring or old.scorers != now.scorers:
        found.append("the two were not scored alike (scorers, metric, repeats or the line on failures)")
    lost = max(len(base.sheet.samples), len(new.sheet.samples)) - len(both.samples)
    if lost:
        found.append(f"{_samples(lost, 'is', 'are')} not in both, and left out")
    for side, places in ((base, both.base_at), (new, both.new_at)):
        column = side.sheet.scores[quality]
        unscored = sum(column[place] is None for place in places)
        if unscored:
            found.append(f"{_samples(unscored, 'has', 'have')} no {quality} in {side.name}: left out")
    if old.prices != now.prices and base.settings.model == new.settings.model:
        found.append("prices of the model have changed in between")
    return found


def _samples(number: int, one: str, more: str) -> str:
    return f"1 sample {one}" if number == 1 else f"{number} samples {more}"


def _reason(verdict: Verdict, metrics: Sequence[Versus]) -> str:
    """The sentences behind the verdict: of the metrics that it rests on."""
    deciding = [one for one in metrics if one.verdict == verdict] or metrics
    return " ".join(dict.fromkeys(one.reason for one in deciding))


def _task_words(one: TaskDifference) -> str:
    return f"; {one.name} {100 * one.difference.value:+.1f} at {one.weight:.0%}"


def _sentence(one: Versus, sure: str, by_task: str) -> str:
    value, low, high = (100 * x for x in (one.difference.value, one.difference.low, one.difference.high))
    name, tolerance = one.metric, f"{100 * one.tolerance:.3g}"
    moved = f"{name} went from {one.base:.3f} to {one.new:.3f} ({value:+.1f} points{by_task})"
    if one.verdict == "worse":
        least = f"a drop of {-high:.1f} or more"
        return f"{moved}: with {sure} confidence {least}, beyond the tolerance of {tolerance}."
    if one.verdict == "better":
        return f"{moved}: with {sure} confidence a gain of {max(0.0, low):.1f} or more."
    if one.verdict == "same":
        if high < 0:
            return (
                f"{moved}: a drop, but with {sure} confidence of at most {-low:.1f}, within the tolerance of "
                f"{tolerance}."
            )
        most = f"{max(0.0, -low):.1f}"
        return f"{moved}: with {sure} confidence no drop of more than {most}, the tolerance is {tolerance}."
    settle = (
        f"{more_samples(one.more)} would settle it, if the difference stays"
        if one.more is not None
        else "the difference is so near the tolerance that no number of samples would settle it"
    )
    return (
        f"{moved}: on {one.difference.n} samples that may be anything from {low:+.1f} to {high:+.1f}, and "
        f"the tolerance is {tolerance}; {settle}."
    )
