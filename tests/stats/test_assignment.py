"""Promises of pairing two lists."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from harness.stats.assignment import best_pairs

TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 5), min_size=width, max_size=width), min_size=1, max_size=4
    )
)


@given(TABLES)
def test_no_other_pairs_gain_more(gains):
    """Against every way to pair them; none stands in two pairs, and none that gains nothing is paired."""
    pairs = best_pairs(gains)
    rows, columns = range(len(gains)), range(len(gains[0]))
    few, many, flipped = (rows, columns, False) if len(rows) <= len(columns) else (columns, rows, True)
    sums = [
        sum(gains[b][a] if flipped else gains[a][b] for a, b in zip(few, chosen, strict=True))
        for chosen in permutations(many, len(few))
    ]
    assert sum(gains[row][column] for row, column in pairs) == max(sums)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gains[row][column] for row, column in pairs)
