"""A row that makes too long a prompt is found before anything is sent, with count, limit and ways out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.bounds import most_input_tokens
from harness.catalogue.models import Model, load_catalogue
from harness.plan.lengths import MARGIN, count_tokens, longest_prompt
from harness.plan.lookup import find_model
from harness.plan.vocabulary import Vocabularies
from harness.records import Message

CATALOGUE = load_catalogue()
SPEC = """\
experiment: long
task: {dataset: letters.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracyMORE}
search: {models: [MODEL], temperature: 0.0}
budget: {calls: 100}
failures: count_as_wrong
"""


@pytest.fixture
def letters(project: Any, rows_of: Any, jsonl: Any) -> Any:
    """Plans rows of which the fifth holds 3000 words, for a model and a bound of the task."""
    rows = rows_of(12)
    rows[4]["text"] = "refund " * 3000
    jsonl(project.folder / "letters.jsonl", rows)

    def planned(model: str, most: str = "") -> dict[str, Any]:
        return {"spec_text": SPEC.replace("MODEL", model).replace("MORE", most), "catalogue": CATALOGUE}

    return planned


def test_a_row_that_is_too_long_is_named_with_count_and_limit(project: Any, letters: Any) -> None:
    """Line of the data, tokens by the model's own tokenizer, the limit, what to do."""
    (fault,) = project.faults(**letters("openai/SMALL", ", max_input_tokens: 2000"))
    assert (fault.file, fault.line) == ("letters.jsonl", 5)
    assert "makes a prompt of 3009 tokens with prompt 'default', and openai/gpt-4o-mini takes 2000" in (
        fault.message
    )
    assert "shorten the row, let task.long_inputs cut it" in fault.message
    assert "providers.openai.models.gpt-4o-mini.max_input_tokens" in fault.message


def test_a_row_in_hindi_is_counted_by_the_models_own_encoding(project: Any, rows_of: Any, jsonl: Any) -> None:
    """It fits: an older encoding, which needs four tokens for one, would have refused it."""
    rows = rows_of(12)
    rows[4]["text"] = "मेरा ऑर्डर अभी तक नहीं आया है, कृपया बताइए कि वह कब पहुँचेगा। " * 60
    jsonl(project.folder / "letters.jsonl", rows)
    text = SPEC.replace("MODEL", "openai/SMALL").replace("MORE", ", max_input_tokens: 2000")
    assert project.plan(spec_text=text, catalogue=CATALOGUE).models


def test_a_model_that_takes_it_is_planned(project: Any, letters: Any) -> None:
    """The same rows fit into 128000 tokens."""
    assert project.plan(**letters("openai/SMALL")).models


def test_a_model_without_its_tokenizer_is_held_to_an_estimate(project: Any, letters: Any) -> None:
    """The message says what was estimated, and with which margin."""
    (fault,) = project.faults(**letters("anthropic/SMALL", ", max_input_tokens: 2000"))
    assert f"estimated with OpenAI's tokenizer and {MARGIN:.0%} on top" in fault.message


def test_a_schema_is_counted_with_the_prompt(project: Any, letters: Any) -> None:
    """It is sent with every row: one that fits alone is too long with it."""
    form = ", output: {schema: {type: object, description: " + "word " * 400 + "}}"
    assert project.plan(**letters("openai/SMALL", ", max_input_tokens: 3200")).models
    (fault,) = project.faults(**letters("openai/SMALL", f", max_input_tokens: 3200{form}"))
    assert "with prompt 'default' and its schema, and openai/gpt-4o-mini takes 3200" in fault.message


def test_a_limit_of_the_model_in_the_spec_counts(project: Any, letters: Any) -> None:
    """`max_input_tokens` of a model is what its provider takes, whatever its context."""
    text = letters("openai/SMALL")["spec_text"]
    own = "providers: {openai: {models: {gpt-4o-mini: {max_input_tokens: 1000}}}}\n"
    (fault,) = project.faults(spec_text=text + own, catalogue=CATALOGUE)
    assert "openai/gpt-4o-mini takes 1000" in fault.message


@pytest.mark.parametrize(
    ("facts", "least_output", "most", "longest"),
    [
        ({"context_tokens": 1000}, 64, None, 936),
        ({"context_tokens": 1000, "max_output_tokens": 100}, 64, None, 936),
        ({"context_tokens": 1000, "max_input_tokens": 900}, 64, None, 900),
        ({"context_tokens": 1000, "max_output_tokens": 100}, 64, 500, 500),
        ({}, 64, 500, 500),
        ({}, 64, None, None),
    ],
)
def test_the_longest_prompt_leaves_room_for_the_answer(
    facts: dict[str, int], least_output: int, most: int | None, longest: int | None
) -> None:
    """Where prompt and answer share the context, the shortest answer asked for has to fit too."""
    model = Model(provider="p", name="m", model_class="SMALL", prices=None, **facts)
    assert longest_prompt(model, least_output, most) == longest


def test_a_schema_leaves_less_room_for_the_answer(project: Any, rows_of: Any, jsonl: Any) -> None:
    """Where prompt and answer share the context, it stands there too."""
    jsonl(project.folder / "letters.jsonl", rows_of(12))
    own = "{class: SMALL, prices: {input: 1, output: 1}, context_tokens: 4000}"
    rooms = []
    for more in ("", ", output: {schema: {type: object, description: " + "word " * 100 + "}}"):
        text = SPEC.replace("MODEL", "mine/m").replace("MORE", more)
        text = text.replace("temperature: 0.0", "max_output_tokens: {choices: [64, 4096]}")
        text += f"providers: {{mine: {{api_base: 'http://127.0.0.1:9/v1', models: {{m: {own}}}}}}}\n"
        plan = project.plan(spec_text=text, catalogue=CATALOGUE)
        rooms.append(plan.space.defaults["mine/m"].max_output_tokens)
    assert rooms[0] > rooms[1] + 100 > 1000


