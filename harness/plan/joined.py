"""The rows of several tasks as one: each task with the share of samples that its weight asks for.

In: the rows of each task, and weights. Out: samples whose ids begin with the task's name, in an order of
which every beginning holds each task's share. The plain mean over them is then the weighted mean of the tasks
but for rounding, and no other division of the same calls tells it better where answers vary alike.
Source: proportional and Neyman's allocation, Cochran 1977, Sampling Techniques, sections 5.5 and 5.6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain

from harness.cards import DataCard
from harness.errors import DataError, Problem, UsageError
from harness.fingerprint import fingerprint
from harness.plan.rows import SMALLEST_SPLIT, Rows
from harness.records import Sample, Split

ROUNDING = 1e-9  # samples: 24 of 30 at a weight of 0.8 are 24


class JoinedRows:
    """As `Rows`, of several tasks. parts: by task, with the ids of each beginning with `prefix_of(task)`.

    weights: by task, add up to 1. Raises UsageError when they leave a task fewer than 2 samples in a split.
    """

    def __init__(self, parts: Mapping[str, Rows], weights: Mapping[str, float]) -> None:
        self._parts = dict(parts)
        self._weights = dict(weights)
        sides: tuple[Split, Split] = ("search", "confirm")
        chosen = {split: self._chosen(split) for split in sides}
        self._order = {split: _interleaved(list(of_tasks.values())) for split, of_tasks in chosen.items()}
        cards = [rows.card for rows in parts.values()]
        self.card = DataCard(
            name=", ".join(dict.fromkeys(card.name for card in cards)),
            sha256=self.fingerprint(),
            n_search=len(self._order["search"]),
            n_confirm=len(self._order["confirm"]),
            source="see the tasks",
            licence=", ".join(dict.fromkeys(card.licence or "not stated" for card in cards)),
        )
        self.used = {
            name: (len(chosen["search"][name]), len(chosen["confirm"][name])) for name in self._parts
        }

    def __len__(self) -> int:
        """Samples in both splits together."""
        return sum(len(ids) for ids in self._order.values())

    @property
    def fields(self) -> frozenset[str]:
        """Names of the inputs that any row has."""
        return frozenset(chain.from_iterable(rows.fields for rows in self._parts.values()))

    def ids(self, split: Split) -> Sequence[str]:
        """Ids of one split, or of both, in the order that all settings share."""
        if split == "all":
            both = [*self._order["search"], *self._order["confirm"]]
            return _interleaved([[one for one in both if task_of(one) == name] for name in self._parts])
        return self._order[split]

    def sample(self, sample_id: str) -> Sample:
        """The sample of this id, read from disk. Raises DataError as `Rows.sample` does."""
        rows = self._parts.get(task_of(sample_id))
        if rows is None:
            raise DataError([Problem(self.card.name, None, "", f"no sample has the id {sample_id!r}")])
        return rows.sample(sample_id)

    def fingerprint(self) -> str:
        """The name of these rows: those of the tasks, and the order that their weights make."""
        parts = {name: rows.fingerprint() for name, rows in self._parts.items()}
        return fingerprint([parts, self._order])

    def left_out(self) -> dict[str, tuple[int, int]]:
        """Of each task whose weight leaves rows out: how many samples it has here, and how many there are."""
        found = {name: (sum(self.used[name]), len(rows)) for name, rows in self._parts.items()}
        return {name: (used, there) for name, (used, there) in found.items() if used < there}

    def _chosen(self, split: Split) -> dict[str, Sequence[str]]:
        ids = {name: rows.ids(split) for name, rows in self._parts.items()}
        sizes = shares([len(ids[name]) for name in ids], [self._weights[name] for name in ids])
        for name, size in zip(ids, sizes, strict=True):
            if size < SMALLEST_SPLIT:
                raise UsageError(
                    f"leave task {name!r} {size} of its {len(ids[name])} samples in the {split} split, for a "
                    f"share of {self._weights[name]:.3g}; it takes at least {SMALLEST_SPLIT}: raise its "
                    "weight, or add rows to the task that has the fewest for its weight"
                )
        return {name: ids[name][:size] for name, size in zip(ids, sizes, strict=True)}


def prefix_of(task: str) -> str:
    """What the ids of this task's samples begin with."""
    return f"{task}/"


def task_of(sample_id: str) -> str:
    """The task that a sample of several tasks belongs to."""
    return sample_id.partition("/")[0]


def shares(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """How many of so many rows each task gives, so that their shares are the weights and most rows are used.

    weights: above 0, add up to 1. Shares are exact but for less than one sample a task: largest remainders.
    """
    whole = math.floor(min(size / weight for size, weight in zip(sizes, weights, strict=True)) + ROUNDING)
    fair = [weight * whole for weight in weights]
    counts = [math.floor(one + ROUNDING) for one in fair]
    by_rest = sorted(range(len(fair)), key=lambda place: (counts[place] - fair[place], place))
    for place in by_rest[: whole - sum(counts)]:
        counts[place] += 1
    return counts


def _interleaved(of_tasks: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All of these, each in its order, spread evenly over the whole."""
    placed = [
        ((number + 0.5) / len(ids), task, one)
        for task, ids in enumerate(of_tasks)
        for number, one in enumerate(ids)
    ]
    return tuple(one for _, _, one in sorted(placed))
