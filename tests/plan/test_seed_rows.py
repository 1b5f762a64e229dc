"""What the fine-tuning guide that this tool grew from tells people to set, row by row: it works, or says why.

The names of tests carry the rows: P for providers, S for settings, C for classes, G for guidelines, B for
best practices, A for advanced configuration.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.catalogue.models import load_catalogue
from harness.errors import Problem
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.trials.proposals import Proposals

CATALOGUE = load_catalogue()
SPEC = """\
experiment: guide
task: {dataset: tickets.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracyTASK}
search:
  models: [MODELS]
SETTINGS
PROVIDERSbudget: {calls: 1000}
failures: count_as_wrong
"""


def written(models: str, settings: str = "", providers: str = "", task: str = "") -> str:
    """The spec with these parts; the models stand in line 4, the settings from line 5 on."""
    text = SPEC.replace("MODELS", models).replace("SETTINGS", settings).replace("TASK", task)
    return text.replace("PROVIDERS", f"{providers}\n" if providers else "")


@pytest.fixture
def planned(project: Any) -> Any:
    """Plans a spec of these parts by the catalogue that is shipped."""

    def make(*parts: str, **named: str) -> Plan:
        return make_plan(project.write("guide.yaml", written(*parts, **named)), cache=project.cache)

    return make


@pytest.fixture
def refused(project: Any) -> Any:
    """The only fault of a spec of these parts."""

    def make(*parts: str, **named: str) -> Problem:
        (fault,) = project.faults(spec_text=written(*parts, **named), catalogue=CATALOGUE)
        return fault

    return make


# Providers and classes


@pytest.mark.parametrize(
    ("name", "full_name"),
    [
        ("openai/SMALL", "openai/gpt-4o-mini"),
        ("openai/MEDIUM", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("anthropic/SMALL", "anthropic/claude-haiku-4-5"),
        ("anthropic/MEDIUM", "anthropic/claude-sonnet-4-6"),
        ("anthropic/LARGE", "anthropic/claude-opus-4-6"),
        ("google/SMALL", "google/gemini-2.5-flash-lite"),
        ("google/LARGE", "google/gemini-2.5-pro"),
        ("together/SMALL", "together/meta-llama/Llama-3.2-3B-Instruct"),
        ("together/MEDIUM", "together/Qwen/Qwen3.5-9B"),
        ("together/LARGE", "together/openai/gpt-oss-120b"),
        ("local/SMALL", "local/smollm2-135m-instruct"),
        ("local/LARGE", "local/hermes-3-llama-3.2-3b"),
        ("ollama/hermes3", "ollama/hermes3"),
        ("lmstudio/hermes-3-llama-3.1-8b", "lmstudio/hermes-3-llama-3.1-8b"),
    ],
)
def test_p1_p3_p5_p7_p9_c1_c2_c3_every_class_of_every_provider_is_a_model_of_today(
    planned: Any, name: str, full_name: str
) -> None:
    """Five providers and three classes, with a price or declared free."""
    plan = planned(name)
    assert list(plan.models) == [full_name]
    assert plan.models[full_name].prices is not None


@pytest.mark.parametrize(
    ("name", "successor"),
    [
        ("anthropic/claude-3-haiku", "anthropic/claude-haiku-4-5"),
        ("anthropic/claude-3.5-sonnet", "anthropic/claude-sonnet-4-6"),
        ("anthropic/claude-3-opus", "anthropic/claude-opus-4-6"),
        ("google/gemini-1.5-flash", "google/gemini-2.5-flash"),
        ("google/gemini-1.5-pro", "google/gemini-2.5-pro"),
        ("google/text-embedding-004", "google/gemini-embedding-001"),
        ("together/meta-llama/Llama-3.2-3B-Instruct-Turbo", "together/meta-llama/Llama-3.2-3B-Instruct"),
        ("together/meta-llama-3.1-8b-instruct", "together/Qwen/Qwen3.5-9B"),
        ("together/meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo", "together/openai/gpt-oss-120b"),
        ("together/togethercomputer/m2-bert-80M-32k-retrieval", "together/BAAI/bge-base-en-v1.5"),
    ],
)
def test_p3_p5_p6_p7_p8_a_retired_model_names_its_successor_with_the_line(
    refused: Any, name: str, successor: str
) -> None:
    """Asked for by the guide's own name, it never runs silently as something else."""
    fault = refused(name)
    assert (fault.file, fault.line, fault.key) == ("triage.yaml", 4, "search.models[0]")
    assert "is retired" in fault.message
    assert f"use its successor '{successor}'" in fault.message


