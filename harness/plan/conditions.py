"""Which settings of a model may stand beside which others, held against what a spec asks for.

In: a model of the catalogue, and the values that are asked of each setting. Out: whether a setting is there
always, only beside some values of another, or never, with the reason as a clause; and which settings are sent
one at a time. Must not know spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from harness.catalogue.models import Model
from harness.plan.problems import shown
from harness.records import JsonValue

When: TypeAlias = "tuple[str, tuple[JsonValue, ...]]"


@dataclass(frozen=True, slots=True)
class Restriction:
    """Why a setting is not always there.

    when: another setting, and its values beside which this one is there; `None`: there are none.
    """

    reason: str
    when: When | None = None


def restriction(model: Model, name: str, asked: Mapping[str, Sequence[JsonValue]]) -> Restriction | None:
    """What keeps the model from taking this setting beside the others; `None`: nothing does.

    asked: all values that each setting may have, by name, this one among them.
    """
    accepts = model.settings.get(name)
    if accepts is None:
        return None
    for other in accepts.not_with:
        if other in asked and other in model.settings:
            return Restriction(f"{model.full_name} takes {other} or {name}, not both")
    for other, values in accepts.only_with.items():
        given = asked[other] if other in asked and other in model.settings else (None,)
        fitting = tuple(value for value in given if value in values)
        if len(fitting) == len(given):
            continue
        words = " or ".join("left out" if value is None else shown(value) for value in values)
        reason = f"{model.full_name} takes {name} only with {other} {words}"
        return Restriction(reason, (other, fitting) if fitting else None)
    return None


def rivals(model: Model, name: str, asked: Iterable[str]) -> tuple[str, ...]:
    """The settings of which the model takes one at a time, this one among them, in the order asked.

    Empty when nothing that is asked excludes it, and where one of them hangs on a further setting, or a
    further one on them: such a knot is not taken apart, see `restriction`.
    """
    taken = [one for one in asked if one in model.settings]
    group = {name}
    while more := {one for one in taken if one not in group and any(_exclude(model, one, o) for o in group)}:
        group |= more
    tied = any(
        (one in group and settings.only_with) or not group.isdisjoint(settings.only_with)
        for one, settings in model.settings.items()
        if one in taken
    )
    return () if len(group) == 1 or tied else tuple(one for one in taken if one in group)


def _exclude(model: Model, one: str, other: str) -> bool:
    """Whether either of two settings says that it may not be sent beside the other."""
    takes = model.settings
    return other in takes[one].not_with or one in takes[other].not_with


def advice(found: Restriction, name: str) -> str:
    """What to do about a restriction where every setting has to be there for every model."""
    return (
        f"{found.reason}. Remove one of the settings or change its values, or say on_unsupported: condition "
        f"to search {name} only where it is taken"
    )
