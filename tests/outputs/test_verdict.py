"""What one sentence may claim."""

from __future__ import annotations

import pytest

from harness.findings import PairedDifference
from harness.outputs.verdict import reading, verdict


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.1, "better"),
        (-0.1, -0.001, "worse"),
        (-0.1, 0.1, "no clear difference"),
        (0.0, 0.1, "no clear difference"),
    ],
)
def test_only_an_interval_without_zero_tells_two_apart(make, low, high, said):
    """Zero at the end of an interval is still inside it."""
    assert reading(make.estimate((low + high) / 2, low, high)) == said


def test_a_choice_worse_than_the_default_says_so(make):
    """A cheap choice may be worse; the sentence does not hide it."""
    worse = PairedDifference(other=0, difference=make.estimate(-0.03, -0.05, -0.01))
    assert "; worse than the untuned default." in verdict(
        make.record(recommendation=make.recommendation(versus_default=worse))
    )


def test_unknown_price_and_latency_are_not_invented(make):
    """A price nobody knows is unknown, and a latency nobody measured is not mentioned."""
    trial = make.trial(2, split="confirm", usd_per_1k_calls=None, latency_p50_s=None)
    said = verdict(make.record(recommendation=make.recommendation(trial=trial)))
    assert "price unknown" in said
    assert "latency" not in said
