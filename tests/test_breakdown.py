"""Slices, labels and the line on failures, from a spec to the files of a report."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import harness
from harness.calls.provider import ProviderFault
from harness.cli.live import show_evaluation
from harness.outputs import numbers
from harness.outputs.evaluation import evaluation_data
from harness.past import load_run
from harness.stats.bounds import shared
from harness.stats.intervals import wilson
from harness.testing.scripted import ScriptedProvider
from harness.testing.simulator import SimulatedExperiment, simulated_experiment

SETTINGS = {"model": "sim/small", "prompt": "plain", "temperature": 0.5}
DOWN = ProviderFault("bad_request", "the provider refuses this prompt")
N = 40


@pytest.fixture
def experiment(tmp_path: Path) -> SimulatedExperiment:
    """40 samples, three quarters of them English, each with its number; the target is always "yes"."""
    made = simulated_experiment(tmp_path / "experiment", n_samples=N)
    rows = [
        {"id": row["id"], "text": row["text"], "target": "yes", "metadata": {"language": kind, "row": place}}
        for place, row in enumerate(made.rows)
        for kind in ["de" if place % 4 == 0 else "en"]
    ]
    path = made.folder / "samples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return made


def answer(call: Any) -> Any:
    """German samples are refused by turns or wrong, English ones right but for every tenth."""
    number = int(call.sample_id[1:]) - 1
    if number % 4 == 0:
        return DOWN if number % 8 == 0 else "no"
    return "no" if number % 10 == 1 else "yes"


# By hand: of 40, 10 are German, 5 of them refused and 5 wrong. Of the 30 English ones, those with the numbers
# 1, 11, 21 and 31 are wrong: 26 right.
RIGHT, ENGLISH, GERMAN, REFUSED = 26, 30, 10, 5


def evaluated(
    experiment: SimulatedExperiment, folder: Path, failures: str, **task: Any
) -> harness.EvalResult:
    """The same run under this line on failures."""
    spec: Any = {**experiment.spec, "failures": failures, "task": {**experiment.spec["task"], **task}}
    return harness.evaluate(
        spec,
        SETTINGS,
        store=f"sqlite:///{folder}/{failures}.db",
        reports=folder / "reports",
        providers={"sim": ScriptedProvider(answer)},
        mlflow=False,
        environ={},
    )


@pytest.mark.parametrize(
    ("failures", "n", "says"),
    [
        ("count_as_wrong", N, "both count as wrong (score 0)"),
        ("leave_out", N - REFUSED, "are left out of quality"),
    ],
)
def test_the_line_on_failures_gives_two_numbers_and_the_report_says_which(
    experiment, tmp_path, failures, n, says
):
    """26 of 40, or 26 of 35; page and short form repeat the line in words."""
    result = evaluated(experiment, tmp_path, failures)
    assert result.quality.value == pytest.approx(RIGHT / n)
    assert result.quality.n == n
    assert result.trial.failure_rate == REFUSED / N
    assert json.loads((result.folder / "evaluation.json").read_text())["failures"] == failures
    for name in ("report.html", "report.md"):
        assert says in (result.folder / name).read_text(encoding="utf-8")


def test_quality_by_slice_is_in_every_form_of_the_report(experiment, tmp_path):
    """With intervals that hold together; an identifier is no slice."""
    result = evaluated(experiment, tmp_path, "count_as_wrong")
    (found,) = result.record.breakdowns
    german, english = found.slices
    assert (german.field, german.value, german.samples) == ("language", "de", GERMAN)
    assert english.quality == wilson(RIGHT, ENGLISH, shared(0.95, 2))
    table = pd.read_parquet(result.folder / "slices.parquet")
    assert table[["field", "slice", "samples"]].to_numpy().tolist() == [
        ["language", "de", GERMAN],
        ["language", "en", ENGLISH],
    ]
    assert table["value_high"].tolist() == [german.quality.high, english.quality.high]
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "What the quality is made of" in page
    assert "below the whole" in page
    short = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "| language: en | 30 |" in short
    assert "| yes | 40 |" in short
    facts = json.loads((result.folder / "evaluation.json").read_text())
    assert [one["value"] for one in facts["slices"]] == ["de", "en"]
    assert facts["labels"][-1]["confused"] == {"yes": RIGHT, "no": N - REFUSED - RIGHT, "": REFUSED}


def test_slices_that_the_spec_names_are_the_only_ones(experiment, tmp_path):
    """None of them, and a field of many values."""
    none = evaluated(experiment, tmp_path, "count_as_wrong", slices=[])
    assert none.record.breakdowns[0].slices == ()
    assert not (none.folder / "slices.parquet").exists()
    many = evaluated(experiment, tmp_path, "count_as_wrong", slices=["row"])
    assert len(many.record.breakdowns[0].slices) == N
    assert {one.field for one in many.record.breakdowns[0].slices} == {"row"}


def test_a_search_breaks_down_each_finalist_and_shows_the_choice(experiment, tmp_path):
    """On the confirm split; and a run that is loaded has it too."""
    scorers = [*experiment.spec["task"]["scorers"], {"length": 3}]
    result = harness.tune(
        {**experiment.spec, "task": {**experiment.spec["task"], "scorers": scorers}},
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": experiment.simulator()},
        mlflow=False,
        environ={},
        n_trials=4,
    )
    record = result.record
    assert {one.trial for one in record.breakdowns} == {trial.number for trial in record.finalists}
    assert {one.split for one in record.breakdowns} == {"confirm"}
    assert "What the quality is made of" in (result.folder / "report.html").read_text(encoding="utf-8")
    short = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "| language: en |" in short
    assert "| Mean of length | 1.00" in short
    loaded = load_run(result.run_id, store=f"sqlite:///{tmp_path}/store.db")
    assert loaded.record.breakdowns == record.breakdowns


def raises_on_short(answer: Any) -> bool:
    """A scorer of one's own with a bug."""
    return len(answer.text) > 2 or bool({}["half"])


