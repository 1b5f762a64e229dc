"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.outputs.files import replacing, write_text


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    """An error while writing keeps what was there and leaves no temporary file."""
    path = write_text(tmp_path / "page.html", "old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_in_the_way_is_a_clear_error(tmp_path):
    """What the system refuses becomes a message that names the path."""
    (tmp_path / "page.html").mkdir()
    with pytest.raises(UsageError, match=r"page\.html"):
        write_text(tmp_path / "page.html", "new")


def test_lone_surrogates_do_not_stop_a_report(tmp_path):
    """Providers send text that UTF-8 cannot hold; it is written with a question mark."""
    assert write_text(tmp_path / "a.md", "a\ud800b\r\nc").read_bytes() == b"a?b\r\nc"
