"""Token counts from above hold for every text, and for whatever limits an answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.bounds import (
    TOKENS_PER_MESSAGE,
    TOKENS_PER_REQUEST,
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
