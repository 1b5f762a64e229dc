"""The verb `eval`: what it prints, where, and how it ends."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli.live import LiveView
from harness.findings import Progress
from harness.testing.builders import a_progress, a_trial

SETTINGS = "model: mine/tiny\nprompt: careful\ntemperature: 0.25\nmax_output_tokens: 8\n"


@pytest.fixture
def served(desk: Any, answers: Any) -> Any:
    """The desk, with its experiment asked at the server and settings in a file."""
    desk.spec(api_base=answers.url)
    desk.write("prod.yaml", SETTINGS)
    return desk


def shown(progress: Progress, *, terminal: bool) -> str:
    """What a live view writes for this snapshot."""
    console = Console(force_terminal=terminal, file=io.StringIO(), width=120, height=40)
    with LiveView(shown=True, console=console) as view:
        view(progress)
    return console.file.getvalue()


def labels(text: str) -> list[str]:
    """The first word of each line."""
    return [line.split()[0] for line in text.splitlines()]


def test_eval_says_how_good_how_dear_and_how_fast(served: Any, answers: Any) -> None:
    """The untuned default on every sample, in a few lines; progress goes to standard error."""
    done = served.cli("eval", "words.yaml")
    assert done.code == 0
    assert labels(done.out) == ["Measured", "Quality", "Price", "Latency", "Answers", "Spent", "Report"]
    assert "(the untuned default), on all samples" in done.out
    assert "accuracy 0." in done.out
    assert "n=60 (95% interval)" in done.out
    assert re.search(r"0% \[0%, [\d.]+%\] failed, 0% \[0%, [\d.]+%\] unscored, 0% \[0%, ", done.out)
    assert done.err.startswith("eval: ")
    assert answers.requests == 60
    (run,) = served.runs()
    assert (served.folder / "reports" / run / "report.html").is_file()
    assert served.cli("list").out.split()[:3] == [run, "complete", "eval"]


def test_progress_shows_the_quality_so_far() -> None:
    """A line off a terminal, a table on one; neither speaks of a split or a number of trials."""
    progress = a_progress(phase="eval", trials=(a_trial(0, state="running"),), done=286, planned=572)
    line = shown(progress, terminal=False)
    assert line == "eval: 286 answers, 0.80 [0.75, 0.85], n=200, $0.01 spent, 515 calls paid, 12.5 s\n"
    table = shown(progress, terminal=True)
    assert "run-1" in table
    assert "split" not in table


@pytest.mark.parametrize("terminal", [True, False])
def test_what_happens_on_the_way_is_told_once_and_stays(terminal: bool) -> None:
    """A notice is a line of its own, at once; the lines after it count anew."""
    console = Console(force_terminal=terminal, file=io.StringIO(), width=120, height=40)
    moved = "a/one cannot be asked (connection): no connection. The whole run goes on with its fallback b/two"
    with LiveView(shown=True, console=console) as view:
        for done, news in ((300, ()), (0, (moved,)), (10, (moved,))):
            view(a_progress(phase="eval", trials=(a_trial(0),), done=done, planned=572, news=news))
    out = console.file.getvalue()
    assert out.count(f"Notice: {moved}") == 1
    if not terminal:
        assert [line.split(",")[0] for line in out.splitlines()] == [
            "eval: 300 answers",
            f"Notice: {moved}",
            "eval: 0 answers",
        ]


def test_eval_of_given_settings(served: Any) -> None:
    """They are what is measured, and the line says where they come from."""
    done = served.cli("eval", "words.yaml", "--settings", "prod.yaml", "-q")
    assert done.code == 0
    assert done.out.startswith(
        "Measured     mine/tiny, prompt careful, temperature 0.25, max output tokens 8 (from prod.yaml), on"
    )


def test_a_recommendation_is_evaluated_as_tune_wrote_it(served: Any, answers: Any) -> None:
    """The file beside the report, and the JSON that `tune --json` prints; nothing is paid again."""
    served.write("printed.json", served.cli("tune", "words.yaml", "--json", "-q").out)
    (run,) = served.runs()
    paid = answers.requests
    for file in (f"reports/{run}/recommendation.json", "printed.json"):
        done = served.cli("eval", "words.yaml", "--settings", file, "--split", "confirm", "-q")
        assert done.code == 0
        assert f"(recommended by run {run}), on the confirm split" in done.out
    assert answers.requests == paid


def test_an_evaluation_is_evaluated_again_from_its_json(served: Any, answers: Any) -> None:
    """`--json` prints the evaluation alone, the same as evaluation.json, and both can be given back."""
    first = served.cli("eval", "words.yaml", "--settings", "prod.yaml", "--json")
    found = json.loads(first.out)
    assert found["quality"]["n"] == found["samples"] == 60
    assert "Measured" in first.err
    (run,) = served.runs()
    written = served.folder / "reports" / run / "evaluation.json"
    assert written.read_text() == first.out
    again = json.loads(served.cli("eval", "words.yaml", "--settings", str(written), "--json", "-q").out)
    assert again["settings"] == found["settings"]
    assert (again["spend"]["calls"], again["spend"]["cached"]) == (0, 60)
    assert answers.requests == 60


def test_no_cache_pays_again(served: Any, answers: Any) -> None:
    """`--no-cache` asks everything anew."""
    assert served.cli("eval", "words.yaml", "-q", "-n", "12").code == 0
    assert served.cli("eval", "words.yaml", "-q", "-n", "12", "--no-cache").code == 0
    assert answers.requests == 24


def test_flags_that_people_type(served: Any, answers: Any) -> None:
    """Limit, repeats, seed, concurrency, cap and folder."""
    flags = ["-n", "12", "--repeat", "2", "--seed", "9", "-j", "2", "--max-cost", "0.5", "-o", "elsewhere"]
    done = served.cli("eval", "words.yaml", "-q", *flags)
    assert done.code == 0
    assert answers.requests == 24
    assert len(list(served.folder.glob("elsewhere/words-eval-*/report.html"))) == 1


def test_flags_have_twins_in_the_environment(
    served: Any, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HARNESS_<FLAG> stands for the flag: here, for settings, split and limit."""
    monkeypatch.setenv("HARNESS_SETTINGS", "prod.yaml")
    monkeypatch.setenv("HARNESS_SPLIT", "search")
    monkeypatch.setenv("HARNESS_LIMIT", "20")
    done = served.cli("eval", "words.yaml", "-q")
    assert "(from prod.yaml), on the search split" in done.out
    assert 10 <= answers.requests < 20


