"""Which of several may be the best, when all of them answered all samples, and how far they are apart.

In: a complete matrix of scores, a row for each arm. Out: statements about all arms that hold together. The
correlation of the arms is used: the more alike they are, the less is lost by asking about all of them. For
looks before all is answered see `contenders`; for a simple alternative, `multiple.holm` over p-values of
`paired`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.stats.clusters import checked, checked_level, clustered
from harness.stats.intervals import NO_VARIATION, unvaried_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.stats.clusters import Floats, Groups

# p-values near 0.05 then move by 0.002 from seed to seed.
DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class BestSet:
    """p_values: of "this one is the best", one per arm. members: who is not refuted and may be the best."""

    p_values: Floats
    members: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Differences:
    """Of each arm minus the reference, from -1 to 1: all intervals hold together with the stated level.

    p_values: adjusted for all arms, of "it is as good as the reference". For the reference itself 0, 0, 0, 1.
    """

    values: Floats
    low: Floats
    high: Floats
    p_values: Floats


def best_set(scores: ArrayLike, *, level: float, seed: int, groups: Groups = None) -> BestSet:
    """The arms that cannot be told apart from the best: the true best is among them with this probability.

    scores: shape (arms, n), from 0 to 1, all arms on the same samples. groups: the cluster of each sample,
    `None` for no clusters. "Arm a is the best" is refuted when the largest lead of another one over it,
    in standard errors, is larger than chance makes the largest of them all. Only one of these hypotheses has
    to survive, so that each is tested at the full error. At least the arm with the highest mean is a member.
    Raises StatsError for another shape, a score outside [0, 1], and fewer than two clusters.
    Source: multiple comparisons with the best, Hsu 1984, Annals of Statistics 12(3); the largest of
    correlated t statistics as in Romano and Wolf 2005, JASA 100(469), their distribution by simulation from
    the clustered covariance with C - 1 degrees of freedom (Chernozhukov, Chetverikov and Kato 2013, Annals
    of Statistics 41(6), for the normal case).
    """
    error = 1 - checked_level(level)
    arms = _Arms.of(scores, groups)
    draws = arms.draws(seed)
    p_values = np.array([_best_p(arms, draws, arm) for arm in range(len(arms.means))])
    return BestSet(p_values, p_values > error)


def simultaneous_differences(
    scores: ArrayLike, reference: int, *, level: float, seed: int, groups: Groups = None
) -> Differences:
    """How far each arm is from a reference that was fixed beforehand, with intervals that hold together.

    scores, groups: as in `best_set`. reference: row of the reference, chosen without these scores, as the
    winner of the search is before the confirmation. p-values are adjusted step by step and find a little
    more than the intervals do. A difference that is the same on all samples has the interval of
    `unvaried_limits`, at the error divided by the number of rivals.
    Raises StatsError as `best_set` does, and for a reference that is no row.
    Source: Romano and Wolf 2005, JASA 100(469), algorithm 3.1 (step-down); distribution as in `best_set`.
    """
    error = 1 - checked_level(level)
    arms = _Arms.of(scores, groups)
    count = len(arms.means)
    if not 0 <= reference < count:
        raise StatsError(f"the reference is row {reference!r} of {count}; expected one of 0 to {count - 1}")
    values = arms.means - arms.means[reference]
    spread = arms.errors[reference]
    varied = np.flatnonzero(spread > NO_VARIATION)
    drawn = arms.draws(seed)
    drawn = np.abs(drawn[:, varied] - drawn[:, [reference]]) / spread[varied]
    low, high, p_values = values.copy(), values.copy(), np.ones(count)
    if len(varied):
        half = np.quantile(drawn.max(axis=1), level) * spread[varied]
        low[varied], high[varied] = values[varied] - half, values[varied] + half
        p_values[varied] = _step_down(np.abs(values[varied]) / spread[varied], drawn)
    for arm in set(range(count)) - {reference, *varied.tolist()}:
        each = 1 - error / (count - 1)
        low[arm], high[arm] = unvaried_limits(values[arm], arms.clusters, each, low=-1, high=1)
        p_values[arm] = arms.sign_p if abs(values[arm]) > NO_VARIATION else 1.0
    return Differences(values, np.maximum(low, -1.0), np.minimum(high, 1.0), p_values)


@dataclass(frozen=True, slots=True)
class _Arms:
    """means: shape (arms,). parts: what each cluster adds to the error of each mean, (arms, clusters).

    errors: standard errors of the differences between any two, (arms, arms).
    """

    means: Floats
    parts: Floats
    errors: Floats

    @classmethod
    def of(cls, scores: ArrayLike, groups: Groups) -> _Arms:
        matrix = np.asarray(scores, dtype=np.float64)
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise StatsError(
                f"scores have shape {matrix.shape}; expected (arms, n), with at least one of each"
            )
        rows = [clustered(checked(row, what="scores"), groups) for row in matrix]
        count = rows[0].count
        if count < 2:
            raise StatsError(
                f"{count} independent sample or cluster; at least 2 are needed to tell arms apart"
            )
        deviations = np.array([row.sums - row.sizes * row.mean for row in rows])
        parts = deviations / matrix.shape[1] * np.sqrt(count / (count - 1))
        errors = np.array([np.sqrt(((parts - part) ** 2).sum(axis=1)) for part in parts])
        return cls(np.array([row.mean for row in rows]), parts, errors)

    @property
    def clusters(self) -> int:
        return self.parts.shape[1]

    @property
    def sign_p(self) -> float:
        """p-value of two that differ by the same everywhere: as many throws of a coin, for all rivals."""
        return min(1.0, (len(self.means) - 1) * 0.5 ** (self.clusters - 1))

    def draws(self, seed: int) -> Floats:
        """Errors of all means as chance would have them, over the error of their errors: (DRAWS, arms)."""
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.parts @ self.parts.T)
        normal = rng.standard_normal((DRAWS, len(values))) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        freedom = self.clusters - 1
        return normal / np.sqrt(rng.chisquare(freedom, size=(DRAWS, 1)) / freedom)


def _best_p(arms: _Arms, draws: Floats, arm: int) -> float:
    leads = arms.means - arms.means[arm]
    if leads.max() <= 0:
        return 1.0
    spread = arms.errors[arm]
    varied = spread > NO_VARIATION
    p = 1.0
    if varied.any():
        largest = (leads[varied] / spread[varied]).max()
        drawn = ((draws[:, varied] - draws[:, [arm]]) / spread[varied]).max(axis=1)
        p = _share_at_least(drawn, largest)
    always_behind = not varied.all() and bool((leads[~varied] > NO_VARIATION).any())
    return min(p, arms.sign_p) if always_behind else p


def _step_down(observed: Floats, drawn: Floats) -> Floats:
    """Adjusted p-values: the largest against the largest of all draws, the next against that of the rest."""
    order = np.argsort(-observed, kind="stable")
    # For each step the largest of this and all smaller ones.
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    p_values = np.empty_like(observed)
    p_values[order] = np.maximum.accumulate(
        [_share_at_least(largest[:, step], float(observed[arm])) for step, arm in enumerate(order)]
    )
    return p_values


def _share_at_least(drawn: Floats, observed: float) -> float:
    return (1 + np.count_nonzero(drawn >= observed)) / (1 + len(drawn))
