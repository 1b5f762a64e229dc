"""The nearest vectors, exactly: every row is looked at, a block of rows at a time.

In: vectors of queries and of a corpus, float32, of any length but 0. Out: for each query the rows, or
documents of several rows, with the largest cosine. Memory beside the vectors is that of a few blocks,
whatever their number: no matrix of all cosines, and no copy of the corpus, which may lie in a file
(`numpy.memmap`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from harness.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Vectors: TypeAlias = NDArray[np.float32]
    Places: TypeAlias = NDArray[np.intp]

# Rows of a corpus that are looked at together, and cosines that are held at once: 32 MB of float32.
BLOCK_ROWS = 8192
CELLS = 1 << 23
# Rows that are compared again in float64 together: 13 MB each side at 384 dimensions.
AGAIN_ROWS = 4096
# Where so many times k rows of a block pass, it is cheaper to find the k-th of them before the others are
# kept.
MANY = 4
HALF_ULP = 2.0**-24  # the most that rounding moves a float32, as a share of it


class Nearest(NamedTuple):
    """Neighbours of each query, the nearest first; both of shape (queries, k).

    places: positions in the corpus, of documents where rows belong to some. cosines: from -1 to 1.
    """

    places: Places
    cosines: Floats


class _Best(NamedTuple):
    """The best so far, one entry a hit, sorted by query, then cosine from the top, then place."""

    queries: Places
    places: Places
    cosines: Floats


def nearest(queries: ArrayLike, corpus: ArrayLike, k: int, *, starts: Sequence[int] | None = None) -> Nearest:
    """The k nearest rows of the corpus for each query, by cosine; all of them where there are fewer than k.

    queries: shape (queries, dimensions). corpus: shape (rows, dimensions). starts: the first row of each
    document, rising from 0; a document is as near as the nearest of its rows. `None`: each row is one.
    Equal cosines: the lower place comes first, so that a corpus in falling order of ids has ties as
    trec_eval has them. Cosines are those of the vectors as they are, in float64: float32 only finds who may
    be among the k, with a margin that its rounding cannot exceed, so that equal rows are equally near.
    Raises StatsError for other shapes, for k below 1, and for a vector of zeros or one that is not finite.
    Source of the margin: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1.
    """
    asked, rows = _vectors(queries, "queries"), _vectors(corpus, "the corpus")
    if asked.shape[1] != rows.shape[1] or k < 1:
        raise StatsError(
            f"queries have {asked.shape[1]} dimensions, the corpus {rows.shape[1]}, and k is {k!r}; expected "
            "vectors of one model and of one length, and at least one neighbour"
        )
    bounds = _bounds(starts, len(rows))
    k = min(k, len(bounds) - 1)
    units = unit(asked, "queries")
    # Rounding of a dot product of n products, and of making both vectors unit length.
    margin = 2 * (rows.shape[1] + 4) * HALF_ULP
    none = np.empty(0, np.intp)
    best = _Best(none, none, np.empty(0))
    for first, last in _blocks(bounds):
        from_row, end_row = int(bounds[first]), int(bounds[last])
        block = unit(rows[from_row:end_row], "the corpus", from_row)
        inner = bounds[first : last + 1] - from_row
        worst = _worst(best, len(units), k) - margin
        step = max(1, CELLS // len(block))
        found = [
            _hits(units[at : at + step] @ block.T, inner, worst[at : at + step], k, margin)
            + np.array([at, 0])
            for at in range(0, len(units), step)
        ]
        hits = np.concatenate(found)
        cosines = _again(asked, rows[from_row:end_row], hits, inner)
        best = _merged(best, _Best(hits[:, 0], hits[:, 1] + first, cosines), k)
    return Nearest(best.places.reshape(len(asked), k), best.cosines.reshape(len(asked), k))


def unit(vectors: Vectors, what: str, first: int = 0) -> Vectors:
    """The vectors at length 1, shape (n, dimensions).

    what, first: whose they are and the number of the first, for messages. Raises StatsError for a vector of
    zeros and for one that is not finite.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    good = np.isfinite(lengths) & (lengths > 0)
    if not good.all():
        raise StatsError(
            f"vector {first + int(np.argmin(good))} of {what} is all zeros or not finite, and has no "
            "direction; embed its text again, or leave it out"
        )
    return (vectors / lengths[:, np.newaxis]).astype(np.float32)


