"""The HTTP face of the simulator: a provider on 127.0.0.1 whose truth, faults and bill are known.

In: connections. Out: what `http_service` says, played at its times. Thousands of requests a second on
one core, with the standard library alone; uvloop runs the loop where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self, TypeVar, cast

from harness.errors import ProviderError
from harness.testing.delays import Delay
from harness.testing.faults import HttpFaults
from harness.testing.http_requests import RequestReader, Unreadable
from harness.testing.http_service import Response, Service
from harness.testing.protocols.openai_chat import OPENAI_CHAT
from harness.testing.sources import FixedAnswers, Source
from harness.testing.traffic import Entry, Kept, RequestLimit, TrafficStats
from harness.testing.wire import Refusal

HOST = "127.0.0.1"
BACKLOG = 4096
# A client that sends on while its answer is made waits in the kernel beyond this.
LONGEST_QUEUE = 1 << 20
START_TIMEOUT_S = 30.0
T = TypeVar("T")


class SimulatorServer:
    """A simulated provider on a port of this machine, in a thread of its own; use it in a `with` block.

    source: who answers; default one fixed text. port 0: any free one. delay: how long an answer takes when
    the source does not say; seed: of these times. faults: a `FaultSchedule`, or any function of a `Moment`.
    rpm: requests a minute above which 429 is answered; `None`: no limit, and no headers about one.
    keep: keep the last requests whole, for `kept`. grace_s: how long answers under way may take when the
    server is closed.
    Raises ProviderError when the port cannot be had.
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        port: int = 0,
        delay: Delay | None = None,
        faults: HttpFaults | None = None,
        rpm: int | None = None,
        seed: int = 0,
        grace_s: float = 1.0,
        keep: bool = False,
    ) -> None:
        self._service = Service(
            source=source or FixedAnswers(),
            delay=delay,
            faults=faults,
            limit=None if rpm is None else RequestLimit(rpm, time.monotonic),
            seed=seed,
            keep=keep,
        )
        self._port = port
        self._grace_s = grace_s
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        """Start to listen."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen, and answer until `close`."""
        assert self._thread is None, "a server starts once"
        ready: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="harness-simulator", daemon=True
        )
        self._thread.start()
        try:
            self._port = ready.result(START_TIMEOUT_S)
        except OSError as error:
            self._thread.join()
            raise ProviderError(
                f"port {self._port} of {HOST} cannot be had ({error.strerror}); "
                "take another, or 0 for any free one"
            ) from error

    def close(self) -> None:
        """Take no more requests, finish those under way within the grace, and end.

        Harmless when called twice.
        """
        if self._thread is not None and self._loop is not None and self._thread.is_alive():
            # The loop may end of itself between the question and the call.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens, as in "http://127.0.0.1:8900"."""
        return f"http://{HOST}:{self._port}"

    @property
    def api_base(self) -> str:
        """What a client of the OpenAI format is given: `url` with "/v1"."""
        return f"{self.url}/v1"

    def stats(self) -> TrafficStats:
        """The counts of this moment; after `close`, the last ones."""
        return self._ask(self._service.stats)

    def bodies(self) -> dict[str, int]:
        """How often each request body came, by its SHA-256 in hex."""
        return self._ask(self._service.bodies)

    def log(self) -> list[Entry]:
        """The journal, oldest request first."""
        return self._ask(self._service.log)

    def kept(self) -> list[Kept]:
        """The last requests with their bodies, oldest first; none without `keep`."""
        return self._ask(self._service.kept)

    def reset(self) -> None:
        """Begin all counts and the journal anew."""
        self._ask(self._service.reset)

    def _ask(self, question: Callable[[], T]) -> T:
        """The answer of the server's thread, whose counts would otherwise change while they are read."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return question()
        answer: Future[T] = Future()
        loop.call_soon_threadsafe(lambda: answer.set_result(question()))
        return answer.result(START_TIMEOUT_S)

    def _run(self, ready: Future[int]) -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: Future[int]) -> None:
        loop = self._loop = asyncio.get_running_loop()
        connections: set[_Connection] = set()

        def connect() -> _Connection:
            return _Connection(self._service, loop, connections)

        try:
            listener = await loop.create_server(connect, HOST, self._port, backlog=BACKLOG)
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(listener.sockets[0].getsockname()[1])
        await self._stop.wait()
        await _settle()
        listener.close()
        await _part(connections, self._grace_s)
        await listener.wait_closed()


async def _settle() -> None:
    """Wait until no connection is accepted but not handed over: asyncio leaks those of a closed listener."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


