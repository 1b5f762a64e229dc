"""Promises of the scorers that compare texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.records import Sample
from harness.scores.scorer import Answer
from harness.scores.text import REGEX_READS_CHARACTERS, Contains, Exact, IContains, Regex, StartsWith


def test_a_score_names_sample_repeat_scorer_and_version(answer):
    """A score can be traced to the answer and to the rule that judged it."""
    score = Exact(name="strict").score(answer("yes", "yes"))
    assert (score.sample_id, score.repeat, score.scorer, score.version) == ("s1", 2, "strict", 1)
    assert (score.value, score.label, score.reason) == (1.0, None, "")


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        (" yes\n", "yes", 1),
        ("Yes", "yes", 0),
        ("yes.", "yes", 0),
        ("", "", 1),
        ("", "yes", 0),
        ("4", 4, 1),
        ("4.5", 4.5, 1),
        ("true", True, 1),
        ("no", ["yes", "no"], 1),
        ("caf\u00e9", "cafe\u0301", 1),
    ],
)
def test_exact_is_strict_but_for_space_and_composition(answer, text, target, value):
    """Every character counts; white space at the ends, and how an accent is encoded, do not."""
    assert Exact().score(answer(text, target)).value == value


@pytest.mark.parametrize("text", ["STRASSE", "Straße", "\uff33trasse"])
def test_exact_can_ignore_case_and_width(answer, text):
    """Case folding is Unicode's: sharp s is ss, and a full-width letter is the letter."""
    assert Exact(ignore_case=True).score(answer(text, "strasse")).value == 1


def test_exact_can_keep_white_space(answer):
    """Without `strip`, a trailing line end is a difference."""
    assert Exact(strip=False).score(answer("yes\n", "yes")).value == 0


@pytest.mark.parametrize("target", [None, {"label": "x"}, [], ["a", None], [["a"]]])
@pytest.mark.parametrize("scorer", [Exact(), Contains(), Regex("(a)")])
def test_a_target_that_is_no_text_leaves_the_sample_unscored(answer, scorer, target):
    """Nobody could judge it, which is not the same as wrong; the reason says so."""
    score = scorer.score(answer("a", target))
    assert score.value is None
    assert "target" in score.reason


@given(st.text(max_size=50))
@settings(deadline=None)
def test_exact_finds_every_text_equal_to_itself(text):
    """Whatever a model writes, it equals itself."""
    sample = Sample(id="s", inputs={}, target=text, split="search")
    for scorer in (Exact(), Exact(ignore_case=True), Exact(strip=False)):
        assert scorer.score(Answer(sample=sample, text=text)).value == 1


@pytest.mark.parametrize(
    ("scorer", "text", "target", "value"),
    [
        (Contains(), "It is Paris.", "Paris", 1),
        (Contains(), "It is paris.", "Paris", 0),
        (Contains(ignore_case=True), "It is PARIS.", "Paris", 1),
        (Contains(), "It is Rome.", ["Paris", "Rome"], 1),
        (Contains(require="all"), "It is Rome.", ["Paris", "Rome"], 0),
        (Contains("refund"), "a refund is due", None, 1),
        (Contains(("refund", "sorry")), "a refund is due", None, 0),
        (Contains(("refund", "sorry"), require="any"), "a refund is due", "ignored", 1),
        (Contains(("refund", "sorry"), require="any"), "no", None, 0),
    ],
)
def test_contains_looks_for_its_texts_or_the_target(answer, scorer, text, target, value):
    """All of its own texts, any of the alternatives in a target, unless `require` says otherwise."""
    assert scorer.score(answer(text, target)).value == value


def test_contains_says_what_is_missing(answer):
    """A reader of the per-sample table sees which text was not there."""
    assert Contains(("refund", "sorry")).score(answer("a refund")).reason == "not in the answer: 'sorry'"


def test_contains_leaves_an_empty_target_unscored(answer):
    """An empty text is in every answer, so it can prove nothing."""
    assert Contains().score(answer("anything", "")).value is None


