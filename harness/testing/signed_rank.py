"""Wilcoxon's signed-rank test, one pair at a time: as SciPy has it, without ranking everything anew.

In: paired differences, one after the other. Out: after each, the p-value that `scipy.stats.wilcoxon` gives
for all of them so far with `alternative="less"` and `zero_method="zsplit"`; Optuna's pruner asks after every
answer.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from functools import cache

MOST_PERMUTED = 13  # pairs with ties up to which SciPy counts all signs
MOST_EXACT = 50  # pairs without ties or zeros up to which it uses the exact distribution


class SignedRank:
    """The test of "differences tend to be below zero" on the differences added so far.

    Source: Wilcoxon 1945, Biometrics Bulletin 1(6); zeros are ranked and their ranks split evenly, as in
    SciPy 1.17, whose choice between permutations, exact distribution and normal approximation this follows.
    """

    def __init__(self) -> None:
        self._sizes: list[float] = []
        self._counts: list[int] = []
        self._positive: list[int] = []

    def add(self, difference: float) -> None:
        """Take one more difference."""
        size = abs(difference)
        place = bisect_left(self._sizes, size)
        if place == len(self._sizes) or self._sizes[place] != size:
            self._sizes.insert(place, size)
            self._counts.insert(place, 0)
            self._positive.insert(place, 0)
        self._counts[place] += 1
        self._positive[place] += difference > 0

    def p_less(self) -> float:
        """One-sided p-value: small when the differences are clearly below zero. Needs one difference."""
        zeros = self._counts[0] if self._sizes[0] == 0.0 else 0
        n = sum(self._counts)
        tied = zeros > 0 or len(self._counts) < n
        if not tied and n <= MOST_EXACT:
            return _exact(n, round(self._twice_rank_sum(zeros) / 2))
        if tied and n <= MOST_PERMUTED:
            return _permuted(tuple(self._counts), zeros, self._twice_rank_sum(zeros))
        return self._normal(n, self._twice_rank_sum(zeros) / 2)

    def _twice_rank_sum(self, zeros: int) -> int:
        """Twice the sum of the ranks of positive differences, half of the zeros' ranks included."""
        before, twice = 0, 0
        for count, positive in zip(self._counts, self._positive, strict=True):
            twice += positive * (2 * before + count + 1)
            before += count
        return twice + zeros * (zeros + 1) // 2

    def _normal(self, n: int, rank_sum: float) -> float:
        ties = sum(count**3 - count for count in self._counts)
        variance = (n * (n + 1) * (2 * n + 1) - ties / 2) / 24
        z = (rank_sum - n * (n + 1) / 4) / math.sqrt(variance)
        return 0.5 * math.erfc(-z / math.sqrt(2))


def _exact(n: int, rank_sum: int) -> float:
    """The chance of this rank sum or less when every sign is a fair coin, without ties."""
    return sum(_sign_patterns(n)[: rank_sum + 1]) / 2**n


@cache
def _sign_patterns(n: int) -> tuple[int, ...]:
    """How many of the 2^n sign patterns give each rank sum, from 0 to n (n + 1) / 2."""
    ways = Counter({0: 1})
    for rank in range(1, n + 1):
        ways += Counter({total + rank: count for total, count in ways.items()})
    return tuple(ways[total] for total in range(n * (n + 1) // 2 + 1))


@cache
def _permuted(counts: tuple[int, ...], zeros: int, twice_rank_sum: int) -> float:
    """The same with ties, over all signs of the differences that are not zero. counts: of each size."""
    before, ways = 0, Counter({zeros * (zeros + 1) // 2: 1})
    for place, count in enumerate(counts):
        if not (zeros and place == 0):
            for _ in range(count):
                step = 2 * before + count + 1
                ways += Counter({total + step: number for total, number in ways.items()})
        before += count
    return sum(number for total, number in ways.items() if total <= twice_rank_sum) / sum(ways.values())
