"""From which cosine up a stored answer may stand for a new question, with a guarantee.

In: pairs of texts with their cosine, each labelled: same intent, or different. Out: the lowest threshold that
keeps a limit with stated confidence, although it is chosen from the same pairs; its check on pairs that had
no part in the choice. Pairs are taken to be independent, and drawn as those that the cache will meet: a
request with the stored text that is nearest to it. A text that stands in many pairs makes them fewer than
they look.

A pair hits from the threshold up. Two questions, two rates:

    different   how often does a different question hit? Share of the different pairs that hit. It does not
                depend on how often questions come back, and is at least the share of all requests that are
                answered wrongly.
    hits        what share of the hits is wrong? It depends on the mixture of pairs, which has to be that of
                the traffic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from harness.errors import InconclusiveError, StatsError
from harness.records import Bounds
from harness.stats.bounds import share_bounds, shared, units_to_show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Marks: TypeAlias = NDArray[np.bool_]

Of = Literal["different", "hits"]
Verdict = Literal["kept", "broken", "unclear"]
# Each step looks at so many times the hits of the one before: a finer grid would cost more in confidence than
# it gains in hits, a coarser one the other way round.
STEP = 1.5
MOST_PAIRS = 20_000  # that anybody is told to label


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labelled pairs. cosines: from -1 to 1. same: whether both texts mean the same; both of shape (n,)."""

    cosines: Floats
    same: Marks

    @classmethod
    def of(cls, cosines: ArrayLike, same: Sequence[bool] | ArrayLike) -> Pairs:
        """Checked pairs. Raises StatsError for none, different lengths, and a cosine that is none."""
        values, marks = np.asarray(cosines, np.float64), np.asarray(same, np.bool_)
        if values.ndim != 1 or values.shape != marks.shape or not len(values):
            raise StatsError(
                f"cosines have shape {values.shape}, labels {marks.shape}; expected one of each a pair"
            )
        if not (np.abs(values) <= 1 + 1e-6).all():
            raise StatsError("a cosine is outside -1 to 1, or none; expected cosines of pairs of vectors")
        return cls(values, marks)

    def counts(self, threshold: float) -> Counts:
        """What hits from this threshold up."""
        hit = self.cosines >= threshold
        return Counts(
            hits=int(hit.sum()),
            false=int((hit & ~self.same).sum()),
            different=int((~self.same).sum()),
            same=int(self.same.sum()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pairs at one threshold. hits: those that hit; false: the different ones among them."""

    hits: int
    false: int
    different: int
    same: int

    def bounds(self, of: Of, level: float) -> Bounds:
        """Where the true rate lies; 0 to 1 where nothing was seen."""
        n = self.different if of == "different" else self.hits
        if n == 0:
            return Bounds(low=0.0, high=1.0, level=level, n=0, method="Clopper-Pearson")
        return share_bounds(self.false, n, level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold that keeps its limit.

    cosine: hits are at or above it. level: of the limit for whichever of `among` such thresholds is taken.
    counts: on the pairs that chose it.
    """

    cosine: float
    limit: float
    level: float
    of: Of
    counts: Counts
    among: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A threshold on pairs that had no part in choosing it. bounds: of the guaranteed rate on these pairs.

    verdict: "kept", its upper bound is within the limit; "broken", its lower bound is above; "unclear", the
    pairs are too few to tell, which takes nothing from the guarantee.
    """

    counts: Counts
    bounds: Bounds
    verdict: Verdict


def choose(
    pairs: Pairs, *, limit: float, level: float = 0.95, of: Of = "different", among: int = 1
) -> Threshold:
    """The lowest threshold of which the rate is at most `limit` with confidence `level`.

    among: how many such choices are made of which the best by its hits is taken. Each is made at its share of
    the error: the one with most hits is, more often than others, one that was lucky with its false hits.

    "different": the true rate never falls as the threshold does, so thresholds are tested from the top down,
    each by the exact binomial test of "the rate is above the limit", until one is not refuted; no confidence
    is lost by the choice. It is the upper tolerance bound of the cosines of different pairs.
    "hits": the rate may rise and fall. Tested are thresholds just above the k-th highest cosine, for few k
    that are fixed beforehand, each at its share of the error; above it, given it, pairs are drawn anew from
    what is above, so each test is exact.
    Raises StatsError for a limit outside (0, 1) or a level outside (0, 1), InconclusiveError when there are
    too few pairs for any threshold: it says how many would do.
    Source: Clopper and Pearson 1934, Biometrika 26(4); fixed sequence: Maurer, Hothorn and Lehmacher 1995, as
    in Angelopoulos et al. 2021, Learn then Test, arXiv 2110.01052; tolerance bound: Wilks 1941, Annals of
    Mathematical Statistics 12(1); the ranks with Bonferroni are ours.
    """
    if not 0 < limit < 1:
        raise StatsError(f"the limit is {limit!r}; expected a share between 0 and 1, such as 0.01")
    each = shared(level, among)
    try:
        found = (_of_different if of == "different" else _of_hits)(pairs, limit, each)
    except InconclusiveError as error:
        held = "" if among <= 1 else f" for each of {among} settings that may choose one"
        raise InconclusiveError(f"{error} ({level:.0%} confidence{held})") from error
    counts = pairs.counts(found)
    return Threshold(cosine=found, limit=limit, level=level, of=of, counts=counts, among=among)


def check(threshold: Threshold, pairs: Pairs) -> Check:
    """This threshold on other pairs, at its own level."""
    counts = pairs.counts(threshold.cosine)
    bounds = counts.bounds(threshold.of, threshold.level)
    low, high = bounds.low or 0.0, 1.0 if bounds.high is None else bounds.high
    verdict: Verdict = "kept" if high <= threshold.limit else "broken" if low > threshold.limit else "unclear"
    return Check(counts=counts, bounds=bounds, verdict=verdict)


def chance_to_confirm(
    choosing: int, confirming: int, *, limit: float, level: float = 0.95, among: int = 1
) -> float:
    """How likely it is that other pairs show the limit kept at a threshold which `choose` takes, from 0 to 1.

    choosing, confirming: independent different pairs with distinct cosines, that choose and that check; 0
    where either are too few for any threshold. It holds whatever the cosines are: above the k-th highest of n
    lies a share of all others that is Beta(k, n - k + 1), so that the false hits of the check are
    beta-binomial. A threshold that just keeps its limit where it was chosen is often not confirmed by as many
    pairs, because the check has its own error to exclude. Source: Wilks 1942, Annals of Mathematical
    Statistics 13(4), prediction of order statistics.
    """
    from scipy.stats import betabinom

    chosen = most_false(choosing, limit, shared(level, among))
    kept = most_false(confirming, limit, level)
    if chosen is None or kept is None:
        return 0.0
    return float(betabinom.cdf(kept, confirming, chosen + 1, choosing - chosen))


def pairs_to_confirm(rate: float, *, limit: float, level: float = 0.95) -> int | None:
    """The fewest different pairs that show the limit kept when this share of them, rounded up, hits.

    `None`: no number that anybody would label does.
    """
    from scipy.special import bdtr

    numbers = np.arange(1, MOST_PAIRS + 1)
    shown = bdtr(np.ceil(rate * numbers), numbers, limit) <= 1 - level
    return int(numbers[shown.argmax()]) if shown.any() else None


def most_false(n: int, limit: float, level: float) -> int | None:
    """The most false hits of n different pairs that still show the limit kept; `None`: not even none does."""
    from scipy.special import bdtr

    # Every smaller number shows it too.
    shown = bdtr(np.arange(n, dtype=np.float64), n, limit) <= 1 - level
    return int(shown.sum()) - 1 if shown.any() else None


def _of_different(pairs: Pairs, limit: float, level: float) -> float:
    cosines = np.sort(pairs.cosines[~pairs.same])[::-1]
    most = most_false(len(cosines), limit, level)
    if most is None:
        needed = units_to_show(limit, level=level)
        raise InconclusiveError(
            f"{len(cosines)} pairs are labelled different, and no threshold can be shown to let at most "
            f"{limit:.2%} of such pairs hit from fewer than {needed}; label more pairs, allow a higher "
            "limit, try fewer settings, or ask for less confidence"
        )
    return _above(float(cosines[most]))


def _of_hits(pairs: Pairs, limit: float, level: float) -> float:
    order = np.argsort(-pairs.cosines, kind="stable")
    cosines, different = pairs.cosines[order], ~pairs.same[order]
    ranks = _ranks(len(cosines), limit, level)
    each = shared(level, len(ranks))
    found = None
    for rank in ranks:
        above = cosines > cosines[rank - 1]
        hits = int(above.sum())
        high = share_bounds(int(different[above].sum()), hits, level=each).high if hits else None
        if high is not None and high <= limit:
            found = _above(float(cosines[rank - 1]))
    if found is None:
        raise InconclusiveError(
            f"no threshold can be shown to keep wrong hits at {limit:.2%} of hits: of {len(cosines)} pairs, "
            f"the nearest {_fewest(limit, level, len(cosines))} and more hold too many different ones, or "
            "are too few; label more pairs of the kind that hits, or allow a higher limit"
        )
    return found


def _ranks(n: int, limit: float, level: float) -> list[int]:
    """The ranks from the top whose cosines are tried, from the first that could pass."""
    ranks = [_fewest(limit, level, n)]
    while ranks[-1] < n:
        ranks.append(min(n, math.ceil(STEP * ranks[-1])))
    return ranks if ranks[0] <= n else []


def _fewest(limit: float, level: float, n: int) -> int:
    """One more than the hits that show the limit without a single false one, at a share of the error."""
    first = units_to_show(limit, level=level) or 1
    tests = max(1, math.ceil(math.log(max(1.0, n / first)) / math.log(STEP)) + 1)
    return (units_to_show(limit, level=shared(level, tests)) or 1) + 1


def _above(cosine: float) -> float:
    """The lowest threshold that this cosine does not reach."""
    return math.nextafter(cosine, math.inf)
