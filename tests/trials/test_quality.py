"""Quality by every metric, and what stands behind it, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.scores.choice import Choice
from harness.scores.combined import AllOf
from harness.scores.metrics import compute
from harness.scores.number import Number
from harness.stats.bounds import shared
from harness.stats.intervals import mean_interval, unvaried_limits, wilson
from harness.trials.groupings import Groupings
from harness.trials.quality import breakdown, measure_part


def filled(made, marks, *, language=("en", "de"), **more):
    """Samples in two languages by turns, right (1), wrong (0), failed (None)."""
    for position, mark in enumerate(marks):
        made.note(position, "yes", language=language[position % 2], **more)
        if mark is None:
            made.failed(position)
        else:
            made.answer(position, float(mark), label="yes" if mark else "no")
    return made.arm


MARKS = [1, 0, 1, 1, 1, 0, 1, 0, 1, None]


def test_slices_have_the_metric_with_intervals_that_hold_together(bench):
    """English 5 of 5, German 1 of 5; two slices share the error."""
    found = breakdown(filled(bench(), MARKS), 0.95)
    assert [(one.field, one.value, one.samples) for one in found.slices] == [
        ("language", "de", 5),
        ("language", "en", 5),
    ]
    german, english = (one.quality for one in found.slices)
    assert (german.value, english.value) == (pytest.approx(0.2), 1.0)
    expected = wilson(1, 5, shared(0.95, 2))
    assert (german.low, german.high) == pytest.approx((expected.low, expected.high))
    assert english.level == shared(0.95, 2)


def test_the_line_on_failures_gives_two_numbers_of_one_run(bench):
    """Six right, three wrong, one failed: 6 of 10, or 6 of 9; in the slice 1 of 5, or 1 of 4."""
    counted, left_out = (filled(bench(failures=line), MARKS) for line in ("count_as_wrong", "leave_out"))
    assert counted.quality().value == pytest.approx(6 / 10)
    assert left_out.quality().value == pytest.approx(6 / 9)
    assert breakdown(counted, 0.95).slices[0].quality.value == pytest.approx(1 / 5)
    assert breakdown(left_out, 0.95).slices[0].quality.value == pytest.approx(1 / 4)
    assert (breakdown(counted, 0.95).slices[0].samples, breakdown(left_out, 0.95).slices[0].samples) == (5, 4)


def test_a_slice_of_one_sample_has_no_quality(bench):
    """It is listed, and nothing is said of it."""
    made = bench()
    for position, kind in enumerate(["a", "a", "a", "b"]):
        made.note(position, "yes", kind=kind)
        made.right(position)
    assert [(one.value, one.samples, one.quality is None) for one in breakdown(made.arm, 0.9).slices] == [
        ("a", 3, False),
        ("b", 1, True),
    ]


def test_a_slice_within_one_cluster_has_no_quality(bench):
    """Alike samples tell nothing of the spread."""
    made = bench(metric="mean")
    for position, (kind, group) in enumerate([("a", "x"), ("a", "x"), ("b", "y"), ("b", "z")]):
        made.note(position, "yes", group, kind=kind)
        made.answer(position, 0.5 + position / 10)
    assert [one.quality is None for one in breakdown(made.arm, 0.9).slices] == [True, False]


def test_labels_of_a_hand_worked_case(bench):
    """yes: 2 of 3 found, 2 of 4 right among those given; the shares have Wilson's interval."""
    made = bench()
    pairs = [
        ("yes", "yes"),
        ("yes", "yes"),
        ("yes", "no"),
        ("no", "yes"),
        ("no", "no"),
        ("no", "yes"),
        ("no", None),
    ]
    for position, (target, label) in enumerate(pairs):
        made.note(position, target)
        if label is None:
            made.failed(position)
        else:
            made.answer(position, float(target == label), label=label)
    no, yes = breakdown(made.arm, 0.95).labels
    assert (yes.label, yes.targets, yes.given) == ("yes", 3, 4)
    assert yes.precision == wilson(2, 4, shared(0.95, 2))
    assert yes.recall == wilson(2, 3, shared(0.95, 2))
    assert dict(yes.confused) == {"yes": 2, "no": 1}
    assert (no.targets, no.given, dict(no.confused)) == (4, 2, {"yes": 2, "no": 1, "": 1})


def test_a_label_that_was_never_given_has_no_precision(bench):
    """0 of 0 is no figure."""
    made = bench()
    for position, target in enumerate(["yes", "no"]):
        made.note(position, target)
        made.answer(position, float(target == "yes"), label="yes")
    no, _ = breakdown(made.arm, 0.95).labels
    assert (no.precision, no.recall.value) == (None, 0)


def test_labels_of_one_cluster_have_no_interval(bench):
    """Two repeats of a sample are one piece of evidence."""
    made = bench(repeats=2)
    for position, target in enumerate(["yes", "no"]):
        made.note(position, target)
        for repeat in (0, 1):
            made.answer(position, 1.0, label=target, repeat=repeat)
    assert all(one.precision is None and one.recall is None for one in breakdown(made.arm, 0.95).labels)


