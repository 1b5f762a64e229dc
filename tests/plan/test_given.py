"""Settings that are handed in: read from every form that harness writes, and held against their model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import SpecError, UsageError
from harness.outputs.exports import json_export, recommendation_export
from harness.outputs.exports.selection import selection_of
from harness.plan.given import read_given, settings_form
from harness.plan.planner import make_plan
from harness.records import Settings
from harness.store.codec import encode
from harness.testing.builders import a_recommendation

PROMPTS = ("plain", "reasoned")
SETTINGS = Settings(
    model="alpha/small",
    prompt="plain",
    temperature=0.5,
    max_output_tokens=64,
    stop=("END",),
    extra={"top_k": 4},
)


@pytest.fixture
def read(catalogue: Any, tmp_path: Any) -> Any:
    """Reads settings that are given as they are, or as the text of a file."""

    def act(given: Any, *, file: str | None = None, prompts: Any = PROMPTS, experiment: str = "") -> Any:
        if file is not None:
            path = tmp_path / file
            path.write_text(given, encoding="utf-8")
            given = path
        return read_given(given, prompts, catalogue, experiment=experiment)

    return act


def faults(read: Any, text: str, **options: Any) -> list[tuple[int | None, str, str]]:
    """Line, key and message of each fault in a file of settings."""
    with pytest.raises(SpecError) as caught:
        read(text, file="s.yaml", **options)
    return [(one.line, one.key, one.message) for one in caught.value.problems]


def test_plain_names_are_read_as_they_stand(read: Any) -> None:
    """What is not there is not sent: no default comes from anywhere."""
    found = read("model: alpha/small\nprompt: reasoned\ntemperature: 0\n", file="s.yaml")
    assert found.settings == Settings(model="alpha/small", prompt="reasoned", temperature=0.0)
    assert found.origin.endswith("s.yaml")
    assert found.model.full_name == "alpha/small"


@pytest.mark.parametrize("give", ["record", "mapping", "file", "nested"])
def test_every_form_gives_the_same_settings(read: Any, give: str) -> None:
    """A record, its names and values, a file of them, and a document that holds them under `settings`."""
    form = settings_form(SETTINGS)
    given = {
        "record": lambda: read(SETTINGS),
        "mapping": lambda: read(form),
        "file": lambda: read(json.dumps(form), file="s.json"),
        "nested": lambda: read(json.dumps({"run": "r1", "settings": form}), file="e.json"),
    }
    found = given[give]()
    assert found.settings == SETTINGS
    assert found.recommended_by == ""


@pytest.mark.parametrize(
    "give", ["record", "recommendation.json", "settings.json", "exported recommendation.json"]
)
def test_a_recommendation_says_who_recommends(read: Any, give: str) -> None:
    """The record, the file beside the report, and the export: settings, run and experiment."""
    choice = a_recommendation(settings=SETTINGS)
    if give == "record":
        found = read(choice)
    else:
        selection = selection_of([choice], prompt_text="{{ text }}")
        files = {
            "recommendation.json": encode(choice, indent=2),
            "settings.json": json_export.write(selection).files["settings.json"],
            "exported recommendation.json": recommendation_export.write(selection).files[
                "recommendation.json"
            ],
        }
        found = read(files[give], file=give)
    assert found.settings == SETTINGS
    assert (found.recommended_by, found.experiment) == ("run-1", "ticket-triage")
    assert found.origin == "recommended by run run-1"


def test_of_several_recommendations_the_one_of_the_experiment_is_meant(read: Any) -> None:
    """A set of several use cases serves each spec; where none or two may be meant, nobody guesses."""
    choices = [
        a_recommendation(settings=replace(SETTINGS, temperature=0.1), experiment="chat"),
        a_recommendation(settings=SETTINGS, experiment="triage"),
    ]
    text = recommendation_export.write(selection_of(choices)).files["recommendation.json"]
    assert read(text, file="r.json", experiment="triage").settings == SETTINGS
    with pytest.raises(UsageError, match="recommends settings for chat, triage, expected one choice"):
        read(text, file="r.json", experiment="words")


def test_what_was_found_is_found_again_from_its_form(read: Any) -> None:
    """A resumed run reads the settings that it began with, and their origin."""
    found = read(encode(a_recommendation(settings=SETTINGS)), file="r.json")
    assert read(found.form()) == found


def test_a_class_stands_for_its_model(read: Any) -> None:
    """As in a spec."""
    assert read({"model": "alpha/SMALL", "prompt": "plain"}).settings.model == "alpha/small"


def test_the_only_prompt_need_not_be_named(read: Any) -> None:
    """With several, nobody guesses."""
    assert read({"model": "alpha/small"}, prompts=("ask",)).settings.prompt == "ask"
    ((line, key, message),) = faults(read, "model: alpha/small\n")
    assert (line, key) == (1, "")
    assert message == "names no prompt, and the spec has plain, reasoned; say prompt: NAME"


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("prompt: plain\n", 1, "model", "is missing"),
        ("model: alpha/small\nprompt: plain\ntemprature: 1\n", 3, "temprature", "did you mean 'temperature'"),
        ("model: alpha/small\nprompt: plain\ntemperature: warm\n", 3, "temperature", "expected a number"),
        ("model: alpha/small\nprompt: plain\ntemperature: 3\n", 3, "temperature", "takes 0 to 2"),
        ("model: beta/mini\nprompt: plain\nstop: [x]\n", 3, "stop", "does not take stop"),
        (
            "model: alpha/small\nprompt: plain\nreasoning_effort: odd\n",
            3,
            "reasoning_effort",
            "takes 'low', 'high'",
        ),
        ("model: alpha/small\nprompt: plain\nmax_output_tokens: 5000\n", 3, "max_output_tokens", "1 to 4096"),
        ("model: alpha/smal\nprompt: plain\n", 1, "model", "did you mean 'alpha/small'"),
        ("model: alpha/old\nprompt: plain\n", 1, "model", "retired"),
        ("model: alpha/unpriced\nprompt: plain\n", 1, "model", "no known price"),
        ("model: alpha/small\nprompt: plane\n", 2, "prompt", "did you mean 'plain'"),
        ("model: alpha/small\nprompt: plain\nextra: {k: sk-abcdefghijkl}\n", 3, "extra.k", "API key"),
        ("- a\n", 1, "", "expected keys and values"),
        ("model: [\n", 2, "", "is not YAML"),
    ],
)
def test_a_fault_is_told_with_its_line(read: Any, text: str, line: int, key: str, words: str) -> None:
    """What was found, and what would do."""
    (found,) = faults(read, text)
    assert found[:2] == (line, key)
    assert words in found[2]


def test_all_faults_are_told_at_once(read: Any) -> None:
    """One reading mends the file."""
    found = faults(read, "model: alpha/small\nprompt: nix\ntemperature: 3\nmax_output_tokens: 0\n")
    assert [key for _, key, _ in found] == ["max_output_tokens"]
    found = faults(read, "model: alpha/small\nprompt: nix\ntemperature: 3\n")
    assert [key for _, key, _ in found] == ["prompt", "temperature"]


def test_lines_inside_a_document_are_those_of_the_file(read: Any) -> None:
    """Also where the settings stand deeper."""
    text = (
        '{"run": "r1",\n "settings": {\n  "model": "alpha/small",\n  "prompt": "plain",\n  "temperature": 9}}'
    )
    ((line, key, _),) = faults(read, text)
    assert (line, key) == (5, "temperature")
    exported = {
        "format": "harness settings",
        "model": {"provider": "alpha", "name": "small"},
        "prompt": {"variant": "plain"},
        "parameters": {"temperature": 9},
    }
    ((line, key, _),) = faults(read, json.dumps(exported, indent=1))
    assert (line, key) == (11, "temperature")


def test_a_file_that_is_none_says_what_would_do(read: Any, tmp_path: Any) -> None:
    """A wrong path is a mistake of the command, not of the spec."""
    with pytest.raises(UsageError, match=r"nix.yaml' are no file; give a recommendation.json"):
        read(tmp_path / "nix.yaml")


# -- in a plan


def test_a_plan_of_given_settings_holds_nothing_else(project: Any) -> None:
    """One model, one prompt, one point, one provider: also of a model that the spec does not search."""
    plan = project.plan(settings={"model": "alpha/large", "temperature": 1.5}, split="confirm")
    assert plan.verb == "eval"
    assert plan.evaluated.settings == Settings(model="alpha/large", prompt="default", temperature=1.5)
    assert (plan.evaluated.split, plan.n_trials, plan.space.distinct) == ("confirm", 1, 1)
    assert set(plan.models) == set(plan.space.models) == {"alpha/large"}
    assert set(plan.endpoints) == {"alpha"}


def test_without_settings_the_untuned_default_is_evaluated(project: Any) -> None:
    """What a search would begin with: trial 0."""
    searched, plan = project.plan(), project.plan(split="all")
    assert plan.evaluated.settings == searched.space.defaults[searched.space.models[0]]
    assert plan.evaluated.origin == "the untuned default"
    assert searched.verb == "tune"
    assert searched.evaluated is None


def test_settings_alone_mean_all_samples(project: Any) -> None:
    """In the order of the seed, both splits mixed."""
    plan = project.plan(settings={"model": "alpha/small"})
    rows = plan.task.rows
    assert plan.evaluated.split == "all"
    assert sorted(rows.ids("all")) == sorted([*rows.ids("search"), *rows.ids("confirm")])
    assert [i for i in rows.ids("all") if i in rows.ids("search")] == list(rows.ids("search"))


def test_only_the_experiment_itself_counts_as_chooser(project: Any) -> None:
    """A recommendation of another experiment saw none of these samples."""
    form = {"settings": {"model": "alpha/small", "prompt": "default"}, "recommended_by": "r1"}
    assert project.plan(settings=form | {"experiment": "triage"}).evaluated.chosen_by == "r1"
    assert project.plan(settings=form | {"experiment": "other"}).evaluated.chosen_by is None


def test_split_and_settings_name_the_plan(project: Any) -> None:
    """Another question is another plan; a search keeps the name it had."""
    names = {
        project.plan(**given).fingerprint()
        for given in (
            {},
            {"split": "all"},
            {"split": "confirm"},
            {"settings": {"model": "alpha/small"}},
            {"settings": {"model": "alpha/small", "temperature": 1.0}},
        )
    }
    assert len(names) == 5


def test_an_unknown_split_is_refused(project: Any) -> None:
    """From Python nobody checks the word before."""
    with pytest.raises(UsageError, match="split is 'half', expected one of search, confirm, all"):
        project.plan(split="half")


def test_faults_of_the_spec_come_first(project: Any) -> None:
    """Settings are looked at when the spec is sound."""
    with pytest.raises(SpecError) as caught:
        make_plan(project.spec(("accuracy", "acuracy")), settings={"model": "nix"}, cache=project.cache)
    assert "nix" not in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("max_tokens: 8000", "is the output limit"),
        ("n: 8", "asks for more answers than one"),
        ("model: dearest", "what every call sets by itself"),
        ("max_output_tokens: 8000", "is a setting; write it by that name"),
        ("tools: [{type: web_search}]", "expected definitions of functions"),
    ],
)
def test_a_custom_parameter_that_is_given_overwrites_nothing(read: Any, sent: str, words: str) -> None:
    """What a spec may not send, a file of settings may not either: its cap would not hold."""
    text = f"model: alpha/small\nprompt: plain\nmax_output_tokens: 64\nextra:\n  {sent}\n"
    ((line, key, message),) = faults(read, text)
    assert (line, key.split(".")[0]) in ((4, "extra"), (5, "extra"))
    assert words in message
    record = replace(SETTINGS, extra={"n": 8})
    for given in (record, settings_form(record), a_recommendation(settings=record)):
        with pytest.raises(SpecError, match="asks for more answers"):
            read(given)


def test_a_form_of_answers_that_is_given_is_taken(read: Any) -> None:
    """A recommendation of a task with `output` holds one."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    record = replace(SETTINGS, extra={"response_format": form})
    assert read(record).settings == record
