"""What has been seen so far: one `Arm` per set of settings and split, filled as answers arrive.

In: outcomes and scores. Out: arrays in the fixed order of the split, and `Trial` records. Holds scores
and figures only; texts stay in the store.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.plan.plan import Plan
from harness.records import (
    Bounds,
    CallFailure,
    Completion,
    Estimate,
    Outcome,
    Sample,
    Score,
    Settings,
    Split,
    Trial,
    TrialState,
)
from harness.scores.judge import Judge
from harness.scores.metrics import METRICS, compute, quick_macro_f1
from harness.scores.scorer import target_label
from harness.stats.bounds import mean_bounds, percentile_bounds, share_bounds, two_sided
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

    @property
    def by_judge(self) -> bool:
        """Whether a model judges the quality: what it fails to judge is no fault of the answer."""
        return isinstance(self.plan.task.scorers[0], Judge)

    def note(self, position: int, sample: Sample) -> None:
        """Remember group and target of the sample at this position."""
        self.groups[position] = sample.group
        first = self.plan.task.scorers[0]
        if self.over_labels and self.targets[position] is None and not isinstance(first, Judge):
            self.targets[position] = target_label(first, sample)


@dataclass(slots=True)
class Arm:
    """One set of settings on one split. Arrays have shape (samples, repeats); NaN: nothing there.

    seen: answers that arrived, failures included. value: of the first scorer. failure: the newest one, in
    words. judge_usd: list price of what judges said of its answers. measured: the quality last computed, with
    the number of answers behind it.
    """

    number: int
    settings: Settings
    board: Board
    seen: NDArray[np.bool_]
    value: NDArray[np.float32]
    price: NDArray[np.float32]
    latency: NDArray[np.float32]
    first_token: NDArray[np.float32]
    labels: dict[tuple[int, int], str | None] = field(default_factory=dict[tuple[int, int], "str | None"])
    others: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    failed: int = 0
    failure: str = ""
    unscored: int = 0
    truncated: int = 0
    cached: int = 0
    spent_usd: float = 0.0
    judge_usd: float = 0.0
    state: TrialState = "running"
    reason: str = ""
    measured: tuple[int, Estimate | None] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, number: int, settings: Settings, board: Board) -> Arm:
        """An arm that has seen nothing."""
        shape = (len(board.ids), board.plan.task.repeats)
        value, price, latency, first_token = (np.full(shape, np.nan, np.float32) for _ in range(4))
        seen = np.zeros(shape, np.bool_)
        return cls(number, settings, board, seen, value, price, latency, first_token)

    def take(self, position: int, outcome: Outcome, scores: Sequence[Score]) -> None:
        """Note one outcome; `scores` is empty for a failure, else one per scorer."""
        at = (position, outcome.call.repeat)
        self.seen[at] = True
        if isinstance(outcome, CallFailure):
            self.failed += 1
            self.failure = f"{outcome.kind}: {outcome.message}"
            return
        self._take_figures(at, outcome)
        first = scores[0]
        if first.value is None:
            self.unscored += 1
        else:
            self.value[at] = first.value
        if self.board.over_labels and first.value is not None:
            self.labels[at] = first.label
        for score in scores[1:]:
            if score.value is not None:
                self.others.setdefault(score.scorer, []).append(score.value)

    def seen_text(self) -> str:
        """Which answers this arm has seen, in a form for the store; see `seen_of`."""
        return base64.b64encode(zlib.compress(np.packbits(self.seen).tobytes())).decode("ascii")

    def seen_of(self, text: str) -> NDArray[np.bool_]:
        """The array that `seen_text` wrote, in the shape of this arm."""
        packed = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
        return np.unpackbits(packed, count=self.seen.size).astype(np.bool_).reshape(self.seen.shape)

    def quality_values(self, start: int = 0, stop: int | None = None) -> Floats:
        """Quality per sample, shape (samples,): repeats averaged, NaN where there is nothing to count.

        start, stop: positions, the latter excluded; `None`: to the last. A sample whose answers failed or
        could not be judged counts as 0 or not at all, as the spec says; what a model failed to judge never
        counts, since that says nothing of the answer.
        """
        value, seen = self.value[start:stop].astype(np.float64), self.seen[start:stop]
        if self.board.plan.task.metric == "accuracy":
            value = np.where(np.isnan(value), np.nan, value == 1.0)
        if self.board.plan.failures == "count_as_wrong":
            wrong = seen & np.isnan(value)
            if self.board.by_judge:
                wrong &= np.isnan(self.latency[start:stop])
            value = np.where(wrong, 0.0, value)
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

    def answers(self) -> int:
        """How many calls were answered."""
        return int((~np.isnan(self.latency)).sum())

    def untimed(self) -> int:
        """How many answers do not tell when their first token came."""
        return int((np.isnan(self.first_token) & ~np.isnan(self.latency)).sum())

    def usd_per_1k_calls(self) -> float | None:
        """Mean list price of 1,000 calls; `None` until a price is known."""
        return None if np.isnan(self.price).all() else float(np.nanmean(self.price)) * 1000

    def trial(self, level: float | None = None) -> Trial:
        """The record of what has been seen so far.

        level: confidence of the bounds of its figures, from 0 to 1; `None`: none, which is quicker.
        """
        calls = int(self.seen.sum())
        p50, p95 = _percentiles(self.latency, 50, 95)
        (first_token_p50,) = _percentiles(self.first_token, 50)
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
            first_token_p50_s=first_token_p50,
            failure_rate=self.failed / calls if calls else 0.0,
            unscored_rate=self.unscored / calls if calls else 0.0,
            truncation_rate=self.truncated / calls if calls else 0.0,
            cached_rate=self.cached / calls if calls else 0.0,
            spent_usd=self.spent_usd,
            reason=self.reason,
            metrics={name: self._mean_of_others(values) for name, values in self.others.items()},
            bounds={} if level is None or not calls else self._bounds(level),
        )

    def _bounds(self, level: float) -> dict[str, Bounds]:
        """Bounds of every figure that is known. The repeats of a sample count as one call: they are alike."""
        calls, samples = int(self.seen.sum()), self.samples()
        rates = {
            "failure_rate": self.failed,
            "unscored_rate": self.unscored,
            "truncation_rate": self.truncated,
        }
        found = {name: share_bounds(hits, calls, level=level, units=samples) for name, hits in rates.items()}
        timed = (
            ("latency_p50_s", self.latency, 0.5),
            ("latency_p95_s", self.latency, 0.95),
            ("first_token_p50_s", self.first_token, 0.5),
        )
        for name, figures, share in timed:
            known = ~np.isnan(figures)
            if known.any():
                units = int(known.any(axis=1).sum())
                found[name] = percentile_bounds(figures[known], share, level=level, units=units)
        places, _ = np.nonzero(~np.isnan(self.price))
        if len(places):
            groups = self.groups() or range(len(self.price))
            prices = self.price[~np.isnan(self.price)].astype(np.float64) * 1000
            among = [groups[place] for place in places]
            found["usd_per_1k_calls"] = mean_bounds(prices, level=level, groups=among)
        quality = None if self.board.split == "search" else self._measure(two_sided(level))
        if quality is not None:
            found["quality"] = Bounds(
                low=quality.low, high=quality.high, level=level, n=quality.clusters, method=quality.method
            )
        return found

    def quality(self) -> Estimate | None:
        """The metric with its interval; `None` with fewer than two samples to count."""
        answers = int(self.seen.sum())
        # Whoever watches a run asks again and again, and resampling takes a while.
        if self.measured is None or self.measured[0] != answers:
            self.measured = (answers, self._measure(self.board.plan.aim.confidence))
        return self.measured[1]

    def _measure(self, level: float) -> Estimate | None:
        values = self.quality_values()
        known = np.flatnonzero(~np.isnan(values))
        if len(known) < 2:
            return None
        groups = self.groups()
        if self.board.over_labels:
            return self._measure_labels(level, samples=len(known))
        among = None if groups is None else [groups[place] for place in known]
        return mean_interval(values[known], level=level, groups=among)

    def _measure_labels(self, level: float, *, samples: int) -> Estimate:
        plan = self.board.plan
        counted = self.seen if plan.failures == "count_as_wrong" else ~np.isnan(self.value)
        places = [(int(position), int(repeat)) for position, repeat in np.argwhere(counted)]
        pairs = np.empty((len(places), 2), dtype=object)
        pairs[:, 0] = [self.labels.get(at) for at in places]
        pairs[:, 1] = [self.board.targets[position] or "" for position, _ in places]
        groups = self.groups() or range(len(self.seen))
        around = bootstrap_interval(
            pairs,
            lambda rows: quick_macro_f1(rows[:, 0].tolist(), rows[:, 1].tolist()),
            level=level,
            seed=plan.seed,
            groups=[groups[position] for position, _ in places],
        )
        predicted, targets = pairs[:, 0].tolist(), pairs[:, 1].tolist()
        value = compute(plan.task.metric, [None] * len(targets), predicted, targets)
        return replace(around, value=value, n=samples)

    def _mean_of_others(self, values: Sequence[float]) -> float:
        # What failed or could not be judged counts as the spec says, for every scorer alike.
        wrong = self.board.plan.failures == "count_as_wrong"
        return math.fsum(values) / (int(self.seen.sum()) if wrong else len(values))

    def _take_figures(self, at: tuple[int, int], answer: Completion) -> None:
        self.latency[at] = answer.latency.total_s
        if answer.latency.first_token_s is not None:
            self.first_token[at] = answer.latency.first_token_s
        if answer.price_usd is not None:
            self.price[at] = answer.price_usd
        if answer.cached:
            self.cached += 1
        else:
            self.spent_usd += answer.price_usd or 0.0
        if answer.reply.finish_reason == "length":
            self.truncated += 1


def _percentiles(figures: NDArray[np.float32], *shares: float) -> list[float | None]:
    known = figures[~np.isnan(figures)]
    if not len(known):
        return [None] * len(shares)
    return [float(figure) for figure in np.percentile(known, shares)]