def test_answers_without_labels_have_no_table(bench):
    """A scorer that reads none makes none."""
    made = bench(metric="mean")
    made.answer(0, 0.5)
    made.answer(1, 0.7)
    assert breakdown(made.arm, 0.95).labels == ()


@pytest.mark.parametrize(("metric", "of"), [("recall:yes", "targets"), ("precision:yes", "given")])
def test_the_share_of_a_rare_label_rests_on_its_own_answers(bench, metric, of):
    """Three of 24 are so, two of these found and right: two of three, not two of 24."""
    made = bench(metric=metric)
    for position in range(24):
        target = given = "yes" if position < 3 else "no"
        if position == 0:
            target, given = (target, "no") if of == "targets" else ("no", given)
        made.note(position, target)
        made.answer(position, float(given == target), label=given)
    found = made.arm.quality()
    expected = wilson(2, 3, 0.95)
    assert (found.value, found.low, found.high, found.n) == pytest.approx(
        (2 / 3, expected.low, expected.high, 3)
    )


def test_a_label_that_was_never_answered_has_no_precision_to_ship(bench):
    """0 of 0 is not measured, and no 0."""
    made = bench(metric="precision:yes")
    for position in range(10):
        made.note(position, "yes" if position < 2 else "no")
        made.answer(position, float(position >= 2), label="no")
    assert made.arm.quality() is None


def test_f1_without_variation_is_as_sure_as_its_rarest_label(bench):
    """Three rare ones, all right beside 23 others: more may be wrong than of 26 of one kind."""
    made = bench(metric="macro_f1")
    for position in range(26):
        made.note(position, "yes" if position < 3 else "no")
        made.answer(position, 1.0, label="yes" if position < 3 else "no")
    found = made.arm.quality()
    expected = unvaried_limits(1.0, 3, 0.95, low=0, high=1)
    assert (found.value, found.low, found.n) == (1.0, pytest.approx(expected.low), 26)


def test_clusters_and_labels_agree_with_a_jackknife_interval(bench):
    """Drawn twice, rows make partitions agree more than they do: the bootstrap of V-measure lies above it."""
    made = bench(metric="v_measure")
    for position in range(24):
        target = ("yes", "no")[position % 2]
        made.note(position, target)
        made.answer(position, 1.0, label=target if position % 5 else "yes")
    found = made.arm.quality()
    assert found.method == "jackknife t"
    assert found.low < found.value < found.high


def test_scores_are_kept_as_they_are(bench):
    """Seven digits would make full marks of 0.99999999, and 0.22222222 another number than in its row."""
    made = bench()
    made.answer(0, 0.99999999)
    made.answer(1, 1.0)
    assert made.arm.quality().value == 0.5
    graded = bench(metric="mean")
    for position in range(4):
        graded.answer(position, 2 / 9)
    assert graded.arm.quality().value == 2 / 9


def test_what_scorers_could_not_judge_is_counted_with_its_reasons(bench):
    """By scorer, of the answers that they were asked about, the most frequent reason first."""
    made = bench()
    for position, reason in enumerate(["late", "late", "torn", None]):
        made.note(position, "yes")
        made.answer(position, None if reason else 1.0, label=None, reason=reason or "")
    (found,) = breakdown(made.arm, 0.95).unscored
    assert (found.decides, found.answers, found.of) == (True, 3, 4)
    assert list(found.reasons.items()) == [("late", 2), ("torn", 1)]


def numbers_read(made, scorers):
    """Two samples whose answers were read as numbers, judged by these scorers."""
    task = replace(made.arm.board.plan.task, scorers=scorers)
    part = replace(made.arm.board.parts[0], task=task)
    made.arm.board.parts = (part,)
    for position, target in enumerate(["4", "12"]):
        made.note(position, target)
        made.answer(position, 1.0, label=target)
    return breakdown(made.arm, 0.95).labels


@pytest.mark.parametrize("scorers", [(Number(),), (AllOf((Number(), Choice(("4", "12")))),)])
def test_computed_numbers_are_no_classes(bench, scorers):
    """A result that was computed is right or wrong; there is no recall of the 12s."""
    assert numbers_read(bench(), scorers) == ()


def test_numbers_are_classes_where_the_metric_says_so(bench):
    """Grades from 1 to 5 under macro F1 are labels."""
    assert [one.label for one in numbers_read(bench(metric="macro_f1"), (Number(),))] == ["12", "4"]


def test_further_scorers_have_an_interval(bench):
    """The mean of each, under the line on failures."""
    made = bench()
    for position, value in enumerate([0.2, 0.4, 0.9]):
        made.answer(position, 1.0, others={"rouge": value})
    made.failed(3)
    found = breakdown(made.arm, 0.9).scorers
    assert found == {"rouge": mean_interval([0.2, 0.4, 0.9, 0.0], level=0.9)}
    assert made.arm.trial().metrics == {"rouge": pytest.approx(1.5 / 4)}


