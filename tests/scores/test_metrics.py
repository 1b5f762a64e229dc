"""Promises of the metrics."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from harness.errors import StatsError, UsageError
from harness.scores.metrics import METRICS, compute, contributions, find_metric, numbers_of, passes, settle
from harness.stats.tables import ONE_LABEL, WHOLE_TABLE

LABELS = st.sampled_from(["a", "b", "c"])
PAIRS = st.lists(st.tuples(LABELS, st.none() | LABELS | st.just("elsewhere")), min_size=1, max_size=30)


def test_mean_and_accuracy_of_a_hand_worked_case():
    """Accuracy counts full marks only."""
    assert compute("mean", [1, 0.5, 0, 0.5]) == 0.5
    assert compute("accuracy", [1, 0.5, 0, 0.5]) == 0.25


def test_the_mean_is_exact():
    """Ten tenths make a tenth, not a little more or less."""
    assert compute("mean", [0.1] * 10) == 0.1


def test_macro_f1_of_a_hand_worked_case():
    """F1 of a: 2 of 2 found with 1 false alarm, 0.8; of b: 1 of 2 found, 2/3; the missing one is wrong."""
    targets = ["a", "a", "b", "b", "b"]
    predicted = ["a", "a", "b", "a", None]
    assert compute("macro_f1", [1, 1, 1, 0, 0], predicted, targets) == pytest.approx((0.8 + 0.5) / 2)


def test_a_label_outside_the_targets_is_wrong_but_no_class_of_its_own():
    """Otherwise one invented label would pull the average down by a whole class."""
    assert compute("macro_f1", [1, 0], ["a", "zebra"], ["a", "a"]) == pytest.approx(2 / 3)


def test_macro_f1_without_a_single_hit_is_zero():
    """0 / 0 counts as 0, without a warning."""
    assert compute("macro_f1", [0, 0], [None, None], ["a", "b"]) == 0


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_macro_f1_agrees_with_scikit_learn(pairs):
    """The same figure as scikit-learn's own on the plain labels."""
    from sklearn.metrics import f1_score

    targets = [target for target, _ in pairs]
    predicted = [label for _, label in pairs]
    expected = f1_score(
        targets,
        [label or "no label" for label in predicted],
        labels=sorted(set(targets)),
        average="macro",
        zero_division=0,
    )
    assert compute("macro_f1", [0.0] * len(pairs), predicted, targets) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["mean", "accuracy"]))
@settings(deadline=None)
def test_a_decomposable_metric_is_the_mean_of_its_contributions(values, name):
    """That is what makes intervals and paired differences of it valid."""
    shares = contributions(name, values)
    assert compute(name, values) == pytest.approx(sum(shares) / len(shares))
    assert 0 <= compute(name, values) <= 1


def test_a_metric_that_is_no_mean_has_no_contributions():
    """A single answer has no F1."""
    with pytest.raises(StatsError, match="not a mean over answers"):
        contributions("macro_f1", [1, 0])


def test_an_unknown_metric_is_named_with_the_valid_ones():
    """The message lists what there is and guesses what was meant."""
    with pytest.raises(UsageError, match=r"unknown metric 'acuracy'.*did you mean 'accuracy'\?"):
        compute("acuracy", [1])


def test_every_metric_states_its_range_and_what_it_reads():
    """Names, ranges and kinds are facts that other rooms read."""
    assert {name: metric.reads for name, metric in METRICS.items()} == {
        "mean": "scores",
        "accuracy": "scores",
        "macro_f1": "labels",
        "micro_f1": "labels",
        "kappa": "labels",
        "precision:LABEL": "labels",
        "recall:LABEL": "labels",
        "f1:LABEL": "labels",
        "spearman": "numbers",
        "average_precision": "numbers",
        "best_f1": "numbers",
        "v_measure": "labels",
        "pass@K": "repeats",
        "pass^K": "repeats",
        "worst_group:FIELD": "groups",
    }
    assert {name for name, metric in METRICS.items() if metric.low < 0} == {"kappa", "spearman"}
    assert all(metric.high == 1 and metric.description for metric in METRICS.values())
    assert find_metric("mean").name == "mean"


