"""Exports as texts in the page: what the command would write, or why it would not."""

from __future__ import annotations

import pytest

from harness.outputs.exports import registry
from harness.outputs.exports.selection import selection_of
from harness.outputs.exports.targets import TARGETS
from harness.outputs.shown_exports import LONGEST_FILE, shown_exports

KEY = "sk-proj-" + "a1B2c3D4e5F6g7H8" * 3


@pytest.fixture
def selection(make):
    """A choice that every target can hold."""
    return selection_of([make.recommendation()], prompt_text="Which label?\n{{ text }}\n")


def by_target(selection):
    """What is shown, by target."""
    return {one.target: one for one in shown_exports(selection)}


def test_every_target_is_there_with_its_command(selection):
    """By name, as `harness export --list` has them."""
    shown = by_target(selection)
    assert list(shown) == sorted(TARGETS)
    assert shown["json"].command == "harness export json r1"


def test_the_page_shows_what_the_command_writes(selection, tmp_path):
    """Letter by letter, the same files."""
    shown = by_target(selection)["json"]
    written = registry.export("json", selection, tmp_path)
    texts = {path.name: path.read_text(encoding="utf-8") for path in written.paths[:-1]}
    assert {file.name: file.text for file in shown.files} == texts


def test_a_target_that_cannot_hold_the_choice_says_why(make):
    """In place of files."""
    settings = make.settings(model="google/gemini-2.5-pro")
    choice = make.recommendation(settings=settings, trial=make.trial(2, settings=settings, split="confirm"))
    shown = by_target(selection_of([choice]))["openai"]
    assert shown.files == ()
    assert "google/gemini-2.5-pro" in shown.refusal


def test_what_looks_like_a_credential_is_in_no_file(make):
    """An export refuses it, and so the page does not show it either, not even in the refusal."""
    selection = selection_of([make.recommendation()], prompt_text=f"Use {KEY} to log in.\n{{{{ text }}}}\n")
    for one in shown_exports(selection):
        assert one.files == ()
        assert KEY not in one.refusal


def test_a_long_file_is_cut_and_says_so(make):
    """A page is read, not unpacked: the command writes all of it."""
    prompt = "Which label fits? " * 4000
    shown = by_target(selection_of([make.recommendation()], prompt_text=prompt))["json"]
    cut = [file for file in shown.files if not file.whole]
    assert [len(file.text) for file in cut] == [LONGEST_FILE]
