"""Settings that a model takes beside some others alone: an error with its line, or an absent dimension."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest

from harness.catalogue.models import Catalogue, load_catalogue
from harness.plan.parameters import all_settings, parameters_of, suggested
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.trials.proposals import Proposals

SPEC = """\
experiment: beside
task: {dataset: tickets.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracy}
search:
  models: MODELS
SETTINGS
budget: {calls: 1000}
failures: count_as_wrong
"""


@pytest.fixture
def plan(project: Any):
    """Plans these models with these lines of settings, by the catalogue that is shipped."""

    def made(models: str, *lines: str, catalogue: Catalogue | None = None) -> Plan:
        text = SPEC.replace("MODELS", models).replace("SETTINGS", "\n".join(f"  {line}" for line in lines))
        return project.plan(spec_text=text, catalogue=catalogue or load_catalogue())

    return made


@pytest.fixture
def faults(project: Any):
    """Line, key and message of each fault of such a spec."""

    def made(models: str, *lines: str) -> list[tuple[int | None, str, str]]:
        text = SPEC.replace("MODELS", models).replace("SETTINGS", "\n".join(f"  {line}" for line in lines))
        return [
            (f.line, f.key, f.message) for f in project.faults(spec_text=text, catalogue=load_catalogue())
        ]

    return made


LUNA = "[openai/gpt-6-luna]"
RANGE = "temperature: {low: 0.0, high: 1.0}"


def test_temperature_or_top_p_is_said_by_name_and_line(faults):
    """Claude refuses both together: setting, model, line, and the way out."""
    ((line, key, message),) = faults("[anthropic/SMALL]", RANGE, "top_p: 0.9")
    assert (line, key) == (6, "search.top_p")
    assert message.startswith("anthropic/claude-haiku-4-5 takes temperature or top_p, not both.")
    assert "on_unsupported: condition" in message


def test_either_of_the_two_alone_is_taken(plan):
    """Nothing is wrong with top_p where no temperature is searched."""
    searched = plan("[anthropic/SMALL]", "top_p: {low: 0.5, high: 1.0}")
    (dimension,) = searched.space.dimensions["anthropic/claude-haiku-4-5"]
    assert dimension.name == "top_p"


def test_a_condition_leaves_the_second_of_the_two_out_for_that_model(plan):
    """For another model both are searched, and a note says what is not."""
    searched = plan("[anthropic/SMALL, openai/SMALL]", RANGE, "top_p: 0.9", "on_unsupported: condition")
    names = {model: [d.name for d in ds] for model, ds in searched.space.dimensions.items()}
    assert names["anthropic/claude-haiku-4-5"] == ["temperature"]
    assert names["openai/gpt-4o-mini"] == ["temperature", "top_p"]
    assert "no top_p: anthropic/claude-haiku-4-5 takes temperature or top_p, not both" in searched.notes


def test_temperature_needs_reasoning_to_be_off(faults):
    """A model that reasons unless told not to takes a temperature only beside reasoning_effort none."""
    ((line, key, message),) = faults(LUNA, RANGE)
    assert (line, key) == (5, "search.temperature")
    assert message.startswith("openai/gpt-6-luna takes temperature only with reasoning_effort 'none'.")


def test_reasoning_that_is_off_lets_temperature_through(plan):
    """With the value that it needs, nothing is conditional."""
    searched = plan(LUNA, RANGE, "reasoning_effort: none")
    assert all(d.when is None for d in searched.space.dimensions["openai/gpt-6-luna"])
    assert searched.space.defaults["openai/gpt-6-luna"].temperature == 0.3


def test_reasoning_that_is_off_unless_asked_for_may_be_left_out(plan):
    """gpt-5.4 does not reason by itself."""
    assert plan("[openai/gpt-5.4-mini]", RANGE).space.defaults["openai/gpt-5.4-mini"].temperature == 0.3


def test_a_dimension_is_there_beside_some_values_alone(plan):
    """Whoever draws reasoning gets no temperature, and its trials differ in nothing that is not sent."""
    space = plan(LUNA, RANGE, "reasoning_effort: {choices: [none, low]}", "on_unsupported: condition").space
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [suggested(study.ask(), space) for _ in range(40)]
    assert {one.reasoning_effort for one in drawn} == {"none", "low"}
    for one in drawn:
        assert ("temperature" in one.sent()) == (one.reasoning_effort == "none")
        assert ("temperature" in parameters_of(one, space)) == (one.reasoning_effort == "none")


def test_settings_that_send_the_same_are_one_trial(plan):
    """Three temperatures without reasoning, and one request with it: four settings, counted."""
    steps = "temperature: {choices: [0.0, 0.5, 1.0]}"
    space = plan(LUNA, steps, "reasoning_effort: {choices: [none, low]}", "on_unsupported: condition").space
    every = list(all_settings(space))
    assert space.distinct == len(every) == 4
    assert len({str(sorted(one.sent().items())) for one in every}) == 4
    proposals = Proposals(space, seed=1)
    asked = [found for _ in range(8) if (found := proposals.ask()) is not None]
    assert len(asked) == 4


def test_absent_settings_are_told_of(plan):
    """What a model does not take at all is a note too: nothing disappears without a word."""
    searched = plan("[openai/gpt-5-mini, openai/SMALL]", RANGE, "on_unsupported: condition")
    assert "no temperature: openai/gpt-5-mini does not take it" in searched.notes


OWN_FILE = """\
provider: house
wire: openai
litellm_prefix: openai
api_base: https://llm.example/v1
api_key_env: HOUSE_KEY
source: our price sheet
as_of: "2026-11-01"
classes: {SMALL: little}
settings:
  sampling:
    temperature: {low: 0.0, high: 1.0, default: 0.2}
    max_output_tokens: {low: 1, default: 64}
