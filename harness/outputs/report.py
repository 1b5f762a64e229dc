"""The report of a run: a page, a short form, the recommendation, and two tables.

In: a run record and a stream of its per-sample rows. Out: files in one folder, each whole or absent. Must
not compute figures, and must not hold all rows in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from markupsafe import Markup

from harness.outputs.files import write_text
from harness.outputs.frames import write_scores, write_trials
from harness.outputs.pages import render, source
from harness.outputs.pictures import plotly_js, quality_picture, race_picture
from harness.outputs.report_data import report_data
from harness.outputs.report_parts import first_value
from harness.records import AnswerRow, RunRecord
from harness.store.codec import encode

MOST_WORST = 20


def write_report(record: RunRecord, rows: Iterable[AnswerRow], folder: Path) -> list[Path]:
    """Write report.html, report.md, recommendation.json, trials.parquet and scores.parquet into the folder.

    Files of an earlier report are replaced; without a recommendation, an earlier recommendation.json goes,
    for it would contradict the page beside it. rows are read once. Raises UsageError when the folder
    cannot be written.
    """
    worst = Worst(record)
    scores = write_scores(worst.watching(rows), folder / "scores.parquet")
    trials = write_trials(record, folder / "trials.parquet")
    chosen = folder / "recommendation.json"
    if record.recommendation is None:
        chosen.unlink(missing_ok=True)
    else:
        write_text(chosen, encode(record.recommendation, indent=2) + "\n")
    page = write_text(folder / "report.html", html(record, worst.rows()))
    short = write_text(folder / "report.md", markdown(record))
    return [page, short, *([chosen] if record.recommendation is not None else []), trials, scores]


def html(record: RunRecord, worst: Iterable[AnswerRow] = ()) -> str:
    """The report as one page that loads nothing from anywhere. worst: rows to show, lowest score first."""
    return render(
        "report.html.jinja",
        it=report_data(record, tuple(worst)),
        quality=quality_picture(record),
        race=race_picture(record),
        scripts=(Markup(plotly_js()), source("report.js")),  # noqa: S704 - the library's own file
    )


def markdown(record: RunRecord) -> str:
    """The report in short, for a pull request: verdict, settings, key figures, best trials, spend."""
    return render("report.md.jinja", it=report_data(record))


class Worst:
    """Remembers the samples on which the recommended settings scored lowest, while rows pass by.

    Rows of the confirm split alone, one a sample (its lowest repeat), at most `MOST_WORST`, full scores
    left out. A failed or unscored call counts here as it does in quality: 0, or not at all.
    """

    def __init__(self, record: RunRecord) -> None:
        choice = record.recommendation
        self._number = None if choice is None else choice.trial.number
        self._missing = 0.0 if record.failures == "count_as_wrong" else None
        self._kept: dict[str, tuple[float, int, AnswerRow]] = {}
        self._seen = 0

    def watching(self, rows: Iterable[AnswerRow]) -> Iterator[AnswerRow]:
        """The same rows, each looked at on its way."""
        for row in rows:
            self._seen += 1
            if row.trial == self._number and row.split == "confirm":
                self._offer(row)
            yield row

    def rows(self) -> list[AnswerRow]:
        """The rows kept, lowest score first, ties in the order in which they came."""
        return [row for _, _, row in sorted(self._kept.values(), key=lambda kept: kept[:2])]

    def _offer(self, row: AnswerRow) -> None:
        scored = None if row.failure is not None else first_value(row)
        value = self._missing if scored is None else scored
        if value is None or value >= 1:
            return
        before = self._kept.get(row.sample_id)
        if before is None or value < before[0]:
            self._kept[row.sample_id] = (value, self._seen, row)
        if len(self._kept) > MOST_WORST:
            best = max(self._kept, key=lambda sample_id: self._kept[sample_id][:2])
            del self._kept[best]
