"""Means of a factor's levels, adjusted for the blocks that they met."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StatsError
from harness.stats.effects import adjusted_means


def test_without_blocks_it_is_the_plain_mean():
    """Two levels of two units each: means, the pooled variance (0.02), and t with 2 degrees of freedom."""
    low, high = adjusted_means([0.4, 0.6, 0.7, 0.9], [0, 0, 1, 1], [0, 0, 0, 0], level=0.95)
    assert (low.value, high.value) == pytest.approx((0.5, 0.8))
    # 4.302653 * sqrt(0.02 / 2)
    assert low.high - low.value == pytest.approx(0.430265, abs=1e-6)
    assert (low.n, high.n) == (2, 2)


def test_blocks_are_taken_out():
    """Level 1 met mostly the weak block: as if both had met both alike, it is the better one."""
    values = [0.9, 0.91, 0.9, 0.61, 0.6, 0.95, 0.66, 0.65, 0.64, 0.65]
    factor = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    blocks = [0, 0, 0, 1, 1, 0, 1, 1, 1, 1]
    plain = [np.mean(values[:5]), np.mean(values[5:])]
    adjusted = adjusted_means(values, factor, blocks, level=0.95)
    assert plain[1] < plain[0]
    assert adjusted[1].value - adjusted[0].value == pytest.approx(0.0457, abs=0.002)


def test_a_level_that_hangs_together_with_its_block_cannot_be_told():
    """Level 2 met block 2 alone, and nobody else did: its mean is the block's as much as its own."""
    values = [0.5, 0.52, 0.6, 0.61, 0.4, 0.42, 0.9, 0.92]
    made = adjusted_means(values, [0, 0, 1, 1, 0, 1, 2, 2], [0, 0, 0, 0, 1, 1, 2, 2], level=0.95)
    assert made[2] is None


@pytest.mark.parametrize(
    ("values", "factor"),
    [([0.5, 0.6], [0, 1]), ([0.5] * 6, [0, 1] * 3), ([], [])],
    ids=["few", "alike", "none"],
)
def test_too_little_says_nothing(values, factor):
    """No figure from two units, and none from units without any variation."""
    assert set(adjusted_means(values, factor, [0] * len(values), level=0.95)) <= {None}


def test_lengths_must_agree():
    """One level and one block a unit."""
    with pytest.raises(StatsError, match="2 values, 1 levels and 2 blocks"):
        adjusted_means([0.1, 0.2], [0], [0, 0], level=0.95)


@given(st.integers(0, 10_000))
def test_the_truth_of_an_additive_world_is_inside(seed):
    """With effects of blocks and levels that add up, the wide interval holds the true mean of each level."""
    draw = np.random.default_rng(seed)
    n, effects = 40, np.array([0.0, 0.05, 0.1])
    factor, blocks = draw.integers(0, 3, n), draw.integers(0, 4, n)
    values = 0.5 + effects[factor] + 0.03 * blocks + draw.normal(0, 0.02, n)
    made = adjusted_means(values, factor.tolist(), blocks.tolist(), level=0.999999)
    truth = 0.5 + effects + 0.03 * blocks.mean()
    assert all(one is None or one.low <= true <= one.high for one, true in zip(made, truth, strict=False))


def test_an_interval_holds_as_often_as_it_says():
    """The 90% interval holds the true mean in 90% of 2,000 draws, within three standard errors."""
    draw, held = np.random.default_rng(5), 0
    factor, blocks = [0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1, 1, 1]
    for _ in range(2000):
        values = 0.5 + 0.1 * np.array(factor) + 0.05 * np.array(blocks) + draw.normal(0, 0.03, 8)
        made = adjusted_means(values, factor, blocks, level=0.9)[1]
        held += made.low <= 0.625 <= made.high
    assert abs(held / 2000 - 0.9) < 3 * (0.9 * 0.1 / 2000) ** 0.5
