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
from harness.stats.wealth import ROUNDING, Wealth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.stats.clusters import Floats

# Distance of the margins that bounds are read from: half a point.
LATTICE_STEP = 0.005
# Samples between two clearings of the margins that are already refuted.
CLEARED_EVERY = 4


class Bounds(NamedTuple):
    """The ends of intervals, one per pair, shape (pairs,)."""

    low: Floats
    high: Floats


class Bets:
    """Tests of "the mean difference is at least `margin`", any number at once.

    margins: shape (tests,), from -1 to 1. alpha: the share of true hypotheses that may be refuted, for each
    test by itself; with k tests of which any error counts, divide by k. horizon: the most samples that can
    come. finite: the mean in question is that over exactly the `horizon` samples, drawn in random order
    without replacement; what is refuted is refuted for these, and evidence grows faster the nearer their end.
    Otherwise it is the mean of the source of the samples. alpha and horizon tune the bets, so the same have
    to hold from the first sample to the last.

    Raises StatsError for an alpha outside (0, 1), a margin outside [-1, 1] and a horizon below 1.
    Source: as `wealth.Wealth`.
    """

    def __init__(self, margins: ArrayLike, *, alpha: float, horizon: int, finite: bool = False) -> None:
        self._margins = np.atleast_1d(np.asarray(margins, dtype=np.float64))
        if self._margins.ndim != 1 or not (np.abs(self._margins) <= 1).all():
            raise StatsError("margins are a list of numbers from -1 to 1, one per test")
        self._wealth = Wealth(len(self._margins), alpha=alpha, horizon=horizon, finite=finite)
        self._sums = np.zeros(len(self._margins))
        self._horizon = horizon
        self._finite = finite

    @property
    def log_evidence(self) -> Floats:
        """Logarithm of the e-value against each hypothesis, shape (tests,); 0 is no evidence."""
        return self._wealth.log_evidence

    @property
    def refuted(self) -> NDArray[np.bool_]:
        """Which hypotheses are refuted, now and for good."""
        return self._wealth.refuted

    def keep(self, tests: NDArray[np.bool_]) -> None:
        """Forget the tests that are not marked; `absorb` expects rows for the others only."""
        self._margins, self._sums = self._margins[tests], self._sums[tests]
        self._wealth.keep(tests)

    def absorb(self, differences: ArrayLike) -> None:
        """Bet on the next samples, in this order; in one block or in many is the same.

        differences: shape (tests, block), from -1 to 1. NaN: one of the pair has no value here; no bet is
        made, and the mean in question is that over samples where both have one. A finite set has no such
        mean that is known beforehand, so that NaN is an error there.
        Raises StatsError for other shapes and values, and for more samples than the horizon.
        """
        for column in self._checked(differences).T:
            self._wealth.bet(column, self._means())
            self._sums += np.nan_to_num(column)

    def _means(self) -> Floats:
        """The least mean of the next difference under the hypothesis, given those seen."""
        if not self._finite:
            return self._margins
        return (self._horizon * self._margins - self._sums) / (self._horizon - self._wealth.samples)

    def _checked(self, differences: ArrayLike) -> Floats:
        array = np.asarray(differences, dtype=np.float64)
        tests = len(self._margins)
        if array.ndim != 2 or array.shape[0] != tests:
            raise StatsError(f"differences have shape {array.shape}; expected ({tests}, block)")
        samples = self._wealth.samples + array.shape[1]
        if samples > self._horizon:
            raise StatsError(
                f"{samples} samples, but the horizon is {self._horizon}; "
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
    """Logarithms of e-values that the second is right more often, from the samples on which they disagree.

    only_first: how many samples only the first answered rightly, so far; only_second: only the second; shapes
    that broadcast. If the first is at least as good, the e-value never reaches 1 / alpha, at any look, with a
    probability above alpha. It needs counts only; `Bets` is stronger where a horizon is known.
    Raises StatsError for negative counts.
    Source: likelihood ratio against a fair coin, mixed over all shares below one half alike: Robbins 1970,
    Annals of Mathematical Statistics 41(5); the coin is McNemar's (1947, Psychometrika 12(2)).
    """
    from scipy.special import betainc, betaln

    first, second = np.asarray(only_first, dtype=np.float64), np.asarray(only_second, dtype=np.float64)
    if (first < 0).any() or (second < 0).any():
        raise StatsError("disagreements are counts from 0 up")
    below_half = betainc(first + 1, second + 1, 0.5)
    # A share too small for a float is evidence for the first: rounding it to none is on the safe side.
    log_share = np.log(below_half, out=np.full_like(below_half, -np.inf), where=below_half > 0)
    return betaln(first + 1, second + 1) + log_share + (first + second + 1) * math.log(2)


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
