"""Every export with a reader gives back the settings that went in, zeros included."""

from __future__ import annotations

import io
import json
import tomllib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.catalogue.models import load_catalogue
from harness.outputs.exports.document import document
from harness.outputs.exports.selection import selection_of
from harness.outputs.exports.targets import TARGETS
from harness.records import SENT_FIELDS, Settings
from harness.testing.builders import a_recommendation, a_trial, an_endpoint

CATALOGUE = load_catalogue()
numbers = st.sampled_from([0, 0.0, 1e-6, 1, -0.5]) | st.floats(-2, 2)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=6)
plain = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6) | texts
extras = st.dictionaries(
    texts.filter(lambda name: name not in (*SENT_FIELDS, "model", "prompt")),
    plain | st.lists(plain, max_size=3) | st.dictionaries(texts, plain, max_size=2),
    max_size=2,
)
any_settings = st.builds(
    Settings,
    model=st.sampled_from(["openai/gpt-4.1-mini", "together/openai/gpt-oss-120b", "mine/a:b"]),
    prompt=texts,
    temperature=st.none() | numbers,
    top_p=st.none() | st.floats(0, 1),
    max_output_tokens=st.none() | st.integers(1, 100_000),
    frequency_penalty=st.none() | numbers,
    presence_penalty=st.none() | numbers,
    stop=st.none() | st.lists(texts, max_size=3).map(tuple),
    seed=st.none() | st.integers(0, 2**31),
    reasoning_effort=st.none() | st.sampled_from(["low", "high"]),
    extra=extras,
    local=st.dictionaries(
        st.sampled_from(["chunk_tokens", "top_k", "split_by", "threshold"]), plain, max_size=2
    ),
)


def selected(found):
    """A selection of these settings."""
    trial = replace(a_trial(1, split="confirm"), settings=found)
    return selection_of([a_recommendation(settings=found, trial=trial)], catalogue=CATALOGUE)


def of_document(held):
    """The settings that a document of harness names."""
    sent = held["parameters"]
    named = {name: value for name, value in sent.items() if name in SENT_FIELDS}
    if "stop" in named:
        named["stop"] = tuple(named["stop"])
    extra = {name: value for name, value in sent.items() if name not in named}
    model = f"{held['model']['provider']}/{held['model']['name']}"
    return Settings(
        model=model, prompt=held["prompt"]["variant"], extra=extra, local=held.get("local", {}), **named
    )


def from_json(text):
    """The settings of a text in this form."""
    return of_document(json.loads(text))


def from_yaml(text):
    """The settings of a text in this form."""
    return of_document(YAML(typ="safe", pure=True).load(text))


def from_older_yaml(text):
    """The settings as a reader of YAML 1.1 has them."""
    return of_document(pytest.importorskip("yaml").safe_load(text))


def from_toml(text):
    """The settings of a text in this form."""
    return of_document(tomllib.loads(text))


def from_dotenv(text):
    """The settings of a text in this form."""
    dotenv = pytest.importorskip("dotenv")
    held = dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)
    held = {name.removeprefix("LLM_").lower(): value for name, value in held.items()}
    model, prompt = f"{held.pop('provider')}/{held.pop('model')}", held.pop("prompt")
    effort = held.pop("reasoning_effort", None)
    named = {name: json.loads(value) for name, value in held.items()}
    if "stop" in named:
        named["stop"] = tuple(named["stop"])
    return Settings(model=model, prompt=prompt, reasoning_effort=effort, **named)


READERS = [
    ("json", from_json),
    ("yaml", from_yaml),
    ("yaml", from_older_yaml),
    ("toml", from_toml),
    ("dotenv", from_dotenv),
]


@pytest.mark.parametrize(
    ("target", "read"), READERS, ids=lambda one: one if isinstance(one, str) else one.__name__
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(found=any_settings)
def test_a_reader_gives_back_the_settings(target, read, found):
    """No value is lost, turned into another type, or made up."""
    (text,) = TARGETS[target].write(selected(found)).files.values()
    again = read(text)
    assert again == found
    assert json.dumps(again.sent(), sort_keys=True) == json.dumps(found.sent(), sort_keys=True)


@given(found=any_settings)
@settings(deadline=None, max_examples=60)
def test_toml_says_the_same_as_the_document(found):
    """Evidence and provenance too, whatever the settings hold."""
    selection = selected(found)
    (text,) = TARGETS["toml"].write(selection).files.values()
    assert tomllib.loads(text) == document(selection)


KEYWORDS = ("openai", "langchain", "pydantic-ai", "mlflow", "promptfoo", "inspect", "litellm-proxy")


@pytest.mark.parametrize("target", KEYWORDS)
@given(found=any_settings)
@settings(deadline=None, max_examples=30)
def test_what_is_called_effective_is_written(target, found):
    """Each effective fate names a key of the export, and there stands the value, zeros included."""
    assume(not any("." in name for name in found.extra))
    assume(not set(found.extra) & set(found.local))
    asked = an_endpoint(provider="mine")
    selection = replace(selected(found), endpoints={"mine": asked})
    made = TARGETS[target].write(selection)
    text = next(text for name, text in made.files.items() if name.endswith((".json", ".yaml")))
    held = json.loads(text) if text.startswith("{") else YAML(typ="safe", pure=True).load(text)
    held = held["model_list"][0] if target == "litellm-proxy" else held[0] if target == "promptfoo" else held
    for fate in made.fates:
        if fate.setting in ("model", "address") or fate.effect != "effective":
            continue
        place = held
        for name in fate.key.split("."):
            place = place[name]
        assert json.dumps(place) == json.dumps(fate.exported), fate
    asked = {fate.setting for fate in made.fates if fate.requested is not None}  # not what a client adds
    assert asked - {"address"} == {"model", *found.held()}
