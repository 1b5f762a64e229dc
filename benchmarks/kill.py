"""Runs killed with SIGKILL at random moments and resumed until done: what is lost, and what is paid twice.

A server (`harness simulate`) keeps a journal of its own: when each answer had gone out in full, and what was
asked. Every answer that had gone out a window (100 ms) before a kill must never be asked for again; whatever
a killed process had been told must stand in its store; the store must pass `PRAGMA integrity_check` after
every kill; and the run must end as one that nobody disturbed. Ends with 1 when any of this is broken.

Writes docs/benchmarks/kill.md; takes some three minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import os
import platform
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks" / "kill.md"
ASK = HERE.parent / "tests" / "calls" / "drivers" / "ask.py"
MOST_KILLS = 3  # of one run; then it is let go to its end
LIMIT_S = 120.0  # of one process: one that takes longer hangs
LATENCY = "uniform:0.005:0.01"
TEXT = " ".join(str(word) for word in range(40))
SAMPLES = 60  # rows of the experiment that whole searches are about


@dataclass(slots=True)
class Life:
    """One process of a run. Moments are seconds since 1970; killed_at is `None` when it came to its end.

    waits: pairs of a moment and the seconds that its threads had waited for a processor until then.
    """

    started_at: float
    killed_at: float | None
    code: int
    lines: list[str]
    errors: str
    waits: list[tuple[float, float]]

    def starved_s(self, since: float) -> float:
        """Seconds of waiting for a processor between this moment and the kill, at most."""
        if not self.waits:
            return 0.0
        before = [waited for moment, waited in self.waits if moment <= since]
        return self.waits[-1][1] - (before[-1] if before else self.waits[0][1])


@dataclass(slots=True)
class Finding:
    """What became of one run.

    again_s: for each answer that was asked for again though it had gone out,

    seconds from its going out to the kill. faults: what must not be.
    """

    kills: int = 0
    requests: int = 0
    kept: int = 0
    again_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Server:
    """`harness simulate` on a free port, until closed."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness", "simulate", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "`harness simulate` did not start; run it by hand to see why"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def ask(self, method: str, path: str) -> dict[str, Any]:
        """What the server says to this request."""
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)) as connection:
            connection.request(method, path)
            return json.loads(connection.getresponse().read())

    def requests(self) -> int:
        """How many questions have come."""
        return self.ask("GET", "/stats")["requests"]


