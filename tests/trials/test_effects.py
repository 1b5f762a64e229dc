"""What each setting did to quality in a search, and Optuna's importances of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.plan.plan import Choices, Range, Space
from harness.records import Settings
from harness.testing.builders import a_run_record, a_trial
from harness.trials.effects import ENOUGH, setting_effects

MODELS = ("sim/small", "sim/large")
SPACE = Space(
    models=MODELS,
    prompts=("plain", "steps"),
    dimensions={
        model: (Range("temperature", 0.0, 1.0), Choices("max_output_tokens", (64, 256))) for model in MODELS
    },
    defaults={model: Settings(model=model, prompt="plain", temperature=0.3) for model in MODELS},
)


@pytest.fixture
def plan(lab):
    """A plan over this space."""
    return replace(lab.plan(n_samples=20), space=SPACE)


def a_search(count, *, seed=3):
    """Trials whose value falls with the temperature, and hangs on nothing else."""
    draw = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        heat = round(float(draw.uniform(0, 1)), 2)
        settings = Settings(
            model=MODELS[int(draw.integers(2))],
            prompt=("plain", "steps")[int(draw.integers(2))],
            temperature=heat,
            max_output_tokens=(64, 256)[int(draw.integers(2))],
        )
        told = 0.8 - 0.3 * heat + float(draw.normal(0, 0.01))
        trials.append(a_trial(number, settings=settings, told=told, usd_per_1k_calls=1.0))
    return a_run_record(trials=tuple(trials), finalists=(), recommendation=None)


def test_every_setting_with_two_values_has_an_effect(plan):
    """Model, prompt and dimensions, in this order; a number with many values is put into ranges."""
    effects = setting_effects(a_search(30), plan)
    assert [one.name for one in effects] == ["model", "prompt", "temperature", "max_output_tokens"]
    heat = effects[2].levels
    assert [one.trials for one in heat] == [10, 10, 10]
    assert heat[0].upto < heat[1].value < heat[1].upto < heat[2].value


def test_the_effect_is_where_it_was_put(plan):
    """Cool trials are better beyond their intervals; the two output limits cannot be told apart."""
    effects = {one.name: one for one in setting_effects(a_search(30), plan)}
    cool, _, hot = effects["temperature"].levels
    assert cool.quality.low > hot.quality.high
    short, long = effects["max_output_tokens"].levels
    assert short.quality.low < long.quality.value < short.quality.high


def test_importances_come_from_optuna_with_the_name_of_the_method(plan):
    """Both find the temperature; the shares of each add up to one."""
    effects = setting_effects(a_search(30), plan)
    for method in ("fANOVA", "PED-ANOVA"):
        shares = {one.name: one.importance[method] for one in effects}
        assert max(shares, key=shares.get) == "temperature"
        assert sum(shares.values()) == pytest.approx(1)


def test_few_trials_have_no_importances(plan):
    """Below the number that says something, there are none, and the effects stay."""
    effects = setting_effects(a_search(ENOUGH - 1), plan)
    assert effects
    assert all(one.importance == {} for one in effects)


def test_values_that_are_all_alike_have_no_importances(plan):
    """Nothing moved, so nothing moved it."""
    record = a_search(30)
    still = replace(record, trials=tuple(replace(trial, told=0.5) for trial in record.trials))
    effects = setting_effects(still, plan)
    assert all(one.importance == {} for one in effects)
    assert {level.quality for one in effects for level in one.levels} == {None}


def test_a_setting_that_is_not_sent_is_a_level_of_its_own(plan):
    """First, before all numbers."""
    record = a_search(12)
    silent = tuple(replace(t, settings=replace(t.settings, temperature=None)) for t in record.trials[:4])
    effects = setting_effects(replace(record, trials=silent + record.trials[4:]), plan)
    heat = next(one for one in effects if one.name == "temperature")
    assert (heat.levels[0].value, heat.levels[0].trials) == (None, 4)


def test_a_search_without_values_has_no_effects(plan):
    """Trials that the sampler was told nothing of say nothing."""
    record = a_run_record(trials=(a_trial(0, told=None),), finalists=(), recommendation=None)
    assert setting_effects(record, plan) == ()
