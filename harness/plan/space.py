"""The space of settings: what the spec asks for, held against what each model takes.

In: `search` of a spec and the models it means. Out: a `Space`. A setting that a model does not take, or
takes in a narrower range, is a fault here, but for an output limit above the model's own, which is capped:
nothing is dropped or bent on the way out. Must not know prices or data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from harness.catalogue.models import Accepts, Catalogue, Model
from harness.plan.conditions import advice, restriction, rivals
from harness.plan.parameters import with_values
from harness.plan.plan import Choices, Dimension, Range, Space, applies, either, rivals_of
from harness.plan.problems import Problems, shown, written
from harness.plan.ranges import NumberRange, Options, Setting, WholeOptions, WholeRange
from harness.plan.spec import SchemaSpec, SearchSpec
from harness.records import SENT_FIELDS, JsonValue, Settings

# Worst-case prices need an end to the answer, also when the spec does not search it.
ALWAYS_SENT = "max_output_tokens"
MOST_LIMITS = 16  # each is a place to look for an answer that may be reused


def make_space(
    search: SearchSpec, models: Mapping[str, Model], prompts: Sequence[str], problems: Problems
) -> Space:
    """The space of these models and prompt variants; what a model does not take is noted.

    A setting that the spec does not name is not sent, with one exception: max_output_tokens, whose
    default comes from the catalogue. Under `on_unsupported: condition`, a setting that a model does not
    take is absent from that model's dimensions, and of settings that exclude each other a choice decides
    which one is sent; a value out of its range stays a fault. No model is asked for a longer answer than it
    gives: what is above its limit is its limit.
    """
    asked = search.settings()
    dimensions = {
        full_name: _dimensions(model, _capped(model, asked), search.on_unsupported, problems)
        for full_name, model in models.items()
    }
    if search.sampler == "grid":
        refuse_endless(dimensions, problems)
    if search.reuse_across_limits:
        _require_reuse(search, problems)
    first = prompts[0] if prompts else ""
    return Space(
        models=tuple(models),
        prompts=tuple(prompts),
        dimensions=dimensions,
        defaults={name: _defaults(model, first, dimensions[name]) for name, model in models.items()},
    )


def form_of(output: str | SchemaSpec) -> dict[str, JsonValue]:
    """The form of answers that a task asks for, as `response_format` states it."""
    if not isinstance(output, SchemaSpec):
        return {"type": "json_object"}
    schema: dict[str, JsonValue] = {"name": "answer", "schema": output.json_schema, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def asking_for(space: Space, output: str | SchemaSpec) -> Space:
    """The space whose settings all ask for JSON, or for JSON of a schema.

    Source: `response_format` of the OpenAI API reference, "Create chat completion".
    """
    wanted = form_of(output)
    return replace(
        space,
        defaults={
            name: replace(settings, extra={**settings.extra, "response_format": wanted})
            for name, settings in space.defaults.items()
        },
    )


def _dimensions(
    model: Model,
    asked: Mapping[str, Setting],
    on_unsupported: Literal["error", "condition"],
    problems: Problems,
) -> tuple[Dimension, ...]:
    """What is searched of this model; what is there beside some values of another setting comes last."""
    always: list[Dimension] = []
    sometimes: list[Dimension] = []
    values = {name: tuple(_ends(setting)) for name, setting in asked.items()}
    for name, setting in asked.items():
        accepts = _stated(model, name)
        if name not in SENT_FIELDS and accepts is None:
            always.append(dimension_of(name, setting))  # nobody knows better
            continue
        if on_unsupported == "condition" and (accepts is None or accepts.choices == ()):
            continue
        fault = refused(model, name, setting)
        if fault is not None:
            place = ("search", name) if name in SENT_FIELDS else ("search", "extra", name)
            problems.add(place, f"{fault}{_advice(model, name)}")
        if on_unsupported == "condition" and (group := rivals(model, name, values)):
            which = either(group)
            always += [which] if name == group[0] else []
            sometimes.append(replace(dimension_of(name, setting), when=(which.name, (name,))))
            continue
        found = restriction(model, name, values)
        if found is not None and on_unsupported == "error":
            problems.add(("search", name), advice(found, name))
        if found is None or on_unsupported == "error":
            always.append(dimension_of(name, setting))
        elif found.when is not None:
            sometimes.append(replace(dimension_of(name, setting), when=found.when))
    return (*always, *sometimes)


def absences(space: Space, asked: Mapping[str, Setting], models: Mapping[str, Model]) -> list[str]:
    """What is not searched for a model although the spec asks for it, a sentence a model and setting."""
    values = {name: tuple(_ends(setting)) for name, setting in asked.items()}
    told: list[str] = []
    for full_name, model in models.items():
        there = {dimension.name: dimension.when for dimension in space.dimensions[full_name]}
        told += [f"{name} is a choice: {full_name} takes one at a time" for name in there if rivals_of(name)]
        if _capped(model, asked) != asked:
            told.append(f"{ALWAYS_SENT} ends at {_longest(model)}: {full_name} gives no longer answer")
        for name in asked:
            when = there.get(name)
            if name in there and (when is None or rivals_of(when[0])):
                continue
            found = restriction(model, name, values)
            reason = f"{full_name} does not take it" if found is None else found.reason
            told.append(f"{name} is searched in part: {reason}" if name in there else f"no {name}: {reason}")
    return told


def caveats(space: Space, catalogue: Catalogue) -> list[str]:
    """What the catalogue says of settings that are sent, by provider: they are not the same everywhere."""
    sent = [(model.partition("/")[0], d.name) for model, ds in space.dimensions.items() for d in ds]
    told = dict.fromkeys((one, catalogue.provider(one).notes.get(name)) for one, name in sent)
    return [f"{provider}: {note}" for provider, note in told if note]


def limits_of(search: SearchSpec, models: Iterable[Model]) -> tuple[int, ...]:
    """The output limits that are searched of any of these models, when they can be listed; else none."""
    asked = search.settings()
    every = (_listed(_capped(model, asked).get(ALWAYS_SENT)) for model in models)
    return tuple(dict.fromkeys(limit for listed in every for limit in listed))


def answers_asked(search: SearchSpec, model: Model) -> tuple[int, int]:
    """The shortest and the longest answer that this model is asked for, in tokens; 1 where none is sent."""
    setting = _capped(model, search.settings()).get(ALWAYS_SENT)
    ends = (1,) if setting is None else tuple(cast("Iterable[int]", _ends(setting)))
    default = model.settings.get(ALWAYS_SENT, Accepts()).default
    if setting is None and isinstance(default, int):
        ends = (min(default, int(_longest(model) or default)),)
    return min(ends), max(ends)


def _listed(setting: Setting | None) -> tuple[int, ...]:
    if isinstance(setting, WholeOptions):
        return tuple(setting.choices)
    if isinstance(setting, WholeRange) and setting.step is not None:
        return tuple(range(setting.low, setting.high + 1, setting.step))
    return ()


def _require_reuse(search: SearchSpec, problems: Problems) -> None:
    """Note why `reuse_across_limits` could never find anything, or would look in too many places."""
    place = ("search", "reuse_across_limits")
    limits = _listed(search.max_output_tokens)
    if not 2 <= len(limits) <= MOST_LIMITS:
        problems.add(
            place,
            f"is true, but max_output_tokens lists {len(limits) or 'no'} values to reuse answers among; give "
            f"it 2 to {MOST_LIMITS} choices, or remove reuse_across_limits",
        )
    temperature = search.temperature
    greedy = temperature is not None and 0 in (
        (temperature.low,) if isinstance(temperature, NumberRange) else _ends(temperature)
    )
    if not greedy:
        problems.add(
            place,
            "is true, but no temperature of 0 is searched, and other answers are drawn anew each time; let "
            "temperature be or begin at 0, or remove reuse_across_limits",
        )


def one_point(settings: Settings) -> Space:
    """The space that holds these settings alone."""
    sent = settings.held()
    return Space(
        models=(settings.model,),
        prompts=(settings.prompt,),
        dimensions={settings.model: tuple(Choices(name, (value,)) for name, value in sent.items())},
        defaults={settings.model: settings},
    )


def refuse_endless(dimensions: Mapping[str, Sequence[Dimension]], problems: Problems) -> None:
    """Note every range that a grid cannot go through, because its values cannot be counted."""
    every = [dimension for of_model in dimensions.values() for dimension in of_model]
    endless = dict.fromkeys(dimension.name for dimension in every if dimension.distinct is None)
    if endless:
        listed = ", ".join(endless)
        problems.add(
            ("search", "sampler"),
            f"is 'grid', which tries listed values, but {listed} can take any value of a range; give "
            f"{'it' if len(endless) == 1 else 'each'} a step or choices, or choose another sampler",
        )


def refused(model: Model, name: str, setting: Setting) -> str | None:
    """Why the model would refuse this setting or a value of it, as a clause; `None`: it takes it."""
    accepts = _stated(model, name)
    if accepts is None or accepts.choices == ():
        takes = ", ".join(sorted(model.settings)) or "no settings"
        return f"{model.full_name} does not take {name}; it takes {takes}"
    low, high = accepts.low, _longest(model) if name == ALWAYS_SENT else accepts.high
    for value in _ends(setting):
        if accepts.choices is not None and value not in accepts.choices:
            words = ", ".join(shown(choice) for choice in accepts.choices)
            return f"holds {shown(value)}, but {model.full_name} takes {words}"
        if isinstance(value, int | float) and not _within(value, low, high):
            return f"holds {written(value)}, but {model.full_name} takes {_span(low, high)}"
    return None


def _stated(model: Model, name: str) -> Accepts | None:
    """What is stated of a setting or a custom parameter; `None`: nothing, so that a setting is refused."""
    return model.settings.get(name, model.custom.get(name))


def _longest(model: Model) -> float | None:
    """The most tokens of an answer that this model may be asked for; `None`: nobody states a limit."""
    stated = (model.settings.get(ALWAYS_SENT, Accepts()).high, model.max_output_tokens)
    return min((one for one in stated if one is not None), default=None)


def _capped(model: Model, asked: Mapping[str, Setting]) -> Mapping[str, Setting]:
    """What is asked, but no longer answer than the model gives."""
    setting, most = asked.get(ALWAYS_SENT), _longest(model)
    if setting is None or most is None:
        return asked
    limit = int(most)
    if isinstance(setting, WholeOptions):
        few = dict.fromkeys(min(choice, limit) for choice in setting.choices)
        return {**asked, ALWAYS_SENT: setting.model_copy(update={"choices": list(few)})}
    if not isinstance(setting, WholeRange):
        return {**asked, ALWAYS_SENT: min(cast("int", setting), limit)}
    if setting.high <= limit:
        return asked
    low, step = min(setting.low, limit), setting.step or 1
    ends = {"low": low, "high": low + (limit - low) // step * step}
    return {**asked, ALWAYS_SENT: setting.model_copy(update=ends)}


def _advice(model: Model, name: str) -> str:
    accepts = _stated(model, name)
    if accepts is None or accepts.choices == ():
        return (
            ". Remove the setting or the model, or say on_unsupported: condition to search it only for "
            "models that take it"
        )
    return f"; {'narrow' if accepts.choices is None else 'change'} it, or remove the model"


def _ends(setting: Setting) -> Iterable[JsonValue]:
    """The values that have to be taken for all others to be taken too."""
    if isinstance(setting, NumberRange | WholeRange):
        return (setting.low, setting.high)
    if isinstance(setting, Options):
        return cast("list[JsonValue]", setting.choices)
    return (cast("JsonValue", setting),)


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return "anything" if high is None else f"at most {written(high)}"
    return f"at least {written(low)}" if high is None else f"{written(low)} to {written(high)}"


def dimension_of(name: str, setting: Setting) -> Dimension:
    """What a setting of a spec spans."""
    if isinstance(setting, NumberRange | WholeRange):
        if setting.low == setting.high:
            return Choices(name, (setting.low,))
        whole = isinstance(setting, WholeRange)
        return Range(name, setting.low, setting.high, integer=whole, log=setting.log, step=setting.step)
    return Choices(name, tuple(_ends(setting)))


def _defaults(model: Model, prompt: str, dimensions: Iterable[Dimension]) -> Settings:
    values: dict[str, Any] = {}
    for dimension in dimensions:
        if not applies(dimension, values):
            continue
        accepts = model.settings.get(dimension.name, Accepts())
        value = starting_value(dimension, accepts.default)
        values[dimension.name] = tuple(value) if isinstance(value, list) else value
    if ALWAYS_SENT not in values and ALWAYS_SENT in model.settings:
        default = model.settings[ALWAYS_SENT].default
        limit = model.max_output_tokens
        if isinstance(default, int):
            values[ALWAYS_SENT] = default if limit is None else min(default, limit)
    return with_values(Settings(model=model.full_name, prompt=prompt), values)


def starting_value(dimension: Dimension, catalogue: JsonValue) -> JsonValue:
    """The untuned value inside the dimension: the catalogue's, `None` without one, or the nearest to it."""
    number = catalogue if isinstance(catalogue, int | float) else None
    if isinstance(dimension, Range):
        if dimension.name == ALWAYS_SENT:
            return _on_grid(dimension, dimension.high)
        return _on_grid(dimension, dimension.low if number is None else number)
    values = dimension.values
    if dimension.name == ALWAYS_SENT:
        return max(cast("tuple[int, ...]", values))
    if catalogue in values:
        return catalogue
    if number is not None and all(isinstance(value, int | float) for value in values):
        return min(cast("tuple[float, ...]", values), key=lambda value: abs(value - number))
    return values[0]


def _on_grid(dimension: Range, value: float) -> float:
    inside = min(max(value, dimension.low), dimension.high)
    if dimension.step is not None:
        # The tolerance keeps 0.3 on a grid of 0.1 in binary floating point.
        steps = math.floor((inside - dimension.low) / dimension.step + 1e-9)
        inside = dimension.low + steps * dimension.step
    return int(inside) if dimension.integer else inside