@pytest.mark.parametrize(
    ("name", "kind", "argument", "description"),
    [
        ("recall:urgent", "recall", "urgent", "share of targets 'urgent' that were answered so"),
        ("precision: not a bug", "precision", "not a bug", "share of right ones among answers 'not a bug'"),
        ("pass@3", "pass@", "3", "chance that one of 3 answers to a sample has full marks"),
        ("pass^10", "pass^", "10", "chance that all of 10 answers to a sample have full marks"),
        ("worst_group:language", "worst_group", "language", "lowest mean of the scores among the groups"),
    ],
)
def test_a_metric_of_two_parts_is_read(name, kind, argument, description):
    """The second part is the spec's own."""
    metric = find_metric(name)
    assert (metric.kind, metric.argument) == (kind, argument)
    assert metric.description.startswith(description)
    assert metric.k == (int(argument) if kind.startswith("pass") else 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pass@K", "needs a whole number from 1 to 1000 for K, as in 'pass@3'"),
        ("pass^0", "needs a whole number from 1"),
        ("pass@5000", "needs a whole number from 1 to 1000"),
        ("recal:urgent", "unknown metric 'recal:urgent'; expected one of: mean, .*recall:LABEL"),
        ("recall", "unknown metric 'recall'"),
    ],
)
def test_a_second_part_that_makes_no_sense_is_refused(name, message):
    """With the form that was expected."""
    with pytest.raises(UsageError, match=message):
        find_metric(name)


TARGETS = ["a", "a", "a", "b", "b", "c"]
GIVEN = ["a", "a", "b", "b", None, "zebra"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("micro_f1", 2 * 3 / (6 + 4)),
        ("kappa", (3 / 6 - (3 * 2 + 2 * 2) / 36) / (1 - (3 * 2 + 2 * 2) / 36)),
        # Entropies: targets 3, 2, 1; labels 2, 2, 1, 1; together 2, 1, 1, 1, 1.
        ("v_measure", 2 / 3),
        ("precision:a", 1.0),
        ("precision:b", 1 / 2),
        ("recall:a", 2 / 3),
        ("recall:b", 1 / 2),
        ("recall:c", 0.0),
        ("f1:a", 2 * 2 / (3 + 2)),
        ("f1:nowhere", 0.0),
        ("precision:nowhere", 0.0),
    ],
)
def test_metrics_over_labels_of_a_hand_worked_case(name, value):
    """Three of six right; an answer without a label, and one with a label that no target has."""
    assert compute(name, (), GIVEN, TARGETS) == pytest.approx(value, abs=1e-9)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_quick_figures_agree_with_scikit_learn(pairs):
    """What is resampled is what is shown, to nine digits."""
    targets, predicted = [target for target, _ in pairs], [label for _, label in pairs]
    labels = sorted({*targets, *(label for label in predicted if label is not None)})
    table = np.zeros((len(labels), len(labels) + 1))
    for target, label in pairs:
        table[labels.index(target), len(labels) if label is None else labels.index(label)] += 1
    for name, figure in WHOLE_TABLE.items():
        assert figure(table) == pytest.approx(compute(name, (), predicted, targets), abs=1e-9)
    for kind, figure in ONE_LABEL.items():
        for place, label in enumerate(labels):
            expected = compute(f"{kind}:{label}", (), predicted, targets)
            assert figure(table, place) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_spearman_agrees_with_scipy(pairs):
    """Ties share their rank; a column that does not vary gives 0."""
    first, second = zip(*pairs, strict=True)
    varies = len(set(first)) > 1 and len(set(second)) > 1
    expected = float(spearmanr(first, second).statistic) if varies else 0.0
    found = compute("spearman", (), [str(one) for one in first], [str(one) for one in second])
    assert found == pytest.approx(expected, abs=1e-9)


def test_pairs_are_told_by_numbers_against_targets_of_1_and_0():
    """Three of the four pairs that belong together before the first other one; the last one behind it."""
    given, targets = ["0.9", "0.8", "0.8", "0.5", "0.4"], ["1", "1", "1", "0", "1"]
    assert compute("average_precision", (), given, targets) == pytest.approx(3 / 4 + 1 / 4 * 4 / 5)
    assert compute("best_f1", (), given, targets) == pytest.approx(2 * 4 / (5 + 4))
    with pytest.raises(StatsError, match=r"the second column holds 0\.5"):
        compute("best_f1", (), given, ["1", "0.5", "1", "0", "1"])


