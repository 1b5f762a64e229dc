"""The plug-in of pytest: specs as tests, in a plain run of pytest in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

PLAIN = "model: mine/tiny\nprompt: plain\ntemperature: 0.25\nmax_output_tokens: 8\n"
FLOORS = "[accuracy >= 0.5, usd_per_1k_calls <= 0.000001]"
GATE = f"gate: {{baseline: base.json, settings: now.yaml, require: {FLOORS}}}"
# The installed package brings the plug-in: plain pytest knows its options.
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-v")


@pytest.fixture
def suite(desk: Any, answers: Any) -> Any:
    """The desk with a gate in its spec, a baseline, and a test of somebody's own."""
    desk.spec(("seed: 3", f"seed: 3\n{GATE}"), api_base=answers.url)
    desk.write("now.yaml", PLAIN.replace("plain", "careful"))
    assert desk.cli("gate", "words.yaml", "--update-baseline", "-q").code == 1
    desk.write("test_own.py", "def test_own():\n    assert True\n")
    return desk


def lines(text: str) -> list[str]:
    """The verdicts, one an item."""
    return [line for line in text.splitlines() if line.startswith(("PASSED", "FAILED", "SKIPPED"))]


def test_a_spec_is_one_test_for_each_question(suite: Any, answers: Any) -> None:
    """Beside tests of one's own, measured once, from the store; a reason and no traceback for what failed."""
    sent = answers.requests
    done = suite.program(*PYTEST, "--harness-spec", "words.yaml")
    assert done.code == 1
    assert [line.split(" - ")[0] for line in lines(done.out)] == [
        "PASSED test_own.py::test_own",
        "PASSED words.yaml::accuracy holds",
        "PASSED words.yaml::accuracy >= 0.5",
        "FAILED words.yaml::usd_per_1k_calls <= 1e-06",
    ]
    assert "failed: it is 0." in done.out
    assert "Traceback" not in done.out
    assert answers.requests == sent


def test_items_are_chosen_like_others(suite: Any) -> None:
    """By -k; a baseline and settings are named by options too."""
    chosen = ("-k", "holds", "--harness-baseline", "base.json", "--harness-settings", "now.yaml")
    done = suite.program(*PYTEST, "--harness-spec", "words.yaml", *chosen)
    assert (done.code, len(lines(done.out))) == (0, 1)


@pytest.mark.parametrize(("word", "code"), [("fail", 1), ("skip", 0), ("pass", 0)])
def test_what_is_unclear_fails_unless_told_otherwise(suite: Any, word: str, code: int) -> None:
    """Or is skipped, or passes."""
    suite.write("now.yaml", PLAIN.replace("plain", "careful").replace("0.25", "0.3"))
    done = suite.program(*PYTEST, "--harness-spec", "words.yaml", "-k", "holds", "--harness-on-unclear", word)
    assert done.code == code
    assert "more samples would settle it" in done.out


def test_a_spec_that_cannot_be_gated_stops_the_collection(suite: Any) -> None:
    """4, as for every wrong option, with the reason."""
    done = suite.program(*PYTEST, "--harness-spec", "words.yaml", "--harness-baseline", "none.json")
    assert (done.code, "there is no baseline 'none.json'" in done.err) == (4, True)


def test_a_stale_baseline_fails_without_asking(suite: Any, answers: Any) -> None:
    """Every item says what moved."""
    path = suite.folder / "words.jsonl"
    path.write_text(path.read_text().replace("day 7 was", "day 7 is"))
    sent = answers.requests
    done = suite.program(*PYTEST, "--harness-spec", "words.yaml", "-k", "words")
    assert (done.code, "base.json is stale" in done.out) == (1, True)
    assert answers.requests == sent


def test_a_missing_answer_fails_offline(suite: Any) -> None:
    """With how many, once measured."""
    suite.write("now.yaml", PLAIN)
    done = suite.program(*PYTEST, "--harness-spec", "words.yaml", "--harness-offline", "-k", "words")
    assert (done.code, "60 of 60 answers are not in the store" in done.out) == (1, True)


def test_what_keeps_a_gate_out_of_mlflow_keeps_its_tests_out(
    suite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable of `harness gate`, set here; where it says no, MLflow has the run."""
    chosen = ("--harness-spec", "words.yaml", "-k", "accuracy and holds")
    mirror = suite.folder / ".harness" / "mlflow.db"
    assert (suite.program(*PYTEST, *chosen).code, mirror.exists()) == (0, False)
    monkeypatch.setenv("HARNESS_NO_MLFLOW", "0")
    assert (suite.program(*PYTEST, *chosen).code, mirror.exists()) == (0, True)


def test_without_its_option_the_plug_in_loads_nothing() -> None:
    """Every start of pytest loads it: nothing of this package may come along."""
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import harness.pytest_plugin\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['harness', 'harness.pytest_plugin']"
