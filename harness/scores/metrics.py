"""Add up the scores of many answers to one figure.

In: values, predicted labels and targets, one per answer. Out: a number from 0 to 1. What failed and
unscored answers count is the spec's word, passed in as `failures`; nothing here assumes one.
The only module that may load scikit-learn, and only when a metric asks for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import StatsError
from harness.scores.naming import unknown_name

Failures = Literal["count_as_wrong", "leave_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure over many answers. low and high: its range, ends included; high is best.

    decomposable: it is the mean of one number per answer, see `contributions`.
    """

    name: str
    description: str
    low: float = 0.0
    high: float = 1.0
    decomposable: bool = True


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="mean", description="mean of the scores"),
        Metric(name="accuracy", description="share of answers with full marks, a score of 1"),
        Metric(
            name="macro_f1",
            description="F1 of each label among the targets, averaged with equal weight; "
            "an answer without a label is a wrong label",
            decomposable=False,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Answers after failed and unscored ones were settled: no value is `None` any more.

    kept: positions, in the arrays given, of the answers that are left; all when nothing is left out.
    """

    values: tuple[float, ...]
    predicted: tuple[str | None, ...]
    targets: tuple[str, ...]
    kept: tuple[int, ...]


def find_metric(name: str) -> Metric:
    """The metric of this name. Raises UsageError that lists the valid names."""
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return METRICS[name]


def settle(
    values: Sequence[float | None],
    predicted: Sequence[str | None],
    targets: Sequence[str],
    *,
    failures: Failures,
) -> Settled:
    """The arrays that quality is computed from, under the spec's line on failures.

    values: one per answer; `None` where the call failed or the answer could not be judged. Both follow
    the one line: "count_as_wrong" makes them value 0 with no label, "leave_out" removes them.
    Raises StatsError when the lengths differ.
    """
    _same_length(values, predicted, targets)
    kept = tuple(i for i, value in enumerate(values) if value is not None or failures == "count_as_wrong")
    return Settled(
        values=tuple(values[i] or 0.0 for i in kept),
        predicted=tuple(predicted[i] if values[i] is not None else None for i in kept),
        targets=tuple(targets[i] for i in kept),
        kept=kept,
    )


def contributions(name: str, values: Sequence[float | None]) -> tuple[float, ...]:
    """One number per answer, in order, whose mean is the metric: what intervals and pairs are made of.

    Raises UsageError for an unknown metric, StatsError for one that is no mean of single answers, and
    for a value that is `None`.
    """
    if not find_metric(name).decomposable:
        raise StatsError(
            f"metric {name!r} is not a mean over answers, so single answers have no share in it; "
            "resample whole answers instead"
        )
    return tuple(float(value == 1.0) for value in _known(values)) if name == "accuracy" else _known(values)


def compute(
    name: str,
    values: Sequence[float | None],
    predicted: Sequence[str | None] = (),
    targets: Sequence[str] = (),
) -> float:
    """The metric of these answers, from 0 to 1.

    values: scores, settled beforehand. predicted, targets: labels, for metrics over labels; `None` is
    an answer without a label, and wrong. Metrics over labels look at no values, so that what is to be
    left out has to be left out of the arrays. Raises UsageError for an unknown metric; StatsError without
    answers, for a value that is `None` where values count, and for arrays of different lengths.
    """
    metric = find_metric(name)
    if metric.decomposable:
        shares = contributions(name, values)
        _some(name, len(shares))
        return math.fsum(shares) / len(shares)
    _same_length(values, predicted, targets)
    _some(name, len(targets))
    return _macro_f1(predicted, targets)


def quick_macro_f1(predicted: Sequence[str | None], targets: Sequence[str]) -> float:
    """The figure of `compute("macro_f1", ...)` in plain arithmetic, for resampling.

    A bootstrap asks thousands of times, and scikit-learn takes 2 ms to check its input, 40 times as
    long as the counting. Raises StatsError without answers and for different lengths.
    Source: F1 = 2 hits / (predicted + targets), van Rijsbergen 1979, chapter 7; averaged over labels.
    """
    _same_length(predicted, targets)
    _some("macro_f1", len(targets))
    wanted, named = Counter(targets), Counter(predicted)
    hits = Counter(target for label, target in zip(predicted, targets, strict=True) if label == target)
    return math.fsum(2 * hits[label] / (named[label] + wanted[label]) for label in wanted) / len(wanted)


def _macro_f1(predicted: Sequence[str | None], targets: Sequence[str]) -> float:
    """Source: `sklearn.metrics.f1_score`, average "macro" over the labels of the targets, 0 for 0/0."""
    # A second or two of import, which the other metrics never pay.
    from sklearn.metrics import f1_score

    codes = {label: code for code, label in enumerate(sorted(set(targets)))}
    return float(
        f1_score(
            [codes[target] for target in targets],
            [-1 if label is None else codes.get(label, -1) for label in predicted],
            labels=list(codes.values()),
            average="macro",
            zero_division=0,  # pyright: ignore[reportArgumentType] - the stub forgets 0, 1 and NaN
        )
    )


def _known(values: Sequence[float | None]) -> tuple[float, ...]:
    known = tuple(value for value in values if value is not None)
    if len(known) < len(values):
        raise StatsError(
            f"value {list(values).index(None)} is None; settle failed and unscored answers first, "
            "as the spec's line `failures` says"
        )
    return known


def _some(name: str, n: int) -> None:
    if n == 0:
        raise StatsError(f"metric {name!r} of no answers; at least one has to be answered and scored")


def _same_length(*columns: Sequence[object]) -> None:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise StatsError(
            f"values, labels and targets have lengths {lengths}; expected one of each per answer"
        )
