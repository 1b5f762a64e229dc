"""The space as Optuna sees it: which parameters a trial of it has, and which settings they mean.

In: a space, and trials of Optuna. Out: settings, and back. A setting that models search over different values
is a parameter of each of them, as in `temperature@provider/name`: a sampler knows one distribution a name.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.fingerprint import canonical
from harness.plan.plan import Choices, Dimension, Range, Space, applies, rivals_of
from harness.records import SENT_FIELDS, JsonValue, Settings

if TYPE_CHECKING:
    import optuna

DECIMALS = 2  # of proposed numbers: nobody ships a temperature of 0.6317281
DIGITS = 3  # significant ones, where a range is narrow or logarithmic
GRID_DECIMALS = 10  # enough for any step, and few enough to lose 0.30000000000000004


def suggested(trial: optuna.trial.Trial, space: Space, *, rounded: bool = True) -> Settings:
    """The settings that this trial proposes. rounded: numbers with as many digits as one would ship."""
    model = str(trial.suggest_categorical("model", space.models))
    prompt = str(trial.suggest_categorical("prompt", space.prompts))
    drawn: dict[str, Any] = {}
    for dimension in space.dimensions[model]:
        there = applies(dimension, drawn)
        name = _name(space, dimension, model)
        drawn[dimension.name] = _drawn(trial, name, dimension, rounded=rounded) if there else None
    return with_values(replace(space.defaults[model], prompt=prompt), drawn)


def value_of(settings: Settings, name: str) -> Any:
    """The value of a dimension by its name, a custom or local one's too; `None`: it is not there.

    Of a choice between settings, it is the name of the one that is sent.
    """
    if rivals := rivals_of(name):
        return next((one for one in rivals if value_of(settings, one) is not None), None)
    if name in SENT_FIELDS:
        return getattr(settings, name)
    return settings.local[name] if name in settings.local else settings.extra.get(name)


def there(dimension: Dimension, settings: Settings) -> bool:
    """Whether the dimension is there beside the other values of these settings."""
    return dimension.when is None or value_of(settings, dimension.when[0]) in dimension.when[1]


def setting_names(space: Space) -> tuple[str, ...]:
    """All settings that something of the space may hold, known ones first, besides model and prompt."""
    held = {name for one in (*space.defaults.values(), *space.fixed, *space.warm) for name in one.held()}
    searched = {one.name for dimensions in space.dimensions.values() for one in dimensions}
    there = {*held, *(name for name in searched if not rivals_of(name))}
    return tuple(name for name in (*SENT_FIELDS, *sorted(there.difference(SENT_FIELDS))) if name in there)


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with these values by name.

    A name that the settings hold as local stays local; one that is no field is a custom parameter. The name
    of a choice between settings is neither: what it decides is in their own values.
    """
    named = {name: value for name, value in values.items() if name in SENT_FIELDS}
    local = {**settings.local, **{name: value for name, value in values.items() if name in settings.local}}
    known = {*named, *local}
    more = {name: value for name, value in values.items() if name not in known and not rivals_of(name)}
    sent = {name: value for name, value in {**settings.extra, **more}.items() if value is not None}
    return replace(settings, **named, extra=sent, local=local)


def parameters_of(settings: Settings, space: Space) -> dict[str, Any]:
    """The parameters of a trial that proposes these settings of the space."""
    parameters: dict[str, Any] = {"model": settings.model, "prompt": settings.prompt}
    for dimension in space.dimensions[settings.model]:
        value = value_of(settings, dimension.name)
        if not there(dimension, settings):
            continue
        name = _name(space, dimension, settings.model)
        if isinstance(dimension, Choices):
            # The value as the space writes it: a default of 0 is the choice 0.0.
            plain = list(value) if isinstance(value, tuple) else value
            parameters[name] = next(_label(one) for one in dimension.values if one == plain)
        else:
            parameters[name] = value
    return parameters


def default_settings(space: Space) -> Iterator[Settings]:
    """Every combination of model and prompt at its defaults, the untuned default first."""
    for prompt, model in itertools.product(space.prompts, space.models):
        yield replace(space.defaults[model], prompt=prompt)


def all_settings(space: Space) -> Iterator[Settings]:
    """Every setting of a space that can be counted, once; nothing of another."""
    if space.distinct is None:
        return
    for model, prompt in itertools.product(space.models, space.prompts):
        dimensions = space.dimensions[model]
        start = replace(space.defaults[model], prompt=prompt)
        for drawn in _rows(dimensions, {}):
            yield with_values(start, drawn)


def _rows(dimensions: Sequence[Dimension], drawn: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every combination of values, the last dimension changing fastest; `None` for what is not there."""
    if not dimensions:
        yield drawn
        return
    first = dimensions[0]
    for value in _all_values(first) if applies(first, drawn) else (None,):
        yield from _rows(dimensions[1:], {**drawn, first.name: value})


def _name(space: Space, dimension: Dimension, model: str) -> str:
    others = (d for m in space.models for d in space.dimensions[m] if d.name == dimension.name)
    return dimension.name if all(other == dimension for other in others) else f"{dimension.name}@{model}"


def _drawn(
    trial: optuna.trial.Trial, name: str, dimension: Dimension, *, rounded: bool
) -> JsonValue | tuple[str, ...]:
    if isinstance(dimension, Choices):
        value = json.loads(str(trial.suggest_categorical(name, [_label(v) for v in dimension.values])))
        return _as_setting(dimension, value)
    if dimension.integer:
        step = int(dimension.step or 1)
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), step=step, log=dimension.log)
    drawn = trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    return _rounded(drawn, dimension) if rounded else drawn


def _rounded(value: float, dimension: Range) -> float:
    """The number with as many digits as one would ship: at least some hundred different ones a range."""
    if dimension.step is not None:
        return round(value, GRID_DECIMALS)
    if dimension.log:
        short = float(f"{value:.{DIGITS}g}")
    else:
        width = dimension.high - dimension.low
        short = round(value, max(DECIMALS, DIGITS - 1 - math.floor(math.log10(width))) if width else DECIMALS)
    return min(dimension.high, max(dimension.low, short))


def _all_values(dimension: Dimension) -> Sequence[JsonValue | tuple[str, ...]]:
    if isinstance(dimension, Choices):
        return [_as_setting(dimension, value) for value in dimension.values]
    step = dimension.step or 1
    values = [dimension.low + place * step for place in range(dimension.distinct or 0)]
    return [int(value) if dimension.integer else round(value, GRID_DECIMALS) for value in values]


def _as_setting(dimension: Choices, value: JsonValue) -> JsonValue | tuple[str, ...]:
    return tuple(str(one) for one in value) if dimension.name == "stop" and isinstance(value, list) else value


def _label(value: object) -> str:
    # Optuna's categories are scalars: lists and numbers alike travel as their JSON text.
    return canonical(value)
