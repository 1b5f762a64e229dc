"""Keys from the environment or from `.env`: read, and carried nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.environment import environment
from harness.errors import UsageError


def test_a_file_gives_what_the_environment_does_not(tmp_path: Path) -> None:
    """The environment wins; quotes, `export` and comments are those of shells."""
    lines = ["# keys", "export A_KEY='from file'", 'B_KEY="b"', "C_KEY=c # mine", "EMPTY=", "NO_VALUE"]
    (tmp_path / ".env").write_text("\n".join(lines))
    known = environment({"A_KEY": "from outside"}, tmp_path)
    assert known == {"A_KEY": "from outside", "B_KEY": "b", "C_KEY": "c"}


def test_a_key_may_hold_a_dollar_sign(tmp_path: Path) -> None:
    """Nothing is put in its place; neither is a mark at the beginning of the file part of the first name."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfKEY=a$HOME${HOME}b\n")
    assert environment({}, tmp_path) == {"KEY": "a$HOME${HOME}b"}


def test_without_a_file_it_is_the_environment_itself(tmp_path: Path) -> None:
    """Nothing is copied."""
    assert environment(None, tmp_path) is os.environ


def test_the_file_is_for_keys(tmp_path: Path) -> None:
    """Where things are kept is read from the environment in several places, which must not disagree."""
    lines = ["HARNESS_STORE=a", "MLFLOW_TRACKING_URI=b", "HTTPS_PROXY=c", "no_proxy=d", "MISTRAL_API_KEY=c"]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert environment({}, tmp_path) == {"MISTRAL_API_KEY": "c"}


def test_what_only_the_file_holds_stays_out_of_the_process(tmp_path: Path) -> None:
    """A child, or a library that reads the environment by itself, is not given it."""
    (tmp_path / ".env").write_text("KEY_OF_THE_FILE=secret\n")
    assert environment(None, tmp_path)["KEY_OF_THE_FILE"] == "secret"
    assert "KEY_OF_THE_FILE" not in os.environ


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Without a word of what stands in it."""
    (tmp_path / ".env").write_bytes(b"KEY=\xff\xfe-secret\n")
    with pytest.raises(UsageError, match=r"\.env cannot be read") as caught:
        environment({}, tmp_path)
    assert "secret" not in f"{caught.value!r}{caught.value.__cause__!r}"
