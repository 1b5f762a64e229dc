"""Pictures for notebooks: the door to plotly.

In: a run record. Out: figures of plotly, to show, change and save there. The report draws its own pictures,
see `charts`. Must not compute figures, and must not write files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from harness.findings import RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.axes import LOGARITHMIC_FROM
from harness.outputs.charts import STATE_WORDS, trial_title

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Dark enough for a light page and light enough for a dark one: a figure does not know where it is shown.
COLOURS: Mapping[str, str] = {
    "chosen": "#149868",
    "complete": "#3d86c6",
    "eliminated": "#8a9199",
    "infeasible": "#c9801f",
    "failed": "#d2564c",
    "stopped": "#9279c0",
    "running": "#2f9aa6",
}
SYMBOLS: Mapping[str, str] = {"star": "star", "filled": "circle", "hollow": "circle-open"}


def front_figure(record: RunRecord, *, against: str = "price") -> go.Figure:
    """Quality with intervals against "price" (USD per 1,000 calls) or "latency" (median, in seconds).

    Each trial stands once: at its value on the confirm split if it has one, else on the search split. Trials
    without both figures are left out.
    """
    pick: Callable[[Trial], float | None] = (
        (lambda t: t.latency_p50_s) if against == "latency" else (lambda t: t.usd_per_1k_calls)
    )
    shown = {trial.number: trial for trial in (*record.trials, *record.finalists)}
    best = None if record.recommendation is None else record.recommendation.trial.number
    groups: dict[tuple[str, str], list[Trial]] = {}
    for _, trial in sorted(shown.items()):
        if trial.quality is not None and pick(trial) is not None:
            groups.setdefault(_look(trial, best), []).append(trial)
    places = [x for group in groups.values() for trial in group if (x := pick(trial)) is not None]
    title = "median latency in seconds" if against == "latency" else "USD per 1,000 calls"
    figure = _figure([_dots(group, look, pick) for look, group in groups.items()], title, record.metric)
    if places and min(places) > 0 and max(places) / min(places) >= LOGARITHMIC_FROM:
        figure.update_xaxes(type="log")
    else:
        figure.update_xaxes(rangemode="tozero")
    return figure


def race_figure(record: RunRecord) -> go.Figure:
    """How many samples each trial was shown on the search split, coloured by how it ended."""
    by_state: dict[str, list[Trial]] = {}
    for trial in record.trials:
        by_state.setdefault(trial.state, []).append(trial)
    return _figure([_bars(group, state) for state, group in by_state.items()], "trial", "samples seen")


def _look(trial: Trial, best: int | None) -> tuple[str, str]:
    if trial.number == best:
        return ("chosen", "star")
    return (trial.state, "filled" if trial.split == "confirm" else "hollow")


def _dots(
    trials: Sequence[Trial], look: tuple[str, str], pick: Callable[[Trial], float | None]
) -> dict[str, Any]:
    colour, shape = look
    measured = [trial.quality for trial in trials if trial.quality is not None]
    name = "recommended" if shape == "star" else f"{STATE_WORDS[colour]}, {trials[0].split} split"
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "x": [pick(trial) for trial in trials],
        "y": [quality.value for quality in measured],
        "text": [str(trial.number) for trial in trials],
        "textposition": "middle right",
        "hovertext": [_hover(trial) for trial in trials],
        "hoverinfo": "text",
        "marker": {"symbol": SYMBOLS[shape], "size": 15 if shape == "star" else 9, "color": COLOURS[colour]},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [quality.high - quality.value for quality in measured],
            "arrayminus": [quality.value - quality.low for quality in measured],
            "color": COLOURS[colour],
            "thickness": 1.2,
            "width": 3,
        },
    }


def _bars(trials: Sequence[Trial], state: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": STATE_WORDS[state],
        "x": [trial.number for trial in trials],
        "y": [trial.samples for trial in trials],
        "hovertext": [_hover(trial) for trial in trials],
        "hoverinfo": "text",
        "marker": {"color": COLOURS[state]},
    }


def _hover(trial: Trial) -> str:
    """What is shown over a point; escaped, for plotly reads a little HTML in these texts."""
    return "<br>".join(escape(line, quote=False) for line in trial_title(trial).splitlines())


def _figure(traces: Sequence[dict[str, Any]], x_title: str, y_title: str) -> go.Figure:
    import plotly.graph_objects as go

    return go.Figure(
        data=list(traces),
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": "#80868d"},
            "height": 420,
            "margin": {"l": 60, "r": 20, "t": 20, "b": 55},
            "barmode": "overlay",
            "hovermode": "closest",
            "xaxis": {"title": {"text": escape(numbers.clipped(x_title, 80), quote=False)}},
            "yaxis": {"title": {"text": escape(numbers.clipped(y_title, 80), quote=False)}},
        },
    )
