"""A store that fails under a run: a clear error or survived, and never a wrong answer afterwards.

Processes of their own ask through the engine, and the trouble is real: limits on files, a full file system,
permissions, files that go or are overwritten, a clock that is set back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harness.errors import StoreError
from harness.records import Completion
from harness.store.store import open_store
from harness.testing.fake_clock import FakeClock
from harness.testing.http_server import SimulatorServer
from harness.testing.scripted import ScriptedProvider
from harness.testing.sources import FixedAnswers

ASK = Path(__file__).parent / "drivers" / "ask.py"
TEXT = " ".join(str(word) for word in range(40))
COUNT = 700  # more than the engine looks up at once, so that the store is read, too, after it was harmed
FREE = 100  # answers before all others are held
SMALL_BYTES = 4_000_000  # of a file system
PATIENCE_S = 120.0
LOST, REFUSED = 3, 2  # exit codes
PAGE_BYTES = 4096

pytestmark = pytest.mark.skipif(os.name == "nt", reason="files and processes are those of Unix")


class Gate(FixedAnswers):
    """Answers whose text is known; counts who asks; holds all from a number on until it is opened."""

    def __init__(self) -> None:
        super().__init__(TEXT)
        self.asked: Counter[str] = Counter()
        self.open = threading.Event()

    def answer(self, question):
        """An answer, when its time has come."""
        self.asked[re.search(r"Question (\d+):", question.messages[-1].content)[1]] += 1
        if self.asked.total() > FREE:
            assert self.open.wait(PATIENCE_S)
        return super().answer(question)


@pytest.fixture
def gate() -> Gate:
    """What the provider says, and when."""
    return Gate()


@pytest.fixture
def server(gate) -> Iterator[SimulatorServer]:
    """The provider."""
    with SimulatorServer(gate) as serving:
        yield serving
        gate.open.set()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where the store is."""
    made = tmp_path / "store"
    made.mkdir()
    return made


@pytest.fixture
def file(folder) -> Path:
    """The store's file."""
    return folder / "harness.db"


@pytest.fixture
def file_url(file) -> str:
    """The URL of a store in that file."""
    return f"sqlite:///{file}"


def command(url, server, *options) -> list[str]:
    """Ask everything, and keep it there."""
    return [sys.executable, str(ASK), url, server.api_base, "run", str(COUNT), *options]


def outcomes(out) -> list[list]:
    """What a process was told, without keys: sample, text, why it ended, tokens."""
    return [json.loads(line)[1:] for line in out.splitlines() if line.startswith("[")]


