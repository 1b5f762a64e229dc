"""A simulated provider as a process of its own, and whole processes measured against it.

In: a command. Out: CPU seconds (user and system, of the process and its children), wall seconds, peak
memory, and what the server saw meanwhile. Imports nothing heavy: on Linux a child's peak memory begins at
that of the process which started it.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO
from urllib.parse import urlsplit

MB = 1e6
# What a user's own settings would change: the store, MLflow, proxies, and byte code that is not kept.
_LEFT_OUT = frozenset({"HARNESS_STORE", "MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"})
_TAIL = 1500  # characters of a failed client's errors that are shown


class ClientFailedError(Exception):
    """A client that ended badly, or answered wrongly. Its text says which, and ends with its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start. environment: added to ours. name: the client's."""

    name: str
    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One whole process. cpu_s: user and system, children included. peak_mb: of its largest process.

    requests, peak_in_flight: as the server counted them. foreign_share: of the machine's CPU time, used by
    others meanwhile, from 0 to 1; `None` where the system does not tell. output: its standard output.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    requests: int
    peak_in_flight: int
    foreign_share: float | None
    output: str

    def found(self) -> dict[str, object]:
        """The last line printed, when it is a JSON object; else nothing."""
        lines = self.output.strip().splitlines()
        try:
            found = json.loads(lines[-1]) if lines else {}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Server:
    """`harness simulate` on a free port, until closed. latency_s: of each answer, a constant."""

    def __init__(self, latency_s: float) -> None:
        options = ["--port", "0", "--latency", f"{latency_s}", "--answer", "ok"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness", "simulate", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment({}),
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        if not address:
            self._process.wait()
            raise ClientFailedError("`harness simulate` did not start; run it by hand to see why")
        self.url = address + "/v1"
        self._host = urlsplit(address).netloc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, method: str, path: str) -> dict[str, int]:
        """What the server says to this request."""
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request(method, path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """CPU seconds of the server so far; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        except OSError:
            return 0.0
        return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def environment(added: Mapping[str, str]) -> dict[str, str]:
    """Ours without what would change a measurement, and with `added`."""
    kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **added}


def measure(
    command: Command,
    server: Server,
    *,
    limit_s: float,
    on_line: Callable[[int, str], None] | None = None,
) -> Run:
    """Run a command from start to end. on_line: gets its process number and each line as it is printed.

    Raises ClientFailedError when it ends with an error, or takes more than limit_s.
    """
    server.ask("POST", "/reset")
    served_s, busy_s, began = server.cpu_s(), _busy_s(), time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        code, usage, output = _ended(command, errors, limit_s, on_line)
        wall_s = time.perf_counter() - began
        if code:
            errors.seek(0)
            last = (output + errors.read())[-_TAIL:]
            raise ClientFailedError(f"{command.name} ended with {code} after {wall_s:.0f} s: {last}")
    cpu_s = usage.ru_utime + usage.ru_stime
    foreign_s = None
    if busy_s is not None:
        foreign_s = max(0.0, (_busy_s() or busy_s) - busy_s - cpu_s - (server.cpu_s() - served_s))
    stats = server.ask("GET", "/stats")
    return Run(
        cpu_s=cpu_s,
        wall_s=wall_s,
        peak_mb=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MB,
        requests=stats["requests"],
        peak_in_flight=stats["peak_in_flight"],
        foreign_share=None if foreign_s is None else foreign_s / (wall_s * (os.cpu_count() or 1)),
        output=output,
    )


def _ended(
    command: Command, errors: TextIO, limit_s: float, on_line: Callable[[int, str], None] | None
) -> tuple[int, resource.struct_rusage, str]:
    """The exit code, use of resources and output of a command that has ended, or was ended for its time."""
    process = subprocess.Popen(
        command.argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        errors="replace",
        cwd=command.folder,
        env=environment(command.environment),
        start_new_session=True,  # so that a client which hangs can be ended with its children
    )
    lines: list[str] = []
    timer = threading.Timer(limit_s, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                lines.append(line)
                if on_line is not None:
                    on_line(process.pid, line)
    except BaseException:  # in a session of its own, it does not hear Ctrl-C
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage, "".join(lines)


def _busy_s() -> float | None:
    """CPU seconds that all processes of the machine have used; `None` where the system does not tell."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, soft_irq = map(int, fields[:7])
    return (user + nice + system + irq + soft_irq) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float | None:
    """Memory that a running process holds; `None` where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")), None)
    return None if kib is None else int(kib) * 1024 / MB
