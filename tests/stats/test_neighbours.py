"""Promises of the exact search for neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats import neighbours
from harness.stats.neighbours import nearest


def _plainly(queries, corpus, k):
    """All cosines at once in float64, then a sort: equal ones by place."""
    left, right = (np.asarray(one, np.float32).astype(np.float64) for one in (queries, corpus))
    lengths = np.sqrt((left**2).sum(axis=1))[:, None] * np.sqrt((right**2).sum(axis=1))
    # Products of each pair are added up alike, so that equal rows have equal cosines.
    cosines = np.array([[(one * other).sum() for other in right] for one in left]) / lengths
    # What is equal but for the last bits is equal.
    order = np.argsort(-cosines.round(12), axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 40), st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_neighbours_are_those_of_a_full_sort_whatever_the_blocks(seed, k, rows, block):
    """Equal rows by place, though they fall into different blocks; no two others are equally near here."""
    random = np.random.default_rng(seed)
    queries = random.integers(-2, 3, (3, 4)) + np.array([0.5, 0.61, 0.73, 0.87])
    corpus = random.integers(-1, 2, (rows, 4)) + np.array([0.25, 0.31, 0.43, 0.57])
    whole = neighbours.BLOCK_ROWS, neighbours.CELLS
    neighbours.BLOCK_ROWS, neighbours.CELLS = block, 2 * block
    try:
        found = nearest(queries, corpus, k)
    finally:
        neighbours.BLOCK_ROWS, neighbours.CELLS = whole
    places, cosines = _plainly(queries, corpus, k)
    np.testing.assert_allclose(found.cosines, cosines, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.places, places)


def test_equal_rows_come_in_their_order_although_float32_rounds():
    """A thousand rows, each ten times: float32 sums differ in the last bit from place to place."""
    random = np.random.default_rng(3)
    corpus = np.tile(random.normal(size=(1000, 384)).astype(np.float32), (10, 1))
    found = nearest(corpus[:50], corpus, 10)
    expected = np.arange(50)[:, None] + 1000 * np.arange(10)
    np.testing.assert_array_equal(found.places, expected)
    assert (found.cosines == found.cosines[:, :1]).all()


def test_a_document_is_as_near_as_its_nearest_row():
    """Rows 0 and 1 are the first document, row 2 the second, 3 to 5 the third."""
    corpus = [[1, 0], [0.6, 0.8], [0.8, 0.6], [-1, 0], [0, 1], [-1, 1]]
    found = nearest([[0, 1], [1, 0]], corpus, 3, starts=[0, 2, 3])
    np.testing.assert_array_equal(found.places, [[2, 0, 1], [0, 1, 2]])
    np.testing.assert_allclose(found.cosines, [[1, 0.8, 0.6], [1, 0.8, 0.0]], atol=1e-7)


def test_length_does_not_count():
    """The cosine of a vector with itself, a thousand times as long, is 1."""
    found = nearest([[3e-3, 4e-3]], [[1, 1], [3, 4]], 1)
    assert found.places.tolist() == [[1]]
    assert found.cosines[0, 0] == pytest.approx(1)


def test_fewer_rows_than_asked_are_all_there_is():
    """Two neighbours of ten that were asked for."""
    assert nearest([[1, 0]], [[0, 1], [1, 1]], 10).places.tolist() == [[1, 0]]


@pytest.mark.parametrize("broken", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_a_direction_is_refused_by_its_number(broken):
    """Nothing is filled in for it."""
    with pytest.raises(StatsError, match="vector 1 of the corpus is all zeros or not finite"):
        nearest([[1, 0]], [[1, 0], broken], 1)


@pytest.mark.parametrize(
    ("queries", "corpus", "k", "starts"),
    [
        ([[1, 0]], [[1, 0, 0]], 1, None),
        ([[1, 0]], [[1, 0]], 0, None),
        ([], [[1, 0]], 1, None),
        ([[1, 0]], [[1, 0]], 1, [1]),
        ([[1, 0]], [[1, 0], [0, 1]], 1, [0, 0]),
        ([[1, 0]], [[1, 0], [0, 1]], 1, [0, 2]),
    ],
)
def test_vectors_that_do_not_fit_are_refused(queries, corpus, k, starts):
    """Another length, no neighbour, no vector, documents without rows."""
    with pytest.raises(StatsError, match="expected"):
        nearest(queries, corpus, k, starts=starts)
