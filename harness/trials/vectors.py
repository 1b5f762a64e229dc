"""Arms of embedding models: their texts embedded, and held against what the task knows of them.

In: arms and positions of samples. Out: the arms, with evidence added. The counterpart of `evaluate` for tasks
with a kind: a corpus is embedded before its first query, and a sample may be two texts. Vectors of two models
never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

import numpy as np

from harness.calls.engine import Engine
from harness.errors import UsageError
from harness.findings import AnswerRow
from harness.plan.embedding import SIMILARITY, TOP_K, Embedding, relevance
from harness.plan.plan import Plan
from harness.records import UNSENT, CallFailure, Completion, Outcome, Sample, Score, Settings
from harness.scores.ranking import RankingFigure, ranking_figure
from harness.stats.neighbours import cosine
from harness.trials.embed import Embedded, Send, Vectors, Wanted, embed, wanted
from harness.trials.evaluate import HOPELESS, NOTHING, Answered, Due, affected
from harness.trials.evidence import Arm
from harness.trials.index import Index, NoIndex, Shelf, documents, size_figures
from harness.trials.vector_quality import decisions, told_pair

TOGETHER = 512  # queries that are looked up at a time: a corpus is read, and made unit length, once for all
ENDING = (*HOPELESS, "dimensions")  # a space that changes its size is no space to go on with
# What says nothing of a text and, after all retries, that its service is out: reason enough to fall back.
OUTAGE = ("connection", "timeout", "overloaded", "rate_limit")
VECTOR = "vector"
# What is told of every query beside the metric, for whoever knows one of them better.
USUAL = ("ndcg@10", "recall@1", "recall@10", "mrr@10")
SHOWN = 10  # documents found that a row of the table names


@dataclass(frozen=True, slots=True)
class Source:
    """Where a text comes from. number: which text of a sample, from 0."""

    of: Literal["document", "sample"]
    id: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a text is embedded for."""

    arm: Arm
    position: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class _Told:
    """A sample with what came of it. text: what was found, in words, for the table."""

    asked: _Asked
    outcome: Outcome
    scores: tuple[Score, ...] = ()
    text: str | None = None


@dataclass(slots=True)
class VectorPipeline:
    """Asks arms of embedding models; see `evaluate.Pipeline`.

    send: `Engine.run`, or what asks in its place. watch: called after each sample. Nothing is asked ahead:
    texts travel many in a request.
    """

    send: Send
    watch: Callable[[], None] | None = None
    _shelf: Shelf | None = field(default=None, init=False)

    def ask(self, arms: Sequence[Arm], positions: Sequence[int], _ahead: Due = NOTHING, /) -> Answered:
        """Let all these arms answer the samples at these positions, except what they answered before."""
        answered = Answered()
        self._shelf = self._shelf or Shelf(arms[0].board.plan, self.send)
        able: list[Arm] = []
        for arm in arms:
            index = _index(arm, self._shelf) if _owes(arm, positions) else None
            if not isinstance(index, NoIndex):
                able.append(arm)
            elif not self._noted(index.failure, answered, arms) and not _ends(index.failure, arm):
                self._fail(arm, positions, index.failure)
        asked = _samples(able, positions, without=answered.gone)
        for one in _told(asked, self.send, self._shelf):
            if isinstance(one.outcome, CallFailure) and self._noted(one.outcome, answered, arms):
                continue
            one.asked.arm.take(one.asked.position, one.outcome, one.scores)
            if self.watch:
                self.watch()
        return answered

    def _noted(self, failure: CallFailure, answered: Answered, arms: Sequence[Arm]) -> bool:
        """Whether a failure says nothing of its sample; what it means for those to come is noted."""
        if failure.kind in UNSENT:
            answered.complete = False
            return True
        if _ends(failure, arms[0]):
            cause = f"cannot be asked ({failure.kind}): {failure.message}"
            answered.gone.update(dict.fromkeys(affected(failure, arms), cause))
        return False

    def _fail(self, arm: Arm, positions: Sequence[int], failure: CallFailure) -> None:
        """Without an index, every query of this arm failed as the document did."""
        for position in positions:
            if not arm.seen[position].any():
                arm.board.note(position, arm.board.plan.task.rows.sample(arm.board.ids[position]))
                arm.take(position, failure, ())


def judged_alone(arm: Arm, send: Send) -> Iterator[tuple[int, Outcome, tuple[Score, ...]]]:
    """Every sample of this arm's split by position, with its outcome and scores; nothing is taken."""
    shelf = Shelf(arm.board.plan, send)
    for one in _told(_samples([arm], range(len(arm.seen))), send, shelf):
        yield one.asked.position, one.outcome, one.scores


