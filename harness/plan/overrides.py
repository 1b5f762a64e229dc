"""What a command line or a caller may change of a spec without touching it.

In: a spec as it was read, and values by name. Out: the spec with them. Must not look anything up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, TypeVar, cast, get_args

from harness.errors import UsageError
from harness.plan.aim_spec import AimSpec
from harness.plan.embedding_spec import EmbeddingTaskSpec
from harness.plan.given import Given
from harness.plan.spec import BudgetSpec, SearchSpec, Spec, TaskSpec, task_weight
from harness.plan.spec_reader import SpecReading
from harness.records import JsonValue, Split

SMALLEST_LIMIT = 4
Part = TypeVar(
    "Part",
    TaskSpec,
    EmbeddingTaskSpec | None,
    SearchSpec | None,
    BudgetSpec | None,
    AimSpec | None,
    Spec | None,
)


class Overrides(TypedDict, total=False):
    """What a command line may change without touching the spec; `None` changes nothing.

    limit: samples. repeat: answers a sample. max_cost: USD. max_concurrency: calls in flight a provider.
    sampler: as in a spec, or an object of Optuna. warm: settings to try early, as `Plan.pins` has them, in
    place of what `search.warm_start` names. split, settings: measure one set of settings on these samples in
    place of searching; without settings the untuned default, without a split on all of them. allow_code: the
    spec may name code of its own, and run code that models write. scorers: objects that the spec names as
    given in Python, for a run that goes on. confidence: of intervals and bounds, in place of
    `aim.confidence`.
    """

    limit: int | None
    repeat: int | None
    seed: int | None
    n_trials: int | None
    max_cost: float | None
    max_concurrency: int | None
    sampler: Any
    warm: Sequence[JsonValue] | None
    split: Split | None
    settings: Given | None
    allow_code: bool | None
    scorers: Sequence[Any] | None
    confidence: float | None


_LOWEST: Mapping[str, float] = {
    "limit": SMALLEST_LIMIT,
    "repeat": 1,
    "seed": 0,
    "n_trials": 1,
    "max_concurrency": 1,
}


def refuse_overrides(overrides: Overrides) -> None:
    """Raise UsageError for an override that makes no sense."""
    for name, lowest in _LOWEST.items():
        value = overrides.get(name)
        if value is not None and cast("int", value) < lowest:
            raise UsageError(f"{name} is {value!r}, expected at least {lowest}")
    cost = overrides.get("max_cost")
    if cost is not None and not 0 < cost < math.inf:
        raise UsageError(f"max_cost is {cost!r}, expected US dollars above 0")
    split = overrides.get("split")
    if split is not None and split not in get_args(Split):
        raise UsageError(f"split is {split!r}, expected one of {', '.join(get_args(Split))}")


def overridden(reading: SpecReading, overrides: Overrides) -> SpecReading:
    """The reading with the command line's values, in the parts and in the whole alike."""
    limit, repeat = overrides.get("limit"), overrides.get("repeat")
    if reading.vectors is not None and repeat not in (None, 1):
        raise UsageError(
            f"repeat is {repeat}, but a text has one vector, however often it is asked; leave it"
        )
    known = reading.tasks or {}
    tasks = {
        name: _updated(task, limit=_limit(name, known, limit), repeats=repeat) for name, task in known.items()
    }
    parts = {
        "search": _updated(reading.search, n_trials=overrides.get("n_trials")),
        "budget": _updated(reading.budget, usd=overrides.get("max_cost")),
        "aim": _updated(reading.aim, confidence=overrides.get("confidence")),
    }
    spec = reading.spec
    if spec is not None:
        spec = _updated(spec.model_copy(update=parts), seed=overrides.get("seed"))
    whole = None if reading.tasks is None else tasks
    vectors = _updated(reading.vectors, limit=limit)
    return replace(reading, spec=spec, tasks=whole, vectors=vectors, **parts)


def _limit(name: str, tasks: Mapping[str, TaskSpec], limit: int | None) -> int | None:
    """How many of so many samples in all are of this task."""
    if limit is None:
        return None
    weights = {one: task_weight(task) for one, task in tasks.items()}
    return max(SMALLEST_LIMIT, math.ceil(limit * weights[name] / math.fsum(weights.values())))


def _updated(part: Part, **values: float | None) -> Part:
    given = {name: value for name, value in values.items() if value is not None}
    return part if part is None else cast("Part", part.model_copy(update=given))
