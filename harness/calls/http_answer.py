"""One answer in HTTP/1.1, read from bytes that may be cut anywhere.

In: the bytes that a connection brings, and its end. Out: status, headers and body. It knows no sockets, and
nothing of what a body means.
Source: RFC 9112; as there, a connection ends where a length cannot be told, or more comes than was announced.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Literal, TypeAlias

MOST_HEAD_BYTES = 1 << 16  # of status line and headers, and of one line within a body
MOST_BODY_BYTES = (
    1 << 26
)  # unpacked; some four times the largest answer: 128 vectors of 4,096 numbers in JSON
_STATUS = re.compile(rb"HTTP/1\.(\d) (\d{3})(?: .*)?")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
_LENGTH = re.compile(r"\d{1,18}")
_ANY_WRAPPER = 32 + zlib.MAX_WBITS  # gzip's or zlib's, whichever it is
_BODILESS = (204, 304)

# What the next bytes of a body are.
_Part: TypeAlias = Literal["head", "counted", "to the end", "size", "chunk", "chunk end", "trailer", "none"]


class HttpAnswer:
    """The answer to one request, as far as it has come. begun: any byte of it. ended: it is whole.

    status: 0 until the head has come. headers: by name in small letters, those of one name joined by commas.
    reusable: the connection may carry another request afterwards.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = self.ended = False
        self.reusable = True
        self._part: _Part = "head"
        self._rest = bytearray()  # what has come and cannot be read yet
        self._left = 0  # bytes that this part of the body has yet to bring
        self._pieces: list[bytes] = []
        self._room = MOST_BODY_BYTES  # for what the body may yet bring
        self._unpack: Callable[[bytes, int], bytes] | None = None

    @property
    def content_type(self) -> str:
        """The kind of the body, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def take(self) -> bytes:
        """What has come of the body and was not taken before."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def feed(self, data: bytes) -> None:
        """Read on. Raises ConnectionError when it is no HTTP/1.1."""
        if self._part == "head":
            self.begun = True
            self._rest += data
            if not self._read_head():
                return
            data = bytes(self._rest)
            self._rest.clear()
        if self._part == "counted":
            self._read_counted(data)
        elif self._part == "to the end":
            self._add(data)
        elif self._part == "none":
            self.reusable = self.reusable and not data  # who says more than was asked may say anything
        else:
            self._rest += data
            self._read_chunks()

    def close(self) -> None:
        """The connection has ended. Raises ConnectionError when the answer is not whole."""
        if self._part == "to the end":
            self._end()
        if not self.ended:
            where = "before" if self.status == 0 else "in the middle of"
            raise ConnectionError(f"the server closed the connection {where} its answer")

    def _read_head(self) -> bool:
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            first, *lines = bytes(self._rest[:end]).split(b"\r\n")
            del self._rest[: end + 4]
            found = _STATUS.fullmatch(first)
            if found is None:
                raise ConnectionError(f"not HTTP/1.1: {first[:80]!r}")
            if found[2].startswith(b"1"):
                continue  # an interim answer: the true one follows
            self.headers = _headers(lines)
            self.status = int(found[2])
            self._begin_body(keeps=found[1] != b"0")
            return True
        if len(self._rest) > MOST_HEAD_BYTES:
            raise ConnectionError(f"a head of more than {MOST_HEAD_BYTES} bytes")
        return False

    def _begin_body(self, *, keeps: bool) -> None:
        said = self.headers.get("connection", "").lower()
        self.reusable = "close" not in said if keeps else "keep-alive" in said
        self._unpack = _unpacker(self.headers.get("content-encoding", ""))
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if self.status in _BODILESS:
            self._end()
        elif coding is not None:
            if coding.lower() != "chunked":
                raise ConnectionError(f"a transfer encoding {coding!r}, expected 'chunked'")
            self._part = "size"
        elif length is not None:
            if _LENGTH.fullmatch(length) is None:
                raise ConnectionError(f"a content length of {length!r}")
            self._part, self._left = "counted", int(length)
            if self._left > MOST_BODY_BYTES:
                raise _too_large()
        else:
            self._part, self.reusable = "to the end", False

    def _read_counted(self, data: bytes) -> None:
        if len(data) > self._left:
            data, self.reusable = data[: self._left], False
        self._left -= len(data)
        self._add(data)
        if not self._left:
            self._end()

    def _read_chunks(self) -> None:
        while not self.ended:
            if self._part == "chunk":
                piece = bytes(self._rest[: self._left])
                del self._rest[: len(piece)]
                self._left -= len(piece)
                self._add(piece)
                if self._left:
                    return
                self._part = "chunk end"
            line = self._line()
            if line is None:
                return
            self._read_line(line)
        self.reusable = self.reusable and not self._rest

    def _line(self) -> bytes | None:
        """The next line of a body in chunks; `None` until its end has come."""
        end = self._rest.find(b"\r\n")
        if end < 0:
            if len(self._rest) > MOST_HEAD_BYTES:
                raise ConnectionError("a body in chunks without their sizes")
            return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 2]
        return line

    def _read_line(self, line: bytes) -> None:
        if self._part == "trailer":
            if not line:
                self._end()
        elif self._part == "chunk end":
            if line:
                raise ConnectionError("a chunk that is longer than its size")
            self._part = "size"
        else:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise ConnectionError(f"a chunk of size {line[:20]!r}")
            self._left = int(size[1], 16)
            self._part = "chunk" if self._left else "trailer"

    def _add(self, piece: bytes) -> None:
        came = len(piece)
        if self._unpack is not None:
            try:
                # One byte more than there is room for tells that it is too much, and no further byte is made.
                piece = self._unpack(piece, self._room + 1)
            except zlib.error as error:
                raise ConnectionError(f"a body that cannot be unpacked: {error}") from error
        self._room -= max(came, len(piece))
        if self._room < 0:
            raise _too_large()
        if piece:
            self._pieces.append(piece)

    def _end(self) -> None:
        self.ended, self._part = True, "none"


def _too_large() -> ConnectionError:
    return ConnectionError(f"a body of more than {MOST_BODY_BYTES} bytes")


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise ConnectionError(f"a header without a colon: {line[:80]!r}")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _unpacker(coding: str) -> Callable[[bytes, int], bytes] | None:
    """What undoes this coding of a body, up to so many bytes; `None`: there is nothing to undo."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ConnectionError(f"a body in {coding!r}, which was not asked for")
    return zlib.decompressobj(_ANY_WRAPPER).decompress
