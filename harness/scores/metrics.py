"""Add up the scores of many answers to one figure.

In: values, predicted labels and targets, one per answer. Out: a number in the metric's range. What failed and
unscored answers count is the spec's word, passed in as `failures`; nothing here assumes one.
The only module that may load scikit-learn, and only when a metric asks for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.errors import StatsError, UsageError
from harness.scores.naming import unknown_name

Failures = Literal["count_as_wrong", "leave_out"]
Reads = Literal["scores", "repeats", "labels", "numbers", "groups", "pairs", "vectors", "clusters", "hits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure over many answers. low and high: its range, ends included; high is best.

    reads: what it is computed from. "scores": the mean of one number per answer; "repeats": the mean of one
    number per sample; "labels": labels that the first scorer reads; "numbers": such labels as numbers;
    "groups": the scores of each group; the others belong to embeddings, see `vector_metrics`: "pairs":
    similarities; "vectors": labels found from vectors; "clusters"; "hits": texts that a cache finds. kind and
    argument: the parts of a name that has two, as in `recall:urgent` and `pass@5`.
    """

    name: str
    description: str
    low: float = 0.0
    high: float = 1.0
    reads: Reads = "scores"
    kind: str = ""
    argument: str = ""

    @property
    def decomposable(self) -> bool:
        """Whether single answers have a share in it, see `contributions`."""
        return self.reads == "scores"

    @property
    def of_labels(self) -> bool:
        """Whether it looks at the labels of answers, not at their scores."""
        return self.reads in ("labels", "numbers")

    @property
    def of_marks(self) -> bool:
        """Whether its targets are marks, 1 or 0."""
        return self.name in ("average_precision", "best_f1")

    @property
    def k(self) -> int:
        """How many repeats it needs."""
        return int(self.argument) if self.reads == "repeats" else 1


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="mean", description="mean of the scores"),
        Metric(name="accuracy", description="share of answers with full marks, a score of 1"),
        Metric(
            name="macro_f1",
            description="F1 of each label among the targets, averaged with equal weight; "
            "an answer without a label is a wrong label",
            reads="labels",
        ),
        Metric(
            name="micro_f1",
            description="F1 of all labels among the targets together; an answer without a label is missed",
            reads="labels",
        ),
        Metric(
            name="kappa",
            description="agreement of labels and targets beyond chance (Cohen); no label is one more label",
            low=-1.0,
            reads="labels",
        ),
        Metric(name="precision:LABEL", description="share of right ones among answers LABEL", reads="labels"),
        Metric(
            name="recall:LABEL", description="share of targets LABEL that were answered so", reads="labels"
        ),
        Metric(name="f1:LABEL", description="F1 of LABEL alone", reads="labels"),
        Metric(
            name="spearman",
            description="rank correlation of the numbers in answers and targets; an answer without a number "
            "takes the middle rank",
            low=-1.0,
            reads="numbers",
        ),
        Metric(
            name="average_precision",
            description="precision at each number of the answers from the top down, weighted by what recall "
            "gains; targets are 1 for what belongs together and 0 for what does not; equal numbers count "
            "together",
            reads="numbers",
        ),
        Metric(
            name="best_f1",
            description="F1 from the number up that makes it largest, with targets of 1 and 0; chosen on the "
            "same answers, so it flatters",
            reads="numbers",
        ),
        Metric(
            name="v_measure",
            description="how far clusters, the labels of answers, are the same partition as the targets; "
            "names of clusters say nothing",
            reads="labels",
        ),
        Metric(
            name="pass@K",
            description="chance that one of K answers to a sample has full marks, from K or more repeats "
            "(unbiased, Chen et al. 2021)",
            reads="repeats",
        ),
        Metric(
            name="pass^K",
            description="chance that all of K answers to a sample have full marks, from K or more repeats "
            "(unbiased, Yao et al. 2024)",
            reads="repeats",
        ),
        Metric(
            name="worst_group:FIELD",
            description="lowest mean of the scores among the groups of a metadata field, those of one sample "
            "left out",
            reads="groups",
        ),
    )
}
PARTS = re.compile(r"(?P<kind>pass[@^]|[a-z0-9_]+:)(?P<argument>.+)", re.DOTALL)


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
    parts = PARTS.fullmatch(name)
    if parts is None:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
        return METRICS[name]
    kind, argument = parts["kind"], parts["argument"].strip()
    general = next((one for one in METRICS.values() if one.name.startswith(kind)), None)
    if general is None:
        raise unknown_name("metric", name, METRICS)
    placeholder = general.name.removeprefix(kind)
    if general.reads == "repeats" and not (argument.isdecimal() and 1 <= int(argument) <= 1000):
        raise UsageError(f"metric {name!r} needs a whole number from 1 to 1000 for K, as in '{kind}3'")
    return replace(
        general,
        name=f"{kind}{argument}",
        kind=kind.rstrip(":"),
        argument=argument,
        description=re.sub(
            rf"\b{placeholder}\b",
            lambda _: argument if general.reads == "repeats" else repr(argument),
            general.description,
        ),
    )


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
    groups: Sequence[object] = (),
) -> float:
    """The metric of these answers, in its range.

    values: scores, settled beforehand. predicted, targets: labels, for metrics over labels; `None` is an
    answer without a label, and wrong. Metrics over labels look at no values, so that what is to be left out
    has to be left out of the arrays. groups: of each answer; its sample for `pass@K` and `pass^K`, its group
    for `worst_group`. Raises UsageError for an unknown metric; StatsError without answers, for a value that
    is `None` where values count, and for arrays of different lengths.
    """
    metric = find_metric(name)
    if metric.decomposable:
        shares = contributions(name, values)
        _some(name, len(shares))
        return math.fsum(shares) / len(shares)
    if metric.of_labels:
        _same_length(predicted, targets)
        _some(name, len(targets))
        return _over_labels(metric, predicted, targets)
    _same_length(values, groups)
    _some(name, len(values))
    gathered: dict[object, list[float]] = {}
    for value, group in zip(_known(values), groups, strict=True):
        gathered.setdefault(group, []).append(value)
    if metric.reads == "groups":
        return min(math.fsum(scores) / len(scores) for scores in gathered.values())
    passed = [(sum(score == 1.0 for score in scores), len(scores)) for scores in gathered.values()]
    known = [share for hits, n in passed if (share := passes(metric, hits, n)) is not None]
    _some(name, len(known))
    return math.fsum(known) / len(known)


