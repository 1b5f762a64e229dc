"""The environment as a run sees it: that of the process, and beneath it the file `.env`, for keys.

In: a folder. Out: names with values, which stay in memory. Nothing is exported to the process, so no child
and no library sees what only the file holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.errors import UsageError

FILE = ".env"
# Where runs and answers are kept is read in several places, by MLflow too: from the environment alone.
NO_KEYS = ("HARNESS_", "MLFLOW_")
PROXIES = "_proxy"  # so are these, by litellm's clients


def environment(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Mapping[str, str]:
    """Names with values: those of the process, then those of the folder's `.env`.

    environ: `None`: of this process. folder: `None`: the current one. Values are taken as they are: a dollar
    sign in a key means nothing; names that begin with one of `NO_KEYS`, and those of proxies, are left out.
    Raises UsageError when the file cannot be read.
    """
    known = os.environ if environ is None else environ
    path = (folder or Path.cwd()) / FILE
    if not path.is_file():
        return known
    from dotenv import dotenv_values

    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f"{path} cannot be read ({why}); make it a text file of NAME=value lines, or move it away"
        ) from None
    keys = {name: value for name, value in found.items() if value and _is_key(name)}
    return {**keys, **known}


def _is_key(name: str) -> bool:
    return not name.startswith(NO_KEYS) and not name.lower().endswith(PROXIES)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The version of each of these packages that is installed here, by name."""
    found: dict[str, str] = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
