"""What a report says of its judges, as text in its final wording.

In: a run record. Out: names and texts. Must not write markup, or compute a figure.
"""

from __future__ import annotations

from harness.findings import JudgeReport, RunRecord
from harness.outputs import numbers
from harness.records import Estimate


def judge_lines(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """What measuring the judges found, as names and texts; nothing when none was measured."""
    lines: list[tuple[str, str]] = []
    for report in record.judges:
        names = ", ".join(report.models)
        unscored = f", {numbers.count(report.unscored)} of them without a verdict" if report.unscored else ""
        labels = f"{numbers.count(report.labelled)} labelled answers{unscored}"
        lines.append((f"Judge {report.scorer}", f"{names}, held against {labels}"))
        lines += [(name, text) for name, text in _figures(report) if text]
        lines += [
            (
                f"Pass rate of trial {number} among answers judged, without the judge's errors",
                numbers.quality(rate),
            )
            for number, rate in sorted(report.corrected.items())
        ]
    return tuple(lines)


def _figures(report: JudgeReport) -> tuple[tuple[str, str], ...]:
    kappa = "" if report.kappa is None else f"Cohen's kappa {report.kappa:.2f}"
    chance = " (cannot be told from chance)" if report.at_chance and kappa else ""
    return (
        ("Agreement with people", f"{kappa}{chance}"),
        ("Good answers that it passes", _share(report.sensitivity)),
        ("Bad answers that it fails", _share(report.specificity)),
        ("Position bias, towards the first of two", _signed(report.position_bias)),
        ("Verbosity bias, towards longer answers", _signed(report.verbosity_bias)),
    )


def _share(estimate: Estimate | None) -> str:
    return "" if estimate is None else numbers.quality(estimate)


def _signed(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    seen = "" if estimate.low > 0 or estimate.high < 0 else ", none is shown"
    return f"{numbers.difference(estimate)}{seen}"
