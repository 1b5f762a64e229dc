"""The game behind every statement that may be looked at as often as one likes: bets against a hypothesis.

In: differences from -1 to 1, sample by sample, and the least mean that each hypothesis gives them beforehand.
Out: the wealth of somebody who bets against it. If the hypothesis is true, no way of betting makes wealth
1 / alpha, ever, with a probability above alpha (Ville 1939); so wealth is evidence, and 1 / alpha of it
refutes. Which differences and which hypotheses is the business of `sequential` and `contenders`.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.stats.clusters import checked_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.stats.clusters import Floats

# The most of its wealth that a bet can lose; all of it would be lost for good.
LARGEST_LOSS = 0.9
# The guess at the second moment of a difference, and for how many samples it counts.
GUESSED_MOMENT, GUESS_COUNTS = 0.25, 4.0
# The nearest target of the mixture: before some 8 samples nothing can be told anyway.
NEAREST_TARGET = 8
# The farthest target has a double share of the wealth: it decides who is told apart at the end.
FARTHEST_WEIGHS = 2.0
# Evidence above the target but for rounding has reached it.
ROUNDING = 1e-9


class Wealth:
    """The wealth of many bettors, one per hypothesis, each a fair game or worse if its hypothesis is true.

    tests: how many hypotheses. alpha: the share of true hypotheses that may be refuted, for each by itself.
    horizon: the most samples that can come; it tunes the bets and is no part of the proof. finite: the
    samples are drawn without replacement from just `horizon` of them, so that the mean of the rest tells ever
    more. Raises StatsError for an alpha outside (0, 1) and a horizon below 1.
    Source: Waudby-Smith and Ramdas 2024, JRSS B 86(1): betting in section 4, without replacement in
    section 5. How much is staked, see `_stakes`, is the target recalculation of Voracek and Orabona 2025,
    arXiv 2505.22422; the reflection principle in place of their tail bound, a mixture of targets that share
    one wealth, and no stake above what reaches 1 / alpha are ours.
    """

    def __init__(self, tests: int, *, alpha: float, horizon: int, finite: bool) -> None:
        checked_level(1 - alpha)
        if horizon < 1:
            raise StatsError(f"the horizon is {horizon!r}; expected at least 1 sample")
        # The logarithm of the wealth that refutes.
        self.goal = -math.log(alpha)
        self._aims = _aims(horizon, finite=finite)
        shares = np.ones(self._aims.shape[1])
        shares[0] = FARTHEST_WEIGHS
        self._parts = np.tile(np.log(shares / shares.sum()), (tests, 1))
        self._moments = np.full(tests, GUESSED_MOMENT * GUESS_COUNTS)
        self._counts = np.full(tests, GUESS_COUNTS)
        self.log_evidence = np.zeros(tests)
        self.samples = 0

    @property
    def refuted(self) -> NDArray[np.bool_]:
        """Which hypotheses are refuted, now and for good: once there, nothing is staked any more."""
        return self.log_evidence >= self.goal - ROUNDING

    def keep(self, tests: NDArray[np.bool_]) -> None:
        """Forget the tests that are not marked."""
        self._parts, self.log_evidence = self._parts[tests], self.log_evidence[tests]
        self._moments, self._counts = self._moments[tests], self._counts[tests]

    def branch(self, alpha: float) -> Wealth:
        """A copy that goes on by itself, with what was won so far and another goal."""
        other = copy.deepcopy(self)
        other.goal = -math.log(alpha)
        return other

    def bet(self, differences: Floats, means: Floats) -> None:
        """Bet on one sample: that each difference is below its mean under the hypothesis.

        differences: shape (tests,), from -1 to 1; NaN: no bet. means: same shape, the least expected
        difference if the hypothesis is true, given all that was seen before. Above 1 it is impossible, and
        refutes by itself; at 1 and at or below -1 there is nothing to win.
        """
        missing = np.isnan(differences)
        certain = means > 1 + ROUNDING
        open_ = np.abs(means) < 1
        stakes = np.where(open_[:, None], self._stakes(np.where(open_, means, 0.0)), 0.0)
        gains = np.where(missing, 0.0, means - differences)
        self._parts += np.log1p(stakes * gains[:, None])
        self._parts[certain] = self.goal
        self.log_evidence = np.logaddexp.reduce(self._parts, axis=1)
        self._counts += ~missing
        self._moments += gains**2
        self.samples += 1

    def _stakes(self, means: Floats) -> Floats:
        """The part of each wealth that is staked on each unit by which the difference is below the mean.

        A Brownian motion that has to rise by z standard deviations of its remaining way crosses that height
        with probability p = 2 (1 - Phi(z)). Wealth p / alpha that turns into 1 / alpha on crossing is worth
        p / alpha all the time if it holds phi(z) / (1 - Phi(z)) per standard deviation. So z comes from the
        wealth that is there, and the stake from z: much is staked when little is left or time is short.
        """
        from scipy.special import log_ndtr, ndtri_exp

        missing = np.maximum(self.goal - self.log_evidence, 0.0)
        z = -ndtri_exp(np.minimum(-missing, -ROUNDING) - math.log(2))
        hazards = np.exp(-z * z / 2 - math.log(2 * math.pi) / 2 - log_ndtr(-z))
        wanted = hazards * np.sqrt(self._counts / self._moments)
        # Nobody goes bankrupt, and nobody stakes more than what reaches the goal if all goes well.
        limits = np.minimum(LARGEST_LOSS / (1 - means), np.expm1(np.minimum(missing, 99.0)) / (1 + means))
        return np.minimum(wanted[:, None] * self._aims[self.samples], limits[:, None])


def _aims(horizon: int, *, finite: bool) -> Floats:
    """For each sample and target, the stake per hazard and standard deviation, shape (horizon, targets).

    Time runs as information does: samples, or without replacement samples / (1 - share seen), since the mean
    of the rest is ever more telling. Targets lie at the end of the time that counts, and at halves of it. A
    target that is passed becomes the farthest one.
    """
    seen = np.arange(horizon)
    scale = horizon / (horizon - seen) if finite else np.ones(horizon)
    time = seen * scale
    # Two thirds of a finite set; what is not clear by then is seldom worth a stake that waits longer.
    end = 2.0 * horizon if finite else float(horizon)
    targets = end / 2.0 ** np.arange(max(1, int(math.log2(max(2.0, end / NEAREST_TARGET))) + 1))
    remaining = np.where(targets > time[:, None], targets - time[:, None], end - time[:, None])
    # After the end of a finite set's time the next sample is always the last chance.
    return scale[:, None] / np.sqrt(np.maximum(remaining, scale[:, None] ** 2))
