"""Bad input ends with the right exit code and one message that says what and where, never a traceback."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

PLAIN = "Fine or not?\n{{ text }}\n"
ROW = '{"id": "w0", "text": "a", "target": "positive"}\n'

# what is changed in the spec, the command, the place the message names, and words of it
SPEC_FAULTS: dict[str, tuple[tuple[str, str], str, list[str]]] = {
    "misspelt key": (("metric:", "metrik:"), "words.yaml:6", ["task.metrik", "did you mean 'metric'"]),
    "wrong type": (("n_trials: 8", "n_trials: eight"), "words.yaml:11", ["'eight'", "whole number"]),
    "unknown model": (("mine/tiny]", "mine/tyni]"), "words.yaml:8", ["mine/tyni", "did you mean"]),
    "unknown scorer": (("choice:", "choise:"), "words.yaml:5", ["choise", "did you mean 'choice'"]),
    "missing data file": (
        ("words.jsonl", "wurds.jsonl"),
        "words.yaml:3",
        ["wurds.jsonl", "correct the path"],
    ),
    "temperature out of range": (("high: 1.0", "high: 2.5"), "words.yaml:9", ["2.5", "takes 0 to 2"]),
    "budget of 0": (("calls: 400", "calls: 0"), "words.yaml:21", ["budget.calls", "at least 1"]),
    "unpriced model": (
        ("prices: {input: 1.0, output: 4.0}", "context_tokens: 100"),
        "words.yaml:8",
        ["no known price", "providers.mine.models.tiny.prices"],
    ),
}
FILE_FAULTS: dict[str, tuple[str, str, str, list[str]]] = {
    "empty data file": ("words.jsonl", "", "words.jsonl", ["holds no rows"]),
    "duplicate ids": ("words.jsonl", ROW + ROW, "words.jsonl:2", ["'w0'", "line 1", "unique"]),
    "row without target": (
        "words.jsonl",
        ROW + '{"id": "w1", "text": "b"}\n',
        "words.jsonl:2",
        ["has no target", "'choice'", "columns"],
    ),
    "template with an unknown field": (
        "prompts/plain.jinja",
        "Fine or not?\n{{ txet }}\n",
        "prompts/plain.jinja:2",
        ["'txet'", "did you mean 'text'"],
    ),
    "template that reaches for internals": (
        "prompts/plain.jinja",
        PLAIN + "{{ text.__class__.__mro__ }}",
        "prompts/plain.jinja:3",
        ["'__class__'", "Python internals"],
    ),
    "spec that is empty": ("words.yaml", "", "words.yaml", ["is empty"]),
    "spec that is not YAML": ("words.yaml", "a: [1\nb: 2\n", "words.yaml:2", ["is not YAML"]),
}


def assert_told(outcome: Any, code: int, *words: str, whole: bool = True) -> None:
    """This exit code, nothing on standard output, and on standard error one message with these words."""
    assert "Traceback" not in outcome.err
    assert (outcome.code, outcome.out) == (code, "")
    for word in words:
        assert word in outcome.err
    if whole:
        assert outcome.err.startswith("harness: ")
        assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("fault", SPEC_FAULTS)
def test_fault_of_the_spec_is_told_with_its_line(desk: Any, fault: str) -> None:
    """A fault of the spec ends a run before it begins, with the line of the spec."""
    change, place, words = SPEC_FAULTS[fault]
    desk.spec(change)
    assert_told(desk.harness("tune", "words.yaml"), 2, f"harness: {place}: ", *words)
    assert not (desk.folder / "reports").exists()


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_fault_of_a_file_is_told_with_its_line(desk: Any, fault: str) -> None:
    """A fault of data or template is told with the line of that file, whatever the verb."""
    name, text, place, words = FILE_FAULTS[fault]
    desk.write(name, text)
    for verb in ("validate", "plan", "tune"):
        assert_told(desk.cli(verb, "words.yaml"), 2, f"harness: {place}: ", *words)


def test_all_faults_are_told_at_once(desk: Any) -> None:
    """One reading mends everything: each fault has a line of its own, in the order of the file."""
    desk.spec(("n_trials: 8", "n_trials: eight"), ("metric:", "metrik:"), ("calls: 400", "calls: 0"))
    told = desk.cli("validate", "words.yaml")
    assert_told(told, 2, whole=False)
    places = [line.removeprefix("harness: ").split(": ")[0] for line in told.err.splitlines()]
    assert places == ["words.yaml:6", "words.yaml:11", "words.yaml:21"]


def test_unreadable_store_is_named(desk: Any) -> None:
    """A file that is no database is not written over, and the message says how to go on."""
    store = desk.write("broken.db", b"this is no database" * 100)
    before = store.read_bytes()
    told = desk.harness("tune", "words.yaml", "--store", "sqlite:///broken.db")
    assert_told(told, 2, "sqlite:///broken.db", "not a database", "HARNESS_STORE")
    assert store.read_bytes() == before


@pytest.mark.parametrize("verb", [["list"], ["report"], ["export", "json"], ["tune", "words.yaml"]])
def test_every_verb_survives_a_damaged_store(desk: Any, verb: list[str]) -> None:
    """No verb shows a traceback for a store that cannot be opened."""
    desk.write("broken.db", b"this is no database" * 100)
    assert_told(desk.cli(*verb, "--store", "sqlite:///broken.db"), 2, "cannot be opened")


def test_store_that_cannot_be_written_is_told(desk: Any) -> None:
    """A database opened read-only ends the run before a call is made."""
    assert desk.cli("list").code == 0
    store = f"sqlite:///file:{desk.folder}/.harness/harness.db?mode=ro&uri=true"
    told = desk.cli("tune", "words.yaml", "-q", "--store", store)
    assert_told(told, told.code, "readonly database")
    assert told.code in (2, 3)


def test_missing_spec_is_told(desk: Any) -> None:
    """A spec that is not there is told with the way to begin one."""
    assert_told(desk.harness("validate", "nowhere.yaml"), 2, "nowhere.yaml", "harness init")


def test_folder_in_place_of_a_spec_is_told(desk: Any) -> None:
    """A folder is no spec."""
    assert_told(desk.cli("tune", "prompts"), 2, "prompts: cannot be read", "directory")


def test_spec_in_another_encoding_is_told(desk: Any) -> None:
    """A spec that is not UTF-8 is told with the byte."""
    desk.write("latin.yaml", b"experiment: caf\xe9\n")
    assert_told(desk.cli("plan", "latin.yaml"), 2, "latin.yaml: is not UTF-8", "byte 16")


def test_missing_key_is_named(desk: Any) -> None:
    """A key that is not set is asked for by the name of its variable."""
    desk.spec(("concurrency: 4", "api_key_env: KEY_OF_MINE"))
    assert_told(desk.cli("tune", "words.yaml"), 3, "KEY_OF_MINE is not set", "environment")
    assert "no runs yet" in desk.cli("list").out


def test_missing_weights_name_the_command_that_fetches_them(desk: Any) -> None:
    """Weights that are not here are asked for before anything else happens."""
    desk.spec(("mine/tiny", "local/SMALL"))
    assert_told(desk.cli("tune", "words.yaml"), 3, "harness models pull smollm2-135m-instruct")
    assert_told(desk.cli("models", "serve", "smollm2-135m-instruct"), 3, "harness models pull")


def test_dead_provider_ends_the_run(desk: Any) -> None:
    """A provider that takes no call is no reason to recommend anything: the run fails, and may be resumed."""
    desk.spec(("concurrency: 4", "concurrency: 4\n    max_retries: 0"))
    assert_told(
        desk.cli("tune", "words.yaml", "-q"), 3, "mine/tiny cannot be asked (down)", "no connection", "resume"
    )
    assert " failed " in desk.cli("list").out


def test_failed_run_goes_on_when_the_provider_is_back(desk: Any, answers: Any) -> None:
    """A run that failed for its provider is resumed like one that was cut off."""
    desk.spec(("concurrency: 4", "concurrency: 4\n    max_retries: 0"), api_base=answers.url)
    answers.status = 404
    assert_told(desk.cli("tune", "words.yaml", "-q"), 3, "status 404", "resume")
    answers.status = 200
    assert desk.cli("tune", "--resume", "latest", "-q").code == 0
    assert " complete " in desk.cli("list").out


def test_refused_settings_are_never_recommended(desk: Any, answers: Any) -> None:
    """Where failures count as wrong, silence has a quality: 0. It is not shipped all the same."""
    desk.spec(("n_trials: 8", "n_trials: 2"), api_base=answers.url)
    answers.status = 400
    tuned = desk.cli("tune", "words.yaml", "--json", "-q")
    assert (tuned.code, tuned.out) == (4, "null\n")
    assert "no trial has enough scored answers" in tuned.err
    assert "status 400" in tuned.err


@pytest.mark.parametrize("verb", [["tune", "--resume"], ["report"], ["export", "json"]])
def test_unknown_run_is_told(desk: Any, verb: list[str]) -> None:
    """A run that is not in the store is answered with those that are."""
    assert_told(desk.cli(*verb, "words-of-old"), 2, "no run 'words-of-old'", "harness tune SPEC")


def test_unknown_export_target_is_told(desk: Any, finished: str) -> None:
    """A target that does not exist is answered with those that do."""
    assert_told(desk.cli("export", "jsn", finished), 2, "'jsn'", "eliza-1", "did you mean 'json'?")


def test_export_writes_over_nothing(desk: Any, finished: str) -> None:
    """A file that is there stays, unless told otherwise."""
    path = desk.write("out/settings.json", "mine")
    assert_told(desk.cli("export", "json", finished, "-o", "out"), 2, "settings.json", "force")
    assert path.read_text() == "mine"
    assert desk.cli("export", "json", finished, "-o", "out", "--force").code == 0
    assert path.read_text() != "mine"


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("bold", "found 'bold', expected one of best, knee"),
        ("best:0.1", "policy.best: is not a known key; known here: cheapest_within"),
        ("cheapest_within:x", "policy.cheapest_within: found 'x', expected a number"),
        ("fastest_within:-1", "expected at least 0"),
        ("floor:nan", "expected a finite number"),
        ("weights:qualty=1", "did you mean 'quality'?"),
    ],
)
def test_policy_that_makes_no_sense_is_told(desk: Any, finished: str, policy: str, words: str) -> None:
    """A policy that is unknown or out of range is refused."""
    assert_told(desk.cli("export", "json", finished, "--policy", policy), 2, words)


def test_file_in_the_way_of_reports_is_told_before_money_is_spent(desk: Any) -> None:
    """Where no report can be written, nothing is asked."""
    desk.write("reports", "a file")
    assert_told(desk.cli("tune", "words.yaml"), 2, "'reports'", "choose a folder")
    assert "no runs yet" in desk.cli("list").out


def test_report_that_fails_late_keeps_the_run(
    desk: Any, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that cannot be written at the end loses nothing: the message says how to have it."""
    desk.spec(api_base=answers.url)
    blocked = desk.folder / "reports"

    def block(*_: object) -> None:
        blocked.rmdir()
        blocked.write_text("a file")

    answers.on_first = block
    told = desk.cli("tune", "words.yaml", "-q")
    assert_told(told, 3, "cannot write", "harness report words-")
    blocked.unlink()
    assert desk.cli("report").code == 0
    assert len(list(blocked.glob("words-*/report.html"))) == 1


