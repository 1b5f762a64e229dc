"""Promises of the chunker."""

# ruff: noqa: RUF001 - texts of many scripts are what it is about

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.chunks import GAP, clipped, cut
from harness.errors import UsageError
from harness.plan.encodings import counter


def joined(chunks):
    """The text that these chunks were cut from, overlaps taken out."""
    return "".join(chunk.text[chunk.overlap :] for chunk in chunks)


STORY = (
    "Mr. Fogg left at 8.45 p.m. precisely. “Are we late?” asked Passepartout! The cab, hired for £2, "
    "rolled on… Nobody spoke.\n\nAt Charing Cross they met J. Forster, who had come to see them off. "
    "雨が降っていた。彼は傘を持っていなかった！それでも行った。\n \nThe end? No: 👩‍👩‍👧‍👦 waved, "
    "and so did 🇫🇷 flags. Zalgo t̷̛͝e̵x̶t͜ ended it.\r\n"
)
PAGE = """# Returns

Within 30 days.

## How

1. Print the label.
2. Hand the parcel in.

```python
def refund(order):

    return order.total
```

A table:

| item | days |
| --- | --- |
| lamp | 30 |

### Last
Ask us.
"""


def _words(text):
    return len(re.findall(r"\w+|[^\w\s]", text))


def _bytes(text):
    """As a tokenizer that writes a beginning and an end around every text."""
    return len(text.encode("utf-8", "surrogatepass")) + 2


def _o200k(text):
    return counter("o200k_base")(text)


COUNTS = {"words": _words, "bytes": _bytes, "o200k": _o200k}
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(["Hi. ", "No way! ", "wörd ", "e.g. ", "\n\n", "\n", "。", "🙂", "  ", "x" * 30]),
        max_size=60,
    ).map("".join),
    st.just(STORY),
    st.just(PAGE),
)


@given(
    TEXTS,
    st.integers(4, 60),
    st.integers(0, 30),
    st.sampled_from(["sentence", "paragraph", "markdown"]),
    st.sampled_from(["words", "bytes", "o200k"]),
)
@example("x" * 300, 20, 10, "sentence", "o200k")
@settings(deadline=None, max_examples=300)
def test_chunks_are_the_text_again_and_none_is_too_long(text, size, overlap, by, counted):
    """For any text, size, overlap, cut and tokenizer; overlaps are short enough, and of whole words."""
    count, overlap = COUNTS[counted], min(overlap, size // 2)
    size += 12  # room for a character of four bytes beside any overlap
    chunks = cut(text, size=size, overlap=overlap, by=by, count=count)
    assert joined(chunks) == text
    for chunk in chunks:
        assert count(chunk.text) <= size
        assert text[chunk.start :].startswith(chunk.text)
        assert len(chunk.text) > chunk.overlap
        assert count(chunk.text[: chunk.overlap]) - count("") <= overlap
        assert chunk.overlap == 0 or text[chunk.start - 1].isspace()


def _fewest(text, size, units, count):
    """The least number of chunks that any choice among these units' ends gives."""
    ends = [0]
    for unit in units:
        ends.append(ends[-1] + len(unit))
    best = [0] + [len(ends)] * (len(ends) - 1)
    for last in range(1, len(ends)):
        for first in range(last):
            if best[first] + 1 < best[last] and count(text[ends[first] : ends[last]]) <= size:
                best[last] = best[first] + 1
    return best[-1]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
    st.integers(9, 40),
    st.sampled_from(["words", "o200k"]),
)
@settings(deadline=None, max_examples=200)
def test_there_are_as_few_chunks_as_sentences_allow(lengths, size, counted):
    """Held against all ways to cut between sentences, none of which is too long."""
    count = COUNTS[counted]
    units = [f"{' '.join(['go'] * (length - 1)) or 'Go'} on. " for length in lengths]
    size = max(size, *(count(one) for one in units))
    text = "".join(units)
    chunks = cut(text, size=size, count=count)
    assert len(chunks) == _fewest(text, size, units, count)
    starts = {0}.union(len("".join(units[:place])) for place in range(len(units)))
    assert {chunk.start for chunk in chunks} <= starts


