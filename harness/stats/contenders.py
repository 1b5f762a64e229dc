"""Which of many may be the best, at any look: one error for all of them together, however many they are.

In: scores from 0 to 1 of many arms on the same samples, block by block. Out: which arms may still be the
best, and whether one of them is known to be good enough. It decides nothing about who is asked next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.stats.clusters import checked_level
from harness.stats.wealth import Wealth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.stats.clusters import Floats

# The part of the error that is for putting arms out; the rest is for naming one that is good enough. Arms far
# behind are many and cheap to put out; replays on real matrices are flat from 0.5 to 0.8.
PUT_OUT = 2 / 3
# Leaders before this sample lead by chance, and each one that is named makes it dearer to name the next.
NAMED_FROM = 16
# Leaders that are followed; each costs as much computing as putting out does.
MOST_NAMED = 8


class Contenders:
    """Arms of which one is the best, and what is known about them at any time.

    For each arm the hypothesis "this is the best" is tested by bets on its difference to the leader of the
    moment, who changes but is known before each sample: the best is behind nobody, so that whoever leads,
    its bettor plays a fair game or worse. Only one hypothesis has to survive, that of the true best, so that
    each may be refuted at the full error: no division by the number of arms.

    arms: how many; `left` holds the numbers of those that may still be the best, in order. level: the
    probability that, at all looks together, the best is among these, and that what is `good_enough` is.
    tolerance: how far behind the best is good enough, from 0 (nobody but the best) to 1. horizon, finite: as
    in `sequential.Bets`; with finite, the best is the best on exactly these samples.
    Raises StatsError for fewer than 1 arm, a level outside (0, 1) and a tolerance outside [0, 1].
    Source: bets as in `wealth.Wealth`. A test at the full level for each, because only one hypothesis
    is true: the partitioning principle of Finner and Strassburger 2002, Annals of Statistics 30(4), after
    Hsu 1984, ibid. 12(3). The leader of the moment as opponent, and the branches of `good_enough`, are ours.
    """

    def __init__(
        self, arms: int, *, level: float, tolerance: float, horizon: int, finite: bool = False
    ) -> None:
        if arms < 1 or not 0 <= tolerance <= 1:
            raise StatsError(f"{arms!r} arms, tolerance {tolerance!r}; expected at least 1, and 0 to 1")
        self._error = 1 - checked_level(level)
        part = PUT_OUT if tolerance > 0 else 1.0
        self._wealth = Wealth(arms, alpha=self._error * part, horizon=horizon, finite=finite)
        self._named: dict[int, Wealth] = {}
        self._tolerance = tolerance
        self._horizon = horizon
        self._finite = finite
        self._sums = np.zeros(arms)
        self._arms = arms
        self.left: NDArray[np.intp] = np.arange(arms)

    @property
    def good_enough(self) -> int | None:
        """The first arm known to be no more than `tolerance` behind the best; `None`: none is known yet.

        That is the only one left, or a former or present leader of whom it is refuted, for each other arm
        that may be the best, that this one leads it by more than the tolerance.
        """
        if len(self.left) == 1:
            return int(self.left[0])
        for arm, wealth in self._named.items():
            others = self.left != arm
            if not others.all() and wealth.refuted[others].all():
                return arm
        return None

    def absorb(self, scores: ArrayLike) -> None:
        """Bet on the next samples, in this order; in one block or in many is the same.

        scores: shape (arms, block), from 0 to 1. Rows of arms that are no longer `left` are not looked at.
        Raises StatsError for other shapes and values, and for more samples than the horizon.
        """
        for column in self._checked(scores).T:
            if len(self.left) > 1:
                self._bet(column[self.left])

    def _bet(self, column: Floats) -> None:
        leader, rivals = self._rivals()
        self._name(int(self.left[leader]))
        differences = column - column[rivals]
        ahead = self._sums - self._sums[rivals]
        means = self._means(ahead, 0.0)
        for arm, wealth in self._named.items():
            # Where it is the opponent, the hypothesis is that a best arm leads it by the tolerance.
            margins = np.where(self.left[rivals] == arm, self._means(ahead, self._tolerance), means)
            wealth.bet(differences, margins)
        self._wealth.bet(differences, means)
        self._sums += column
        stay = ~self._wealth.refuted
        if not stay.all():
            self.left, self._sums = self.left[stay], self._sums[stay]
            for wealth in (self._wealth, *self._named.values()):
                wealth.keep(stay)

    def _rivals(self) -> tuple[int, NDArray[np.intp]]:
        """The leader, and the opponent of each: the leader, and for him the second. Ties: the first."""
        leader = int(np.argmax(self._sums))
        rivals = np.full(len(self._sums), leader)
        others = self._sums.copy()
        others[leader] = -np.inf
        rivals[leader] = np.argmax(others)
        return leader, rivals

    def _name(self, arm: int) -> None:
        """From now on also ask whether this leader is good enough, with a part of the error of its own."""
        known = len(self._named)
        if self._tolerance > 0 and self._wealth.samples >= NAMED_FROM and known < MOST_NAMED:
            # 1/2, 1/6, 1/12, ... of what is left: all of them add up to less than 1.
            share = (1 - PUT_OUT) / ((known + 1) * (known + 2))
            if arm not in self._named:
                self._named[arm] = self._wealth.branch(self._error * share)

    def _means(self, ahead: Floats, margin: float) -> Floats:
        """The least mean of the next differences if an arm leads its opponent by the margin or more."""
        if not self._finite:
            return np.full(len(ahead), margin)
        return (self._horizon * margin - ahead) / (self._horizon - self._wealth.samples)

    def _checked(self, scores: ArrayLike) -> Floats:
        array = np.asarray(scores, dtype=np.float64)
        if array.ndim != 2 or array.shape[0] != self._arms:
            raise StatsError(f"scores have shape {array.shape}; expected ({self._arms}, block), all arms")
        samples = self._wealth.samples + array.shape[1]
        if samples > self._horizon:
            raise StatsError(f"{samples} samples, but the horizon is {self._horizon}")
        asked = array[self.left]
        # NaN fails both comparisons.
        if not ((asked >= 0) & (asked <= 1)).all():
            raise StatsError("a score is missing or out of range; expected numbers from 0 to 1")
        return array
