"""What a task judges by is looked up together, and what does not fit is told before money is spent."""

from __future__ import annotations

import pytest

from harness.errors import SpecError, UsageError
from harness.plan.own_scorers import lifted
from harness.plan.planner import make_plan
from harness.scores.scorer import Answer

CHOICE = "scorers: [choice: {labels: [billing, bug]}]"


def short(answer: Answer) -> bool:
    """A scorer of a user's own."""
    return len(answer.text) < 20


def test_scorers_of_answers_and_of_repeats_are_kept_apart(project):
    """Both count for the name of the plan."""
    plain = project.plan((CHOICE, f"{CHOICE}\n  repeats: 3"))
    plan = project.plan(
        (CHOICE, "scorers: [choice: [billing, bug], consistency, {diversity: 1}]\n  repeats: 3")
    )
    assert [scorer.name for scorer in plan.task.scorers] == ["choice"]
    assert [scorer.name for scorer in plan.task.repeat_scorers] == ["consistency", "diversity"]
    assert plan.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize(
    ("scorers", "key", "message"),
    [
        ("[consistency, exact]", "task.scorers[0]", "the first one gives the quality of each answer"),
        ("[exact, consistency]", "task.scorers", "several answers to each sample for scorer 'consistency'"),
        ("[exact, {all: [exat]}]", "task.scorers[1]", "did you mean 'exact'"),
        (
            "[my_team.scorers:Politeness]",
            "task.scorers[0]",
            "is code that the spec names; allow it with --allow-code",
        ),
        ("[exact, python_tests]", "task.scorers[1]", "runs code that models write; allow it"),
        ("[exact, exact]", "task.scorers", "has two scorers called 'exact'"),
    ],
)
def test_scorers_that_do_not_fit_are_told_with_their_place(project, scorers, key, message):
    """Key and line of each."""
    found = project.faults((CHOICE, f"scorers: {scorers}"))
    (problem,) = [one for one in found if one.key == key]
    assert message in problem.message
    assert problem.line == 5


def test_labels_that_few_rows_have_are_a_note_of_their_metric(project, jsonl, rows_of):
    """Three bugs among 40 tell little of the F1 of bugs; accuracy does not ask for labels."""
    rows = [row | {"target": "bug" if number < 3 else "billing"} for number, row in enumerate(rows_of(40))]
    jsonl(project.folder / "tickets.jsonl", rows)
    notes = project.plan(("metric: accuracy", "metric: macro_f1")).notes
    assert any("rests on labels that few rows have: 'bug' (3); with fewer than 10" in one for one in notes)
    assert not any("few rows have" in note for note in project.plan().notes)


def test_tests_that_are_no_python_are_told_by_row(project, jsonl, rows_of):
    """They are read, and not run."""
    rows = [row | {"target": "raise SystemExit"} for row in rows_of(40)]
    rows[6]["target"] = "assert add(1, 2 == 3"
    jsonl(project.folder / "tickets.jsonl", rows)
    found = project.faults((CHOICE, "scorers: [python_tests: {isolation: limits}]"), allow_code=True)
    (problem,) = found
    assert (problem.file, problem.line) == ("tickets.jsonl", 7)
    assert "the tests in the target are no Python" in problem.message


def test_code_runs_with_permission(project):
    """The same spec, allowed."""
    project.plan(
        (CHOICE, "scorers: [choice: [billing, bug], python_tests: {isolation: limits}]"), allow_code=True
    )


def test_a_function_in_a_python_spec_becomes_its_name_and_checksum(project, catalogue):
    """The plan can be written down; the object is built from what was handed over."""
    spec = {
        "experiment": "triage",
        "task": {
            "dataset": "tickets.jsonl",
            "prompt": "prompts/ask.jinja",
            "scorers": [{"choice": ["billing", "bug"]}, short, {"all": [short, "exact"]}],
            "metric": "accuracy",
        },
        "search": {"models": ["alpha/small"]},
        "budget": {"usd": 1.0},
        "failures": "leave_out",
    }
    options = {"base": project.folder, "catalogue": catalogue, "cache": project.cache}
    plan = make_plan(spec, **options)
    assert [scorer.name for scorer in plan.task.scorers] == ["choice", "short", "all"]
    assert "checksum" not in plan.spec_text
    plain, given = lifted(spec)
    assert given == {"short": short}
    with pytest.raises(SpecError, match=r"scorers\[1\].*'short' was given in Python and is not here"):
        make_plan(plain, **options)
    again = make_plan(plain, scorers=[short], **options)
    assert again.fingerprint() == plan.fingerprint()


