"""Whole studies with known truth, in memory: what advice promises is measured on them.

In: true qualities, prices and latencies of settings, and a generator of random numbers. Out: the finalists
that a search of them would confirm. Sends nothing; the same generator gives the same study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from harness.advice.finalist import DEFAULT, Finalist
from harness.testing.finalists import a_finalist

Floats = NDArray[np.float64]
Tail = Callable[[np.random.Generator, int], Floats]
# Settings agree on what is hard: the correlation of what two of them find on one sample.
ALIKE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A search of settings of these true qualities, and a confirmation of the best of them.

    qualities: from 0 to 1, ends excluded; number 0 is the default. n_search, n_confirm: samples. finalists:
    that are confirmed besides the default. prices: USD for 1,000 calls, `None`: 1 for each. latency: draws
    seconds of so many calls, for each of the settings alike; `None`: half a second.
    """

    qualities: Sequence[float]
    n_search: int
    n_confirm: int
    alike: float = ALIKE
    finalists: int = 3
    prices: Sequence[float] | None = None
    latency: Tail | None = None

    def draw(self, rng: np.random.Generator) -> list[Finalist]:
        """The finalists of one such study: the best of the search split by their means, and the default."""
        searched, confirmed = self._answers(rng, self.n_search), self._answers(rng, self.n_confirm)
        order = np.argsort(-searched.mean(axis=1), kind="stable")[: self.finalists].tolist()
        numbers = order if DEFAULT in order else [*order, DEFAULT]
        return [
            a_finalist(
                number,
                confirm_values=confirmed[number],
                search_values=searched[number],
                usd_per_1k_calls=1.0 if self.prices is None else self.prices[number],
                latencies_s=[0.5] if self.latency is None else self.latency(rng, self.n_confirm),
                among=len(numbers),
                samples=self.n_search,
            )
            for number in numbers
        ]

    def _answers(self, rng: np.random.Generator, n: int) -> Floats:
        """Right (1) and wrong (0), shape (settings, n).

        A setting is right where what is hard for all and what is hard for it alone stay below its level: the
        model of one common factor, whose means are the true qualities exactly.
        """
        levels = np.array([NormalDist().inv_cdf(quality) for quality in self.qualities])
        common = math.sqrt(self.alike) * rng.standard_normal(n)
        own = math.sqrt(1 - self.alike) * rng.standard_normal((len(levels), n))
        return (common + own < levels[:, None]).astype(np.float64)


def log_normal(p95_s: float, spread: float = 0.5) -> Tail:
    """Latencies whose logarithm is normal with this standard deviation, 95 % of them below `p95_s`."""
    middle = math.log(p95_s) - spread * NormalDist().inv_cdf(0.95)
    return lambda rng, n: np.exp(middle + spread * rng.standard_normal(n))


def log_student(p95_s: float, spread: float = 0.3) -> Tail:
    """As `log_normal`, with the heavier tails of Student's t of 3 degrees of freedom."""
    middle = math.log(p95_s) - spread * 2.3533634348018264  # its 95th percentile
    return lambda rng, n: np.exp(middle + spread * rng.standard_t(3, n))


def pareto(p95_s: float, power: float = 1.5) -> Tail:
    """Latencies of which a share x^-power is x times the smallest or more: the mean has no error bar."""
    least = p95_s * 0.05 ** (1 / power)
    return lambda rng, n: least * (1 + rng.pareto(power, n))


def stalling(p95_s: float, share: float = 0.08, times: float = 5.0) -> Tail:
    """Steady latencies of which a share stalls and takes some times as long.

    share: above 0.05, so that the 95th percentile is one of those that stall.
    """
    stalled = NormalDist(0.0, 0.25).inv_cdf(1 - 0.05 / share)
    middle = math.log(p95_s / times) - stalled

    def draw(rng: np.random.Generator, n: int) -> Floats:
        usual = np.exp(middle + 0.25 * rng.standard_normal(n))
        return np.where(rng.random(n) < share, times * usual, usual)

    return draw
