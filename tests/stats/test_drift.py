"""Promises of the comparison of two spaces by their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from harness.errors import StatsError
from harness.stats.drift import drift


def _texts(n=60, dimensions=16, seed=5):
    return np.random.default_rng(seed).normal(size=(n, dimensions))


def test_a_turned_and_padded_space_is_the_same():
    """Neighbours are all that counts, not the axes nor how many there are."""
    before = _texts()
    turn, _ = np.linalg.qr(np.random.default_rng(6).normal(size=(16, 16)))
    found = drift(before, np.pad(3 * before @ turn, ((0, 0), (0, 8))), k=5)
    assert found.overlap == 1
    assert found.rank_correlation == pytest.approx(1, abs=1e-4)
    assert found.words().startswith("the spaces agree: of the 5 nearest of each of 60 texts 100.0%")


def test_spaces_that_have_nothing_to_do_with_each_other():
    """About k of n neighbours are shared by chance, and orders do not correlate."""
    found = drift(_texts(), _texts(seed=7), k=6)
    assert found.overlap == pytest.approx(6 / 59, abs=0.05)
    assert abs(found.rank_correlation) < 0.1
    assert found.words().startswith("neighbours change")


def test_of_few_texts_no_more_than_half_are_compared():
    """Eleven unrelated texts have ten others each: all ten would be the same in any two spaces."""
    found = drift(_texts(11), _texts(11, seed=7), k=10)
    assert found.k == 5
    assert found.words().startswith("neighbours change")
    assert "(50.0% would be by chance)" in found.words()


def test_figures_are_those_of_the_definition():
    """Overlap of the nearest others, and the mean of scipy's rank correlations, with all texts compared."""
    before = _texts(30)
    after = before + 0.8 * _texts(30, seed=8)
    found = drift(before, after, k=4)
    sides = []
    for vectors in (before, after):
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        sides.append(units @ units.T)
    shares, correlations = [], []
    for text in range(30):
        others = [np.delete(side[text], text) for side in sides]
        first, second = (set(np.argsort(-one)[:4].tolist()) for one in others)
        shares.append(len(first & second) / 4)
        correlations.append(spearmanr(*others).statistic)
    assert found.overlap == pytest.approx(np.mean(shares))
    assert found.rank_correlation == pytest.approx(np.mean(correlations), abs=1e-3)
    assert (found.lowest, found.lowest_overlap) == (int(np.argmin(shares)), min(shares))


@pytest.mark.parametrize(("before", "after"), [(_texts(5), _texts(4)), (_texts(2), _texts(2))])
def test_other_texts_cannot_be_compared(before, after):
    """The same texts, and at least three."""
    with pytest.raises(StatsError, match="in the same order"):
        drift(before, after)
