"""HTTP/1.1 requests out of bytes, as clients of language models send them.

In: bytes in any portions. Out: whole requests, in order, with decoded bodies. Knows no sockets and no
time, and looks at no more of a request than a simulator needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_HEAD = 64 * 1024
LONGEST_BODY = 64 * 1024 * 1024
_METHOD = re.compile(rb"[A-Z]{1,20}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete. head: request line and headers as they came, without the empty line."""

    method: str
    path: str
    query: str
    head: bytes
    body: bytes
    keep_alive: bool

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its case; `None` when it was not sent."""
        value = _header(self.head, self.head.lower(), b"\r\n" + name.lower().encode() + b":")
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no request; the connection is of no use any more. status: to answer with."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class _Head:
    raw: bytes
    method: str
    target: str
    length: int
    chunked: bool
    keep_alive: bool
    expects_continue: bool


class RequestReader:
    """Collects bytes and gives whole requests: `feed` what came, then `take` until it gives `None`."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._head: _Head | None = None
        self._body = bytearray()
        self._in_trailer = False
        self.expects_continue = False
        """Whether the client waits for "100 Continue" before it sends its body; reset it once said."""

    def __len__(self) -> int:
        """Bytes that wait to be taken."""
        return len(self._bytes)

    def feed(self, portion: bytes) -> None:
        """Add what came from the client."""
        self._bytes += portion

    def take(self) -> Request | Unreadable | None:
        """The next request; `None`: not all of it has come yet."""
        if self._head is None:
            head = self._take_head()
            if not isinstance(head, _Head):
                return head
            self._head = head
            self.expects_continue = head.expects_continue
        head = self._head
        body = self._take_chunks() if head.chunked else self._take_counted(head.length)
        if not isinstance(body, bytes):
            return body
        self._head = None
        self.expects_continue = False
        path, _, query = head.target.partition("?")
        return Request(head.method, path, query, head.raw, body, head.keep_alive)

    def _take_head(self) -> _Head | Unreadable | None:
        # An empty line before a request is forgiven (RFC 9112, 2.2).
        while self._bytes.startswith(b"\r\n"):
            del self._bytes[:2]
        end = self._bytes.find(b"\r\n\r\n")
        if end > LONGEST_HEAD or (end < 0 and len(self._bytes) > LONGEST_HEAD):
            return Unreadable(431, f"the headers are longer than {LONGEST_HEAD} bytes")
        if end < 0:
            return None
        raw = bytes(self._bytes[:end])
        del self._bytes[: end + 4]
        return _read_head(raw)

    def _take_counted(self, length: int) -> bytes | None:
        if len(self._bytes) < length:
            return None
        body = bytes(self._bytes[:length])
        del self._bytes[:length]
        return body

    def _take_chunks(self) -> bytes | Unreadable | None:
        """The body once its last chunk is there (RFC 9112, 7.1); extensions and trailers are ignored."""
        while True:
            end = self._bytes.find(b"\r\n")
            if end < 0:
                return None
            if self._in_trailer:
                del self._bytes[: end + 2]
                if end == 0:
                    body, self._body, self._in_trailer = bytes(self._body), bytearray(), False
                    return body
                continue
            digits = bytes(self._bytes[:end]).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
                return Unreadable(400, f"chunk size is {digits[:20]!r}, expected hexadecimal digits")
            size = int(digits, 16)
            if len(self._body) + size > LONGEST_BODY:
                return _too_large()
            if size and len(self._bytes) < end + 2 + size + 2:
                return None
            if size and not self._bytes.startswith(b"\r\n", end + 2 + size):
                return Unreadable(400, f"a chunk of {size} bytes does not end where it says")
            self._body += self._bytes[end + 2 : end + 2 + size]
            del self._bytes[: end + 2 + (size + 2 if size else 0)]
            self._in_trailer = size == 0


def _read_head(raw: bytes) -> _Head | Unreadable:
    line = raw.partition(b"\r\n")[0]
    parts = line.split(b" ")
    if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not _METHOD.fullmatch(parts[0]):
        return Unreadable(400, f"the request line is {line[:80]!r}, expected METHOD TARGET HTTP/1.1")
    lower = raw.lower()
    length = (_header(raw, lower, b"\r\ncontent-length:") or b"0").strip()
    if not length.isdigit():
        return Unreadable(400, f"Content-Length is {length[:20]!r}, expected digits")
    if int(length) > LONGEST_BODY:
        return _too_large()
    coding = (_header(raw, lower, b"\r\ntransfer-encoding:") or b"").lower()
    if coding not in (b"", b"chunked"):
        return Unreadable(501, f"Transfer-Encoding is {coding[:40]!r}, expected chunked")
    connection = (_header(raw, lower, b"\r\nconnection:") or b"").lower()
    old = parts[2] == b"HTTP/1.0"
    return _Head(
        raw=raw,
        method=parts[0].decode("ascii"),
        target=parts[1].decode("latin-1"),
        length=int(length),
        chunked=bool(coding),
        keep_alive=b"keep-alive" in connection if old else b"close" not in connection,
        expects_continue=b"\r\nexpect: 100-continue" in lower,
    )


def _header(raw: bytes, lower: bytes, marker: bytes) -> bytes | None:
    start = lower.find(marker)
    if start < 0:
        return None
    start += len(marker)
    end = raw.find(b"\r\n", start)
    return raw[start : end if end >= 0 else len(raw)].strip()


def _too_large() -> Unreadable:
    return Unreadable(413, f"the body is longer than {LONGEST_BODY} bytes")
