"""What a pass rate says when its judge errs: corrected by what it said of answers of known quality.

In: counts of what the judge passed, among answers of unknown and of known quality. Out: the rate that a judge
without error would find, with an interval that carries the judge's own error, and whether the judge knows
anything at all.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.errors import StatsError
from harness.records import Estimate
from harness.stats.clusters import checked_level

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Passed(NamedTuple):
    """How many of n answers a judge passed."""

    passed: int
    n: int


class Effective(NamedTuple):
    """The same of answers that are alike: as many independent ones as tell as much, no whole numbers."""

    passed: float
    n: float


def corrected_rate(unknown: Passed | Effective, good: Passed, bad: Passed, level: float) -> Estimate:
    """The share of good answers among the unknown ones, from 0 to 1, with a two-sided interval.

    (rate + specificity - 1) / (sensitivity + specificity - 1), cut to [0, 1]. good, bad: of answers that a
    person called good or bad, labelled in the same way as the unknown ones would be; sensitivity is the
    share of the good that pass, specificity of the bad that do not. With fewer than 30 of each the interval
    is wider than it need be. `n` of the result counts the unknown answers.
    Raises StatsError for impossible counts, a level outside (0, 1), and a judge that passes bad answers as
    often as good ones: no rate can be told from it.
    Source: Rogan and Gladen 1978, American Journal of Epidemiology 107(1); interval: Lang and Reiczigel 2014,
    Preventive Veterinary Medicine 113(1), section 2.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + checked_level(level)) / 2))
    for counts in (unknown, good, bad):
        _check(counts)
    gap = good.passed / good.n - bad.passed / bad.n
    rate, passes_good, passes_bad = (
        (counts.passed + more / 2) / (counts.n + more)
        for counts, more in ((unknown, z * z), (good, 2), (bad, 2))
    )
    if gap <= 0 or passes_good <= passes_bad:
        raise StatsError(
            f"the judge passed {good.passed} of {good.n} good and {bad.passed} of {bad.n} bad answers; "
            "a rate cannot be told from a judge that does not tell them apart"
        )
    value = min(1.0, max(0.0, (unknown.passed / unknown.n - bad.passed / bad.n) / gap))
    shifted = (rate - passes_bad) / (passes_good - passes_bad)
    of_good = passes_good * (1 - passes_good) / (good.n + 2)
    of_bad = passes_bad * (1 - passes_bad) / (bad.n + 2)
    of_rate = rate * (1 - rate) / (unknown.n + z * z)
    variance = of_rate + shifted**2 * of_good + (1 - shifted) ** 2 * of_bad
    half = z * math.sqrt(variance) / (passes_good - passes_bad)
    centre = shifted + 2 * z * z * (shifted * of_good - (1 - shifted) * of_bad)
    low, high = (min(1.0, max(0.0, end)) for end in (centre - half, centre + half))
    return Estimate(
        value=value,
        low=min(value, low),
        high=max(value, high),
        level=level,
        n=round(unknown.n),
        clusters=round(unknown.n),
        method="Rogan-Gladen",
    )


def kappa(good: Passed, bad: Passed) -> float:
    """Agreement of judge and people beyond chance, from -1 to 1; 0 is chance, 1 is perfect.

    (observed - expected) / (1 - expected), with a pass as the judge's word for good. Raises StatsError for
    impossible counts.
    Source: Cohen 1960, Educational and Psychological Measurement 20(1).
    """
    _check(good)
    _check(bad)
    n = good.n + bad.n
    observed = (good.passed + bad.n - bad.passed) / n
    passing, truly_good = (good.passed + bad.passed) / n, good.n / n
    expected = passing * truly_good + (1 - passing) * (1 - truly_good)
    return (observed - expected) / (1 - expected)


