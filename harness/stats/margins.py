"""Is one worse than another by more than a margin: tests for gates, which stop people's work when they err.

In: two columns of scores from 0 to 1, row by row of the same sample. Out: p-values, bounds and power that
belong together. Where `paired` aims at the stated error on average, this aims never to be above it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.stats.clusters import among, checked, checked_level, clustered, standard_error
from harness.stats.paired import exceeding, paired_difference
from harness.stats.unconditional import EXACT_MOST, exact_p, exact_power

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from harness.records import Estimate
    from harness.stats.clusters import Floats, Groups
    from harness.stats.paired import Method
    from harness.stats.strata import Strata

METHODS: tuple[Method, Method] = ("auto", "t")

# Above it the exact chance takes seconds, and differs from that of t by less than a point.
EXACT_POWER_MOST = 500


def margin_p(a: ArrayLike, b: ArrayLike, threshold: float, *, seed: int, groups: Groups = None) -> float:
    """One-sided p-value of "the mean of a - b is at most `threshold`": small when it exceeds it.

    Right and wrong answers without clusters: exact, up to 2,000 samples. Else the larger one of bootstrap
    and t, each of which is too sure of itself on some data: the one where few clusters differ, the other
    where differences lean to one side. threshold, groups, seed and errors: as for `paired.exceeds_p`.
    """
    if not -1 < threshold < 1:
        raise StatsError(f"the threshold is {threshold!r}; expected a difference between -1 and 1")
    return margin_test(a, b, seed=seed, groups=groups)(threshold)


def margin_test(a: ArrayLike, b: ArrayLike, *, seed: int, groups: Groups = None) -> Callable[[float], float]:
    """`margin_p` by threshold: what is resampled for one is there for all. Errors: as there."""
    first, second = checked(a, what="scores of a"), checked(b, what="scores of b")
    counts = _counts(first, second, groups)
    if counts is not None:
        return lambda threshold: exact_p(*counts, n=len(first), threshold=threshold)
    default, by_t = (exceeding(first, second, seed=seed, groups=groups, method=m) for m in METHODS)
    return lambda threshold: max(default(threshold), by_t(threshold))


def margin_bounds(a: ArrayLike, b: ArrayLike, *, level: float, seed: int, groups: Groups = None) -> Estimate:
    """The mean of a - b with two bounds that each hold with probability `level` by itself.

    Those of `paired.paired_difference` with one side; for graded or clustered scores the wider ones of
    bootstrap and t. level: above 0.5. Errors: as there.
    """
    first, second = checked(a, what="scores of a"), checked(b, what="scores of b")
    estimate = paired_difference(first, second, level=level, seed=seed, groups=groups, sides=1)
    if _is_right_or_wrong(first, second, groups):
        return estimate
    by_t = paired_difference(first, second, level=level, seed=seed, groups=groups, sides=1, method="t")
    return replace(estimate, low=min(estimate.low, by_t.low), high=max(estimate.high, by_t.high))


def margin_power(
    difference: float,
    threshold: float,
    *,
    n: int,
    sd: float,
    level: float,
    clusters: int | None = None,
    right_or_wrong: bool = False,
) -> float:
    """How likely `margin_p` is below 1 - level when the mean of a - b really is `difference`.

    sd: standard deviation of the paired differences; with clusters, that of as many independent samples with
    the same standard error. clusters: how many, `None`: every sample stands alone. right_or_wrong: scores are
    0 or 1 and stand alone, and sd is `power.disagreement_sd` of the share on which they disagree.
    Exact for right and wrong answers up to 500 samples; else that of the t test, of which the bootstrap
    takes a little. Raises StatsError for fewer than two clusters, a level outside (0, 1) and an impossible
    sd. Source: `unconditional.exact_power`; noncentral t: Johnson and Welch 1940, Biometrika 31(3/4).
    """
    count = n if clusters is None else clusters
    if count < 2:
        raise StatsError(f"{count} independent samples or clusters; at least 2 are needed to tell two apart")
    if right_or_wrong and clusters is None and n <= EXACT_POWER_MOST:
        disagree = min(1.0, max(abs(difference), sd * sd + difference * difference))
        return exact_power(n=n, disagree=disagree, difference=difference, threshold=threshold, level=level)
    if sd <= 0:
        return float(difference > threshold)
    from scipy.special import nctdtr, stdtrit

    needed = float(stdtrit(count - 1, checked_level(level)))
    return 1 - float(nctdtr(count - 1, (difference - threshold) * math.sqrt(n) / sd, needed))


def paired_spread(a: ArrayLike, b: ArrayLike, groups: Groups = None, strata: Strata | None = None) -> float:
    """The standard deviation of a - b that `margin_power` and `power.pairs_needed` ask for; 0: none was seen.

    Where samples are alike in clusters, or count by the weights of strata, it is that of as many independent
    samples whose plain mean has the same standard error.
    Raises StatsError for fewer than two clusters, in any of the strata, and scores outside [0, 1].
    Source: variances of strata add up with squared weights, Cochran 1977, Sampling Techniques, section 5.3.
    """
    apart = checked(a, what="scores of a") - checked(b, what="scores of b")
    if strata is None:
        return standard_error(clustered(apart, groups)) * math.sqrt(len(apart))
    errors = [
        weight * standard_error(clustered(apart[marks], among(groups, marks)))
        for weight, marks in zip(strata.weights, strata.marks(), strict=True)
    ]
    return math.hypot(*errors) * math.sqrt(len(apart))


def _counts(first: Floats, second: Floats, groups: Groups) -> tuple[int, int] | None:
    """How many samples only one of the two has right; `None` where the exact test is not for these data."""
    if len(first) > EXACT_MOST or not _is_right_or_wrong(first, second, groups):
        return None
    return int(np.count_nonzero(first > second)), int(np.count_nonzero(second > first))


def _is_right_or_wrong(first: Floats, second: Floats, groups: Groups) -> bool:
    both = np.concatenate([first, second])
    return clustered(first, groups).single and bool(np.isin(both, (0.0, 1.0)).all())
