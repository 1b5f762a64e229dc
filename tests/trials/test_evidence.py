"""Evidence: what an arm says about the answers it has seen, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.records import Latency
from harness.scores.metrics import compute
from harness.testing.builders import a_completion


def seen_mixed(bench):
    """Four samples, two repeats: right right, right wrong, failed right, unscored wrong."""
    bench.right(0, 1)
    bench.right(0, repeat=1)
    bench.wrong(1, repeat=1)
    bench.failed(2)
    bench.right(2, repeat=1)
    bench.answer(3, None)
    bench.wrong(3, repeat=1)
    return bench.arm


def test_what_brings_no_score_counts_as_wrong_when_the_spec_says_so(bench):
    """Repeats are averaged after failed and unscored answers became 0."""
    values = seen_mixed(bench(repeats=2)).quality_values()
    assert values[:4].tolist() == [1.0, 0.5, 0.5, 0.0]
    assert np.isnan(values[4:]).all()


def test_what_brings_no_score_is_left_out_when_the_spec_says_so(bench):
    """Repeats are averaged over those that have a score."""
    arm = seen_mixed(bench(repeats=2, failures="leave_out"))
    assert arm.quality_values()[:4].tolist() == [1.0, 0.5, 1.0, 0.0]


def test_a_sample_without_any_score_is_missing_when_left_out(bench):
    """Nothing is not zero."""
    made = bench(failures="leave_out")
    made.right(0, 1)
    made.failed(2)
    made.answer(3, None)
    assert np.isnan(made.arm.quality_values()[2:4]).all()
    assert made.arm.quality().n == 2


def test_accuracy_over_repeats_is_the_share_of_right_answers(bench):
    """A sample that was right once of two times counts half, not nothing."""
    arm = seen_mixed(bench(repeats=2))
    assert arm.quality().value == pytest.approx(0.5)
    assert arm.quality().n == 4


def test_accuracy_takes_full_marks_only(bench):
    """Half a mark is no right answer, in the figure that is shown and in the pairs that decide alike."""
    made = bench(metric="accuracy")
    made.answer(0, 0.5)
    made.answer(1, 1.0)
    assert made.arm.quality_values()[:2].tolist() == [0.0, 1.0]
    assert made.arm.quality().value == 0.5


def test_mean_takes_marks_as_they_are(bench):
    """The metric `mean` is the mean of the scores."""
    made = bench(metric="mean")
    for position, value in enumerate((0.25, 0.5, 1.0)):
        made.answer(position, value)
    assert made.arm.quality().value == pytest.approx(1.75 / 3)


def test_quality_needs_two_samples(bench):
    """One sample has no spread, so there is no estimate."""
    made = bench()
    assert made.arm.quality() is None
    made.right(0)
    assert made.arm.quality() is None
    made.wrong(1)
    assert made.arm.quality().value == 0.5


def test_quality_follows_new_answers(bench):
    """An estimate that was asked for before does not outlive the evidence."""
    made = bench()
    made.right(0, 1)
    assert made.arm.quality().value == 1.0
    made.wrong(2, 3)
    assert made.arm.quality().value == 0.5


def test_rates_are_shares_of_calls(bench):
    """Failed, unscored, cut off and cached answers are four counts over the calls made."""
    made = bench(repeats=2)
    arm = seen_mixed(made)
    made.answer(4, 1.0, finish_reason="length", cached=True)
    made.answer(4, 1.0, repeat=1)
    trial = arm.trial()
    assert (trial.failure_rate, trial.unscored_rate) == (0.1, 0.1)
    assert (trial.truncation_rate, trial.cached_rate) == (0.1, 0.1)
    assert trial.samples == 5


def test_where_every_call_failed_the_trial_says_why(bench):
    """The newest cause; with a single answer the rates say enough."""
    made = bench()
    made.failed(0)
    made.failed(1)
    told = made.arm.trial().reason
    assert told == f"every call failed, the last one with {made.arm.failure}"
    made.right(2)
    assert made.arm.trial().reason == ""


def test_an_arm_that_has_seen_nothing_knows_nothing(bench):
    """Unknown figures are None, and rates of no calls are 0."""
    trial = bench().arm.trial()
    assert trial.samples == 0
    assert trial.quality is None
    assert trial.usd_per_1k_calls is None
    assert trial.latency_p50_s is None
    assert trial.failure_rate == 0.0


def test_price_is_the_list_price_and_spent_what_was_paid(bench):
    """A cached answer has a price but was not paid again; an unknown price is not 0."""
    made = bench()
    made.answer(0, 1.0, price_usd=0.001)
    made.answer(1, 1.0, price_usd=0.003, cached=True)
    made.answer(2, 1.0, price_usd=None)
    trial = made.arm.trial()
    assert trial.usd_per_1k_calls == pytest.approx(2.0)
    assert trial.spent_usd == pytest.approx(0.001)


def test_an_arm_keeps_which_of_its_answers_were_paid(bench):
    """Read back, each answer is what it was to the run; older stores do not tell, and all are cached."""
    made, other, older = bench(), bench(), bench()
    made.answer(0, 1.0)
    made.answer(1, 1.0, cached=True)
    made.failed(2)
    text = made.arm.seen_text()
    other.arm.mark_seen(text)
    older.arm.mark_seen(text.partition(".")[0])
    assert other.arm.seen[:4, 0].tolist() == older.arm.seen[:4, 0].tolist() == [True, True, True, False]
    recalled = a_completion(cached=True, cached_usd=0.002)
    assert other.arm.as_seen(0, recalled) == replace(recalled, cached=False, cached_usd=0.0)
    assert other.arm.as_seen(1, recalled) == older.arm.as_seen(0, recalled) == recalled


def test_latencies_are_percentiles_of_answered_calls(bench):
    """Median and 95th percentile by linear interpolation; the first token has its own median."""
    made = bench()
    for position in range(11):
        latency = Latency(queue_s=9.0, total_s=1.0 + position, first_token_s=0.1 * (1 + position))
        made.answer(position, 1.0, latency=latency)
    made.failed(11)
    trial = made.arm.trial()
    assert (trial.latency_p50_s, trial.latency_p95_s) == pytest.approx((6.0, 10.5))
    assert trial.first_token_p50_s == pytest.approx(0.6)


@pytest.mark.parametrize(("failures", "expected"), [("count_as_wrong", 0.375), ("leave_out", 0.75)])
def test_further_scorers_follow_the_line_on_failures(bench, failures, expected):
    """A second scorer is averaged over all answers, or over those it could judge, as the spec says."""
    made = bench(failures=failures)
    made.answer(0, 1.0, others={"short": 1.0})
    made.answer(1, 1.0, others={"short": 0.5})
    made.answer(2, 1.0, others={"short": None})
    made.failed(3)
    assert made.arm.trial().metrics == {"short": pytest.approx(expected)}


def labelled(made, targets, answers):
    """One sample for each target; `None`: a failed call, "?": an answer without a label."""
    for position, (target, label) in enumerate(zip(targets, answers, strict=True)):
        made.note(position, target)
        if label is None:
            made.failed(position)
        elif label == "?":
            made.answer(position, None)
        else:
            made.answer(position, float(label == target), label=label)
    return made.arm


def test_macro_f1_by_hand(bench):
    """yes: 2 * 1 / (1 + 2) = 2/3; no: 2 * 2 / (3 + 2) = 4/5; their mean is 11/15."""
    arm = labelled(bench(metric="macro_f1"), ["yes", "yes", "no", "no"], ["yes", "no", "no", "no"])
    estimate = arm.quality()
    assert estimate.value == pytest.approx(11 / 15)
    assert estimate.n == 4
    assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize(
    ("failures", "targets", "labels"),
    [
        ("count_as_wrong", ["yes", "yes", "no", "no", "no"], ["yes", None, "no", None, "yes"]),
        ("leave_out", ["yes", "no", "no"], ["yes", "no", "yes"]),
    ],
)
def test_macro_f1_follows_the_line_on_failures(bench, failures, targets, labels):
    """Failed and unscored answers are wrong labels, or no answers at all."""
    made = bench(metric="macro_f1", failures=failures)
    arm = labelled(made, ["yes", "yes", "no", "no", "no"], ["yes", None, "no", "?", "yes"])
    assert arm.quality().value == pytest.approx(compute("macro_f1", [0.0] * len(targets), labels, targets))


def test_macro_f1_counts_every_repeat_and_draws_samples_as_a_whole(bench):
    """Repeats of one sample are one cluster."""
    made = bench(metric="macro_f1", repeats=2)
    for position, target in enumerate(["yes", "no", "yes"]):
        made.note(position, target)
        made.answer(position, 1.0, label=target)
        made.answer(position, float(target == "no"), label="no", repeat=1)
    estimate = made.arm.quality()
    labels, targets = ["yes", "no", "no", "no", "yes", "no"], ["yes", "yes", "no", "no", "yes", "yes"]
    assert estimate.value == pytest.approx(compute("macro_f1", [0.0] * 6, labels, targets))
    assert (estimate.n, estimate.clusters) == (3, 3)


def test_groups_are_clusters_and_the_others_stand_alone(bench):
    """Samples without a group are clusters of their own, beside named ones."""
    made = bench()
    for position, group in enumerate(["a", "a", None, "b", None]):
        made.note(position, "yes", group)
    made.right(0, 1, 2)
    made.wrong(3, 4)
    groups = made.arm.groups()
    assert groups[:2] == ["a", "a"]
    assert len(set(groups[:5])) == 4
    estimate = made.arm.quality()
    assert (estimate.n, estimate.clusters) == (5, 4)


def test_without_groups_there_are_no_clusters(bench):
    """When no sample has a group, none is made up."""
    made = bench()
    made.note(0, "yes")
    assert made.arm.groups() is None
