"""What a space may send is what litellm's own mapping sends, with dropping forbidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as runs
from hypothesis import strategies as st

from harness.catalogue.models import Accepts, Model, load_catalogue
from harness.plan.mapping import DROPPED, mapped, unsent
from harness.plan.parameters import suggested
from harness.plan.problems import Problems
from harness.plan.space import make_space
from harness.plan.spec import SEARCHABLE, SearchSpec
from harness.plan.yaml_source import from_mapping
from harness.records import JsonValue

CATALOGUE = load_catalogue()
TEXT_MODELS = [m for m in CATALOGUE.models if not m.retired and m.model_class != "EMBEDDING"]


def some_of(accepts: Accepts, name: str, draw: st.DrawFn) -> Any:
    """A range, choices or a fixed value within what a model takes of this setting."""
    if name == "stop":
        return {"choices": [["END"], ["\n\n", "###"]]}
    if accepts.choices is not None:
        chosen = draw(st.lists(st.sampled_from(accepts.choices), min_size=1, unique=True))
        return {"choices": chosen}
    low, high = accepts.low or 0.0, 2.0 if accepts.high is None else accepts.high
    if name == "max_output_tokens":
        ends = sorted(draw(st.tuples(*[st.integers(1, int(high))] * 2)))
    else:
        ends = sorted(draw(st.tuples(*[st.floats(low, high).map(lambda x: round(x, 3))] * 2)))
    return {"low": ends[0], "high": ends[1]} if draw(st.booleans()) else {"choices": [ends[0]]}


@st.composite
def searches(draw: st.DrawFn) -> tuple[SearchSpec, dict[str, Model]]:
    """One to three models of the catalogue, and settings that every model which knows them takes."""
    models = draw(st.lists(st.sampled_from(TEXT_MODELS), min_size=1, max_size=3, unique_by=id))
    asked: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from(SEARCHABLE), min_size=1)):
        known = [model.settings[name] for model in models if name in model.settings]
        if not known:
            continue
        common = Accepts(
            low=max((a.low for a in known if a.low is not None), default=None),
            high=min((a.high for a in known if a.high is not None), default=None),
            choices=None
            if known[0].choices is None
            else tuple(c for c in known[0].choices if all(c in (a.choices or ()) for a in known)),
        )
        if common.choices != ():
            asked[name] = some_of(common, name, draw)
    names = [model.full_name for model in models]
    spec = SearchSpec(models=names, on_unsupported="condition", **asked)
    return spec, {model.full_name: model for model in models}


@given(searches(), st.integers(0, 2**16))
@runs(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_proposal_is_sent_as_it_is(search: tuple[SearchSpec, dict[str, Model]], seed: int) -> None:
    """Random entries of the catalogue in random spaces: nothing is refused, and nothing is dropped."""
    spec, models = search
    problems = Problems(from_mapping({}, "spec"))
    space = make_space(spec, models, ("plain",), problems)
    assert problems.found == ()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(3):
        settings = suggested(study.ask(), space)
        sent, prefix = settings.sent(), CATALOGUE.provider(settings.provider).litellm_prefix
        arrived = mapped(prefix, settings.model_name, sent)
        assert isinstance(arrived, dict), f"{settings.model}: {sent}: {arrived}"
        for name in sent:
            rest = {other: value for other, value in sent.items() if other != name}
            without = mapped(prefix, settings.model_name, rest)
            assert without != arrived, f"{settings.model} drops {name} of {sent}"


@pytest.mark.parametrize("model", TEXT_MODELS, ids=lambda model: model.full_name)
def test_every_setting_of_the_catalogue_is_sent(model: Model) -> None:
    """Each end and choice of each setting of each model reaches litellm's wire, or the entry is wrong."""
    prefix = CATALOGUE.provider(model.provider).litellm_prefix
    for name, accepts in model.settings.items():
        beside = {other: values[0] for other, values in accepts.only_with.items()}
        for value in values_of(name, accepts):
            assert unsent(prefix, model.name, name, value, beside) is None, (name, value)


