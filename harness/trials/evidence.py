"""What has been seen so far: one `Arm` per set of settings and split, filled as answers arrive.

In: outcomes and scores. Out: arrays in the fixed order of the split, and `Trial` records. Holds scores
and figures only; texts stay in the store.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.findings import Trial, TrialState
from harness.records import Bounds, CallFailure, Completion, Estimate, Outcome, Score, Settings
from harness.scores.combined import may_be_silent
from harness.scores.metrics import Metric, passes
from harness.stats.bounds import mean_bounds, percentile_bounds, share_bounds, two_sided
from harness.trials.board import Board, Part
from harness.trials.duel import checkpoints
from harness.trials.quality import Measured, measure
from harness.trials.variety import Variety
from harness.trials.vector_quality import Whole, cache_bounds, cache_figures, values_of, whole_of

Floats = NDArray[np.float64]
Places = slice | NDArray[np.intp]
# A reason may quote the answer, and a million answers have a million such reasons.
MOST_REASONS = 50
OTHER_REASONS = "other reasons"


@dataclass(slots=True)
class Arm:
    """One set of settings on one split. Arrays have shape (samples, repeats); NaN: nothing there.

    seen: answers that arrived, failures included. paid: those that the run paid for. value: of the first
    scorer. together: scores of whole samples, by the scorer of their repeats. waiting: outcomes of samples
    whose repeats are not complete, by position, where a scorer needs all of them. silence: answers that a
    scorer could not judge, by its name in the record and by reason. failure: the newest one, in words.
    judge_usd: list price of what judges said of its answers. near: answers of near prompts; cut: answers to
    inputs cut down. measured: the quality last computed, with the number of answers behind it. off: why a
    cache has no threshold here, "" where it has.
    """

    number: int
    settings: Settings
    board: Board
    seen: NDArray[np.bool_]
    value: Floats
    price: NDArray[np.float32]
    latency: NDArray[np.float32]
    first_token: NDArray[np.float32]
    queue: NDArray[np.float32]
    label: NDArray[np.int32]
    paid: NDArray[np.bool_]
    others: dict[str, Floats] = field(default_factory=dict[str, Floats])
    together: dict[str, Floats] = field(default_factory=dict[str, Floats])
    waiting: dict[int, list[Outcome]] = field(default_factory=dict[int, list[Outcome]], repr=False)
    endings: Counter[str] = field(default_factory=Counter[str])
    failed: int = 0
    failure: str = ""
    unscored: int = 0
    silence: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]], repr=False)
    truncated: int = 0
    cached: int = 0
    near: int = 0
    cut: int = 0
    spent_usd: float = 0.0
    judge_usd: float = 0.0
    state: TrialState = "running"
    reason: str = ""
    variety: Variety = field(default_factory=Variety, repr=False)
    measured: tuple[int, Measured] | None = field(default=None, repr=False)
    figures: dict[str, float] = field(default_factory=dict[str, float], repr=False)
    vectors: NDArray[np.float32] | None = field(default=None, repr=False)
    whole: tuple[int, Whole] | None = field(default=None, repr=False)
    off: str = ""

    @classmethod
    def of(cls, number: int, settings: Settings, board: Board) -> Arm:
        """An arm that has seen nothing."""
        shape = (len(board.ids), board.plan.task.repeats)
        price, latency, first_token, queue = (np.full(shape, np.nan, np.float32) for _ in range(4))
        # A score is compared with 1: seven digits would turn 0.99999999 into full marks.
        value = np.full(shape, np.nan)
        seen, paid = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        label = np.zeros(shape, np.int32)
        return cls(number, settings, board, seen, value, price, latency, first_token, queue, label, paid)

    def take(self, position: int, outcome: Outcome, scores: Sequence[Score]) -> None:
        """Note one outcome; `scores` is empty for a failure, else one per scorer."""
        at = (position, outcome.call.repeat)
        self.seen[at] = True
        if isinstance(outcome, CallFailure):
            self.failed += 1
            self.endings[outcome.kind] += 1
            self.failure = f"{outcome.kind}: {outcome.message}"
            return
        self._take_figures(at, outcome)
        self.near += outcome.near_cosine is not None
        first = scores[0]
        if self.board.plan.task.repeats > 1:
            self.variety.take(position, outcome.reply.text or "", first.label)
        if first.value is None:
            self.unscored += 1
        else:
            self.value[at] = first.value
        if first.value is not None:
            self.label[at] = self.board.code(first.label)
        part = self.board.part(position)
        for score in scores:
            if score.value is None:
                reasons = self.silence.setdefault(part.shown(score.scorer), Counter())
                known = score.reason in reasons or len(reasons) < MOST_REASONS
                reasons[score.reason if known else OTHER_REASONS] += 1
        for score in scores[1:]:
            if score.value is not None:
                name = part.shown(score.scorer)
                self.others.setdefault(name, np.full(self.seen.shape, np.nan))[at] = score.value

    def take_repeats(self, position: int, scores: Sequence[Score]) -> None:
        """Note what scorers say of all answers to one sample."""
        part = self.board.part(position)
        for score in scores:
            if score.value is not None:
                name = part.shown(score.scorer)
                self.together.setdefault(name, np.full(len(self.seen), np.nan))[position] = score.value

    def keep_vector(self, position: int, vector: NDArray[np.float32]) -> None:
        """Keep the vector of the sample at this position, for a metric that looks at all of them."""
        if self.vectors is None:
            self.vectors = np.full((len(self.seen), len(vector)), np.nan, np.float32)
        self.vectors[position] = vector

    def found(self, position: int) -> str | None:
        """The label or cluster that vectors give the sample at this position; `None` for none."""
        labels = whole_of(self).labels
        return labels[position] if labels else None

    def seen_text(self) -> str:
        """Which answers this arm has seen, and which were paid, in a form for the store; see `mark_seen`."""
        masks = (np.packbits(mask).tobytes() for mask in (self.seen, self.paid))
        return ".".join(base64.b64encode(zlib.compress(mask)).decode("ascii") for mask in masks)

    def mark_seen(self, text: str) -> None:
        """Mark as seen, and as paid, what `seen_text` wrote of another arm of this shape.

        Where older versions wrote it, nothing is known to have been paid.
        """
        for mask, packed in zip((self.seen, self.paid), text.split("."), strict=False):
            bits = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
            mask[:] = np.unpackbits(bits, count=mask.size).astype(np.bool_).reshape(mask.shape)

    def as_seen(self, position: int, recalled: Outcome) -> Outcome:
        """What the store tells of a call of this arm, as the run saw it: paid, if the run paid for it."""
        if isinstance(recalled, Completion) and self.paid[position, recalled.call.repeat]:
            return replace(recalled, cached=False, cached_usd=0.0)
        return recalled

    def quality_values(self, start: int = 0, stop: int | None = None) -> Floats:
        """Quality per sample, shape (samples,): repeats averaged, NaN where there is nothing to count.

        start, stop: positions, the latter excluded; `None`: to the last. A sample whose answers failed or
        could not be judged counts as 0 or not at all, as the spec says; what a model failed to judge never
        counts, since that says nothing of the answer.
        """
        if self.board.plan.task.embedding is not None:
            return values_of(self)[start:stop]
        parts = self.board.parts
        if len(parts) == 1:
            return self._part_values(parts[0], slice(start, stop))
        values = np.full(len(self.value), np.nan)
        for part in parts:
            places = np.flatnonzero(part.marks[start:stop]) + start
            values[places] = self._part_values(part, places)
        return values[start:stop]

    def scorer_values(self) -> Iterator[tuple[str, Floats]]:
        """Per sample, shape (samples,), what each further scorer says, under the line on failures.

        What scorers say of all repeats of a sample is there where they could say it.
        """
        for name, values in self.others.items():
            yield name, _means(self._settled_other(name, values))
        yield from self.together.items()

    def _part_values(self, part: Part, places: Places) -> Floats:
        """Quality per sample of one task at these positions, which are all of it."""
        value, metric = self.value[places], part.metric
        if metric.name == "accuracy" or metric.reads == "repeats":
            value = np.where(np.isnan(value), np.nan, value == 1.0)
        value = self._settled(value, part, part.task.scorers[0].name, places)
        return _passes(value, metric) if metric.reads == "repeats" else _means(value)

    def _settled_other(self, name: str, values: Floats) -> Floats:
        """The values of a further scorer, by the record's name for it, settled where its task is asked."""
        part = next(part for part in self.board.parts if name.startswith(part.shown("")))
        places, settled = np.flatnonzero(part.marks), values.copy()
        settled[places] = self._settled(values[places], part, name.removeprefix(part.shown("")), places)
        return settled

    def _settled(self, values: Floats, part: Part, scorer: str, places: Places) -> Floats:
        """The values, with 0 for what failed or could not be judged where the spec counts it as wrong.

        Where a judge has a say, or a sandbox, an answer without a verdict is none of these.
        """
        if self.board.plan.failures != "count_as_wrong":
            return values
        wrong = self.seen[places] & np.isnan(values)
        if any(one.name == scorer and may_be_silent(one) for one in part.task.scorers):
            wrong &= np.isnan(self.latency[places])
        return np.where(wrong, 0.0, values)

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
        first_token_p50, first_token_p95 = _percentiles(self.first_token, 50, 95)
        queue_p50, queue_p95 = _percentiles(self.queue, 50, 95)
        return Trial(
            number=self.number,
            settings=self.settings,
            model_class=self.board.plan.asked_models[self.settings.model].model_class,
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
            input_truncation_rate=self.cut / calls if calls and self._truncates() else None,
            spent_usd=self.spent_usd,
            reason=self.reason or self._why_silent(),
            metrics={
                **self.variety.metrics(),  # a scorer of the same name has the last word
                **{name: self._mean(name, values) for name, values in self.others.items()},
                **{name: float(np.nanmean(values)) for name, values in self.together.items()},
            },
            facts=self.figures | (cache_figures(self) if self.board.metric.reads == "hits" else {}),
            bounds={} if level is None or not calls else self._bounds(level),
            first_token_p95_s=first_token_p95,
            queue_p50_s=queue_p50,
            queue_p95_s=queue_p95,
            endings=dict(self.endings.most_common()),
            by_task=self.measure().by_task,
            course={} if level is None else self._course(),
        )

    def _course(self) -> dict[int, float]:
        """The quality after the samples at which races look, as far as there were more."""
        if self.board.of_the_whole or len(self.board.parts) > 1:
            return {}
        values = self.quality_values()
        known = np.cumsum(~np.isnan(values))
        sums = np.cumsum(np.nan_to_num(values))
        marks = [mark for mark in checkpoints(len(values))[:-1] if mark < self.samples() and known[mark - 1]]
        return {mark: float(sums[mark - 1] / known[mark - 1]) for mark in marks}

    def _why_silent(self) -> str:
        """That there is no answer at all, and the newest cause; empty where some call was answered."""
        silent = 0 < self.failed == int(self.seen.sum())
        return f"every call failed, the last one with {self.failure}" if silent else ""

    def _truncates(self) -> bool:
        return any(
            one.long_inputs is not None and one.long_inputs.truncates for one in self.board.plan.task.each
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
        if self.board.metric.reads == "hits":
            found |= cache_bounds(self, level)
        quality = None if self.board.split == "search" else measure(self, two_sided(level)).whole
        if quality is not None:
            found["quality"] = Bounds(
                low=quality.low, high=quality.high, level=level, n=quality.clusters, method=quality.method
            )
        return found

    def quality(self) -> Estimate | None:
        """The metric with its interval; `None` with fewer than two samples to count."""
        return self.measure().whole

    def measure(self) -> Measured:
        """The quality so far, as a whole and by task, at the confidence of the aim."""
        answers = int(self.seen.sum())
        # Whoever watches a run asks again and again, and resampling takes a while.
        if self.measured is None or self.measured[0] != answers:
            self.measured = (answers, measure(self, self.board.plan.aim.confidence))
        return self.measured[1]

    def _mean(self, name: str, values: Floats) -> float:
        return float(np.nanmean(self._settled_other(name, values)))

    def _take_figures(self, at: tuple[int, int], answer: Completion) -> None:
        self.latency[at] = answer.latency.total_s
        self.queue[at] = answer.latency.queue_s
        self.endings[answer.reply.finish_reason or ""] += 1
        if answer.latency.first_token_s is not None:
            self.first_token[at] = answer.latency.first_token_s
        if answer.price_usd is not None:
            self.price[at] = answer.price_usd
        self.paid[at] = not answer.cached
        if answer.cached:
            self.cached += 1
        else:
            self.spent_usd += max(0.0, (answer.price_usd or 0.0) - answer.cached_usd)
        if answer.reply.finish_reason == "length":
            self.truncated += 1


def _means(values: Floats) -> Floats:
    """The mean of each row over what is there; NaN without anything."""
    counted = (~np.isnan(values)).sum(axis=1)
    return np.where(counted > 0, np.nansum(values, axis=1) / np.maximum(counted, 1), np.nan)


def _passes(passed: Floats, metric: Metric) -> Floats:
    """What each sample adds to a metric of repeats, from its answers of 0 and 1; NaN with too few of them."""
    most = passed.shape[1]
    shares = [[passes(metric, min(hits, n), n) for hits in range(most + 1)] for n in range(most + 1)]
    table = np.array(shares, dtype=np.float64)
    return table[(~np.isnan(passed)).sum(axis=1), np.nansum(passed, axis=1).astype(np.intp)]


def _percentiles(figures: NDArray[np.float32], *shares: float) -> list[float | None]:
    known = figures[~np.isnan(figures)]
    if not len(known):
        return [None] * len(shares)
    return [float(figure) for figure in np.percentile(known, shares)]
