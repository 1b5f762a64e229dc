"""The report of an evaluation: what it says, as page, short form, card, text and JSON."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pyarrow.parquet as pq
import pytest

from harness.errors import UsageError
from harness.findings import RunRecord
from harness.outputs import display, evaluation
from harness.outputs.frames import read_scores
from harness.outputs.mlflow_pages import sweep_page, trial_pages
from harness.outputs.pages import render
from harness.outputs.report import find_report, write_report
from harness.outputs.verdict import verdict
from harness.outputs.worst import Worst

Make: TypeAlias = Any  # the builders of conftest.py, whose keywords are the fields of the records
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> | `x`"


def record_of(make: Make, trial: dict[str, Any] | None = None, **fields: Any) -> RunRecord:
    """The record of an evaluation; trial: fields of its only trial."""
    measured = make.trial(0, **({"split": "all", "samples": 280} | (trial or {})))
    given = {"verb": "eval", "origin": "from prod.yaml", "trials": (measured,), "finalists": ()}
    return make.record(**({"recommendation": None, **given} | fields))


def page(record: RunRecord, worst: Any = ()) -> str:
    """The report as a page."""
    return render("evaluation.html.jinja", it=evaluation.evaluation_data(record, list(worst)), scripts=())


def short(record: RunRecord) -> str:
    """The report in short."""
    return render("evaluation.md.jinja", it=evaluation.evaluation_data(record))


def test_four_files_and_nothing_else(make: Make, tmp_path: Any) -> None:
    """No recommendation, for nothing was chosen; no table of trials, for there is one."""
    paths = write_report(record_of(make), iter([make.row(trial=0)]), tmp_path / "r")
    names = ["report.html", "report.md", "evaluation.json", "scores.parquet"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == sorted(names)


@pytest.mark.parametrize(
    "words",
    [
        "Measured openai/gpt-4.1-mini, prompt plain, temperature 0.2: accuracy 0.84 [0.76, 0.90], n=84, ",
        "One set of settings on all samples; the settings are from prod.yaml.",
        "0.84 [0.76, 0.90], n=84 (95% interval)",
        "280 of 280 (all samples)",
        "$0.12",
        "1.20 s",
        "harness eval SPEC --settings evaluation.json --seed 20",
        "CC0-1.0",
    ],
)
def test_page_says(make: Make, words: str) -> None:
    """The sentences and figures that a reader came for."""
    assert words in page(record_of(make))


def test_only_figures_that_are_known_are_named(make: Make) -> None:
    """A first token where answers were streamed, further scorers where there are some."""
    plain = dict(evaluation.evaluation_data(record_of(make)).figures)
    assert "First token p50" not in plain
    rich = {"first_token_p50_s": 0.2, "metrics": {"regex": 0.5}, "usd_per_1k_calls": None}
    figures = dict(evaluation.evaluation_data(record_of(make, rich)).figures)
    assert figures["First token p50"] == "0.20 s"
    assert figures["Mean of regex"] == "0.50"
    assert figures["Price per 1,000 calls"] == "unknown"


@pytest.mark.parametrize(
    ("split", "samples", "asked"), [("search", "the search split", 196), ("confirm", "the confirm split", 84)]
)
def test_a_split_is_named(make: Make, split: str, samples: str, asked: int) -> None:
    """In the text, among the figures, and in the command that repeats it."""
    it = evaluation.evaluation_data(record_of(make, {"split": split, "samples": 80}))
    assert it.samples == samples
    assert dict(it.figures)["Samples answered"] == f"80 of {asked} ({samples})"
    assert f"--split {split}" in it.repeat


@pytest.mark.parametrize("state", ["running", "stopped", "inconclusive", "failed"])
def test_a_run_that_did_not_end_says_so_everywhere(make: Make, state: Any) -> None:
    """On the page, in short, and as text; its figures are shown all the same."""
    record = record_of(make, {"quality": None}, state=state, notes=("the budget covered 3 of 280 samples",))
    it = evaluation.evaluation_data(record)
    assert it.unfinished
    for shown in (page(record), short(record), display.card(record), display.text(record)):
        assert state in shown
        assert "the budget covered 3 of 280 samples" in shown
        assert "not measured" in shown


def test_the_page_loads_nothing_and_runs_nothing(make: Make) -> None:
    """Not a single script, so the policy of the page allows none."""
    shown = page(record_of(make), [make.row("a", 0.0)])
    assert "<script" not in shown
    assert "script-src 'none'" in shown
    assert "default-src 'none'" in shown
    assert "http" not in shown.replace('http-equiv="Content', "")


def test_hostile_words_stay_words(make: Make) -> None:
    """Answers, names and notes add no element to the page, and no markup to the short form."""
    settings = make.settings(model=f"openai/{HOSTILE}", prompt=HOSTILE)
    named = {"experiment": HOSTILE, "description": HOSTILE, "notes": (HOSTILE,), "origin": HOSTILE}
    record = record_of(make, {"settings": settings, "metrics": {HOSTILE: 0.5}}, metric=HOSTILE, **named)
    shown = page(record, [make.row(HOSTILE, 0.0, text=HOSTILE, target=HOSTILE)])
    for text in (shown, display.card(record), short(record)):
        assert "<script" not in text
        assert "<img" not in text
    rows = [line for line in short(record).splitlines() if line.startswith("| model")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 3


def test_the_card_stays_small(make: Make) -> None:
    """Long texts are cut: a notebook keeps every output for ever."""
    long = "x<&" * 2_000
    settings = make.settings(model=long, prompt=long, extra={f"{long}{n}": long for n in range(60)})
    trial = {"settings": settings, "metrics": {f"{long}{n}": 0.5 for n in range(60)}}
    record = record_of(make, trial, experiment=long, run=long, metric=long, origin=long, notes=(long,) * 30)
    assert len(display.card(record).encode()) < 100_000


def test_the_verdict_of_an_evaluation_is_a_measurement(make: Make) -> None:
    """Nothing was to be chosen, so nothing is missing, whatever the state."""
    for state in ("complete", "inconclusive", "stopped"):
        assert verdict(record_of(make, state=state)).startswith("Measured openai/gpt-4.1-mini, prompt plain")


def test_worst_answers_come_from_both_splits(make: Make) -> None:
    """There is one set of settings, and every sample that it answered counts."""
    worst = Worst(record_of(make))
    list(worst.watching([make.row("a", 0.5, trial=0, split="search"), make.row("b", 0.0, trial=0)]))
    assert [row.sample_id for row in worst.rows()] == ["b", "a"]


def test_the_document_holds_figures_and_settings_to_give_again(make: Make) -> None:
    """JSON without loss: what is unknown is absent, never zero or null."""
    settings = make.settings(stop=("END",), extra={"top_k": 4})
    trial = {"settings": settings, "latency_p95_s": None, "metrics": {"regex": 0.25}}
    found = json.loads(evaluation.text(record_of(make, trial)))
    assert found["settings"] == {
        "model": "openai/gpt-4.1-mini",
        "prompt": "plain",
        "temperature": 0.2,
        "stop": ["END"],
        "extra": {"top_k": 4},
    }
    assert (found["quality"]["value"], found["quality"]["low"], found["quality"]["n"]) == (0.84, 0.76, 84)
    assert (found["split"], found["samples"], found["metric"]) == ("all", 280, "accuracy")
    assert found["scorers"] == {"regex": 0.25}
    assert "latency_p95_s" not in found
    assert found["data"]["licence"] == "CC0-1.0"
    assert found["provenance"]["plan_sha256"] == "9" * 64
    assert (found["spend"]["usd"], found["origin"]) == (0.31, "from prod.yaml")


def test_mlflow_gets_one_run_with_settings_and_figures(make: Make) -> None:
    """Nothing is nested: there are no trials to tell apart."""
    record = record_of(make, {"metrics": {"regex": 0.25}})
    assert list(trial_pages(record, "parent")) == []
    made = sweep_page(record, {})
    assert made.params == {"model": "openai/gpt-4.1-mini", "prompt": "plain", "temperature": "0.2"}
    assert (made.metrics["quality"], made.metrics["quality_low"], made.metrics["regex"]) == (0.84, 0.76, 0.25)
    assert (made.tags["harness.verb"], made.tags["harness.origin"]) == ("eval", "from prod.yaml")
    assert made.tags["split"] == "all"
    assert sweep_page(make.record(), {}).tags["harness.verb"] == "tune"


def test_scores_are_read_back_as_a_frame(make: Make, tmp_path: Any) -> None:
    """The table of the report as pandas has it."""
    write_report(record_of(make), [make.row("a", 0.5), make.row("b", None)], tmp_path)
    frame = read_scores(tmp_path / "scores.parquet")
    assert frame["sample_id"].tolist() == ["a", "b"]
    assert frame["value"].isna().tolist() == [False, True]
    assert frame.columns.tolist() == pq.read_schema(tmp_path / "scores.parquet").names
    with pytest.raises(UsageError, match="`harness report r7` writes it anew"):
        read_scores(tmp_path / "r7" / "scores.parquet")


def test_a_copy_that_cannot_be_written_says_so(make: Make, tmp_path: Any) -> None:
    """A file stands where the folder should be."""
    write_report(record_of(make), [], tmp_path / "r")
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        find_report(tmp_path / "r", tmp_path / "taken")
    assert find_report(tmp_path / "r", None) == tmp_path / "r" / "report.html"