@pytest.mark.parametrize(("name", "provider"), [("llama_cloud", "together"), ("llama_local", "local")])
def test_p7_p9_the_guides_names_of_providers_lead_to_ours(refused: Any, name: str, provider: str) -> None:
    """LLaMA Cloud is Together, LLaMA Local runs here."""
    assert f"provider {name!r} is called {provider!r} here" in refused(f"{name}/SMALL").message


# Settings


def test_s1_stop_is_searched_and_sent(planned: Any) -> None:
    """Texts at which an answer ends, as lists to choose from."""
    plan = planned("openai/SMALL", "  stop: {choices: [[END], ['###', Q]]}")
    assert plan.space.defaults["openai/gpt-4o-mini"].sent()["stop"] == ["END"]


def test_s2_a_prompt_beyond_128000_tokens_is_found_before_it_is_sent(
    project: Any, rows_of: Any, jsonl: Any
) -> None:
    """The guide's maxInputTokens is what the model takes: row, count and limit are told."""
    rows = rows_of(12)
    rows[3]["text"] = "refund " * 130_000
    jsonl(project.folder / "tickets.jsonl", rows)
    (fault,) = project.faults(spec_text=written("openai/SMALL"), catalogue=CATALOGUE)
    assert (fault.file, fault.line) == ("tickets.jsonl", 4)
    assert f"openai/gpt-4o-mini takes {128_000 - 1024}" in fault.message, "beside its answer"


@pytest.mark.parametrize(
    ("asked", "tried"),
    [
        ("8192", {8192}),
        ("20000", {16384}),
        ("{choices: [256, 16384, 20000]}", {256, 16384}),
        ("{low: 10000, high: 20000, step: 5000}", {10000, 15000}),
        ("{low: 18000, high: 20000}", {16384}),
    ],
)
def test_s3_an_answer_is_capped_at_the_models_limit(planned: Any, asked: str, tried: set[int]) -> None:
    """8192 fits gpt-4o-mini; what is above its 16384 is 16384: sent, in the trial, and tried once."""
    plan = planned("openai/SMALL", f"  max_output_tokens: {asked}")
    found = Proposals(plan.space, seed=1).whole(99)
    assert found is not None
    assert sorted(one.max_output_tokens for _, one in found) == sorted(tried)
    note = "max_output_tokens ends at 16384: openai/gpt-4o-mini gives no longer answer"
    assert (note in plan.notes) == ("20000" in asked)


def test_s3_a_cap_is_of_each_model(planned: Any) -> None:
    """Another model takes what is asked, and limits that answers may be reused among follow what is sent."""
    lines = "  temperature: 0\n  max_output_tokens: {choices: [64, 20000]}\n  reuse_across_limits: true"
    plan = planned("openai/SMALL, openai/LARGE", lines)
    values = [d.values for ds in plan.space.dimensions.values() for d in ds if d.name == "max_output_tokens"]
    assert values == [(64, 16384), (64, 20000)]
    assert plan.reuse_limits == (64, 16384, 20000)


@pytest.mark.parametrize("setting", ["frequency_penalty", "presence_penalty"])
@pytest.mark.parametrize("name", ["anthropic/SMALL", "google/SMALL", "openai/gpt-6-luna", "ollama/hermes3"])
def test_s4_s5_penalties_are_refused_where_they_would_be_dropped(
    refused: Any, planned: Any, setting: str, name: str
) -> None:
    """Setting, model and line; under a condition they are searched for the other models alone."""
    fault = refused(name, f"  {setting}: 0.0")
    assert (fault.line, fault.key) == (5, f"search.{setting}")
    assert f"does not take {setting}" in fault.message
    plan = planned(f"{name}, openai/SMALL", f"  {setting}: {{low: 0, high: 1}}\n  on_unsupported: condition")
    searched = {model: [d.name for d in ds] for model, ds in plan.space.dimensions.items()}
    assert sorted(searched.values()) == [[], [setting]]
    assert searched["openai/gpt-4o-mini"] == [setting]


@pytest.mark.parametrize(
    ("name", "high"),
    [("anthropic/SMALL", 1), ("openai/SMALL", 2), ("mistral/SMALL", 1.5), ("bedrock/SMALL", 1)],
)
def test_s6_temperature_has_the_range_of_its_provider(
    planned: Any, refused: Any, name: str, high: float
) -> None:
    """The guide's 0.3 fits everywhere; beyond the end of a range nothing is sent."""
    assert planned(name, "  temperature: 0.3").space
    assert f"takes 0 to {high}" in refused(name, "  temperature: 2.5").message


