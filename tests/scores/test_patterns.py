"""Patterns that could keep a run waiting for ever are found by looking at them."""

from __future__ import annotations

import re

import pytest

from harness.errors import UsageError
from harness.scores.patterns import repeats_ambiguously
from harness.scores.text import Regex

AMBIGUOUS = [
    r"(a+)+$",
    r"(a*)*",
    r"(a|a)*",
    r"(a?)+",
    r"(a?){0,30}a{30}",
    r"(a{1,3}){5}",
    r"(\w+\s?)+",
    r"(?:\s*\w+)*",
    r"(.*a)+",
    r"(?:.*?foo)+$",
    r"(.|\s)*",
    r"(?:a|b|ab)*",
    r"(x+x+)+y",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?=(a+)+$)b",
    r"(?>(a+)+b)",
    r"(a)(\1?)*",
    r"(?:(a)?(?(1)b|a))*",
    r"(?:(a)?(?(1)b))*",
    r"(é+)+",
]
CLEAR = [
    r"\d+",
    r"^\{.*\}$",
    r"(?:####|=)\s*(.*)",
    r"(?:\w+, )*\w+",
    r"(?:-?\d)+",
    r'"(?:[^"\\]|\\.)*"',
    r"\d{1,3}(?:,\d{3})*(?:\.\d+)?",
    r"(a++)+",
    r"(?:a++b?)*",
    r"(?>a+)*",
    r".*a.*b",
    r"(?:foo|bar){2,5}",
    r"(a|ab)*c",
    r"(?i:(A|a)+)",
    r"(?s).*?</think>(.*)",
    r"(?m)^answer: (.+)$",
    r"(\w)\1",
    r"(a)?(?(1)b|c)",
    r"(?:\r?\n)+",
    r"(?:(?!END).)*END",
]


@pytest.mark.parametrize("pattern", AMBIGUOUS)
def test_a_repeat_that_can_be_shared_out_in_two_ways_is_found(pattern):
    """Each of these takes exponential time on some text, or may."""
    assert repeats_ambiguously(pattern)


@pytest.mark.parametrize("pattern", CLEAR)
def test_a_pattern_whose_next_character_decides_is_clear(pattern):
    """What people write is taken: separators, optional signs, possessive parts, repeats in a row."""
    assert not repeats_ambiguously(pattern)


def test_flags_count():
    """Regardless of case, A and a are one letter."""
    assert not repeats_ambiguously("(?:a+A)+")
    assert repeats_ambiguously("(?:a+A)+", re.IGNORECASE)
    assert repeats_ambiguously("(?i)(?:a+A)+")
    assert repeats_ambiguously("(?i:(?:a+A)+)")


def test_the_scorer_refuses_a_hostile_pattern_when_it_is_built():
    """Before any money is spent; the message shows what to write instead."""
    with pytest.raises(UsageError, match=r"\(a\+\)\+\$.*could take for ever.*\(a\+\+\)\+"):
        Regex("(a+)+$")


def test_a_clear_pattern_takes_its_time_on_a_hostile_text_only_by_length(answer):
    """The possessive form of the hostile pattern ends on the text that would hang the other."""
    assert Regex("(?:a++)+$").score(answer("a" * 40 + "!")).value == 0
