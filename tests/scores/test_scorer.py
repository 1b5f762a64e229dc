"""Promises of `build_scorer` and `target_label`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from harness.errors import UsageError
from harness.fingerprint import canonical
from harness.records import Score
from harness.scores.choice import Choice
from harness.scores.number import Number
from harness.scores.scorer import BUILT_IN, build_scorer, judged, target_label
from harness.scores.text import Contains, Exact, Regex


@dataclass(frozen=True)
class Wordiness:
    """A scorer as a user would write one."""

    words: int
    weights: Mapping[str, float] = field(default_factory=dict)
    mode: Literal["up", "down"] = "up"
    note: Any = None
    name: str = "wordiness"
    version: int = field(default=3, init=False)

    def score(self, answer) -> Score:
        """1 for enough words."""
        return judged(self, answer, float(len(answer.text.split()) >= self.words))


@pytest.mark.parametrize(
    ("form", "scorer"),
    [
        ("exact", Exact()),
        ({"exact": None}, Exact()),
        ({"exact": {"ignore_case": True}}, Exact(ignore_case=True)),
        ({"contains": "refund"}, Contains("refund")),
        ({"contains": ["refund", "sorry"]}, Contains(("refund", "sorry"))),
        ({"regex": "a+"}, Regex("a+")),
        ({"number": 1}, Number(tolerance=1)),
        ({"number": {"relative": 0.1, "name": "close"}}, Number(relative=0.1, name="close")),
        ({"choice": ["a", 1]}, Choice(("a", 1))),
        ({"choice": {"labels": {"a": ["b"], "c": []}}}, Choice({"a": ("b",), "c": ()})),
    ],
)
def test_the_three_forms_of_a_spec_build_a_scorer(form, scorer):
    """A name, a name with a value for the first argument, a name with arguments by name."""
    assert build_scorer(form) == scorer


def test_every_built_in_has_its_own_name_and_a_docstring():
    """The names that a spec may use."""
    names = [cls.name for cls in BUILT_IN]
    assert len(set(names)) == len(names)
    assert all(cls.__doc__ for cls in BUILT_IN)


def test_name_and_version_are_part_of_what_a_plan_fingerprints():
    """A new version of a scorer must not pass for the old one."""
    assert '"version":1' in canonical(build_scorer("exact"))


def test_a_class_that_is_passed_in_can_be_built(answer):
    """The registry is what the caller passes; nothing is found by searching."""
    scorer = build_scorer({"wordiness": 2}, classes=[*BUILT_IN, Wordiness])
    score = scorer.score(answer("two words"))
    assert (score.value, score.scorer, score.version) == (1.0, "wordiness", 3)


def test_a_class_may_take_mappings_and_anything():
    """Arguments are checked against the annotations of the class."""
    form = {"wordiness": {"words": 1, "weights": {"a": 1}, "note": [1]}}
    assert build_scorer(form, classes=[Wordiness]) == Wordiness(1, {"a": 1}, note=[1])


def test_an_unknown_scorer_is_named_with_the_valid_ones():
    """The message lists what there is and guesses what was meant."""
    with pytest.raises(UsageError, match=r"unknown scorer 'exat'.*exact, contains, .*did you mean 'exact'\?"):
        build_scorer("exat")


def test_nothing_is_suggested_for_a_name_that_is_like_no_other():
    """A wild guess would only mislead; without any class, there is none to list."""
    with pytest.raises(UsageError, match=r"expected one of: rubric, .*, or module:name of your own$"):
        build_scorer("zzz", classes=())


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"choice": {"lables": ["a"]}}, r"'lables'.*did you mean 'labels'\?"),
        ({"choice": {}}, r"needs labels \(scorer 'choice' accepts: labels: list of"),
        ({"exact": {"ignore_case": "yes"}}, "ignore_case is 'yes', expected true or false"),
        ({"number": True}, r"tolerance is True, expected number .*relative: number, default 0.0"),
        ({"number": "a"}, "tolerance is 'a', expected number"),
        ({"regex": 3}, r"pattern is 3, expected text \(.*pattern: text, required"),
        ({"choice": [["a"]]}, "labels is .* expected list of"),
        ({"choice": {"labels": {"a": "b"}}}, "or mapping of text to"),
        ({"choice": {"labels": {1: []}}}, "labels is {1: "),
        ({"choice": {"labels": ["a"], "pick": "frist"}}, "expected 'first' or 'last' or 'only'"),
        ({"exact": {"version": 2}}, "unknown argument"),
        ({"contains": {"require": 1}}, "expected 'all' or 'any' or null"),
    ],
)
def test_a_wrong_argument_is_named_with_the_accepted_ones(form, message):
    """What was found, what was expected, and all arguments with their types."""
    with pytest.raises(UsageError, match=message):
        build_scorer(form)


@pytest.mark.parametrize(
    "length", [{"words": True}, {"words": 1.5}, {"words": 1, "mode": "UP"}, {"words": 1, "weights": 2}]
)
def test_values_of_a_neighbouring_type_are_refused(length):
    """True is no whole number, 1.5 neither, and words of a closed set are spelt exactly."""
    with pytest.raises(UsageError, match="expected"):
        build_scorer({"wordiness": length}, classes=[Wordiness])


@pytest.mark.parametrize("form", [3, {}, {"exact": {}, "number": {}}, ["exact"], None])
def test_any_other_form_is_refused_with_an_example(form):
    """The three forms are shown."""
    with pytest.raises(UsageError, match="expected a name"):
        build_scorer(form)


def test_two_classes_of_one_name_are_refused():
    """Which one was meant would depend on their order."""
    with pytest.raises(UsageError, match="two scorers are called 'exact': Exact and Exact"):
        build_scorer("exact", classes=[Exact, Exact])


@pytest.mark.parametrize(
    ("form", "target", "label"),
    [
        ({"choice": {"labels": {"billing": ["invoice"], "bug": []}}}, "Invoice", "billing"),
        ({"choice": ["a", "b"]}, ["b", "a"], "b"),
        ({"choice": ["a", "b"]}, "c", None),
        ({"choice": ["a", "b"]}, None, None),
        ("number", 7.0, "7"),
        ("exact", "x", None),
    ],
)
def test_target_label_names_the_target_as_answers_are_named(answer, form, target, label):
    """A metric over labels compares like with like: aliases and spellings are gone."""
    assert target_label(build_scorer(form), answer("", target).sample) == label
