"""An embedded model as a server of its own on this machine, speaking the OpenAI wire format.

In: a weight file. Out: the address and key of a server that lives until `close`, or until this process ends
in whatever way. It blocks: call it from a thread. It fetches no weights and sends no prompt.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from harness.calls.local_process import Parameters
from harness.errors import ProviderError

WAY_OUT = "use a server of any kind that speaks the OpenAI format instead, by naming its `api_base`"
PROGRAM = (sys.executable, "-m", "harness.calls.local_process")
START_TIMEOUT_S = 120.0
CLOSE_TIMEOUT_S = 5.0
COUNT_TIMEOUT_S = 5.0
COUNT_PAUSE_S = 0.005
LOG_TAIL_BYTES = 65536
# What Windows returns for a program that met an instruction the processor lacks.
WINDOWS_ILLEGAL_INSTRUCTION = 0xC000001D
# One such line for each request that reached the model; `is_child = 1` are its further choices (`n` > 1).
SERVED_LINE = re.compile(rb"launch_slot_: .*is_child = 0")
REFUSED_LINE = re.compile(rb"unauthorized: ")
# "<time> E <part> <function>: <message>"; the library repeats the fact in several lines.
ERROR_LINE = re.compile(r"^\S+ E +\S* +\S+: (?P<message>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that a server is started with.

    context_tokens: of each slot, prompt and answer together. template: chat template that replaces the one
    in the file. embedding: serve `/v1/embeddings` rather than answers. port 0: any free one. key `None`:
    any program on this machine may ask. program: what to run; it is told its parameters on standard input.
    """

    model: str
    gguf: Path
    log: Path
    threads: int = 1
    slots: int = 2
    context_tokens: int = 2048
    template: str | None = None
    embedding: bool = False
    port: int = 0
    key: str | None = field(default=None, repr=False)
    timeout_s: float = START_TIMEOUT_S
    program: tuple[str, ...] = PROGRAM

    def parameters(self) -> Parameters:
        """What the child process is told."""
        return Parameters(
            gguf=str(self.gguf),
            alias=self.model,
            port=self.port,
            threads=self.threads,
            slots=self.slots,
            context_tokens=self.context_tokens,
            template=self.template,
            key=self.key,
            embedding=self.embedding,
        )


class LocalServer:
    """A running server. url: ends in /v1. key: `None` when any program on this machine may ask."""

    def __init__(self, launch: Launch, child: subprocess.Popen[bytes], address: str) -> None:
        self.model = launch.model
        self.url = f"{address}/v1"
        self.key = launch.key
        self.log = launch.log
        self._address = address
        self._child = child
        self._tally = _Tally(launch.log)

    @classmethod
    def start(
        cls,
        model: str,
        gguf: Path,
        *,
        log: Path,
        threads: int = 1,
        slots: int = 2,
        context_tokens: int = 2048,
    ) -> LocalServer:
        """A server on a free port with a key of its own; returns when it answers. Raises as `serve` does.

        More than one thread helps only on an idle machine: threads that wait for a busy core spin.
        """
        launch = Launch(
            model=model,
            gguf=gguf,
            log=log,
            threads=threads,
            slots=slots,
            context_tokens=context_tokens,
            key=secrets.token_hex(16),
        )
        return serve(launch)

    def __repr__(self) -> str:
        return f"LocalServer(model={self.model!r}, url={self.url!r}, alive={self.alive})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._child.pid

    def requests(self) -> int | None:
        """Requests that reached the model since the start, as the server's own log tells.

        A prompt found too long counts, a request refused for its key or its form does not; `n` choices are
        one request. Exact for every request whose answer has arrived. `None`: the log cannot be relied on.
        """
        return self._tally.served(self._knock if self.alive and self.key is not None else None)

    def close(self) -> None:
        """End the process; harmless when called twice."""
        _end(self._child)

    def _knock(self) -> None:
        """Ask with no key: the refusal is a line in the log after those of all earlier requests."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(f"{self._address}/metrics", timeout=COUNT_TIMEOUT_S).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()
        except OSError:
            # No mark will appear, which is what `requests` reports.
            return


def serve(launch: Launch) -> LocalServer:
    """Start a server as described, with a fixed port and key if they are given; returns when it answers.

    Raises ProviderError when it does not: library not installed, file damaged, port taken, processor too
    old, or no answer within `launch.timeout_s`.
    """
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    with launch.log.open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - our own module; the caller of a test may name another
            launch.program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(launch.threads),
            # Control-C is for this process, which may still want answers for the calls under way.
            start_new_session=True,
        )
    try:
        address = _address(launch, child)
    except BaseException:
        _end(child)
        raise
    return LocalServer(launch, child, address)


def _environment(threads: int) -> dict[str, str]:
    """Ours, with OpenMP told not to spin while it waits: on a busy machine that costs a factor of ten."""
    quiet = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": str(threads)}
    return dict(os.environ) | quiet


def _address(launch: Launch, child: subprocess.Popen[bytes]) -> str:
    assert child.stdin is not None
    # A child that died already is explained by its exit code, not by the broken pipe.
    with contextlib.suppress(OSError):
        child.stdin.write(json.dumps(launch.parameters()).encode() + b"\n")
        child.stdin.flush()
    line = _first_line(child, launch.timeout_s)
    if line is None:
        raise ProviderError(
            f"the embedded server for {launch.model!r} did not answer within {launch.timeout_s:g} s; allow "
            f"more time, or choose smaller weights (its log: {str(launch.log)!r})"
        )
    answer = _object(line)
    if "url" in answer:
        return str(answer["url"])
    raise ProviderError(_why(launch, child, answer))


def _first_line(child: subprocess.Popen[bytes], timeout_s: float) -> bytes | None:
    """The child's one line, empty if it ended without; `None` when the time is over."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read(stream: IO[bytes]) -> None:
        lines.put(stream.readline())

    assert child.stdout is not None
    threading.Thread(target=read, args=(child.stdout,), daemon=True).start()
    try:
        return lines.get(timeout=timeout_s)
    except queue.Empty:
        return None