def passes(metric: Metric, hits: int, n: int) -> float | None:
    """What one sample adds to `pass@K` or `pass^K`, from 0 to 1; `None` with fewer answers than K.

    1 - C(n - hits, K) / C(n, K) and C(hits, K) / C(n, K): how often K of the n answers, drawn without
    replacement, hold a right one, or nothing else. Source: Chen et al. 2021, arXiv 2107.03374, equation 1;
    Yao et al. 2024, arXiv 2406.12045, section 3.
    """
    k = metric.k
    if n < k:
        return None
    if metric.kind == "pass^":
        return math.comb(hits, k) / math.comb(n, k)
    return 1 - math.comb(n - hits, k) / math.comb(n, k)


def numbers_of(labels: Sequence[str | None]) -> list[float]:
    """Labels as numbers; what is none takes the median of the others, which says nothing of its rank."""
    read = [_number(label) for label in labels]
    known = sorted(value for value in read if value is not None)
    middle = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if known else 0.0
    return [middle if value is None else value for value in read]


def _number(label: str | None) -> float | None:
    try:
        value = float((label or "").rstrip("%"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _over_labels(metric: Metric, predicted: Sequence[str | None], targets: Sequence[str]) -> float:
    """Source: scikit-learn, 0 for 0/0; of numbers: `stats.tables.OF_NUMBERS`."""
    if metric.reads == "numbers":
        from harness.stats.tables import OF_NUMBERS

        return OF_NUMBERS[metric.name](list(zip(numbers_of(predicted), numbers_of(targets), strict=True)))
    # A second or two of import, which the other metrics never pay.
    from sklearn.metrics import cohen_kappa_score, v_measure_score

    codes = {
        label: code for code, label in enumerate(sorted({*targets, *(p for p in predicted if p is not None)}))
    }
    wanted = [codes[target] for target in targets]
    found = [-1 if label is None else codes[label] for label in predicted]
    if metric.name == "kappa":
        # Without any variation there is nothing beyond chance, and scikit-learn warns of 0/0.
        return 0.0 if len({*wanted, *found}) == 1 else float(cohen_kappa_score(wanted, found))
    if metric.name == "v_measure":
        return float(v_measure_score(wanted, found))
    if metric.argument:
        labels: list[int] = [codes.get(metric.argument, len(codes))]
        return _sklearn(metric.kind, wanted, found, labels, "macro")
    return _sklearn("f1", wanted, found, sorted(set(wanted)), metric.name.removesuffix("_f1"))


def _sklearn(kind: str, wanted: list[int], found: list[int], labels: list[int], average: str) -> float:
    from sklearn import metrics

    figures: Mapping[str, Any] = {
        "f1": metrics.f1_score,
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
    }
    return float(figures[kind](wanted, found, labels=labels, average=average, zero_division=0))


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
