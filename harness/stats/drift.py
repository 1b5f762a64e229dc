"""How far two spaces agree on who is near whom: before a model, its dimensions or its version change.

In: two sets of vectors of the same texts, in the same order. Out: figures, and words. The two may have
different dimensions: vectors of one are never compared with those of the other, only their neighbours are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import StatsError
from harness.stats.neighbours import nearest, unit
from harness.stats.tables import spearman

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Texts whose order of all others is compared: the mean over them is known to a hundredth.
ANCHORS = 500
# Figures at and above which the words say that little, or some of it, moved.
ALIKE, PARTLY = 0.95, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What stayed of the neighbours, a mean over texts.

    overlap: share of a text's k nearest that are the same in both spaces, from 0 to 1. rank_correlation: of
    the order in which both put all other texts, from -1 to 1 (Spearman). lowest: the text whose nearest
    changed most, by place, and `lowest_overlap` of it. texts: how many there are; anchors: of how many the
    order was compared.
    """

    k: int
    overlap: float
    rank_correlation: float
    lowest: int
    lowest_overlap: float
    texts: int
    anchors: int

    def words(self) -> str:
        """The figures as a sentence, for people."""
        moved = (
            "the spaces agree"
            if self.overlap >= ALIKE
            else "most neighbours stay"
            if self.overlap >= PARTLY
            else "neighbours change: thresholds and indexes of one space do not carry over to the other"
        )
        chance = self.k / (self.texts - 1)
        return (
            f"{moved}: of the {self.k} nearest of each of {self.texts} texts {self.overlap:.1%} are the same "
            f"in both ({chance:.1%} would be by chance), and the rank correlation of all neighbours is "
            f"{self.rank_correlation:.3f} (over {self.anchors} texts)"
        )


def drift(before: ArrayLike, after: ArrayLike, k: int = 10) -> Drift:
    """How far the neighbours of these texts are the same in both spaces.

    before, after: shape (texts, dimensions), the same texts in the same order. k: neighbours compared, at
    most half of the other texts: of all of them, any two spaces have the same. A text is no neighbour of
    itself.
    Raises StatsError for fewer than three texts, and for different numbers of them.
    """
    first, second = np.asarray(before, np.float32), np.asarray(after, np.float32)
    if len(first) != len(second) or len(first) < 3:
        raise StatsError(
            f"{len(first)} texts have a vector before and {len(second)} after; expected one of each of at "
            "least 3 texts, in the same order"
        )
    n, k = len(first), min(k, (len(first) - 1) // 2)
    sides = [_others(vectors, k) for vectors in (first, second)]
    shared = np.array([len(np.intersect1d(a, b)) / k for a, b in zip(*sides, strict=True)])
    anchors = np.unique(np.linspace(0, n - 1, min(n, ANCHORS)).astype(np.intp))
    units = [unit(vectors, "the texts") for vectors in (first, second)]
    correlations = [
        spearman(np.column_stack([np.delete(side @ side[anchor], anchor) for side in units]))
        for anchor in anchors.tolist()
    ]
    lowest = int(np.argmin(shared))
    return Drift(
        k=k,
        overlap=float(shared.mean()),
        rank_correlation=float(np.mean(correlations)),
        lowest=lowest,
        lowest_overlap=float(shared[lowest]),
        texts=n,
        anchors=len(anchors),
    )


def _others(vectors: np.ndarray, k: int) -> list[np.ndarray]:
    """The k nearest other texts of each text."""
    found = nearest(vectors, vectors, k + 1).places
    return [row[row != own][:k] for own, row in enumerate(found)]
