"""Targets that no answer could be judged against are told before money is spent."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from harness.plan import targets
from harness.plan.columns import Row
from harness.plan.targets import TargetCheck
from harness.records import Score
from harness.scores.scorer import Answer, build_scorer, judged

CHOICE = "choice: {labels: [billing, bug]}"


def a_row(target):
    """A row with this target."""
    return Row(id="r", inputs={"text": "x"}, target=target, shared=(), metadata={})


@dataclass(frozen=True)
class Counting:
    """Judges everything, and remembers what it was asked."""

    asked: list[str] = field(default_factory=list)
    name: str = "counting"
    version: int = 1

    def score(self, answer: Answer) -> Score:
        """Always 1."""
        self.asked.append(answer.text)
        return judged(self, answer, 1.0)


def test_labels_that_match_no_target_are_told_with_the_rows(project):
    """Everything would be unscored: each row is named, and what was expected."""
    project.write(
        "tickets.jsonl",
        "".join(
            f'{{"id": "{n}", "text": "x", "target": "{("positive", "negative")[n % 2]}"}}\n'
            for n in range(40)
        ),
    )
    found = project.faults((CHOICE, "choice: {labels: [good, bad]}"))
    assert [one.line for one in found] == [*range(1, 21), None]
    assert str(found[0]).startswith("tickets.jsonl:1: target 'positive' is none of the labels good, bad;")
    assert "scorer 'choice'" in found[0].message
    assert found[-1].message == "and 20 more rows like these"


def test_a_single_strange_target_is_found(project, jsonl, rows_of):
    """One typing slip among good rows."""
    rows = rows_of(40)
    rows[29]["target"] = "biling"
    jsonl(project.folder / "tickets.jsonl", rows)
    (problem,) = project.faults()
    assert (problem.file, problem.line) == ("tickets.jsonl", 30)
    assert "target 'biling' is none of the labels billing, bug" in problem.message


@pytest.mark.parametrize(
    ("form", "target", "words"),
    [
        ({"choice": ["a", "b"]}, ["a", "c"], "target 'c' is none of the labels a, b"),
        ({"choice": ["a", "b"]}, {"x": 1}, "target {'x': 1} is none of the labels a, b"),
        ({"choice": [f"l{n}" for n in range(20)]}, "x", "l10, l11 and 8 more"),
        ("number", "many", "target 'many' is not a number"),
        ("exact", {"x": 1}, "target is no text"),
        ("contains", "", "target is empty"),
        ({"regex": "is (a)"}, {"x": 1}, "target is no text"),
        ({"choice": ["a", "b"]}, "A.", None),
        ({"choice": ["1", "true"]}, [1, True], None),
        ({"contains": {"texts": "refund"}}, "", None),
        ({"regex": "a+"}, {"x": 1}, None),
        ("exact", "anything", None),
    ],
)
def test_each_scorer_says_what_it_can_judge(form, target, words):
    """The check asks the scorer itself; one that needs no target takes any."""
    fault = TargetCheck([build_scorer(form)]).row(a_row(target))
    assert fault is None if words is None else words in fault


def test_every_scorer_of_a_task_is_asked():
    """Also the second one: its scores would be missing."""
    check = TargetCheck([build_scorer("exact"), build_scorer("number")])
    assert check.row(a_row("3")) is None
    assert "scorer 'number'" in check.row(a_row("three"))


def test_equal_targets_are_asked_about_once():
    """200,000 rows of two labels are two questions; the text "1" and the number 1 are two targets."""
    counting = Counting()
    check = TargetCheck([counting])
    for target in ["a", "b", "1", 1] * 1000:
        check.row(a_row(target))
    assert counting.asked == ["a", "b", "1", "1"]


def test_free_texts_fill_no_memory():
    """Past the first distinct targets none is remembered, and all are still judged."""
    counting = Counting()
    check = TargetCheck([counting])
    for n in range(targets.MOST_REMEMBERED + 5):
        check.row(a_row(f"t{n}"))
    check.row(a_row("t3"))
    check.row(a_row(f"t{targets.MOST_REMEMBERED + 4}"))
    assert len(counting.asked) == targets.MOST_REMEMBERED + 6