def test_a_budget_that_does_not_cover_it_ends_with_4(desk: Any, answers: Any) -> None:
    """What was answered is shown with its interval, and the way on is said."""
    desk.spec(("calls: 400", "calls: 25"), api_base=answers.url)
    done = desk.cli("eval", "words.yaml", "-q")
    assert done.code == 4
    assert done.out.startswith("The evaluation did not come to its end (inconclusive).")
    assert "n=25" in done.out
    assert "the budget, 1 USD, 25 calls, covered 25 of 60 samples; raise it, and go on with" in done.out
    desk.spec(api_base=answers.url)
    again = desk.cli("eval", "--resume", "latest", "-q")
    assert again.code == 0
    assert answers.requests == 60


def test_a_provider_that_refuses_ends_with_3(served: Any, answers: Any) -> None:
    """With its words, and how to go on."""
    answers.status = 400
    done = served.cli("eval", "words.yaml", "-q", "-n", "12")
    assert (done.code, done.out) == (3, "")
    assert "mine/tiny answered none of 12 calls; the last one failed with bad_request: status 400" in done.err
    assert "harness eval --resume latest" in done.err
    answers.status = 200
    assert served.cli("list").out.split()[1:3] == ["failed", "eval"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval"], "nothing to eval: give a spec, or a run to resume"),
        (["eval", "none.yaml"], "does not exist"),
        (["eval", "words.yaml", "--settings", "none.json"], "'none.json' are no file"),
        (["eval", "words.yaml", "--settings", "bad.yaml"], "bad.yaml:2: temprature: is not a known key"),
        (["eval", "words.yaml", "--split", "half"], "'half' is not one of"),
        (["eval", "words.yaml", "--limit", "1"], "limit is 1, expected at least 4"),
        (["eval", "--resume", "nope"], "no run 'nope' in this store"),
        (["eval", "words.yaml", "--resume", "latest"], "give one of them"),
        (["eval", "--resume", "latest", "--settings", "prod.yaml"], "has its settings and its split"),
    ],
)
def test_what_makes_no_sense_ends_with_2(served: Any, arguments: list[str], words: str) -> None:
    """Before anything is asked, and in one message."""
    served.write("bad.yaml", "model: mine/tiny\ntemprature: 1\nprompt: plain\n")
    done = served.cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_report_of_an_evaluation_is_made_anew(served: Any) -> None:
    """`report` knows what kind of run it is."""
    assert served.cli("eval", "words.yaml", "-q").code == 0
    (run,) = served.runs()
    page = (served.folder / "reports" / run / "report.md").read_text()
    again = served.cli("report", "-o", "again")
    assert again.code == 0
    assert again.out.startswith("Measured")
    assert (served.folder / "again" / run / "report.md").read_text() == page


def test_an_export_passes_over_evaluations(served: Any) -> None:
    """Its "latest" is the latest recommendation; an evaluation by name is refused."""
    assert served.cli("tune", "words.yaml", "-q").code == 0
    assert served.cli("eval", "words.yaml", "-q").code == 0
    evaluated, swept = served.runs()
    exported = served.cli("export", "json")
    assert f"wrote {Path('reports') / swept / 'exports' / 'json' / 'settings.json'}\n" in exported.out
    refused = served.cli("export", "json", evaluated)
    assert (refused.code, "is of `harness eval`" in refused.err) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_evaluation_pays_nothing_twice(served: Any, answers: Any) -> None:
    """SIGKILL in mid-run: what was answered is in the store, and the run goes on."""
    answers.hold_after(20)
    killed = served.interrupted(answers, signal.SIGKILL, "eval", "words.yaml", "-q")
    assert killed.code == -signal.SIGKILL
    known, sent = served.answered(), answers.requests
    resumed = served.cli("eval", "--resume", "latest", "-q")
    assert resumed.code == 0
    assert answers.requests == sent + 60 - known
    assert len(served.runs()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT there")
def test_an_interrupted_evaluation_shows_what_it_has(served: Any, answers: Any) -> None:
    """Ctrl-C once: the calls in flight are kept, the figures are shown, and the code is 4."""
    answers.hold_after(20)
    stopped = served.interrupted(answers, signal.SIGINT, "eval", "words.yaml", "-q")
    assert stopped.code == 4
    assert "The evaluation did not come to its end (stopped)." in stopped.out
    (run,) = served.runs()
    assert f"go on with `harness eval --resume {run}`" in stopped.out
