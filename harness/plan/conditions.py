"""Which settings of a model may stand beside which others, held against what a spec asks for.

In: a model of the catalogue, and the values that are asked of each setting. Out: whether a setting is there
always, only beside some values of another, or never, with the reason as a clause. Must not know spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def advice(found: Restriction, name: str) -> str:
    """What to do about a restriction where every setting has to be there for every model."""
    where = "only where it is taken" if found.when else "for the other models alone"
    return (
        f"{found.reason}. Remove one of the settings or change its values, or say on_unsupported: condition "
        f"to search {name} {where}"
    )
