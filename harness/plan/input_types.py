"""What a text is embedded for, told to the models that want to know it.

In: models, the kind of a task, and what a spec says of it. Out: values of the parameter that says so; where
queries and documents differ, one for each side. Must not send anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from harness.catalogue.models import INPUT_TYPES, Model
from harness.plan.embedding_spec import AUTO, NONE, BySide, InputTypeOptions, InputTypeSetting, Kind
from harness.plan.plan import Choices, Space
from harness.plan.problems import Problems, shown
from harness.plan.ranges import Options
from harness.plan.spec import SearchSpec
from harness.records import SIDES, JsonValue, is_sided

PLACE = ("search", "input_type")


def input_types(
    search: SearchSpec, models: Mapping[str, Model], kind: Kind, problems: Problems
) -> dict[str, Choices]:
    """What is searched of this by model, those alone that may be sent one; faults are noted.

    Where the spec says nothing, a model is told what its provider documents for the kind of task.
    """
    asked = _asked(search.input_type)
    if kind != "retrieval":
        _refuse_sides(search, asked, kind, problems)
    stated = next((name for name in INPUT_TYPES if name in search.extra), None)
    if stated is not None:
        if search.input_type is not None:
            problems.add(PLACE, f"stands beside search.extra.{stated}, which says the same; remove one")
        return {}
    takers = {name: model for name, model in models.items() if _parameter(model) is not None}
    if models and not takers and any(one not in (AUTO, NONE) for one in asked):
        problems.add(
            PLACE,
            f"is for models that are told what a text is for, and {' and '.join(models)} takes no such "
            "setting; remove it",
        )
    found = {name: _choices(model, asked, kind, problems) for name, model in takers.items()}
    return {name: one for name, one in found.items() if one.values != (None,)}


def documented(model: Model, kind: Kind) -> dict[str, JsonValue]:
    """What is sent with texts of such a task as the provider documents it, nothing where it does not."""
    name = _parameter(model)
    uses = {} if name is None else model.settings[name].uses
    if kind == "retrieval":
        value: JsonValue = {side: uses[side] for side in SIDES} if uses.keys() >= set(SIDES) else None
    else:
        value = uses.get(kind if kind in ("classification", "clustering") else "similarity")
    return {} if name is None or value is None else {name: value}


def told(space: Space) -> Iterator[str]:
    """What each model of a space is told that texts are for, a sentence a model and parameter."""
    for model, dimensions in space.dimensions.items():
        for one in dimensions:
            values = one.values if isinstance(one, Choices) else ()
            if one.name in INPUT_TYPES or any(map(is_sided, values)):
                sent = " or ".join(_words(one.name, value) for value in values)
                yield f"{model} is sent {sent} (search.input_type)"


def untold(search: SearchSpec, models: Mapping[str, Model], kind: Kind) -> list[str]:
    """What to say of models that are sent nothing although the spec asks for what is documented."""
    if search.input_type is None or AUTO not in _asked(search.input_type):
        return []
    return [
        f"input_type auto sends nothing to {name}: nothing is documented of it for a task of kind {kind}"
        for name, model in models.items()
        if not documented(model, kind)
    ]


def _words(name: str, value: JsonValue) -> str:
    if value is None:
        return f"no {name}"
    if not is_sided(value):
        return f"{name} {shown(value)} with every text"
    sides = cast("Mapping[str, JsonValue]", value)
    return f"{name} {shown(sides['query'])} with queries and {shown(sides['document'])} with documents"


def _parameter(model: Model) -> str | None:
    """What this model calls it; `None`: it is told nothing."""
    return next((name for name in INPUT_TYPES if name in model.settings), None)


def _asked(setting: InputTypeSetting | None) -> Sequence[str | BySide]:
    if setting is None:
        return (AUTO,)
    return setting.choices if isinstance(setting, InputTypeOptions) else (setting,)


def _refuse_sides(search: SearchSpec, asked: Sequence[str | BySide], kind: Kind, problems: Problems) -> None:
    """Note what is stated by side in a task that has one side."""
    fault = f"is stated by side, and a task of kind {kind} has no documents; write one value for all texts"
    if any(isinstance(one, BySide) for one in asked):
        problems.add(PLACE, fault)
    for name, setting in search.extra.items():
        values = setting.choices if isinstance(setting, Options) else (setting,)
        if any(is_sided(cast("JsonValue", value)) for value in values):
            problems.add(("search", "extra", name), fault)


def _choices(model: Model, asked: Sequence[str | BySide], kind: Kind, problems: Problems) -> Choices:
    """What is searched of this model, `None` for nothing."""
    name = _parameter(model)
    assert name is not None, "only models that are told something come here"
    values: list[JsonValue] = []
    for one in asked:
        value = _value(one, documented(model, kind).get(name))
        values += [] if value in values else [value]
        for word in value.values() if isinstance(value, dict) else (value,):
            accepted = model.settings[name].choices
            if word is not None and accepted is not None and word not in accepted:
                listed = ", ".join(map(shown, accepted))
                problems.add(PLACE, f"holds {shown(word)}, but {model.full_name} takes {listed}")
    return Choices(name, tuple(values))


def _value(stated: str | BySide, usual: JsonValue) -> JsonValue:
    """What is sent for this. usual: for `auto`."""
    if isinstance(stated, BySide):
        return {"query": stated.query, "document": stated.document}
    return usual if stated == AUTO else None if stated == NONE else stated
