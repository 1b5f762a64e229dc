"""The door to Hugging Face `datasets`: Parquet files and data sets of the hub, as plain rows.

In: a path, or a name with its revision. Out: rows with their number. The only file that imports
`datasets` and `huggingface_hub`, and only inside functions. Whether the network may be used is decided by the
environment (`HF_HUB_OFFLINE`), never here: without a network, a name fails at once and says so.
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from harness.errors import DataError, Problem, UsageError
from harness.plan.tables import NumberedRow
from harness.records import JsonValue

# Seconds that the library waits in each of its six attempts, unless the user set it; its own default is 10.
ETAG_TIMEOUT = ("HF_HUB_ETAG_TIMEOUT", "5")
HUB = "https://huggingface.co"
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
YES = ("1", "on", "true", "yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubName:
    """A data set of the hub. revision: a tag, a branch, or best a commit; `None`: whatever is newest.

    config, split: `None` where the data set has only one. folder: where a data set of this form stands on
    this disk, named as `./path`, `../path` or `/path`; `None`: the hub is meant.
    """

    name: str
    revision: str | None = None
    config: str | None = None
    split: str | None = None
    folder: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the name means the same rows for ever: a commit, by all its digits."""
        return self.folder is None and COMMIT.fullmatch(self.revision or "") is not None

    @property
    def shown(self) -> str:
        """The name as it stands in a spec."""
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")


def parse_hub_name(text: str, home: Path = Path()) -> HubName:
    """The name in `owner/name@revision`, or a folder that begins with `./`, `../` or `/`; `hf:` may lead.

    home: what the path of a folder is relative to, the working folder if nothing is said.
    Raises UsageError for anything else.
    """
    written = text.removeprefix("hf:")
    if written.startswith(("./", "../", "/")):
        folder = (home / written).absolute()
        if not folder.is_dir():
            raise UsageError(f"names {text!r}, but there is no folder {folder}; correct the path")
        return HubName(name=written, folder=str(folder))
    name, _, revision = written.partition("@")
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"names {text!r}, expected owner/name@revision on the Hugging Face hub, or a folder, as in "
            f"./{name or 'name'}"
        )
    return HubName(name=name, revision=revision or None)


def parquet_rows(path: Path, shown: str) -> Iterator[NumberedRow]:
    """Rows of a Parquet file, numbered from 1. Raises DataError when it cannot be read."""
    library = _library(shown)
    # The library keeps a copy of what it reads; ours is the one that stays.
    with tempfile.TemporaryDirectory() as copy:
        try:
            table = library.Dataset.from_parquet(str(path), cache_dir=copy)
        except Exception as error:  # the library raises its own, Arrow's and the system's errors
            raise _unreadable(shown, error, "is it a Parquet file?") from error
        yield from plain_rows(table, shown)
        # Windows cannot remove a file that is still mapped.
        del table


def hub_rows(hub: HubName) -> Iterator[NumberedRow]:
    """Rows of a data set of the hub, numbered from 1. Raises DataError when it cannot be loaded."""
    place, revision = hub.folder or hub.name, hub.revision
    if hub.folder is None:
        _refuse_shadow(hub)
        refuse_unreachable(hub, os.environ, urllib.request.getproxies())
        if _is_offline(os.environ):
            snapshot = _snapshot(hub)
            place, revision = (place, revision) if snapshot is None else (str(snapshot), None)
    library = _library(hub.shown)
    try:
        loaded = library.load_dataset(place, hub.config, split=hub.split, revision=revision)
    except Exception as error:  # the library raises its own, the hub's, Arrow's and the system's errors
        hint = (
            "check name, config, split and revision; without network, load it once where there is one, "
            "or use a file"
        )
        raise _unreadable(hub.shown, error, hint) from error
    if isinstance(loaded, Mapping):
        splits = cast("Mapping[str, Any]", loaded)
        if len(splits) != 1:
            message = f"has the splits {', '.join(splits)}; name one under `split` in a data set definition"
            raise DataError([Problem(hub.shown, None, "split", message)])
        loaded = next(iter(splits.values()))
    yield from plain_rows(loaded, hub.shown)