class Kind(Protocol):
    """What is killed. name: of the run's store, and in the page."""

    name: str

    def command(self, folder: Path, server: Server, *, resumed: bool) -> list[str]:
        """The process to start."""
        ...

    def begun(self, lines: Sequence[str], asked: Callable[[], int]) -> bool:
        """Whether it has come so far that it may be killed. asked: counts the requests of this life."""
        ...

    def result(self, life: Life) -> object:
        """What the run found, as it must be found again."""
        ...

    def durable(self, lines: Sequence[str]) -> set[str]:
        """Keys of the answers that the process had been told."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """The engine alone: so many calls, each outcome told as it arrives."""

    calls: int
    name: str = "calls"

    def command(self, folder: Path, server: Server, *, resumed: bool) -> list[str]:
        """A first process and a resumed one are the same."""
        del resumed
        store = f"sqlite:///{folder}/harness.db"
        return [sys.executable, str(ASK), store, f"{server.url}/v1", "run", str(self.calls)]

    def begun(self, lines: Sequence[str], asked: Callable[[], int]) -> bool:
        """It says so, before it opens its store."""
        del asked
        return bool(lines)

    def result(self, life: Life) -> object:
        """All answers, in no order and without their keys, which name the server; and the bill."""
        return [sorted(json.loads(line)[1:] for line in life.lines if line.startswith("[")), life.lines[-1]]

    def durable(self, lines: Sequence[str]) -> set[str]:
        """Each line of an outcome begins with its key."""
        return {json.loads(line)[0] for line in lines if line.startswith("[")}


@dataclass(frozen=True, slots=True)
class Tuning:
    """A whole `harness tune` over a simulated experiment."""

    experiment: Path
    name: str = "searches"

    def command(self, folder: Path, server: Server, *, resumed: bool) -> list[str]:
        """Resumed by "latest", unless it was killed before it was written down."""
        spec = json.loads((self.experiment / "experiment.yaml").read_text(encoding="utf-8"))
        spec["providers"]["sim"]["api_base"] = f"{server.url}/v1"
        served = self.experiment / f"served-{urlsplit(server.url).port}.yaml"
        served.write_text(json.dumps(spec), encoding="utf-8")
        known = resumed and _count(folder / "harness.db", "runs") > 0
        what = ["--resume", "latest"] if known else [str(served)]
        store = f"sqlite:///{folder}/harness.db"
        options = ["--store", store, "-o", f"{folder}/reports", "--json", "--quiet", "--no-mlflow"]
        return [sys.executable, "-m", "harness", "tune", *what, *options]

    def begun(self, lines: Sequence[str], asked: Callable[[], int]) -> bool:
        """It has sent something."""
        del lines
        return asked() > 0

    def result(self, life: Life) -> object:
        """What is recommended, with its quality and price; latency differs from run to run."""
        found = json.loads("\n".join(life.lines))
        trial = found["trial"]
        return [found["settings"], found["ties"], trial["quality"], trial["usd_per_1k_calls"]]

    def durable(self, lines: Sequence[str]) -> set[str]:
        """It tells nothing on the way."""
        del lines
        return set()


def live(command: Sequence[str], kind: Kind, server: Server, kill_after_s: float | None) -> Life:
    """One process, killed so long after it has begun, or let go to its end."""
    before = server.requests()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        started_at = time.time()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=tempfile.gettempdir())
        assert process.stdout is not None
        told, killed_at, due, waits = b"", None, None, list[tuple[float, float]]()
        began = time.monotonic()
        with process.stdout as out:
            while True:
                now = time.monotonic()
                if (
                    due is None
                    and kill_after_s is not None
                    and kind.begun(told.splitlines(), lambda: server.requests() - before)
                ):
                    due = now + kill_after_s
                if killed_at is None and due is not None:
                    waits.append((time.time(), waited_s(process.pid)))
                if killed_at is None and due is not None and now >= due:
                    killed_at = time.time()
                    process.send_signal(signal.SIGKILL)
                assert now < began + LIMIT_S, f"{command} hangs"
                wait_s = 0.02 if due is None or killed_at is not None else max(0.0, min(0.02, due - now))
                if select.select([out], [], [], wait_s)[0]:
                    chunk = os.read(out.fileno(), 1 << 16)
                    if not chunk:
                        break
                    told += chunk
        code = process.wait()
        errors.seek(0)
        last = errors.read()
    lines = told.decode("utf-8").splitlines(keepends=True)
    # A line may have been cut off by the kill; it was not told.
    whole = [line.rstrip("\n") for line in lines if line.endswith("\n")]
    return Life(started_at, killed_at if code == -signal.SIGKILL else None, code, whole, last, waits)


def waited_s(pid: int) -> float:
    """Seconds that the threads of a process have waited for a processor so far; 0 where nobody tells."""
    total = 0
    for told in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            total += int(told.read_text(encoding="ascii").split()[1])
    return total / 1e9


def killed_run(kind: Kind, server: Server, draw: random.Random, span_s: float, window_s: float) -> Finding:
    """One run, killed one to three times within its span, then let go; its faults are told by their nature."""
    server.ask("POST", "/reset")
    finding, lives = Finding(), list[Life]()
    planned = draw.randint(1, MOST_KILLS)
    with tempfile.TemporaryDirectory(prefix="harness-kill-") as name:
        folder = Path(name)
        while True:
            command = kind.command(folder, server, resumed=bool(lives))
            # What was answered is not asked again, so that a later life is shorter.
            left = span_s * 0.6 ** len(lives)
            life = live(command, kind, server, draw.uniform(0, left) if len(lives) < planned else None)
            lives.append(life)
            if life.killed_at is None:
                break
            finding.faults += _unsound(folder, kind.durable(life.lines))
        finding.kept = _count(folder / "harness.db", "answers")
    finding.kills = len(lives) - 1
    if lives[-1].code != 0:
        finding.faults.append(f"ended with {lives[-1].code}: {lives[-1].errors[-300:]}")
    _look_at_traffic(finding, server, lives, window_s)
    finding.again_s.sort()
    if finding.kills and lives[-1].code == 0:
        finding.faults += [] if kind.result(lives[-1]) == _UNDISTURBED[kind.name] else ["another result"]
    return finding


_UNDISTURBED: dict[str, object] = {}


def _unsound(folder: Path, told: set[str]) -> list[str]:
    """What is wrong with the store of a killed process, looked at in a copy: the next life finds it as it is."""
    store = folder / "harness.db"
    if not store.exists():
        return ["told answers without a store"] if told else []
    with tempfile.TemporaryDirectory(prefix="harness-kill-copy-") as name:
        copy = Path(name) / "harness.db"
        for end in ("", "-wal"):
            source = store.with_name(f"harness.db{end}")
            if source.exists():
                shutil.copyfile(source, copy.with_name(source.name))
        with closing(sqlite3.connect(copy)) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchall()
            if verdict != [("ok",)]:
                return [f"integrity_check: {verdict[:3]}"]
        missing = told - _keys(copy) if told else set()
    return [f"{len(missing)} answers were told and are not in the store"] if missing else []


def _keys(store: Path) -> set[str]:
    with closing(sqlite3.connect(store)) as database:
        return {key for (key,) in database.execute("SELECT key FROM answers")}


def _count(store: Path, table: str) -> int:
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as database:
        known = database.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", [table]).fetchone()[0]
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] if known else 0


def _look_at_traffic(finding: Finding, server: Server, lives: Sequence[Life], window_s: float) -> None:
    entries = server.ask("GET", "/log")["entries"]
    finding.requests = len(entries)
    asked: dict[str, dict[str, Any]] = {}
    for entry in entries:  # oldest first
        before = asked.get(entry["body"])
        asked[entry["body"]] = entry
        if before is None:
            continue
        # What a life sent the server may read when that life is over: it ends with the start of the next one.
        life = next(
            (
                life
                for life, following in pairwise(lives)
                if before["arrived_at"] < following.started_at <= entry["arrived_at"]
            ),
            None,
        )
        if life is None or life.killed_at is None:
            finding.faults.append("a call was asked for again though no kill lay between")
        elif before["finished_at"] is not None and before["finished_at"] <= life.killed_at:
            age = life.killed_at - before["finished_at"]
            finding.again_s.append(age)
            # On a busy machine a process may not run at all for long: that time is not its own.
            if age - life.starved_s(before["finished_at"]) > window_s:
                finding.faults.append(
                    f"an answer that had gone out {age * 1000:.0f} ms before a kill was asked again"
                )


def _undisturbed(kind: Kind, server: Server) -> float:
    """Note what an undisturbed run finds; gives the seconds from its beginning to its end."""
    spans = []
    for _ in range(2):
        server.ask("POST", "/reset")
        with tempfile.TemporaryDirectory(prefix="harness-kill-") as name:
            command = kind.command(Path(name), server, resumed=False)
            # A kill that comes far too late takes the time from the moment at which one could have come.
            began = time.monotonic()
            life = live(command, kind, server, None)
            took = time.monotonic() - began
        assert life.code == 0, life.errors
        entries = server.ask("GET", "/log")["entries"]
        asked_s = entries[-1]["finished_at"] - entries[0]["arrived_at"]
        spans.append(min(took, asked_s * 1.2 + 0.1))
        found = kind.result(life)
        assert _UNDISTURBED.setdefault(kind.name, found) == found, "two undisturbed runs differ"
    return median(spans)


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of one kind. options: of the server. span_s: of an undisturbed run."""

    kind: Kind
    options: tuple[str, ...]
    runs: int
    span_s: float = 0.0


