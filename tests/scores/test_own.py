"""Promises of scorers that users bring along."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import pytest

from harness.errors import UsageError
from harness.records import Score
from harness.scores.answer import RepeatScorer, sample_fault, target_label
from harness.scores.own import Own, form_of, handed_over, is_own, wrapped
from harness.scores.scorer import Permission, build_scorer, judged

ALLOWED = Permission(allow_code=True)
MODULE = """
from dataclasses import dataclass, field
from harness.scores.answer import Scorer, judged

@dataclass(frozen=True)
class Politeness:
    words: tuple[str, ...] = ("please",)
    of: Scorer | None = None
    name: str = "politeness"
    version: int = field(default=4, init=False)

    def score(self, answer):
        if self.of is not None:
            return self.of.score(answer)
        return judged(self, answer, float(any(word in answer.text for word in self.words)), label="polite")

@dataclass(frozen=True)
class Agreement:
    name: str = "agreement"

    def score_repeats(self, answers):
        return len({answer.text for answer in answers}) == 1

class Plain:
    name = "plain"

def short(answer):
    return len(answer.text) < 5

@dataclass(frozen=True)
class Lists:
    words: list[str]
    kinds: set[str] = field(default_factory=set)
    name: str = "lists"

    def score(self, answer):
        return answer.text in self.words + sorted(self.kinds)

@dataclass(frozen=True)
class Strict:
    least: int

    def __post_init__(self):
        raise ValueError("least is odd")

def with_target(answer, target):
    return True

def versioned(answer):
    return True

versioned.version = "1.2"
broken = 3
"""
LATER = """
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from nowhere import Model