async def _part(connections: set[_Connection], grace_s: float) -> None:
    """End all connections: idle ones now, others once they have answered, the rest when the grace is over."""
    for connection in tuple(connections):
        connection.stop()
    gone = [connection.gone for connection in connections]
    if gone:
        await asyncio.wait(gone, timeout=grace_s)
    left = tuple(connections)
    for connection in left:
        connection.abort()
    for connection in left:
        await connection.gone


class _Connection(asyncio.Protocol):
    """One client: takes requests one at a time and plays their responses; pipelined ones wait their turn."""

    def __init__(
        self, service: Service, loop: asyncio.AbstractEventLoop, connections: set[_Connection]
    ) -> None:
        self.gone: asyncio.Future[None] = loop.create_future()
        self._service = service
        self._loop = loop
        self._connections = connections
        self._reader = RequestReader()
        self._transport: asyncio.Transport = cast("Any", None)
        self._response: Response | None = None
        self._next = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: list[Entry] = []
        self._last = False
        self._paused = False

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Told at every byte that the network did not take at once, so that "finished" means it.
        self._transport.set_write_buffer_limits(0)
        self._connections.add(self)
        self._service.traffic.connections += 1

    def data_received(self, data: bytes) -> None:
        self._service.traffic.bytes_in += len(data)
        self._reader.feed(data)
        if self._response is None:
            self._advance()
        elif len(self._reader) > LONGEST_QUEUE and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        # No client of models ends only its own side: it has given up, and its request is not in flight.
        self._quiet()

    def resume_writing(self) -> None:
        now = self._service.wall()
        for entry in self._unsent:
            self._service.traffic.finish(entry, now)
        self._unsent.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        traffic = self._service.traffic
        self._quiet()
        if self._response is not None and self._response.entry is not None:
            traffic.lose()
        for _ in self._unsent:
            traffic.lose()
        self._unsent.clear()
        self._response = None
        traffic.connections -= 1
        self._connections.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)

    # -- ending

    def stop(self) -> None:
        """Close now when idle or waiting for ever, else after the response under way."""
        self._last = True
        if self._response is None:
            self._transport.close()
        elif self._response.end == "hang":
            self.abort()

    def abort(self) -> None:
        """Close without another byte."""
        self._transport.abort()

    def _quiet(self) -> None:
        """Send nothing more at its time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- one request after the other

    def _advance(self) -> None:
        while self._response is None and not self._transport.is_closing():
            request = self._reader.take()
            if isinstance(request, Unreadable):
                self._send(_unreadable(request))
                self._transport.close()
            elif request is None:
                if self._reader.expects_continue:
                    self._reader.expects_continue = False
                    self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            else:
                self._last = self._last or not request.keep_alive
                self._response = self._service.respond(request, closing=self._last)
                self._next, self._began = 0, self._loop.time()
                self._play()

    def _wake(self) -> None:
        self._timer = None
        self._play()
        self._advance()

    def _play(self) -> None:
        response = self._response
        assert response is not None
        while self._next < len(response.portions):
            after_s, data = response.portions[self._next]
            if not self._is_due(after_s):
                return
            self._send(data)
            self._next += 1
        if response.end == "keep":
            self._conclude(response.entry)
        elif response.end == "close":
            self._transport.close()
        elif response.end == "reset" and self._is_due(response.end_at_s):
            self._reset()

    def _is_due(self, after_s: float) -> bool:
        """Whether the moment has come; if not, a timer is set."""
        if after_s <= 0 or self._began + after_s <= self._loop.time():
            return True
        self._timer = self._loop.call_at(self._began + after_s, self._wake)
        return False

    def _conclude(self, entry: Entry | None) -> None:
        self._response = None
        if entry is not None:
            if self._transport.get_write_buffer_size():
                self._unsent.append(entry)
            else:
                self._service.traffic.finish(entry, self._service.wall())
        if self._last:
            self._transport.close()
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _send(self, data: bytes) -> None:
        self._service.traffic.bytes_out += len(data)
        self._transport.write(data)

    def _reset(self) -> None:
        # Lingering for no time makes the close a reset.
        connected: socket.socket | None = self._transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _unreadable(found: Unreadable) -> bytes:
    body = OPENAI_CHAT.refuse(Refusal(found.status, "bad_request", found.message)).body
    head = f"HTTP/1.1 {found.status} Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode("ascii") + body


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if find_spec("uvloop") is None:
        return asyncio.new_event_loop
    return cast("Any", import_module("uvloop")).new_event_loop