def values_of(name: str, accepts: Accepts) -> tuple[JsonValue, ...]:
    """The choices, or both ends."""
    if accepts.choices is not None:
        return accepts.choices
    if name == "stop":
        return (["END"],)
    if name == "seed":
        return (7,)
    return accepts.low, accepts.high


@pytest.mark.parametrize(
    ("prefix", "name", "setting", "expected"),
    [
        ("openai", "gpt-5-mini", "presence_penalty", "refuses 0.5: .*presence_penalty"),
        ("anthropic", "claude-opus-5-5", "temperature", "refuses 0.5: .*temperature"),
        ("gemini", "gemini-3.8-flash", "frequency_penalty", DROPPED),
    ],
)
def test_a_setting_that_would_not_arrive_is_named(
    prefix: str, name: str, setting: str, expected: str
) -> None:
    """Refusals of the mapping and silent drops are two words for one fault."""
    found = unsent(prefix, name, setting, 0.5, {})
    assert found is not None
    assert re.search(expected, found), found


OWN = """\
experiment: own
task: {dataset: tickets.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracy}
search:
  models: [google/gemini-3.1-flash-lite]
  presence_penalty: {low: 0.0, high: 1.0}
providers:
  google:
    models:
      gemini-3.1-flash-lite:
        class: SMALL
        prices: {input: 0.25, output: 1.5}
        settings: {presence_penalty: {low: -2, high: 2}, max_output_tokens: {low: 1, high: 100, default: 9}}
budget: {calls: 100}
failures: count_as_wrong
"""


def test_a_model_of_ones_own_is_asked_of_litellm_before_money_is_spent(project: Any) -> None:
    """The spec says that the model takes a penalty, and litellm would drop it: setting, model and line."""
    (fault,) = project.faults(spec_text=OWN, catalogue=CATALOGUE)
    assert (fault.line, fault.key) == (5, "search.presence_penalty")
    assert "google/gemini-3.1-flash-lite is spoken to through litellm" in fault.message
    assert DROPPED in fault.message


def sent_of(spec: SearchSpec, models: Mapping[str, Model]) -> list[Mapping[str, JsonValue]]:
    """What ten random proposals of this space send."""
    space = make_space(spec, models, ("plain",), Problems(from_mapping({}, "spec")))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [suggested(study.ask(), space).sent() for _ in range(10)]


def test_custom_parameters_are_searched_and_sent_as_they_are() -> None:
    """Whole numbers stay whole, choices stay what they are, and a fixed value is in every request."""
    name = "vllm/served"
    facts = CATALOGUE.provider("vllm")
    model = Model(
        provider="vllm", name="served", model_class="SMALL", prices=None, settings=facts.unlisted or {}
    )
    spec = SearchSpec(
        models=[name],
        extra={
            "top_k": {"low": 1, "high": 50},
            "min_p": {"low": 0.0, "high": 0.2},
            "guided": {"choices": [True, {"lark": "x"}]},
            "provider": {"order": ["a"]},
        },
    )
    for sent in sent_of(spec, {name: model}):
        assert isinstance(sent["top_k"], int)
        assert 1 <= sent["top_k"] <= 50
        assert isinstance(sent["min_p"], float)
        assert sent["guided"] in (True, {"lark": "x"})
        assert sent["provider"] == {"order": ["a"]}


VECTOR_MODELS = [m for m in CATALOGUE.models if not m.retired and m.model_class == "EMBEDDING"]
# Where litellm's mapping passes on what the service would refuse: the catalogue alone knows.
PASSED_ON = {"openai", "azure", "together", "ollama", "google", "vertex", "local", "bedrock"}


