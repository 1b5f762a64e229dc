"""No custom parameter asks or costs something else than what a call was counted as."""

from __future__ import annotations

from typing import Any

import pytest

from harness.catalogue.custom import custom_fault, custom_faults
from harness.catalogue.models import load_catalogue


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model", "what every call sets by itself; remove it"),
        ("max_new_tokens", "is the output limit"),
        ("maxOutputTokens", "write max_output_tokens among the settings"),
        ("temperature", "is a setting; write it by that name"),
        ("best_of", "asks for more answers than one"),
        ("models", "has other models asked"),
        ("web_search_options", "puts texts into the prompt"),
        ("service_tier", "is billed at other prices"),
    ],
)
def test_a_name_that_a_hold_does_not_know_of_is_no_custom_parameter(name: str, words: str) -> None:
    """The reason says what it would do, and what to do instead."""
    assert custom_fault(name).startswith(f"{name} ")
    assert words in custom_fault(name)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "find", "parameters": {}}},
        {"type": "custom", "custom": {"name": "find"}},
        {"name": "find", "description": "Finds.", "input_schema": {"type": "object"}},
        {"function_declarations": [{"name": "find"}]},
    ],
)
def test_a_tool_that_the_caller_runs_is_sent(tool: Any) -> None:
    """Its definition is all that it adds to a prompt; so does a schema, and what models take anyway."""
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    assert custom_faults({"tools": [tool], "response_format": form, "top_k": 4, "thinking": {"x": 1}}) == []


@pytest.mark.parametrize(
    ("tool", "named"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "'web_search_20250305'"),
        ({"google_search": {}}, "'google_search'"),
        ({"function_declarations": [], "google_search": {}}, "google_search"),
        ({"type": "file_search", "vector_store_ids": ["a"]}, "'file_search'"),
        ({}, "'nothing'"),
        ("search", "'nothing'"),
    ],
)
def test_a_tool_that_the_provider_runs_is_not(tool: Any, named: str) -> None:
    """What it finds is billed as a prompt that nobody has seen."""
    (fault,) = custom_faults({"tools": [tool]})
    assert f"holds {named}" in fault or named in fault


def test_no_model_of_the_catalogue_is_said_to_take_one() -> None:
    """What the catalogue lists, a spec may send."""
    listed = {name for model in load_catalogue().models for name in model.custom}
    assert {name: fault for name in listed if (fault := custom_fault(name))} == {}
