"""Files that a spec names are told with file and line when they cannot be used: YAML, rows, templates."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb:\n\tc: 2\n", 3, "tab"),
        ("a: [1,\nb: 2\n", 3, "is not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: b\x07\n", 1, "character"),
        ("", None, "is empty"),
        ("# only a comment\n", None, "is empty"),
        ("- a\n", 1, "expected keys and values"),
        ("[" * 3000, None, "nested too deeply"),
        ("a: *sk-proj-abcdefghijkl\n", 1, "<hidden>"),
    ],
)
def test_a_file_that_is_no_mapping_is_one_problem(project, text, line, words):
    """Faults of syntax have a line and words of their own."""
    (problem,) = project.faults(spec_text=text)
    assert problem.line == line
    assert words in problem.message


def test_each_duplicate_key_is_told_with_the_line_of_the_first(project):
    """Neither of the two values is silently taken."""
    found = project.faults(("seed: 3", "seed: 3\nseed: 4\nbudget: {usd: 2}"))
    assert [(one.line, one.key) for one in found] == [(15, "seed"), (16, "budget")]
    assert "first on line 14" in found[0].message


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ("", None, "holds no rows"),
        ('{"id": "a", "text": "x", "target": "bug"}\nnope\n', 2, "is not JSON"),
        ('{"id": "a", "text": "x", "target": "bug"}\n[1]\n', 2, "a list, not an object"),
        ('{"id": "a", "text": "x", "target": "bug"}\n\n{"text": "x", "target": "bug"}\n', 3, "has no 'id'"),
        ('{"id": "a", "text": "x"}\n', 1, "has no target, which scorer 'choice' needs"),
        ('{"id": "a", "text": "x", "target": null}\n', 1, "has no target, which"),
        ('{"id": "a", "text": "x", "target": NaN}\n', 1, "NaN"),
        ('{"id": "a", "text": 1e999, "target": "bug"}\n', 1, "too large"),
        (
            '{"id": 1, "text": "x", "target": "bug"}\n{"id": "1", "text": "y", "target": "bug"}\n',
            2,
            "of line 1",
        ),
        ('{"id": "", "text": "x", "target": "bug"}\n', 1, "the id ''"),
        ('{"id": true, "text": "x", "target": "bug"}\n', 1, "the id True"),
        ('{"id": "a", "text": "x", "target": "bug", "metadata": 3}\n', 1, "a number as metadata"),
        ('{"text": "x", "target": "bug"}\n{"id": "a", "text": "y", "target": "bug"}\n', 2, "has an id"),
    ],
)
def test_rows_that_cannot_be_used_are_told_with_file_and_line(project, rows, line, words):
    """A bad row is named by the file and line that it stands on."""
    project.write("tickets.jsonl", rows)
    (problem,) = project.faults()
    assert (problem.file, problem.line) == ("tickets.jsonl", line)
    assert words in problem.message


def test_at_most_twenty_bad_rows_are_listed(project):
    """One systematic mistake does not fill the screen."""
    project.write("tickets.jsonl", '{"id": "a", "text": "x"}\n' * 33)
    found = project.faults()
    assert [one.line for one in found] == [*range(1, 21), None]
    assert "and 13 more" in found[-1].message


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("Hello\n{{ txet }}\n", 2, ["'txet'", "did you mean 'text'"]),
        ("{{ text }}\n{% if hint is defined %}{{ hint }}{% endif %}\n", 2, ["'hint'", "known: text"]),
        ("Hi {{ text }}\n{{ text.__class__.__mro__ }}\n", 2, ["Python internals"]),
        ("Hi\n{{ text }\n", 2, ["}"]),
    ],
)
def test_faults_of_templates_have_the_line_of_the_template(project, template, line, words):
    """Templates are tried on the rows before anything is spent."""
    project.write("prompts/ask.jinja", template)
    (problem,) = project.faults()
    assert (problem.file, problem.line) == ("prompts/ask.jinja", line)
    for word in words:
        assert word in problem.message


def test_all_faults_of_one_template_are_told(project):
    """Two unknown fields and a forbidden attribute are three problems."""
    project.write("prompts/ask.jinja", "{{ a1 }}\n{{ b1 }}\n{{ text.__class__.__mro__ }}\n")
    assert [one.line for one in project.faults()] == [1, 2, 3]


def test_faults_of_a_prompt_inside_the_spec_have_the_line_of_the_spec(project):
    """A template written as a block is found on its own lines."""
    block = "prompt: |\n    Which label?\n    {{ txet }}"
    (problem,) = project.faults(("prompt: prompts/ask.jinja", block))
    assert (problem.file, problem.line) == ("triage.yaml", 6)


def test_a_prompt_that_is_no_text_is_refused(project):
    """Bytes that are not UTF-8 are told as such."""
    (project.folder / "prompts/ask.jinja").write_bytes(b"\xff\xfe")
    (problem,) = project.faults()
    assert (problem.line, problem.key) == (4, "task.prompt")
    assert "UTF-8" in problem.message


def test_a_later_row_that_does_not_fit_the_prompt_is_told(project):
    """A row without a field that the prompt cannot do without is named before it is paid for."""
    rows = '{"id": "a", "text": "x", "target": "bug"}\n' * 1 + '{"id": "b", "target": "bug"}\n'
    project.write("tickets.jsonl", rows)
    (problem,) = project.faults()
    assert (problem.file, problem.line) == ("tickets.jsonl", 2)
    assert "'text'" in problem.message


def test_a_split_that_would_be_too_thin_is_refused(project):
    """The message gives the counts and the ways out."""
    project.write(
        "tickets.jsonl", "".join(f'{{"id": "{n}", "text": "", "target": "bug"}}\n' for n in range(3))
    )
    (problem,) = project.faults()
    assert problem.file == "tickets.jsonl"
    assert "add rows, or change aim.confirm" in problem.message
    assert "None" not in problem.message


def test_a_limit_that_leaves_too_few_samples_is_named(project):
    """Only who set a limit is told to raise it."""
    (problem,) = project.faults(("seed: 3", "seed: 3\naim: {confirm: 0.9}"), limit=4)
    assert "raise the limit (4)" in problem.message