@pytest.mark.parametrize("model", VECTOR_MODELS, ids=lambda model: model.full_name)
def test_what_an_embedding_model_takes_is_sent(model: Model) -> None:
    """Both ends of a range and every choice pass litellm's mapping for vectors, and change something."""
    facts = CATALOGUE.provider(model.provider)
    for name, accepts in model.settings.items():
        for value in accepts.choices or (accepts.low, accepts.high):
            assert unsent(facts.litellm_prefix, model.name, name, value, {}, vectors=True) is None


@pytest.mark.parametrize("model", VECTOR_MODELS, ids=lambda model: model.full_name)
def test_a_length_that_litellm_refuses_is_no_setting(model: Model) -> None:
    """Where its mapping refuses `dimensions`, the catalogue has none."""
    facts = CATALOGUE.provider(model.provider)
    fault = unsent(facts.litellm_prefix, model.name, "dimensions", 256, {}, vectors=True)
    if fault is not None:
        assert "dimensions" not in model.settings
    elif "dimensions" not in model.settings:
        assert model.provider in PASSED_ON


OWN_ARGUMENTS = """\
experiment: own
task: {dataset: tickets.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracy}
search:
  models: [MODEL]
  extra:
    NAME: positive
budget: {calls: 100}
failures: count_as_wrong
"""


@pytest.mark.parametrize(
    "name", ["mock_response", "fallbacks", "extra_headers", "mock_tool_calls", "metadata", "aws_region_name"]
)
@pytest.mark.parametrize("model", ["anthropic/SMALL", "mistral/SMALL"])
def test_litellms_own_arguments_are_no_custom_parameters(project: Any, model: str, name: str) -> None:
    """With one of them answers could be made up, or another model asked, without a word."""
    text = OWN_ARGUMENTS.replace("MODEL", model).replace("NAME", name)
    (fault,) = project.faults(spec_text=text, catalogue=CATALOGUE)
    assert fault.line == 6
    assert name in f"{fault.key} {fault.message}"


def test_every_name_that_litellm_lists_as_its_own_is_refused() -> None:
    """Also those of a later version; what is part of a request stays a custom parameter."""
    from harness.loading import is_own_argument, load_litellm

    assert all(is_own_argument(name) for name in load_litellm().types.utils.all_litellm_params)
    for name in ("top_k", "min_p", "verbosity", "thinking", "logit_bias", "repetition_penalty", "think"):
        assert not is_own_argument(name)


UNLISTED = """\
experiment: own
task: {dataset: tickets.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracy}
search:
  models: [openai/gpt-5]
  temperature: {low: 0.0, high: 1.0}
  presence_penalty: {low: 0.0, high: 1.0}
providers:
  openai: {models: {gpt-5: {class: SMALL, prices: {input: 1.25, output: 10}}}}
budget: {calls: 100}
failures: count_as_wrong
"""


def test_a_model_that_only_litellm_knows_is_asked_about_on_the_direct_lane(project: Any) -> None:
    """Nobody says what it takes: what litellm would refuse, its provider would, call by call."""
    faults = project.faults(spec_text=UNLISTED, catalogue=CATALOGUE)
    assert [(fault.line, fault.key) for fault in faults] == [
        (5, "search.temperature"),
        (6, "search.presence_penalty"),
    ]
    assert "openai/gpt-5 is in the table of litellm" in faults[0].message
    assert "providers.openai.models.gpt-5.settings" in faults[0].message


def test_what_a_spec_states_of_a_model_counts_on_the_direct_lane(project: Any) -> None:
    """Whoever writes down what it takes knows more than a table of last month."""
    said = (
        "{presence_penalty: {low: -2, high: 2}, temperature: {low: 0, high: 2}, "
        "max_output_tokens: {low: 1, default: 9}}"
    )
    text = UNLISTED.replace("{class: SMALL,", f"{{class: SMALL, settings: {said},")
    plan = project.plan(spec_text=text, catalogue=CATALOGUE)
    assert {one.name for one in plan.space.dimensions["openai/gpt-5"]} == {"temperature", "presence_penalty"}
