"""The two pictures of a report: the door to plotly.

In: a run record. Out: plain dictionaries in plotly's figure format, each with its alternative text. Colours
are names of the page's style variables ("var(--complete)"), which the page's own script fills in, so that
one figure serves light, dark and paper. Must not compute figures, and must not write files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from harness.findings import RunRecord, Trial, TrialState
from harness.outputs import numbers
from harness.records import Estimate

# Beyond this many trials, numbers beside the points cover each other: only finalists keep theirs.
MOST_LABELS = 30
# From this ratio of dearest to cheapest on, a linear axis would press the cheap ones into one point.
LOGARITHMIC_FROM = 20.0

STATE_WORDS: Mapping[TrialState, str] = {
    "complete": "complete",
    "eliminated": "eliminated early",
    "infeasible": "outside the limits",
    "failed": "failed",
    "stopped": "stopped",
    "running": "still running",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One line of a legend. shape: "filled", "hollow", "star" or "bar"; colour: name of a style variable."""

    label: str
    colour: str
    shape: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure for plotly, its title, its legend, and what it shows in words."""

    title: str
    figure: dict[str, Any]
    legend: tuple[Mark, ...]
    alt: str


@dataclass(frozen=True, slots=True)
class _Axis:
    """What quality is drawn against: a figure of a trial, its name, and how it is shown."""

    title: str
    least: str
    pick: Callable[[Trial], float | None]
    show: Callable[[float | None], str]
    prefix: str
    suffix: str


PRICE = _Axis("price per 1,000 calls", "Cheapest", lambda t: t.usd_per_1k_calls, numbers.price, "$", "")
LATENCY = _Axis("median latency", "Fastest", lambda t: t.latency_p50_s, numbers.seconds, "", " s")


@dataclass(frozen=True, slots=True)
class _Point:
    """One trial where it can be drawn: its best evidence, quality, and place on the axis."""

    trial: Trial
    quality: Estimate
    x: float


def plotly_js() -> str:
    """The plotly.js that came with plotly, for inlining: some 5 MB of JavaScript."""
    from plotly.offline import get_plotlyjs

    # HTML parsers turn CR LF into LF; the page's checksum of this text must not depend on it.
    return str(get_plotlyjs()).replace("\r\n", "\n")


def quality_picture(record: RunRecord) -> Picture | None:
    """Quality with intervals against price, or against latency where all prices are alike.

    Each trial stands once: at its value on the confirm split if it has one, else on the search split.
    `None` when no trial has both figures.
    """
    shown = {trial.number: trial for trial in (*record.trials, *record.finalists)}
    axis = _axis(shown.values())
    points = [
        _Point(trial, trial.quality, x)
        for _, trial in sorted(shown.items())
        if trial.quality is not None and (x := axis.pick(trial)) is not None
    ]
    if not points:
        return None
    best = None if record.recommendation is None else record.recommendation.trial.number
    labelled = len(points) <= MOST_LABELS
    groups: dict[tuple[str, str], list[_Point]] = {}
    for point in points:
        groups.setdefault(_look(point.trial, best), []).append(point)
    traces = [
        _dots(group, colour, shape, labelled or shape != "hollow")
        for (colour, shape), group in sorted(groups.items(), key=lambda look: look[0] == ("chosen", "star"))
    ]
    layout = layout_of(axis.title, record.metric)
    layout["xaxis"] |= _scale([point.x for point in points], axis)
    return Picture(
        title=f"{record.metric.capitalize()} against {axis.title}",
        figure=checked(traces, layout),
        legend=tuple(_mark(look) for look in sorted(groups, key=_legend_order)),
        alt=_quality_alt(record, points, axis, missing=len(shown) - len(points)),
    )


def race_picture(record: RunRecord) -> Picture | None:
    """How many samples each trial was shown on the search split, by state; `None` without trials."""
    if not record.trials:
        return None
    by_state: dict[TrialState, list[Trial]] = {}
    for trial in sorted(record.trials, key=lambda trial: tuple(STATE_WORDS).index(trial.state)):
        by_state.setdefault(trial.state, []).append(trial)
    best = None if record.recommendation is None else record.recommendation.trial.number
    traces = [_bars(group, f"var(--{state})") for state, group in by_state.items()]
    layout = layout_of("trial", "samples seen")
    layout |= {"bargap": 0.25, "barmode": "overlay"}
    layout["yaxis"] |= {"rangemode": "tozero"}
    layout["xaxis"] |= {"showgrid": False, "tickformat": "d"} | _whole_ticks(record.trials)
    layout["annotations"] = [_star(trial) for trial in record.trials if trial.number == best]
    legend = tuple(Mark(label=STATE_WORDS[s], colour=s, shape="bar") for s in by_state)
    chosen = (Mark(label="recommended", colour="chosen", shape="star"),) if layout["annotations"] else ()
    return Picture(
        title="Samples seen by each trial",
        figure=checked(traces, layout),
        legend=(*legend, *chosen),
        alt=_race_alt(record.trials, by_state),
    )


def _axis(trials: Iterable[Trial]) -> _Axis:
    prices = {trial.usd_per_1k_calls for trial in trials if trial.quality is not None} - {None}
    return PRICE if len(prices) > 1 else LATENCY


def _look(trial: Trial, best: int | None) -> tuple[str, str]:
    if trial.number == best:
        return ("chosen", "star")
    return (trial.state, "filled" if trial.split == "confirm" else "hollow")


def _mark(look: tuple[str, str]) -> Mark:
    colour, shape = look
    if shape == "star":
        return Mark(label="recommended", colour=colour, shape=shape)
    words = next(text for state, text in STATE_WORDS.items() if state == colour)
    return Mark(
        label=f"{words}, {'confirm' if shape == 'filled' else 'search'} split", colour=colour, shape=shape
    )


def _legend_order(look: tuple[str, str]) -> tuple[int, int]:
    colour, shape = look
    return (("star", "filled", "hollow").index(shape), (*STATE_WORDS, "chosen").index(colour))


def _dots(points: Sequence[_Point], colour: str, shape: str, labelled: bool) -> dict[str, Any]:
    strong = shape != "hollow"
    symbols = {"star": "star", "filled": "circle", "hollow": "circle-open"}
    return {
        "type": "scatter",
        "mode": "markers+text" if labelled else "markers",
        "x": [point.x for point in points],
        "y": [point.quality.value for point in points],
        "text": [str(point.trial.number) for point in points],
        "textposition": "middle right",
        "textfont": {"size": 12 if strong else 10.5, "color": "var(--ink)" if strong else "var(--muted)"},
        "hovertext": [_hover(point.trial) for point in points],
        "hoverinfo": "text",
        "opacity": 1 if strong else 0.85,
        "marker": {
            "symbol": symbols[shape],
            "size": 17 if shape == "star" else 10,
            "color": f"var(--{colour})",
            "line": {"width": 0 if strong else 1.8, "color": f"var(--{colour})"},
        },
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [point.quality.high - point.quality.value for point in points],
            "arrayminus": [point.quality.value - point.quality.low for point in points],
            "color": f"var(--{colour})",
            "thickness": 2.2 if shape == "star" else 1.2,
            "width": 4 if strong else 0,
        },
    }


def _bars(trials: Sequence[Trial], colour: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": [trial.number for trial in trials],
        "y": [trial.samples for trial in trials],
        "hovertext": [_hover(trial) for trial in trials],
        "hoverinfo": "text",
        "textposition": "none",
        "marker": {"color": colour, "line": {"width": 0}},
        "width": 0.75,
    }


def _star(trial: Trial) -> dict[str, Any]:
    return {
        "x": trial.number,
        "y": trial.samples,
        "text": "★",
        "showarrow": False,
        "yshift": 11,
        "font": {"size": 17, "color": "var(--chosen)"},
    }


def _hover(trial: Trial) -> str:
    """What is shown over a point; escaped, for plotly reads a little HTML in these texts."""
    lines = (
        f"trial {trial.number}, {trial.split} split: {STATE_WORDS[trial.state]}",
        trial.settings.model,
        numbers.clipped(numbers.parameters_line(trial.settings), 90),
        f"quality {numbers.quality(trial.quality)}",
        f"{numbers.price_phrase(trial.usd_per_1k_calls)}, p50 {numbers.seconds(trial.latency_p50_s)}",
    )
    return "<br>".join(escape(line, quote=False) for line in lines)


def _scale(places: Sequence[float], axis: _Axis) -> dict[str, Any]:
    low, high = min(places), max(places)
    if low <= 0 or high / low < LOGARITHMIC_FROM:
        return {
            "type": "linear",
            "rangemode": "tozero",
            "tickprefix": axis.prefix,
            "ticksuffix": axis.suffix,
        }
    # plotly's own ticks on a logarithmic axis are bare digits; these are the 1-2-5 series in full.
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [axis.show(tick) for tick in ticks]}


def _whole_ticks(trials: Sequence[Trial]) -> dict[str, Any]:
    numbered = [trial.number for trial in trials]
    # Without it, plotly would write trials 0.5 and 1.5 between few bars.
    return {"dtick": 1} if max(numbered) - min(numbered) < 20 else {}


def layout_of(x_title: str, y_title: str) -> dict[str, Any]:
    """The layout that all pictures share, with these titles of their axes."""
    axis = {
        "gridcolor": "var(--line)",
        "linecolor": "var(--line)",
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 12},
        "fixedrange": False,
    }
    return {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "height": 420,
        "margin": {"l": 56, "r": 24, "t": 16, "b": 52},
        "font": {"color": "var(--muted)", "size": 13},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "var(--raised)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)", "size": 13},
            "align": "left",
        },
        "xaxis": axis | {"title": {"text": escape(x_title, quote=False), "standoff": 12}},
        "yaxis": axis | {"title": {"text": escape(y_title, quote=False), "standoff": 12}},
    }


def checked(traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> dict[str, Any]:
    """The figure after plotly's own check of every property name and value."""
    import plotly.graph_objects as go

    return go.Figure(data=list(traces), layout=layout).to_plotly_json()