def test_spearman_takes_what_is_no_number_as_the_middle():
    """It says nothing of the order: 1, 2, none, 4 against 1 to 4 is 1, 2, 2, 4 with a tie."""
    assert numbers_of(["1", None, "40%", "inf", "x"]) == [1.0, 20.5, 40.0, 20.5, 20.5]
    assert numbers_of([None, "x"]) == [0.0, 0.0]
    expected = float(spearmanr([1, 2, 2, 4], [1, 2, 3, 4]).statistic)
    assert compute("spearman", (), ["1", "2", None, "4"], ["1", "2", "3", "4"]) == pytest.approx(expected)


def drawn(values: list[int], k: int, judge) -> float:
    """How often K of the answers, drawn without replacement, satisfy: by trying all draws."""
    draws = list(combinations(values, k))
    return sum(judge(draw) for draw in draws) / len(draws)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=7), st.integers(1, 7))
@settings(deadline=None)
def test_passes_are_what_all_draws_say(values, k):
    """The unbiased estimators, against every way to draw K of n."""
    hits, n = sum(values), len(values)
    if n < k:
        assert passes(find_metric(f"pass@{k}"), hits, n) is None
        return
    assert passes(find_metric(f"pass@{k}"), hits, n) == pytest.approx(drawn(values, k, any), abs=1e-9)
    assert passes(find_metric(f"pass^{k}"), hits, n) == pytest.approx(drawn(values, k, all), abs=1e-9)


def test_pass_at_k_of_a_hand_worked_case():
    """Of 4 answers 1 is right: one of two drawn is in 1/2, both never. Samples of one answer are left out."""
    values, groups = [1, 0, 0, 0.5, 1, 1, 1, 1, 1], ["a"] * 4 + ["b"] * 4 + ["c"]
    assert compute("pass@2", values, groups=groups) == pytest.approx((1 / 2 + 1) / 2)
    assert compute("pass^2", values, groups=groups) == pytest.approx((0 + 1) / 2)
    with pytest.raises(StatsError, match="of no answers"):
        compute("pass@5", values, groups=groups)


def test_the_worst_group_of_a_hand_worked_case():
    """The lowest of the means."""
    assert compute("worst_group:lang", [1, 1, 0, 0.5, 1], groups=["en", "en", "de", "de", "fr"]) == 0.25


@pytest.mark.parametrize("name", ["mean", "accuracy", "macro_f1"])
def test_a_metric_of_no_answers_is_an_error(name):
    """Nothing measured is not 0."""
    with pytest.raises(StatsError, match="of no answers"):
        compute(name, [])


@pytest.mark.parametrize("name", ["mean", "accuracy"])
def test_a_metric_over_values_refuses_what_was_not_settled(name):
    """What a missing value means is the spec's decision."""
    with pytest.raises(StatsError, match="value 1 is None"):
        compute(name, [1, None], ["a", None], ["a", "a"])


def test_columns_of_different_lengths_are_refused():
    """One value, one label and one target for each answer."""
    with pytest.raises(StatsError, match=r"lengths \[1, 2\]"):
        compute("macro_f1", [1, 1], ["a"], ["a", "a"])
    with pytest.raises(StatsError, match=r"lengths \[2, 1\]"):
        compute("worst_group:x", [1, 1], groups=["a"])


def test_count_as_wrong_makes_failed_and_unscored_answers_zero():
    """They stay in, with value 0 and no label, even where one was read."""
    settled = settle([1, None, 0.5], ["a", "b", "c"], ["a", "b", "c"], failures="count_as_wrong")
    assert settled.values == (1, 0, 0.5)
    assert settled.predicted == ("a", None, "c")
    assert settled.targets == ("a", "b", "c")
    assert settled.kept == (0, 1, 2)


def test_leave_out_removes_failed_and_unscored_answers():
    """What is left is told by position, so that clusters can follow."""
    settled = settle([1, None, 0.0], ["a", "b", "c"], ["a", "b", "c"], failures="leave_out")
    assert (settled.values, settled.predicted) == ((1, 0), ("a", "c"))
    assert (settled.targets, settled.kept) == (("a", "c"), (0, 2))


def test_settle_refuses_columns_of_different_lengths():
    """A shifted column would pair answers with the targets of others."""
    with pytest.raises(StatsError, match="one of each per answer"):
        settle([1], [], ["a"], failures="leave_out")


def test_scores_load_neither_numpy_nor_scikit_learn():
    """Reading a spec stays fast."""
    modules = "harness.scores.scorer, harness.scores.metrics"
    check = f"import sys, {modules}; print(sorted({{'numpy', 'sklearn', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