def _refuse_shadow(hub: HubName) -> None:
    """The library takes a folder of this name in the working folder for the data set, without a word."""
    if Path(hub.name).is_dir():
        message = (
            f"is also a folder, {Path(hub.name).absolute()}, which would be read in its place; write "
            f"./{hub.name} if the folder is meant, or work in another folder"
        )
        raise DataError([Problem(hub.shown, None, "", message)])


def refuse_unreachable(
    hub: HubName,
    environ: Mapping[str, str],
    proxies: Mapping[str, str],
    resolve: Callable[[str, int], object] = socket.getaddrinfo,
) -> None:
    """Raise DataError when the hub's address means nothing here: there is no network to wait for.

    The library would try for 25 seconds, and then take an older copy without a word. Nothing is asked when
    it is told to stay offline, or when a proxy looks the address up.
    """
    host = urlsplit(environ.get("HF_ENDPOINT") or HUB).hostname or ""
    if _is_offline(environ) or proxies:
        return
    try:
        resolve(host, 443)
    except OSError as error:
        message = (
            f"cannot be loaded: the address {host!r} is not found, so there seems to be no network; go "
            "online, set HF_HUB_OFFLINE=1 to use what was loaded before, or use a file"
        )
        raise DataError([Problem(hub.shown, None, "", message)]) from error


def _is_offline(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name, "").lower() in YES for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"))


def _snapshot(hub: HubName) -> Path | None:
    """The folder of this revision in the hub's cache; `None`: the library may have a copy of its own.

    Raises DataError for a revision that the cache does not hold: the library's copy is the latest one that
    was loaded, whatever its revision.
    """
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = huggingface_hub.snapshot_download(
            hub.name, repo_type="dataset", revision=hub.revision, local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError) as error:
        if hub.revision is None:
            return None
        message = (
            "is not in the hub's cache on this machine, and offline nobody is asked; fetch it once online: "
            f"`hf download --repo-type dataset {hub.name} --revision {hub.revision}`, or use a file"
        )
        raise DataError([Problem(hub.shown, None, "", message)]) from error
    return Path(found)


def _library(shown: str) -> Any:
    # Read when the library is imported.
    os.environ.setdefault(*ETAG_TIMEOUT)
    import datasets

    # Where the package is missing, a folder of data with this name can be imported in its place.
    if not hasattr(datasets, "load_dataset"):
        message = "needs the Hugging Face package `datasets`, which is not installed; pip install datasets"
        raise DataError([Problem(shown, None, "", message)])
    datasets.disable_progress_bars()
    if "DATASETS_VERBOSITY" not in os.environ:
        # What it logs before it raises says nothing that our own error does not.
        logging.getLogger("datasets").setLevel(logging.CRITICAL)
    if "HF_HUB_VERBOSITY" not in os.environ:
        # Its warnings about each attempt say nothing that our own error does not.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return datasets


def _unreadable(shown: str, error: Exception, hint: str) -> DataError:
    said = (str(error).splitlines() or [""])[0]
    return DataError([Problem(shown, None, "", f"cannot be read: {type(error).__name__}: {said}; {hint}")])


def plain_rows(table: Iterable[Any], shown: str) -> Iterator[NumberedRow]:
    """Rows as JSON knows them, numbered from 1. Raises DataError for a value that it does not know."""
    for number, row in enumerate(table, start=1):
        yield number, {str(key): _plain(value, shown, number, str(key)) for key, value in row.items()}


def _plain(value: object, shown: str, number: int, column: str) -> JsonValue:
    """The value as JSON knows it: dates as ISO text, decimals as text, missing numbers as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value)
        return {str(key): _plain(one, shown, number, column) for key, one in inner.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, shown, number, column) for one in cast("list[object]", value)]
    message = (
        f"holds {type(value).__name__} in column {column!r}; only text, numbers, lists and objects are used"
    )
    raise DataError([Problem(shown, number, "", message)])