def _quality_alt(record: RunRecord, points: Sequence[_Point], axis: _Axis, *, missing: int) -> str:
    def told(point: _Point) -> str:
        return f"trial {point.trial.number} with {numbers.quality(point.quality)} at {axis.show(point.x)}"

    best = None if record.recommendation is None else record.recommendation.trial.number
    chosen = [f"Recommended: {told(p)}." for p in points if p.trial.number == best]
    highest = max(points, key=lambda point: point.quality.value)
    lowest = min(points, key=lambda point: point.x)
    count = numbers.counted(len(points), "trial")
    parts = [
        f"{count}, each at its confirm value where it has one, with the {numbers.level(highest.quality)}."
    ]
    parts += [*chosen, f"Highest: {told(highest)}. {axis.least}: {told(lowest)}."]
    if missing:
        parts.append(f"Not drawn, for want of a figure: {numbers.counted(missing, 'trial')} of the table.")
    return " ".join(parts)


def _race_alt(trials: Sequence[Trial], by_state: Mapping[TrialState, Sequence[Trial]]) -> str:
    states = ", ".join(
        f"{numbers.count(len(group))} {STATE_WORDS[state]}" for state, group in by_state.items()
    )
    seen = sum(trial.samples for trial in trials)
    full = len(trials) * max(trial.samples for trial in trials)
    saved = f"; without early stopping it would have been {numbers.count(full)}" if seen < full else ""
    count = numbers.counted(len(trials), "trial")
    return f"{count}: {states}. Together they saw {numbers.count(seen)} samples{saved}."
