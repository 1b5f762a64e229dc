"""How far each of many pairs stands in order among the others, and how pure the cluster of each text is.

In: numbers, labels. Out: a share of each, from 0 to 1. Counted in n log n steps, so that all samples of a
large task can be looked at again whenever there are more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Places: TypeAlias = NDArray[np.intp]


def concordance(likeness: Floats, gold: Floats) -> Floats:
    """Of each pair, the share of pairs with another target that stand on the right side of it, from 0 to 1.

    likeness, gold: shape (n,), NaN where there is none. Equal likeness counts as half. NaN where every other
    pair has the same target. Source: the first-order part of Kendall's tau and, with two targets, of the area
    under the ROC curve (Hájek projection); each is the mean of its parts. Counted by the bits of the targets'
    ranks, ours: of two different ranks, the lower one is that with 0 at the first bit in which they differ.
    """
    found = np.full(len(likeness), np.nan)
    known = np.flatnonzero(~np.isnan(likeness) & ~np.isnan(gold))
    if not len(known):
        return found
    ranks, targets = _dense(likeness[known]), _dense(gold[known])
    others = len(known) - np.bincount(targets)[targets]
    alike = np.zeros(len(known), np.intp)
    everyone = _ahead(ranks, alike, alike) - _ahead(ranks, targets, targets)
    lower = np.zeros(len(known), np.intp)
    for bit in range(int(targets.max()).bit_length()):
        above, here = targets >> (bit + 1), (targets >> bit) & 1
        lower[here == 1] += _ahead(ranks[here == 0], above[here == 0], above[here == 1], ranks[here == 1])
    # A pair of a lower target should be less alike, one of a higher target more.
    agreeing = 2 * lower - everyone
    counted = others > 0
    found[known[counted]] = (agreeing + others)[counted] / others[counted] / 2
    return found


def purity(labels: Sequence[str], found: Sequence[int]) -> Floats:
    """Of each text, the share of the others in its cluster that have its label; 0 where it is alone."""
    names, clusters = _codes(labels), _codes(found)
    sizes = np.bincount(clusters)[clusters]
    _, places, counts = np.unique(
        clusters * (int(names.max(initial=0)) + 1) + names, return_inverse=True, return_counts=True
    )
    return np.where(sizes > 1, (counts[places] - 1) / np.maximum(sizes - 1, 1), 0.0)


def _ahead(ranks: Places, groups: Places, asked: Places, own: Places | None = None) -> Places:
    """Of each one asked about, how many of its group have a lower rank, less how many have a higher one."""
    own = ranks if own is None else own
    width = int(max(ranks.max(initial=0), own.max(initial=0))) + 1
    keys = np.sort(groups * width + ranks)
    first, last = np.searchsorted(keys, asked * width), np.searchsorted(keys, (asked + 1) * width)
    below = np.searchsorted(keys, asked * width + own)
    upto = np.searchsorted(keys, asked * width + own, side="right")
    return (below - first) - (last - upto)


def _dense(values: Floats) -> Places:
    """The rank of each among the distinct values, from 0."""
    return np.unique(values, return_inverse=True)[1]


def _codes(values: Sequence[str] | Sequence[int]) -> Places:
    return np.unique(np.array(values), return_inverse=True)[1]
