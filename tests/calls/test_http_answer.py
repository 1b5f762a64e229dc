"""One HTTP answer: read the same however it is cut, and as the standard library reads it."""

from __future__ import annotations

import gzip
import http.client
import io
import itertools
import zlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.http_answer import MOST_BODY_BYTES, MOST_HEAD_BYTES, HttpAnswer

HEAD = b"HTTP/1.1 200 OK\r\n"


def read(raw: bytes, *, cuts=(), close=False) -> HttpAnswer:
    """The answer in these bytes. cuts: where they are cut. close: the connection ends after them."""
    answer = HttpAnswer()
    for start, end in itertools.pairwise([0, *sorted(cuts), len(raw)]):
        answer.feed(raw[start:end])
    if close:
        answer.close()
    return answer


class Line(io.BytesIO):
    """A socket that the standard library can read."""

    def makefile(self, *_):
        """The bytes themselves."""
        return self


@dataclass(frozen=True)
class Message:
    """An answer on the wire. closes: its body ends with the connection."""

    raw: bytes
    closes: bool


BODIES = st.binary(max_size=300)
NAMES = st.sampled_from(["Content-Type", "Retry-After", "x-odd", "Set-Cookie"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@st.composite
def messages(draw) -> Message:
    """Any answer, its body counted, in chunks, or up to the end of the connection."""
    status = draw(st.sampled_from([200, 201, 400, 404, 429, 500, 529]))
    lines = [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))]
    head = f"HTTP/1.1 {status} {draw(st.sampled_from(['OK', '', 'Not so good']))}"
    body, framing = draw(BODIES), draw(st.sampled_from(["counted", "chunks", "to the end"]))
    if framing == "counted":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunks":
        lines.append("Transfer-Encoding: chunked")
        sizes = draw(st.lists(st.integers(1, 50), min_size=1))
        body = in_chunks(body, sizes, draw(st.booleans()))
    raw = "\r\n".join([head, *lines, "", ""]).encode() + body
    return Message(raw, framing == "to the end")


def in_chunks(body: bytes, sizes: list[int], extras: bool) -> bytes:
    """The body in chunks of these sizes, over and over. extras: with extensions and a trailer."""
    raw, start, turn = b"", 0, 0
    while start < len(body):
        chunk = body[start : start + sizes[turn % len(sizes)]]
        raw += b"%X%s\r\n%s\r\n" % (len(chunk), b';name="value"' if extras else b"", chunk)
        start, turn = start + len(chunk), turn + 1
    return raw + b"0\r\n" + (b"X-Check: 1\r\n" if extras else b"") + b"\r\n"


@given(messages(), st.data())
def test_an_answer_is_read_as_the_standard_library_reads_it(message, data):
    """Status, headers and body are the same, wherever the bytes are cut."""
    cuts = data.draw(st.lists(st.integers(0, len(message.raw)), max_size=12))
    ours = read(message.raw, cuts=cuts, close=message.closes)
    theirs = http.client.HTTPResponse(Line(message.raw), method="POST")
    theirs.begin()
    assert ours.status == theirs.status
    for name, value in ours.headers.items():
        assert value == ", ".join(one.strip() for one in theirs.headers.get_all(name))
    assert len(ours.headers) == len({name.lower() for name in theirs.headers})
    assert ours.take() == theirs.read()
    assert ours.ended
    assert ours.reusable == (not message.closes)


@given(messages())
def test_an_answer_is_whole_with_its_last_byte_and_not_before(message):
    """Whoever waits for the rest waits as long as there is one, and no longer."""
    answer = read(message.raw[:-1])
    assert not answer.ended
    answer.feed(message.raw[-1:])
    assert answer.ended != message.closes
    assert answer.take() == read(message.raw, close=message.closes).take()


