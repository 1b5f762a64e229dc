"""The pictures of a report, as places in an SVG that the templates draw.

In: a run record. Out: plain records of numbers and texts; colours are classes of the page's style sheet, so
that one picture serves light, dark and paper. Must not compute a figure, write markup or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.findings import RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.axes import Box, Labels, Scale, scale, steps
from harness.outputs.points import (
    AXES,
    CHOSEN,
    FRONT_WORDS,
    RECOMMENDED,
    STATE_WORDS,
    Axis,
    Place,
    look_words,
    on_front,
    places,
    recommended,
    shown_trials,
    trial_title,
)

WIDTH, HEIGHT = 600.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 14.0, 46.0
RACE_WIDTH, RACE_HEIGHT = 1200.0, 240.0
# Beyond this many trials, intervals of the search would cover everything else.
MOST_INTERVALS = 40
DIGIT_WIDTH, LINE_HEIGHT = 7.0, 13.0  # of a trial's number, in units of the picture
TICKS_ACROSS, TICKS_UP = 6, 6
WIDEST_BAR = 40.0

SHAPES = ("star", "filled", "hollow", "bar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One line of a legend. shape: one of `SHAPES`, or "line"; colour: a state of trials, or "chosen"."""

    label: str
    colour: str
    shape: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the picture, and what stands beside it."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One trial. top, bottom: of its interval; left, right: of its bounds on the axis, `None` without them.

    label: where its number stands, `None`: nowhere. quiet: its interval shows only when it is selected.
    """

    number: int
    x: float
    y: float
    top: float
    bottom: float
    left: float | None
    right: float | None
    label: tuple[float, float] | None
    shape: str
    colour: str
    quiet: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Quality against one other figure. front: path of the Pareto front, empty with fewer than two on it."""

    name: str
    title: str
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]
    front: str
    legend: tuple[Mark, ...]
    alt: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    bottom: float = HEIGHT - BOTTOM
    right: float = WIDTH - RIGHT
    top: float = TOP


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What one trial has seen."""

    number: int
    x: float
    y: float
    width: float
    height: float
    colour: str
    chosen: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """How many samples each trial saw."""

    title: str
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    legend: tuple[Mark, ...]
    alt: str
    width: float = RACE_WIDTH
    height: float = RACE_HEIGHT
    left: float = LEFT
    bottom: float = RACE_HEIGHT - 34.0
    right: float = RACE_WIDTH - RIGHT
    top: float = 22.0


def scatters(record: RunRecord) -> tuple[Scatter, ...]:
    """Quality with intervals against price, and against latency; those for which there are figures.

    Each trial stands once: at its value on the confirm split if it has one, else on the search split. An axis
    on which all trials stand at one place is left out, unless no other is there.
    """
    every = [(axis, places(record, axis)) for axis in AXES]
    drawn = [one for one in every if one[1]]
    telling = [one for one in drawn if len({place.x for place in one[1]}) > 1] or drawn[:1]
    return tuple(scatter(record, axis, found) for axis, found in telling)


def race(record: RunRecord) -> Race | None:
    """How many samples each trial was shown on the search split, by state; `None` without trials."""
    if not record.trials:
        return None
    best = recommended(record)
    across = Scale(-0.5, len(record.trials) - 0.5, LEFT, RACE_WIDTH - RIGHT)
    up = scale([float(trial.samples) for trial in record.trials], RACE_HEIGHT - 34.0, 22.0, zero=True)
    width = min(WIDEST_BAR, 0.76 * (RACE_WIDTH - RIGHT - LEFT) / len(record.trials))
    bars = tuple(
        _bar(trial, across.at(place), up, width, chosen=trial.number == best)
        for place, trial in enumerate(record.trials)
    )
    states = [state for state in STATE_WORDS if any(trial.state == state for trial in record.trials)]
    chosen = [Mark(label=RECOMMENDED, colour=CHOSEN, shape="star")] if any(b.chosen for b in bars) else []
    every = max(1, -(-len(record.trials) // 24))
    return Race(
        title="Samples seen by each trial",
        bars=bars,
        x_ticks=tuple(
            Tick(across.at(place), str(trial.number))
            for place, trial in enumerate(record.trials)
            if place % every == 0
        ),
        y_ticks=tuple(
            Tick(up.at(tick), numbers.count(round(tick))) for tick in up.ticks(4) if tick == round(tick)
        ),
        legend=(*(Mark(label=STATE_WORDS[s], colour=s, shape="bar") for s in states), *chosen),
        alt=race_alt(record.trials),
    )


# -- quality against one figure


def scatter(record: RunRecord, axis: Axis, drawn: Sequence[Place]) -> Scatter:
    """Quality with intervals against the figure of this axis. drawn: all of its `places`, at least one."""
    across = across_scale(axis, drawn)
    # Intervals that are drawn faintly, or not at all, must not press the others together.
    many = len(drawn) > MOST_INTERVALS
    loud = [place for place in drawn if place.confirmed or not many] or list(drawn)
    heights = [end for place in loud for end in (place.quality.low, place.quality.high)]
    up = scale([*heights, *(place.quality.value for place in drawn)], HEIGHT - BOTTOM, TOP, room=0.04)
    front = on_front(record, axis, drawn)
    points = _points(drawn, across, up, front=front, many=many)
    line = steps(
        (across.at(place.x), up.at(place.quality.value)) for place in drawn if place.trial.number in front
    )
    return Scatter(
        name=f"quality-{axis.key}",
        title=f"{record.metric.capitalize()} against {axis.title}",
        x_title=axis.title + (" (logarithmic)" if across.log else ""),
        y_title=record.metric,
        x_ticks=tuple(Tick(across.at(tick), axis.show(tick)) for tick in across.ticks(TICKS_ACROSS)),
        y_ticks=tuple(Tick(up.at(tick), f"{tick:g}") for tick in up.ticks(TICKS_UP)),
        points=points,
        front=line if len(front) > 1 else "",
        legend=_legend(points, front=len(front) > 1),
        alt=front_alt(record, axis, drawn),
    )


def across_scale(axis: Axis, drawn: Sequence[Place]) -> Scale:
    """The horizontal axis: all figures and bounds, logarithmic where they are far apart."""
    ends = [place.x for place in drawn]
    ends += [
        end
        for place in drawn
        if (bounds := place.trial.bounds.get(axis.bounds)) is not None
        for end in (bounds.low, bounds.high)
        if end is not None
    ]
    return scale(ends, LEFT + 8, WIDTH - RIGHT, zero=True, log=axis.key == "price" or min(ends) > 0)


def _points(
    drawn: Sequence[Place], across: Scale, up: Scale, *, front: frozenset[int], many: bool
) -> tuple[Point, ...]:
    """The points, the important ones last, so that they lie on top; their numbers find room first."""
    ranked = sorted(drawn, key=lambda p: (p.chosen, p.trial.number in front, p.confirmed))
    labels = Labels(Box(LEFT, 0.0, WIDTH, HEIGHT - BOTTOM + 4))
    for place in drawn:
        labels.mark(across.at(place.x), up.at(place.quality.value), 5.0)
    made = [_point(place, (across, up), labels, many=many) for place in reversed(ranked)]
    return tuple(reversed(made))


def _point(place: Place, scales: tuple[Scale, Scale], labels: Labels, *, many: bool) -> Point:
    across, up = scales
    trial, x, y, bounds = place.trial, across.at(place.x), up.at(place.quality.value), place.bounds
    width = DIGIT_WIDTH * len(str(trial.number))
    return Point(
        number=trial.number,
        x=x,
        y=y,
        top=up.at(place.quality.high),
        bottom=up.at(place.quality.low),
        left=across.at(bounds.low) if bounds is not None and bounds.low is not None else None,
        right=across.at(bounds.high) if bounds is not None and bounds.high is not None else None,
        label=labels.place(x, y, width=width, height=LINE_HEIGHT, gap=9.0 if place.chosen else 6.0),
        shape=place.shape,
        colour=place.colour,
        quiet=many and not place.confirmed,
        title=trial_title(trial),
    )


def _legend(points: Sequence[Point], *, front: bool) -> tuple[Mark, ...]:
    looks = {(SHAPES.index(p.shape), (*STATE_WORDS, CHOSEN).index(p.colour)): p for p in points}
    known = [looks[look] for look in sorted(looks)]
    marks = [Mark(label=look_words(p.colour, p.shape), colour=p.colour, shape=p.shape) for p in known]
    line = [Mark(label=FRONT_WORDS, colour=CHOSEN, shape="line")] if front else []
    return (*marks, *line)


def front_alt(record: RunRecord, axis: Axis, drawn: Sequence[Place]) -> str:
    """The picture in words."""

    def told(place: Place) -> str:
        return f"trial {place.trial.number} with {numbers.quality(place.quality)} at {axis.show(place.x)}"

    chosen = [f"Recommended: {told(place)}." for place in drawn if place.chosen]
    highest = max(drawn, key=lambda place: place.quality.value)
    lowest = min(drawn, key=lambda place: place.x)
    count, front = numbers.counted(len(drawn), "trial"), on_front(record, axis, drawn)
    parts = [
        f"{count}, each at its confirm value where it has one, with the {numbers.level(highest.quality)}."
    ]
    parts += [*chosen, f"Highest: {told(highest)}. {axis.least}: {told(lowest)}."]
    if front:
        parts.append(f"On the front: {', '.join(f'trial {number}' for number in sorted(front))}.")
    missing = len(shown_trials(record)) - len(drawn)
    if missing:
        parts.append(f"Not drawn, for want of a figure: {numbers.counted(missing, 'trial')} of the table.")
    return " ".join(parts)


# -- samples seen


def _bar(trial: Trial, middle: float, up: Scale, width: float, *, chosen: bool) -> Bar:
    y = up.at(trial.samples)
    return Bar(
        number=trial.number,
        x=round(middle - width / 2, 1),
        y=y,
        width=round(width, 1),
        height=round(up.start - y, 1),
        colour=trial.state,
        chosen=chosen,
        title=trial_title(trial),
    )


def race_alt(trials: Sequence[Trial]) -> str:
    """The picture in words."""
    by_state = {state: sum(trial.state == state for trial in trials) for state in STATE_WORDS}
    states = ", ".join(f"{numbers.count(n)} {STATE_WORDS[state]}" for state, n in by_state.items() if n)
    seen, full = sum(trial.samples for trial in trials), len(trials) * max(trial.samples for trial in trials)
    saved = f"; without early stopping it would have been {numbers.count(full)}" if seen < full else ""
    count = numbers.counted(len(trials), "trial")
    return f"{count}: {states}. Together they saw {numbers.count(seen)} samples{saved}."
