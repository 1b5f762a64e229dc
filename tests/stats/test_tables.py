"""Promises of figures of tables and ranks; tests/scores/test_metrics.py holds them against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatsError
from harness.stats.tables import kappa, label_f1, macro_f1, micro_f1, precision, recall, spearman

# Targets yes and no; given yes, no, nothing.
TABLE = [[4, 1, 1], [2, 2, 0]]


def test_figures_of_a_hand_worked_table():
    """Six of ten right, one without a label."""
    assert precision(TABLE, 0) == 4 / 6
    assert recall(TABLE, 0) == 4 / 6
    assert label_f1(TABLE, 1) == 2 * 2 / (4 + 3)
    assert macro_f1(TABLE) == pytest.approx((2 * 4 / 12 + 4 / 7) / 2)
    assert micro_f1(TABLE) == pytest.approx(2 * 6 / (10 + 9))
    chance = (6 * 6 + 4 * 3) / 100
    assert kappa(TABLE) == pytest.approx((0.6 - chance) / (1 - chance))


def test_nothing_beyond_chance_is_zero():
    """One label for everything agrees always, and by chance."""
    assert kappa([[5, 0]]) == 0
    assert spearman([[1, 2], [1, 3]]) == 0


def test_orders_that_are_one_or_opposite():
    """1 and -1, whatever the distances."""
    assert spearman([[1, 10], [2, 11], [3, 1000]]) == 1
    assert spearman([[1, 3], [2, 2], [3, -5]]) == -1


@pytest.mark.parametrize("table", [[[1, 2]] * 2, [[0, 0]], [1, 2], np.zeros((0, 1))])
def test_what_is_no_table_is_refused(table):
    """A column more than rows, and something counted."""
    with pytest.raises(StatsError, match="the table has shape"):
        macro_f1(table)


@pytest.mark.parametrize("pairs", [[], [1, 2], [[1, 2, 3]]])
def test_what_are_no_pairs_is_refused(pairs):
    """Two columns."""
    with pytest.raises(StatsError, match="pairs have shape"):
        spearman(pairs)
