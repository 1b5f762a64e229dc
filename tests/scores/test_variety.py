"""Agreement of repeated answers and distinct word pairs, against cases worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scores.variety import agreement, distinct_n


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        (["yes", "yes"], 1.0),
        (["yes", "no"], 0.0),
        (["yes", "yes", "no"], 1 / 3),
        (["a", "a", "b", "b"], 2 / 6),
        (["alone"], None),
        ([None, None, "a"], 0.0),
        ([], None),
    ],
)
def test_agreement_is_the_share_of_pairs_that_are_the_same(
    answers: list[str | None], share: float | None
) -> None:
    """Of three answers there are three pairs, of four there are six."""
    assert agreement(answers) == share


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12))
def test_agreement_is_that_of_counts(answers: list[str]) -> None:
    """The sum of n (n - 1) over the different answers, by that of all."""
    counts = [answers.count(one) for one in set(answers)]
    whole = len(answers)
    assert agreement(answers) == pytest.approx(sum(n * (n - 1) for n in counts) / (whole * (whole - 1)))


def test_distinct_n_by_hand() -> None:
    """Of "the cat sat" twice and "the cat ran": six pairs, of which three are different."""
    assert distinct_n(["the cat sat", "the cat sat", "the cat ran"]) == 3 / 6
    assert distinct_n(["the cat sat", "the dog ran"], n=1) == 5 / 6


def test_answers_of_one_word_have_no_pairs() -> None:
    """Nothing is known of them, which is not 0."""
    assert distinct_n(["yes", "no"]) is None
