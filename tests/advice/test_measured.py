"""What has to be said beside a measurement."""

from __future__ import annotations

import pytest

from harness.advice.measured import caveats, rate_caveats
from harness.testing.builders import a_trial, an_estimate


def test_a_sound_measurement_needs_no_word():
    """200 samples, nothing failed, all limits kept."""
    assert caveats(a_trial(), {"latency_p95_s": 1.0}, None) == []


def test_few_samples_say_little():
    """The interval says what they say."""
    trial = a_trial(quality=an_estimate(0.8, low=0.5, high=0.95, n=12))
    assert caveats(trial, {}, None) == [
        "Only 12 samples measure this: all they can say is 0.50 to 0.95. Use more samples before you ship."
    ]


def test_limits_that_are_missed_are_named():
    """With figure and limit."""
    assert caveats(a_trial(), {"usd_per_1k_calls": 0.01}, None) == [
        "It misses limits of the aim: usd_per_1k_calls is 0.014, above 0.01."
    ]


@pytest.mark.parametrize(("split", "flattered"), [("all", True), ("search", True), ("confirm", False)])
def test_samples_that_chose_the_settings_flatter_them(split, flattered):
    """Only the confirm split took no part in the choice."""
    said = caveats(a_trial(split=split), {}, "run-7")
    assert [text.startswith("Run run-7 chose these settings") for text in said] == [True] * flattered


def test_lost_answers_are_told_as_shares():
    """Cut off above 2 %, failed and unjudged from the first."""
    assert rate_caveats(a_trial(truncation_rate=0.02)) == []
    said = rate_caveats(a_trial(truncation_rate=0.25, failure_rate=0.015, unscored_rate=0.1))
    assert said == [
        "25% of the answers were cut off at max_output_tokens; what came after the cut was not judged.",
        "1.5% of the calls failed.",
        "10.0% of the answers could not be judged.",
    ]


def test_nothing_measured_breaks_nothing():
    """A quality that is unknown has no interval to speak of."""
    assert caveats(a_trial(quality=None, samples=0), {}, None) == []
