"""What has been seen so far: one `Arm` per set of settings and split, filled as answers arrive.

In: outcomes and scores. Out: arrays in the fixed order of the split, and `Trial` records. Holds scores
and figures only; texts stay in the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.plan.plan import Plan
from harness.records import (
    CallFailure,
    Completion,
    Estimate,
    Outcome,
    Score,
    Settings,
    Split,
    Trial,
    TrialState,
)
from harness.scores.metrics import METRICS, compute, quick_macro_f1
from harness.scores.scorer import target_label
from harness.stats.intervals import bootstrap_interval, mean_interval

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Board:
    """The samples of one split in their fixed order, shared by all arms of that split.

    groups and targets: by position; filled when the sample is first used. targets: labels of the first
    scorer, kept only for metrics over labels.
    """

    plan: Plan
    split: Split
    ids: Sequence[str]
    groups: list[str | None]
    targets: list[str | None]

    @classmethod
    def of(cls, plan: Plan, split: Split) -> Board:
        """An empty board for this split of the plan's data."""
        ids = plan.task.rows.ids(split)
        return cls(plan, split, ids, [None] * len(ids), [None] * len(ids))

    @property
    def over_labels(self) -> bool:
        """Whether the metric looks at labels rather than at the mean of the scores."""
        return not METRICS[self.plan.task.metric].decomposable

    def note(self, position: int) -> None:
        """Remember group and target of the sample at this position, once."""
        sample = self.plan.task.rows.sample(self.ids[position])
        self.groups[position] = sample.group
        if self.over_labels:
            self.targets[position] = target_label(self.plan.task.scorers[0], sample)


@dataclass(slots=True)
class Arm:
    """One set of settings on one split. Arrays have shape (samples, repeats); NaN: nothing there.

    seen: answers that arrived, failures included. value: of the first scorer.
    """

    number: int
    settings: Settings
    board: Board
    seen: NDArray[np.bool_]
    value: NDArray[np.float32]
    price: NDArray[np.float32]
    latency: NDArray[np.float32]
    labels: dict[tuple[int, int], str | None] = field(default_factory=dict[tuple[int, int], "str | None"])
    others: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    failed: int = 0
    unscored: int = 0
    truncated: int = 0
    cached: int = 0
    spent_usd: float = 0.0
    state: TrialState = "running"
    reason: str = ""

    @classmethod
    def of(cls, number: int, settings: Settings, board: Board) -> Arm:
        """An arm that has seen nothing."""
        shape = (len(board.ids), board.plan.task.repeats)
        value, price, latency = (np.full(shape, np.nan, np.float32) for _ in range(3))
        return cls(number, settings, board, np.zeros(shape, np.bool_), value, price, latency)

    def take(self, position: int, outcome: Outcome, scores: Sequence[Score]) -> None:
        """Note one outcome; `scores` is empty for a failure, else one per scorer."""
        at = (position, outcome.call.repeat)
        self.seen[at] = True
        if isinstance(outcome, CallFailure):
            self.failed += 1
            return
        self._take_figures(at, outcome)
        first = scores[0]
        if first.value is None:
            self.unscored += 1
        else:
            self.value[at] = first.value
        if self.board.over_labels:
            self.labels[at] = first.label
        for score in scores[1:]:
            if score.value is not None:
                self.others.setdefault(score.scorer, []).append(score.value)

    def quality_values(self) -> Floats:
        """Quality per sample, shape (samples,): repeats averaged, NaN where there is nothing to count.

        A sample whose answers failed or could not be judged counts as 0 or not at all, as the spec says.
        """
        value = self.value.astype(np.float64)
        if self.board.plan.failures == "count_as_wrong":
            value = np.where(self.seen & np.isnan(value), 0.0, value)
        counted = (~np.isnan(value)).sum(axis=1)
        total = np.nansum(value, axis=1)
        return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)

    def groups(self) -> list[str] | None:
        """The cluster of each sample; `None` when every sample stands alone."""
        named = self.board.groups
        if not any(named):
            return None
        return [name if name is not None else f"\0{place}" for place, name in enumerate(named)]

    def samples(self) -> int:
        """How many samples were answered in full or in part."""
        return int(self.seen.any(axis=1).sum())

    def usd_per_1k_calls(self) -> float | None:
        """Mean list price of 1,000 calls; `None` until a price is known."""
        return None if np.isnan(self.price).all() else float(np.nanmean(self.price)) * 1000

    def trial(self) -> Trial:
        """The record of what has been seen so far."""
        calls = int(self.seen.sum())
        p50, p95 = self._latencies()
        return Trial(
            number=self.number,
            settings=self.settings,
            model_class=self.board.plan.models[self.settings.model].model_class,
            split=self.board.split,
            state=self.state,
            samples=self.samples(),
            quality=self.quality(),
            usd_per_1k_calls=self.usd_per_1k_calls(),
            latency_p50_s=p50,
            latency_p95_s=p95,
            failure_rate=self.failed / calls if calls else 0.0,
            unscored_rate=self.unscored / calls if calls else 0.0,
            truncation_rate=self.truncated / calls if calls else 0.0,
            cached_rate=self.cached / calls if calls else 0.0,
            spent_usd=self.spent_usd,
            reason=self.reason,
            metrics={name: float(np.mean(values)) for name, values in self.others.items()},
        )

    def quality(self) -> Estimate | None:
        """The metric with its interval; `None` with fewer than two samples to count."""
        values = self.quality_values()
        known = ~np.isnan(values)
        if known.sum() < 2:
            return None
        plan, level = self.board.plan, self.board.plan.aim.confidence
        groups = self._known_groups(known)
        if not self.board.over_labels:
            counted = values[known] == 1.0 if plan.task.metric == "accuracy" else values[known]
            return mean_interval(counted.astype(np.float64), level=level, groups=groups)
        positions = np.flatnonzero(known)
        around = bootstrap_interval(positions, self._quick_f1, level=level, seed=plan.seed, groups=groups)
        predicted, targets = self._labels_at(positions)
        return replace(around, value=compute(plan.task.metric, [None] * len(targets), predicted, targets))

    def _quick_f1(self, positions: NDArray[np.generic]) -> float:
        return quick_macro_f1(*self._labels_at(positions))

    def _labels_at(self, positions: NDArray[np.generic]) -> tuple[list[str | None], list[str]]:
        pairs = [(int(p), r) for p in positions for r in range(self.seen.shape[1]) if self.seen[p, r]]
        if self.board.plan.failures == "leave_out":
            pairs = [at for at in pairs if not np.isnan(self.value[at])]
        predicted = [self.labels.get(at) for at in pairs]
        return predicted, [self.board.targets[at[0]] or "" for at in pairs]

    def _take_figures(self, at: tuple[int, int], answer: Completion) -> None:
        self.latency[at] = answer.latency.total_s
        if answer.price_usd is not None:
            self.price[at] = answer.price_usd
        if answer.cached:
            self.cached += 1
        else:
            self.spent_usd += answer.price_usd or 0.0
        if answer.reply.finish_reason == "length":
            self.truncated += 1

    def _known_groups(self, known: NDArray[np.bool_]) -> list[str] | None:
        groups = self.groups()
        return None if groups is None else [groups[place] for place in np.flatnonzero(known)]

    def _latencies(self) -> tuple[float | None, float | None]:
        known = self.latency[~np.isnan(self.latency)]
        if not len(known):
            return None, None
        p50, p95 = np.percentile(known, [50, 95])
        return float(p50), float(p95)
