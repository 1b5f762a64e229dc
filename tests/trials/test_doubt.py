"""Doubt: a limit is broken beyond doubt only when chance cannot explain it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from harness.records import Latency
from harness.trials.doubt import share_p, surely_broken


@settings(deadline=None)
@given(st.integers(1, 300), st.data(), st.floats(0.001, 0.999))
def test_the_bound_is_never_below_the_exact_chance(n, data, share):
    """Chernoff's bound holds: whoever acts on it is wrong no more often than it says."""
    hits = data.draw(st.integers(0, n))
    assert share_p(hits, n, share) >= binom.sf(hits - 1, n, share) - 1e-12


def test_the_bound_by_hand():
    """4 of 8 where a tenth is allowed: exp(-8 (0.5 ln 5 + 0.5 ln(5/9)))."""
    assert share_p(4, 8, 0.1) == pytest.approx(math.exp(-8 * (0.5 * math.log(5) + 0.5 * math.log(5 / 9))))


def test_a_limit_of_zero_is_broken_by_one():
    """What must never happen has happened."""
    assert share_p(1, 1000, 0.0) == 0.0
    assert share_p(0, 1000, 0.0) == 1.0
    assert share_p(0, 0, 0.0) == 1.0


def test_one_failure_in_a_few_calls_breaks_no_rate(bench):
    """One of eight is 12 %, but nobody knows yet that it is above 2 %."""
    made = bench()
    made.failed(0)
    made.right(*range(1, 8))
    assert surely_broken(made.arm, {"failure_rate": 0.02}) == []


def test_many_failures_break_a_rate(bench):
    """Eight of sixteen are above 2 % whatever comes."""
    made = bench()
    made.failed(*range(8))
    made.right(*range(8, 16))
    assert surely_broken(made.arm, {"failure_rate": 0.02}) == ["failure_rate is 0.5, above 0.02"]


def test_a_price_is_broken_when_its_mean_is_clearly_above(bench):
    """The same price 16 times, twice the limit; not after 15."""
    made = bench()
    for position in range(15):
        made.answer(position, 1.0, price_usd=0.002)
    assert surely_broken(made.arm, {"usd_per_1k_calls": 1.0}) == []
    made.answer(15, 1.0, price_usd=0.002)
    assert surely_broken(made.arm, {"usd_per_1k_calls": 1.0}) == ["usd_per_1k_calls is 2, above 1"]
    assert surely_broken(made.arm, {"usd_per_1k_calls": 2.5}) == []


def test_a_price_that_varies_around_its_limit_is_in_doubt(bench):
    """A mean a little above the limit may fall below it."""
    made = bench()
    for position in range(20):
        made.answer(position, 1.0, price_usd=(0.0001, 0.002)[position % 2])
    assert surely_broken(made.arm, {"usd_per_1k_calls": 1.0}) == []


def test_latency_is_tested_as_a_share_of_slow_calls(bench):
    """16 slow calls of 16 break a median and a 95th percentile; two slow ones of 16 break neither."""
    limits = {"latency_p50_s": 1.0, "latency_p95_s": 1.0}
    slow, quick = bench(), bench()
    for position in range(16):
        slow.answer(position, 1.0, latency=Latency(queue_s=0.0, total_s=3.0))
        total_s = 3.0 if position < 2 else 0.5
        quick.answer(position, 1.0, latency=Latency(queue_s=0.0, total_s=total_s))
    assert surely_broken(slow.arm, limits) == ["latency_p50_s is 3, above 1", "latency_p95_s is 3, above 1"]
    assert surely_broken(quick.arm, limits) == []


def test_without_limits_or_answers_nothing_is_broken(bench):
    """No limit, no doubt; and nothing is sure before the first answer."""
    arm = bench().arm
    limits = dict.fromkeys(
        ("usd_per_1k_calls", "latency_p95_s", "first_token_p50_s", "failure_rate", "unscored_rate"), 0.1
    )
    assert surely_broken(arm, {}) == []
    assert surely_broken(arm, limits) == []
