"""Who answers next, who is out, and who leads: a race on samples that all survivors share.

In: scores as they arrive, and what may still be spent. Out: blocks of samples to ask, decisions with their
figures. Pure bookkeeping on arrays: nothing is asked here, and the same answers lead to the same decisions
in whatever order they came. Everything is paired: arms are compared sample by sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.trials.duel import verdict

Floats = NDArray[np.float64]
STEEPNESS = 1.5  # of the depths C / rank^STEEPNESS: most of the budget goes to telling the last few apart
FIRST_DEPTH = 4  # samples before the first reject, where half of the budget allows as many
FIRST_SHARE = 0.5  # of the budget that a first look at all arms may take
LEAP = 1.5  # of the depth between two looks, at most
CLEAR_N = 16  # samples before a clear loser is out, whatever its rank
CLEAR_P = 0.005  # one-sided p of a paired t below which an arm has clearly lost
DIGITS = 12  # of a mean that count: sums of the same scores in two orders are equal
ROUNDING = 1e-9  # samples: a depth of 24.9999999999 is 25
BISECTIONS = 50  # halvings that find the depths which use a budget up: to rounding


@dataclass(frozen=True, slots=True)
class Block:
    """What is asked next: these rows answer the samples from `start` to `stop`, the latter excluded.

    safe: rows that answer those up to `until` as well, whatever this block brings, and may be asked ahead.
    """

    rows: tuple[int, ...]
    start: int
    stop: int
    safe: tuple[int, ...] = ()
    until: int = 0


@dataclass(frozen=True, slots=True)
class Exit:
    """Why an arm is out. after: samples it answered. behind: how far its mean lay below the leader's then."""

    after: int
    behind: float
    leader: int
    why: str


