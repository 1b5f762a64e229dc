"""The figures of a replay as a table for people.

In: what the command would print as JSON. Out: text. It must not compute a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.outputs import numbers


def table(told: Mapping[str, Any]) -> str:
    """A line of what was replayed, a line of names, and a line for each budget."""
    row = _claim if told["mode"] == "confidence" else _search
    rows = [row(result) for result in told["results"]]
    names = list(rows[0])
    cells = [names, *([line[name] for name in names] for line in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
    lines = ["  ".join(map(str.rjust, line, widths)) for line in cells]
    return "\n".join([_title(told), *lines])


def _title(told: Mapping[str, Any]) -> str:
    runs = numbers.counted(told["runs"], "run")
    if "worlds" in told:
        return f"parametric: {told['strategy']}, {runs} in {numbers.counted(told['worlds'], 'world')}"
    size = f"{told['settings']} settings x {told['samples']} samples"
    mode = ""
    if told["mode"] == "confidence":
        stated = numbers.share(1 - told["alpha"])
        mode = f" at {stated}, within {100 * told['epsilon']:g} pt"
    return f"{told['matrix']}: {size}, {told['strategy']}{mode}, {runs}"


def _search(result: Mapping[str, Any]) -> dict[str, str]:
    fraction = result["fraction"]
    return {
        "budget": numbers.count(int(result["budget"])) if fraction is None else numbers.share(fraction),
        "within 1pt": f"{result['p_within_1pt']:.3f}",
        "within 2pt": f"{result['p_within_2pt']:.3f}",
        "regret pt": _measured(result["mean_regret"], result["mean_regret_se"]),
        "calls": f"{result['mean_calls']:.0f}",
        "spent": numbers.money(result["mean_usd"]),
        "reported-true pt": _measured(result["reported_minus_true"], result["reported_minus_true_se"], "+"),
        "confirm calls": f"{result['confirm_calls']:.0f}",
        "CPU ms/call": f"{result['cpu_ms_per_call']:.4f}",
    }


def _claim(result: Mapping[str, Any]) -> dict[str, str]:
    return {
        "budget": numbers.share(result["fraction"]),
        "coverage": _measured(result["coverage"], result["coverage_se"], digits=3),
        "used": numbers.share(result["mean_fraction"]),
        "at most": numbers.share(result["max_fraction"]),
        "not told apart": f"{result['cannot_be_told_apart']:.3f}",
        "out of budget": f"{result['out_of_budget']:.3f}",
        "left": f"{result['mean_left']:.1f}",
        "within 1pt": f"{result['p_within_1pt']:.3f}",
        "regret pt": f"{result['mean_regret']:.2f}",
        "calls": f"{result['mean_calls']:.0f}",
        "spent": numbers.money(result["mean_usd"]),
        "CPU ms/call": f"{result['cpu_ms_per_call']:.4f}",
    }


def _measured(value: float | None, error: float | None, sign: str = "", *, digits: int = 2) -> str:
    if value is None:
        return numbers.NOT_MEASURED
    text = f"{value:{sign}.{digits}f}"
    return text if error is None else f"{text} ({error:.{digits}f})"