def test_what_could_not_be_judged_is_told_with_its_reasons_and_its_line(experiment, tmp_path):
    """In the terminal and the report: how many, why, and what that means for the quality."""
    result = harness.evaluate(
        {**experiment.spec, "task": {**experiment.spec["task"], "scorers": [raises_on_short]}},
        SETTINGS,
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": ScriptedProvider(answer)},
        mlflow=False,
        environ={},
    )
    (found,) = result.record.breakdowns[0].unscored
    wrong = N - REFUSED - RIGHT
    assert (found.decides, found.answers, found.of) == (True, wrong, N - REFUSED)
    stream = io.StringIO()
    show_evaluation(result, stream)
    told = stream.getvalue()
    assert f"{wrong} x it raised KeyError: 'half'" in told
    assert "what failed counts as wrong" in told
    assert (
        f"; {wrong} x it raised KeyError" in dict(evaluation_data(result.record).figures)["Unscored answers"]
    )


def test_a_rate_stands_with_its_bounds(experiment, tmp_path):
    """5 of 40 failed: no more is known of the next calls than the bounds say."""
    result = evaluated(experiment, tmp_path, "leave_out")
    bounds = result.trial.bounds["failure_rate"]
    shown = f"12.5% [{numbers.share(bounds.low)}, {numbers.share(bounds.high)}]"
    assert dict(evaluation_data(result.record).figures)["Failed calls"] == shown


def test_a_quality_that_cannot_be_told_is_inconclusive(experiment, tmp_path):
    """One of three calls to each sample failed, and failures are left out: nobody has the three of pass@3."""
    spec: Any = {
        **experiment.spec,
        "failures": "leave_out",
        "task": {**experiment.spec["task"], "metric": "pass@3", "repeats": 3},
    }
    result = harness.evaluate(
        spec,
        SETTINGS,
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": ScriptedProvider(lambda call: DOWN if call.repeat == 1 else "yes")},
        mlflow=False,
        environ={},
    )
    assert (result.record.state, result.quality) == ("inconclusive", None)
    assert any("pass@3 cannot be told: 0 of 40 samples count for it" in note for note in result.record.notes)
