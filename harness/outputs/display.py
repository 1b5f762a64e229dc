"""A run in a notebook or terminal: a static card, its plain text, and a progress bar.

In: run records and progress snapshots. Out: HTML without scripts, text, and a bar drawn by tqdm. Must not
print: the caller shows what it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from harness.outputs import numbers
from harness.outputs.evaluation import EvaluationData, evaluation_data
from harness.outputs.pages import render
from harness.outputs.report_data import ReportData, report_data

if TYPE_CHECKING:
    from harness.findings import Progress, RunRecord


def card(record: RunRecord) -> str:
    """The run as HTML for `_repr_html_`: no script, under 100 kB, readable on light and dark pages."""
    if record.verb == "eval":
        return render("evaluation_card.html.jinja", it=evaluation_data(record), clip=numbers.clipped)
    return render("card.html.jinja", it=report_data(record), clip=numbers.clipped)


def text(record: RunRecord) -> str:
    """The run as plain lines, where no HTML can be shown."""
    if record.verb == "eval":
        return "\n".join(_evaluation_lines(evaluation_data(record)))
    it = report_data(record)
    lines = [f"{it.experiment}, run {it.run} ({it.state})", it.verdict, f"Rule applied: {it.rule}."]
    if it.choice is not None:
        lines += _choice_lines(it)
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


def _choice_lines(it: ReportData) -> list[str]:
    if it.choice is None:
        return []
    return [
        f"Why: {it.choice.reason}",
        *(f"Against {pair.name}: {pair.difference} ({pair.reading})" for pair in it.choice.versus),
        *((it.choice.certainty,) if it.choice.certainty else ()),
        *it.choice.separations,
        *(f"Caveat: {caveat}" for caveat in it.choice.caveats),
    ]


class NotebookProgress:
    """Shows progress snapshots as a bar: widgets in a notebook, text on a terminal.

    stream: where a text bar goes; standard error when `None`. The bar appears with the first snapshot.
    """

    def __init__(self, *, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Redraw the bar from this snapshot."""
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=progress.planned, unit="call", file=self._stream, dynamic_ncols=True)
        bar = self._bar
        bar.total = max(progress.planned, progress.done)
        bar.n = progress.done
        bar.set_description_str(progress.phase, refresh=False)
        bar.set_postfix_str(_postfix(progress), refresh=False)
        bar.refresh()

    def close(self) -> None:
        """Leave the bar as it stands; harmless before the first snapshot and when called twice."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def in_notebook() -> bool:
    """Whether this code runs in a notebook's kernel, which can draw widgets."""
    import sys

    shell = sys.modules.get("IPython")
    return shell is not None and hasattr(shell.get_ipython(), "kernel")


def _postfix(progress: Progress) -> str:
    spend = progress.spend
    paid = numbers.money(spend.usd)
    if spend.cap_usd is not None:
        paid += f" of {numbers.money(spend.cap_usd)}"
    if progress.phase == "judges":
        return paid
    if progress.phase == "eval":
        parts = [numbers.quality(trial.quality) for trial in progress.trials]
        return ", ".join([*parts, paid])
    parts = [numbers.counted(len(progress.trials), "trial"), paid]
    measured = [
        trial for trial in progress.trials if trial.quality is not None and trial.state != "eliminated"
    ]
    if measured:
        best = max(measured, key=lambda trial: trial.quality.value if trial.quality is not None else 0.0)
        parts.insert(0, f"best {numbers.quality(best.quality)} (trial {best.number})")
    if progress.note:
        parts.append(progress.note)
    return ", ".join(parts)
