"""The verb `gate`: exit codes 0 to 4, the files that it writes, and what it says before it spends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

PLAIN = "model: mine/tiny\nprompt: plain\ntemperature: 0.25\nmax_output_tokens: 8\n"
BASE = "reports/baselines/words.json"
GATE = ("gate", "words.yaml", "--baseline", BASE, "-q")


@pytest.fixture
def gated(desk: Any, answers: Any) -> Any:
    """The desk with a committed baseline of careful settings, and settings to try."""
    desk.spec(api_base=answers.url)
    desk.write("plain.yaml", PLAIN)
    desk.write("careful.yaml", PLAIN.replace("plain", "careful"))
    made = desk.cli(*GATE, "--settings", "careful.yaml", "--update-baseline")
    assert made.code == 0
    assert f"Wrote the baseline {Path(BASE)}; commit it." in made.out
    return desk


def test_unchanged_settings_pass(gated: Any, answers: Any) -> None:
    """0: the same scores again, from the store."""
    sent = answers.requests
    done = gated.cli(*GATE, "--settings", "careful.yaml")
    assert done.code == 0
    assert done.out.startswith(
        "Gate         words: passed\nWhy          The same settings gave the same score"
    )
    assert answers.requests == sent


def test_worse_settings_fail(gated: Any) -> None:
    """1: with the drop, its bound, and the samples that moved."""
    done = gated.cli(*GATE, "--settings", "plain.yaml")
    assert done.code == 1
    assert "words: failed" in done.out
    assert "with 95% confidence a drop of" in done.out
    assert "samples dropped and" in done.out


def test_a_broken_floor_fails(desk: Any, answers: Any) -> None:
    """1: whatever was before, here without any baseline."""
    desk.spec(
        ("seed: 3", "seed: 3\ngate: {require: [accuracy >= 0.97, latency_p95_s <= 30]}"), api_base=answers.url
    )
    desk.write("plain.yaml", PLAIN)
    done = desk.cli("gate", "words.yaml", "--settings", "plain.yaml", "-q")
    assert done.code == 1
    assert "accuracy >= 0.97: it is 0." in done.out
    assert "Floor        latency_p95_s <= 30: " in done.out
    assert ": kept" in done.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("words.jsonl", '"w1"', '"w1b"'),
            "the data moved: 1 sample (w1) gone from the baseline, 1 sample (w1b) new",
        ),
        (("words.jsonl", "day 7 was", "day 7 is"), "the data moved: the samples have the same ids"),
        (("words.yaml", "metric: accuracy", "metric: mean"), "the scoring moved"),
        (
            ("words.yaml", "input: 1.0", "input: 2.0"),
            "prices of mine/tiny moved, USD per million tokens: input from",
        ),
    ],
)
def test_a_stale_baseline_is_its_own_verdict(gated: Any, answers: Any, change: Any, told: str) -> None:
    """2: with what moved and what to do, before anything is asked; no flag turns it into a pass."""
    name, old, new = change
    path = gated.folder / name
    path.write_text(path.read_text().replace(old, new, 1))
    sent = answers.requests
    done = gated.cli(*GATE, "--settings", "careful.yaml", "--on-unclear", "pass")
    assert done.code == 2
    assert "words: stale baseline: nothing was tested" in done.out
    assert told in done.out
    assert "--update-baseline" in done.out
    assert answers.requests == sent


def test_a_provider_that_refuses_ends_with_3(gated: Any, answers: Any) -> None:
    """With its words; nothing is called a regression."""
    answers.status = 400
    done = gated.cli(*GATE, "--settings", "plain.yaml")
    assert (done.code, "failed with" in done.err) == (3, True)


@pytest.mark.parametrize(("flag", "code"), [("stop", 4), ("fail", 1), ("pass", 0)])
def test_what_cannot_be_told_is_unclear(gated: Any, flag: str, code: int) -> None:
    """4, or what the flag says; with the number of samples that would settle it."""
    gated.write("warmer.yaml", PLAIN.replace("plain", "careful").replace("0.25", "0.3"))
    done = gated.cli(*GATE, "--settings", "warmer.yaml", "--on-unclear", flag)
    assert done.code == code
    assert "words: unclear: the evidence decides nothing" in done.out
    assert "more samples would settle it" in done.out


def test_a_budget_that_ends_the_measurement_is_unclear(gated: Any) -> None:
    """4: half of the samples are no verdict."""
    gated.write("warmer.yaml", PLAIN.replace("plain", "careful").replace("0.25", "0.3"))
    done = gated.cli(*GATE, "--settings", "warmer.yaml", "--max-cost", "0.0005")
    assert (done.code, "covered" in done.out) == (4, True)


def test_power_is_said_before_anything_is_asked(gated: Any, answers: Any) -> None:
    """`--dry-run` says it and asks nobody; a gate says it on standard error first."""
    sent = answers.requests
    done = gated.cli("gate", "words.yaml", "--baseline", BASE, "--dry-run", "--tolerance", "0.05")
    assert done.code == 0
    assert done.out.startswith(
        "Power        accuracy: with 60 samples and a tolerance of 5 points, a drop of "
    )
    assert "is called worse in 80% of cases" in done.out
    assert answers.requests == sent
    loud = gated.cli("gate", "words.yaml", "--baseline", BASE, "--settings", "careful.yaml")
    assert loud.err.startswith("power: accuracy: with 60 samples")


def test_a_plan_says_what_its_gate_can_see(gated: Any, answers: Any) -> None:
    """The figures of the gate itself, from its baseline; without one, from a spread that is assumed aloud."""
    gate = f"seed: 3\ngate: {{baseline: {BASE}, tolerance: 0.05}}"
    gated.spec(("seed: 3", gate), api_base=answers.url)
    foretold = gated.cli("gate", "words.yaml", "--dry-run").out.removeprefix("Power        ").splitlines()[0]
    planned = gated.cli("plan", "words.yaml").out
    assert f"gate        {foretold}\n" in planned
    assert "Gate: from the scores of the baseline words.json." in planned
    (gated.folder / BASE).unlink()
    planned = gated.cli("plan", "words.yaml").out
    assert re.search(
        r"gate  +accuracy: with 60 samples.* a drop of 18 points is called worse in 80%", planned
    )
    assert "Gate: there is no baseline yet" in planned
    (one,) = json.loads(gated.cli("plan", "words.yaml", "--json").out)["gate"]
    assert (one["metric"], one["n"], one["tolerance"]) == ("accuracy", 60, 0.05)


def test_a_plan_without_a_gate_speaks_of_none(gated: Any) -> None:
    """A search is no gate."""
    assert "gate" not in gated.cli("plan", "words.yaml").out
    assert "gate" not in json.loads(gated.cli("plan", "words.yaml", "--json").out)


def test_a_baseline_is_made_anew(gated: Any) -> None:
    """The verdict against the one before is told and stops nothing; the next gate has the new one."""
    done = gated.cli(*GATE, "--settings", "plain.yaml", "--update-baseline")
    assert done.code == 0
    assert "Against the one before: accuracy went from" in done.out
    held = json.loads((gated.folder / BASE).read_text())
    assert (held["settings"]["prompt"], len(held["scores"])) == ("plain", 60)
    assert gated.cli(*GATE, "--settings", "careful.yaml").out.startswith("Gate         words: passed")


def test_a_spec_may_hold_the_whole_gate(gated: Any, answers: Any) -> None:
    """Baseline, settings, tolerance and floors; `harness gate SPEC` is all there is to type."""
    gate = f"gate: {{baseline: {BASE}, settings: careful.yaml, tolerance: 0.02, require: [accuracy >= 0.5]}}"
    gated.spec(("seed: 3", f"seed: 3\n{gate}"), api_base=answers.url)
    done = gated.cli("gate", "words.yaml", "-q")
    assert (done.code, "Floor        accuracy >= 0.5" in done.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gate", "words.yaml"), "nothing to hold the settings against"),
        (("gate", "words.yaml", "--baseline", "none.json"), "there is no baseline 'none.json'"),
        (("gate", "words.yaml", "--update-baseline"), "no file is named for the baseline"),
        (
            ("gate", "words.yaml", "--baseline", BASE, "--split", "confirm"),
            "the baseline was measured on 'all'",
        ),
        (("gate", "words.yaml", "--baseline", BASE, "--alpha", "0.7"), "alpha is 0.7"),
    ],
)
def test_what_cannot_be_gated_is_told(gated: Any, arguments: tuple[str, ...], told: str) -> None:
    """2, with what to do."""
    done = gated.cli(*arguments)
    assert (done.code, told in done.err) == (2, True)


@pytest.mark.parametrize(
    ("floor", "told"),
    [
        ("acuracy >= 0.9", "did you mean 'accuracy'?"),
        ("accuracy > 0.9", "expected a figure, >= or <=, and a number"),
        ("accuracy >= 90", "goes from 0 to 1"),
        ("latency_p95_s >= 2", "less of it is better; write <="),
    ],
)
def test_a_floor_that_cannot_be_tested_is_a_fault_of_the_spec(desk: Any, floor: str, told: str) -> None:
    """With file and line."""
    desk.spec(("seed: 3", f"seed: 3\ngate:\n  require:\n    - {floor}"))
    done = desk.cli("validate", "words.yaml")
    assert done.code == 2
    assert "words.yaml:26: gate.require[0]" in done.err
    assert told in done.err


def test_offline_passes_on_what_the_store_has_without_a_key(gated: Any, answers: Any) -> None:
    """As for a pull request from a fork: nothing is asked, no key is looked for."""
    keyed = ("    concurrency: 4\n", "    concurrency: 4\n    api_key_env: NOBODY_HAS_THIS_KEY\n")
    gated.spec(keyed, api_base=answers.url)
    sent = answers.requests
    done = gated.cli(*GATE, "--settings", "careful.yaml", "--offline")
    assert done.code == 0
    assert (
        "60 answers came from the store"
        in gated.cli("eval", "words.yaml", "--settings", "careful.yaml", "--offline", "-q").out
    )
    assert answers.requests == sent


def test_offline_says_how_many_answers_are_missing_and_which(gated: Any, answers: Any) -> None:
    """3: 60 of 60, with the first samples; nothing is asked."""
    sent = answers.requests
    done = gated.cli(*GATE, "--settings", "plain.yaml", "--offline")
    assert done.code == 3
    assert (
        "60 of 60 answers are not in the store, and --offline asks nobody: mine/tiny on samples w" in done.err
    )
    assert "and 55 more" in done.err
    assert answers.requests == sent


def test_files_for_ci(gated: Any) -> None:
    """JUnit and the comment; the comment begins with the marker by which it is found again."""
    done = gated.cli(
        *GATE, "--settings", "plain.yaml", "--junit", "out/gate.xml", "--markdown", "out/gate.md"
    )
    assert done.code == 1
    (case,) = ET.parse(gated.folder / "out/gate.xml").getroot().iter("testcase")
    assert case.find("failure").get("type") == "worse"
    comment = (gated.folder / "out/gate.md").read_text().splitlines()
    assert comment[0] == "<!-- harness gate: words -->"
    assert comment[1] == "### ❌ words: failed"


def test_json_is_json_alone(gated: Any) -> None:
    """Everything for people goes to standard error."""
    done = gated.cli(*GATE, "--settings", "plain.yaml", "--json")
    found = json.loads(done.out)
    assert (found["outcome"], found["comparison"]["verdict"]) == ("failed", "worse")
    assert "words: failed" in done.err


def test_github_gets_annotations_and_a_summary(gated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only there; a summary of an earlier step stays."""
    summary = gated.write("summary.md", "before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    quiet = gated.cli(*GATE, "--settings", "plain.yaml")
    assert "::error" not in quiet.err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = gated.cli(*GATE, "--settings", "plain.yaml")
    assert "::error title=harness gate words::accuracy went from" in done.err
    text = summary.read_text()
    assert text.startswith("before\n<!-- harness gate: words -->")


@pytest.mark.parametrize("fault", ["missing answers", "broken spec", "broken syntax"])
def test_a_gate_without_a_verdict_says_so_in_its_place(
    gated: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Comment, JUnit, summary and annotation, under the marker of the verdict that they take the place of."""
    if fault != "missing answers":
        path = gated.folder / "words.yaml"
        old, new = (
            ("metric: accuracy", "metric: acuracy") if fault == "broken spec" else ("seed: 3", "seed: [")
        )
        path.write_text(path.read_text().replace(old, new, 1))
    summary = gated.write("summary.md", "before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = gated.cli(
        *(*GATE, "--settings", "plain.yaml", "--offline"),
        *("--junit", "out/gate.xml", "--markdown", "out/gate.md"),
    )
    code, told = (3, "60 of 60 answers") if fault == "missing answers" else (2, "words.yaml:")
    assert (done.code, told in done.err) == (code, True)
    assert "::error title=harness gate words::" in done.err
    comment = (gated.folder / "out/gate.md").read_text()
    assert comment.startswith("<!-- harness gate: words -->\n### ⚠️ words: not measured\n")
    assert f"ended with code {code}" in comment
    assert summary.read_text() == f"before\n{comment}\n"
    (case,) = ET.parse(gated.folder / "out/gate.xml").getroot().iter("testcase")
    assert told in case.find("error").get("message")


def test_a_file_that_cannot_be_written_does_not_hide_why_there_is_no_verdict(gated: Any) -> None:
    """The first error is the one that counts."""
    gated.write("out", "a file")
    done = gated.cli(*GATE, "--settings", "plain.yaml", "--offline", "--markdown", "out/gate.md")
    assert (done.code, "60 of 60 answers" in done.err) == (3, True)


def test_a_prompt_that_kept_its_name_is_told_as_changed(gated: Any) -> None:
    """The most usual change of a pull request is in no name and no number."""
    gated.write("prompts/careful.jinja", "Take care: fine or not?\n{{ text }}\n")
    done = gated.cli(*GATE, "--settings", "careful.yaml")
    assert re.search(r"^Changed      the text of prompt careful \(\w{7} to \w{7}\)$", done.out, re.MULTILINE)


def test_a_baseline_with_a_score_that_is_none_is_refused_before_anything_is_asked(
    gated: Any, answers: Any
) -> None:
    """2, with file and sample."""
    path = gated.folder / BASE
    path.write_text(re.sub(r'("w1": )\[\d\]', r"\1[5]", path.read_text()))
    sent = answers.requests
    done = gated.cli(*GATE, "--settings", "plain.yaml")
    assert (done.code, answers.requests) == (2, sent)
    assert f"{Path(BASE)}: sample 'w1' has a score of 5 in accuracy" in done.err


def test_a_baseline_of_another_experiment_is_told(gated: Any) -> None:
    """The same samples may be asked something else."""
    path = gated.folder / BASE
    path.write_text(path.read_text().replace('"experiment": "words"', '"experiment": "letters"'))
    assert (
        "of another experiment, 'letters', than 'words'" in gated.cli(*GATE, "--settings", "careful.yaml").out
    )
