"""A gate's verdict in words: as text, a pull request's comment, a card, and what GitHub shows beside a run.

In: a verdict. Out: text in its final wording. Must not compute a figure, decide anything or write a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from markupsafe import Markup

from harness.outputs import numbers
from harness.outputs.comparison import ComparisonData, comparison_data, task_lines
from harness.outputs.comparison import document as comparison_document
from harness.outputs.pages import render
from harness.plan.given import settings_form
from harness.plan.limits import digits
from harness.records import JsonValue
from harness.verdicts import FloorCheck, GateVerdict, Outcome

TITLES: Mapping[Outcome, str] = {
    "passed": "passed",
    "failed": "failed",
    "unclear": "unclear: the evidence decides nothing",
    "stale": "stale baseline: nothing was tested",
}
SIGNS: Mapping[Outcome, str] = {"passed": "✅", "failed": "❌", "unclear": "❔", "stale": "⌛"}
TONES: Mapping[Outcome, str] = {"passed": "good", "failed": "bad", "unclear": "open", "stale": "open"}
LEVELS: Mapping[Outcome, Literal["notice", "warning", "error"]] = {
    "passed": "notice",
    "failed": "error",
    "unclear": "warning",
    "stale": "error",
}
STANDINGS = {"keeps": "kept", "breaks": "broken", "unclear": "unclear"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateData:
    """Everything that is shown, as strings. marker: by which a comment of this gate is found again.

    tone: of the verdict, "good", "bad" or "open".
    """

    marker: str
    sign: str
    tone: str
    title: str
    reasons: tuple[str, ...]
    comparison: ComparisonData | None
    floors: tuple[tuple[str, ...], ...]
    power: tuple[str, ...]
    notes: tuple[str, ...]
    settings: str
    run: str
    spent: str


def marker(experiment: str) -> str:
    """The invisible first line of the comment of this experiment's gate."""
    # Two dashes would end the comment of HTML; names of experiments may hold them, and nothing worse.
    name = re.sub("-{2,}", "-", re.sub(r"[^A-Za-z0-9._-]", "", experiment))
    return f"<!-- harness gate: {name} -->"


def gate_data(it: GateVerdict) -> GateData:
    """The whole verdict in words."""
    return GateData(
        marker=Markup(marker(it.experiment)),  # noqa: S704 - a name of letters, digits, dots and dashes
        sign=SIGNS[it.outcome],
        tone=TONES[it.outcome],
        title=f"{it.experiment}: {TITLES[it.outcome]}",
        reasons=it.reasons,
        comparison=None if it.comparison is None else comparison_data(it.comparison),
        floors=tuple(_floor(one) for one in it.floors),
        power=tuple(one.sentence for one in it.power),
        notes=(*it.notes, *(() if it.comparison is None else it.comparison.notes)),
        settings=numbers.settings_line(it.settings),
        run=it.run,
        spent=numbers.money(it.spent_usd),
    )


def text(it: GateVerdict) -> str:
    """The verdict as plain lines."""
    data = gate_data(it)
    lines = [f"Gate         {data.title}"]
    lines += [f"Why          {reason}" for reason in data.reasons]
    if data.comparison is not None:
        lines += [
            f"Compared     {name} {base} to {new}, {difference}, n={n}, tolerance {tolerance}: {verdict}"
            for name, base, new, difference, tolerance, n, verdict in data.comparison.metrics
        ]
        lines += [f"Changed      {data.comparison.changes}"]
        lines += [f"Task         {line}" for line in task_lines(data.comparison)]
        if data.comparison.flips:
            lines += [f"Flips        {data.comparison.flips_caption}"]
            lines += [
                f"             {sample}: {base} to {new}" for sample, base, new in data.comparison.flips
            ]
    lines += [
        f"Floor        {floor}: {value} {bound}: {standing}" for floor, value, bound, standing in data.floors
    ]
    lines += [f"Note         {note}" for note in data.notes]
    lines += [f"Tested       {data.settings}"]
    if data.run:
        lines += [f"Run          {data.run}, {data.spent} spent"]
    return "\n".join(lines)


def markdown(it: GateVerdict) -> str:
    """The verdict as Markdown; its first line is the marker, its last one ends with a line break."""
    return render("gate.md.jinja", it=gate_data(it))


def card(it: GateVerdict) -> str:
    """The verdict as HTML for `_repr_html_`: no script, readable on light and dark pages."""
    return render("gate_card.html.jinja", it=gate_data(it), clip=numbers.clipped)


def document(it: GateVerdict) -> dict[str, JsonValue]:
    """The verdict as one JSON-like object."""
    floors: list[JsonValue] = [asdict(one) for one in it.floors]
    power: list[JsonValue] = [asdict(one) for one in it.power]
    return {
        "format": "harness gate",
        "format_version": 1,
        "experiment": it.experiment,
        "run": it.run,
        "outcome": it.outcome,
        "reasons": list(it.reasons),
        "alpha": it.alpha,
        "settings": settings_form(it.settings),
        "comparison": None if it.comparison is None else comparison_document(it.comparison),
        "floors": floors,
        "power": power,
        "stale": list(it.stale),
        "baseline": it.baseline,
        "updated": it.updated,
        "spent_usd": it.spent_usd,
        "notes": list(it.notes),
    }


def json_text(it: GateVerdict) -> str:
    """`document` as JSON text; ends with a line break."""
    return json.dumps(document(it), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def workflow_commands(it: GateVerdict) -> list[str]:
    """Workflow commands of GitHub, one a reason: what its page of the run shows at the top."""
    level, title = LEVELS[it.outcome], f"harness gate {it.experiment}"
    return [workflow_command(level, title, reason) for reason in it.reasons[:10]]


def workflow_command(level: str, title: str, message: str) -> str:
    """One workflow command of GitHub, on one line. level: "notice", "warning" or "error"."""
    return f"::{level} title={_property(title)}::{_data(message)}"


def _floor(one: FloorCheck) -> tuple[str, ...]:
    value = numbers.UNKNOWN if one.value is None else digits(one.value)
    ends = [numbers.UNKNOWN if end is None else digits(end) for end in (one.low, one.high)]
    # Four digits, more than of figures elsewhere: these are held against a bound.
    bound = f"[{ends[0]}, {ends[1]}], each end with {100 * one.level:.4g}% confidence"
    return (one.floor, value, bound, STANDINGS[one.standing])


def _data(value: str) -> str:
    """Text of a workflow command, where these three characters would end or change it."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
