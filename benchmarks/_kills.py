"""Runs killed with SIGKILL at random moments and resumed until done, and what was wrong with them.

In: a kind of run, a seed. Out: a finding for each run. The truth is the simulated provider's journal of what
was asked and when each answer had gone out in full, a copy of the store after every kill, and what a run that
nobody disturbed found.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.testing.delays import uniform
from harness.testing.experiment_files import served_at, world_answers
from harness.testing.http_server import SimulatorServer
from harness.testing.simulator import simulated_experiment
from harness.testing.sources import FixedAnswers, Source
from harness.testing.traffic import Entry

ASK = Path(__file__).resolve().parent.parent / "tests" / "calls" / "drivers" / "ask.py"
TEXT = " ".join(str(word) for word in range(40))
SAMPLES = 60  # rows of the experiment that whole searches are about
ANSWER_S = (0.005, 0.01)
MOST_KILLS = 3  # of one run; then it is let go to its end
SHRINKS = 0.6  # what was answered is not asked again, so that a later life is shorter
TICK_S = 0.005
LIMIT_S = 120.0  # of one process: one that takes longer hangs


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is killed. argv: of a process, by the store's file, the provider's address, and whether it resumes.

    result: what a run found, as it must be found again. told: keys of the answers that a process was told.
    most: requests that the cap of a run allows, however often it is killed; `None`: no cap comes near.
    """

    name: str
    source: Source
    argv: Callable[[Path, str, bool], list[str]]
    result: Callable[[Sequence[str]], object]
    told: Callable[[Sequence[str]], set[str]]
    most: int | None = None


def asking(calls: int) -> Kind:
    """The engine alone: so many calls, each outcome told as it arrives."""
    return Kind(
        name="calls",
        source=FixedAnswers(TEXT),
        argv=lambda file, url, _: _ask(file, url, calls),
        # Without the keys, which name the server, and in no order; the last line is the bill.
        result=lambda lines: [sorted(outcome[1:] for outcome in _outcomes(lines)), lines[-1]],
        told=_answered,
    )


def capped(calls: int, *, most: int) -> Kind:
    """The same under a cap that leaves calls over: which ones differs from run to run."""
    return Kind(
        name="capped",
        source=FixedAnswers(TEXT),
        argv=lambda file, url, _: [*_ask(file, url, calls), "--cap", str(most)],
        result=lambda lines: len(_outcomes(lines)),
        told=_answered,
        most=most,
    )


def _ask(file: Path, url: str, calls: int) -> list[str]:
    return [sys.executable, str(ASK), f"sqlite:///{file}", url, "run", str(calls)]


def _outcomes(lines: Sequence[str]) -> list[list[Any]]:
    return [json.loads(line) for line in lines if line.startswith("[")]


def _answered(lines: Sequence[str]) -> set[str]:
    """Keys of what was told as an answer: that of a failure is not in the store."""
    return {outcome[0] for outcome in _outcomes(lines) if outcome[2] != "failed"}


def tuning(folder: Path) -> Kind:
    """A whole `harness tune` over a simulated experiment in this folder."""
    made = simulated_experiment(
        folder, n_samples=SAMPLES, search={"n_trials": 8}, budget={"calls": 2000, "usd": 5.0}
    )

    def argv(file: Path, url: str, resumed: bool) -> list[str]:
        spec = file.with_name("spec.yaml")
        spec.write_text(json.dumps(served_at(made, url).spec), encoding="utf-8")
        # Killed before it was written down, or after its end: begun anew, from the answers in the store.
        cut_off = resumed and _rows(file, "SELECT run FROM runs WHERE state = 'running'")
        what = ["--resume", "latest"] if cut_off else [str(spec)]
        options = ["--store", f"sqlite:///{file}", "-o", str(file.with_name("reports")), "--json", "--quiet"]
        return [sys.executable, "-m", "harness", "tune", *what, *options, "--no-mlflow"]

    def result(lines: Sequence[str]) -> object:
        found = json.loads("\n".join(lines))
        trial = found["trial"]  # but for its latency, which differs from run to run
        return [found["settings"], found["ties"], trial["quality"], trial["usd_per_1k_calls"]]

    return Kind(name="searches", source=world_answers(made), argv=argv, result=result, told=lambda _: set())


@dataclass(slots=True)
class Life:
    """One process of a run. Moments are seconds since 1970; killed_at: `None` when it came to its end.

    waits: moments, and the seconds that its threads had waited for a processor until then.
    """

    started_at: float
    killed_at: float | None = None
    code: int = 0
    lines: Sequence[str] = ()
    errors: str = ""
    waits: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def starved_s(self, since: float) -> float:
        """Seconds of waiting for a processor between this moment and the kill, at most."""
        before = [waited for moment, waited in self.waits if moment <= since] or [self.waits[0][1]]
        return self.waits[-1][1] - before[-1]


@dataclass(slots=True)
class Finding:
    """What became of one run. faults: what must not be.

    again_s: how long before a kill each answer had gone out that was asked for again.
    """

    kills: int = 0
    requests: int = 0
    kept: int = 0
    again_s: list[float] = field(default_factory=list[float])
    faults: list[str] = field(default_factory=list[str])


def carry_out(kind: Kind, runs: int, *, seed: int, window_s: float, jobs: int) -> list[Finding]:
    """So many runs of this kind, several at a time, each with a provider of its own."""
    with _provider(kind) as server, tempfile.TemporaryDirectory(prefix="harness-kill-") as folder:
        calm = live(kind.argv(Path(folder) / "harness.db", server.api_base, False), server)
        span_s = time.time() - server.log()[0].arrived_at
        assert calm.code == 0, calm.errors
        truth = kind.result(calm.lines)

    def work(numbers: range) -> list[Finding]:
        with _provider(kind) as server:
            return [killed_run(kind, server, f"{seed}:{n}", (span_s, window_s), truth) for n in numbers]

    with ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(work, [range(job, runs, jobs) for job in range(jobs)])
        return [finding for part in parts for finding in part]


