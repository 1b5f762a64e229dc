"""Token counts from above hold for every text, and for whatever limits an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.bounds import (
    TOKENS_PER_FORM,
    TOKENS_PER_MESSAGE,
    TOKENS_PER_REQUEST,
    most_embedded_tokens,
    most_input_tokens,
    most_output_tokens,
)
from harness.catalogue.models import Model


def test_a_prompt_has_at_most_a_token_per_byte() -> None:
    """Three bytes for a Chinese character, and the frames of request and messages on top."""
    frames = TOKENS_PER_REQUEST + 2 * TOKENS_PER_MESSAGE
    assert most_input_tokens(["abc", "界"]) == frames + 3 + 3


@given(st.lists(st.text(max_size=40), max_size=4))
@settings(deadline=None)
def test_the_bound_is_never_below_a_count_of_characters(texts: list[str]) -> None:
    """Every character is at least one byte, whatever the script; half a surrogate pair breaks nothing."""
    assert most_input_tokens([*texts, "\ud800"]) > sum(len(text) for text in texts)


PART = {"type": "string", "description": "Größe der Bestellung, in einem Satz."}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        ({"top_k": 40, "min_p": 0.1, "echo": False, "bias": None}, 0),
        ({"preset": "gründlich"}, TOKENS_PER_MESSAGE + len(json.dumps("gründlich"))),
        ({"response_format": PART}, TOKENS_PER_FORM + len(json.dumps(PART))),
        (
            {"response_format": PART, "tools": [TOOL]},
            TOKENS_PER_FORM + len(json.dumps(PART) + json.dumps([TOOL])),
        ),
    ],
)
def test_what_is_sent_beside_a_prompt_is_a_part_of_it(sent: Any, tokens: int) -> None:
    """Schemas and tools by their bytes, with what explains them once; texts too; numbers never."""
    assert most_input_tokens(["abc"], sent) == most_input_tokens(["abc"]) + tokens


def test_a_definition_counts_wherever_a_schema_refers_to_it() -> None:
    """litellm copies it there, for formats that have no references; one to itself stays as it is."""
    node = {"properties": {"left": {"$ref": "#/$defs/part"}, "right": {"$ref": "#/$defs/part"}}}
    schema: Any = {"properties": {"one": {"$ref": "#/$defs/node"}}, "$defs": {"node": node, "part": PART}}
    plain = {"properties": {"one": {"properties": {"left": PART, "right": PART}}}}
    assert most_input_tokens([], {"form": schema}) >= most_input_tokens([], {"form": plain})
    for _ in range(40):
        schema = {
            "$defs": {"inner": schema, "node": {"anyOf": [{"$ref": "#/$defs/node"}] * 2}},
            "$ref": "#/$defs/inner",
        }
    assert most_input_tokens([], {"form": schema}) > len(json.dumps(schema))


def test_each_text_to_embed_may_have_the_task_before_it() -> None:
    """A service writes it there, as it does a title or an instruction."""
    task = {"task": "retrieval.query", "dimensions": 256}
    more = TOKENS_PER_MESSAGE + len('"retrieval.query"')
    assert most_embedded_tokens(["a", "b"], task) == most_embedded_tokens(["a", "b"]) + 2 * more


@pytest.mark.parametrize(
    ("asked", "limit", "context", "most"),
    [(64, 100, 1000, 64), (None, 100, 1000, 100), (None, None, 1000, 1000), (None, None, None, 0)],
)
def test_an_answer_ends_where_the_first_limit_stands(
    asked: int | None, limit: int | None, context: int | None, most: int
) -> None:
    """What was asked for, else the model's limit, else its context, else nothing is known."""
    model = Model(
        provider="p",
        name="m",
        model_class="SMALL",
        prices=None,
        max_output_tokens=limit,
        context_tokens=context,
    )
    assert most_output_tokens(asked, model) == most
