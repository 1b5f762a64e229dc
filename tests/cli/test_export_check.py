"""`harness export --check`: whether what was exported still holds."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest


def exported(desk: Any, finished: str) -> Any:
    """The path of the manifest of an export of the finished run."""
    assert desk.cli("export", "json", finished, "-o", "out").code == 0
    return desk.folder / "out" / "json.manifest.json"


def changed(path: Any, **rests_on: Any) -> None:
    """Write what the export rests on as if it had been another."""
    manifest = json.loads(path.read_text())
    manifest["rests_on"] |= rests_on
    path.write_text(json.dumps(manifest))


@pytest.fixture
def tuned(desk: Any, answers: Any) -> str:
    """The name of a run whose spec and data lie on the desk."""
    desk.spec(api_base=answers.url)
    assert desk.cli("tune", "words.yaml", "-q").code == 0
    return desk.runs()[0]


def test_an_export_of_today_holds(desk: Any, finished: str) -> None:
    """Nothing moved: 0, and it says so."""
    exported(desk, finished)
    checked = desk.cli("export", "--check", "out")
    assert (checked.code, checked.err) == (0, "")
    assert "still holds" in checked.out


def test_changed_data_fails_and_is_named(desk: Any, tuned: str) -> None:
    """The choice was measured on other rows."""
    exported(desk, tuned)
    rows = (desk.folder / "words.jsonl").read_text().splitlines()
    desk.write("words.jsonl", "\n".join(rows[:-1]) + "\n")
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert f"json.manifest.json: the data of run {tuned} has changed" in checked.out


def test_the_data_of_every_run_is_compared(desk: Any, tuned: str) -> None:
    """Of an export of several runs the second counts as the first does."""
    desk.write("more.jsonl", (desk.folder / "words.jsonl").read_text())
    spec = (desk.folder / "words.yaml").read_text().replace("words.jsonl", "more.jsonl")
    desk.write("more.yaml", spec)
    assert desk.cli("tune", "more.yaml", "-q").code == 0
    second = next(run for run in desk.runs() if run != tuned)
    assert desk.cli("export", "recommendation", tuned, second, "-o", "out").code == 0
    assert desk.cli("export", "--check", "out").code == 0
    rows = (desk.folder / "more.jsonl").read_text().splitlines()
    desk.write("more.jsonl", "\n".join(rows[:-1]) + "\n")
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert f"the data of run {second} has changed" in checked.out


def test_a_passed_date_fails_and_is_named(desk: Any, finished: str) -> None:
    """A choice is not for ever."""
    changed(exported(desk, finished), confirm_by="2026-01-31")
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert "was to be confirmed by 2026-01-31" in checked.out


def test_a_moved_price_and_a_retired_model_fail_and_are_named(desk: Any, finished: str) -> None:
    """The catalogue of today decides."""
    old = {"prices": {"input": 9.0, "output": 9.0, "long_prompt": None}}
    models = {
        name: old | {"deprecation_date": None} for name in ("openai/gpt-4.1", "anthropic/claude-3-opus")
    }
    changed(exported(desk, finished), models=models)
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    said = "the price of openai/gpt-4.1: input $2 per million, was $9, output $8 per million, was $9 (as of "
    assert said in checked.out
    assert "{" not in checked.out
    assert "anthropic/claude-3-opus is retired" in checked.out
    assert "its successor is anthropic/claude-opus-4-6" in checked.out


def test_a_price_that_was_not_written_down_is_no_change(desk: Any, finished: str) -> None:
    """A manifest of an earlier version knows fewer kinds of prices."""
    models = {"openai/gpt-4.1": {"prices": {"input": 2.0, "output": 8.0}, "deprecation_date": None}}
    changed(exported(desk, finished), models=models)
    assert desk.cli("export", "--check", "out").code == 0


def test_a_price_that_came_since_fails(desk: Any, finished: str) -> None:
    """A price of long prompts or of the cache, where it was written down that there is none."""
    old = {"input": 2.0, "output": 8.0, "cached_input": None, "cache_write": None, "long_prompt": None}
    changed(exported(desk, finished), models={"openai/gpt-4.1": {"prices": old, "deprecation_date": None}})
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert "cached input $0.5 per million, was none of its own" in checked.out


def test_a_price_of_the_specs_own_that_moved_fails(desk: Any, tuned: str) -> None:
    """The catalogue does not know it; a comment in the spec moves nothing."""
    exported(desk, tuned)
    spec = desk.folder / "words.yaml"
    spec.write_text("# a comment\n" + spec.read_text())
    assert desk.cli("export", "--check", "out").code == 0
    price = "prices: {input: 1.0, output: 4.0}"
    assert price in spec.read_text()
    spec.write_text(spec.read_text().replace(price, "prices: {input: 9.0, output: 4.0}"))
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert "the spec's price of mine/tiny: input 9.0, output 4.0, was input 1.0, output 4.0" in checked.out


def test_a_file_that_is_gone_fails(desk: Any, finished: str) -> None:
    """A manifest alone is no export."""
    next(exported(desk, finished).parent.glob("settings.json")).unlink()
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert "json.manifest.json: settings.json is gone" in checked.out


def test_a_store_that_is_not_there_is_not_made(desk: Any, finished: str) -> None:
    """One that was named is a mistake; without any, the data is not compared."""
    exported(desk, finished)
    checked = desk.cli("export", "--check", "out", "--store", "sqlite:///none.db")
    assert checked.code == 2
    assert "there is no none.db" in checked.err
    assert not (desk.folder / "none.db").exists()


def test_data_that_is_not_here_is_told_and_not_guessed(desk: Any, tuned: str) -> None:
    """Where an export runs there need be no data: that alone fails nothing."""
    exported(desk, tuned)
    (desk.folder / "words.jsonl").unlink()
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 0
    assert "is not compared" in checked.out


@pytest.mark.parametrize("change", ["rows", "definition"])
def test_data_that_is_here_and_cannot_be_used_fails(desk: Any, answers: Any, change: str) -> None:
    """Rows that are not the pinned ones, or a definition that is none: that is not "not here"."""
    pin = hashlib.sha256((desk.folder / "words.jsonl").read_bytes()).hexdigest()
    desk.write("datasets/pinned.yaml", f"file: ../words.jsonl\nsha256: {pin}\n")
    desk.spec(("dataset: words.jsonl", "dataset: pinned"), api_base=answers.url)
    assert desk.cli("tune", "words.yaml", "-q").code == 0
    exported(desk, "latest")
    assert desk.cli("export", "--check", "out").code == 0
    if change == "rows":
        rows = (desk.folder / "words.jsonl").read_text().splitlines()
        desk.write("words.jsonl", "\n".join(rows[:-1]) + "\n")
    else:
        desk.write("datasets/pinned.yaml", "file: ../words.jsonl\ncolour: red\n")
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 1
    assert f"the data of run {desk.runs()[0]} cannot be compared" in checked.out
    assert "pinned.yaml:" in checked.out
    assert "still holds" not in checked.out


@pytest.mark.parametrize("gone", ["words.jsonl", "datasets/pinned.yaml", "words.yaml"])
def test_each_file_of_the_data_may_be_elsewhere(desk: Any, answers: Any, gone: str) -> None:
    """Rows, definition or spec: where one is not there, the data is not compared."""
    desk.write("datasets/pinned.yaml", "file: ../words.jsonl\n")
    desk.spec(("dataset: words.jsonl", "dataset: pinned"), api_base=answers.url)
    assert desk.cli("tune", "words.yaml", "-q").code == 0
    exported(desk, "latest")
    (desk.folder / gone).unlink()
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 0
    assert "is not compared" in checked.out


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("run", "run"),
        ("confirm_by", "rests_on.confirm_by"),
        ("models", "rests_on.models"),
        ("runs", "rests_on.runs"),
    ],
)
def test_a_manifest_without_a_part_is_a_mistake(desk: Any, finished: str, part: str, place: str) -> None:
    """It says what is missing, and where."""
    path = exported(desk, finished)
    manifest = json.loads(path.read_text())
    del (manifest if part == "run" else manifest["rests_on"])[part]
    path.write_text(json.dumps(manifest))
    checked = desk.cli("export", "--check", "out")
    assert checked.code == 2
    assert f"json.manifest.json: {place} missing" in checked.err


def test_a_folder_without_exports_is_a_mistake(desk: Any) -> None:
    """Nothing checked is not "fine"."""
    (desk.folder / "empty").mkdir()
    checked = desk.cli("export", "--check", "empty")
    assert checked.code == 2
    assert "manifest.json" in checked.err
