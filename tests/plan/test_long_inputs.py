"""Promises of what becomes of inputs that are too long for a prompt, up to the plan."""

from __future__ import annotations

import pytest

from harness.plan.estimate import calls_per_answer, estimate_plan
from harness.plan.long_inputs import tokens_of

LONG = "The parcel never came. " * 60  # five tokens a sentence
LIMIT = "metric: accuracy\n  long_inputs: "
REDUCE = "Say one label.\n{% for one in answers %}{{ one }}\n{% endfor %}"


@pytest.fixture
def tickets(project, jsonl):
    """30 rows, each third of them long."""
    rows = [
        {"id": str(n), "text": LONG if n % 3 == 0 else f"ticket {n}", "target": ("billing", "bug")[n % 2]}
        for n in range(30)
    ]
    jsonl(project.folder / "tickets.jsonl", rows)
    return project


def planned(project, form):
    """The plan with this strategy."""
    return project.plan(("metric: accuracy", LIMIT + form))


def sample(plan, name):
    """A row of it."""
    return plan.task.rows.sample(name)


def test_a_long_input_is_asked_about_in_chunks(tickets):
    """As few as there can be, none of them too long, and together the text; a short one is asked as it is."""
    plan = planned(tickets, "{strategy: map_reduce, field: text, size: 100, combine: vote}")
    texts = [piece[0].content for piece in plan.task.each_piece("default", sample(plan, "3"))]
    assert tokens_of(LONG) > 300
    assert len(texts) == -(-tokens_of(LONG) // 100)
    chunks = plan.task.long_inputs.pieces({"text": LONG})
    assert "".join(one["text"] for one in chunks) == LONG
    assert all(tokens_of(one["text"]) <= 100 for one in chunks)
    assert [one["text"] in text for one, text in zip(chunks, texts, strict=True)] == [True] * len(texts)
    assert len(list(plan.task.each_piece("default", sample(plan, "4")))) == 1
    assert plan.task.messages("default", sample(plan, "3"))[0].content == texts[0]
    told = f"10 of 30 rows are asked about in 2 to {len(chunks)} chunks of 'text', {10 * len(chunks)} in all"
    assert any(told in note for note in plan.notes)


@pytest.mark.parametrize(
    ("keep", "begins", "ends"), [("start", True, False), ("end", False, True), ("both", True, True)]
)
def test_a_long_input_is_cut_down(tickets, jsonl, keep, begins, ends):
    """To as many tokens as are asked for, at the end that is kept; what is lost is counted and told."""
    text = f"First words. {LONG}Last words."
    jsonl(
        tickets.folder / "tickets.jsonl", [{"id": str(n), "text": text, "target": "bug"} for n in range(30)]
    )
    plan = planned(tickets, f"{{strategy: truncate, field: text, size: 50, keep: {keep}}}")
    (shown,) = plan.task.long_inputs.pieces({"text": text})
    assert 45 <= tokens_of(shown["text"]) <= 50
    assert shown["text"].startswith("First words.") == begins
    assert shown["text"].endswith("Last words.") == ends
    lost = plan.task.long_inputs.lost_tokens({"text": text})
    assert lost == tokens_of(text) - tokens_of(shown["text"])
    assert plan.task.long_inputs.lost_tokens({"text": "short"}) == 0
    assert any(f"30 of 30 rows lose tokens of 'text', {lost} in the median" in note for note in plan.notes)
    assert any("the application has to cut 'text' to " in note for note in plan.notes)


def test_without_a_strategy_a_long_prompt_stays_an_error(tickets):
    """With its line and the ways out, this one among them; `fail` says the same."""
    for form in ("metric: accuracy", LIMIT + "{strategy: fail}"):
        found = tickets.faults(("metric: accuracy", form + "\n  max_input_tokens: 150"))
        assert len(found) == 10
        assert "let task.long_inputs cut it" in found[0].message
    plan = tickets.plan(
        (
            "metric: accuracy",
            LIMIT + "{strategy: truncate, field: text, size: 100}\n  max_input_tokens: 150",
        )
    )
    assert plan.task.long_inputs.size == 100


def test_every_call_is_priced(tickets):
    """Ten rows in n chunks and twenty as they are; a reduce prompt is a call more, with all answers in it."""
    plain = tickets.plan()
    vote = planned(tickets, "{strategy: map_reduce, field: text, size: 100, combine: vote}")
    n = len(vote.task.long_inputs.pieces({"text": LONG}))
    assert calls_per_answer(vote) == pytest.approx((10 * n + 20) / 30)
    assert estimate_plan(vote).calls == pytest.approx(estimate_plan(plain).calls * (10 * n + 20) / 30)
    assert estimate_plan(vote).worst_case_usd > estimate_plan(plain).worst_case_usd
    tickets.write("prompts/merge.jinja", REDUCE)
    merged = "{strategy: map_reduce, field: text, size: 100, combine: reduce, reduce: prompts/merge.jinja}"
    reduce = planned(tickets, merged)
    assert calls_per_answer(reduce) == pytest.approx((10 * (n + 1) + 20) / 30)
    assert estimate_plan(reduce).worst_case_usd > estimate_plan(vote).worst_case_usd
    assert estimate_plan(reduce).bill_usd[1] > estimate_plan(vote).bill_usd[1]


def test_the_strategy_is_part_of_what_a_plan_is(tickets):
    """Another size is another question; a plan without keeps the name it had."""
    forms = [f"{{strategy: truncate, field: text, size: {size}}}" for size in (50, 60, 60)]
    names = [planned(tickets, form).fingerprint() for form in forms]
    assert names[0] != names[1] == names[2] != tickets.plan().fingerprint()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{strategy: truncate, field: text}", "strategy truncate needs size"),
        ("{strategy: truncate, field: text, size: 9, combine: vote}", "strategy truncate takes no combine"),
        ("{strategy: map_reduce, field: text, size: 9}", "needs combine: vote, concat or reduce"),
        ("{strategy: map_reduce, field: text, size: 9, combine: reduce}", "belong together"),
        ("{strategy: map_reduce, field: text, size: 9, overlap: 5, combine: vote}", "more than half of size"),
        ("{strategy: fail, size: 9}", "takes no other keys"),
        ("{strategy: truncate, field: body, size: 9}", "is 'body', which no prompt shows; they show: text"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_told_with_its_line(tickets, form, message):
    """What is missing, what is too much, and what there is instead."""
    (problem,) = tickets.faults(("metric: accuracy", LIMIT + form))
    assert message in problem.message
    assert problem.line == 7


def test_a_field_that_is_no_text_is_told_with_its_row(tickets, jsonl):
    """A list cannot be cut at sentences."""
    rows = [{"id": str(n), "text": ["a", "b"] if n == 4 else "a", "target": "bug"} for n in range(30)]
    jsonl(tickets.folder / "tickets.jsonl", rows)
    form = LIMIT + "{strategy: truncate, field: text, size: 9}"
    (problem,) = tickets.faults(("metric: accuracy", form))
    assert "cuts the field 'text', a text; this row has list there" in problem.message
    assert problem.line == 5


def test_a_prompt_that_combines_is_tried_before_anything_is_sent(tickets):
    """It sees the other inputs and `answers`, not the text that was too long."""
    tickets.write("prompts/merge.jinja", "{{ answers }} {{ text }}")
    merged = "{strategy: map_reduce, field: text, size: 100, combine: reduce, reduce: prompts/merge.jinja}"
    found = tickets.faults(("metric: accuracy", LIMIT + merged))
    assert "asks for the field 'text', which the rows do not have" in found[0].message
    assert found[0].file.endswith("merge.jinja")
