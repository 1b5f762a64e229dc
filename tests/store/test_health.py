"""How the store is, told without making one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.store.health import store_health
from harness.store.schema import VERSION
from harness.store.store import open_store


def test_a_store_that_is_not_there_stays_so(url):
    """Asking makes neither a file nor a folder."""
    found = store_health(url, {})
    assert (found.address, found.exists, found.version, found.problem) == (url, False, str(VERSION), "")
    assert not Path(url.removeprefix("sqlite:///")).parent.exists()


def test_a_sound_store_is_told_with_its_version(url):
    """It was opened, so it can be written and its pages were checked."""
    open_store(url, {}).close()
    found = store_health(None, {"HARNESS_STORE": url})
    assert (found.address, found.exists, found.version, found.problem) == (url, True, str(VERSION), "")


@pytest.mark.parametrize("content", [b"garbage" * 900, b""])
def test_a_file_that_is_no_store_is_a_problem(url, content):
    """Whatever it is; an empty file becomes a store."""
    file = Path(url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    file.write_bytes(content)
    found = store_health(url, {})
    assert ("cannot be opened" in found.problem) is bool(content)


def test_a_store_of_another_version_is_a_problem(url):
    """The message says what to do."""
    open_store(url, {}).close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE about SET value = '999' WHERE name = 'version'")
        database.commit()
    assert "version 999" in store_health(url, {}).problem


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path):
    """Before a run finds out."""
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written to" in store_health(f"sqlite:///{tmp_path}/a/b.db", {}).problem
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_way_of_the_folder_is_a_problem(tmp_path):
    """A store cannot be made inside a file."""
    (tmp_path / "taken").write_text("")
    found = store_health(f"sqlite:///{tmp_path}/taken/store.db", {})
    assert f"{tmp_path}/taken cannot be written to" in found.problem


@pytest.mark.parametrize("url", ["postgresql://me:hunter2@127.0.0.1:1/x", "nonsense", "sqlite:///:memory:"])
def test_what_cannot_be_opened_is_told_without_its_password(url):
    """The address is left out where it cannot be read."""
    found = store_health(url, {})
    assert found.problem
    assert "hunter2" not in f"{found.address} {found.problem}"
