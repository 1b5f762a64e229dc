"""Limits: upper bounds held against the figures of a trial."""

from __future__ import annotations

import pytest

from harness.plan.aim_spec import WithinSpec
from harness.plan.limits import FIGURES, broken_limits
from harness.testing.builders import a_trial


def test_a_limit_is_kept_up_to_the_end():
    """The bound itself is allowed."""
    trial = a_trial(usd_per_1k_calls=2.0, failure_rate=0.02)
    assert broken_limits(trial, {"usd_per_1k_calls": 2.0, "failure_rate": 0.02}) == []


def test_broken_limits_are_named_with_figure_and_bound():
    """In the order of the aim."""
    trial = a_trial(usd_per_1k_calls=2.5, latency_p95_s=0.5, truncation_rate=0.25)
    limits = {"usd_per_1k_calls": 2.0, "latency_p95_s": 1.0, "truncation_rate": 0.1}
    assert broken_limits(trial, limits) == [
        "usd_per_1k_calls is 2.5, above 2",
        "truncation_rate is 0.25, above 0.1",
    ]


def test_an_unknown_figure_keeps_no_limit():
    """Nobody knows that it is small enough."""
    trial = a_trial(usd_per_1k_calls=None)
    assert broken_limits(trial, {"usd_per_1k_calls": 2.0}) == ["usd_per_1k_calls is unknown, the limit is 2"]


@pytest.mark.parametrize(
    ("price", "bound", "words"),
    [
        (123456.7, 99999999.0, []),
        (123456789.0, 99999999.0, ["usd_per_1k_calls is 123500000, above 99999999"]),
        (0.00001234, 0.00001, ["usd_per_1k_calls is 0.00001234, above 0.00001"]),
    ],
)
def test_figures_have_no_exponents(price, bound, words):
    """Large and small figures alike are read without counting zeros in the head."""
    assert broken_limits(a_trial(usd_per_1k_calls=price), {"usd_per_1k_calls": bound}) == words


@pytest.mark.parametrize("name", WithinSpec.model_fields)
def test_every_limit_of_a_spec_has_a_figure(name):
    """What a spec may bound can be looked up in a trial."""
    assert name in FIGURES
    assert isinstance(broken_limits(a_trial(), {name: 1.0}), list)