def test_what_is_no_scorer_or_has_the_name_of_another_is_refused():
    """A function of the same name would be taken for the first one."""
    other = type("Short", (), {"name": "short", "score": lambda *_: 1})()
    with pytest.raises(UsageError, match="two scorers given in Python are called 'short'"):
        lifted({"task": {"scorers": [short, other]}})
    with pytest.raises(UsageError, match="scorers holds 'exact'; expected functions"):
        lifted({}, ["exact"])


@pytest.mark.parametrize("spec", ["spec.yaml", {}, {"task": None}, {"task": {}}])
def test_specs_without_objects_are_left_alone(spec):
    """Files, and whatever else is wrong with a mapping, is for the reader to tell."""
    assert lifted(spec) == (spec, {})


@pytest.mark.parametrize(
    ("metric", "key", "message"),
    [
        ("recall:refund", "task.metric", "asks for the label 'refund'; the targets are billing, bug"),
        ("worst_group:lang", "task.metric", "'lang'; the fields of the rows are: language, length"),
        ("pass@3", "task.metric", "needs 3 answers to each sample for metric 'pass@3'"),
        ("acuracy", "task.metric", "did you mean 'accuracy'"),
        (
            "accuracy\n  slices: [language, lenght]",
            "task.slices[1]",
            "is 'lenght'; the metadata fields of the rows are",
        ),
    ],
)
def test_a_metric_and_slices_that_the_rows_cannot_serve_are_told(project, jsonl, metric, key, message):
    """Key and what there is instead."""
    metadata = {"language": "en", "length": 3}
    rows = [{"id": str(n), "text": "x", "target": ("billing", "bug")[n % 2]} for n in range(40)]
    rows = [row | {"metadata": metadata} for row in rows]
    jsonl(project.folder / "tickets.jsonl", rows)
    (problem,) = project.faults(("metric: accuracy", f"metric: {metric}"))
    assert problem.key == key
    assert message in problem.message


def test_a_metric_over_labels_needs_a_scorer_that_reads_some(project):
    """Once, with what to do."""
    found = project.faults((CHOICE, "scorers: [exact]"), ("metric: accuracy", "metric: macro_f1"))
    assert "no label for metric 'macro_f1': scorer 'exact' reads none" in found[0].message
    assert (
        project.plan(("metric: accuracy", "metric: recall:bug"), (CHOICE, CHOICE)).task.metric == "recall:bug"
    )


def test_a_metric_over_marks_takes_targets_of_1_and_0(project, jsonl):
    """A target of 0.5 is told with its line; numbers are read as the metric reads them."""
    number = (CHOICE, "scorers: [number]")
    metric = ("metric: accuracy", "metric: average_precision")
    rows = [{"id": str(n), "text": "x", "target": str(n % 2)} for n in range(40)]
    jsonl(project.folder / "tickets.jsonl", rows)
    assert project.plan(number, metric).task.metric == "average_precision"
    jsonl(project.folder / "tickets.jsonl", [*rows, {"id": "odd", "text": "x", "target": "0.5"}])
    (problem,) = project.faults(number, metric)
    assert problem.line == 41
    assert "takes targets of 1, for what belongs together, and of 0; this one is '0.5'" in problem.message


def test_a_named_slice_that_divides_nothing_is_noted(project, jsonl, rows_of):
    """The report will not have it."""
    rows = [{**row, "metadata": {"lang": "de", "n": n}} for n, row in enumerate(rows_of(240))]
    jsonl(project.folder / "tickets.jsonl", rows)
    plan = project.plan(("metric: accuracy", "metric: accuracy\n  slices: [lang, n]"))
    assert "slices: all rows have the same 'lang', which divides nothing" in plan.notes
    assert "slices: 'n' has more than 200 values, and is not shown" in plan.notes