def texts_asked(plan: Plan, settings: Settings) -> Iterator[Wanted[Source]]:
    """The texts of the plan's task, of each document and each sample of both splits, one at a time."""
    embedding = plan.task.embedding
    if embedding is None:
        return
    if embedding.corpus is not None:
        for one in documents(plan, settings):
            yield Wanted(Source("document", one.calls[0].sample_id), one.calls, one.ends)
    of_side = settings.of_side("query")
    for sample_id in plan.task.rows.ids("all"):
        sample = plan.task.rows.sample(sample_id)
        for number, text in enumerate(embedding.asked(plan.task.prompts[settings.prompt], sample)):
            yield wanted(plan, of_side, Source("sample", sample_id, number), [text], sample_id)


def remember_vectors(arm: Arm, seen: str, engine: Engine) -> None:
    """As `evaluate.remember`, for an arm of vectors."""
    for one in _again(arm, seen, engine):
        arm.take(one.asked.position, one.outcome, one.scores)


def vector_rows(arm: Arm, engine: Engine) -> Iterator[AnswerRow]:
    """As `evaluate.answer_rows`, for an arm of vectors.

    text: what was found: ids of documents, a similarity, a label, the number of a cluster.
    """
    values = decisions(arm)
    for one in _again(arm, None, engine):
        sample, outcome = one.asked.sample, one.outcome
        failed = isinstance(outcome, CallFailure)
        label = arm.found(one.asked.position)
        value = float(values[one.asked.position])
        reason = told_pair(arm, one.asked.position) if _of(arm).of_pairs else ""
        scores = one.scores if _of(arm).kind == "retrieval" else _as_found(one.scores, value, label, reason)
        yield AnswerRow(
            trial=arm.number,
            split=sample.split,
            sample_id=sample.id,
            repeat=0,
            text=None if failed else one.text or label,
            finish_reason=None if failed else "stop",
            failure=outcome.kind if failed else None,
            price_usd=None if failed else outcome.price_usd,
            latency_s=None if failed else outcome.latency.total_s,
            cached=not failed and outcome.cached,
            scores=() if failed else scores,
            target=sample.target,
            inputs=sample.inputs,
            outcome=outcome,
        )


def _of(arm: Arm) -> Embedding:
    embedding = arm.board.plan.task.embedding
    assert embedding is not None, "only arms of vectors come here"
    return embedding


def _index(arm: Arm, shelf: Shelf) -> Index | NoIndex | None:
    """The index that the arm looks its queries up in; `None` in a task without a corpus."""
    if _of(arm).corpus is None:
        return None
    index = shelf.index(arm.settings)
    if isinstance(index, Index):
        _note(arm, index.figures())
    return index


def _note(arm: Arm, figures: Mapping[str, float]) -> None:
    """Keep what the vectors of this arm are like, with the price of its model."""
    model = arm.board.plan.asked_models.get(arm.settings.model)
    priced = {} if model is None or model.prices is None else {"usd_per_million_tokens": model.prices.input}
    arm.figures.update({**figures, **priced})


def _ends(failure: CallFailure, arm: Arm) -> bool:
    """Whether nothing more is asked of the model after this failure."""
    model, fallback = failure.call.settings.model, _of(arm).fallback
    if fallback and model != fallback[-1].model and failure.kind in OUTAGE:
        return True
    return failure.kind in ENDING


def _owes(arm: Arm, positions: Sequence[int]) -> bool:
    return any(not arm.seen[position].any() for position in positions)


def _samples(
    arms: Sequence[Arm], positions: Iterable[int], *, again: bool = False, without: Container[str] = ()
) -> Iterator[Wanted[_Asked]]:
    """What is to be embedded for these samples, or, `again`, what was."""
    for position in positions if arms else ():
        board = arms[0].board
        sample = board.plan.task.rows.sample(board.ids[position])
        board.note(position, sample)
        for arm in arms:
            if arm.settings.model in without or bool(arm.seen[position].any()) != again:
                continue
            texts = _of(arm).asked(board.plan.task.prompts[arm.settings.prompt], sample)
            yield wanted(
                board.plan, arm.settings.of_side("query"), _Asked(arm, position, sample), texts, sample.id
            )


def _told(asked: Iterable[Wanted[_Asked]], send: Send, shelf: Shelf) -> Iterator[_Told]:
    """These samples with what came of them; queries of a corpus some at a time."""
    source = embed(asked, send)
    while some := list(islice(source, TOGETHER)):
        whole = [(one, one.whole(_length(one.wanted.asked.arm))) for one in some]
        yield from (_Told(one.wanted.asked, out) for one, out in whole if isinstance(out, CallFailure))
        done = [(one, outcome) for one, outcome in whole if isinstance(outcome, Completion)]
        queries: dict[int, list[tuple[Embedded[_Asked], Completion]]] = {}
        for one, outcome in done:
            arm = one.wanted.asked.arm
            if _of(arm).corpus is None:
                yield _judged(one, outcome)
            else:
                queries.setdefault(id(arm), []).append((one, outcome))
        for of_arm in queries.values():
            yield from _found(of_arm, shelf)