@pytest.mark.parametrize(
    "metric", ["micro_f1", "kappa", "precision:yes", "recall:no", "f1:yes", "macro_f1", "v_measure"]
)
def test_metrics_over_labels_have_the_value_of_the_definition_and_an_interval(bench, metric):
    """Samples are drawn as a whole; the value is scikit-learn's."""
    made = bench(metric=metric)
    targets = ["yes", "yes", "no", "no", "no", "yes", "no", "yes", "no", "no"]
    given = ["yes", "no", "no", None, "no", "yes", "yes", "yes", "no", "no"]
    for position, (target, label) in enumerate(zip(targets, given, strict=True)):
        made.note(position, target)
        made.answer(position, float(target == label), label=label)
    estimate = made.arm.quality()
    assert estimate.value == pytest.approx(compute(metric, (), given, targets), abs=1e-9)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.n == {"precision:yes": 4, "recall:no": 6}.get(metric, 10)


def test_spearman_reads_labels_as_numbers(bench):
    """From -1 on; two of four in order."""
    made = bench(metric="spearman")
    for position, (target, label) in enumerate([("1", "4"), ("2", "3"), ("3", "2"), ("4", "1.5")]):
        made.note(position, "yes")
        made.arm.board.targets[position] = target
        made.answer(position, 0.0, label=label)
    estimate = made.arm.quality()
    assert estimate.value == -1
    assert -1 <= estimate.low <= estimate.high <= 1


@pytest.mark.parametrize(("metric", "values"), [("pass@2", [1, 2 / 3, 0]), ("pass^2", [1, 0, 0])])
def test_passes_count_samples_and_settle_failures(bench, metric, values):
    """All three right; one right, one wrong, one failed; none. A failed answer is no pass."""
    made = bench(metric=metric, repeats=3)
    made.right(0, repeat=0)
    made.right(0, repeat=1)
    made.right(0, repeat=2)
    made.right(1, repeat=0)
    made.wrong(1, repeat=1)
    made.failed(1, repeat=2)
    for repeat in range(3):
        made.answer(2, 0.5, repeat=repeat)
    made.right(3, repeat=0)
    found = made.arm.quality_values()
    assert found[:3] == pytest.approx(values)
    assert np.isnan(found[3:]).all()
    assert made.arm.quality().value == pytest.approx(sum(values) / 3)


def test_the_worst_group_has_an_interval_that_allows_for_looking_at_all(bench):
    """German 1 of 5; its ends are the lowest of both groups' at the shared level."""
    arm = filled(bench(metric="worst_group:language"), MARKS, size="s")
    estimate = arm.quality()
    german, english = wilson(1, 5, shared(0.95, 2)), wilson(5, 5, shared(0.95, 2))
    assert estimate.value == pytest.approx(0.2)
    assert (estimate.low, estimate.high) == pytest.approx((german.low, min(german.high, english.high)))
    assert (estimate.n, estimate.method) == (10, "lowest of 2, Wilson")
    assert measure_part(arm, arm.board.parts[0], 0.95, np.zeros(len(arm.seen), bool)) is None


def test_without_groups_there_is_no_worst_one(bench):
    """Nothing is made up."""
    made = bench(metric="worst_group:language")
    made.right(0, 1, 2)
    assert made.arm.quality() is None


def test_fields_of_many_values_are_no_groups_unless_they_are_named():
    """An identifier divides samples one by one."""
    auto, named = Groupings(20, None), Groupings(20, ("id",))
    for position in range(20):
        metadata = {"id": position, "vip": position < 3, "tags": ["a"], "note": None, "same": "x"}
        auto.note(position, metadata)
        named.note(position, metadata)
    assert auto.slices() == [("vip", "false"), ("vip", "true")]
    assert auto.of("vip")[:4] == ["true", "true", "true", "false"]
    assert len(named.slices()) == 20
    assert named.of("vip") == [None] * 20


def test_values_with_a_common_beginning_are_two_slices():
    """Also a number and its text, which are two values of JSON."""
    found, long = Groupings(4, None), "a customer of the wholesale business in the north of the country, "
    for position, (segment, code) in enumerate(
        [(f"{long}by mail", 1), (f"{long}by phone", "1"), (f"{long}by mail", "x"), (f"{long}by mail", 1)]
    ):
        found.note(position, {"segment": segment, "code": code})
    assert found.of("segment") == [f"{long}by mail", f"{long}by phone", f"{long}by mail", f"{long}by mail"]
    assert found.of("code") == ["1", '"1"', "x", "1"]
    assert found.slices()[:3] == [("code", '"1"'), ("code", "1"), ("code", "x")]
