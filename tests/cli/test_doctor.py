"""The verb `doctor`: what it prints, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.catalogue.models import load_catalogue

KEY = "sk-planted-canary-0123456789"


@pytest.fixture
def keyed(desk: Any) -> Any:
    """The desk, with a provider that needs a key."""
    desk.spec(("    concurrency: 4\n", "    concurrency: 4\n    api_key_env: MINE_KEY\n"))
    return desk


def test_doctor_ends_with_2_and_says_what_is_missing(keyed: Any) -> None:
    """One line for each thing; without the key nothing can run."""
    done = keyed.cli("doctor", "words.yaml")
    assert (done.code, done.err) == (2, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("harness     0.")
    assert "store       sqlite:///.harness/harness.db: not there yet, can be made (schema version" in done.out
    assert "(our own: MLFLOW_TRACKING_URI is not set)" in done.out
    assert (
        "mine        direct at http://127.0.0.1:9/v1, because it speaks OpenAI's format; MINE_KEY is not set"
        in lines
    )
    assert "            tiny (SMALL): prices as the spec states" in lines
    assert lines[-1].startswith("missing     MINE_KEY is not set, and mine needs it")
    assert not (keyed.folder / ".harness").exists()


def test_doctor_ends_with_0_when_all_is_here(keyed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And never shows the key."""
    monkeypatch.setenv("MINE_KEY", KEY)
    done = keyed.cli("doctor", "words.yaml")
    assert done.code == 0
    assert "MINE_KEY is set" in done.out
    assert "canary" not in done.out
    assert done.out.splitlines()[-1] == "ready       all that is needed is here"


def test_doctor_is_not_sure_of_credentials_that_it_does_not_see(
    keyed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready would be a promise."""
    for name in load_catalogue().providers["bedrock"].credentials:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
    words = (keyed.folder / "words.yaml").read_text(encoding="utf-8")
    (keyed.folder / "cloud.yaml").write_text(words.replace("mine/tiny", "bedrock/SMALL"), encoding="utf-8")
    done = keyed.cli("doctor", "cloud.yaml")
    last = done.out.splitlines()[-1]
    assert (done.code, last.split()[0]) == (0, "unsure"), done.out
    assert "no credentials of bedrock were seen" in last
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert keyed.cli("doctor", "cloud.yaml").out.splitlines()[-1].startswith("ready")


def test_doctor_as_json_is_json_alone(keyed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For programs; the exit code is the same."""
    done = keyed.cli("doctor", "words.yaml", "--json")
    found = json.loads(done.out)
    assert (done.code, found["ok"]) == (2, False)
    assert found["providers"][0]["key_env"] == "MINE_KEY"
    assert found["store"]["exists"] is False
    monkeypatch.setenv("MINE_KEY", KEY)
    done = keyed.cli("doctor", "words.yaml", "--json")
    assert (done.code, json.loads(done.out)["missing"]) == (0, [])
    assert "canary" not in done.out


def test_doctor_without_a_spec_shows_the_catalogue(desk: Any) -> None:
    """Nothing is needed, so nothing is missing."""
    done = desk.cli("doctor")
    assert done.code == 0
    assert "anthropic   litellm, because its format is not OpenAI's; ANTHROPIC_API_KEY is" in done.out
    assert done.out.splitlines()[-1] == "ready       give a spec to check what it needs"


def test_doctor_of_a_bad_spec_tells_its_faults(desk: Any) -> None:
    """With file and line, beside everything else that was looked at."""
    desk.spec(("metric: accuracy", "metric: acuracy"))
    done = desk.cli("doctor", "words.yaml")
    assert done.code == 2
    assert "spec        words.yaml: cannot be planned, see below" in done.out
    assert "missing     words.yaml:6: task.metric: " in done.out


def test_doctor_of_a_damaged_store_says_so(desk: Any) -> None:
    """Before a run would find out."""
    desk.write("bad.db", b"garbage" * 900)
    done = desk.cli("doctor", "--store", "sqlite:///bad.db")
    assert done.code == 2
    assert "store       cannot be used, see below" in done.out
    assert "missing     the store sqlite:///bad.db cannot be opened" in done.out


def test_doctor_of_a_finished_run_knows_its_store(desk: Any, finished: str) -> None:
    """Sound, and of the version that this harness knows."""
    assert (
        "store       sqlite:///.harness/harness.db: sound, can be written, schema" in desk.cli("doctor").out
    )
