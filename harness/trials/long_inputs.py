"""Long inputs, asked about in chunks: one answer from the answers to all of them.

In: calls for samples, and an engine. Out: one outcome for each call, as if the model had taken the whole.
Calls for samples that are not long pass through as they are. Each chunk is a call like any other, in cache,
ledger and limits; so is the one that puts answers together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from harness.errors import PromptError
from harness.plan.long_inputs import LongInputs
from harness.plan.plan import Plan
from harness.records import UNSENT, Call, CallFailure, Completion, Latency, Outcome, Reply, Sample, Usage
from harness.scores.answer import Answer
from harness.scores.judge import Judge

TOGETHER = 64  # answers that are put together by a prompt at a time
BETWEEN = "\n\n"  # answers that stand one below the other


class Asks(Protocol):
    """What answers calls; see `calls.engine.Engine`, whose words these are."""

    def run(self, calls: Iterable[Call]) -> Generator[Outcome]:
        """One outcome for each call, in order of completion."""
        ...

    def ahead(self, calls: Sequence[Call]) -> Generator[Outcome]:
        """As `run`, but all of them are sent before this returns."""
        ...

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """What is known of these calls; nothing is sent."""
        ...


def in_chunks(plan: Plan, engine: Asks) -> Asks:
    """The engine, or one that asks long inputs in chunks where the task of this plan wants that."""
    wanted = (one.long_inputs is not None and one.long_inputs.combine for one in plan.task.each)
    return ChunkedAsks(plan, engine) if any(wanted) else engine


@dataclass(slots=True)
class _Whole:
    """A call for a long input. arrived: an outcome for each of its chunks, by place."""

    call: Call
    sample: Sample
    missing: int
    arrived: list[Outcome | None]

    def outcomes(self) -> list[Outcome]:
        return [one for one in self.arrived if one is not None]


@dataclass(slots=True)
class ChunkedAsks:
    """Stands before an engine. All state belongs to one stream of calls."""

    plan: Plan
    engine: Asks

    def run(self, calls: Iterable[Call]) -> Generator[Outcome]:
        """As `Engine.run`."""
        under_way = _UnderWay(self.plan)
        return self._whole(under_way, self.engine.run(under_way.chunks(calls)))

    def ahead(self, calls: Sequence[Call]) -> Generator[Outcome]:
        """As `Engine.ahead`."""
        under_way = _UnderWay(self.plan)
        outcomes = self.engine.ahead(list(under_way.chunks(calls)))
        # Closing a generator that never ran would not stop its calls: this one runs up to its first outcome.
        running = self._whole(under_way, outcomes, first=(cast("Outcome", None),))
        next(running)
        return running

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """As `Engine.recall`; an answer of which some chunk is not known is left out."""
        for call in calls:
            under_way = _UnderWay(self.plan)
            for outcome in self.engine.recall(under_way.chunks([call])):
                for one in self._settled(under_way.take(outcome)):
                    if isinstance(one, _Whole):
                        last = self._last_call(one)
                        known = (last,) if isinstance(last, CallFailure) else self.engine.recall([last])
                        yield from (_put_together(one, [], after) for after in known)
                    else:
                        yield one

    def _whole(
        self, under_way: _UnderWay, outcomes: Generator[Outcome], first: Sequence[Outcome] = ()
    ) -> Generator[Outcome]:
        with closing(outcomes):
            yield from first
            waiting: list[_Whole] = []
            for outcome in outcomes:
                for one in self._settled(under_way.take(outcome)):
                    if isinstance(one, _Whole):
                        waiting.append(one)
                    else:
                        yield one
                if len(waiting) >= TOGETHER:
                    yield from self._reduced(waiting)
                    waiting = []
            yield from self._reduced(waiting)

    def _settled(self, taken: Outcome | _Whole | None) -> Iterator[Outcome | _Whole]:
        """The outcome that is whole now; what has to be put together by a prompt stays in parts."""
        if not isinstance(taken, _Whole):
            if taken is not None:
                yield taken
            return
        failed = [one for one in taken.outcomes() if isinstance(one, CallFailure)]
        answers = [one for one in taken.outcomes() if isinstance(one, Completion)]
        if failed:
            # What was not sent says nothing of the sample, whatever else failed.
            first = next((one for one in failed if one.kind in UNSENT), failed[0])
            yield replace(first, call=taken.call, attempts=sum(one.attempts for one in failed))
        elif (combine := self._long(taken).combine) == "reduce":
            yield taken
        else:
            texts = [answer.reply.text or "" for answer in answers]
            whole = BETWEEN.join(texts) if combine == "concat" else self._voted(taken, texts)
            yield _put_together(taken, [whole])

    def _voted(self, whole: _Whole, texts: Sequence[str]) -> str:
        """The first text with the label that most have, or the text where the scorer reads no label."""
        scorer = self.plan.task.of(whole.sample.id).scorers[0]
        votes: list[str | None] = [None] * len(texts)
        if not isinstance(scorer, Judge):
            votes = [scorer.score(Answer(sample=whole.sample, text=text)).label for text in texts]
        if not any(votes):
            votes = [" ".join(text.split()).casefold() for text in texts]
        counts = Counter(vote for vote in votes if vote is not None)
        return texts[votes.index(max(counts, key=counts.__getitem__))]

    def _long(self, whole: _Whole) -> LongInputs:
        long = self.plan.task.of(whole.sample.id).long_inputs
        assert long is not None, "only a task with long inputs asks in chunks"
        return long

    def _reduced(self, waiting: Sequence[_Whole]) -> Iterator[Outcome]:
        """One more call for each of these, all of them together."""
        asked: dict[int, _Whole] = {}
        calls: list[Call] = []
        for whole in waiting:
            call = self._last_call(whole)
            if isinstance(call, CallFailure):
                yield call
                continue
            asked[id(call)] = whole
            calls.append(call)
        for outcome in self.engine.run(calls) if calls else ():
            yield _put_together(asked[id(outcome.call)], [], outcome)

    def _last_call(self, whole: _Whole) -> Call | CallFailure:
        """The call that puts the answers together; a failure where its prompt cannot be made of them."""
        texts = [one.reply.text or "" for one in whole.outcomes() if isinstance(one, Completion)]
        long = self._long(whole)
        assert long.reduce is not None, "a plan that reduces has a prompt for it"
        try:
            messages = long.reduce.render(long.reduce_inputs(whole.sample.inputs, texts))
        except PromptError as error:
            return CallFailure(
                call=whole.call, kind="bad_request", message=str(error), attempts=0, retryable=False
            )
        return replace(whole.call, messages=messages)


@dataclass(slots=True)
class _UnderWay:
    """Which chunk each call asks about, by the identity of the call."""

    plan: Plan
    places: dict[int, tuple[_Whole, int]] = field(default_factory=dict[int, "tuple[_Whole, int]"])

    def chunks(self, calls: Iterable[Call]) -> Iterator[Call]:
        """A call for each chunk of what these ask; a call itself where there is one only."""
        for call in calls:
            sample = self.plan.task.rows.sample(call.sample_id)
            pieces = list(self.plan.task.each_piece(call.settings.prompt, sample))
            if len(pieces) == 1:
                yield call
                continue
            whole = _Whole(call, sample, len(pieces), [None] * len(pieces))
            for place, messages in enumerate(pieces):
                chunk = replace(call, messages=messages)
                self.places[id(chunk)] = (whole, place)
                yield chunk

    def take(self, outcome: Outcome) -> Outcome | _Whole | None:
        """The outcome itself, or the call whose last chunk this was; `None` while others are missing."""
        if id(outcome.call) not in self.places:
            return outcome
        whole, place = self.places.pop(id(outcome.call))
        whole.arrived[place] = outcome
        whole.missing -= 1
        return None if whole.missing else whole


def _put_together(whole: _Whole, texts: Sequence[str], last: Outcome | None = None) -> Outcome:
    """One answer. texts: it; none where `last`, the call that put the answers together, says it.

    Its price is that of all calls, and it took as long as the slowest chunk and the last call after it:
    chunks can be asked at the same time.
    """
    if isinstance(last, CallFailure):
        return replace(last, call=whole.call)
    chunks = [one for one in whole.outcomes() if isinstance(one, Completion)]
    parts = chunks if last is None else [*chunks, last]
    prices = [one.price_usd for one in parts]
    saved = [one.price_usd or 0.0 for one in parts if one.cached]
    cut_off = any(one.reply.finish_reason == "length" for one in parts)
    text = texts[0] if last is None else last.reply.text
    return Completion(
        call=whole.call,
        reply=Reply(
            text=text,
            finish_reason="length" if cut_off else parts[-1].reply.finish_reason,
            usage=_usage([one.reply.usage for one in parts]),
            served_by=parts[-1].reply.served_by,
        ),
        price_usd=None if None in prices else sum(price or 0.0 for price in prices),
        latency=Latency(
            queue_s=max(one.latency.queue_s for one in parts),
            total_s=max(one.latency.total_s for one in chunks) + (last.latency.total_s if last else 0.0),
        ),
        cached=all(one.cached for one in parts),
        cached_usd=sum(saved),
        at=max(one.at for one in parts),
        reused=any(one.reused for one in parts),
        near_cosine=min((one.near_cosine for one in parts if one.near_cosine is not None), default=None),
        near_sample=next((one.near_sample for one in parts if one.near_sample), ""),
    )


def _usage(parts: Sequence[Usage]) -> Usage:
    """All tokens together; a kind that one part does not tell is unknown."""

    def total(kind: str) -> int | None:
        counts = [getattr(one, kind) for one in parts]
        return None if None in counts else sum(counts)

    return Usage(**{kind: total(kind) for kind in Usage.__dataclass_fields__})
