"""Pictures for notebooks: the door to plotly.

In: a run record or a comparison. Out: figures of plotly, to show, change and save there, of what the report
draws and tells: the same points, words and intervals. Must not compute figures, and must not write files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import UsageError
from harness.findings import RunRecord
from harness.outputs import numbers
from harness.outputs.cache_picture import CURVES, SAVED, Curves, cache_picture
from harness.outputs.charts import MOST_INTERVALS, across_scale, front_alt, race, scatter
from harness.outputs.embeddings import shown_caches
from harness.outputs.intervals import (
    Intervals,
    Row,
    comparison_intervals,
    latency_intervals,
    settings_intervals,
    slices_intervals,
    ties_intervals,
)
from harness.outputs.pages import render
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
    trial_title,
)
from harness.outputs.spans import spans
from harness.records import Estimate
from harness.verdicts import Comparison

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Dark enough for a light page and light enough for a dark one: a figure does not know where it is shown.
COLOURS: Mapping[str, str] = {
    CHOSEN: "#149868",
    "complete": "#3d86c6",
    "eliminated": "#8a9199",
    "infeasible": "#c9801f",
    "failed": "#d2564c",
    "stopped": "#9279c0",
    "running": "#2f9aa6",
}
GROUPS = ("#3d86c6", "#c9801f", "#149868", "#9279c0", "#d2564c", "#2f9aa6", "#8a9199")
SYMBOLS: Mapping[str, str] = {"star": "star", "filled": "circle", "hollow": "circle-open"}
LONGEST_LABEL = 48
Against = Literal["price", "latency"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One picture. found: what it draws, `None` where the run has nothing; needs: what that would be."""

    found: Callable[[RunRecord], Any]
    draw: Callable[[RunRecord, Any], go.Figure]
    needs: str


def picture(record: RunRecord, kind: str) -> go.Figure:
    """The picture of this kind, one of `KINDS`. Raises UsageError where the run has nothing to draw in it."""
    asked = KINDS[kind]
    found = asked.found(record)
    if found is None:
        raise UsageError(
            f"run {record.run!r} has nothing for plot_{_method(kind)} to draw: {asked.needs}; "
            f"{_others(record)}"
        )
    return asked.draw(record, found)


def comparison_picture(it: Comparison) -> go.Figure:
    """New minus base by metric and slice, with intervals."""
    return _intervals_figure(comparison_intervals(it))


def _method(kind: str) -> str:
    return 'front("latency")' if kind == "latencies" else "front()" if kind == "prices" else f"{kind}()"


def _others(record: RunRecord) -> str:
    kinds = KINDS if record.verb == "tune" else OF_EVALUATIONS
    there = [f"plot_{_method(kind)}" for kind in kinds if KINDS[kind].found(record) is not None]
    return f"it has something for {', '.join(there)}" if there else "nor for any other picture"


# -- quality against one figure


def _front_figure(record: RunRecord, axis: Axis) -> go.Figure:
    """Quality with intervals against price or latency: the points, legend and front of the report."""
    drawn = places(record, axis)
    many, scale = len(drawn) > MOST_INTERVALS, across_scale(axis, drawn)
    looks: dict[tuple[str, str], list[Place]] = {}
    for place in sorted(drawn, key=lambda one: (one.chosen, one.confirmed, one.trial.number)):
        looks.setdefault((place.colour, place.shape), []).append(place)
    traces = [_dots(some, look, quiet=many and not some[0].confirmed) for look, some in looks.items()]
    front = sorted((p for p in drawn if p.trial.number in on_front(record, axis, drawn)), key=lambda p: p.x)
    if len(front) > 1:
        traces.insert(0, _front_line(front))
    title = axis.title + (" (logarithmic)" if scale.log else "")
    figure = _figure(
        traces,
        title,
        record.metric,
        static=_static("scatter", scatter(record, axis, drawn)),
        alt=front_alt(record, axis, drawn),
    )
    units = {"tickprefix": "$"} if axis.key == "price" else {"ticksuffix": " s"}
    figure.update_xaxes({**units, **({"type": "log"} if scale.log else {"rangemode": "tozero"})})
    return figure


def _front_line(front: Sequence[Place]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": FRONT_WORDS,
        "x": [place.x for place in front],
        "y": [place.quality.value for place in front],
        "hoverinfo": "skip",
        "line": {"shape": "hv", "dash": "dash", "width": 1.4, "color": COLOURS[CHOSEN]},
    }


