"""Promises of the scorers made of scorers."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.scores.answer import sample_fault, target_label
from harness.scores.behaviour import Complete, Length
from harness.scores.choice import Choice
from harness.scores.combined import AllOf, AnyOf, Weighted, judges_in, with_judges
from harness.scores.judges import Rubric
from harness.scores.scorer import build_scorer
from harness.scores.semantic import Semantic
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


# -- judges among the parts

KIND, SHORT = Rubric(models=("sim/a",), criterion="It is kind.", name="kind"), Length(at_most=3)
YES, NO = '{"reason": "as it says", "verdict": "yes"}', '{"reason": "rude", "verdict": "no"}'


@pytest.mark.parametrize(
    ("scorer", "text", "said", "value", "reason"),
    [
        (AllOf((EXACT, KIND)), "red cat", YES, 1, ""),
        (AllOf((EXACT, KIND)), "red cat", NO, 0, "kind: rude"),
        (AllOf((EXACT, KIND)), "red cat", None, None, "kind: the judge's call failed"),
        (AllOf((EXACT, KIND)), "dog", None, 0, None),
        (AllOf((F1, KIND)), "red dog", None, None, None),
        (AnyOf((EXACT, KIND)), "dog", YES, 1, ""),
        (AnyOf((EXACT, KIND)), "red cat", None, 1, ""),
        (AnyOf((EXACT, KIND)), "dog", None, None, None),
        (Weighted((EXACT, KIND), weights=(1, 3)), "dog", YES, 0.75, None),
        (Weighted((EXACT, KIND), weights=(1, 3)), "dog", None, None, None),
        (AllOf((SHORT, AnyOf((EXACT, KIND)))), "dog", NO, 0, None),
        (AllOf((SHORT, AnyOf((EXACT, KIND)))), "dog", None, None, None),
    ],
)
def test_a_judge_decides_like_any_part(answer, scorer, text, said, value, reason):
    """Where another part decides already, its silence matters nothing; else the answer is unscored."""
    score = scorer.score(answer(text, "red cat"), {"kind": [said]})
    assert score.value == value
    if reason is not None:
        assert score.reason == reason


def test_what_was_not_asked_is_unscored(answer):
    """A composition that nobody asked judges for takes no part for a 0."""
    score = AllOf((EXACT, KIND)).score(answer("red cat", "red cat"))
    assert (score.value, score.reason) == (None, "kind: the judge was not asked")


def test_judges_are_found_and_replaced_at_any_depth():
    """In the order of the spec; scorers without any stay the very same."""
    near = Semantic(model="sim/vectors")
    scorer = AllOf((near, AnyOf((EXACT, KIND))))
    assert judges_in(scorer) == (near, KIND)
    other = KIND.asking(["sim/b"])
    assert with_judges(scorer, {"kind": other}) == AllOf((near, AnyOf((EXACT, other))))
    plain = AllOf((EXACT, F1))
    assert with_judges(plain, {"kind": other}) is plain


def test_a_spec_names_judges_as_parts(answer):
    """In the forms of a task; what a judge cannot judge is a fault of the whole."""
    form = {"all": [{"length": 3}, {"semantic": "sim/vectors"}]}
    scorer = build_scorer(form)
    assert judges_in(scorer) == (Semantic(model="sim/vectors"),)
    assert sample_fault(scorer, answer("", None).sample) == "semantic: the target is no text to embed"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"all": ["exact", {"rubric": {"models": ["sim/a"]}}]}, "judge 'rubric' needs criterion"),
        ({"any": [{"semantics": "sim/a"}]}, "did you mean the judge 'semantic'"),
        ({"all": [["exact"]]}, "a scorer is \\['exact'\\]"),
    ],
)
def test_faults_of_judges_as_parts_are_told(form, said):
    """As they are for a judge of its own."""
    with pytest.raises(UsageError, match=said):
        build_scorer(form)


def test_the_label_is_read_from_parts_that_read_one(answer):
    """A judge reads none."""
    scorer = AllOf((KIND, Choice(("billing", "bug"))))
    assert target_label(scorer, answer("", "bug").sample) == "bug"


def test_a_mean_that_is_reached_exactly_is_reached(answer):
    """0.2 and 0.7 of 0.2, 0.7 and 0.1 are 0.9, though their sum falls short by a rounding error."""
    scorer = Weighted((EXACT, EXACT, Contains("dog")), weights=(0.2, 0.7, 0.1), at_least=0.9)
    found = scorer.score(answer("red cat", "red cat"))
    assert (found.value, found.reason, found.version) == (1.0, "", 2)
