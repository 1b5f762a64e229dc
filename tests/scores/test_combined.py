"""Promises of the scorers made of scorers."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.scores.answer import sample_fault, target_label
from harness.scores.behaviour import Complete, Length
from harness.scores.choice import Choice
from harness.scores.combined import AllOf, AnyOf, Weighted
from harness.scores.scorer import build_scorer
from harness.scores.text import Contains, Exact
from harness.scores.words import TokenF1

# With the target "red cat": Exact is 1 for it alone, TokenF1 counts words, Complete cannot judge here.
EXACT, F1, UNCLEAR = Exact(), TokenF1(), Complete()


@pytest.mark.parametrize(
    ("scorer", "text", "value", "reason"),
    [
        (AllOf((EXACT, F1)), "red cat", 1, ""),
        (AllOf((F1, Contains("red"))), "red dog", 0.5, "token_f1: below 1"),
        (AllOf((EXACT, F1)), "red dog", 0, "exact: the answer differs from the target; token_f1: below 1"),
        (
            AllOf((EXACT, UNCLEAR)),
            "red cat",
            None,
            "complete: the provider does not say why the answer ended",
        ),
        (AllOf((EXACT, UNCLEAR)), "dog", 0, None),
        (AnyOf((EXACT, F1)), "red dog", 0.5, None),
        (AnyOf((EXACT, F1)), "red cat", 1, ""),
        (AnyOf((EXACT, UNCLEAR)), "red cat", 1, ""),
        (AnyOf((EXACT, UNCLEAR)), "dog", None, None),
        (Weighted((EXACT, F1)), "red dog", 0.25, None),
        (Weighted((EXACT, F1), weights=(1, 3)), "red dog", 0.375, None),
        (Weighted((EXACT, F1), weights=(1, 3), at_least=0.375), "red dog", 1, ""),
        (Weighted((EXACT, F1), weights=(1, 3), at_least=0.4), "red dog", 0, None),
        (Weighted((EXACT, UNCLEAR), weights=(1, 1)), "red cat", None, None),
        (Weighted((EXACT, UNCLEAR), weights=(1, 0)), "red cat", 1, None),
    ],
)
def test_hand_worked_cases(answer, scorer, text, value, reason):
    """The lowest, the highest, the weighted mean; what a part could not judge decides nothing."""
    score = scorer.score(answer(text, "red cat"))
    assert score.value == value
    if reason is not None:
        assert score.reason == reason


def test_a_mean_below_the_threshold_is_told(answer):
    """How far it is off, and why."""
    score = Weighted((EXACT, F1), at_least=0.9).score(answer("red dog", "red cat"))
    assert score.reason.startswith("mean 0.25 of 0.9; exact: ")


def test_the_label_is_that_of_the_first_part_with_one(answer):
    """A metric over labels can look through."""
    choice = Choice(("yes", "no"))
    for scorer in (AllOf((Length(9), choice)), AnyOf((Length(9), choice)), Weighted((Length(9), choice))):
        assert scorer.score(answer("Yes", "yes")).label == "yes"
        assert target_label(scorer, answer("", "YES").sample) == "yes"
    assert AllOf((Length(9),)).score(answer("Yes")).label is None


def test_parts_are_written_as_in_a_task():
    """A list of forms, nested as deeply as one likes."""
    form = {"all": ["exact", {"any": [{"length": 20}, {"contains": ["a", "b"]}]}]}
    assert build_scorer(form) == AllOf((Exact(), AnyOf((Length(20), Contains(("a", "b"))))))
    weighted = {"weighted": {"scorers": ["exact", "token_f1"], "weights": [2, 1], "name": "both"}}
    assert build_scorer(weighted) == Weighted((Exact(), TokenF1()), weights=(2, 1), name="both")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"all": []}, "scorers is empty"),
        ({"any": []}, "scorers is empty"),
        ({"all": ["exat"]}, "did you mean 'exact'"),
        ({"all": "exact"}, "scorers is 'exact', expected list of"),
        ({"any": [{"diversity": 2}]}, "'diversity' judges all answers to a sample together"),
        ({"weighted": {"scorers": ["exact"], "weights": [1, 2]}}, "2 weights for 1 scorers"),
        ({"weighted": {"scorers": ["exact"], "weights": [0]}}, "expected numbers from 0 up"),
        ({"weighted": {"scorers": ["exact", "json"], "weights": [1, -1]}}, "expected numbers from 0 up"),
        ({"weighted": {"scorers": ["exact"], "at_least": 0}}, "at_least is 0, expected a number in"),
    ],
)
def test_what_cannot_be_combined_is_refused(form, message):
    """When the spec is read."""
    with pytest.raises(UsageError, match=message):
        build_scorer(form)


@pytest.mark.parametrize("kind", [AllOf, AnyOf, Weighted])
def test_a_sample_that_a_part_cannot_judge_is_told_before(answer, kind):
    """The fault names the part."""
    scorer = kind((Length(9), Choice(("yes", "no"))))
    assert sample_fault(scorer, answer("", "yes").sample) is None
    assert sample_fault(scorer, answer("", "perhaps").sample).startswith("choice: target 'perhaps'")
