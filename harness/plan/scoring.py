"""How a task judges its answers: its scorers and its metric, looked up and held against each other.

In: the task of a spec, what it may run, and its rows. Out: scorers, ready to judge; what is wrong is noted
with its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.errors import UsageError
from harness.fingerprint import canonical
from harness.plan.columns import Fault, Row
from harness.plan.problems import Problems
from harness.plan.spec import TaskSpec
from harness.plan.targets import sample_of
from harness.scores.answer import AnyScorer, RepeatScorer, Scorer
from harness.scores.combined import judges_in
from harness.scores.judge import Judge
from harness.scores.judges import build_judge
from harness.scores.metrics import Metric, find_metric, numbers_of
from harness.scores.own import Permission
from harness.scores.scorer import build_scorer, target_label

OF_EACH_LABEL = ("macro_f1", "f1", "precision", "recall")
ENOUGH = 10  # rows of a label from which on intervals of macro F1 cover as often as stated
MOST_FEW = 10  # labels that a note names


def find_scorers(
    task: TaskSpec, permission: Permission, problems: Problems
) -> tuple[tuple[Scorer | Judge, ...], tuple[RepeatScorer, ...]]:
    """The scorers of single answers, and those of all answers to a sample, each in the order of the spec."""
    scorers: list[AnyScorer | Judge] = []
    for number, form in enumerate(task.scorers):
        try:
            scorers.append(build_judge(form) or build_scorer(form, permission=permission))
        except UsageError as error:
            problems.add(("task", "scorers", number), str(error))
    names = [scorer.name for scorer in scorers]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        problems.add(("task", "scorers"), f"has two scorers called {name!r}; keep one of them")
    known: dict[str, Judge] = {}
    for judge in (judge for one in scorers for judge in judges_in(one)):
        if known.setdefault(judge.name, judge) != judge and names.count(judge.name) < 2:
            problems.add(
                ("task", "scorers"), f"has two judges called {judge.name!r}; give one a `name` of its own"
            )
    together = tuple(scorer for scorer in scorers if isinstance(scorer, RepeatScorer))
    if together and scorers[0] is together[0]:
        problems.add(
            ("task", "scorers", 0),
            f"scorer {together[0].name!r} judges all answers to a sample together, but the first one gives "
            "the quality of each answer; put one that does before it",
        )
    if together and task.repeats < 2:
        problems.add(
            ("task", "repeats" if "repeats" in task.model_fields_set else "scorers"),
            f"needs several answers to each sample for scorer {together[0].name!r}, but task.repeats is "
            f"{task.repeats}; write at least 2",
        )
    return tuple(scorer for scorer in scorers if not isinstance(scorer, RepeatScorer)), together


# A field with more values than these is an identifier, not a group, even where the spec names it.
MOST_NAMED = 200


class MetricCheck:
    """Whether the rows have what metric and slices ask for: labels, or fields of metadata."""

    def __init__(self, task: TaskSpec, scorers: Sequence[Scorer | Judge], problems: Problems) -> None:
        first = scorers[0] if scorers else None
        self._problems, self._scorer = problems, None if isinstance(first, Judge) else first
        self._labels: dict[str, str | None] = {}
        self._rows = Counter[str]()
        self._fields: set[str] = set()
        self._slices = {name: set[str]() for name in task.slices or []}
        self._metric = _metric(task, problems)
        if self._metric is not None and self._metric.of_labels and isinstance(first, Judge):
            problems.add(
                ("task", "metric"),
                f"is {task.metric!r}, which looks at labels, and judge {first.name!r} reads none; take mean "
                "or accuracy",
            )

    def row(self, row: Row) -> str | Fault | None:
        """Why this row has no share in the metric; `None` when it has."""
        self._fields.update(row.metadata)
        for name, values in self._slices.items():
            if name in row.metadata and len(values) <= MOST_NAMED:
                values.add(canonical(row.metadata[name]))
        metric, scorer = self._metric, self._scorer
        if metric is None or scorer is None or not metric.of_labels:
            return None
        key = canonical(row.target)
        if key not in self._labels:
            self._labels[key] = target_label(scorer, sample_of(row))
        label = self._labels[key]
        self._rows[label or ""] += 1
        if label is None:
            return Fault(
                f"has no label for metric {metric.name!r}: scorer {scorer.name!r} reads none from its "
                "target; let a scorer that does (choice, number) come first, or take mean or accuracy",
                ("task", "metric"),
            )
        if metric.of_marks and numbers_of([label]) not in ([0.0], [1.0]):
            return (
                f"metric {metric.name!r} takes targets of 1, for what belongs together, and of 0; this one "
                f"is {row.target!r:.80}"
            )
        return None

    def notes(self) -> list[str]:
        """What to say of labels that too few rows have, and of slices that will not be there."""
        few = [name for name, values in self._slices.items() if len(values) == 1]
        many = [name for name, values in self._slices.items() if len(values) > MOST_NAMED]
        return [
            *self._rare_labels(),
            *(f"slices: all rows have the same {name!r}, which divides nothing" for name in few),
            *(f"slices: {name!r} has more than {MOST_NAMED} values, and is not shown" for name in many),
        ]

    def _rare_labels(self) -> list[str]:
        """Labels that too few rows have for what the metric says of each, as a sentence."""
        metric = self._metric
        if metric is None or (metric.kind or metric.name) not in OF_EACH_LABEL:
            return []
        asked = [metric.argument] if metric.argument else sorted(self._rows)
        few = [f"{label!r} ({self._rows[label]})" for label in asked if self._rows[label] < ENOUGH]
        note = (
            f"metric {metric.name!r} rests on labels that few rows have: {', '.join(few[:MOST_FEW])}; with "
            f"fewer than {ENOUGH} of each its interval is less sure than it says"
        )
        return [note] if few else []

    def finish(self) -> None:
        """Note a label or a field that no row has."""
        metric, listed = self._metric, ", ".join(sorted(self._fields)) or "none"
        known = {label for label in self._labels.values() if label is not None}
        if metric is not None and metric.reads == "labels" and metric.argument not in {"", *known}:
            self._problems.add(
                ("task", "metric"),
                f"asks for the label {metric.argument!r}; the targets are {', '.join(sorted(known)[:20])}",
            )
        if metric is not None and metric.reads == "groups" and metric.argument not in self._fields:
            self._problems.add(
                ("task", "metric"),
                f"asks for the metadata field {metric.argument!r}; the fields of the rows are: {listed}",
            )
        for place, name in enumerate(self._slices):
            if name not in self._fields:
                self._problems.add(
                    ("task", "slices", place),
                    f"is {name!r}; the metadata fields of the rows are: {listed}. A column becomes one by "
                    "its name under `columns.metadata`",
                )


def _metric(task: TaskSpec, problems: Problems) -> Metric | None:
    try:
        metric = find_metric(task.metric)
    except UsageError as error:
        problems.add(("task", "metric"), str(error))
        return None
    if metric.k > task.repeats:
        problems.add(
            ("task", "repeats" if "repeats" in task.model_fields_set else "metric"),
            f"needs {metric.k} answers to each sample for metric {metric.name!r}, but task.repeats is "
            f"{task.repeats}; write at least {metric.k}",
        )
    return metric
