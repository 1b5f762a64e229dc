"""Settings that a model takes beside some others alone: an error with its line, or an absent dimension."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import optuna
import pytest

from harness.catalogue.models import Accepts, Catalogue, load_catalogue
from harness.plan.conditions import rivals
from harness.plan.parameters import all_settings, parameters_of, suggested
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.testing.worlds import candidates
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


CLAUDE = "anthropic/claude-haiku-4-5"
BOTH = (RANGE, "top_p: {choices: [0.5, 0.9]}", "on_unsupported: condition")


def test_of_two_that_exclude_each_other_a_choice_decides_which_is_searched(plan):
    """Each is there beside its own name; for another model both are there together, and a note tells."""
    searched = plan("[anthropic/SMALL, openai/SMALL]", *BOTH)
    names = {model: [(d.name, d.when) for d in ds] for model, ds in searched.space.dimensions.items()}
    which = "temperature or top_p"
    assert names[CLAUDE] == [
        (which, None),
        ("temperature", (which, ("temperature",))),
        ("top_p", (which, ("top_p",))),
    ]
    assert names["openai/gpt-4o-mini"] == [("temperature", None), ("top_p", None)]
    assert f"temperature or top_p is a choice: {CLAUDE} takes one at a time" in searched.notes
    assert not any("no top_p" in note for note in searched.notes)


def test_of_two_that_exclude_each_other_each_trial_sends_one(plan):
    """Both are drawn; what is sent is what Optuna's parameters say, and the choice itself is never sent."""
    space = plan("[anthropic/SMALL]", *BOTH).space
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [suggested(study.ask(), space) for _ in range(40)]
    for one in drawn:
        assert len({"temperature", "top_p"} & one.sent().keys()) == 1
        assert one.extra == {}
    assert {"temperature" in one.sent() for one in drawn} == {True, False}
    drawn_names = [parameters_of(one, space).keys() for one in drawn]
    assert drawn_names == [trial.params.keys() for trial in study.trials]
    assert space.defaults[CLAUDE].sent().keys() == {"temperature", "max_output_tokens"}


def test_a_choice_between_settings_is_counted_and_gone_through(plan):
    """Three temperatures and two nuclei are five settings, each proposed once."""
    steps = "temperature: {choices: [0.0, 0.5, 1.0]}"
    space = plan("[anthropic/SMALL]", steps, *BOTH[1:]).space
    every = list(all_settings(space))
    assert space.distinct == len(every) == len({str(one) for one in every}) == 5
    proposals = Proposals(space, seed=1)
    asked = [found for _ in range(9) if (found := proposals.ask()) is not None]
    assert len(asked) == 5
    assert sorted(map(str, candidates(space))) == sorted(map(str, every))


def knotted(**changes: Any) -> Catalogue:
    """The catalogue with one model whose settings exclude each other as `changes` say."""
    catalogue = load_catalogue()
    model = catalogue.find(CLAUDE)
    settings = {name: changes.get(name, accepts) for name, accepts in model.settings.items()}
    return catalogue.extended([replace(model, settings=settings)], {})


def test_three_that_exclude_each_other_are_one_choice():
    """It does not matter which of two says so."""
    model = knotted(stop=Accepts(not_with=("top_p",))).find(CLAUDE)
    assert rivals(model, "temperature", ("temperature", "top_p", "stop")) == ("temperature", "top_p", "stop")
    assert rivals(model, "stop", ("temperature", "stop")) == ()


def test_a_knot_of_conditions_is_not_taken_apart(plan):
    """Where one of the two hangs on a third setting, the second of the two is left out, and a note tells."""
    tied = Accepts(low=0.0, high=1.0, default=0.3, only_with={"stop": (None,)})
    searched = plan("[anthropic/SMALL]", *BOTH, catalogue=knotted(temperature=tied))
    assert [d.name for d in searched.space.dimensions[CLAUDE]] == ["temperature"]
    assert f"no top_p: {CLAUDE} takes temperature or top_p, not both" in searched.notes


