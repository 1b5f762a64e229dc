"""The picture of a semantic cache: what hits, and what of it is false, at every threshold.

In: a run record. Out: places in an SVG that the templates draw, as in `charts`. Must not compute a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.findings import RunRecord
from harness.insights import CachePoint, CacheReport
from harness.outputs import numbers
from harness.outputs.axes import Scale
from harness.outputs.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Mark, Tick
from harness.outputs.embeddings import shown_caches

# By curve: its name, the colour of a style variable, and what it takes from a point.
CURVES = (
    ("same texts that hit", "complete", "hit_rate"),
    ("different texts that hit", "failed", "false_hit_rate"),
)
SAVED = ("saved", "chosen", "saved_usd_per_1k")
LABEL_HEIGHT = 17.0


@dataclass(frozen=True, slots=True)
class Line:
    """A curve. colour: a state of trials; path: of SVG."""

    colour: str
    path: str


@dataclass(frozen=True, slots=True)
class Upright:
    """A threshold, with its name beside it at the height `y`. ours: the recommended one."""

    x: float
    y: float
    text: str
    ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Hits and false hits over all thresholds, with those of others."""

    title: str
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    uprights: tuple[Upright, ...]
    legend: tuple[Mark, ...]
    alt: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    bottom: float = HEIGHT - BOTTOM
    right: float = WIDTH - RIGHT
    top: float = TOP


def cache_picture(record: RunRecord) -> Curves | None:
    """Hits and false hits over all thresholds, with those of others; `None` without a threshold to choose."""
    report = next(iter(shown_caches(record)), None)
    if report is None or not report.curve:
        return None
    low = min(0.5, *(point.cosine for point in report.landmarks))
    across = Scale(low - 0.02, 1.01, LEFT, WIDTH - RIGHT)
    up = Scale(0.0, 1.02, HEIGHT - BOTTOM, TOP)
    most = max((point.saved_usd_per_1k or 0.0 for point in report.curve), default=0.0)
    money = [(SAVED, Scale(0.0, 1.02 * most, HEIGHT - BOTTOM, TOP))] if most > 0 else []
    saved = f" / 1k requests, 100%: {numbers.money(most)}"
    drawn = [*((curve, up) for curve in CURVES), *money]
    known = sorted(report.landmarks, key=lambda point: point.cosine)
    return Curves(
        title="A cache of near matches at every threshold",
        x_title="cosine from which on a text hits",
        y_title="share of pairs",
        x_ticks=tuple(Tick(across.at(tick), f"{tick:g}") for tick in across.ticks(6)),
        y_ticks=tuple(Tick(up.at(tick), numbers.share(tick)) for tick in up.ticks(5)),
        lines=tuple(Line(colour, _path(report.curve, key, across, on)) for (_, colour, key), on in drawn),
        uprights=tuple(
            Upright(
                x=across.at(point.cosine),
                y=TOP + 12 + LABEL_HEIGHT * place,
                text=f"{point.name.partition(',')[0]}: {point.cosine:.4f}",
                ours=report.threshold == point.cosine,
            )
            for place, point in enumerate(known)
        ),
        legend=tuple(
            Mark(label=f"{name}{saved if key == SAVED[2] else ''}", colour=colour, shape="bar")
            for (name, colour, key), _ in drawn
        ),
        alt=_alt(report),
    )


def _path(curve: Sequence[CachePoint], key: str, across: Scale, up: Scale) -> str:
    """Steps from the highest threshold down to the end of the axis: a share holds until the next pair."""
    told = [(point.cosine, getattr(point, key)) for point in curve if getattr(point, key) is not None]
    places = [(across.at(cosine), up.at(share)) for cosine, share in told if cosine >= across.low]
    if not places:
        return ""
    (x, y), *others = places
    end = f"H{across.start}" if len(places) < len(told) else ""
    return f"M{x} {y}" + "".join(f"H{left}V{down}" for left, down in others) + end


def _alt(report: CacheReport) -> str:
    told = "; ".join(
        f"{point.name} ({point.cosine:.4f}): {numbers.share(point.hit_rate)} of same and "
        f"{numbers.share(point.false_hit_rate)} of different texts hit"
        for point in sorted(report.landmarks, key=lambda point: point.cosine)
    )
    pairs = f"{numbers.count(report.same)} same and {numbers.count(report.different)} different pairs"
    return (
        f"On {pairs} of the {report.split} split, from high thresholds to low ones more of both hit. {told}."
    )
