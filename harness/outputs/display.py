"""A run in a notebook or terminal: a static card, and its plain text.

In: run records. Out: HTML without scripts, and text. Must not print: the caller shows what it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.outputs import numbers
from harness.outputs.evaluation import EvaluationData, evaluation_data
from harness.outputs.pages import render
from harness.outputs.report_data import Choice, choice_data, report_data
from harness.outputs.verdict import chosen

if TYPE_CHECKING:
    from harness.findings import Recommendation, RunRecord


def card(record: RunRecord) -> str:
    """The run as HTML for `_repr_html_`: no script, under 100 kB, readable on light and dark pages."""
    if record.verb == "eval":
        return render("evaluation_card.html.jinja", it=evaluation_data(record), clip=numbers.clipped)
    return render("card.html.jinja", it=report_data(record), clip=numbers.clipped)


def choice_card(choice: Recommendation) -> str:
    """A choice alone as HTML, as `card` does a run."""
    return render(
        "recommendation_card.html.jinja",
        it=choice_data(choice),
        experiment=choice.experiment,
        run=choice.run,
        verdict=chosen(choice, "quality"),
        policy=choice.policy,
        clip=numbers.clipped,
    )


def choice_text(choice: Recommendation) -> str:
    """A choice alone as plain lines."""
    return "\n".join(
        [chosen(choice, "quality"), *_choice_lines(choice_data(choice)), f"Policy: {choice.policy}"]
    )


def text(record: RunRecord) -> str:
    """The run as plain lines, where no HTML can be shown."""
    if record.verb == "eval":
        return "\n".join(_evaluation_lines(evaluation_data(record)))
    it = report_data(record)
    lines = [f"{it.experiment}, run {it.run} ({it.state})", it.verdict, f"Rule applied: {it.rule}."]
    if it.choice is not None:
        lines += _choice_lines(it.choice)
    lines += [
        f"  trial {line.number}{' *' if 'recommended' in line.marks else ''}: {line.quality.text}, "
        f"{line.price.text} per 1k calls, p50 {line.latency_p50.text} ({line.split}); "
        f"{line.model}, {line.parameters}"
        for line in it.top
    ]
    lines.append("; ".join(f"{name}: {value}" for name, value in it.spend[:3]))
    return "\n".join((*lines, *it.notes))


def _evaluation_lines(it: EvaluationData) -> list[str]:
    return [
        f"{it.experiment}, run {it.run} ({it.state})",
        it.verdict,
        f"One set of settings on {it.samples}; the settings are {it.origin}.",
        *(f"  {name}: {value}" for name, value in it.figures),
        "; ".join(f"{name}: {value}" for name, value in it.spend[:3]),
        *it.notes,
    ]


def _choice_lines(it: Choice) -> list[str]:
    return [
        f"Why: {it.reason}",
        *(f"Against {pair.name}: {pair.difference} ({pair.reading})" for pair in it.versus),
        *((it.certainty,) if it.certainty else ()),
        *it.separations,
        *(f"Caveat: {caveat}" for caveat in it.caveats),
    ]
