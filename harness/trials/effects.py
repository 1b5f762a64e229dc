"""How quality moved with each setting of a search, and what of it Optuna finds important. A door to Optuna.

In: the record of a search and its plan. Out: one `SettingEffect` a setting that was searched. Nothing is
chosen by it: it tells a reader where to look next.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from harness.findings import RunRecord, Trial
from harness.fingerprint import canonical
from harness.insights import SettingEffect, SettingLevel
from harness.plan.parameters import value_of
from harness.plan.plan import Plan
from harness.records import Estimate, JsonValue
from harness.stats.bounds import shared
from harness.stats.effects import adjusted_means
from harness.trials.study import make_study

if TYPE_CHECKING:
    import optuna

# With fewer trials, shares of importance change from one seed to the next by more than they say.
ENOUGH = 20
MOST_VALUES = 5  # of a number that stand by themselves; more are put into this many ranges
RANGES = 3
IMPORTANCE = ("fANOVA", "PED-ANOVA")
MODEL, PROMPT = "model", "prompt"


def setting_effects(record: RunRecord, plan: Plan) -> tuple[SettingEffect, ...]:
    """The effect of each setting with two values or more among the trials that the sampler was told of.

    What was told is quality on one scale for short and long trials. Effects of settings other than the model
    are as if every value had met all models alike; the intervals of one setting hold all together.
    """
    trials = [trial for trial in record.trials if trial.told is not None]
    names = [name for name in _names(plan) if len({_key(_value(t, name)) for t in trials}) > 1]
    found = _importance(record, plan) if len(trials) >= ENOUGH and names else {}
    return tuple(
        SettingEffect(
            name=name,
            levels=_levels(trials, name, plan.aim.confidence),
            importance={method: float(shares[name]) for method, shares in found.items() if name in shares},
        )
        for name in names
    )


def _names(plan: Plan) -> list[str]:
    """Model, prompt, and every dimension of some model, once."""
    named = (dimension.name for model in plan.space.models for dimension in plan.space.dimensions[model])
    return list(dict.fromkeys((MODEL, PROMPT, *named)))


def _value(trial: Trial, name: str) -> JsonValue:
    if name in (MODEL, PROMPT):
        return getattr(trial.settings, name)
    value = value_of(trial.settings, name)
    return list(value) if isinstance(value, tuple) else value


def _key(value: JsonValue) -> str:
    return canonical(value)


def _levels(trials: Sequence[Trial], name: str, confidence: float) -> tuple[SettingLevel, ...]:
    values = [_value(trial, name) for trial in trials]
    distinct = {_key(value): value for value in values}
    numbers = [value for value in distinct.values() if _is_number(value)]
    edges = _edges([float(v) for v in values if _is_number(v)]) if len(numbers) > MOST_VALUES else ()
    places = [_place(value, edges) for value in values]
    order = sorted(set(places))
    factor = [order.index(place) for place in places]
    models = list(dict.fromkeys(trial.settings.model for trial in trials))
    blocks = [0 if name == MODEL else models.index(trial.settings.model) for trial in trials]
    told = [trial.told if trial.told is not None else math.nan for trial in trials]
    means = adjusted_means(told, factor, blocks, level=shared(confidence, len(order)))
    return tuple(
        _level([value for value, at in zip(values, factor, strict=True) if at == number], edges, mean)
        for number, mean in enumerate(means)
    )


def _level(values: Sequence[JsonValue], edges: Sequence[float], mean: Estimate | None) -> SettingLevel:
    numbers = sorted(float(value) for value in values if _is_number(value))
    if edges and numbers:
        return SettingLevel(value=numbers[0], upto=numbers[-1], trials=len(values), quality=mean)
    return SettingLevel(value=values[0], trials=len(values), quality=mean)


def _is_number(value: JsonValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _edges(values: Sequence[float]) -> tuple[float, ...]:
    """Where ranges of about as many trials each begin, but for the first."""
    cuts = np.quantile(values, [part / RANGES for part in range(1, RANGES)], method="higher")
    return tuple(sorted({float(cut) for cut in cuts} - {min(values)}))


def _place(value: JsonValue, edges: Sequence[float]) -> tuple[int, float, str]:
    """What levels are sorted by: what is not sent, then numbers or their ranges, then all else as text."""
    if value is None:
        return (0, 0.0, "")
    if not _is_number(value):
        return (2, 0.0, _key(value))
    return (1, float(sum(value >= edge for edge in edges)) if edges else float(value), "")


def _importance(record: RunRecord, plan: Plan) -> Mapping[str, Mapping[str, float]]:
    """What each setting adds to the variation of what was told, by Optuna's methods; nothing without any."""
    import optuna

    told = {trial.told for trial in record.trials if trial.told is not None}
    if len(told) < 2:
        return {}
    study = make_study(record, plan)
    evaluators = (
        optuna.importance.FanovaImportanceEvaluator(seed=plan.seed),
        optuna.importance.PedAnovaImportanceEvaluator(),
    )
    target = _told if plan.sampler.front else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        shares = [
            optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
            for evaluator in evaluators
        ]
    return dict(zip(IMPORTANCE, shares, strict=True))


def _told(trial: optuna.trial.FrozenTrial) -> float:
    return float(trial.values[0])