def carry_out(batch: Batch, seed: int, window_s: float, jobs: int) -> list[Finding]:
    """All runs of a batch, several at a time, each with a server of its own."""
    with Server(*batch.options) as server:
        batch = replace(batch, span_s=_undisturbed(batch.kind, server))

    def work(numbers: range) -> list[Finding]:
        findings = []
        with Server(*batch.options) as server:
            for number in numbers:
                draw = random.Random(f"{seed}:{batch.kind.name}:{number}")
                while True:
                    finding = killed_run(batch.kind, server, draw, batch.span_s, window_s)
                    if finding.kills or finding.faults:
                        break
                findings.append(finding)
        return findings

    with ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(work, [range(job, batch.runs, jobs) for job in range(jobs)])
        return [finding for part in parts for finding in part]


def experiment_in(folder: Path) -> Path:
    """A simulated experiment on disk."""
    from harness.testing.experiment_files import write_experiment
    from harness.testing.simulator import simulated_experiment

    folder.mkdir()
    experiment = simulated_experiment(
        folder, n_samples=SAMPLES, search={"n_trials": 8}, budget={"calls": 2000, "usd": 5.0}
    )
    write_experiment(experiment)
    return folder


def page(results: dict[str, list[Finding]], options: argparse.Namespace, took_s: float) -> str:
    """The page, from what was measured."""
    rows = []
    for name, findings in results.items():
        again = sorted(age for finding in findings for age in finding.again_s)
        kills = sum(finding.kills for finding in findings)
        requests, kept = (sum(getattr(f, what) for f in findings) for what in ("requests", "kept"))
        rows.append(
            f"| {name} | {len(findings)} | {kills} | {kept:,} | {requests:,} | {requests - kept:,} | {len(again)} |"
            f" {f'{again[-1] * 1000:.0f} ms' if again else '-'} | {sum(len(f.faults) for f in findings)} |"
        )
    cores, system = (
        os.cpu_count(),
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )
    return PAGE_TEXT.format(
        rows="\n".join(rows),
        window=options.window * 1000,
        calls=options.calls,
        seed=options.seed,
        took=took_s,
        cores=cores,
        system=system,
        at=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


PAGE_TEXT = """\
# Killed and resumed: what is lost, what is paid twice

Written by `benchmarks/kill.py`; every figure here was measured by it, so do not edit.

Processes are ended with SIGKILL at random moments, one to three times a run, and started again until the run
is done. The server (`harness simulate`, a process of its own, answers after 5 to 10 ms) notes when each
answer had gone out in full. "calls": {calls} calls through the engine, 8 in flight. "searches": a whole
`harness tune` of 8 trials, resumed with `--resume latest`.

| what | runs | kills | answers | requests | asked in vain | of these: answer had gone out | longest before the \
kill | faults |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

"Asked in vain" are requests beyond one for each answer: those in flight when the process died, and those
whose answers had gone out but were not on disk yet. A fault would be: an answer that had gone out more than
{window:g} ms before the kill and was asked for again (time that the process waited for a processor is not
counted: others use this machine too); a call asked twice by one process; an outcome that the process had been told and that its
store does not hold; a `PRAGMA integrity_check` other than "ok" (made after every kill, on a copy); a result
or a bill other than that of an undisturbed run.

## Where

{cores} cores, {system}, {at}; {took:.0f} s, seed {seed}.

## How to repeat

`.venv/bin/python benchmarks/kill.py`; `--help` lists its options.
"""


def main() -> int:
    """Kill, resume, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="runs of the engine alone")
    parser.add_argument("--searches", type=int, default=8, help="runs of `harness tune`")
    parser.add_argument("--calls", type=int, default=300, help="calls of a run of the engine alone")
    parser.add_argument("--window", type=float, default=0.1, help="seconds before a kill that do not count")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time")
    parser.add_argument("--seed", type=int, default=20, help="of all moments")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write")
    parser.add_argument("--json", action="store_true", help="print the findings, and write no page")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="harness-kill-") as name:
        served = ("--latency", LATENCY)
        batches = [Batch(Asking(options.calls), (*served, "--answer", TEXT), options.runs)]
        if options.searches:
            experiment = experiment_in(Path(name) / "experiment")
            own = (*served, "--experiment", str(experiment))
            batches.append(Batch(Tuning(experiment), own, options.searches))
        results = {
            batch.kind.name: carry_out(batch, options.seed, options.window, options.jobs) for batch in batches
        }
    took_s = time.monotonic() - began
    if options.json:
        print(json.dumps({name: [asdict(f) for f in findings] for name, findings in results.items()}))
    else:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page(results, options, took_s), encoding="utf-8")
        print(f"wrote {options.page}, after {took_s:.0f} s")
    faults = [fault for findings in results.values() for finding in findings for fault in finding.faults]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
