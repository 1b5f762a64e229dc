"""What a picture of trials shows, before anything has a place: figures, looks and words.

In: a run record. Out: plain records, from which `charts` draws the SVG of a report and `plots` the figures of
notebooks, so that both show the same. Must not compute a figure, or know how it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.findings import RunRecord, Trial
from harness.outputs import numbers
from harness.records import Bounds, Estimate

STATE_WORDS: Mapping[str, str] = {
    "complete": "complete",
    "eliminated": "eliminated early",
    "infeasible": "outside the limits",
    "failed": "failed",
    "stopped": "stopped",
    "running": "still running",
}
CHOSEN = "chosen"
RECOMMENDED = "recommended"
FRONT_WORDS = "front: no finalist is better in both"
Shape = Literal["star", "filled", "hollow"]


@dataclass(frozen=True, slots=True)
class Axis:
    """What quality is drawn against: a figure of a trial, its bounds, its name, and how it is shown."""

    key: Literal["price", "latency"]
    bounds: str
    title: str
    least: str
    pick: Callable[[Trial], float | None]
    show: Callable[[float | None], str]


AXES = (
    Axis(
        "price",
        "usd_per_1k_calls",
        "price per 1,000 calls",
        "Cheapest",
        lambda t: t.usd_per_1k_calls,
        numbers.price,
    ),
    Axis("latency", "latency_p50_s", "median latency", "Fastest", lambda t: t.latency_p50_s, numbers.seconds),
)


@dataclass(frozen=True, slots=True)
class Place:
    """One trial that can be drawn: its best evidence, its quality, and its figure on the axis.

    chosen: whether it is recommended. bounds: of the figure; `None` where they are not known on both sides.
    """

    trial: Trial
    quality: Estimate
    x: float
    chosen: bool
    bounds: Bounds | None

    @property
    def confirmed(self) -> bool:
        """Whether the figures are of the confirm split."""
        return self.trial.split == "confirm"

    @property
    def shape(self) -> Shape:
        """A star for the recommended one, filled on the confirm split, hollow on the search split."""
        return "star" if self.chosen else "filled" if self.confirmed else "hollow"

    @property
    def colour(self) -> str:
        """A state of trials, or `CHOSEN`."""
        return CHOSEN if self.chosen else self.trial.state


def recommended(record: RunRecord) -> int | None:
    """The number of the recommended trial; `None` without one."""
    return None if record.recommendation is None else record.recommendation.trial.number


def shown_trials(record: RunRecord) -> Mapping[int, Trial]:
    """Each trial once, by number in order: on the confirm split if it got there, else on the search split."""
    return dict(sorted({trial.number: trial for trial in (*record.trials, *record.finalists)}.items()))


def places(record: RunRecord, axis: Axis) -> list[Place]:
    """The trials that have both figures, by number."""
    best = recommended(record)
    return [
        Place(trial, trial.quality, x, number == best, _known(trial.bounds.get(axis.bounds)))
        for number, trial in shown_trials(record).items()
        if trial.quality is not None and (x := axis.pick(trial)) is not None
    ]


def on_front(record: RunRecord, axis: Axis, drawn: Sequence[Place]) -> frozenset[int]:
    """Trials that none of the finalists beats in quality and this figure, as the advice found them."""
    choice = record.recommendation
    if choice is None:
        return frozenset()
    there = {place.trial.number for place in drawn if place.confirmed}
    return frozenset(
        one.trial.number for one in choice.pareto if axis.key in one.against and one.trial.number in there
    )


def look_words(colour: str, shape: str) -> str:
    """What a legend says of points that look so."""
    if shape == "star":
        return RECOMMENDED
    return f"{STATE_WORDS[colour]}, {'confirm' if shape == 'filled' else 'search'} split"


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


def _known(bounds: Bounds | None) -> Bounds | None:
    """The bounds, unless one of them is missing, or 0, which a logarithmic axis has no place for."""
    return bounds if bounds is not None and bounds.low and bounds.high else None
