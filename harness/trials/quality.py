"""The quality of one arm by the task's metric, of all samples or of a part, with an interval that fits.

In: an arm with its evidence. Out: estimates, and what stands behind them. Nothing is decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import StatsError
from harness.findings import Breakdown, LabelFigures, Slice
from harness.insights import Unscored
from harness.records import Estimate
from harness.scores.answer import names_classes
from harness.scores.metrics import Metric, compute, numbers_of
from harness.stats.bounds import shared
from harness.stats.intervals import bootstrap_interval, mean_interval
from harness.stats.strata import weighted_mean
from harness.stats.tables import OF_NUMBERS, ONE_LABEL, WHOLE_TABLE
from harness.trials.vector_quality import OF_ALL, agreement, false_hits, measure_all

if TYPE_CHECKING:
    from harness.trials.board import Part
    from harness.trials.evidence import Arm

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


SHARES = ("precision", "recall")  # of answers with one label: how many they are is what makes them sure
OF_EACH_LABEL = ("f1", "macro_f1")
MOST_REASONS = 3  # that are told of unscored answers
# More labels than these are names of things, of which no table is drawn.
MOST_LABELS = 50


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Answers that count, one an entry: position of the sample, label given, label of the target."""

    positions: tuple[int, ...]
    given: tuple[str | None, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The quality of an arm, and of several tasks that of each by its own metric; `None`: not known yet."""

    whole: Estimate | None
    by_task: Mapping[str, Estimate]


def measure(arm: Arm, level: float) -> Measured:
    """The task's metric with its interval at this confidence; `None` with fewer than two samples to count.

    Of several tasks, the mean of theirs by weight. While one of them has fewer than two samples, the mean of
    all samples alike, in which tasks have the shares of their weights; `None` where a metric is no mean.
    """
    parts = arm.board.parts
    found = [measure_part(arm, part, level) for part in parts]
    known = [estimate for estimate in found if estimate is not None]
    if len(parts) == 1:
        return Measured(found[0], {})
    by_task = {part.name: one for part, one in zip(parts, found, strict=True) if one is not None}
    if len(known) == len(parts):
        return Measured(weighted_mean(known, [part.task.weight for part in parts]), by_task)
    values = arm.quality_values()
    alike = None if arm.board.of_the_whole else mean_of(arm, values, level, ~np.isnan(values))
    return Measured(alike, by_task)


def measure_part(arm: Arm, part: Part, level: float, among: Marks | None = None) -> Estimate | None:
    """The metric of one task with its interval; `None` with fewer than two samples to count.

    among: the samples that are asked about, shape (samples,); `None`: all of the task.
    """
    metric, values = part.metric, arm.quality_values()
    known = ~np.isnan(values) & part.marks if among is None else ~np.isnan(values) & part.marks & among
    if known.sum() < 2:
        return None
    if metric.reads in OF_ALL:
        return measure_all(arm, metric, level, known)
    if metric.of_labels:
        return _of_labels(arm, metric, level, known)
    if metric.reads == "groups":
        return _worst(arm, part, level, values, known)
    return mean_of(arm, values, level, known)


def mean_of(arm: Arm, values: Floats, level: float, known: Marks) -> Estimate | None:
    """The mean over the samples marked, clustered by group; `None` where no interval can be told."""
    places = np.flatnonzero(known)
    groups = arm.groups()
    try:
        among = None if groups is None else [groups[place] for place in places]
        return mean_interval(values[places], level=level, groups=among) if len(places) else None
    except StatsError:  # a single sample, or samples of a single cluster
        return None


def breakdown(arm: Arm, level: float) -> Breakdown:
    """What stands behind the quality of this arm; intervals of one table hold together at this level."""
    scorers = {name: mean_of(arm, scores, level, ~np.isnan(scores)) for name, scores in arm.scorer_values()}
    return Breakdown(
        trial=arm.number,
        split=arm.board.split,
        slices=_slices(arm, level),
        labels=tuple(figures for part in arm.board.parts for figures in _label_figures(arm, part, level)),
        scorers={name: estimate for name, estimate in scorers.items() if estimate is not None},
        unscored=tuple(_unscored(arm)),
    )


def _unscored(arm: Arm) -> Iterator[Unscored]:
    """What each scorer could not judge, in the order of the tasks and their scorers."""
    answered = ~np.isnan(arm.latency)
    for part in arm.board.parts:
        for scorer in part.task.scorers:
            reasons = arm.silence.get(part.shown(scorer.name))
            if reasons:
                yield Unscored(
                    scorer=part.shown(scorer.name),
                    decides=scorer is part.task.scorers[0],
                    answers=reasons.total(),
                    of=int(answered[part.marks].sum()),
                    reasons=dict(reasons.most_common(MOST_REASONS)),
                )


def _slices(arm: Arm, level: float) -> tuple[Slice, ...]:
    """The slices of all tasks; intervals of those with two samples or more hold together at this level."""
    known = ~np.isnan(arm.quality_values())
    listed: list[tuple[Part, str, str, Marks]] = []
    for part in arm.board.parts:
        of_samples = {name: part.groupings.of(name) for name, _ in part.groupings.slices()}
        for name, value in part.groupings.slices():
            listed.append((part, name, value, np.array([one == value for one in of_samples[name]])))
    sizes = [int((members & known).sum()) for *_, members in listed]
    measured = sum(size > 1 for size in sizes)
    found: list[Slice] = []
    for (part, name, value, members), samples in zip(listed, sizes, strict=True):
        quality = measure_part(arm, part, shared(level, max(1, measured)), members)
        false = false_hits(arm, members, shared(level, len(listed))) if part.metric.reads == "hits" else None
        found.append(
            Slice(field=part.shown(name), value=value, samples=samples, quality=quality, false_hits=false)
        )
    return tuple(found)


def _of_labels(arm: Arm, metric: Metric, level: float, known: Marks) -> Estimate | None:
    """A metric of labels; `None` for the share of a label among answers of which none has it."""
    answers = _labelled(arm, known)
    if metric.kind in SHARES:
        of = answers.given if metric.kind == "precision" else answers.targets
        right = np.array([a == b for a, b in zip(answers.given, answers.targets, strict=True)], float)
        marks = np.array([one == metric.argument for one in of], np.bool_)
        return _share(arm, right, marks, answers.positions, level)
    groups = arm.groups() or range(len(arm.seen))
    among = [groups[position] for position in answers.positions]
    if metric.name == "v_measure":
        return replace(agreement(answers.targets, answers.given, among, level), n=int(known.sum()))
    if metric.reads == "numbers":
        rows = np.column_stack([numbers_of(answers.given), numbers_of(answers.targets)])
        statistic: Callable[[NDArray[np.generic]], float] = OF_NUMBERS[metric.name]
    else:
        rows, statistic = _coded(answers, metric)
    around = bootstrap_interval(
        rows,
        statistic,
        level=level,
        seed=arm.board.plan.seed,
        groups=among,
        lowest=metric.low,
        telling=_telling(answers, metric, among),
    )
    value = compute(metric.name, (), answers.given, answers.targets)
    return replace(around, value=value, n=int(known.sum()))


def _telling(answers: _Labelled, metric: Metric, groups: Sequence[Hashable]) -> int | None:
    """Clusters that hold the rarest label of which the metric speaks; `None`: it speaks of all alike."""
    if (metric.kind or metric.name) not in OF_EACH_LABEL:
        return None
    labels = {metric.argument} if metric.argument else set(answers.targets)
    holding: dict[str | None, set[Hashable]] = {label: set() for label in labels}
    for given, target, group in zip(answers.given, answers.targets, groups, strict=True):
        for label in {given, target} & holding.keys():
            holding[label].add(group)
    return max(1, min(map(len, holding.values())))


def _coded(
    answers: _Labelled, metric: Metric
) -> tuple[NDArray[np.generic], Callable[[NDArray[np.generic]], float]]:
    """Each answer as one whole number, and the metric as a function of these, by a table of counts."""
    named = {metric.argument} if metric.argument else set[str]()
    labels = sorted({*answers.targets, *(label for label in answers.given if label is not None), *named})
    codes = {label: code for code, label in enumerate(labels)}
    width = len(labels) + 1
    rows = np.array(
        [
            codes[target] * width + (len(labels) if given is None else codes[given])
            for target, given in zip(answers.targets, answers.given, strict=True)
        ]
    )

    def statistic(drawn: NDArray[np.generic]) -> float:
        table = np.bincount(drawn.astype(np.intp), minlength=width * len(labels)).reshape(len(labels), width)
        if metric.argument:
            return ONE_LABEL[metric.kind](table, codes[metric.argument])
        return WHOLE_TABLE[metric.name](table)

    return rows, statistic


def _worst(arm: Arm, part: Part, level: float, values: Floats, known: Marks) -> Estimate | None:
    """The lowest mean among groups; its ends are the lowest ends of intervals that hold for all of them.

    Source: the minimum of means that all lie in their intervals lies between the minima of their ends; the
    intervals by Bonferroni.
    """
    of_samples = part.groupings.of(part.metric.argument)
    names = sorted(
        {name for name, counts in zip(of_samples, known, strict=True) if counts and name is not None}
    )
    marks = [known & np.array([one == name for one in of_samples]) for name in names]
    marks = [mark for mark in marks if mark.sum() > 1]
    found = [mean_of(arm, values, shared(level, len(marks)), mark) for mark in marks]
    groups = [estimate for estimate in found if estimate is not None]
    if not groups:
        return None
    worst = min(groups, key=lambda estimate: estimate.value)
    return replace(
        worst,
        low=min(estimate.low for estimate in groups),
        high=min(estimate.high for estimate in groups),
        level=level,
        n=sum(estimate.n for estimate in groups),
        clusters=sum(estimate.clusters for estimate in groups),
        method=f"lowest of {len(groups)}, {worst.method}",
    )


def _labelled(arm: Arm, known: Marks) -> _Labelled:
    """The answers that count for quality; a failed or unscored one, where it counts, has no label."""
    whole = arm.board.plan.failures == "count_as_wrong"
    counted = (arm.seen if whole else ~np.isnan(arm.value)) & known[:, np.newaxis]
    places = [(int(position), int(repeat)) for position, repeat in np.argwhere(counted)]
    names = (None, *arm.board.codes)
    return _Labelled(
        positions=tuple(position for position, _ in places),
        given=tuple(names[arm.label[place]] for place in places),
        targets=tuple(arm.board.targets[position] or "" for position, _ in places),
    )


def _of_classes(part: Part) -> bool:
    """Whether the labels of this task stand for classes: not what was computed, unless its metric says so."""
    if part.metric.reads in ("numbers", *OF_ALL):
        return False
    return part.metric.of_labels or all(names_classes(one) for one in part.task.scorers[:1])


def _label_figures(arm: Arm, part: Part, level: float) -> tuple[LabelFigures, ...]:
    if not _of_classes(part):
        return ()
    answers = _labelled(arm, ~np.isnan(arm.quality_values()) & part.marks)
    if not 0 < len({given for given in answers.given if given is not None}) <= MOST_LABELS:
        return ()
    counts = Counter(zip(answers.targets, answers.given, strict=True))
    labels = sorted({*answers.targets, *(given for given in answers.given if given is not None)})
    right = np.array(
        [given == target for given, target in zip(answers.given, answers.targets, strict=True)], float
    )
    each = shared(level, len(labels))
    figures: list[LabelFigures] = []
    for label in labels:
        given = np.array([one == label for one in answers.given])
        targets = np.array([one == label for one in answers.targets])
        row = Counter({name or "": count for (target, name), count in counts.items() if target == label})
        figures.append(
            LabelFigures(
                label=part.shown(label),
                targets=int(targets.sum()),
                given=int(given.sum()),
                precision=_share(arm, right, given, answers.positions, each),
                recall=_share(arm, right, targets, answers.positions, each),
                confused=dict(row.most_common()),
            )
        )
    return tuple(figures)


def _share(arm: Arm, right: Floats, marks: Marks, positions: Sequence[int], level: float) -> Estimate | None:
    """The share of right ones among the answers marked, clustered by group, or by sample where it repeats."""
    if not marks.any():
        return None
    groups = arm.groups() or (range(len(arm.seen)) if arm.seen.shape[1] > 1 else None)
    among = None if groups is None else [groups[positions[place]] for place in np.flatnonzero(marks).tolist()]
    try:
        return mean_interval(right[marks], level=level, groups=among)
    except StatsError:  # all of them in one cluster
        return None
