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
from harness.outputs.charts import race, scatters
from harness.outputs.exports.selection import Selection
from harness.outputs.files import replacing, write_text
from harness.outputs.frames import write_scores, write_slices, write_trials
from harness.outputs.pages import render, source
from harness.outputs.report_data import report_data
from harness.outputs.samples import PackedSamples, Samples
from harness.outputs.shown_exports import shown_exports
from harness.outputs.worst import Worst
from harness.store.codec import encode

PAGE = "report.html"


SCRIPTS = ("tables.js", "copy.js", "select.js", "samples.js")


def write_report(
    record: RunRecord, rows: Iterable[AnswerRow] | None, folder: Path, selection: Selection | None = None
) -> list[Path]:
    """Write the files of the report into the folder; rows are read once.

    rows: `None`: they cannot be had, and scores.parquet is left as it is. selection: what exports of the
    choice are made from; `None`: the page shows their commands alone.
    Of a sweep: report.html, report.md, recommendation.json, trials.parquet and scores.parquet. Of an
    evaluation: report.html, report.md, evaluation.json and scores.parquet. Where samples fall into slices,
    slices.parquet as well. Files of an earlier report are replaced; without a recommendation, an earlier
    recommendation.json goes, for it would contradict the page beside it. Raises UsageError when the folder
    cannot be written.
    """
    worst = Worst(record)
    if record.verb == "eval":
        return _write_evaluation(record, worst, rows, folder)
    samples = None if rows is None else Samples(record)
    scores: list[Path] = []
    if samples is not None and rows is not None:
        scores = [write_scores(samples.watching(worst.watching(rows)), folder / "scores.parquet")]
    trials = write_trials(record, folder / "trials.parquet")
    slices = write_slices(record, folder / "slices.parquet")
    chosen = folder / "recommendation.json"
    if record.recommendation is None:
        chosen.unlink(missing_ok=True)
    else:
        write_text(chosen, encode(record.recommendation, indent=2) + "\n")
    page = write_text(folder / PAGE, html(record, worst.rows(), samples and samples.packed(), selection))
    short = write_text(folder / "report.md", markdown(record))
    return [page, short, *([chosen] if record.recommendation is not None else []), trials, *slices, *scores]


def _write_evaluation(
    record: RunRecord, worst: Worst, rows: Iterable[AnswerRow] | None, folder: Path
) -> list[Path]:
    scores = [] if rows is None else [write_scores(worst.watching(rows), folder / "scores.parquet")]
    slices = write_slices(record, folder / "slices.parquet")
    facts = write_text(folder / "evaluation.json", evaluation.text(record))
    it = evaluation.evaluation_data(record, worst.rows())
    page = write_text(
        folder / PAGE,
        render(
            "evaluation.html.jinja",
            it=it,
            cache=cache_picture(record),
            scripts=_scripts("tables.js", "copy.js"),
        ),
    )
    short = write_text(folder / "report.md", render("evaluation.md.jinja", it=it))
    return [page, short, facts, *slices, *scores]


def html(
    record: RunRecord,
    worst: Iterable[AnswerRow] = (),
    samples: PackedSamples | None = None,
    selection: Selection | None = None,
) -> str:
    """The report as one page that loads nothing from anywhere.

    worst: rows to show, lowest score first. samples: all rows, packed; `None`: no sample view. selection: as
    for `write_report`.
    """
    return render(
        "report.html.jinja",
        it=report_data(record, tuple(worst)),
        scatters=scatters(record),
        race_shown=race(record),
        cache=cache_picture(record),
        samples=samples,
        exports=() if selection is None else shown_exports(selection),
        scripts=_scripts(*SCRIPTS),
    )


def _scripts(*names: str) -> tuple[Markup, ...]:
    return tuple(source(name) for name in names)


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
