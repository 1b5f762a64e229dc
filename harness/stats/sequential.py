"""Evidence that may be looked at as often as one likes: bets on paired differences.

In: differences from -1 to 1 of pairs that share their samples, in the order in which they were seen, one row
per test. Out: for each test, how strongly "the mean difference is at least this margin" is refuted, at any
time, after any number of looks, exactly and for any distribution. Stopping early, going on, or looking after
every sample costs nothing. A difference per independent unit: repeats of a sample, and the samples of a
cluster, are averaged before they come here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.errors import StatsError
from harness.stats.clusters import checked_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

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
# Distance of the margins that bounds are read from: half a point.
LATTICE_STEP = 0.005
# Samples between two clearings of the margins that are already refuted.
CLEARED_EVERY = 4


class Bounds(NamedTuple):
    """The ends of intervals, one per pair, shape (pairs,)."""

    low: Floats
    high: Floats


class Bets:
    """Tests of "the mean difference is at least `margin`", any number at once, each a fair game.

    Each test starts with wealth 1 and stakes a part of it on the next difference being below the mean that
    the hypothesis states. If the hypothesis is true, no way of betting makes wealth 1 / alpha, ever, with a
    probability above alpha (Ville 1939); so wealth is evidence, and 1 / alpha of it refutes.

    margins: shape (tests,), from -1 to 1. alpha: the share of true hypotheses that may be refuted, for each
    test; with k tests of which any error counts, divide by k. horizon: the most samples that can come; it
    tunes the bets and is no part of the proof. finite: the mean in question is that over exactly the
    `horizon` samples, drawn in random order without replacement; refuted then means refuted for these, and
    evidence grows faster the nearer their end. Otherwise it is the mean of the source of the samples.

    Raises StatsError for an alpha outside (0, 1), a margin outside [-1, 1] and a horizon below 1.
    Source: Waudby-Smith and Ramdas 2024, JRSS B 86(1): betting in section 4, without replacement in
    section 5. How much is staked, see `_stakes`, is the target recalculation of Voracek and Orabona 2025,
    arXiv 2505.22422, with the reflection principle for their tail bound, a mixture of targets that share
    one wealth, and no stake above what reaches 1 / alpha; these are ours.
    """

    def __init__(self, margins: ArrayLike, *, alpha: float, horizon: int, finite: bool = False) -> None:
        self._margins = np.atleast_1d(np.asarray(margins, dtype=np.float64))
        if self._margins.ndim != 1 or not (np.abs(self._margins) <= 1).all():
            raise StatsError("margins are a list of numbers from -1 to 1, one per test")
        if horizon < 1:
            raise StatsError(f"the horizon is {horizon!r}; expected at least 1 sample")
        self._goal = -math.log(1 - checked_level(1 - alpha))
        self._horizon = horizon
        self._finite = finite
        self._aims = _aims(horizon, finite=finite)
        shares = np.ones(self._aims.shape[1])
        shares[0] = FARTHEST_WEIGHS
        self._parts = np.tile(np.log(shares / shares.sum()), (len(self._margins), 1))
        self._moments = np.full(len(self._margins), GUESSED_MOMENT * GUESS_COUNTS)
        self._counts = np.full(len(self._margins), GUESS_COUNTS)
        self._sums = np.zeros(len(self._margins))
        self.log_evidence = np.zeros(len(self._margins))
        self.samples = 0

    @property
    def refuted(self) -> NDArray[np.bool_]:
        """Which hypotheses are refuted, now and for good: once there, a test bets no more."""
        return self.log_evidence >= self._goal - ROUNDING

    def keep(self, tests: NDArray[np.bool_]) -> None:
        """Forget the tests that are not marked; `absorb` expects rows for the others only."""
        self._margins, self._sums = self._margins[tests], self._sums[tests]
        self._parts, self.log_evidence = self._parts[tests], self.log_evidence[tests]
        self._moments, self._counts = self._moments[tests], self._counts[tests]

    def absorb(self, differences: ArrayLike) -> None:
        """Bet on the next samples, in this order; in one block or in many is the same.

        differences: shape (tests, block), from -1 to 1. NaN: one of the pair has no value here; no bet is
        made, and the mean in question is that over samples where both have one. A finite set has no such
        mean that is known beforehand, so that NaN is an error there.
        Raises StatsError for other shapes and values, and for more samples than the horizon.
        """
        for column in self._checked(differences).T:
            self._bet(column)

    def _bet(self, differences: Floats) -> None:
        means = self._hypothetical_means()
        # A mean above the range has been refuted by counting alone; one below it cannot be refuted any more.
        certain = means > 1 + ROUNDING
        open_ = np.abs(means) < 1
        stakes = np.where(open_[:, None], self._stakes(np.where(open_, means, 0.0)), 0.0)
        gains = np.where(np.isnan(differences), 0.0, means - differences)
        self._parts += np.log1p(stakes * gains[:, None])
        self._parts[certain] = self._goal
        self.log_evidence = np.logaddexp.reduce(self._parts, axis=1)
        self._counts += ~np.isnan(differences)
        self._moments += np.where(np.isnan(differences), 0.0, gains**2)
        self._sums += np.nan_to_num(differences)
        self.samples += 1

    def _hypothetical_means(self) -> Floats:
        """The least mean of the next difference under the hypothesis, given those seen."""
        if not self._finite:
            return self._margins
        return (self._horizon * self._margins - self._sums) / (self._horizon - self.samples)

    def _stakes(self, means: Floats) -> Floats:
        """The part of each wealth that is staked on each unit by which the difference is below the mean.

        A Brownian motion that has to rise by z standard deviations of its remaining way crosses that height
        with probability p = 2 (1 - Phi(z)). Wealth p / alpha that turns into 1 / alpha on crossing is worth
        p / alpha all the time if it holds phi(z) / (1 - Phi(z)) per standard deviation. So z comes from the
        wealth that is there, and the stake from z: much is staked when little is left or time is short.
        """
        from scipy.special import log_ndtr, ndtri_exp

        missing = np.maximum(self._goal - self.log_evidence, 0.0)
        z = -ndtri_exp(np.minimum(-missing, -ROUNDING) - math.log(2))
        hazards = np.exp(-z * z / 2 - math.log(2 * math.pi) / 2 - log_ndtr(-z))
        wanted = hazards * np.sqrt(self._counts / self._moments)
        # Nobody goes bankrupt, and nobody stakes more than what reaches the goal if all goes well.
        limits = np.minimum(LARGEST_LOSS / (1 - means), np.expm1(np.minimum(missing, 99.0)) / (1 + means))
        return np.minimum(wanted[:, None] * self._aims[self.samples], limits[:, None])

    def _checked(self, differences: ArrayLike) -> Floats:
        array = np.asarray(differences, dtype=np.float64)
        tests = len(self._margins)
        if array.ndim != 2 or array.shape[0] != tests:
            raise StatsError(f"differences have shape {array.shape}; expected ({tests}, block)")
        if self.samples + array.shape[1] > self._horizon:
            raise StatsError(
                f"{self.samples + array.shape[1]} samples, but the horizon is {self._horizon}; "
                "state the largest number that can come"
            )
        if not ((np.abs(array) <= 1) | (np.isnan(array) & (not self._finite))).all():
            least = "" if self._finite else ", or NaN where one has no value"
            raise StatsError(f"a difference is out of range; expected numbers from -1 to 1{least}")
        return array


def confidence_bounds(differences: ArrayLike, *, level: float, horizon: int, finite: bool = False) -> Bounds:
    """Intervals for mean differences that hold at all times together: look, stop or go on at will.

    differences: shape (pairs, n), as in `Bets.absorb`, all samples so far from the first on. level: for each
    pair by itself, the probability that its mean is within its interval at every n; each end errs with half
    of the rest. For k pairs together give 1 - (1 - level) / k. horizon, finite: as in `Bets`, the same at
    every look. Ends are multiples of 0.005, rounded outwards.
    Raises StatsError where `Bets` does.
    Source: as `Bets`; a bound is the largest margin that is not refuted.
    """
    array = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    alpha = (1 - checked_level(level)) / 2
    high = _upper_ends(array, alpha=alpha, horizon=horizon, finite=finite)
    low = -_upper_ends(-array, alpha=alpha, horizon=horizon, finite=finite)
    # Adding zero turns -0.0 into 0.0.
    return Bounds(low + 0.0, high)


def asymptotic_bounds(differences: ArrayLike, *, level: float, horizon: int) -> Bounds:
    """Intervals as of `confidence_bounds`, in closed form and hundreds of times cheaper, but approximate.

    They hold at all times together for large n; below some 50 samples, and where the two of a pair seldom
    differ, they err more often than stated: for a first sorting, not for a verdict. differences: shape
    (pairs, n), NaN where one has no value. horizon: the n at which they are tightest. Without at least two
    different values nothing is known of the spread, and the interval is -1 to 1.
    Raises StatsError for a level outside (0, 1) and a horizon below 1.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Annals of Statistics 52(6), theorem 2.2
    and the choice of rho in their appendix.
    """
    array = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    alpha = 1 - checked_level(level)
    if horizon < 1:
        raise StatsError(f"the horizon is {horizon!r}; expected at least 1 sample")
    seen = ~np.isnan(array)
    n = np.maximum(seen.sum(axis=1), 1)
    values = np.where(seen, array, 0.0)
    means = values.sum(axis=1) / n
    variances = np.where(seen, (values - means[:, None]) ** 2, 0.0).sum(axis=1) / n
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / horizon
    scaled = n * rho2 + 1
    half = np.sqrt(variances * 2 * scaled / (n * n * rho2) * np.log(np.sqrt(scaled) / alpha))
    half = np.where(variances > ROUNDING**2, half, 2.0)
    return Bounds(np.maximum(means - half, -1.0), np.minimum(means + half, 1.0))


def sequential_mcnemar(only_first: ArrayLike, only_second: ArrayLike) -> Floats:
    """Evidence (e-values) that the second is right more often, from the samples on which they disagree.

    only_first: how many samples only the first answered rightly, so far; only_second: only the second; shapes
    that broadcast. If the first is at least as good, the value never reaches 1 / alpha, at any look, with a
    probability above alpha. It needs counts only; `Bets` is stronger where a horizon is known.
    Raises StatsError for negative counts.
    Source: likelihood ratio against a fair coin, mixed over all shares below one half alike: Robbins 1970,
    Annals of Mathematical Statistics 41(5); the coin is McNemar's (1947, Psychometrika 12(2)).
    """
    from scipy.special import betainc, betaln

    first, second = np.asarray(only_first, dtype=np.float64), np.asarray(only_second, dtype=np.float64)
    if (first < 0).any() or (second < 0).any():
        raise StatsError("disagreements are counts from 0 up")
    mixed = betaln(first + 1, second + 1) + np.log(betainc(first + 1, second + 1, 0.5)) + math.log(2)
    return np.exp((first + second) * math.log(2) + mixed)


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


def _upper_ends(differences: Floats, *, alpha: float, horizon: int, finite: bool) -> Floats:
    n = differences.shape[1]
    lattice = np.linspace(-1, 1, round(2 / LATTICE_STEP) + 1)
    # Margins below the mean seen are hardly ever refuted, and need not be asked to be taken as possible.
    means = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else -1.0 for row in differences])
    # 1 itself is never refuted: it is where an interval ends anyway.
    pair, place = np.nonzero(lattice[:-1] >= means[:, None])
    bets = Bets(lattice[place], alpha=alpha, horizon=horizon, finite=finite)
    for start in range(0, n, CLEARED_EVERY):
        bets.absorb(differences[pair, start : start + CLEARED_EVERY])
        left = ~bets.refuted
        bets.keep(left)
        pair, place = pair[left], place[left]
    # The largest margin that stands is possible, and so is everything up to the next one.
    ends = np.array([np.searchsorted(lattice, mean) - 1 for mean in means])
    np.maximum.at(ends, pair, place)
    return lattice[np.minimum(ends + 1, len(lattice) - 1)]