class Race:
    """Paired successive rejects, planned anew after each look from what is left to spend.

    All survivors answer the same next samples. With k of them left, the worst stops at depth C / k^1.5, where
    C is such that the whole race costs what is left, and clear losers stop at once. Arms are rows 0 to
    `arms` - 1, samples are columns in their fixed order; a value may be NaN, where there is nothing to count.
    edge: quality per row that its price makes up for, added to its mean when it is ranked. kept: rows that
    are never rejected. Set both whenever they change.
    Source: successive rejects, Audibert, Bubeck and Munos 2010, COLT, which has the power 1 (1.5 was measured
    to name better arms at the same cost); pairing and the fresh plan are ours.
    """

    growth = 1.12  # of the depth between two looks, at least
    secure = 0.5  # of the survivors go on whatever the next look says; no look puts out as many as the rest

    def __init__(self, arms: int, samples: int) -> None:
        self.values: Floats = np.full((arms, samples), np.nan)
        self.edge: Floats = np.zeros(arms)
        self.prices: Floats = np.zeros(arms)
        self.kept: set[int] = set()
        self.alive: list[int] = list(range(arms))
        self.depth = 0
        self.exits: dict[int, Exit] = {}
        self.safe: tuple[int, ...] = ()

    @classmethod
    def resumed(cls, values: Floats, depth: int) -> Race:
        """A race whose arms have all answered the first `depth` samples: values of shape (arms, samples)."""
        race = cls(*values.shape)
        race.values[:, :depth] = values[:, :depth]
        race.depth = depth
        return race

    @property
    def leader(self) -> int:
        """The surviving row of the best mean without edges; of equals the cheaper, then the earlier one."""
        return self.ranked(edge=False)[0]

    def next(self, left: float, prices: Sequence[float] | Floats) -> Block | None:
        """The next block; `None` when one arm is left, all samples are used, or nothing more can be paid.

        left: what may still be spent. prices: of one sample by row, in the same currency. Rejects, by rank,
        whoever has reached the depth that the plan gives it.
        """
        self.prices = np.asarray(prices, dtype=np.float64)
        whole = self.values.shape[1]
        while len(self.alive) > 1 and self.depth < whole:
            ranked = self.ranked()
            of_all = float(self.prices[ranked].sum())
            affordable = whole if of_all <= 0 else int(min(whole, left / of_all + ROUNDING))
            if affordable < 1:
                return None
            goal = math.ceil(self._last_depth(left, self.prices[ranked]) - ROUNDING)
            last = next((row for row in reversed(ranked) if self._may_go(row)), None)
            if last is not None and goal <= self.depth and self.depth:
                self._reject(last, f"the last of {len(ranked)}")
                continue
            return self._block(self._stop(goal, affordable, of_all, left), affordable)
        return None

    def take(self, block: Block, values: Floats) -> None:
        """What the rows of a block scored, shape (rows, stop - start)."""
        self.values[list(block.rows), block.start : block.stop] = values
        self.depth = block.stop
        if self.depth < CLEAR_N:
            return
        leader = self.leader
        for row in [row for row in self.alive if row != leader and self._may_go(row)]:
            standing = verdict(self._seen(row) + self.edge[row], self._seen(leader))
            if standing.difference < 0 and standing.p_loses < CLEAR_P:
                self._reject(row, "clearly")

    def remove(self, row: int) -> None:
        """Take an arm out for a reason of the caller's."""
        self.alive.remove(row)

    def _may_go(self, row: int) -> bool:
        return row not in self.kept and row not in self.safe

    def _block(self, stop: int, affordable: int) -> Block:
        """A block of all survivors; the better ones of them are safe until the look after the next one.

        Of two, neither is: either may be out at once, and the race over.
        """
        ranked = self.ranked()
        count = int(self.secure * len(ranked)) if self.depth and len(ranked) > 2 else 0
        self.safe = tuple(ranked[:count])
        until = min(self._nearest(stop), self.depth + affordable, self.values.shape[1])
        return Block(tuple(self.alive), self.depth, stop, self.safe, until)

    def _nearest(self, depth: int) -> int:
        """The first depth after this one at which there may be a look."""
        return max(depth + 1, math.ceil(depth * self.growth))

    def _stop(self, goal: int, affordable: int, of_all: float, left: float) -> int:
        """The depth of the next look: the planned one, but neither right here nor far away."""
        if self.depth == 0:
            first = FIRST_DEPTH if of_all <= 0 else int(left * FIRST_SHARE / of_all)
            nearest, farthest = max(1, min(FIRST_DEPTH, first)), CLEAR_N
        else:
            nearest, farthest = self._nearest(self.depth), math.ceil(self.depth * LEAP)
        stop = max(nearest, min(goal, farthest))
        return min(stop, self.depth + affordable, self.values.shape[1])

    def _last_depth(self, left: float, prices: Floats) -> float:
        """The depth at which the last of these ranks stops, when the race uses up what is left.

        prices: by rank, the best first. Rank i stops at C / i^STEEPNESS, the first with the second.
        """
        ranks = np.maximum(np.arange(1, len(prices) + 1), 2).astype(np.float64)
        shape, whole = ranks**-STEEPNESS, float(self.values.shape[1])

        def cost(scale: float) -> float:
            return float(((np.clip(scale * shape, self.depth, whole) - self.depth) * prices).sum())

        low, high = 0.0, whole / float(shape[-1])
        if cost(high) <= left:
            return whole
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if cost(middle) > left else (middle, high)
        return float(np.clip(low * shape[-1], self.depth, whole))

    def ranked(self, *, edge: bool = True) -> list[int]:
        """The surviving rows, the best first: by mean, with or without edge, then by price, then by row.

        Means are taken of differences to the field, sample by sample, so that a gap in one row is no gain.
        """
        if self.depth == 0:
            return list(self.alive)
        seen = self.values[self.alive, : self.depth]
        known = ~np.isnan(seen)
        field = np.where(known, seen, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        gaps = np.where(known, seen - field, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        made_up = self.edge[self.alive] if edge else 0.0
        # An arm that brought nothing to count is worse than any that did.
        standing = np.where(known.any(axis=1), np.round(gaps + made_up, DIGITS), -math.inf)
        return [self.alive[place] for place in np.lexsort((self.prices[self.alive], -standing))]

    def _seen(self, row: int) -> Floats:
        return self.values[row, : self.depth]

    def _reject(self, row: int, why: str) -> None:
        leader = self.leader
        standing = verdict(self._seen(row), self._seen(leader))
        self.exits[row] = Exit(self.depth, -standing.difference, leader, why)
        self.alive.remove(row)
