"""The pictures of a report, as places in an SVG that the templates draw.

In: a run record. Out: plain records of numbers and texts; colours are classes of the page's style sheet, so
that one picture serves light, dark and paper. Must not compute a figure, write markup or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.findings import RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.axes import Box, Labels, Scale, scale, steps
from harness.records import Bounds, Estimate

WIDTH, HEIGHT = 600.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 14.0, 46.0
RACE_WIDTH, RACE_HEIGHT = 1200.0, 240.0
# Beyond this many trials, intervals of the search would cover everything else.
MOST_INTERVALS = 40
DIGIT_WIDTH, LINE_HEIGHT = 7.0, 13.0  # of a trial's number, in units of the picture
TICKS_ACROSS, TICKS_UP = 6, 6
WIDEST_BAR = 40.0

STATE_WORDS: Mapping[str, str] = {
    "complete": "complete",
    "eliminated": "eliminated early",
    "infeasible": "outside the limits",
    "failed": "failed",
    "stopped": "stopped",
    "running": "still running",
}
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


@dataclass(frozen=True, slots=True)
class _Axis:
    """What quality is drawn against: a figure of a trial, its bounds, its name, and how it is shown."""

    key: str
    bounds: str
    title: str
    least: str
    pick: Callable[[Trial], float | None]
    show: Callable[[float | None], str]


AXES = (
    _Axis(
        "price",
        "usd_per_1k_calls",
        "price per 1,000 calls",
        "Cheapest",
        lambda t: t.usd_per_1k_calls,
        numbers.price,
    ),
    _Axis(
        "latency", "latency_p50_s", "median latency", "Fastest", lambda t: t.latency_p50_s, numbers.seconds
    ),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """One trial that can be drawn: its best evidence, its quality, and its place on the axis."""

    trial: Trial
    quality: Estimate
    x: float

    @property
    def confirmed(self) -> bool:
        return self.trial.split == "confirm"


def scatters(record: RunRecord) -> tuple[Scatter, ...]:
    """Quality with intervals against price, and against latency; those for which there are figures.

    Each trial stands once: at its value on the confirm split if it has one, else on the search split. An axis
    on which all trials stand at one place is left out, unless no other is there.
    """
    shown = {trial.number: trial for trial in (*record.trials, *record.finalists)}
    drawn: list[tuple[_Axis, list[_Place]]] = []
    for axis in AXES:
        places = [
            _Place(trial, trial.quality, x)
            for _, trial in sorted(shown.items())
            if trial.quality is not None and (x := axis.pick(trial)) is not None
        ]
        if places:
            drawn.append((axis, places))
    telling = [one for one in drawn if len({place.x for place in one[1]}) > 1] or drawn[:1]
    return tuple(_scatter(record, axis, places, len(shown)) for axis, places in telling)


def race(record: RunRecord) -> Race | None:
    """How many samples each trial was shown on the search split, by state; `None` without trials."""
    if not record.trials:
        return None
    best = None if record.recommendation is None else record.recommendation.trial.number
    across = Scale(-0.5, len(record.trials) - 0.5, LEFT, RACE_WIDTH - RIGHT)
    up = scale([float(trial.samples) for trial in record.trials], RACE_HEIGHT - 34.0, 22.0, zero=True)
    width = min(WIDEST_BAR, 0.76 * (RACE_WIDTH - RIGHT - LEFT) / len(record.trials))
    bars = tuple(
        _bar(trial, across.at(place), up, width, chosen=trial.number == best)
        for place, trial in enumerate(record.trials)
    )
    states = [state for state in STATE_WORDS if any(trial.state == state for trial in record.trials)]
    chosen = [Mark(label="recommended", colour="chosen", shape="star")] if any(b.chosen for b in bars) else []
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
        alt=_race_alt(record.trials),
    )


def trial_title(trial: Trial) -> str:
    """A trial in a few lines, shown over its point."""
    lines = (
        f"Trial {trial.number}, {trial.split} split: {STATE_WORDS[trial.state]}",
        trial.settings.model,
        numbers.clipped(numbers.parameters_line(trial.settings), 90),
        f"quality {numbers.quality(trial.quality)}",
        f"{numbers.price_phrase(trial.usd_per_1k_calls)}, p50 {numbers.seconds(trial.latency_p50_s)}",
    )
    return "\n".join(lines)


# -- quality against one figure


def _scatter(record: RunRecord, axis: _Axis, places: Sequence[_Place], trials: int) -> Scatter:
    best = None if record.recommendation is None else record.recommendation.trial.number
    bounds = {place.trial.number: place.trial.bounds.get(axis.bounds) for place in places}
    across = _across(axis, places, bounds)
    # Intervals that are drawn faintly, or not at all, must not press the others together.
    many = len(places) > MOST_INTERVALS
    loud = [place for place in places if place.confirmed or not many] or list(places)
    heights = [end for place in loud for end in (place.quality.low, place.quality.high)]
    up = scale([*heights, *(place.quality.value for place in places)], HEIGHT - BOTTOM, TOP, room=0.04)
    front = _front(record, axis, places)
    points = _points(places, across, up, bounds, best=best, on_front=front, many=many)
    line = steps(
        (across.at(place.x), up.at(place.quality.value)) for place in places if place.trial.number in front
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
        alt=_alt(record, axis, places, missing=trials - len(places), front=front),
    )


def _across(axis: _Axis, places: Sequence[_Place], bounds: Mapping[int, Bounds | None]) -> Scale:
    ends = [place.x for place in places]
    ends += [
        end for one in bounds.values() if one is not None for end in (one.low, one.high) if end is not None
    ]
    return scale(ends, LEFT + 8, WIDTH - RIGHT, zero=True, log=axis.key == "price" or min(ends) > 0)


def _front(record: RunRecord, axis: _Axis, places: Sequence[_Place]) -> frozenset[int]:
    """Trials that none of the finalists beats in quality and this figure, as the advice found them."""
    choice = record.recommendation
    if choice is None:
        return frozenset()
    there = {place.trial.number for place in places if place.confirmed}
    return frozenset(
        one.trial.number for one in choice.pareto if axis.key in one.against and one.trial.number in there
    )


def _points(
    places: Sequence[_Place],
    across: Scale,
    up: Scale,
    bounds: Mapping[int, Bounds | None],
    *,
    best: int | None,
    on_front: frozenset[int],
    many: bool,
) -> tuple[Point, ...]:
    """The points, the important ones last, so that they lie on top; their numbers find room first."""
    ranked = sorted(places, key=lambda p: (p.trial.number == best, p.trial.number in on_front, p.confirmed))
    labels = Labels(Box(LEFT, 0.0, WIDTH, HEIGHT - BOTTOM + 4))
    for place in places:
        labels.mark(across.at(place.x), up.at(place.quality.value), 5.0)
    made = [
        _point(place, (across, up), bounds[place.trial.number], labels, best=best, many=many)
        for place in reversed(ranked)
    ]
    return tuple(reversed(made))


def _point(
    place: _Place,
    scales: tuple[Scale, Scale],
    bounds: Bounds | None,
    labels: Labels,
    *,
    best: int | None,
    many: bool,
) -> Point:
    across, up = scales
    trial, x, y = place.trial, across.at(place.x), up.at(place.quality.value)
    chosen = trial.number == best
    known = bounds is not None and bounds.low is not None and bounds.high is not None
    width = DIGIT_WIDTH * len(str(trial.number))
    return Point(
        number=trial.number,
        x=x,
        y=y,
        top=up.at(place.quality.high),
        bottom=up.at(place.quality.low),
        left=across.at(bounds.low) if known and bounds is not None and bounds.low else None,
        right=across.at(bounds.high) if known and bounds is not None and bounds.low and bounds.high else None,
        label=labels.place(x, y, width=width, height=LINE_HEIGHT, gap=9.0 if chosen else 6.0),
        shape="star" if chosen else "filled" if place.confirmed else "hollow",
        colour="chosen" if chosen else trial.state,
        quiet=many and not place.confirmed,
        title=trial_title(trial),
    )


def _legend(points: Sequence[Point], *, front: bool) -> tuple[Mark, ...]:
    looks = {(SHAPES.index(p.shape), (*STATE_WORDS, "chosen").index(p.colour)): p for p in points}
    marks = [_mark(looks[look].colour, looks[look].shape) for look in sorted(looks)]
    line = (
        [Mark(label="front: no finalist is better in both", colour="chosen", shape="line")] if front else []
    )
    return (*marks, *line)


def _mark(colour: str, shape: str) -> Mark:
    if shape == "star":
        return Mark(label="recommended", colour=colour, shape=shape)
    words = STATE_WORDS[colour]
    split = "confirm" if shape == "filled" else "search"
    return Mark(label=f"{words}, {split} split", colour=colour, shape=shape)


def _alt(
    record: RunRecord, axis: _Axis, places: Sequence[_Place], *, missing: int, front: frozenset[int]
) -> str:
    def told(place: _Place) -> str:
        return f"trial {place.trial.number} with {numbers.quality(place.quality)} at {axis.show(place.x)}"

    best = None if record.recommendation is None else record.recommendation.trial.number
    chosen = [f"Recommended: {told(place)}." for place in places if place.trial.number == best]
    highest = max(places, key=lambda place: place.quality.value)
    lowest = min(places, key=lambda place: place.x)
    count = numbers.counted(len(places), "trial")
    parts = [
        f"{count}, each at its confirm value where it has one, with the {numbers.level(highest.quality)}."
    ]
    parts += [*chosen, f"Highest: {told(highest)}. {axis.least}: {told(lowest)}."]
    if front:
        parts.append(f"On the front: {', '.join(f'trial {number}' for number in sorted(front))}.")
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


def _race_alt(trials: Sequence[Trial]) -> str:
    by_state = {state: sum(trial.state == state for trial in trials) for state in STATE_WORDS}
    states = ", ".join(f"{numbers.count(n)} {STATE_WORDS[state]}" for state, n in by_state.items() if n)
    seen, full = sum(trial.samples for trial in trials), len(trials) * max(trial.samples for trial in trials)
    saved = f"; without early stopping it would have been {numbers.count(full)}" if seen < full else ""
    count = numbers.counted(len(trials), "trial")
    return f"{count}: {states}. Together they saw {numbers.count(seen)} samples{saved}."