@dataclass(frozen=True)
class Later:
    words: list[str]
    model: Model | None = None
    name: str = "later"

    def score(self, answer):
        return answer.text in self.words
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the working folder, forgotten afterwards."""
    name = f"team_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield name
    sys.modules.pop(name, None)
    assert sys.path == before


def test_a_class_by_dotted_path_takes_arguments_like_any_other(answer, module):
    """By name, by the short form, and parts in the forms of a task."""
    path = f"{module}:Politeness"
    score = build_scorer(path, permission=ALLOWED).score(answer("yes please"))
    assert (score.value, score.label, score.scorer, score.version) == (1, "polite", "politeness", 4)
    form = {path: ["danke"]}
    assert build_scorer(form, permission=ALLOWED).score(answer("please")).value == 0
    nested = {path: {"of": {"length": 1}, "name": "brief"}}
    assert build_scorer(nested, permission=ALLOWED).score(answer("one")).value == 1
    assert build_scorer({"all": [path, "exact"]}, permission=ALLOWED).score(answer("please", "x")).value == 0


def test_a_function_by_dotted_path_is_a_scorer(answer, module):
    """Its name is that of the scores, its truth value their value."""
    scorer = build_scorer(f"{module}:short", permission=ALLOWED)
    assert (scorer.name, scorer.version) == ("short", 1)
    assert [scorer.score(answer(text)).value for text in ("yes", "much longer")] == [1, 0]


def test_a_class_may_judge_all_repeats(answer, module):
    """With `score_repeats` it does."""
    scorer = build_scorer(f"{module}:Agreement", permission=ALLOWED)
    assert isinstance(scorer, RepeatScorer)
    assert scorer.score_repeats([answer("a"), answer("b")]).value == 0


def test_code_of_a_spec_is_not_even_imported_without_permission(module):
    """The message says how to permit it."""
    with pytest.raises(UsageError, match=r"is code that the spec names; allow it with --allow-code"):
        build_scorer(f"{module}:short")
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("path", "given", "message"),
    [
        ("no_such_module:x", None, "cannot be loaded: ModuleNotFoundError"),
        ("{module}:missing", None, "cannot be loaded: AttributeError"),
        ("{module}:broken", None, "3 is no scorer; expected a function of an answer"),
        ("{module}:short", {"a": 1}, "is a function and takes no arguments"),
        ("{module}:Plain", None, "is a class, but no dataclass"),
        ("{module}:Politeness", {"wrods": []}, "did you mean 'words'"),
        (":x", None, "cannot be loaded: ValueError"),
        ("{module}:Lists", {"words": "a"}, r"words is 'a', expected list of \(text\)"),
        ("{module}:Strict", {"least": 3}, "cannot be made with .*: ValueError: least is odd"),
        (
            "{module}:with_target",
            None,
            r"is with_target\(answer, target\), expected one argument, the answer",
        ),
        ("{module}:versioned", None, "has the version '1.2'; expected a whole number"),
    ],
)
def test_what_is_no_scorer_is_refused(module, path, given, message):
    """What was found, and what was expected."""
    path = path.format(module=module)
    with pytest.raises(UsageError, match=message):
        build_scorer(path if given is None else {path: given}, permission=ALLOWED)


class Odd:
    """No number in any sense."""

    def __repr__(self):
        return "<odd>"


@pytest.mark.parametrize(
    ("found", "value", "reason"),
    [
        (True, 1, ""),
        (0.25, 0.25, ""),
        (None, None, "it gave None; expected true, false, a number from 0 to 1, or a Score"),
        (1.5, None, "it gave 1.5; expected a number from 0 to 1"),
        (float("nan"), None, "it gave nan; expected a number from 0 to 1"),
        ("0.5", None, "it gave '0.5'; expected true, false, a number from 0 to 1, or a Score"),
        (Odd(), None, "it gave <odd>; expected true, false, a number from 0 to 1, or a Score"),
    ],
)
def test_what_a_function_gives_is_a_score_or_unscored(answer, found, value, reason):
    """A wrong value is no 0, and no crash in the middle of a paid run."""
    score = Own(lambda _: found, "mine").score(answer("x"))
    assert (score.value, score.reason, score.scorer, score.version) == (value, reason, "mine", 1)


def test_a_score_is_taken_under_the_scorers_own_name(answer):
    """Whatever name a function writes into it, the task knows the scorer by one."""
    given = Score(sample_id="other", repeat=9, scorer="x", version=7, value=0.5, label="a", reason="why")
    score = Own(lambda _: given, "mine", 2).score(answer("x"))
    assert (score.scorer, score.version, score.sample_id, score.repeat) == ("mine", 2, "s1", 2)
    assert (score.value, score.label, score.reason) == (0.5, "a", "why")


def test_an_exception_leaves_the_answer_unscored(answer):
    """With its words as the reason."""

    def fragile(answer):
        return {}[answer.text]

    score = wrapped(fragile).score(answer("key"))
    assert (score.value, score.reason) == (None, "it raised KeyError: 'key'")


@dataclass(frozen=True)
class Shouting:
    """A scorer as somebody writes it in a notebook."""

    most: int = 3
    name: str = "shouting"
    version: int = field(default=1, init=False)

    def score(self, answer):
        """1 unless it shouts."""
        return judged(self, answer, float(answer.text.count("!") <= self.most))


def polite(answer):
    """A function as somebody writes it in a notebook."""
    return "please" in answer.text


@pytest.mark.parametrize("thing", [polite, Shouting(2)])
def test_what_was_handed_over_is_found_by_name_and_checksum(answer, thing):
    """A spec holds only these two."""
    form = form_of(thing)
    name = form["given"]["name"]
    scorer = build_scorer(form, permission=Permission(given={name: thing}))
    assert scorer.name == name
    assert scorer.score(answer("please")).value == 1


def test_what_was_handed_over_and_is_gone_is_asked_for():
    """The message says how."""
    with pytest.raises(
        UsageError, match=r"'polite' was given in Python and is not here; .* scorers=\[polite\]"
    ):
        handed_over(form_of(polite)["given"], Permission())


def test_what_was_handed_over_and_has_changed_is_refused():
    """Scores of another rule under the same name would be mixed up."""
    with pytest.raises(UsageError, match="'shouting' has changed since the run began"):
        handed_over(form_of(Shouting(2))["given"], Permission(given={"shouting": Shouting(9)}))


def test_code_without_a_source_has_no_checksum():
    """It is taken by its name."""
    assert form_of(len)["given"] == {"name": "len", "source": None}


def test_a_lambda_has_a_name_that_can_be_written():
    """Angle brackets are for the interpreter."""
    assert wrapped(lambda _: True).name == "lambda"


@pytest.mark.parametrize(("value", "own"), [(polite, True), (Shouting(), True), ("exact", False), (3, False)])
def test_objects_are_told_from_plain_values(value, own):
    """A spec in Python may hold both."""
    assert is_own(value) is own


def test_fields_may_be_lists_and_sets(answer, module):
    """As people write them first."""
    scorer = build_scorer({f"{module}:Lists": {"words": ["a"], "kinds": ["b"]}}, permission=ALLOWED)
    assert [scorer.score(answer(text)).value for text in "abc"] == [1, 1, 0]


def test_types_for_type_checkers_alone_are_not_looked_up(answer, module, tmp_path):
    """They are not there when the code runs."""
    (tmp_path / f"{module}.py").write_text(LATER)
    scorer = build_scorer({f"{module}:Later": ["a"]}, permission=ALLOWED)
    assert [scorer.score(answer(text)).value for text in "ab"] == [1, 0]


def test_a_module_that_ends_the_process_is_refused(module, tmp_path):
    """Its exit code is not ours."""
    (tmp_path / f"{module}.py").write_text("raise SystemExit(1)")
    with pytest.raises(UsageError, match="cannot be loaded: SystemExit: 1"):
        build_scorer(f"{module}:x", permission=ALLOWED)


class Checking:
    """Says itself what it can judge."""

    name = "checking"

    def score(self, answer):
        return True

    def fault(self, sample):
        return "no key" if "key" not in sample.metadata else None

    def target_label(self, sample):
        return str(sample.target).upper()


def test_an_own_scorer_may_say_what_it_can_judge(answer):
    """A fault is told before money is spent; without the method, every sample is judged."""
    sample = answer("x", target="a").sample
    assert sample_fault(wrapped(Checking()), sample) == "no key"
    assert target_label(wrapped(Checking()), sample) == "A"
    assert sample_fault(wrapped(polite), sample) is None