def _provider(kind: Kind) -> SimulatorServer:
    return SimulatorServer(kind.source, delay=uniform(*ANSWER_S))


def killed_run(
    kind: Kind, server: SimulatorServer, seed: str, times: tuple[float, float], truth: object
) -> Finding:
    """One run, killed one to three times, then let go. times: its span, and the window that does not count."""
    (span_s, window_s), draw = times, random.Random(f"{kind.name}:{seed}")
    while True:  # a kill may come too late
        server.reset()
        lives, finding = list[Life](), Finding()
        planned = draw.randint(1, MOST_KILLS)
        with tempfile.TemporaryDirectory(prefix="harness-kill-") as folder:
            file = Path(folder) / "harness.db"
            while not lives or lives[-1].killed_at is not None:
                after_s = draw.uniform(0, span_s * SHRINKS ** len(lives)) if len(lives) < planned else None
                lives.append(live(kind.argv(file, server.api_base, bool(lives)), server, after_s))
                finding.faults += _unsound(file, kind.told(lives[-1].lines))
            finding.kept = len(_rows(file, "SELECT key FROM answers"))
        finding.kills = len(lives) - 1
        if lives[-1].code != 0:
            finding.faults.append(f"ended with {lives[-1].code}: {lives[-1].errors[-300:]}")
        elif kind.result(lives[-1].lines) != truth:
            finding.faults.append("another result than that of an undisturbed run")
        _look_at_traffic(finding, server.log(), lives, window_s)
        if kind.most is not None and finding.requests > kind.most:
            finding.faults.append(f"{finding.requests} requests under a cap of {kind.most}")
        if finding.kills or finding.faults:
            return finding


def live(argv: Sequence[str], server: SimulatorServer, kill_after_s: float | None = None) -> Life:
    """One process, killed so long after it first said or asked something, or let go to its end."""
    asked, began, due, told = server.stats().requests, time.monotonic(), None, b""
    life = Life(started_at=time.time())
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        while True:
            now = time.monotonic()
            assert now < began + LIMIT_S, f"{argv} hangs"
            if due is None and kill_after_s is not None and (told or server.stats().requests > asked):
                due = now + kill_after_s
            if due is not None and life.killed_at is None:
                life.waits.append((time.time(), _waited_s(process.pid)))
                if now >= due:
                    life.killed_at = time.time()
                    process.kill()
            if select.select([process.stdout], [], [], TICK_S)[0]:
                chunk = os.read(process.stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                told += chunk
        life.code = process.wait()
        errors.seek(0)
        life.errors = errors.read()
    if life.code >= 0:  # it had come to its end before
        life.killed_at = None
    # A line that the kill cut off was not told.
    life.lines = told.decode("utf-8").rpartition("\n")[0].splitlines()
    return life


def _waited_s(pid: int) -> float:
    """Seconds that the threads of a process have waited for a processor so far; 0 where nobody tells."""
    total = 0
    for told in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            total += int(told.read_text(encoding="ascii").split()[1])
    return total / 1e9


def _unsound(file: Path, told: set[str]) -> list[str]:
    """What is wrong with the store of a killed process, looked at in a copy: the next life finds it as it is."""
    with tempfile.TemporaryDirectory(prefix="harness-kill-copy-") as folder:
        copy = Path(folder) / file.name
        for path in file.parent.glob(f"{file.name}*"):
            if not path.name.endswith("-shm"):  # of the machine's memory; SQLite makes it anew
                shutil.copyfile(path, copy.with_name(path.name))
        verdict = _rows(copy, "PRAGMA integrity_check") or [("ok",)]
        missing = told - {key for (key,) in _rows(copy, "SELECT key FROM answers")}
    wrong = [] if verdict == [("ok",)] else [f"integrity_check: {verdict[:3]}"]
    return wrong + ([f"{len(missing)} answers were told and are not in the store"] if missing else [])


def _rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    """What this query gives; nothing where there is no store yet, or none with tables."""
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as database:
        empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        return [] if empty else database.execute(query).fetchall()


def _look_at_traffic(finding: Finding, log: Sequence[Entry], lives: Sequence[Life], window_s: float) -> None:
    """Note the requests that were made again, and which of them must not have been."""
    finding.requests = len(log)
    starts = [life.started_at for life in lives]
    by_body: dict[str, list[Entry]] = defaultdict(list)
    for entry in log:
        by_body[entry.body].append(entry)
    for before, after in (pair for entries in by_body.values() for pair in pairwise(entries)):
        # What a life sent the server may read when that life is over: it ends with the start of the next.
        number = bisect_right(starts, before.arrived_at) - 1
        killed_at = lives[number].killed_at
        if killed_at is None or bisect_right(starts, after.arrived_at) - 1 == number:
            finding.faults.append("a call was asked for again though no kill lay between")
        elif before.finished_at is not None and before.finished_at <= killed_at:
            age_s = killed_at - before.finished_at
            finding.again_s.append(age_s)
            # On a busy machine a process may not run at all for long: that time is not its own.
            if age_s - lives[number].starved_s(before.finished_at) > window_s:
                told = f"an answer that had gone out {age_s * 1000:.0f} ms before a kill was asked again"
                finding.faults.append(told)
