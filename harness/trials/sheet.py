"""What one arm has seen, sample by sample, as a record that outlives spec and data.

In: an arm. Out: a `Sheet`. Nothing is decided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.catalogue.models import Model
from harness.fingerprint import fingerprint
from harness.plan.joined import prefix_of
from harness.plan.plan import Plan
from harness.plan.task import Task
from harness.scores.combined import code_of
from harness.scores.metrics import find_metric
from harness.sheets import Basis, Sheet

if TYPE_CHECKING:
    from harness.trials.board import Board
    from harness.trials.evidence import Arm

# Scores, dollars and seconds are floats of seven digits here; more would be noise in files for people.
DIGITS = 7
WEIGHTED_SCORE = "weighted score"


def sheet_of(arm: Arm) -> Sheet:
    """The samples that this arm has answered, in full or in part."""
    board = arm.board
    places: list[int] = np.flatnonzero(arm.seen.any(axis=1)).tolist()
    groups = board.groups if any(board.groups) else []
    columns = {quality_column(board.plan.task): arm.quality_values(), **dict(arm.scorer_values())}
    return Sheet(
        trial=arm.number,
        settings=arm.settings,
        split=board.split,
        samples=tuple(board.ids[place] for place in places),
        scores={name: _column(values[places]) for name, values in columns.items()},
        usd=_column(_mean(arm.price)[places]),
        latency_s=_column(_mean(arm.latency)[places]),
        basis=basis_of(board.plan, arm.settings.model, arm.settings.prompt),
        groups=tuple(groups[place] for place in places) if groups else (),
        slices=_slices(board, places),
        weights={part.name: part.weight for part in board.plan.task.parts},
    )


def _slices(board: Board, places: Sequence[int]) -> dict[str, tuple[str | None, ...]]:
    """The values of metadata fields at these positions."""
    found: dict[str, tuple[str | None, ...]] = {}
    for part in board.parts:
        for name in sorted({name for name, _ in part.groupings.slices()}):
            values = part.groupings.of(name)
            found[part.shown(name)] = tuple(values[place] for place in places)
    return found


def quality_column(task: Task) -> str:
    """What a sample adds to the quality: the metric, or the scorer where samples have no share in it.

    Of several tasks, the metric of all of them, or another word where samples have no share in one of theirs.
    """
    if all(_of_samples(one) for one in task.each):
        return task.metric
    return WEIGHTED_SCORE if task.parts else task.scorers[0].name


def _of_samples(task: Task) -> bool:
    """Whether the quality is the mean of what single samples add to it."""
    return task.embedding is not None or find_metric(task.metric).reads in ("scores", "repeats")


def basis_of(plan: Plan, model: str, prompt: str) -> Basis:
    """What scores of this model with this prompt rest on, under this plan."""
    task = plan.task
    others = [sorted(plan.judge_models), None if task.embedding is None else task.embedding.parts()]
    template = "".join(one.template(prompt) for one in task.each).encode("utf-8", "surrogatepass")
    scored = [(one.name, one.weight, one.scorer_forms, one.metric) for one in task.parts]
    forms = scored or task.scorer_forms
    code = code_of(scorer for one in task.each for scorer in (*one.scorers, *one.repeat_scorers))
    others += [code] if code else []
    return Basis(
        data=task.rows.card.sha256,
        scoring=fingerprint([forms, task.metric, task.repeats, plan.failures, *others]),
        scorers={
            f"{prefix_of(one.name) if task.parts else ''}{scorer.name}": scorer.version
            for one in task.each
            for scorer in (*one.scorers, *one.repeat_scorers)
        },
        prompt=hashlib.sha256(template).hexdigest(),
        prices=_prices(plan.asked_models[model]),
    )


def _prices(model: Model) -> dict[str, float]:
    prices = model.prices
    if prices is None:
        return {}
    kinds = (field.name for field in fields(prices))
    found = ((kind, getattr(prices, kind)) for kind in kinds if kind != "long_prompt")
    return {kind: price for kind, price in found if price is not None}


def _column(values: NDArray[np.floating]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(f"{value:.{DIGITS}g}") for value in values)


def _mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of each row over what is there; NaN without anything."""
    known = (~np.isnan(values)).sum(axis=1)
    return np.where(known > 0, np.nansum(values, axis=1, dtype=np.float64) / np.maximum(known, 1), np.nan)