def test_resuming_a_finished_run_is_refused(desk: Any, finished: str) -> None:
    """There is nothing left to do."""
    assert_told(desk.cli("tune", "--resume", finished), 2, finished, "is complete")


def test_spec_and_run_together_are_refused(desk: Any, finished: str) -> None:
    """A spec beside `--resume` would be ignored."""
    assert_told(desk.cli("tune", "words.yaml", "--resume", finished), 2, "give one")


def test_changed_spec_is_not_resumed(desk: Any, unfinished: str) -> None:
    """A run goes on with the question it began with, or not at all."""
    spec = desk.folder / "words.yaml"
    spec.write_text(spec.read_text().replace("seed: 3", "seed: 4"))
    assert_told(desk.cli("tune", "--resume", unfinished), 2, unfinished, "has changed")


@pytest.mark.parametrize(
    ("flag", "value", "word"),
    [
        ("--max-cost", "0", "above 0"),
        ("--max-cost", "nan", "above 0"),
        ("--limit", "2", "at least 4"),
        ("--n-trials", "0", "at least 1"),
        ("--max-concurrency", "0", "at least 1"),
        ("--repeat", "0", "at least 1"),
        ("--seed", "-1", "at least 0"),
    ],
)
def test_flag_that_makes_no_sense_is_told(desk: Any, flag: str, value: str, word: str) -> None:
    """Flags are checked like the keys they stand for."""
    name = flag.removeprefix("--").replace("-", "_")
    assert_told(desk.cli("tune", "words.yaml", flag, value), 2, name, word)


