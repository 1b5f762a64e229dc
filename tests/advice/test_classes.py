"""One sentence says whether the largest class beats the smallest beyond noise, and what the gain costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.testing.finalists import a_choice, a_finalist

N = 200


def of_class(number, kind, *, right, price):
    """A finalist of this class that answers the first `right` of 200 confirm samples well."""
    made = a_finalist(number, confirm_values=(np.arange(N) < right) * 1.0, usd_per_1k_calls=price)
    return replace(
        made, confirm=replace(made.confirm, model_class=kind), search=replace(made.search, model_class=kind)
    )


def gain(*finalists):
    """The sentence on these."""
    return a_choice(finalists).class_gain


def test_a_real_gain_is_told_with_its_price_a_point():
    """30 of 200 samples more: 15 points, at 9 USD more per 1,000 calls, 0.6 USD a point."""
    told = gain(of_class(0, "SMALL", right=120, price=1.0), of_class(1, "LARGE", right=150, price=10.0))
    assert told.startswith("LARGE (trial 1, ")
    assert "beats SMALL (trial 0, " in told
    assert "beyond noise, by 15.0 points [" in told
    assert "on 200 samples of the confirm split, 95% interval" in told
    assert told.endswith("it costs 10 USD per 1,000 calls, against 1: 10 times as much, 0.6 USD a point.")


def test_a_gain_within_noise_is_none():
    """One sample more of 200 is no reason to pay ten times as much."""
    told = gain(of_class(0, "SMALL", right=120, price=1.0), of_class(1, "LARGE", right=121, price=10.0))
    assert "LARGE (trial 1, " in told
    assert "does not beat SMALL" in told
    assert "a point" not in told
    assert told.endswith("against 1: 10 times as much.")


def test_a_larger_class_may_be_worse():
    """The sentence does not hide it."""
    told = gain(of_class(0, "SMALL", right=150, price=1.0), of_class(1, "LARGE", right=100, price=10.0))
    assert "is worse than SMALL" in told


def test_one_class_alone_is_compared_with_nothing():
    """There is no sentence."""
    assert gain(of_class(0, "SMALL", right=120, price=1.0)) == ""
