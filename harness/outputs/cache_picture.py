"""The picture of a semantic cache: what hits, and what of it is false, at every threshold.

In: a run record. Out: a `Picture`. The door to plotly is `pictures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.findings import CachePoint, CacheReport, RunRecord
from harness.outputs import numbers
from harness.outputs.embeddings import shown_caches
from harness.outputs.pictures import Mark, Picture, checked, layout_of

# By curve: its name, the colour of a style variable, and what it takes from a point.
CURVES = (
    ("same texts that hit", "complete", "hit_rate"),
    ("different texts that hit", "failed", "false_hit_rate"),
)


def cache_picture(record: RunRecord) -> Picture | None:
    """Hits and false hits over all thresholds, with those of others; `None` without a threshold to choose."""
    report = next(iter(shown_caches(record)), None)
    if report is None or not report.curve:
        return None
    traces = [_line(report.curve, name, colour, key) for name, colour, key in CURVES]
    layout = layout_of("cosine from which on a text hits", "share of pairs")
    layout["yaxis"] |= {"range": [0, 1.02], "tickformat": ".0%"}
    low = min(0.5, *(point.cosine for point in report.landmarks))
    layout["xaxis"] |= {"range": [low - 0.02, 1.01]}
    layout["shapes"] = [_upright(point, report) for point in report.landmarks]
    layout["annotations"] = [
        _label(point, place) for place, point in enumerate(sorted(report.landmarks, key=lambda p: p.cosine))
    ]
    legend = tuple(Mark(label=name, colour=colour, shape="bar") for name, colour, _ in CURVES)
    return Picture(
        title="A cache of near matches at every threshold",
        figure=checked(traces, layout),
        legend=legend,
        alt=_alt(report),
    )


def _line(curve: Sequence[CachePoint], name: str, colour: str, key: str) -> dict[str, Any]:
    points = [(point, getattr(point, key)) for point in curve if getattr(point, key) is not None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [point.cosine for point, _ in points],
        "y": [value for _, value in points],
        "line": {"shape": "vh", "width": 2.4, "color": f"var(--{colour})"},
        "hovertext": [f"cosine {point.cosine:.4f}: {numbers.share(value)} {name}" for point, value in points],
        "hoverinfo": "text",
    }


def _upright(point: CachePoint, report: CacheReport) -> dict[str, Any]:
    ours = report.threshold == point.cosine
    return {
        "type": "line",
        "x0": point.cosine,
        "x1": point.cosine,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {
            "width": 2 if ours else 1.2,
            "dash": "solid" if ours else "dot",
            "color": "var(--chosen)" if ours else "var(--muted)",
        },
    }


def _label(point: CachePoint, place: int) -> dict[str, Any]:
    short = point.name.partition(",")[0]
    return {
        "x": point.cosine,
        "y": 0.96 - 0.09 * place,
        "yref": "paper",
        "text": f"{short}: {point.cosine:.3f}",
        "showarrow": False,
        "xanchor": "right",
        "xshift": -5,
        "font": {"size": 11.5, "color": "var(--ink)"},
    }


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