@pytest.mark.parametrize(
    "arguments", [["tune", "words.yaml", "--limit", "x"], ["validate"], ["nonsense"], ["tune", "--nonsense"]]
)
def test_wrong_usage_is_told(desk: Any, arguments: list[str]) -> None:
    """A command that cannot be read is answered with its usage."""
    assert_told(desk.cli(*arguments), 2, "Usage: harness", "Error: ", whole=False)


def test_nothing_to_tune_is_told(desk: Any) -> None:
    """`harness tune` alone does nothing, and says so."""
    assert_told(desk.cli("tune"), 2, "give a spec")


def test_starter_writes_over_nothing(desk: Any) -> None:
    """`init` leaves files of the same name alone."""
    path = desk.write("experiments/demo.yaml", "mine")
    assert_told(desk.cli("init", "demo"), 2, "demo.yaml", "written over")
    assert path.read_text() == "mine"


def test_starter_with_a_file_in_the_way_is_told(desk: Any) -> None:
    """A file where the folder should be is told, not traced."""
    desk.write("experiments", "a file")
    assert_told(desk.cli("init", "demo"), 2, "cannot write", "experiments")


def test_unknown_weights_are_told(desk: Any) -> None:
    """Weights of an unknown name are answered with those there are."""
    told = desk.cli("models", "pull", "no-such-weights")
    assert_told(told, 2, "'no-such-weights'", "known are smollm2-135m-instruct", whole=False)


def sham_weights(folder: Path) -> None:
    """A file of the right name and length that is no model."""
    folder.mkdir(parents=True)
    with (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").open("wb") as file:
        file.write(b"GGUF")
        file.truncate(98362432)


@pytest.mark.local_model
def test_corrupt_model_file_is_told(desk: Any) -> None:
    """A model file that cannot be loaded is named, with the way to a good one."""
    sham_weights(desk.folder / ".harness" / "models")
    desk.spec(("mine/tiny", "local/SMALL"))
    told = desk.harness("tune", "words.yaml", "-q")
    assert_told(told, 3, "SmolLM2-135M-Instruct.Q4_1.gguf", "cannot be loaded", "pull it again")


@pytest.mark.local_model
def test_port_in_use_is_told(desk: Any) -> None:
    """A port that somebody else has is named."""
    sham_weights(desk.folder / ".harness" / "models")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = desk.harness("models", "serve", "smollm2-135m-instruct", "--port", port)
    assert_told(told, 3, f"port {port} of 127.0.0.1 is taken")
