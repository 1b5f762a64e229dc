"""The product's own race for a budget, on recorded answers.

In: `Cells`. Out: the row named. It decides nothing: `harness.trials.race` does, as in a real search.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from harness.testing.matrices import Cells, Floats, OverBudgetError
from harness.trials.race import Block, Race
from harness.trials.search import POOL_LOOK, POOL_MOST


def race(cells: Cells, _seed: int) -> None:
    """The race of `harness tune` for a budget, over all rows, or as many as the budget lets it look at."""
    drive(Race(_pool(cells), cells.shape[1]), cells)


def drive(racing: Race, cells: Cells) -> None:
    """Let the first rows race until the race is over; raises OverBudgetError when the money is."""
    last = None
    while (block := racing.next(cells.left, _prices(cells, len(racing.values)))) is not None:
        last = block
        try:
            racing.take(block, cells.ask(block.rows, block.start, block.stop))
        except OverBudgetError:
            _ask_some(racing, cells, block)
            raise
        cells.named = racing.leader
    if last is not None and last.safe and racing.depth < last.until:
        cells.ask(last.safe, racing.depth, last.until)  # was sent ahead before the race was known to be over


def _ask_some(racing: Race, cells: Cells, block: Block) -> None:
    """What a run does whose cap is met within a block: sample by sample as far as the money goes."""
    values = racing.values.copy()
    with suppress(OverBudgetError):
        for position in range(block.start, block.stop):
            for row in block.rows:
                values[row, position] = cells.ask_one(row, position)
    known = ~np.isnan(values)
    means = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    cells.named = max(racing.alive, key=lambda row: means[row])


def _pool(cells: Cells) -> int:
    """How many rows are raced; they are in random order. What one costs in dollars is not known yet."""
    room = cells.shape[0] * POOL_LOOK if cells.in_usd else int(cells.left)
    return min(cells.shape[0], POOL_MOST, max(2, room // POOL_LOOK))


def _prices(cells: Cells, rows: int) -> Floats:
    """Of one sample by row, in the unit of the budget: what its answers cost, or else those of all."""
    if not cells.in_usd:
        return np.ones(rows)
    prices = np.array([cells.price_of(row) for row in range(rows)])
    typical = cells.usd / cells.calls if cells.calls else 0.0
    return np.where(np.isnan(prices), typical, prices)
