"""Figures with their intervals below each other: settings, slices, ties, latencies, what a comparison found.

In: a run record or a comparison. Out: rows of numbers and texts, which `plots` draws. Must not compute a
figure, or know how it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.findings import RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.breakdowns import shown_breakdown
from harness.outputs.effects import CAPTION, level_words
from harness.outputs.endings import timed
from harness.records import Estimate
from harness.verdicts import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. group: rows of one kind have one colour. text: the figure in words, with its interval."""

    group: str
    name: str
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Rows from the top down. marks: places of lines on the axis, each with what it is. alt: in words."""

    title: str
    x_title: str
    rows: tuple[Row, ...]
    marks: tuple[tuple[float, str], ...]
    alt: str


def settings_intervals(record: RunRecord) -> Intervals | None:
    """Mean quality by value of each setting; `None` where nothing was searched, or too little is known."""
    rows = [
        _row(name := effect.name.replace("_", " "), f"{name}: {level_words(level)}", level.quality)
        for effect in record.effects
        for level in effect.levels
        if level.quality is not None
    ]
    if not rows:
        return None
    unknown = sum(level.quality is None for effect in record.effects for level in effect.levels)
    left_out = f" Not drawn, for want of data: {numbers.counted(unknown, 'value')}." if unknown else ""
    return _intervals("What each setting did", record.metric, rows, alt=f"{CAPTION}{left_out}")


def slices_intervals(record: RunRecord) -> Intervals | None:
    """Quality by slice of the samples, with that of all; `None` without slices."""
    found = shown_breakdown(record)
    if found is None:
        return None
    rows = [
        _row(one.field, f"{one.field}: {one.value}", one.quality)
        for one in found.slices
        if one.quality is not None
    ]
    if not rows:
        return None
    every = (*record.finalists, *record.trials)
    whole = next(one for one in every if (one.number, one.split) == (found.trial, found.split)).quality
    return _intervals(
        f"{record.metric.capitalize()} by slice",
        record.metric,
        rows,
        marks=() if whole is None else ((whole.value, "all samples"),),
        alt=f"Trial {found.trial}; the intervals hold all together, so that one may look at all of them.",
    )


def ties_intervals(record: RunRecord) -> Intervals | None:
    """The choice minus each other finalist, nearest first; `None` without a choice or another finalist."""
    choice = record.recommendation
    if choice is None:
        return None
    trials = {trial.number: trial for trial in record.finalists}
    pairs = sorted(choice.differences, key=lambda pair: (pair.difference.value, pair.other))
    rows = [
        _difference(
            "tie" if pair.other in choice.ties else "told apart", _named(trials, pair.other), pair.difference
        )
        for pair in pairs
    ]
    if not rows:
        return None
    return _intervals(
        "The choice against each other finalist",
        f"{record.metric}, choice minus this, in points",
        rows,
        marks=((0.0, "no difference"),),
        alt=choice.certainty or "On the same confirm samples; the intervals hold all together.",
    )


def latency_intervals(record: RunRecord) -> Intervals | None:
    """Median and 95th percentile of what a call's time went into; `None` where nothing was timed."""
    rows = [
        Row(
            group=group,
            name=f"trial {trial.number}, {group}: {trial.settings.model}",
            value=p50,
            low=p50,
            high=p95,
            text=f"p50 {numbers.seconds(p50)}, p95 {numbers.seconds(p95)}",
        )
        for trial in timed(record)
        for group, p50, p95 in (
            ("total", trial.latency_p50_s, trial.latency_p95_s),
            ("first token", trial.first_token_p50_s, trial.first_token_p95_s),
            ("queue", trial.queue_p50_s, trial.queue_p95_s),
        )
        if p50 is not None and p95 is not None
    ]
    alt = (
        "From the median to the 95th percentile. Queue: waiting on our side, no part of the latency; "
        "first token and total: from sending the last attempt."
    )
    return _intervals("Where the time of a call goes", "seconds", rows, alt=alt) if rows else None


def comparison_intervals(it: Comparison) -> Intervals:
    """New minus base, by metric and by slice, in points."""
    rows = [_difference("metric", one.metric, one.difference) for one in it.metrics]
    rows += [
        _difference(one.field, f"{one.field}: {one.value}", one.difference)
        for one in it.slices
        if one.difference is not None
    ]
    lost = -100 * it.tolerance
    return _intervals(
        f"{it.new.name} against {it.base.name}",
        "new minus base, in points",
        rows,
        marks=((0.0, "no difference"), *(((lost, "tolerance"),) if lost else ())),
        alt=it.reason,
    )


def _intervals(
    title: str, x_title: str, rows: Iterable[Row], *, alt: str, marks: tuple[tuple[float, str], ...] = ()
) -> Intervals:
    return Intervals(title=title, x_title=x_title, rows=tuple(rows), marks=marks, alt=alt)


def _row(group: str, name: str, found: Estimate) -> Row:
    return Row(
        group=group,
        name=name,
        value=found.value,
        low=found.low,
        high=found.high,
        text=numbers.quality(found),
    )


def _difference(group: str, name: str, found: Estimate) -> Row:
    value, low, high = (100 * one for one in (found.value, found.low, found.high))
    return Row(group=group, name=name, value=value, low=low, high=high, text=numbers.difference(found))


def _named(trials: dict[int, Trial], number: int) -> str:
    settings = f": {numbers.settings_line(trials[number].settings)}" if number in trials else ""
    return numbers.clipped(f"trial {number}{settings}", 60)