def verbosity_bias(passed: ArrayLike, good: ArrayLike, lengths: ArrayLike, level: float) -> Estimate:
    """How much more the longer half of answers is passed beyond its merit than the shorter half, -1 to 1.

    passed, good: what the judge and what people said, true or false, one per answer. lengths: of the answers,
    in any unit; of those as long as the middle one, none counts. Mean of (passed - good) of the longer half
    less that of the shorter one: merit that comes with length is taken out. Normal interval with the
    variances of both halves, to which half a squared error is added, so that no interval has width zero.
    Raises StatsError when all answers are equally long.
    Source: after the verbosity bias of Zheng et al. 2023, arXiv 2306.05685, section 3.3; the estimate is
    ours.
    """
    from scipy.special import ndtri

    errors = np.asarray(passed, dtype=np.float64) - np.asarray(good, dtype=np.float64)
    sizes = np.asarray(lengths, dtype=np.float64)
    middle = float(np.median(sizes))
    halves = [errors[sizes > middle], errors[sizes < middle]]
    if not all(len(half) for half in halves):
        raise StatsError(f"{len(errors)} answers are of about one length; expected longer and shorter ones")
    longer, shorter = (float(half.mean()) for half in halves)
    variance = sum((float(((half - half.mean()) ** 2).sum()) + 0.5) / len(half) ** 2 for half in halves)
    wide = float(ndtri((1 + checked_level(level)) / 2)) * math.sqrt(variance)
    value, n = longer - shorter, len(errors)
    return Estimate(
        value=value,
        low=max(-1.0, value - wide),
        high=min(1.0, value + wide),
        level=level,
        n=n,
        clusters=n,
        method="normal",
    )


def chance_p(good: Passed, bad: Passed) -> float:
    """Exact one-sided p-value of "the judge passes bad answers as readily as good ones".

    Small when the judge tells them apart; a judge for whom it is not small knows nothing that could be
    used. Raises StatsError for impossible counts.
    Source: Fisher 1935, The Design of Experiments, chapter 2.
    """
    from scipy.special import gammaln

    _check(good)
    _check(bad)
    passed, n = good.passed + bad.passed, good.n + bad.n

    def log_ways(total: int, chosen: float | np.ndarray) -> float | np.ndarray:
        return gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1)

    as_many_or_more = np.arange(good.passed, min(good.n, passed) + 1)
    logs = log_ways(good.n, as_many_or_more) + log_ways(bad.n, passed - as_many_or_more)
    return min(1.0, float(np.exp(logs - log_ways(n, passed)).sum()))


def labels_needed(good: Passed, bad: Passed, level: float, power: float) -> int | None:
    """About how many labels, of good and bad answers as here, tell such a judge from chance by `chance_p`.

    level: 1 minus the error rate of that test; power: the chance of telling. `None` for a judge that passes
    bad answers as readily as good ones: no number would. Raises StatsError for impossible counts.
    Source: Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, equation 4.14 for the
    normal test with groups of two sizes, and 4.20 for what the exact one takes more.
    """
    _check(good)
    _check(bad)
    sensitivity, passed = good.passed / good.n, bad.passed / bad.n
    gap = sensitivity - passed
    if gap <= 0:
        return None
    normal, ratio = NormalDist(), bad.n / good.n
    middle = (sensitivity + ratio * passed) / (1 + ratio)
    of_none = math.sqrt((ratio + 1) * middle * (1 - middle))
    of_both = math.sqrt(ratio * sensitivity * (1 - sensitivity) + passed * (1 - passed))
    found = (normal.inv_cdf(checked_level(level)) * of_none + normal.inv_cdf(power) * of_both) ** 2
    goods = found / (ratio * gap * gap)
    more = math.sqrt(1 + 2 * (ratio + 1) / (goods * ratio * gap)) if goods > 0 else 1.0
    return math.ceil(goods / 4 * (1 + more) ** 2 * (1 + ratio))


def _check(counts: Passed | Effective) -> None:
    if counts.n < 1 or not 0 <= counts.passed <= counts.n:
        raise StatsError(f"{counts.passed!r} of {counts.n!r} passed; expected from 0 to n of at least 1")