def _object(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _is_taken(port: int) -> bool:
    """Whether another program listens on this port; the server's own word for it may come too late."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _why(launch: Launch, child: subprocess.Popen[bytes], answer: dict[str, Any]) -> str:
    """One sentence on why there is no server, and what to do about it."""
    what = f"the embedded server for {launch.model!r} did not start"
    if answer.get("missing"):
        return (
            f"{what}: xllamacpp cannot be imported ({answer['error']}); "
            f"run `pip install 'xllamacpp>=2026.9,<2027'`, or {WAY_OUT}"
        )
    if not answer:
        return f"{what}: {_death(child)}{_logged(launch.log)}"
    reasons = _error_lines(launch.log)
    if any("couldn't bind" in reason for reason in reasons) or _is_taken(launch.port):
        return f"{what}: port {launch.port} of 127.0.0.1 is taken; name another, or 0 for any free one"
    if any("failed to load model" in reason for reason in reasons):
        return (
            f"{what}: {str(launch.gguf)!r} cannot be loaded ({reasons[0]}); "
            "the file is damaged or of a kind this version does not know: delete it and pull it again"
        )
    return f"{what}: {'; '.join(reasons) or answer['error']} (its log: {str(launch.log)!r})"


def _death(child: subprocess.Popen[bytes]) -> str:
    code = child.wait(timeout=CLOSE_TIMEOUT_S)
    if code in (-signal.SIGILL, WINDOWS_ILLEGAL_INSTRUCTION):
        return (
            f"this processor lacks instructions that xllamacpp was built with (AVX2 and its kin); {WAY_OUT}"
        )
    if code >= 0:
        return f"the process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"number {-code}"
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"the process was ended by signal {name}{hint}"


def _logged(log: Path) -> str:
    last = _tail(log).strip().splitlines()[-1:]
    return f" (its log {str(log)!r} ends with {last[0]!r})" if last else ""


def _error_lines(log: Path) -> list[str]:
    return [match["message"] for match in ERROR_LINE.finditer(_tail(log))]


def _tail(log: Path) -> str:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        return stream.read().decode(errors="replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child: first by closing its input, then by force."""
    if child.stdin is not None:
        # What could not be written before it died is of no use now.
        with contextlib.suppress(OSError):
            child.stdin.close()
    for force in (child.terminate, child.kill):
        try:
            child.wait(timeout=CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            force()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


class _Tally:
    """Counts lines of a log that grows, reading each byte once."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._served = 0
        self._refused = 0
        self._lock = threading.Lock()

    def served(self, knock: Callable[[], None] | None) -> int | None:
        """Requests so far. knock: makes the server log a refusal, which marks the end of what was before."""
        with self._lock:
            try:
                self._read()
                return self._served if knock is None or self._marked(knock) else None
            except OSError:
                return None

    def _marked(self, knock: Callable[[], None]) -> bool:
        before = self._refused
        knock()
        deadline = time.monotonic() + COUNT_TIMEOUT_S
        while self._refused == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(COUNT_PAUSE_S)
            self._read()
        return True

    def _read(self) -> None:
        with self._log.open("rb") as stream:
            stream.seek(self._offset)
            text = stream.read()
        # A line that is still being written is left for the next time.
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._served += len(SERVED_LINE.findall(whole))
        self._refused += len(REFUSED_LINE.findall(whole))