@pytest.mark.parametrize("texts", ["", ("a", "")])
def test_contains_refuses_an_empty_text(texts):
    """A scorer that passes everything is a mistake in the spec."""
    with pytest.raises(UsageError, match="empty text is in every answer"):
        Contains(texts)


@pytest.mark.parametrize(
    ("scorer", "text", "target", "value"),
    [
        (Regex(r"^\{.*\}$"), '{"a": 1}', None, 1),
        (Regex(r"^\{.*\}$"), 'Sure: {"a": 1}', None, 0),
        (Regex("yes"), "YES", None, 0),
        (Regex("yes", ignore_case=True), "YES", None, 1),
        (Regex(r"(?:####|=)\s*(.*)"), "2 + 2\n#### 4 ", "4", 1),
        (Regex(r"#### (\d+)"), "#### 5", "4", 0),
        (Regex(r"#### (\d+)"), "4", "4", 0),
        (Regex(r"#### (\d+)"), "#### 4 #### 5", ["5"], 0),
        (Regex(r"#### (\d+)", pick="last"), "#### 4 #### 5", ["5"], 1),
        (Regex(r"is (\w+)", ignore_case=True), "It is paris", "Paris", 1),
        (Regex("a(b)?"), "a", "b", 0),
    ],
)
def test_regex_matches_or_compares_its_first_group(answer, scorer, text, target, value):
    """Without a group a match is enough; with one, its text has to be the target."""
    assert scorer.score(answer(text, target)).value == value


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (0, 2 * REGEX_READS_CHARACTERS, 1),
        (2 * REGEX_READS_CHARACTERS, 0, 1),
        (REGEX_READS_CHARACTERS, REGEX_READS_CHARACTERS, 0),
        (REGEX_READS_CHARACTERS // 2, REGEX_READS_CHARACTERS // 2 - 1, 1),
    ],
)
def test_regex_reads_both_ends_of_a_long_answer(answer, before, after, value):
    """Answers begin or end with what was asked for; the middle of a very long one is not read."""
    text = "." * before + "x" + "." * after
    assert Regex("x").score(answer(text)).value == value


def test_regex_finds_nothing_across_the_cut(answer):
    """What stands before and after the part left out are not neighbours."""
    half = REGEX_READS_CHARACTERS // 2
    assert Regex("ab").score(answer("." * (half - 1) + "a" + "-" * half + "b" + "." * (half - 1))).value == 0


@pytest.mark.parametrize("pattern", ["(", "a{999999999999}", "[z-a]", ""])
def test_regex_refuses_a_bad_pattern_when_it_is_built(pattern):
    """A pattern that cannot work is found before any money is spent."""
    with pytest.raises(UsageError, match="pattern"):
        Regex(pattern)


@pytest.mark.parametrize(
    ("scorer", "text", "target", "value"),
    [
        (IContains(), "Please REFUND me", "refund", 1),
        (IContains(("refund", "sorry")), "Refund", None, 0),
        (Contains(), "Please REFUND me", "refund", 0),
        (StartsWith(), "  Yes, of course", "Yes", 1),
        (StartsWith(), "Well, yes", "Yes", 0),
        (StartsWith(("Yes", "Sure")), "Sure thing", None, 1),
        (StartsWith("yes", ignore_case=True), "YES", None, 1),
        (StartsWith(), "no", ["yes", "no"], 1),
        (StartsWith(), "yes", None, None),
        (StartsWith(), "yes", "", None),
    ],
)
def test_contains_whatever_the_case_and_starts_with(answer, scorer, text, target, value):
    """As promptfoo's icontains and starts-with; without a usable target, unscored."""
    score = scorer.score(answer(text, target))
    assert score.value == value
    assert bool(score.reason) == (value != 1)


@pytest.mark.parametrize("texts", ["", ("a", "")])
def test_starts_with_refuses_an_empty_text(texts):
    """Every answer begins with it."""
    with pytest.raises(UsageError, match="every answer begins with an empty text"):
        StartsWith(texts)