@given(st.integers(1, 400), st.integers(10, 60), st.integers(0, 5))
@settings(deadline=None, max_examples=200)
def test_the_last_chunk_is_no_crumb(words, size, overlap):
    """Chunks of words differ by a word or two, where packing from the front leaves a rest of any length."""
    chunks = cut("word " * words, size=size, overlap=overlap, count=_words)
    new = [_words(chunk.text[chunk.overlap :]) for chunk in chunks]
    assert max(new) - min(new) <= 2 + overlap
    assert len(chunks) == max(1, -(-(words - overlap) // (size - overlap)))


def test_1300_characters_make_three_chunks():
    """Not 23, twenty of them shrinking tails, as Eliza's splitter of 0.25 makes of them."""
    chunks = cut("abcdefghi " * 130, size=512, overlap=20, count=len)
    assert len(chunks) == 3
    assert [chunk.overlap for chunk in chunks] == [0, 20, 20]


def test_sentences_end_where_a_reader_ends_them():
    """Not after Mr., an initial or 8.45; East Asian ones without a blank; closing quotes belong to them."""
    chunks = cut(STORY, size=14, count=_words)
    assert [chunk.text for chunk in chunks][:3] == [
        "Mr. Fogg left at 8.45 p.m. precisely. ",
        "“Are we late?” asked Passepartout! ",
        "The cab, hired for £2, rolled on… Nobody spoke.\n\n",
    ]
    assert any(
        chunk.text.startswith("それでも") for chunk in cut(STORY, size=3, count=lambda text: len(text) // 4)
    )


def test_paragraphs_stay_whole_where_they_fit():
    """Cut at blank lines only, also where the blank line has blanks in it."""
    chunks = cut(STORY, size=50, count=_words, by="paragraph")
    assert [chunk.text[:6] for chunk in chunks] == ["Mr. Fo", "At Cha", "The en"]


def test_blocks_of_markdown_stay_whole_where_they_fit():
    """A heading stays with what follows, code with its blank line, a list and a table with their lines."""
    texts = [chunk.text for chunk in cut(PAGE, size=20, count=_words, by="markdown")]
    assert texts[0] == "# Returns\n\nWithin 30 days.\n\n"
    assert texts[1].startswith("## How\n\n1. Print")
    assert texts[2] == "```python\ndef refund(order):\n\n    return order.total\n```\n\nA table:\n\n"
    assert texts[3] == "| item | days |\n| --- | --- |\n| lamp | 30 |\n\n"
    assert texts[-1] == "### Last\nAsk us.\n"


def test_what_is_seen_as_one_character_stays_one():
    """A family of four, a flag, a letter with its marks: cut inside only when it alone is too long."""
    text = "👩‍👩‍👧‍👦🇫🇷🇩🇪é̷" * 20
    for chunk in cut(text, size=30, count=_bytes):
        assert chunk.text[0] in "👩🇫🇩e"
    assert joined(cut("👩‍👩‍👧‍👦", size=10, count=_bytes)) == "👩‍👩‍👧‍👦"


@pytest.mark.parametrize("overlap", [0, 200])
@pytest.mark.parametrize(
    "text",
    [
        (STORY * 20_000)[:5_000_000],
        "x9Q/" * 1_250_000,
        "word " * 100_000,
        "." * 500_000,
        "\n" * 500_000,
        "🙂" * 125_000,
    ],
    ids=["prose", "no blanks", "no sentences", "marks alone", "blank lines", "pictures"],
)
def test_megabytes_of_anything_are_looked_at_a_few_times(text, overlap):
    """Every character is counted 20 times at most, however the text is built: time grows with its length."""
    counted = 0

    def count(part):
        nonlocal counted
        counted += len(part)
        return (len(part.encode()) + 3) // 4

    chunks = cut(text, size=2_000, overlap=overlap, count=count)
    assert joined(chunks) == text
    assert max(count(chunk.text) for chunk in chunks) <= 2_000
    assert counted <= 20 * len(text)


def test_a_text_that_fits_is_one_chunk_and_none_is_none():
    """Blanks at its ends included."""
    assert [chunk.text for chunk in cut("  Short. Text.\n", size=10, count=_words)] == ["  Short. Text.\n"]
    assert cut("", size=10, count=_words) == ()


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (10, 6), (10, -1)])
def test_sizes_that_make_no_chunks_are_refused(size, overlap):
    """Nothing fits in 0 tokens, and more than half may not be said twice."""
    with pytest.raises(UsageError, match=f"chunks of {size} tokens with an overlap of {overlap}"):
        cut("text", size=size, overlap=overlap, count=_words)


def test_a_character_that_does_not_fit_is_told_with_its_place():
    """Instead of a chunk above the limit."""
    with pytest.raises(UsageError, match="the character '🙂' at 2 has more tokens than the 5"):
        cut("ab🙂", size=5, count=_bytes)


@given(
    st.text(max_size=200),
    st.integers(8, 40),
    st.sampled_from(["start", "end", "both"]),
    st.sampled_from(["bytes", "o200k"]),
)
@settings(deadline=None, max_examples=200)
def test_a_clipped_text_is_as_long_as_it_may_be(text, size, keep, counted):
    """Its start, its end or both, whole words where there are some; what fits is left alone."""
    count, size = COUNTS[counted], size + 20
    found = clipped(text, size=size, count=count, keep=keep)
    assert count(found) <= size
    if count(text) <= size:
        assert found == text
    elif keep == "both":
        first, last = found.split(GAP, 1) if found.count(GAP) == 1 else (text, text)
        assert text.startswith(first)
        assert text.endswith(last)
    else:
        assert text.startswith(found) if keep == "start" else text.endswith(found)


def test_words_that_fit_are_all_kept():
    """Ten of a hundred from either end; from both, four of each beside the mark between them."""
    text = "".join(f"w{number} " for number in range(100))

    def count(part):
        return len(part.split())

    assert clipped(text, size=10, count=count).split() == [f"w{number}" for number in range(10)]
    assert clipped(text, size=10, count=count, keep="end").split() == [
        f"w{number}" for number in range(90, 100)
    ]
    kept = clipped(text, size=10, count=count, keep="both").split()
    assert kept == ["w0", "w1", "w2", "w3", "[...]", "w96", "w97", "w98", "w99"]


def test_a_size_without_room_for_both_ends_is_refused():
    """And one without room for anything."""
    with pytest.raises(UsageError, match="too few for both ends"):
        clipped("a b c d", size=2, count=lambda text: len(text.split()), keep="both")
    with pytest.raises(UsageError, match="a size of at least 1"):
        clipped("a", size=0, count=len)