models:
  little: {class: SMALL, takes: sampling, prices: {input: 0.5, output: 1.0}, context_tokens: 4096}
"""


def test_a_file_of_ones_own_extends_the_catalogue(project, plan):
    """A provider, its model and its price come from the file that the spec names."""
    project.write("house.yaml", OWN_FILE)
    text = SPEC.replace("MODELS", "[house/SMALL]").replace("SETTINGS", "  temperature: 0.5")
    made = make_plan(project.write("own.yaml", "catalogue: [house.yaml]\n" + text), cache=project.cache)
    assert made.models["house/little"].prices.input == 0.5
    assert made.endpoints["house"].api_base == "https://llm.example/v1"
    assert made.prices_as_of == "2026-11-01"


def test_a_faulty_file_of_ones_own_is_named_with_its_key(project):
    """The line of the spec, the file, the key."""
    project.write("house.yaml", OWN_FILE.replace("class: SMALL,", "class: TINY,"))
    text = "catalogue: [house.yaml]\n" + SPEC.replace("MODELS", "[openai/SMALL]").replace("SETTINGS", "")
    (fault,) = project.faults(spec_text=text, catalogue=load_catalogue())
    assert (fault.line, fault.key) == (1, "catalogue[0]")
    assert "house.yaml: models.little.class: is 'TINY'" in fault.message


def test_given_settings_are_held_against_conditions_too(project):
    """What is measured as it is has to be sendable as it is."""
    text = SPEC.replace("MODELS", "[anthropic/SMALL]").replace("SETTINGS", "")
    both = {"model": "anthropic/claude-haiku-4-5", "temperature": 0.1, "top_p": 0.5, "max_output_tokens": 9}
    (fault,) = project.faults(spec_text=text, catalogue=load_catalogue(), settings=both, split="all")
    assert "takes temperature or top_p, not both" in fault.message


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("temperature: 0.5", "which is a setting; write it as search.temperature"),
        ("max_tokens: 5", "which every call sets by itself"),
    ],
)
def test_a_custom_parameter_overwrites_nothing(faults, setting, words):
    """A setting under extra would be sent twice."""
    ((_, _, message),) = faults("[openai/SMALL]", f"extra: {{{setting}}}")
    assert words in message


def test_warm_settings_keep_to_the_conditions(plan):
    """A default of a model that reasons has no temperature, whatever the preset says."""
    lines = ("reasoning_effort: {choices: [low, none]}", RANGE, "on_unsupported: condition")
    space = plan(LUNA, *lines, "warm_start: ['preset:analysis']").space
    for one in space.warm:
        assert one.temperature is None or one.reasoning_effort == "none"
    assert replace(space.defaults["openai/gpt-6-luna"]).sent()["reasoning_effort"] == "none"
