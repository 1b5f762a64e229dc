"""The verbs that look back: `compare`, `list`, `show`."""

from __future__ import annotations

import json
from typing import Any

import pytest

PLAIN = "model: mine/tiny\nprompt: plain\ntemperature: 0.25\nmax_output_tokens: 8\n"
CAREFUL = PLAIN.replace("plain", "careful")


@pytest.fixture
def served(desk: Any, answers: Any) -> Any:
    """The desk, with its experiment asked at the server and two files of settings."""
    desk.spec(api_base=answers.url)
    desk.write("plain.yaml", PLAIN)
    desk.write("careful.yaml", CAREFUL)
    return desk


@pytest.fixture
def measured(served: Any) -> Any:
    """The desk after two evaluations: careful settings last."""
    for name in ("plain.yaml", "careful.yaml"):
        assert served.cli("eval", "words.yaml", "--settings", name, "-q").code == 0
    return served


def test_two_runs_are_compared_sample_by_sample(measured: Any) -> None:
    """Verdict, difference with its interval, the samples that moved, price and latency."""
    new, base = measured.runs()
    done = measured.cli("compare", base, new)
    assert done.code == 0
    assert done.out.startswith("Better. accuracy went from ")
    assert f"base: {base} (mine/tiny, prompt plain" in done.out
    assert "points [" in done.out
    assert "dropped and" in done.out
    assert "price per 1,000 calls" in done.out
    assert "latency p50" in done.out


def test_a_comparison_as_json_is_json_alone(measured: Any) -> None:
    """With everything that is known, the other way round a loss."""
    new, base = measured.runs()
    found = json.loads(measured.cli("compare", new, base, "--json").out)
    assert (found["verdict"], found["base"]["name"]) == ("worse", new)
    (quality,) = found["metrics"]
    assert quality["difference"]["high"] < -0.01
    drops = sum(flip["new"] < flip["base"] for flip in found["flips"])
    gains = len(found["flips"]) - drops
    assert (drops - gains) / 60 == pytest.approx(-quality["difference"]["value"])


def test_the_same_run_twice_has_nothing_to_test(measured: Any) -> None:
    """Identical scores of identical settings are no matter of chance."""
    (new, _) = measured.runs()
    done = measured.cli("compare", new, new)
    assert (done.code, "nothing changed" in done.out) == (0, True)


def test_a_prompt_may_be_edited_between_two_runs(served: Any) -> None:
    """Scores by sample are in the record: a run stays comparable when its spec has moved on."""
    assert served.cli("eval", "words.yaml", "--settings", "plain.yaml", "-q").code == 0
    served.write("prompts/plain.jinja", "Think. Fine or not, now?\n{{ text }}\n")
    assert served.cli("eval", "words.yaml", "--settings", "plain.yaml", "-q").code == 0
    new, base = served.runs()
    assert "accuracy went from 0.783 to 0.883 (+10.0 points)" in served.cli("compare", base, new).out


def test_settings_files_are_measured_first(served: Any, answers: Any) -> None:
    """With --spec; without it the message says what is missing. What was answered is not asked again."""
    refused = served.cli("compare", "plain.yaml", "careful.yaml")
    assert (refused.code, "say on what with a spec (--spec SPEC)" in refused.err) == (2, True)
    for _ in range(2):
        done = served.cli("compare", "plain.yaml", "careful.yaml", "--spec", "words.yaml")
        assert done.out.startswith("Better.")
    assert answers.requests == 120


def test_finalists_of_a_search_are_compared_by_number(served: Any) -> None:
    """RUN alone is its recommended trial; a trial that is no finalist is refused with those that are."""
    assert served.cli("tune", "words.yaml", "-q").code == 0
    (run,) = served.runs()
    done = served.cli("compare", f"{run}:0", run)
    assert done.code in {0, 4}
    assert f"base: {run}:0 (" in done.out
    refused = served.cli("compare", f"{run}:999", run)
    assert (refused.code, "expected one of 0, " in refused.err) == (2, True)


def test_runs_are_listed_with_quality_and_spend(measured: Any) -> None:
    """Newest first; as JSON for programs; older ones are counted."""
    new, base = measured.runs()
    lines = measured.cli("list").out.splitlines()
    assert [line.split()[:3] for line in lines] == [[new, "complete", "eval"], [base, "complete", "eval"]]
    assert "accuracy 0." in lines[0]
    assert "$0.00" in lines[0]
    listed = json.loads(measured.cli("list", "--json").out)
    assert [one["run"] for one in listed] == [new, base]
    assert listed[0]["quality"]["n"] == 60
    assert listed[0]["spent_usd"] > 0
    assert measured.cli("list", "-n", "1").out.splitlines()[1] == "and 1 older ones; -n 0 lists all"


def test_a_run_is_shown_from_the_store_alone(measured: Any) -> None:
    """Spec and reports may be gone."""
    (new, _) = measured.runs()
    (measured.folder / "words.yaml").unlink()
    shown = measured.cli("show", new)
    assert (shown.code, shown.out.splitlines()[0]) == (0, f"words, run {new} (complete)")
    assert json.loads(measured.cli("show", "--json").out)["run"] == new


def test_a_run_that_has_not_ended_is_shown_with_the_way_on(unfinished: str, desk: Any) -> None:
    """State and how to go on; the code says that it decided nothing."""
    shown = desk.cli("show", unfinished)
    assert (shown.code, "inconclusive" in shown.out) == (4, True)
