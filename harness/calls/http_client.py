"""POST requests in HTTP/1.1 to one address, over connections that are kept.

In: an address, headers and bodies of requests. Out: answers, whole or piece by piece. Each request goes out
once: nothing is repeated or redirected. It knows nothing of what bodies mean.

A general client costs several times what the rest of a call does (docs/decisions.md); this is the small part
of one that a call needs.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import SplitResult, quote, unquote, urlsplit

from harness.calls.http_answer import MOST_HEAD_BYTES, HttpAnswer

if TYPE_CHECKING:
    import ssl

    _Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]

PORTS = {"http": 80, "https": 443}
KEPT_S = 15.0  # less than what servers, and routers between, keep a silent connection
CONNECT_S = 10.0  # three lost packets are sent again by then, after 1, 3 and 7 seconds (RFC 6298)
# Kept connections that end over their next request, before a server of which few do not is taken for one that
# keeps none.
FORGIVEN = 2
NEXT_ADDRESS_S = 0.25  # without a connection, until the next address of a name is tried beside (RFC 8305)
RESOLVED_S = 10.0  # that the addresses of a name are remembered
_PATH = "/%:@!$&'()*+,;=~"  # what a path may hold as it is, beside letters and digits


class HttpClient:
    """Connections to the host of one URL. Used from one event loop.

    headers: sent with every request. kept_s: a connection that was idle for longer is not used again, since
    it may have died without a word. connect_s: that a new one may take. proxy: the http address of one that
    all goes through.
    Raises ValueError for what is no http or https address, or no header.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        kept_s: float = KEPT_S,
        connect_s: float = CONNECT_S,
        proxy: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("no address: expected http:// or https://, then a host")
        via = urlsplit(proxy) if proxy else None
        first = via or parts
        self._host, self._encrypted = _ascii(parts.hostname), parts.scheme == "https"
        self._first = _ascii(first.hostname or ""), first.port or PORTS[first.scheme]
        self._head = _head(parts, self._host, headers, None if self._encrypted else via)
        self._opening = _opening(parts, self._host, via) if via and self._encrypted else b""
        self._is_named = via is not None or not _is_address(self._host)
        self._kept_s, self._connect_s = kept_s, connect_s
        self._context: ssl.SSLContext | None = None
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._reused = self._cut = 0  # connections that were used again, and those that ended over it
        self._resolving = asyncio.Lock()
        self._resolved: tuple[float, Sequence[_Address]] | None = None

    async def connection(self) -> HttpConnection:
        """A connection of one's own until it is released. Raises OSError when none comes about."""
        now, keeps = asyncio.get_running_loop().time(), 2 * self._cut <= self._reused + FORGIVEN
        while self._idle:  # the youngest first: the others are left to end
            kept = self._idle.pop()
            if keeps and kept.usable_since(now - self._kept_s):
                self._reused += 1
                kept.on_cut = self._on_cut
                return kept
            kept.abort()
        try:
            async with asyncio.timeout(self._connect_s):
                return await self._connect()
        except TimeoutError as error:
            raise TimeoutError(f"none in {self._connect_s:g} s") from error

    async def close(self) -> None:
        """Close all connections."""
        closing = list(self._open)
        for connection in closing:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in closing))

    def _on_cut(self) -> None:
        self._cut += 1

    async def _connect(self) -> HttpConnection:
        loop, connection = asyncio.get_running_loop(), HttpConnection(self._head, self._open, self._idle)
        context = self._tls() if self._encrypted else None
        name = self._host if self._encrypted else None
        if self._is_named:
            from aiohappyeyeballs import start_connection

            addresses = await self._addresses()
            taken = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1)
            if self._opening:
                await _open_tunnel(taken, self._opening)
            await loop.create_connection(lambda: connection, sock=taken, ssl=context, server_hostname=name)
        else:
            await loop.create_connection(lambda: connection, *self._first, ssl=context, server_hostname=name)
        return connection

    async def _addresses(self) -> Sequence[_Address]:
        """What the name of the host, or of its proxy, stands for; asked once for all at a time."""
        loop = asyncio.get_running_loop()
        async with self._resolving:
            if self._resolved is None or self._resolved[0] < loop.time() - RESOLVED_S:
                found = await loop.getaddrinfo(*self._first, type=socket.SOCK_STREAM)
                self._resolved = loop.time(), found
            return self._resolved[1]

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context