def _length(arm: Arm) -> int:
    """How many numbers the vectors of this arm have; 0 before the first one."""
    return int(arm.figures.get("dimensions", 0))


def _judged(one: Embedded[_Asked], outcome: Completion) -> _Told:
    """A pair with its similarity, or a text whose vector is kept for the whole."""
    asked, vectors = one.wanted.asked, one.vectors()
    _note(asked.arm, size_figures(vectors[0].shape[1]))
    if _of(asked.arm).of_pairs:
        likeness = _likeness(vectors[0], vectors[1])
        score = _score(asked.sample, SIMILARITY, likeness)
        return _Told(asked, outcome, (score,), f"{likeness:.4f}")
    asked.arm.keep_vector(asked.position, vectors[0].mean(axis=0))
    return _Told(asked, outcome, (_score(asked.sample, VECTOR, 0.0),))


def _likeness(first: Vectors, second: Vectors) -> float:
    """The cosine of two texts, from -1 to 1; the best pair of their pieces counts."""
    left = np.repeat(first, len(second), axis=0).astype(np.float64)
    right = np.tile(second, (len(first), 1)).astype(np.float64)
    return float(cosine(left, right).max())


def _found(of_arm: Sequence[tuple[Embedded[_Asked], Completion]], shelf: Shelf) -> Iterator[_Told]:
    """Queries of one arm with what its index finds."""
    arm = of_arm[0][0].wanted.asked.arm
    index = _index(arm, shelf)
    assert isinstance(index, Index), "queries are asked where there is an index"
    figures = _figures(arm)
    most = max(SHOWN, *(figure.k or len(index.ids) for _, figure in figures))
    ranked = index.nearest([one.vectors()[0] for one, _ in of_arm], most)
    for (one, outcome), ids in zip(of_arm, ranked, strict=True):
        asked = one.wanted.asked
        grades = relevance(asked.sample.target) or {}
        found = [grades.get(name, 0.0) for name in ids]
        scores = tuple(
            _score(asked.sample, name, figure.of(found, list(grades.values()))) for name, figure in figures
        )
        yield _Told(asked, outcome, scores, ", ".join(ids[:SHOWN]))


def _figures(arm: Arm) -> list[tuple[str, RankingFigure]]:
    """The metric, then what is told beside it, by name."""
    metric = _of(arm).metric
    k = int(metric.argument) if metric.argument else _top_k(arm.settings)
    first = (metric.name, RankingFigure(metric.kind or metric.name, k))
    return [first, *((name, ranking_figure(name)) for name in USUAL if name != metric.name)]


def _top_k(settings: Settings) -> int:
    held = settings.local.get("top_k")
    return int(held) if isinstance(held, int | float) else TOP_K


def _score(sample: Sample, name: str, value: float) -> Score:
    return Score(sample_id=sample.id, repeat=0, scorer=name, version=1, value=value)


def _as_found(scores: Sequence[Score], value: float, label: str | None, reason: str) -> tuple[Score, ...]:
    """The scores of a sample once all are seen: what it adds to the whole, which alone it has not."""
    known = None if np.isnan(value) else value
    return tuple(
        Score(
            sample_id=one.sample_id,
            repeat=0,
            scorer=one.scorer,
            version=one.version,
            value=known,
            label=label,
            reason=reason,
        )
        for one in scores
    )


def _again(arm: Arm, seen: str | None, engine: Engine) -> Iterator[_Told]:
    """What this arm saw, read back from the store. seen: as `Arm.seen_text` wrote it; `None`: as it is."""
    if seen is not None:
        arm.mark_seen(seen)
    positions: list[int] = np.flatnonzero(arm.seen.any(axis=1)).tolist()
    if not positions:
        return
    shelf = Shelf(arm.board.plan, engine.recall, arm.board.indexes)
    index = _index(arm, shelf)
    if isinstance(index, NoIndex):
        if index.failure.attempts == 0:
            raise UsageError(
                f"{index.failure.message} any more (`harness cache prune` removes some): what the run found "
                "is kept, but neither its report nor another choice can be made from it"
            )
        for position in positions:
            sample = arm.board.plan.task.rows.sample(arm.board.ids[position])
            arm.board.note(position, sample)
            yield _Told(_Asked(arm, position, sample), index.failure)
        return
    for one in _told(_samples([arm], positions, again=True), engine.recall, shelf):
        yield replace(one, outcome=arm.as_seen(one.asked.position, one.outcome))
