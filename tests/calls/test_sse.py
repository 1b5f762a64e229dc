"""Server-sent events: the same events come out, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.sse import EventReader

LINE_ENDS = (b"\n", b"\r\n", b"\r")


def read(*chunks: bytes) -> list[bytes]:
    """The data of all events that these chunks complete."""
    reader = EventReader()
    return [data for chunk in chunks for data in reader.feed(chunk)]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_event_ends_with_an_empty_line(end):
    """Whichever way lines end."""
    assert read(b"data: one" + end * 2 + b"data: two" + end * 2) == [b"one", b"two"]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_event_comes_with_the_bytes_that_complete_it(end):
    """Not with the next ones: the time to the first token hangs on it."""
    reader = EventReader()
    assert reader.feed(b"data: on") == []
    assert reader.feed(b"e" + end) == []
    assert reader.feed(end) == [b"one"]
    assert reader.feed(end) == []


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data:one\n\n", [b"one"]),
        (b"data:  one \n\n", [b" one "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a: b\n\n", [b"a: b"]),
        (b"data\n\n", [b""]),
        (b": keep-alive\n\ndata: one\n: in between\n\n", [b"one"]),
        (b"event: message\nid: 7\nretry: 100\ndata: one\n\n", [b"one"]),
        (b"database: x\n\nData: y\n\n", []),
        (b"\xef\xbb\xbfdata: one\n\n\xef\xbb\xbfdata: two\n\n", [b"one"]),
        (b"\n\n\n\ndata: one\n\n\n\n", [b"one"]),
        (b"data: a\x0bb\xc2\x85c\xe2\x80\xa8d\n\n", [b"a\x0bb\xc2\x85c\xe2\x80\xa8d"]),
        (b"data: one\n", []),
        (b"data: one", []),
        (b"<html>\n\n</html>\n\n", []),
        (b"", []),
    ],
)
def test_lines_are_read_as_the_standard_says(raw, events):
    """Comments, other fields and half an event are no data; only three bytes sequences end a line."""
    assert read(raw) == events


LINES = st.lists(
    st.one_of(
        st.just(b""),
        st.just(b": comment"),
        st.text(st.characters(exclude_characters="\r\n"), max_size=9).map(
            lambda text: b"data: " + text.encode("utf-8", "surrogatepass")
        ),
    ).flatmap(lambda line: st.sampled_from(LINE_ENDS).map(lambda end: line + end)),
    max_size=12,
)


@given(LINES, st.data())
def test_the_cut_does_not_matter(lines, data):
    """Between any two bytes: within a letter of several bytes, and between the two of a line end."""
    raw = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    chunks = [raw[low:high] for low, high in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert read(*chunks) == read(raw)
    assert read(*(raw[i : i + 1] for i in range(len(raw)))) == read(raw)


def test_a_long_line_in_small_pieces_costs_no_square():
    """A megabyte, byte by byte, is kept in pieces until its end: the bytes are joined once."""
    reader = EventReader()
    reader.feed(b"data: ")
    assert not any(reader.feed(b"x") for _ in range(1_000_000))
    (data,) = reader.feed(b"\n\n")
    assert len(data) == 1_000_000
