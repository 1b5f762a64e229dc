"""How answers are read, whichever lane they came through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.reading import MOST_TOKENS, StreamedText, answer_of, count, reason_of


class Ticking:
    """A clock that is a second further each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """The next second."""
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("billing", "billing"),
        ("", ""),
        ("<think>Orders?</think>billing", "billing"),
        ("\n<think>\nOrders?\n</think>\n\nbilling\n", "\n\nbilling\n"),
        ("<think>\n\n</think>\n\nbilling", "\n\nbilling"),
        ("<thinking>Orders?</thinking>billing", "billing"),
        ("<think>a</think><think>b</think>billing", "billing"),
        ("<think>1 < 2 > 0</think>x > y", "x > y"),
        # Cut off, or ended, before anything was answered.
        ("<think>It may be orders, or", ""),
        ("<think>It may be orders.</think>", ""),
        # The template opens the block in the prompt, so that only its end is said.
        ("It may be orders.\n</think>\n\nbilling", "\n\nbilling"),
    ],
)
def test_thoughts_before_an_answer_are_left_out(text, answer):
    """What follows them stays to the letter."""
    assert answer_of(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "I think > you think",
        "The tag </think> ends thoughts, and <think> begins them.",
        "Write `<think>` first, and then\n</think>",
        "billing <think>is it?</think>",
        "<thinker>x</thinker>",
        "a\n</thinking>b",
    ],
)
def test_what_is_no_thought_stays(text):
    """An answer may speak of thoughts, and of tags."""
    assert answer_of(text) == text


WORDS = ["<think>", "</think>", "<thinking>", "</thinking>", "\n", " ", "billing", ">", "<"]
THOUGHTFUL = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
# What litellm takes out of an answer that is not streamed.
ITS_OWN = re.compile(r"<(?:think|thinking)>(.*?)</(?:think|thinking)>(.*)", re.DOTALL)


@given(THOUGHTFUL)
def test_thoughts_that_were_left_out_before_make_no_difference(text):
    """litellm leaves some out by itself: through it, the answer is the same."""
    before = ITS_OWN.match(text)
    assert answer_of(before[2] if before else text) == answer_of(text)


@given(THOUGHTFUL, st.data())
def test_a_text_in_pieces_is_the_same_text(text, data):
    """However it is cut; it has a first token where there is an answer, and it is one of its pieces."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[low:high] for low, high in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    streamed = StreamedText(Ticking(), 0.0)
    for piece in pieces:
        streamed.add(piece)
    assert streamed.answer() == answer_of(text)
    assert streamed.begun == bool(text)
    if streamed.answer():
        assert streamed.first_token_s is not None


@pytest.mark.parametrize(
    ("pieces", "asked"),
    [
        (["", "bil", "ling"], 1),
        (["a", ">", "b"], 1),
        (["<think>", "Orders?", "</think>", "bil", "ling"], 2),
        (["<", "think", ">", "Orders", "</", "think", ">", "bil", "ling"], 3),
        (["<think>Orders?</think>bil", "ling"], 1),
        (["Orders?\n", "</think>", "bil", "ling"], 2),
        (["I ", "think", ">", "so"], 1),
    ],
)
def test_the_first_token_is_that_of_the_answer(pieces, asked):
    """Thoughts before it are timed until they are known to be some; the clock was asked so often by then."""
    clock = Ticking()
    streamed = StreamedText(clock, 0.0)
    for piece in pieces:
        streamed.add(piece)
    assert streamed.first_token_s == asked == clock.now


@pytest.mark.parametrize("stated", [0, 1, MOST_TOKENS - 1])
def test_a_possible_count_is_taken(stated):
    """Both ends included."""
    assert count(stated) == count(str(stated)) == count(float(stated)) == stated


@pytest.mark.parametrize(
    "stated",
    [
        *(None, True, False, [], {}),
        *("", "12a", " 12", "1e3", "-1", "\uff11\uff12", "12.5", "9" * 5000),
        *(-1, MOST_TOKENS, -1.0, 12.5, 1e300, float("nan"), float("inf")),
    ],
    ids=repr,
)
def test_anything_else_is_no_count(stated):
    """It is unknown, and booked at its worst."""
    assert count(stated) is None


@pytest.mark.parametrize("word", ["stop", "length", "content_filter", "tool_calls", "something new"])
def test_a_reason_that_all_have_or_that_is_new_stays(word):
    """What is unknown here is not made a regular end."""
    assert reason_of(word) == word


@pytest.mark.parametrize("word", [None, "", 3, {"type": "stop"}])
def test_what_is_no_word_is_no_reason(word):
    """It cannot be stored."""
    assert reason_of(word) is None