class HttpConnection(asyncio.Protocol):
    """One connection: a request, its answer, and then the next.

    head: of a request, up to the length of its body. open_ones, idle: where it is noted while it is open, and
    while nobody has it. closed: done when the connection is no more.
    """

    def __init__(self, head: bytes, open_ones: set[HttpConnection], idle: list[HttpConnection]) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = head
        self._open = open_ones
        self._idle = idle
        self._idle_since = 0.0
        self._look: Callable[[int], Sequence[object]] | None = None
        self.on_cut: Callable[[], None] | None = (
            None  # told when it was kept, and ends before its next answer
        )
        self._transport: asyncio.Transport
        self._answer: HttpAnswer | None = None
        self._lost: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None

    # -- for whoever has it

    async def post(self, body: bytes) -> HttpAnswer:
        """Send a request; gives its answer when the head of it has come.

        Raises OSError when the line breaks, here and in all that follows: the request may have arrived.
        """
        if self._ended():
            raise self._lost or ConnectionError("the server closed the connection")
        answer = self._answer = HttpAnswer()
        self._transport.write(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        try:
            while not answer.status:
                await self._more()
        except OSError:
            if self.on_cut is not None and not answer.begun:
                self.on_cut()
            raise
        return answer

    async def read(self) -> bytes:
        """What the body of the answer has yet to bring, whole."""
        answer = self._answer
        assert answer is not None, "an answer is read between its request and the release"
        while not answer.ended:
            await self._more()
        return answer.take()

    async def piece(self) -> bytes:
        """What has come of the body since the last time, as soon as there is something; empty: it was all."""
        answer = self._answer
        assert answer is not None, "an answer is read between its request and the release"
        while not (piece := answer.take()) and not answer.ended:
            await self._more()
        return piece

    def release(self) -> None:
        """Give the connection back; unless its answer is whole and says nothing against it, it ends here."""
        answer, self._answer = self._answer, None
        if answer is not None and answer.ended and answer.reusable and not self._ended():
            self._idle_since = asyncio.get_running_loop().time()
            self._idle.append(self)
        else:
            self.abort()

    def usable_since(self, moment: float) -> bool:
        """Whether it is open, and was used after this moment of the loop's time."""
        return self._idle_since >= moment and not self._ended() and not self._has_news()

    def _has_news(self) -> bool:
        """Whether its end, or anything nobody asked for, is here already, and the loop has yet to read it."""
        if self._look is None:
            line = self._transport.get_extra_info("socket")
            if hasattr(select, "poll"):
                poll = select.poll()
                poll.register(line.fileno(), select.POLLIN)
                self._look = poll.poll
            else:  # Windows has none, and no bound of its own for the numbers of files
                self._look = lambda _: select.select([line.fileno()], [], [], 0)[0]
        return bool(self._look(0))

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _ended(self) -> bool:
        # uvloop refuses to write on what is being closed, also before it says that it is.
        return self._lost is not None or self._transport.is_closing()

    async def _more(self) -> None:
        """Wait until more of the answer has come."""
        if self._lost is not None:
            raise self._lost
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting

    # -- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        # An answer may take minutes, and what lies between forgets connections that are silent.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._answer is None:  # nobody asked: the next answer must not begin with it
            self.abort()
            return
        try:
            self._answer.feed(data)
        except ConnectionError as error:
            self._lost = error
            self.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._open.discard(self)
        lost = exc or ConnectionError("the server closed the connection")
        if self._answer is not None and not self._answer.ended:
            try:
                self._answer.close()
            except ConnectionError as error:
                lost = exc or error
        self._lost = self._lost or lost
        self._wake()
        self.closed.set_result(None)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def _open_tunnel(line: socket.socket, opening: bytes) -> None:
    """Have the proxy at the other end of this line lead on to the server (RFC 9110, section 9.3.6)."""
    loop, answer = asyncio.get_running_loop(), HttpAnswer()
    try:
        await loop.sock_sendall(line, opening)
        while not answer.status:
            data = await loop.sock_recv(line, MOST_HEAD_BYTES)
            if not data:
                answer.close()
            answer.feed(data)
    except BaseException:
        line.close()
        raise
    if not 200 <= answer.status < 300:
        line.close()
        raise ConnectionError(f"the proxy refused to connect, with status {answer.status}")


def _opening(parts: SplitResult, host: str, via: SplitResult) -> bytes:
    """What asks a proxy for a line to this host."""
    shown = f"{_shown(host)}:{parts.port or PORTS[parts.scheme]}"
    return _lines(f"CONNECT {shown} HTTP/1.1", {"Host": shown, **_basic("Proxy-Authorization", via)}, "", "")


def _head(parts: SplitResult, host: str, headers: Mapping[str, str], via: SplitResult | None) -> bytes:
    """The head of every request, up to the length of its body. via: the proxy that reads it first."""
    shown = _shown(host)
    if parts.port not in (None, PORTS[parts.scheme]):
        shown = f"{shown}:{parts.port}"
    lines = {"Host": shown, **_basic("Authorization", parts), **headers}
    place = quote(parts.path or "/", safe=_PATH)
    if parts.query:
        place += f"?{quote(parts.query, safe=_PATH + '?')}"
    if via is not None:
        place = f"{parts.scheme}://{shown}{place}"
        lines |= _basic("Proxy-Authorization", via)
    return _lines(f"POST {place} HTTP/1.1", lines, "Content-Length: ")


def _lines(first: str, headers: Mapping[str, str], *last: str) -> bytes:
    if any(not value.isprintable() for value in headers.values()):
        raise ValueError("a header with a line break or another sign that cannot be printed")
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), *last]).encode()


def _basic(name: str, parts: SplitResult) -> dict[str, str]:
    """This header, with the user that an address names; nothing where it names none."""
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {name: f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
