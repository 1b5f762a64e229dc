"""Promises of the scorers that compare the answers to one sample."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.scores.choice import Choice
from harness.scores.repeats import Consistency, Diversity
from harness.scores.scorer import target_label


@pytest.fixture(scope="module")
def answers(answer):
    """A function from texts to the answers of one sample, in order."""
    return lambda *texts: [replace(answer(text), repeat=place) for place, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "value", "label"),
    [
        (("Paris", "paris ", "PARIS"), 1, "paris"),
        (("Paris", "Paris", "Rome"), 1 / 3, "paris"),
        (("a", "b", "c"), 0, "a"),
        (("a", "b", "b", "a"), 2 / 6, "a"),
        (("", ""), 1, ""),
    ],
)
def test_consistency_of_hand_worked_cases(answers, texts, value, label):
    """Of three answers, two alike make one pair of three."""
    score = Consistency().score_repeats(answers(*texts))
    assert score.value == pytest.approx(value, abs=1e-9)
    assert (score.label, score.repeat) == (label, 0)
    assert bool(score.reason) == (value < 1)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=8), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_consistency_is_the_share_of_agreeing_pairs_in_any_order(answers, texts, random_):
    """Counted pair by pair; the order of the repeats tells nothing."""
    pairs = list(combinations(texts, 2))
    found = Consistency().score_repeats(answers(*texts))
    assert found.value == pytest.approx(sum(one == other for one, other in pairs) / len(pairs), abs=1e-9)
    mixed = list(texts)
    random_.shuffle(mixed)
    again = Consistency().score_repeats(answers(*mixed))
    assert (again.value, again.label) == (found.value, found.label)


def test_consistency_may_compare_labels(answers):
    """Two ways to say the same agree; answers without a label agree with nothing, not even each other."""
    scorer = Consistency(of=Choice(("yes", "no")))
    score = scorer.score_repeats(answers("Yes.", "The answer is yes", "maybe", "perhaps"))
    assert (score.value, score.label) == (pytest.approx(1 / 6), "yes")
    assert scorer.score_repeats(answers("hm", "well")).label is None


@pytest.mark.parametrize(
    ("n", "texts", "value"),
    [
        (1, ("a b", "a c"), 3 / 4),
        (2, ("a b c", "a b d"), 3 / 4),
        (2, ("same words here", "same words here"), 1 / 2),
        (1, ("one", "two"), 1),
        (2, ("猫が", "犬が"), 1),
    ],
)
def test_diversity_of_hand_worked_cases(answers, n, texts, value):
    """Distinct n-grams over all of them."""
    assert Diversity(n).score_repeats(answers(*texts)).value == pytest.approx(value, abs=1e-9)


def test_diversity_does_not_depend_on_the_order(answers):
    """Repeats come back in any order."""
    texts = ["red blue green", "blue green", "green red red", "blue"]
    values = set()
    for seed in range(6):
        random.Random(seed).shuffle(texts)
        values.add(Diversity().score_repeats(answers(*texts)).value)
    assert len(values) == 1


@pytest.mark.parametrize(
    ("scorer", "texts", "reason"),
    [
        (Consistency(), ("a",), "agrees with nothing"),
        (Diversity(), ("a b c",), "no diversity"),
        (Diversity(3), ("a b", "c"), "no answer has 3 words in a row"),
    ],
)
def test_too_little_to_compare_is_unscored(answers, scorer, texts, reason):
    """It is no 0."""
    score = scorer.score_repeats(answers(*texts))
    assert score.value is None
    assert reason in score.reason


def test_distinct_nothing_is_refused():
    """There are no runs of no words."""
    with pytest.raises(UsageError, match="n is 0, expected a whole number from 1 up"):
        Diversity(0)


def test_repeats_have_no_target_label(answer):
    """A scorer that compares answers reads no targets."""
    assert target_label(Consistency(), answer("a", "a").sample) is None
