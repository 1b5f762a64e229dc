"""Two sheets on the samples that both have: what is compared stands in pairs.

In: two sheets. Out: columns of both, row by row of the same sample, with its cluster and its task. Decides
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.plan.joined import task_of
from harness.sheets import Sheet
from harness.stats.clusters import among
from harness.stats.strata import Strata

Floats = NDArray[np.float64]


class Pairs(NamedTuple):
    """One column of both on the samples where both have a value. places: of these in `Matched.samples`.

    groups: cluster of each; `None`: every sample stands alone. strata: tasks whose samples count by weights;
    `None`: all samples count alike.
    """

    base: Floats
    new: Floats
    groups: list[str] | None
    places: NDArray[np.intp]
    strata: Strata | None = None

    def means(self) -> tuple[float, float]:
        """The means of base and new, by the weights of tasks."""
        if self.strata is None:
            return float(self.base.mean()), float(self.new.mean())
        return self.strata.mean(self.base), self.strata.mean(self.new)

    def units(self) -> list[int]:
        """Independent samples or clusters, of each task whose samples count by weights, else of all."""
        parts = [np.ones(len(self.places), np.bool_)] if self.strata is None else self.strata.marks()
        named = [among(self.groups, marks) for marks in parts]
        return [
            int(marks.sum()) if names is None else len(set(names))
            for marks, names in zip(parts, named, strict=True)
        ]


class Matched(NamedTuple):
    """Both sheets on the samples that both have. base_at, new_at: their places there.

    weights: of several tasks, those of new, or of base where new has none; empty with one task.
    """

    base: Sheet
    new: Sheet
    samples: list[str]
    base_at: NDArray[np.intp]
    new_at: NDArray[np.intp]
    weights: dict[str, float]

    @classmethod
    def of(cls, base: Sheet, new: Sheet) -> Matched:
        """Matched by the ids of samples, in the order of new."""
        at = {sample: place for place, sample in enumerate(base.samples)}
        samples = [sample for sample in new.samples if sample in at]
        new_places = [place for place, sample in enumerate(new.samples) if sample in at]
        base_places = [at[sample] for sample in samples]
        return cls(
            base,
            new,
            samples,
            np.array(base_places, np.intp),
            np.array(new_places, np.intp),
            dict(new.weights or base.weights),
        )

    def pairs(
        self,
        base: Sequence[float | None],
        new: Sequence[float | None],
        marks: NDArray[np.bool_] | None = None,
    ) -> Pairs:
        """These columns where both have a value, all samples alike. marks: those that count; `None`: all."""
        first, second = _floats(base)[self.base_at], _floats(new)[self.new_at]
        known = ~(np.isnan(first) | np.isnan(second))
        places = np.flatnonzero(known if marks is None else known & marks)
        groups = None
        if any(self.new.groups):
            named = [self.new.groups[self.new_at[place]] for place in places]
            groups = [
                name if name is not None else f"\0{place}" for name, place in zip(named, places, strict=True)
            ]
        return Pairs(first[places], second[places], groups, places)

    def column(self, metric: str, marks: NDArray[np.bool_] | None = None) -> Pairs:
        """A metric of both. Of several tasks, the quality of all of them counts by their weights."""
        found = self.pairs(self.base.scores[metric], self.new.scores[metric], marks)
        if marks is not None or metric != self.new.quality or not self.weights:
            return found
        return found._replace(strata=self.strata().at(found.places))

    def strata(self) -> Strata:
        """The tasks of the samples."""
        return Strata.of([task_of(sample) for sample in self.samples], self.weights)


def _floats(column: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in column], np.float64)
