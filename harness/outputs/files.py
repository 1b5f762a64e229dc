"""Files that appear whole or not at all.

In: a path and what is to be there. Out: the file, written under a temporary name beside it and renamed.
Must not decide what is written.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from harness.errors import UsageError


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well, and vanishes otherwise.

    Folders on the way are made. Raises UsageError when the system refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write {str(path)!r}: {error.strerror or error}; choose a folder that can be written to"
        ) from error


def require_folder(path: Path) -> None:
    """Make this folder if need be. Raises UsageError when no file can be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            return
    except OSError as error:
        raise UsageError(
            f"cannot write into {str(path)!r}: {error.strerror or error}; choose a folder that can be "
            "written to"
        ) from error


def write_text(path: Path, text: str) -> Path:
    """Write the text as UTF-8 with plain line ends, whole or not at all; gives the path back.

    Raises UsageError when the system refuses.
    """
    with replacing(path) as partial:
        partial.write_bytes(encodable(text).encode("utf-8"))
    return path


def encodable(text: str) -> str:
    """The text with "?" for lone surrogates: providers send them, and UTF-8 cannot hold them."""
    return text.encode("utf-8", "replace").decode("utf-8")
