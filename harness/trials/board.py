"""The samples that arms answer: of one split in their fixed order, with the tasks that they belong to.

In: a plan. Out: a `Board`, which notes what is known of samples as they are first used. Judges nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.plan.embedding import gold
from harness.plan.joined import task_of
from harness.plan.plan import Plan
from harness.plan.task import Task
from harness.records import Sample, Split
from harness.scores.judge import Judge
from harness.scores.metrics import Metric, find_metric
from harness.scores.scorer import target_label
from harness.stats.strata import Strata
from harness.trials.groupings import Groupings
from harness.trials.vector_quality import OF_THE_WHOLE

if TYPE_CHECKING:
    from harness.trials.index import Index


@dataclass(frozen=True, slots=True)
class Part:
    """The samples of one task on a board. name: of the task, "" where it is the only one.

    marks: which samples they are, shape (samples,). groupings: by position on the board.
    """

    name: str
    task: Task
    metric: Metric
    marks: NDArray[np.bool_]
    groupings: Groupings

    @classmethod
    def of(cls, task: Task, marks: NDArray[np.bool_], *, only: bool) -> Part:
        """The part of this task, with nothing noted yet."""
        metric, named = _metric(task), task.slices
        if named is not None and metric.reads == "groups":
            named = (*named, metric.argument)
        return cls("" if only else task.name, task, metric, marks, Groupings(len(marks), named))

    @property
    def of_the_whole(self) -> bool:
        """Whether the metric says nothing of one sample: it looks at labels, at groups, or at all of them."""
        return self.metric.of_labels or self.metric.reads in ("groups", *OF_THE_WHOLE)

    def shown(self, name: str) -> str:
        """What a scorer, field or label of this task is called in the record."""
        return f"{self.name}/{name}" if self.name else name


@dataclass(slots=True)
class Board:
    """The samples of one split in their fixed order, shared by all arms of that split.

    parts: the tasks that samples belong to. groups and targets: by position; filled when the sample is first
    used. targets: labels of the first scorer. codes: a number from 1 for each label that was met, so that an
    answer's label is a number as well. indexes: of a corpus, read back for a report.
    """

    plan: Plan
    split: Split
    ids: Sequence[str]
    parts: tuple[Part, ...]
    groups: list[str | None]
    targets: list[str | None]
    codes: dict[str, int] = field(default_factory=dict[str, int])
    noted: bytearray = field(init=False, repr=False)
    indexes: OrderedDict[str, Index] = field(default_factory=OrderedDict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.noted = bytearray(len(self.ids))

    @classmethod
    def of(cls, plan: Plan, split: Split) -> Board:
        """An empty board for this split of the plan's data."""
        ids, tasks = plan.task.rows.ids(split), plan.task.each
        if len(tasks) == 1:
            marks = [np.ones(len(ids), np.bool_)]
        else:
            names = np.array([task_of(one) for one in ids])
            marks = [names == task.name for task in tasks]
        parts = [Part.of(task, mark, only=len(tasks) == 1) for task, mark in zip(tasks, marks, strict=True)]
        groups: list[str | None] = [None] * len(ids)
        targets: list[str | None] = [None] * len(ids)
        return cls(plan, split, ids, tuple(parts), groups, targets)

    @property
    def of_the_whole(self) -> bool:
        """Whether a metric says nothing of one sample."""
        return any(part.of_the_whole for part in self.parts)

    @property
    def metric(self) -> Metric:
        """The metric of the only task, or of the first one."""
        return self.parts[0].metric

    @property
    def strata(self) -> Strata | None:
        """Which task each sample belongs to; `None` with one task."""
        if len(self.parts) == 1:
            return None
        members = np.argmax([part.marks for part in self.parts], axis=0)
        return Strata(members, tuple(part.task.weight for part in self.parts))

    def part(self, position: int) -> Part:
        """The part that the sample at this position belongs to."""
        return next(part for part in self.parts if part.marks[position])

    def note(self, position: int, sample: Sample) -> None:
        """Remember groups and target of the sample at this position."""
        if self.noted[position]:
            return
        self.noted[position] = True
        self.groups[position] = sample.group
        part = self.part(position)
        self.targets[position] = _target(part.task, sample)
        part.groupings.note(position, sample.metadata)

    def code(self, label: str | None) -> int:
        """The number of a label; 0 for none."""
        return 0 if label is None else self.codes.setdefault(label, len(self.codes) + 1)


def _metric(task: Task) -> Metric:
    return find_metric(task.metric) if task.embedding is None else task.embedding.metric


def _target(task: Task, sample: Sample) -> str | None:
    """The label of the sample's target, as the first scorer or the vectors' metric reads it."""
    embedding = task.embedding
    if embedding is not None:
        known = gold(embedding.kind, sample.target) if embedding.of_pairs else sample.target
        return None if isinstance(known, list | dict) else str(known)
    first = task.scorers[0]
    return None if isinstance(first, Judge) else target_label(first, sample)
