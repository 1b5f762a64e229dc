"""RequestReader: whole requests out of bytes, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.testing.http_requests import Request, RequestReader, Unreadable

COUNTED = b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Key: Ab C\r\n\r\nhello"
CHUNKED = (
    b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;extension=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
)
BARE = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


def taken(data: bytes, *cuts: int) -> list[Request | Unreadable]:
    """Everything that comes out of these bytes when they are fed in portions."""
    reader, found, begin = RequestReader(), [], 0
    for end in [*sorted(cuts), len(data)]:
        reader.feed(data[begin:end])
        begin = max(begin, end)
        while (request := reader.take()) is not None:
            found.append(request)
            if isinstance(request, Unreadable):
                return found
    return found


def test_a_request_is_read_in_full() -> None:
    """Path, query, headers and body come out as they were sent."""
    (request,) = taken(COUNTED)
    assert isinstance(request, Request)
    assert (request.method, request.path, request.query, request.body) == (
        "POST",
        "/v1/chat",
        "x=1",
        b"hello",
    )
    assert (request.header("x-key"), request.header("absent")) == ("Ab C", None)


def test_chunks_are_joined() -> None:
    """Extensions and trailers of a chunked body are no part of it."""
    (request,) = taken(CHUNKED)
    assert isinstance(request, Request)
    assert request.body == b"abc0123456789"


@given(st.lists(st.integers(0, len(COUNTED + CHUNKED + BARE) * 2), max_size=8))
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    """Pipelined requests come out alike, wherever the network cuts them."""
    stream = (COUNTED + CHUNKED + BARE) * 2
    assert taken(stream, *cuts) == taken(stream)
    assert [request.path for request in taken(stream, *cuts)] == ["/v1/chat", "/b", "/health"] * 2


@pytest.mark.parametrize(
    ("data", "keeps"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", True),
    ],
)
def test_who_keeps_the_connection(data: bytes, keeps: bool) -> None:
    """Version and Connection header decide; empty lines before a request are forgiven."""
    (request,) = taken(data)
    assert isinstance(request, Request)
    assert request.keep_alive is keeps


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_what_is_no_request_is_told(data: bytes, status: int) -> None:
    """Unreadable bytes get the status that says what is wrong with them."""
    (found,) = taken(data)
    assert isinstance(found, Unreadable)
    assert found.status == status


def test_a_client_that_waits_to_be_invited() -> None:
    """`Expect: 100-continue` is told before the body is there, and no longer afterwards."""
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert (reader.take(), reader.expects_continue) == (None, True)
    reader.feed(b"x")
    assert isinstance(reader.take(), Request)
    assert not reader.expects_continue
