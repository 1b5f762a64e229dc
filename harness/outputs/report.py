"""The report of a run: a page, a short form, what was found as JSON, and tables.

In: a run record and a stream of its per-sample rows. Out: files in one folder, each whole or absent. Must
not compute figures, and must not hold all rows in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shutil import copyfile

from markupsafe import Markup

from harness.errors import UsageError
from harness.findings import AnswerRow, RunRecord
from harness.outputs import evaluation
from harness.outputs.cache_picture import cache_picture
from harness.outputs.files import replacing, write_text
from harness.outputs.frames import write_scores, write_slices, write_trials
from harness.outputs.pages import render, source
from harness.outputs.pictures import plotly_js, quality_picture, race_picture
from harness.outputs.report_data import report_data
from harness.outputs.worst import Worst
from harness.store.codec import encode

PAGE = "report.html"


def write_report(record: RunRecord, rows: Iterable[AnswerRow], folder: Path) -> list[Path]:
    """Write the files of the report into the folder; rows are read once.

    Of a sweep: report.html, report.md, recommendation.json, trials.parquet and scores.parquet. Of an
    evaluation: report.html, report.md, evaluation.json and scores.parquet. Where samples fall into slices,
    slices.parquet as well. Files of an earlier report are
    replaced; without a recommendation, an earlier recommendation.json goes, for it would contradict the page
    beside it. Raises UsageError when the folder cannot be written.
    """
    worst = Worst(record)
    if record.verb == "eval":
        return _write_evaluation(record, worst, rows, folder)
    scores = write_scores(worst.watching(rows), folder / "scores.parquet")
    trials = write_trials(record, folder / "trials.parquet")
    slices = write_slices(record, folder / "slices.parquet")
    chosen = folder / "recommendation.json"
    if record.recommendation is None:
        chosen.unlink(missing_ok=True)
    else:
        write_text(chosen, encode(record.recommendation, indent=2) + "\n")
    page = write_text(folder / PAGE, html(record, worst.rows()))
    short = write_text(folder / "report.md", markdown(record))
    return [page, short, *([chosen] if record.recommendation is not None else []), trials, *slices, scores]


def _write_evaluation(record: RunRecord, worst: Worst, rows: Iterable[AnswerRow], folder: Path) -> list[Path]:
    scores = write_scores(worst.watching(rows), folder / "scores.parquet")
    slices = write_slices(record, folder / "slices.parquet")
    facts = write_text(folder / "evaluation.json", evaluation.text(record))
    it = evaluation.evaluation_data(record, worst.rows())
    cache = cache_picture(record)
    page = write_text(
        folder / PAGE,
        render("evaluation.html.jinja", it=it, cache=cache, scripts=_scripts() if cache else ()),
    )
    short = write_text(folder / "report.md", render("evaluation.md.jinja", it=it))
    return [page, short, facts, *slices, scores]


def html(record: RunRecord, worst: Iterable[AnswerRow] = ()) -> str:
    """The report as one page that loads nothing from anywhere. worst: rows to show, lowest score first."""
    return render(
        "report.html.jinja",
        it=report_data(record, tuple(worst)),
        quality=quality_picture(record),
        race=race_picture(record),
        cache=cache_picture(record),
        scripts=_scripts(),
    )


def _scripts() -> tuple[Markup, Markup]:
    """What draws pictures, for inlining."""
    return Markup(plotly_js()), source("report.js")  # noqa: S704 - the library's own file


def markdown(record: RunRecord) -> str:
    """The report in short, for a pull request: verdict, settings, key figures, best trials, spend."""
    return render("report.md.jinja", it=report_data(record))


def find_report(folder: Path, copy: Path | None) -> Path:
    """The page of the report in this folder, or of its copy: a page (.html) alone, else all of the files.

    Raises UsageError when there is no report, or the system refuses.
    """
    page = folder / PAGE
    if not page.is_file():
        raise UsageError(f"{str(page)!r} is not there; `harness report {folder.name}` writes it anew")
    if copy is None:
        return page
    alone = copy.suffix == ".html"
    for file in [page] if alone else sorted(path for path in folder.iterdir() if path.is_file()):
        with replacing(copy if alone else copy / file.name) as partial:
            copyfile(file, partial)
    return copy if alone else copy / PAGE
