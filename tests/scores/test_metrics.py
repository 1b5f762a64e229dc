"""Promises of the metrics."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StatsError, UsageError
from harness.scores.metrics import METRICS, compute, contributions, find_metric, quick_macro_f1, settle

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
    assert quick_macro_f1(predicted, targets) == pytest.approx(expected, abs=1e-9)


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


def test_every_metric_states_its_range():
    """Names, ranges and kinds are facts that other rooms read."""
    assert {name: metric.decomposable for name, metric in METRICS.items()} == {
        "mean": True,
        "accuracy": True,
        "macro_f1": False,
    }
    assert all((metric.low, metric.high) == (0, 1) and metric.description for metric in METRICS.values())
    assert find_metric("mean").name == "mean"


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
    with pytest.raises(StatsError, match=r"lengths \[2, 1, 2\]"):
        compute("macro_f1", [1, 1], ["a"], ["a", "a"])
    with pytest.raises(StatsError, match=r"lengths \[1, 2\]"):
        quick_macro_f1(["a"], ["a", "a"])


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