@pytest.mark.parametrize(
    ("facts", "limits"),
    [
        ("context_tokens: 4000", {64, 4000 - (64 + 16 + 700)}),
        ("context_tokens: 4000, max_output_tokens: 3500", {64, 4000 - (64 + 16 + 700)}),
        ("context_tokens: 4000, max_output_tokens: 2000", {64, 2000}),
        ("context_tokens: 4000, max_input_tokens: 4000", {64, 4096}),
        ("context_tokens: 5000", {64, 4096}),
    ],
)
def test_no_answer_is_asked_for_that_does_not_fit_beside_the_longest_prompt(
    project: Any, rows_of: Any, jsonl: Any, facts: str, limits: set[int]
) -> None:
    """What a provider would refuse is not tried; where prompts are counted apart, nothing is taken off."""
    rows = rows_of(12)
    rows[4]["text"] = "refund " * 100
    jsonl(project.folder / "letters.jsonl", rows)
    text = SPEC.replace("MODEL", "mine/m").replace("MORE", "")
    text = text.replace("temperature: 0.0", "max_output_tokens: {choices: [64, 4096]}")
    own = f"{{class: SMALL, prices: {{input: 1, output: 1}}, {facts}}}"
    text += f"providers: {{mine: {{api_base: 'http://127.0.0.1:9/v1', models: {{m: {own}}}}}}}\n"
    plan = project.plan(spec_text=text, catalogue=CATALOGUE)
    (limit,) = plan.space.dimensions["mine/m"]
    shared = [note for note in plan.notes if "for prompt and answer together" in note]
    assert set(limit.values) == limits
    told = "mine/m has 4000 tokens for prompt and answer together: beside the longest prompt, 3220 are left"
    assert shared == ([told] if 3220 in limits else [])


@pytest.mark.parametrize("name", ["google/gemini-2.5-pro", "openai/gpt-5-mini", "openai/gpt-6-sol"])
def test_where_prompts_are_counted_apart_the_catalogue_says_so(name: str) -> None:
    """All of the limit is the prompt's."""
    model = CATALOGUE.find(name)
    assert longest_prompt(model, 64, None) == model.max_input_tokens == model.context_tokens


@pytest.mark.parametrize("name", ["openai/gpt-4o", "anthropic/claude-haiku-4-5", "together/LARGE"])
def test_where_the_context_is_shared_the_answer_is_taken_off(name: str) -> None:
    """Also for a model with an output limit of its own."""
    model = find_model(name, CATALOGUE)
    assert longest_prompt(model, 64, None) == (model.context_tokens or 0) - 64


@given(st.text(min_size=1, max_size=300))
@settings(deadline=None, max_examples=60)
def test_bytes_bound_the_count_of_any_text(text: str) -> None:
    """Who is under the limit by bytes need not be counted."""
    mini = CATALOGUE.find("openai/gpt-4o-mini")
    count = count_tokens(mini, [Message("user", text)], Vocabularies(Path("nowhere")))
    assert count.tokens <= most_input_tokens([text])


SHOTS = {
    "turns": "system:\nSort.\nshots:\nuser:\n{{ text }}\n",
    "loop": "{% for s in shots %}{{ s.text }} -> {{ s.target }}\n{% endfor %}{{ text }} ->",
}


@pytest.fixture
def shown(project: Any, rows_of: Any, jsonl: Any) -> Any:
    """Plans rows of some 110 words each with examples, for a bound on the prompt."""
    rows = rows_of(24)
    for row in rows:
        row["text"] += " refund" * 100
    jsonl(project.folder / "letters.jsonl", rows)

    def planned(prompt: str, shots: str, most: int) -> dict[str, Any]:
        project.write("shown.jinja", SHOTS[prompt])
        text = SPEC.replace("MODEL", "openai/SMALL").replace("MORE", f", max_input_tokens: {most}")
        text = text.replace('"{{ text }}"', "shown.jinja").replace("temperature: 0.0", f"n_shots: {shots}")
        return {"spec_text": text, "catalogue": CATALOGUE}

    return planned


@pytest.mark.parametrize("prompt", SHOTS)
def test_a_prompt_is_as_long_as_it_is_with_the_most_examples(project: Any, shown: Any, prompt: str) -> None:
    """The row alone fits, and so it does with one example; with four it does not, and the error says so."""
    faults = project.faults(**shown(prompt, "{choices: [1, 4]}", 400))
    assert len(faults) == 20, "the first ones tell the story of the 24"
    assert {fault.file for fault in faults} == {"letters.jsonl"}
    assert all(1 <= fault.line <= 24 for fault in faults)
    assert all("-4-shots' and 4 examples" in fault.message for fault in faults)
    assert all("openai/gpt-4o-mini takes 400" in fault.message for fault in faults)


@pytest.mark.parametrize("prompt", SHOTS)
def test_examples_that_fit_are_no_fault(project: Any, shown: Any, prompt: str) -> None:
    """Counted where the bound in bytes is above the limit, and the count is not."""
    assert project.plan(**shown(prompt, "4", 900)).task.shots["default"].n == 4
