"""The race and what a user would run instead: strategies that name the best row of a matrix for a budget.

In: `Cells`, which answer for money. Out: `cells.named`, the row that a strategy would name at any moment. A
strategy asks until it has had enough or the money has gone; none may look at anything that it has not paid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from harness.testing.matrices import HAIR, Cells, Floats, OverBudgetError
from harness.testing.optuna_rivals import tpe_asha, tpe_full, tpe_wilcoxon
from harness.testing.racing import race

Strategy = Callable[[Cells, int], None]
EXPLORATION = 1.0  # a of UCB-E, as its authors set it for scores from 0 to 1


@dataclass(frozen=True, slots=True)
class Rival:
    """A strategy by name. play: asks cells and keeps `named` up to date; the number is its seed.

    anytime: what it does depends on its budget in nothing but where it ends.
    """

    play: Strategy
    anytime: bool
    about: str

    def name_row(self, cells: Cells, seed: int) -> int:
        """The row that this strategy names when it, or the budget, has come to an end."""
        with suppress(OverBudgetError):
            self.play(cells, seed)
        return cells.named


def grid(cells: Cells, _seed: int) -> None:
    """The sampled grid: all rows answer the same samples, as many as the budget pays."""
    totals = first_answers(cells)
    for position in range(1, cells.shape[1]):
        totals += cells.ask(range(len(totals)), position, position + 1)[:, 0]
        cells.named = int(totals.argmax())


def random_full(cells: Cells, _seed: int) -> None:
    """Rows in random order, which is that of the draw, each on all samples."""
    best = -1.0
    for row in range(cells.shape[0]):
        mean = full_mean(cells, row)
        if mean > best:
            cells.named, best = row, mean


def halving(cells: Cells, _seed: int) -> None:
    """Paired sequential halving: the same next samples for all that are left, then the worse half goes.

    What is left of the budget is shared evenly among the rounds that are left; each asks one sample at least.
    Source: Karnin, Koren and Somekh 2013, ICML; that answers are kept and samples shared is our departure.
    """
    arms, samples = cells.shape
    rounds = max(1, math.ceil(math.log2(arms)))
    end = cells.budget / rounds
    totals = first_answers(cells)
    alive, done, price = np.arange(arms), 1, cells.spent
    for number in range(1, rounds + 1):
        # The price of one more sample is taken to be that of the last one.
        while done < samples and (not price or cells.spent + price <= end + HAIR):
            before = cells.spent
            totals[alive] += cells.ask(alive, done, done + 1)[:, 0]
            cells.named = int(alive[totals[alive].argmax()])
            done, price = done + 1, cells.spent - before
        alive = alive[np.argsort(-totals[alive], kind="stable")][: math.ceil(len(alive) / 2)]
        end, price = cells.spent + cells.left / max(1, rounds - number), 0.0


def ucb_e(cells: Cells, seed: int) -> None:
    """UCB-E: the row of the highest mean + sqrt(a / n) answers a random sample that it has not seen.

    Source: Zhou et al. 2024, arXiv 2407.06172, algorithm 1, after Audibert, Bubeck and Munos 2010.
    """
    arms, samples = cells.shape
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(samples), (arms, 1)), axis=1)
    counts, totals, means = np.zeros(arms, np.int64), np.zeros(arms), np.full(arms, -1.0)
    bounds = np.full(arms, np.inf)
    for _ in range(arms * samples):
        row = int(bounds.argmax())
        totals[row] += cells.ask_one(row, int(order[row, counts[row]]))
        counts[row] += 1
        n = int(counts[row])
        means[row] = totals[row] / n
        bounds[row] = means[row] + math.sqrt(EXPLORATION / n) if n < samples else -np.inf
        cells.named = int(means.argmax())


def full_mean(cells: Cells, row: int) -> float:
    """The mean of a row over all samples."""
    samples = cells.shape[1]
    return sum(cells.ask_one(row, position) for position in range(samples)) / samples


def first_answers(cells: Cells) -> Floats:
    """One answer of each row, one after the other, so that a tiny budget is used to its end."""
    answers = np.full(cells.shape[0], -1.0)
    for row in range(cells.shape[0]):
        answers[row] = cells.ask_one(row, 0)
        cells.named = int(answers.argmax())
    return answers


RIVALS: Mapping[str, Rival] = {
    "race": Rival(race, False, "the product's own"),
    "random-full": Rival(random_full, True, "rows in random order, each on all samples"),
    "grid": Rival(grid, True, "all rows on the same sampled samples"),
    "halving": Rival(halving, False, "paired sequential halving"),
    "tpe-full": Rival(tpe_full, True, "Optuna's TPE, each row on all samples"),
    "tpe-wilcoxon": Rival(tpe_wilcoxon, True, "Optuna's TPE with its WilcoxonPruner"),
    "tpe-asha": Rival(tpe_asha, True, "Optuna's TPE with its SuccessiveHalvingPruner"),
    "ucb-e": Rival(ucb_e, True, "UCB-E, a random unseen sample each time"),
}