def test_warm_settings_send_one_of_two_that_exclude_each_other(plan, project):
    """A recommendation that sends top_p keeps it; one that sends both is no setting of this model."""
    for name, sent in (("one", {"top_p": 0.9}), ("two", {"top_p": 0.9, "temperature": 0.5})):
        settings = {"model": CLAUDE, "prompt": "default", "max_output_tokens": 1024, **sent}
        project.write(f"{name}.json", json.dumps({"settings": settings}))
    made = plan("[anthropic/SMALL]", *BOTH, "warm_start: [one.json, two.json]")
    assert [(one.top_p, one.temperature) for one in made.space.warm] == [(0.9, None)]
    assert any("they send temperature and top_p" in note for note in made.notes)


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
        ("temperature: 0.5", "is a setting; write it by that name"),
        ("max_tokens: 5", "which every call sets by itself"),
        ("model: dearest", "what every call sets by itself"),
        ("best_of: 8", "asks for more answers than one"),
        ("tools: [{type: web_search}]", "holds 'web_search', expected definitions of functions"),
    ],
)
def test_a_custom_parameter_overwrites_nothing(faults, setting, words):
    """A setting under extra would be sent twice."""
    ((_, _, message),) = faults("[openai/SMALL]", f"extra: {{{setting}}}")
    assert words in message


def test_every_custom_parameter_at_fault_is_told_at_its_own_line(faults):
    """Two faults are two lines to mend, in one go."""
    found = faults("[openai/SMALL]", "extra:", "  max_tokens: 5", "  other: 5", "  mock_response: yes")
    assert [key for _, key, _ in found] == ["search.extra.max_tokens", "search.extra.mock_response"]
    assert found[1][0] - found[0][0] == 2


def test_a_custom_parameter_that_a_model_is_known_to_refuse_is_an_error(faults):
    """OpenAI answers 400 to top_k, call by call."""
    ((line, key, message),) = faults(
        "[openai/SMALL, together/SMALL]", "extra:", "  top_k: {choices: [10, 40]}"
    )
    assert key == "search.extra.top_k"
    assert line is not None
    assert "openai/gpt-4o-mini does not take top_k" in message


def test_a_custom_parameter_is_searched_where_it_is_taken(plan):
    """Under `condition` a mixed search has it for some models, and the plan says for whom not."""
    lines = ("extra: {top_k: {choices: [10, 40]}}", "on_unsupported: condition")
    made = plan("[openai/SMALL, together/SMALL]", *lines)
    there = {name: [one.name for one in found] for name, found in made.space.dimensions.items()}
    assert there.pop("openai/gpt-4o-mini").count("top_k") == 0
    assert all("top_k" in names for names in there.values())
    assert "no top_k: openai/gpt-4o-mini does not take it" in made.notes


OWN_RANGE = """
providers:
  mine:
    api_base: http://127.0.0.1:9/v1
    free: true
    models:
      m:
        class: SMALL
        settings:
          max_output_tokens: {low: 1, default: 9}
          extra: {top_k: {low: 1, high: 5}, min_p: {choices: []}}
"""


def test_a_spec_states_the_range_of_a_custom_parameter(project):
    """Of a model of one's own: values outside are faults, and what it refuses too."""
    text = SPEC.replace("MODELS", "[mine/m]") + OWN_RANGE
    extra = "  extra: {top_k: {low: 1, high: 50}, min_p: 0.1, other: 1}"
    found = project.faults(spec_text=text.replace("SETTINGS", extra), catalogue=load_catalogue())
    assert [(one.key, one.message.partition(";")[0]) for one in found] == [
        ("search.extra.top_k", "holds 50, but mine/m takes 1 to 5"),
        ("search.extra.min_p", "mine/m does not take min_p"),
    ]


def test_warm_settings_keep_to_the_conditions(plan):
    """A default of a model that reasons has no temperature, whatever the preset says."""
    lines = ("reasoning_effort: {choices: [low, none]}", RANGE, "on_unsupported: condition")
    space = plan(LUNA, *lines, "warm_start: ['preset:analysis']").space
    for one in space.warm:
        assert one.temperature is None or one.reasoning_effort == "none"
    assert replace(space.defaults["openai/gpt-6-luna"]).sent()["reasoning_effort"] == "none"
