"""The signed-rank test that grows pair by pair: the p-values are SciPy's."""

from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.testing.signed_rank import SignedRank

BINARY = st.sampled_from([-1.0, 0.0, 1.0])
GRADED = st.integers(-10, 10).map(lambda tenths: tenths / 10)
DISTINCT = st.floats(-1, 1, width=16)


def grown(differences: list[float]) -> list[float]:
    """p after each difference."""
    test, values = SignedRank(), []
    for difference in differences:
        test.add(difference)
        values.append(test.p_less())
    return values


def scipys(differences: list[float]) -> float:
    """What Optuna's pruner would be told."""
    return float(scipy.stats.wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue)


@settings(deadline=None, max_examples=30)  # permutations take SciPy a quarter of a second
@given(st.one_of(*(st.lists(kind, min_size=2, max_size=60) for kind in (BINARY, GRADED, DISTINCT))))
def test_it_is_scipys_at_the_end(differences) -> None:
    """With ties, zeros and without, below and above the sizes at which SciPy changes its method."""
    assert grown(differences)[-1] == pytest.approx(scipys(differences), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("step", [1.0, 0.1, 0.0137])
def test_it_is_scipys_on_the_way(step) -> None:
    """At lengths on both sides of each change of method, for one sequence of each kind."""
    differences = [max(-1.0, min(1.0, ((n * 37) % 19 - 11) * step)) for n in range(70)]
    values = grown(differences)
    for n in (2, 8, 13, 14, 19, 20, 50, 51, 70):
        assert values[n - 1] == pytest.approx(scipys(differences[:n]), rel=1e-9, abs=1e-12)


def test_a_case_by_hand() -> None:
    """Three losses in a row: one of the eight sign patterns is as bad, and all zeros say nothing."""
    assert grown([-1.0, -1.0, -1.0])[-1] == pytest.approx(1 / 8)
    assert grown([0.0] * 20)[-1] == pytest.approx(0.5)
