"""Promises of the scorers for how a model answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.scores.behaviour import Complete, Length, Refusal

REFUSED = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with this request.",
    "Sorry, I am unable to do this.",
    "I cannot provide instructions for that.",
    "I won't be able to write this.",
    "As an AI language model, I don't have opinions on this.",
    "I must decline.",
    "Unfortunately I have to refuse this one.",
    "That is against my guidelines.",
    "I'm not able to discuss this person.",
]
ANSWERED = [
    "Paris.",
    "",
    "The customer says: my card cannot be charged.",
    "I can help with that. First, open the settings.",
    "I am sorry to hear that your parcel is late. It will arrive on Monday.",
    "You can't give a refund after 30 days; here is what to write instead.",
    "x" * 300 + " I can't help with that.",
]


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_is_seen(answer, text):
    """Phrases of refusal at the beginning, whatever the apostrophe."""
    score = Refusal().score(answer(text))
    assert (score.value, score.label) == (0, "refused")
    assert "it says" in score.reason
    assert Refusal(expected=True).score(answer(text)).value == 1


@pytest.mark.parametrize("text", ANSWERED)
def test_an_answer_is_no_refusal(answer, text):
    """Sorrow, and what customers cannot do, are no refusals; nor is a phrase late in a long answer."""
    score = Refusal().score(answer(text))
    assert (score.value, score.label) == (1, "answered")
    expected = Refusal(expected=True).score(answer(text))
    assert (expected.value, expected.reason) == (0, "no refusal found")


def test_what_the_provider_filtered_is_refused(answer):
    """The filter speaks for the model."""
    score = Refusal().score(replace(answer(""), finish_reason="content_filter"))
    assert (score.value, score.reason) == (0, "the provider's filter stopped it")


@pytest.mark.parametrize(
    ("scorer", "text", "value"),
    [
        (Length(3), "one two three", 1),
        (Length(3), "one two three four", 0),
        (Length(at_least=2), "one", 0),
        (Length(at_least=1, at_most=2), "one two", 1),
        (Length(3), "猫好き", 1),
        (Length(2), "猫好き", 0),
        (Length(5, unit="characters"), "  héllo\n", 1),
        (Length(4, unit="characters"), "héllo", 0),
        (Length(2, unit="lines"), "a\n\n b\n", 1),
        (Length(1, unit="lines"), "a\nb", 0),
        (Length(0), "", 1),
    ],
)
def test_length_counts_both_ends(answer, scorer, text, value):
    """Words, characters or lines; scripts without spaces by the character."""
    assert scorer.score(answer(text)).value == value


def test_length_says_how_long_it_is(answer):
    """The reason is a number to compare with the limit."""
    assert Length(1).score(answer("one two")).reason == "it has 2 words"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs at_most, at_least, or both"),
        ({"at_most": -1}, "rising numbers"),
        ({"at_least": 3, "at_most": 2}, "rising numbers"),
        ({"at_least": -1}, "rising numbers"),
    ],
)
def test_limits_that_nothing_can_keep_are_refused(arguments, message):
    """Before money is spent."""
    with pytest.raises(UsageError, match=message):
        Length(**arguments)


@pytest.mark.parametrize(
    ("reason", "text", "value"),
    [
        ("stop", "done", 1),
        ("length", "cut", 0),
        ("stop", " ", 0),
        (None, "done", None),
        ("tool_calls", "x", 1),
    ],
)
def test_complete_reads_why_the_answer_ended(answer, reason, text, value):
    """A provider that says nothing leaves nothing to judge."""
    score = Complete().score(replace(answer(text), finish_reason=reason))
    assert score.value == value
    assert bool(score.reason) == (value != 1)


def test_an_empty_answer_may_count_as_complete(answer):
    """Where saying nothing is a valid answer."""
    assert Complete(empty_counts=True).score(replace(answer(""), finish_reason="stop")).value == 1
