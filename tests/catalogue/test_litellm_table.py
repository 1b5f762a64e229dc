"""Prices, limits and ends in the catalogue against litellm's table: every difference has its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.catalogue.models import Catalogue, Model, Prices, load_catalogue, price_usd
from harness.loading import load_litellm
from harness.records import Usage

DRIFTS = Path(__file__).with_name("drifts.yaml")
PER_MILLION = 1_000_000
RATES = {
    "input": "input_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue as shipped."""
    return load_catalogue()


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    """litellm's own table, as its package holds it."""
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).with_name("model_prices_and_context_window_backup.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drifts() -> dict[str, Any]:
    """The differences that are meant."""
    return YAML(typ="safe", pure=True).load(DRIFTS.read_text(encoding="utf-8"))


def entry(model: Model, catalogue: Catalogue, table: dict[str, Any]) -> dict[str, Any] | None:
    """The table's entry of this model at this provider."""
    prefix = catalogue.provider(model.provider).litellm_prefix
    for key in (f"{prefix}/{model.name}", model.name):
        if str(table.get(key, {}).get("litellm_provider", "")).startswith(prefix):
            return table[key]
    return None


def rate(entry: dict[str, Any], key: str) -> float:
    """USD per million; 0 where nothing is stated, or nothing is billed."""
    return round((entry.get(key) or 0.0) * PER_MILLION, 8)


def differences(model: Model, entry: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Facts that differ: name, ours, theirs."""
    for name, ours, theirs in rates(model.prices, entry):
        if ours != theirs:
            yield name, ours, theirs
    facts = {
        "prompt": (model.max_input_tokens or model.context_tokens, entry.get("max_input_tokens")),
        "ends": (model.deprecation_date, entry.get("deprecation_date")),
        "dimensions": (model.dimensions, entry.get("output_vector_size")),
    }
    if model.model_class != "EMBEDDING":
        facts["answer"] = (model.max_output_tokens, entry.get("max_output_tokens"))
    for name, (ours, theirs) in facts.items():
        if ours != theirs:
            yield name, ours, theirs


def rates(prices: Prices | None, entry: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Each rate of short and of long prompts, ours beside theirs."""
    assert prices is not None
    for name, key in RATES.items():
        yield name, getattr(prices, name) or 0.0, rate(entry, key)
    marks = {found[1] for key in entry if (found := re.fullmatch(r"input_cost_.*_above_(\d+)k_tokens", key))}
    long = prices.long_prompt
    yield "long prompts above", long.above_tokens if long else 0, float(max(marks, default="0")) * 1000
    for name, key in RATES.items() if long else ():
        theirs = rate(entry, f"{key}_above_{long.above_tokens // 1000}k_tokens")
        yield f"{name} of long prompts", getattr(long.prices, name) or 0.0, theirs


def by_fact(drift: dict[str, Any]) -> tuple[str, str]:
    """Drifts in one order."""
    return drift["model"], drift["fact"]


def test_every_difference_to_the_table_is_meant(
    catalogue: Catalogue, table: dict[str, Any], drifts: dict[str, Any]
) -> None:
    """What litellm changes shows up here by model and fact, and so does a drift that is none any more."""
    found = []
    for model in catalogue.models:
        theirs = None if model.retired else entry(model, catalogue, table)
        for fact, ours, stated in differences(model, theirs) if theirs else ():
            found.append({"model": model.full_name, "fact": fact, "ours": ours, "theirs": stated})
    assert sorted(found, key=by_fact) == sorted(drifts["drifts"], key=by_fact)
    assert {drift["model"] for drift in found} == drifts["reasons"].keys()


def test_every_current_model_without_an_entry_is_meant(
    catalogue: Catalogue, table: dict[str, Any], drifts: dict[str, Any]
) -> None:
    """A model that disappears from the table may have ended; it is looked at before it stays."""
    current = [model for model in catalogue.models if not model.retired]
    absent = {model.full_name for model in current if entry(model, catalogue, table) is None}
    assert absent == drifts["absent"].keys()


def test_what_we_call_retired_is_ended_or_unknown_there(catalogue: Catalogue, table: dict[str, Any]) -> None:
    """A retired model has left the table, or its date there is over on the day of our file."""
    for model in catalogue.models:
        theirs = entry(model, catalogue, table) if model.retired else None
        if theirs is not None:
            assert theirs["deprecation_date"] <= model.as_of, model.full_name
            assert theirs["deprecation_date"] == model.deprecation_date, model.full_name


@pytest.mark.parametrize(
    ("full_name", "prompt_tokens"),
    [
        ("openai/gpt-4o-mini", 1200),
        ("openai/gpt-6-sol", 1200),
        ("openai/gpt-6-sol", 300_000),
        ("anthropic/claude-haiku-4-5", 1200),
        ("google/gemini-2.5-pro", 1200),
        ("google/gemini-2.5-pro", 300_000),
    ],
)
def test_our_arithmetic_agrees_with_litellm(catalogue: Catalogue, full_name: str, prompt_tokens: int) -> None:
    """1000 of the prompt's tokens read from the cache, 100 answered: the same bill, short and long."""
    litellm = load_litellm()
    model = catalogue.find(full_name)
    prefix = catalogue.provider(model.provider).litellm_prefix
    details = {"cached_tokens": 1000, "cache_write_tokens": 0}
    usage = litellm.Usage(prompt_tokens=prompt_tokens, completion_tokens=100, prompt_tokens_details=details)
    theirs = sum(litellm.cost_per_token(model=model.name, custom_llm_provider=prefix, usage_object=usage))
    ours = Usage(
        input_tokens=prompt_tokens,
        cached_input_tokens=1000,
        cache_write_tokens=0,
        output_tokens=100,
        reasoning_tokens=0,
    )
    assert model.prices is not None
    assert price_usd(ours, model.prices) == pytest.approx(theirs)
