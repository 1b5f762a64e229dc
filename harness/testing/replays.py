"""Runs of a strategy on a recorded matrix.

In: a matrix, the name of a strategy, budgets, a seed. Out: one `Outcome` per run and budget, and a summary of
all runs for each budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.testing.matrices import Cells, draw
from harness.testing.outcomes import Budgets, Outcome, Summary, judge, seed_of, summary
from harness.testing.rivals import RIVALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to repeat."""

    budgets: Budgets
    strategy: str
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in RIVALS:
            raise UsageError(f"no strategy {self.strategy!r}; expected one of {', '.join(RIVALS)}")


def replay(task: Task, number: int) -> list[Outcome]:
    """One run, an outcome for each fraction in order. Runs of the same number see the same world."""
    world = draw(task.budgets.matrix, seed_of(task.seed, number, "world"))
    seed = seed_of(task.seed, number, "strategy")
    rival = RIVALS[task.strategy]
    # What an anytime strategy would name for less stands on its way to the largest budget.
    fractions = task.budgets.fractions
    groups = [sorted(set(fractions))] if rival.anytime else [[fraction] for fraction in fractions]
    found: dict[float, Outcome] = {}
    for group in groups:
        *marks, budget = map(task.budgets.of, group)
        cells = Cells(world, budget, in_usd=task.budgets.in_usd, marks=marks)
        rival.name_row(cells, seed)
        found |= zip(group, (judge(world, standing) for standing in cells.finish()), strict=True)
    return [found[fraction] for fraction in fractions]


def summarise(task: Task, runs: Sequence[Sequence[Outcome]]) -> list[Summary]:
    """One summary for each fraction. runs: of `replay`."""
    budgets = task.budgets
    return [
        summary([run[place] for run in runs], fraction=fraction, budget=budgets.of(fraction))
        for place, fraction in enumerate(budgets.fractions)
    ]