def test_pieces_can_be_taken_as_they_come():
    """A stream is read long before its end, also within a chunk."""
    answer = read(HEAD + b"Transfer-Encoding: chunked\r\n\r\n8\r\nbil")
    assert (answer.status, answer.take(), answer.take()) == (200, b"bil", b"")
    answer.feed(b"ling\n\r\n0\r\n\r\n")
    assert (answer.take(), answer.ended) == (b"ling\n", True)


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_answers_are_read_past(status):
    """The true answer follows them."""
    interim = b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % status
    answer = read(interim * 2 + HEAD + b"Content-Length: 2\r\n\r\nok")
    assert (answer.status, answer.headers, answer.take()) == (200, {"content-length": "2"}, b"ok")


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status):
    """Whatever length they state."""
    answer = read(b"HTTP/1.1 %d None\r\nContent-Length: 10\r\n\r\n" % status)
    assert (answer.ended, answer.reusable, answer.take()) == (True, True, b"")


@pytest.mark.parametrize(
    ("version", "said", "reusable"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.1", b"Connection: Close\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_a_connection_is_used_again_if_the_server_keeps_it(version, said, reusable):
    """By the version, unless a header says otherwise."""
    answer = read(b"HTTP/%s 200 OK\r\n%sContent-Length: 2\r\n\r\nok" % (version, said))
    assert (answer.ended, answer.reusable) == (True, reusable)


@pytest.mark.parametrize(
    "framed", [b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("apart", [True, False])
def test_more_than_the_answer_spoils_the_connection(framed, apart):
    """It would be taken for the beginning of the next answer, and somebody else's text be scored."""
    raw = HEAD + framed
    answer = read(raw + HEAD, cuts=[len(raw)] if apart else [])
    assert (answer.take(), answer.ended, answer.reusable) == (b"ok", True, False)


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "before"),
        (b"HTTP/1.1 20", "before"),
        (HEAD + b"Content-Length: 3\r\n\r\nok", "in the middle of"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "in the middle of"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "in the middle of"),
    ],
)
def test_an_answer_that_is_cut_off_is_told(raw, where):
    """Half an answer is never taken for a whole one."""
    with pytest.raises(ConnectionError, match=f"closed the connection {where} its answer"):
        read(raw, close=True)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        HEAD + b"Content-Length: 1_0\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nok\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
        HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nok",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
        HEAD + b"X: " + b"x" * MOST_HEAD_BYTES,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * (MOST_HEAD_BYTES + 1),
    ],
)
def test_what_is_no_answer_is_refused(raw):
    """At once: waiting for the end of it would only end with the time limit."""
    with pytest.raises(ConnectionError):
        read(raw)


@pytest.mark.parametrize("packed", [("gzip", gzip.compress), ("deflate", zlib.compress)])
@given(BODIES, st.data())
def test_a_packed_body_is_unpacked(packed, body, data):
    """It is not asked for, and some servers pack all the same."""
    coding, pack = packed
    raw = pack(body)
    head = b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(raw))
    message = HEAD + head + raw
    cuts = data.draw(st.lists(st.integers(0, len(message)), max_size=5))
    answer = read(message, cuts=cuts)
    assert (answer.take(), answer.ended) == (body, True)


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: %d\r\n\r\n" % (MOST_BODY_BYTES + 1),
        b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(MOST_BODY_BYTES + 1), 1),
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (1 << 30)
        + gzip.compress(bytes(MOST_BODY_BYTES + 1), 1),
    ],
    ids=["announced", "packed", "packed in chunks"],
)
def test_a_body_has_its_bounds(framed):
    """What one server says never fills the memory that all calls share, small as it may be on the wire."""
    with pytest.raises(ConnectionError, match=f"more than {MOST_BODY_BYTES} bytes"):
        read(HEAD + framed)


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_without_an_end_has_its_bounds(packed):
    """Also while its pieces are taken as they come, and behind the end of what was packed."""
    answer, piece = HttpAnswer(), bytes(1 << 20)
    answer.feed(HEAD + (b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"ok") if packed else b"\r\n"))
    for _ in range(MOST_BODY_BYTES // len(piece) - 1):
        answer.feed(piece)
        answer.take()
    with pytest.raises(ConnectionError, match="more than"):
        answer.feed(piece * 2)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (b"Content-Type: application/json\r\n", "application/json"),
        (b"content-type: Text/Event-Stream; charset=utf-8\r\n", "text/event-stream"),
        (b"", ""),
    ],
)
def test_the_kind_of_a_body_is_told_without_its_parameters(header, kind):
    """In small letters; empty when it is not stated."""
    assert read(HEAD + header + b"Content-Length: 0\r\n\r\n").content_type == kind