def _dots(drawn: Sequence[Place], look: tuple[str, str], *, quiet: bool) -> dict[str, Any]:
    colour, shape = look
    quality = [place.quality for place in drawn]
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers" if quiet else "markers+text",
        "name": look_words(colour, shape),
        "x": [place.x for place in drawn],
        "y": [one.value for one in quality],
        "text": [str(place.trial.number) for place in drawn],
        "textposition": "middle right",
        "hovertext": [_lines(trial_title(place.trial)) for place in drawn],
        "hoverinfo": "text",
        "marker": {"symbol": SYMBOLS[shape], "size": 15 if shape == "star" else 9, "color": COLOURS[colour]},
    }
    if quiet:
        return trace
    trace["error_y"] = _bars([(one.value, one.low, one.high) for one in quality], COLOURS[colour])
    if any(place.bounds for place in drawn):
        trace["error_x"] = _bars([_reach(place) for place in drawn], COLOURS[colour])
    return trace


def _reach(place: Place) -> tuple[float, float, float]:
    """The figure on the axis and its bounds; the figure three times where there are none."""
    bounds = place.bounds
    if bounds is None or bounds.low is None or bounds.high is None:
        return (place.x, place.x, place.x)
    return (place.x, bounds.low, bounds.high)


def _bars(ends: Sequence[tuple[float, float, float]], colour: str) -> dict[str, Any]:
    """Error bars from these values to their lower and upper ends."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, _, high in ends],
        "arrayminus": [value - low for value, low, _ in ends],
        "color": colour,
        "thickness": 1.2,
        "width": 3,
    }


# -- samples seen


def _race_figure(record: RunRecord, _found: object) -> go.Figure:
    """How many samples each trial was shown on the search split, coloured by how it ended."""
    shown, best = race(record), recommended(record)
    assert shown is not None, "there are trials"
    traces: list[dict[str, Any]] = []
    for state in STATE_WORDS:
        some = [trial for trial in record.trials if trial.state == state]
        if some:
            traces.append(
                {
                    "type": "bar",
                    "name": STATE_WORDS[state],
                    "x": [trial.number for trial in some],
                    "y": [trial.samples for trial in some],
                    "hovertext": [_lines(trial_title(trial)) for trial in some],
                    "hoverinfo": "text",
                    "marker": {"color": COLOURS[state]},
                }
            )
    star = [(trial.number, trial.samples) for trial in record.trials if trial.number == best]
    if star:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": RECOMMENDED,
                "x": [number for number, _ in star],
                "y": [samples for _, samples in star],
                "hoverinfo": "skip",
                "marker": {"symbol": "star", "size": 13, "color": COLOURS[CHOSEN]},
            }
        )
    return _figure(traces, "trial", "samples seen", static=_static("race", shown), alt=shown.alt)


# -- the threshold of a cache


def _threshold_figure(record: RunRecord, shown: Curves) -> go.Figure:
    """What hits, and what of it is false, at every threshold, with the thresholds of others."""
    report = shown_caches(record)[0]
    most = max((point.saved_usd_per_1k or 0.0 for point in report.curve), default=0.0)
    traces: list[dict[str, Any]] = []
    for mark, (_, colour, key) in zip(shown.legend, (*CURVES, SAVED), strict=False):
        told = [(point.cosine, getattr(point, key)) for point in report.curve]
        whole = most if key == SAVED[2] else 1.0
        known = [(cosine, value / whole) for cosine, value in told if value is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": mark.label,
                "x": [cosine for cosine, _ in known],
                "y": [value for _, value in known],
                "line": {"shape": "hv", "width": 2.4, "color": COLOURS[colour]},
            }
        )
    figure = _figure(traces, shown.x_title, shown.y_title, static=_static("curves", shown), alt=shown.alt)
    for place, point in enumerate(sorted(report.landmarks, key=lambda one: one.cosine)):
        ours = point.cosine == report.threshold
        figure.add_vline(
            point.cosine,
            line={"color": COLOURS[CHOSEN if ours else "eliminated"], "dash": "solid" if ours else "dot"},
            annotation={
                "text": _text(f"{point.name.partition(',')[0]}: {point.cosine:.3f}"),
                "yshift": -16 * place,
            },
            annotation_position="top left",
        )
    low = min(0.5, *(point.cosine for point in report.landmarks))
    figure.update_xaxes(range=[low - 0.02, 1.01])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


# -- figures below each other


def _intervals_figure(shown: Intervals) -> go.Figure:
    """Figures with their intervals below each other, a colour a group."""
    groups: dict[str, list[Row]] = {}
    for row in shown.rows:
        groups.setdefault(row.group, []).append(row)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": _text(group),
            "x": [row.value for row in rows],
            "y": [_text(row.name) for row in rows],
            "hovertext": [_lines(f"{row.name}\n{row.text}") for row in rows],
            "hoverinfo": "text",
            "marker": {"size": 9, "color": (colour := GROUPS[place % len(GROUPS)])},
            "error_x": _bars([(row.value, row.low, row.high) for row in rows], colour),
        }
        for place, (group, rows) in enumerate(groups.items())
    ]
    figure = _figure(traces, shown.x_title, "", static=_static_intervals(shown), alt=shown.alt)
    names = [_text(row.name) for row in shown.rows]
    figure.update_yaxes(categoryorder="array", categoryarray=names, autorange="reversed", automargin=True)
    figure.update_layout(height=130 + 24 * len(names), showlegend=len(groups) > 1)
    for at, words in shown.marks:
        figure.add_vline(at, line={"color": COLOURS["eliminated"], "dash": "dot"}, annotation={"text": words})
    return figure


def _static_intervals(shown: Intervals) -> str:
    estimates = [
        Estimate(value=one.value, low=one.low, high=one.high, level=0.0, n=0, clusters=0, method="")
        for one in shown.rows
    ]
    zero = any(at == 0 for at, _ in shown.marks)
    pictures = spans(estimates, differences=zero)
    rows = [
        (one.name if one.group in one.name else f"{one.name} ({one.group})", one.text, span)
        for one, span in zip(shown.rows, pictures, strict=True)
    ]
    return render("intervals.html.jinja", shown=shown, rows=rows, clip=numbers.clipped)


def _static(kind: str, shown: object) -> str:
    return render("picture.html.jinja", kind=kind, shown=shown, colours=COLOURS)


def _lines(text: str) -> str:
    """What is shown over a point; escaped, for plotly reads a little HTML in these texts."""
    return "<br>".join(escape(line, quote=False) for line in text.splitlines())


def _text(text: str) -> str:
    return escape(numbers.clipped(text, LONGEST_LABEL), quote=False)


def _figure(
    traces: Sequence[dict[str, Any]], x_title: str, y_title: str, *, static: str, alt: str
) -> go.Figure:
    from harness.outputs.picture import Picture

    return Picture(
        data=list(traces),
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": "#80868d"},
            "height": 420,
            "margin": {"l": 60, "r": 20, "t": 40, "b": 55},
            "barmode": "overlay",
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {
                "title": {"text": escape(numbers.clipped(x_title, 80), quote=False)},
                "gridcolor": "rgba(128,128,128,0.25)",
            },
            "yaxis": {
                "title": {"text": escape(numbers.clipped(y_title, 80), quote=False)},
                "gridcolor": "rgba(128,128,128,0.25)",
            },
        },
        static=static,
        alt=alt,
    )


def _of_intervals(found: Callable[[RunRecord], Intervals | None], needs: str) -> _Kind:
    return _Kind(found, lambda _record, shown: _intervals_figure(shown), needs)


def _of_axis(axis: Axis) -> _Kind:
    needs = f"no trial has both a quality and a {axis.title}"
    return _Kind(
        lambda record: places(record, axis) or None, lambda record, _: _front_figure(record, axis), needs
    )


KINDS: Mapping[str, _Kind] = {
    "prices": _of_axis(AXES[0]),
    "latencies": _of_axis(AXES[1]),
    "race": _Kind(lambda record: record.trials or None, _race_figure, "it has no trials"),
    "settings": _of_intervals(settings_intervals, "too few trials, or one value of every setting"),
    "ties": _of_intervals(ties_intervals, "it recommends nothing, or had one finalist"),
    "slices": _of_intervals(slices_intervals, "its samples have no metadata that slices them"),
    "latency": _of_intervals(latency_intervals, "no call was timed"),
    "threshold": _Kind(cache_picture, _threshold_figure, "it is not about a semantic cache"),
}
OF_EVALUATIONS = ("slices", "latency", "threshold")
FRONTS: Mapping[Against, str] = {"price": "prices", "latency": "latencies"}
