"""Which of two lists' members belong together: the pairs that agree the most in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from collections.abc import Sequence


def best_pairs(gains: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Pairs of (row, column), each in one pair at most, with the greatest sum of gains.

    gains: integers from 0 up, (n, m) with n, m >= 1; pairs that gain nothing are left out.
    Source: the assignment problem (Kuhn 1955; Crouse 2016, by `scipy.optimize.linear_sum_assignment`).
    """
    table = np.asarray(gains, dtype=np.int64)
    rows, columns = linear_sum_assignment(table, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if table[row, column] > 0]