# Guidelines and best practices


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("chat", {"temperature": 0.7, "max_output_tokens": 2048, "presence_penalty": 0.6}),
        ("analysis", {"temperature": 0.2, "max_output_tokens": 8192, "presence_penalty": 0.0}),
        ("enhanced", {"temperature": 0.4, "presence_penalty": 0.2}),
    ],
)
def test_g4_g5_i2_the_guides_settings_are_tried_right_after_the_defaults(
    planned: Any, preset: str, values: dict[str, float]
) -> None:
    """`preset:NAME` puts them among the first trials of a search, as they are written there."""
    lines = (
        "  temperature: {low: 0, high: 1}\n  presence_penalty: {low: 0, high: 1}\n"
        f"  max_output_tokens: {{choices: [2048, 8192]}}\n  warm_start: ['preset:{preset}']"
    )
    space = planned("openai/SMALL", lines).space
    first = [settings for _, settings in Proposals(space, seed=1).defaults(4)]
    assert any(values.items() <= settings.sent().items() for settings in first)


def test_b2_a_provider_alone_means_its_medium_model(planned: Any) -> None:
    """MEDIUM is the class for general tasks, where nothing else is said."""
    assert list(planned("openai").models) == ["openai/gpt-4o"]


def test_s4_s5_penalties_of_local_models_come_with_a_caveat(planned: Any) -> None:
    """llama.cpp counts the prompt's tokens too, and cannot be told not to: the plan says so, once."""
    lines = "  frequency_penalty: {low: 0, high: 1}\n  presence_penalty: {low: 0, high: 1}"
    (told,) = [note for note in planned("local/SMALL", lines).notes if "penalties" in note]
    assert told.startswith("local: penalties count the last 64 tokens, those of the prompt among them")
    assert not any("penalties" in note for note in planned("openai/SMALL", lines).notes)


# Advanced configuration

OWN = """\
providers:
  house:
    api_base: http://127.0.0.1:9/v1
    models:
      quick: {class: SMALL, prices: {input: 0.1, output: 0.2}}
      thorough: {class: LARGE, prices: {input: 1, output: 2}, context_tokens: 64000}"""


def test_a1_models_of_ones_own_stand_for_their_classes(planned: Any) -> None:
    """An OpenAI-compatible address, a class and a price are all that is needed."""
    plan = planned("house/SMALL, house/LARGE", providers=OWN)
    assert list(plan.models) == ["house/quick", "house/thorough"]
    assert plan.endpoints["house"].wire == "openai"


def test_a1_a_class_may_mean_another_model(planned: Any, refused: Any) -> None:
    """The guide's custom model per class, in place of the catalogue's."""
    own = "providers: {openai: {classes: {SMALL: gpt-4.1-mini, MEDIUM: gpt-5.4-mini}}}"
    assert list(planned("openai/SMALL, openai", providers=own).models) == [
        "openai/gpt-4.1-mini",
        "openai/gpt-5.4-mini",
    ]
    fault = refused("openai/SMALL", providers="providers: {openai: {classes: {SMALL: gpt-3.5-turbo}}}")
    assert fault.key == "providers.openai.classes.SMALL"
    assert "is retired" in fault.message


def test_a2_a_shorter_prompt_and_a_temperature_of_its_own(planned: Any) -> None:
    """maxInputTokens 64000 and temperature 0.5, as in the guide's example."""
    plan = planned("openai/SMALL", "  temperature: 0.5", task=", max_input_tokens: 64000")
    assert plan.space.defaults["openai/gpt-4o-mini"].temperature == 0.5


def test_a3_a_custom_parameter_is_passed_through(planned: Any) -> None:
    """Whatever it is called, it is sent as it is, and may be searched."""
    lines = "  extra: {custom_param: value, repetition_penalty: {low: 1.0, high: 1.2, step: 0.1}}"
    space = planned("house/SMALL", lines, OWN).space
    (settings, *others) = [s for _, s in Proposals(space, seed=1).whole(9) or []]
    assert settings.sent()["custom_param"] == "value"
    assert {s.sent()["repetition_penalty"] for s in (settings, *others)} == {1.0, 1.1, 1.2}
