"""Warm starts: finalists and presets join where the space holds them, and what does not is named."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from harness.plan.plan import Choices, Range, Space
from harness.plan.warm_start import Sources, find_warm, from_pinned, pinned_form
from harness.records import Settings
from harness.store.codec import encode
from harness.store.store import RunRow, open_store
from harness.testing.builders import a_recommendation, a_run_record, a_settings, a_trial

HEAT = Range("temperature", 0.0, 1.0)
LIMIT = Choices("max_output_tokens", (64, 2048))
PENALTY = Range("presence_penalty", 0.0, 1.0)
MODELS = ("a/x", "b/y")


def a_space(*dimensions, by_model=None):
    """A space of two models and two prompts; the defaults are 0.3 and 64."""
    given = by_model or dict.fromkeys(MODELS, dimensions or (HEAT, LIMIT))
    defaults = {
        model: Settings(
            model=model,
            prompt="plain",
            max_output_tokens=64,
            **{
                d.name: {"temperature": 0.3}.get(d.name, 0.0)
                for d in given[model]
                if d.name != "max_output_tokens"
            },
        )
        for model in MODELS
    }
    return Space(models=MODELS, prompts=("plain", "steps"), dimensions=given, defaults=defaults)


def finalist(number=0, **settings):
    """A finalist with these settings."""
    given = {"model": "a/x", "prompt": "steps", "temperature": 0.5, "max_output_tokens": 64} | settings
    return a_trial(number=number, split="confirm", settings=Settings(**given))


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    opened = open_store(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


@pytest.fixture
def sources(tmp_path, store):
    """Where the entries below are looked up."""
    return Sources(tmp_path, "triage", lambda: nullcontext(store))


def keep(store, run, finalists, *, chosen=0, experiment="triage", ended=True):
    """Put a run into the store."""
    record = a_run_record(
        run=run,
        experiment=experiment,
        finalists=tuple(finalists),
        recommendation=None if chosen is None else a_recommendation(trial=replace(finalist(chosen))),
    )
    store.begin_run(
        RunRow(
            run=run,
            experiment=experiment,
            state="running",
            spec_file=None,
            spec_text="",
            overrides={},
            prompts={},
            plan="",
            started_at=record.started_at,
            ended_at=None,
            record=None,
        )
    )
    if ended:
        store.end_run(record)


def test_presets_are_applied_to_each_model_as_far_as_it_goes(sources):
    """A value that the space does not hold stays at its default, and is named with the models it concerns."""
    space = a_space(
        by_model={"a/x": (HEAT, LIMIT, PENALTY), "b/y": (HEAT, Choices("max_output_tokens", (64,)))}
    )
    warm, faults = find_warm(["preset:chat"], space, sources)
    assert faults == {}
    assert [
        (s.model, s.prompt, s.temperature, s.max_output_tokens, s.presence_penalty) for s in warm.settings
    ] == [
        ("a/x", "plain", 0.7, 2048, 0.6),
        ("b/y", "plain", 0.7, 64, None),
    ]
    assert warm.notes == (
        "warm_start preset:chat: max_output_tokens 2048 (64 is searched) is left out for b/y",
        "warm_start preset:chat: presence_penalty 0.6 (not searched) is left out for b/y",
    )


def test_a_preset_of_which_nothing_fits_brings_nothing(sources):
    """The defaults alone are no new settings; the notes say what was left out."""
    warm, _ = find_warm(["preset:enhanced"], a_space(LIMIT), sources)
    assert warm.settings == ()
    assert len(warm.notes) == 2
    assert "temperature 0.4 (not searched) is left out for a/x, b/y" in warm.notes[0]


def test_finalists_of_a_run_join_with_the_recommended_one_first(store, sources):
    """Each once, and none that the pool of defaults holds anyway."""
    finalists = [
        finalist(0, prompt="plain", temperature=0.3),
        finalist(1, temperature=0.9),
        finalist(4, temperature=1),
        finalist(5, temperature=1.0),
    ]
    keep(store, "triage-1", finalists, chosen=4)
    warm, faults = find_warm(["triage-1"], a_space(), sources)
    assert (faults, warm.notes) == ({}, ())
    assert [repr(settings.temperature) for settings in warm.settings] == ["1.0", "0.9"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model": "c/z"}, "settings of c/z are left out: the model is not searched"),
        ({"prompt": "other"}, "prompt 'other' is none of the variants"),
        ({"temperature": 1.5}, "temperature is 1.5, and 0 to 1 is searched"),
        ({"max_output_tokens": 128}, "max_output_tokens is 128, and 64 or 2048 is searched"),
        ({"top_p": 0.5}, "top_p is 0.5, and it is not searched"),
        ({"extra": {"top_k": 3}}, "they send top_k"),
    ],
)
def test_finalists_that_do_not_fit_are_named(store, sources, settings, reason):
    """Nothing is bent to make them fit."""
    keep(store, "triage-1", [finalist(0, **settings), finalist(1)])
    warm, _ = find_warm(["triage-1"], a_space(), sources)
    assert [one.temperature for one in warm.settings] == [0.5]
    assert len(warm.notes) == 1
    assert "warm_start triage-1: " in warm.notes[0]
    assert reason in warm.notes[0]


def test_a_setting_that_is_searched_only_now_starts_at_its_default(store, sources):
    """A space that grew still starts from what was found in the smaller one, and says so."""
    keep(store, "triage-1", [finalist(0)])
    warm, _ = find_warm(["triage-1"], a_space(HEAT, LIMIT, PENALTY), sources)
    assert [(one.temperature, one.presence_penalty) for one in warm.settings] == [(0.5, 0.0)]
    assert warm.notes == (
        "warm_start triage-1: settings of a/x did not send presence_penalty; its default is tried",
    )


def test_latest_is_the_newest_run_of_the_experiment_with_finalists(store, sources):
    """Not one of another experiment, not one that is under way, and not one that found nothing."""
    keep(store, "a-1", [finalist(0, temperature=0.1)])
    keep(store, "b-2", [finalist(0, temperature=0.2)], experiment="other")
    keep(store, "c-3", [], chosen=None)
    keep(store, "d-4", [finalist(0, temperature=0.4)], ended=False)
    warm, faults = find_warm(["latest"], a_space(), sources)
    assert faults == {}
    assert [one.temperature for one in warm.settings] == [0.1]
    assert warm.notes == ("warm_start latest: the finalists of a-1",)


def test_a_first_run_has_nothing_to_start_from(sources):
    """A spec that runs every night says `latest` on its first night too."""
    warm, faults = find_warm(["latest"], a_space(), sources)
    assert (warm.settings, faults) == ((), {})
    assert warm.notes == ("warm_start latest: no run of triage has finalists yet; it brings nothing",)


def test_a_recommendation_is_read_from_its_file(tmp_path, sources):
    """As a report holds it, by a path relative to the spec."""
    chosen = a_recommendation(settings=finalist(0).settings)
    (tmp_path / "recommendation.json").write_text(encode(chosen), encoding="utf-8")
    warm, faults = find_warm(["recommendation.json"], a_space(), sources)
    assert (faults, warm.notes) == ({}, ())
    assert warm.settings == (finalist(0).settings,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("preset:chatty", "is 'preset:chatty', and there is no such preset; did you mean 'chat'?"),
        (
            "triage-9",
            "is 'triage-9', which is neither a run, a .json file nor preset:NAME: no run 'triage-9'",
        ),
        ("d-4", "is run 'd-4', which has not ended; finish it with `harness tune --resume d-4`"),
        ("away.json", "away.json', which cannot be read as JSON"),
        ("list.json", "list.json', which holds no `settings`"),
        ("odd.json", "odd.json: not a Settings written by harness: temperature"),
    ],
)
def test_entries_that_mean_nothing_are_faults(tmp_path, store, sources, entry, words):
    """Each by its place in the list."""
    keep(store, "d-4", [finalist(0)], ended=False)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "odd.json").write_text(
        json.dumps({"settings": {"model": "a", "prompt": "b", "temperature": "x"}})
    )
    _, faults = find_warm(["preset:chat", entry], a_space(), sources)
    assert list(faults) == [1]
    assert words in faults[1]


def test_pinned_settings_come_back_as_they_were():
    """A run keeps what it started from: lists and custom parameters too."""
    settings = (a_settings(stop=("a", "b"), temperature=0.1), a_settings(extra={"top_k": 3}))
    assert from_pinned(json.loads(json.dumps(pinned_form(settings)))) == settings


# -- in a plan


def test_a_plan_holds_what_it_starts_from(project, store):
    """Found by file and line when it means nothing, part of the fingerprint when it does."""
    entry = ("n_trials: 10", "warm_start: [preset:analysis]")
    plain, warm = project.plan(), project.plan(entry)
    assert (plain.space.warm, [s.temperature for s in warm.space.warm]) == ((), [0.2, 0.2])
    assert plain.fingerprint() != warm.fingerprint()
    assert any("max_output_tokens 8192 (16 or 64 is searched) is left out" in note for note in warm.notes)
    again = project.plan(("n_trials: 10", "n_trials: 10"), **json.loads(json.dumps(warm.pins)))
    assert again.space == warm.space
    (fault,) = project.faults(("n_trials: 10", "warm_start: [preset:chat, nobody]"), store=store)
    assert (fault.key, fault.line) == ("search.warm_start[1]", 11)


def test_a_plan_looks_into_the_store_it_is_given(project, store):
    """The store of the run, not the one of the environment."""
    keep(store, "triage-1", [finalist(0, model="alpha/small", prompt="default", temperature=0.45)])
    plan = project.plan(("n_trials: 10", "warm_start: [latest]"), store=store)
    assert [settings.temperature for settings in plan.space.warm] == [0.45]
