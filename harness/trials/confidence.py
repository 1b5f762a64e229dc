"""A race that stops when it knows, with a stated error whatever the number of looks.

In: scores as they arrive. Out: blocks to ask, which arms may still be the best, and why it ended. The budget
only bounds it. Pure, like `race`: the same answers lead to the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.stats.contenders import Contenders
from harness.trials.race import ROUNDING, Block, Floats, Race

FIRST = 8  # samples before the first look
FUTILE_N = 50  # samples before the data may be found too small
FUTILE = 0.3  # chance that a rival is told apart by the last sample, below which nobody goes on for it

Ending = Literal["", "resolved", "good enough", "cannot be told apart"]


class ConfidenceRace(Race):
    """All that may be the best answer the same next samples, until one is left or more would not help.

    alpha: the probability, at all looks together, that the best arm on these samples is put out, or that
    what is called good enough is not. epsilon: how far behind the best is good enough, from 0 to 1.
    ending: "" while it goes on or when the budget ended it; "resolved": one arm is left; "good enough": the
    leader is known to be within epsilon of the best; "cannot be told apart": for none of the rivals that are
    left there is a fair chance that the rest of the samples tells it from the leader, or there is no rest.
    Where nothing can be counted a sample speaks for nobody: it counts as what the others got on average.
    Source: `stats.contenders`; stopping for futility is a choice of when to stop, which the error allows for.
    """

    growth = 1.06  # who is out is asked for 3 % of its samples in vain
    secure = 0.25  # few: a look may find all but one out

    def __init__(self, arms: int, samples: int, *, alpha: float, epsilon: float) -> None:
        super().__init__(arms, samples)
        self.ending: Ending = ""
        self._goal = -math.log(alpha)
        self._epsilon = epsilon
        self._contenders = Contenders(
            arms, level=1 - alpha, tolerance=epsilon, horizon=max(1, samples), finite=True
        )

    @property
    def named(self) -> int:
        """The row to name: the one that is known to be good enough, else the leader."""
        known = self._contenders.good_enough if self.depth else None
        return known if known is not None and known in self.alive else self.leader

    def words(self, numbers: Sequence[int]) -> str:
        """What is known at the end, as a sentence. numbers: of the trials, by row."""
        left = ", ".join(str(numbers[row]) for row in self.alive)
        of_pool = f"of the {len(numbers)} settings raced at {1 - math.exp(-self._goal):.0%} confidence"
        after = f"after {self.depth} samples"
        if self.ending == "resolved":
            return f"{after} trial {left} is the best {of_pool}"
        if self.ending == "good enough":
            points = f"{self._epsilon * 100:g} points"
            return f"{after} trial {numbers[self.named]} is within {points} of the best {of_pool}"
        why = "this data cannot tell them apart" if self.ending else "the budget ended the race"
        return f"{after} the best {of_pool} is among trials {left}: {why}"

    def remove(self, row: int) -> None:
        """Take an arm out for a reason of the caller's; what was known beside it is looked at anew."""
        super().remove(row)
        self.ending = self._ending()

    def next(self, left: float, prices: Sequence[float] | Floats) -> Block | None:
        """The next block; `None` when the race has ended or nothing more can be paid."""
        self.prices = np.asarray(prices, dtype=np.float64)
        whole, of_all = self.values.shape[1], float(self.prices[self.alive].sum())
        if self.ending or len(self.alive) < 2 or self.depth >= whole:
            return None
        affordable = whole if of_all <= 0 else int(min(whole, left / of_all + ROUNDING))
        stop = min(max(FIRST, self._nearest(self.depth)), self.depth + affordable, whole)
        return self._block(stop, affordable) if stop > self.depth else None

    def take(self, block: Block, values: Floats) -> None:
        """What the rows of a block scored, shape (rows, stop - start)."""
        rows = list(block.rows)
        self.values[rows, block.start : block.stop] = values
        self.depth = block.stop
        self._contenders.absorb(self._filled(rows, block))
        for row in [row for row in self.alive if row not in self._contenders.left]:
            if self._may_go(row):
                self._reject(row, "not the best, as far as the stated confidence goes")
        self.ending = self._ending()

    def _filled(self, rows: list[int], block: Block) -> Floats:
        seen = self.values[:, block.start : block.stop].copy()
        known = ~np.isnan(seen[rows])
        field = np.where(known, seen[rows], 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return np.where(np.isnan(seen), field, seen)

    def _ending(self) -> Ending:
        if len(self.alive) == 1:
            return "resolved"
        if self._contenders.good_enough in self.alive:
            return "good enough"
        futile = self.depth >= FUTILE_N and self._is_futile()
        return "cannot be told apart" if futile or self.depth >= self.values.shape[1] else ""

    def _is_futile(self) -> bool:
        """Whether none of the rivals has a fair chance to be told from the leader by the end of the data.

        The difference at the end is taken as normal around the one seen, with the spread that the samples
        still to come give it; told apart is what then lies sqrt(2 log(1 / alpha)) standard errors from 0.
        """
        n, whole = self.depth, self.values.shape[1]
        if n >= whole:
            return True
        leader = self.leader
        rivals = [row for row in self.alive if row != leader]
        gaps = self.values[leader, :n] - self.values[rivals, :n]
        mean, spread = np.nanmean(gaps, axis=1), np.nanstd(gaps, axis=1, ddof=1)
        needed = math.sqrt(2 * self._goal / whole) * spread
        to_come = np.maximum(spread * math.sqrt(1 / n - 1 / whole), ROUNDING)
        highs = zip((mean - needed) / to_come, (-mean - needed) / to_come, strict=True)
        return all(_below(first) + _below(second) < FUTILE for first, second in highs)


def _below(z: float) -> float:
    """The share of a standard normal distribution that lies below z."""
    return math.erfc(-z / math.sqrt(2)) / 2
