"""What the product's race for confidence states, and whether it is so.

In: a matrix, the error and the tolerance to state. Out: one `Claim` per run and budget, and their summary. It
decides nothing: `harness.trials.confidence` does, as in a real search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from harness.testing.matrices import Cells, OverBudgetError, draw
from harness.testing.outcomes import NEAR, Budgets, mean_and_error, seed_of
from harness.testing.racing import drive
from harness.trials.confidence import ConfidenceRace

UNDECIDED = "cannot be told apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one race for confidence stated, and what is so. Points are hundredths of quality.

    ending: as the race says; "" when the budget ended it. regret: of the row named, in points. left: rows
    that may still be the best. true: whether the row named is within the tolerance of the best, or, when
    nothing was decided, a best row is among those left. spent: share of the full grid.
    """

    ending: str
    regret: float
    left: int
    true: bool
    spent: float
    calls: int
    usd: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTask:
    """What to repeat. budgets: the most it may spend. alpha: error, epsilon: tolerance to state, 0 to 1."""

    budgets: Budgets
    alpha: float
    epsilon: float
    seed: int = 0


def claim(task: ClaimTask, number: int) -> list[Claim]:
    """One run, a claim for each budget. Runs of the same number see the world that `replay` sees."""
    world = draw(task.budgets.matrix, seed_of(task.seed, number, "world"))
    claims: list[Claim] = []
    for fraction in task.budgets.fractions:
        cells = Cells(world, task.budgets.of(fraction), in_usd=task.budgets.in_usd)
        racing = ConfidenceRace(*world.shape, alpha=task.alpha, epsilon=task.epsilon)
        with suppress(OverBudgetError):
            drive(racing, cells)
        named = racing.named
        regret = 100 * (world.best - float(world.truth[named]))
        decided = racing.ending not in ("", UNDECIDED)
        open_best = not decided and float(world.truth[racing.alive].max()) >= world.best - NEAR / 100
        (end,) = cells.finish()
        claims.append(
            Claim(
                ending=racing.ending,
                regret=regret,
                left=len(racing.alive),
                true=regret <= 100 * task.epsilon + NEAR or open_best,
                spent=cells.spent / task.budgets.whole,
                calls=end.calls,
                usd=math.nan if world.prices is None else end.usd,
                cpu_s=end.cpu_s,
            )
        )
    return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSummary:
    """Means over runs; shares from 0 to 1.

    coverage: of true claims. mean_fraction: of the full grid that was spent. cannot_be_told_apart: share of
    runs that end so; out_of_budget: that the budget ended. mean_left: rows that may still be the best.
    """

    fraction: float
    coverage: float
    coverage_se: float
    mean_fraction: float
    max_fraction: float
    cannot_be_told_apart: float
    out_of_budget: float
    mean_left: float
    p_within_1pt: float
    p_within_2pt: float
    mean_regret: float
    mean_calls: float
    mean_usd: float | None
    cpu_ms_per_call: float


def summarise_claims(task: ClaimTask, runs: Sequence[Sequence[Claim]]) -> list[ClaimSummary]:
    """One summary for each budget. runs: of `claim`."""
    return [
        _claim_summary(fraction, [run[place] for run in runs])
        for place, fraction in enumerate(task.budgets.fractions)
    ]


def _claim_summary(fraction: float, claims: Sequence[Claim]) -> ClaimSummary:
    n, regret = len(claims), np.array([one.regret for one in claims])
    coverage = sum(one.true for one in claims) / n
    calls = sum(one.calls for one in claims)
    return ClaimSummary(
        fraction=fraction,
        coverage=coverage,
        coverage_se=math.sqrt(coverage * (1 - coverage) / n),
        mean_fraction=float(np.mean([one.spent for one in claims])),
        max_fraction=max(one.spent for one in claims),
        cannot_be_told_apart=sum(one.ending == UNDECIDED for one in claims) / n,
        out_of_budget=sum(one.ending == "" for one in claims) / n,
        mean_left=float(np.mean([one.left for one in claims])),
        p_within_1pt=float((regret <= 1 + NEAR).mean()),
        p_within_2pt=float((regret <= 2 + NEAR).mean()),
        mean_regret=float(regret.mean()),
        mean_calls=calls / n,
        mean_usd=mean_and_error([one.usd for one in claims])[0],
        cpu_ms_per_call=1000 * sum(one.cpu_s for one in claims) / max(1, calls),
    )