def ask(url, server, *options) -> tuple[int, list[list], str]:
    """Exit code, outcomes and errors of a process that asks everything."""
    done = subprocess.run(
        command(url, server, *options), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    return done.returncode, outcomes(done.stdout), done.stderr


def require_truth(told, *, whole=False) -> None:
    """What was told are the answers of an undisturbed run, each once."""
    true = undisturbed()
    assert [one for one in told if one != true[one[0]]] == []
    assert len({sample for sample, *_ in told}) == len(told)
    assert not whole or len(told) == COUNT


@cache
def undisturbed() -> dict[str, list]:
    """What a process is told in peace, by sample."""
    with TemporaryDirectory() as folder, SimulatorServer(FixedAnswers(TEXT)) as server:
        code, told, errors = ask(f"sqlite:///{folder}/harness.db", server)
    assert (code, len(told)) == (0, COUNT), errors
    return {one[0]: one for one in told}


def require_resumable(url, server, gate, told) -> None:
    """Another process ends the work, and does not ask again what the first one was told."""
    gate.open.set()
    code, all_told, errors = ask(url, server)
    assert code == 0, errors
    require_truth(told)
    require_truth(all_told, whole=True)
    assert [sample for sample, *_ in told if gate.asked[sample] != 1] == []


def sound(file) -> bool:
    """Whether SQLite finds nothing wrong with the file."""
    with closing(sqlite3.connect(file)) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@dataclass(slots=True)
class Halted:
    """A process that was told the free answers, with others on their way. code, errors: when it has ended."""

    process: subprocess.Popen[str]
    told: list[list]
    code: int | None = None
    errors: str = ""


@contextmanager
def halted(gate, argv) -> Iterator[Halted]:
    """Harm the store of this process in the block: answers come again at its end."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out = [process.stdout.readline() for _ in range(FREE + 1)]
        found = Halted(process, outcomes("".join(out)))
        try:
            assert len(found.told) == FREE
            yield found
        finally:
            gate.open.set()
            rest, found.errors = process.communicate(timeout=PATIENCE_S)
        found.told += outcomes(rest)
        found.code = process.returncode


# -- a full disk


def require_full(found, file, url, server, gate) -> None:
    """The run ended with what to do, in a sound store, and can be resumed."""
    assert found.code == LOST, found.errors
    assert re.search(r"could not write \d+ answers.*; free the disk.*then resume the run", found.errors)
    assert len(found.told) == FREE
    assert sound(file)
    require_resumable(url, server, gate, found.told)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_a_full_disk_ends_the_run_and_loses_nothing_told(file, file_url, server, gate):
    """No file may grow any more."""
    import resource

    with halted(gate, command(file_url, server)) as found:
        most = max(path.stat().st_size for path in file.parent.iterdir())
        resource.prlimit(found.process.pid, resource.RLIMIT_FSIZE, (most, most))
    require_full(found, file, file_url, server, gate)


def test_a_full_file_system_ends_the_run_and_loses_nothing_told(file, file_url, tmp_path, server, gate):
    """There is no space left on the device; the store is copied to another one, and gone on with."""
    small = tmp_path / "small"
    small.mkdir()
    own = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    mount = f"mount -t tmpfs -o size={SMALL_BYTES} tmpfs {small}"
    if shutil.which("unshare") is None or subprocess.run([*own, mount], check=False).returncode:
        pytest.skip("no file system of our own can be had here")
    # A file system of its own goes with its process: what is in it is taken out before.
    script = f'{mount} && "$@"; code=$?; cp {small}/harness.db* {file.parent}; exit $code'
    argv = [*own, script, "ask", *command(f"sqlite:///{small}/harness.db", server)]
    with halted(gate, argv) as found:
        inside = Path(f"/proc/{found.process.pid}/root") / small.relative_to("/")
        with suppress(OSError), (inside / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(PAGE_BYTES))
    assert "is full" in found.errors
    require_full(found, file, file_url, server, gate)


# -- permissions


def test_a_folder_that_cannot_be_written_is_refused(folder, file_url, server, gate):
    """On opening, before anything is asked: code 2 and what to do."""
    folder.chmod(0o555)
    code, told, errors = ask(file_url, server, "--obey-permissions")
    folder.chmod(0o755)
    assert (code, told, gate.asked.total()) == (REFUSED, [], 0)
    assert "expected a database that harness made, in a folder that can be written" in errors


def test_a_store_that_becomes_read_only_survives(folder, file, file_url, server, gate):
    """Files that are open stay open: the run ends well, and everything is in the store."""
    with halted(gate, command(file_url, server, "--obey-permissions")) as found:
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    assert found.code == 0, found.errors
    require_truth(found.told, whole=True)
    assert sound(file)
    require_resumable(file_url, server, gate, found.told)


# -- files that go


def delete(file):
    """All files of the store."""
    for path in file.parent.iterdir():
        path.unlink()


def replace_by_another(file):
    """Another store in its place."""
    delete(file)
    open_store(f"sqlite:///{file}", {}).close()


def move_folder(file):
    """The folder has another name."""
    file.parent.rename(file.parent.with_name("elsewhere"))


def empty(file):
    """A file without content."""
    os.truncate(file, 0)


@pytest.mark.parametrize("harm", [delete, replace_by_another, move_folder, empty])
def test_a_file_that_goes_is_noticed(harm, file, file_url, server, gate):
    """Code 3 at the next write; nothing is told any more that would be found nowhere."""
    with halted(gate, command(file_url, server)) as found:
        harm(file)
    assert found.code == LOST, found.errors
    assert "was deleted, replaced or emptied in mid-run" in found.errors
    assert len(found.told) == FREE
    require_truth(found.told)


def test_a_store_that_is_put_back_is_gone_on_with(file, file_url, server, gate):
    """Nothing told before it went is paid again."""
    away = file.parent.with_name("elsewhere")
    with halted(gate, command(file_url, server)) as found:
        move_folder(file)
    assert found.code == LOST, found.errors
    away.rename(file.parent)
    assert sound(file)
    require_resumable(file_url, server, gate, found.told)


# -- files that are overwritten


def overwrite(file, first, last):
    """Noise in these pages of the file, which SQLite has written in full before."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    noise = bytes(byte ^ 0xA5 for byte in range(256)) * (PAGE_BYTES // 256)
    with file.open("r+b") as pages:
        for page in range(first, last or file.stat().st_size // PAGE_BYTES):
            pages.seek(page * PAGE_BYTES)
            pages.write(noise)


@pytest.mark.parametrize("pages", [(0, 1), (1, None), (0, None)])
def test_noise_in_the_file_gives_no_wrong_answer(pages, file, file_url, server, gate):
    """Code 3 when it is met, or the run ends well without meeting it; whoever opens it next refuses it."""
    with halted(gate, command(file_url, server)) as found:
        overwrite(file, *pages)
    assert found.code in (0, LOST), found.errors
    require_truth(found.told, whole=found.code == 0)
    if found.code == LOST:
        assert re.search(r"(malformed|not a database|disk I/O error).*put back a copy", found.errors)
    with pytest.raises(StoreError, match=r"harness\.db (cannot be opened|is damaged)"):
        open_store(file_url, {})


# -- PostgreSQL


def test_a_server_that_goes_down_ends_the_run_and_loses_nothing_told(postgres, server, gate):
    """Code 3 and what to do; when the server is back, the run goes on."""
    url = postgres.fresh_url()
    with halted(gate, command(url, server)) as found:
        postgres.stop()
    postgres.start()
    assert found.code == LOST, found.errors
    assert "then resume the run" in found.errors
    require_resumable(url, server, gate, found.told)


# -- the clock


def test_a_clock_set_back_an_hour_changes_moments_only(make_engine, ask, store):
    """Durations, limits and bills go by another clock; the moments of answers are the wall clock's."""
    clock = FakeClock()

    async def answer(call):
        if call.sample_id == "s5":
            clock.jump(-3600.0)
        await clock.sleep(2.0)
        return "billing"

    engine = make_engine(ScriptedProvider(answer), clock=clock, concurrency=1, timeout_s=10.0)
    told = list(engine.run(ask(10)))
    assert all(isinstance(one, Completion) for one in told)
    assert [one.latency.total_s for one in told] == [2.0] * 10
    assert [one.latency.queue_s for one in told] == [2.0 * number for number in range(10)]
    assert sum(later.at < earlier.at for earlier, later in pairwise(told)) == 1
    assert store.spent("run-1").calls == 10