def _vectors(vectors: ArrayLike, what: str) -> Vectors:
    array = np.asarray(vectors, dtype=np.float32)
    if array.ndim != 2 or not array.size:
        raise StatsError(f"{what} have shape {array.shape}; expected at least one vector of one dimension")
    return array


def _bounds(starts: Sequence[int] | None, rows: int) -> Places:
    """First rows of the documents, and the number of rows at the end."""
    if starts is None:
        return np.arange(rows + 1)
    bounds = np.append(np.asarray(starts, dtype=np.intp), rows)
    if len(bounds) < 2 or bounds[0] != 0 or (np.diff(bounds) < 1).any():
        raise StatsError(
            f"documents start at {list(starts)[:8]!r}... in {rows} rows; expected rising numbers from 0, "
            "below the number of rows"
        )
    return bounds


def _blocks(bounds: Places) -> Iterator[tuple[int, int]]:
    """Documents that are looked at together: the first one, and the one after the last."""
    first = 0
    while first < len(bounds) - 1:
        fitting = int(np.searchsorted(bounds, bounds[first] + BLOCK_ROWS, side="right")) - 1
        last = max(fitting, first + 1)
        yield first, last
        first = last


def _hits(cosines: Vectors, inner: Places, worst: Floats, k: int, margin: float) -> Places:
    """Which documents of the block may be among the k nearest, shape (hits, 2): query and document.

    cosines: shape (queries, rows of the block). worst: what each query's k-th best so far has, less the
    margin.
    """
    if len(inner) <= cosines.shape[1]:
        cosines = np.maximum.reduceat(cosines, inner[:-1], axis=1)
    # Compared as float32: half the traffic; rounded down, so that nothing is lost.
    floor = np.nextafter(worst.astype(np.float32), np.float32(-np.inf))
    passed = cosines >= floor[:, np.newaxis]
    many = np.flatnonzero(passed.sum(axis=1) > MANY * k)
    if len(many):
        place = cosines.shape[1] - k
        floors = np.partition(cosines[many], place, axis=1)[:, place] - np.float32(2 * margin)
        passed[many] &= cosines[many] >= floors[:, np.newaxis]
    return np.argwhere(passed)


def _again(asked: Vectors, block: Vectors, hits: Places, inner: Places) -> Floats:
    """Cosines of these hits in float64, each computed alike wherever it stands; of the nearest row."""
    sizes = np.diff(inner)[hits[:, 1]]
    ends = np.cumsum(sizes)
    found = np.empty(len(hits))
    first = 0
    while first < len(hits):
        done = int(ends[first] - sizes[first])
        last = max(first + 1, int(np.searchsorted(ends, done + AGAIN_ROWS, side="right")))
        of_hit = sizes[first:last]
        begin = np.cumsum(of_hit) - of_hit
        offsets = np.arange(of_hit.sum()) - np.repeat(begin, of_hit)
        rows = np.repeat(inner[hits[first:last, 1]], of_hit) + offsets
        left = asked[np.repeat(hits[first:last, 0], of_hit)].astype(np.float64)
        found[first:last] = np.maximum.reduceat(cosine(left, block[rows].astype(np.float64)), begin)
        first = last
    return found


def cosine(left: Floats, right: Floats) -> Floats:
    """The cosine of each row of one array with the same row of the other, shape (n,), from -1 to 1."""
    lengths = np.sqrt((left * left).sum(axis=1) * (right * right).sum(axis=1))
    return np.clip((left * right).sum(axis=1) / lengths, -1.0, 1.0)


def _worst(best: _Best, n: int, k: int) -> Floats:
    """The k-th best cosine of each query so far; less than any where there are not yet k."""
    worst = np.full(n, -2.0)
    counts = np.bincount(best.queries, minlength=n)
    ends = np.cumsum(counts)
    full = counts >= k
    worst[full] = best.cosines[ends[full] - 1]
    return worst


def _merged(best: _Best, new: _Best, k: int) -> _Best:
    """The k best of both for each query."""
    queries = np.concatenate((best.queries, new.queries))
    places = np.concatenate((best.places, new.places))
    cosines = np.concatenate((best.cosines, new.cosines))
    order = np.lexsort((places, -cosines, queries))
    queries, places, cosines = queries[order], places[order], cosines[order]
    counts = np.bincount(queries)
    ranks = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = ranks < k
    return _Best(queries[kept], places[kept], cosines[kept])
