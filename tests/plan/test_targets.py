"""Targets that no answer could be judged against are told before money is spent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from harness.plan import targets
from harness.plan.columns import Row
from harness.plan.targets import TargetCheck
from harness.prompts import Prompt
from harness.records import Score
from harness.scores.own import wrapped
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


@pytest.mark.parametrize("form", ["json", {"length": 20}, "refusal", {"all": ["json", "complete"]}])
def test_a_scorer_that_needs_no_target_takes_rows_without(project, jsonl, rows_of, form):
    """What an answer is like says enough; the sample then has none."""
    rows = [{"id": row["id"], "text": row["text"]} for row in rows_of(40)]
    jsonl(project.folder / "tickets.jsonl", rows)
    text = json.dumps(form)
    found = project.plan((CHOICE, text), ("metric: accuracy", "metric: mean")).task.rows
    assert found.sample("t1").target is None


def test_a_scorer_that_needs_a_target_is_named_once(project, jsonl, rows_of):
    """Not with every row: what is missing is one column."""
    jsonl(project.folder / "tickets.jsonl", [{"id": row["id"], "text": row["text"]} for row in rows_of(40)])
    (problem,) = project.faults((CHOICE, "exact"), ("metric: accuracy", "metric: mean"))
    assert str(problem).startswith(
        "tickets.jsonl:1: has no target, which scorer 'exact' needs: the column is missing or null; its "
        "inputs are 'text'. Add it, or name another under `columns.target`"
    )
    assert problem.message.endswith("so it is with all 40 rows")


def test_a_wrong_column_is_told_where_the_definition_names_it(project):
    """With the line of the definition, once."""
    project.write("datasets/tickets.yaml", "file: ../tickets.jsonl\n\ncolumns: {target: lable}\n")
    (problem,) = project.faults(("tickets.jsonl", "tickets"))
    assert (problem.file, problem.line, problem.key) == ("datasets/tickets.yaml", 3, "columns")
    assert "fits none of the 40 rows" in problem.message
    assert "has no 'lable'; its columns are 'id', 'text', 'target'" in problem.message


def test_a_metric_that_the_scorer_gives_no_labels_for_is_told_once(project):
    """At its line in the spec."""
    (problem,) = project.faults((CHOICE, "exact"), ("metric: accuracy", "metric: macro_f1"))
    assert (problem.file, problem.key) == ("triage.yaml", "task.metric")
    assert "scorer 'exact' reads none from its target" in problem.message


def test_columns_of_a_definition_are_not_said_twice(project):
    """A task that names a definition leaves its columns to it."""
    project.write("datasets/tickets.yaml", "file: ../tickets.jsonl\n")
    (problem,) = project.faults(("dataset: tickets.jsonl", "dataset: tickets\n  columns: {target: text}"))
    assert problem.key == "task.dataset"
    assert "move task.columns there" in problem.message


@pytest.mark.parametrize(
    ("prompt", "field", "value", "message"),
    [
        ("{{ text }}", "text", "", "the user message is empty for this row"),
        ("About {{ tags[0] }}", "tags", [], "list object has no element 0"),
        ("Half: {{ price / 2 }}", "price", "much", "the template fails on this row: TypeError"),
    ],
)
def test_a_template_that_fails_on_one_row_is_told_with_the_row(
    project, jsonl, rows_of, prompt, field, value, message
):
    """Whatever the row, for its answers would be paid before the failure."""
    rows = [{**row, "tags": ["a"], "price": 3} for row in rows_of(40)]
    rows[37][field] = value
    jsonl(project.folder / "tickets.jsonl", rows)
    project.write("prompts/ask.jinja", prompt)
    (problem,) = project.faults()
    assert (problem.file, problem.line) == ("tickets.jsonl", 38)
    assert f"prompts/ask.jinja:1: {message}" in problem.message


def test_a_template_of_text_and_fields_is_not_rendered_for_every_row():
    """200,000 rows cost nothing: no value makes it fail."""
    plain = ["Label: {{ text }}", "system:\nBe brief.\nuser:\nHi {{ text }}"]
    others = [
        "{{ text }}",
        "A {{ text | trim }}",
        "A {{ text.x }}",
        "A {% if text %}b{% endif %}",
        "A {{ f() }}",
    ]
    assert [Prompt.parse(one, file="p").is_plain for one in plain] == [True, True]
    assert not any(Prompt.parse(one, file="p").is_plain for one in others)


def test_a_form_that_answers_have_is_not_looked_for_in_targets():
    """A reader of JSON answers takes a plain label as its target."""

    def reads(answer):
        return json.loads(answer.text)["label"] == answer.sample.target

    assert TargetCheck([wrapped(reads)]).row(a_row("billing")) is None
    assert TargetCheck([build_scorer("exact"), wrapped(lambda _: None)]).row(a_row("billing")) is None
