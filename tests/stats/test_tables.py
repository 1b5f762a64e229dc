"""Promises of figures of tables and ranks; tests/scores/test_metrics.py holds them against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.tables import (
    average_precision,
    best_f1,
    kappa,
    label_f1,
    macro_f1,
    micro_f1,
    precision,
    recall,
    spearman,
    v_measure,
    v_measures_left_out,
)

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


def test_pairs_are_told_by_a_number_as_scikit_learn_tells_it():
    """Average precision, and the largest F1 of its curve, with many equal numbers."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    random = np.random.default_rng(9)
    for decimals in (1, 2, 6):
        marks = random.integers(0, 2, 300)
        numbers = (random.random(300) + 0.3 * marks).round(decimals)
        pairs = np.column_stack([numbers, marks])
        precisions, recalls, _ = precision_recall_curve(marks, numbers)
        both = np.maximum(precisions + recalls, 1e-300)
        assert average_precision(pairs) == pytest.approx(average_precision_score(marks, numbers), abs=1e-9)
        assert best_f1(pairs) == pytest.approx((2 * precisions * recalls / both).max(), abs=1e-9)


def test_pairs_of_which_none_belong_together_have_nothing():
    """0, not 0 / 0."""
    assert (average_precision([[0.5, 0], [0.4, 0]]), best_f1([[0.5, 0]])) == (0, 0)


def test_v_measure_is_that_of_scikit_learn():
    """Also where labels or clusters are one, and where they have nothing to do with each other."""
    from sklearn.metrics import v_measure_score
    from sklearn.metrics.cluster import contingency_matrix

    random = np.random.default_rng(10)
    for n_labels, n_clusters in ((4, 5), (1, 3), (3, 1), (1, 1), (2, 40)):
        labels, clusters = random.integers(0, n_labels, 60), random.integers(0, n_clusters, 60)
        ours = v_measure(contingency_matrix(labels, clusters))
        assert ours == pytest.approx(v_measure_score(labels, clusters), abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=50
    ).filter(lambda rows: len({owner for *_, owner in rows}) > 1)
)
def test_v_measures_without_each_owner_are_those_of_the_rows_that_are_left(rows):
    """Corrected sums give what counting anew gives: of rows, of groups, and down to one label or part."""
    labels, clusters, owners = (np.array(column) for column in zip(*rows, strict=True))
    owners = np.unique(owners, return_inverse=True)[1]
    expected = []
    for owner in range(owners.max() + 1):
        table = np.zeros((5, 4))
        np.add.at(table, (labels[owners != owner], clusters[owners != owner]), 1)
        expected.append(v_measure(table))
    assert v_measures_left_out(labels, clusters, owners) == pytest.approx(expected, abs=1e-9)


def test_without_any_other_rows_there_is_no_v_measure():
    """One owner of all rows leaves nothing."""
    with pytest.raises(StatsError, match="one owner has all rows"):
        v_measures_left_out([0, 1], [0, 1], [0, 0])


def test_a_table_of_nothing_has_no_v_measure():
    """Something has to be counted."""
    with pytest.raises(StatsError, match="expected labels, clusters, and some counts"):
        v_measure([[0, 0]])
