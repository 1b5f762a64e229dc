"""Texts in, vectors out: which calls a text takes, and what becomes of their outcomes.

In: texts with what they are for, settings, and a way to send calls. Out: one vector a text, or why there is
none. One text, or one piece of it, is one call, so that each is paid once and held like any other. Vectors
are float32; what could not be embedded is told, never filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.plan.plan import Plan
from harness.records import Call, CallFailure, Completion, Latency, Outcome, Reply, Settings, Usage
from harness.stats.neighbours import unit
from harness.trials.pieces import pieces_of
from harness.vectors import length_of, matrix

T = TypeVar("T")
Vectors = NDArray[np.float32]
Send: TypeAlias = "Callable[[Iterable[Call]], Iterator[Outcome]]"


@dataclass(frozen=True, slots=True)
class Wanted(Generic[T]):
    """Texts that are to be embedded for something. calls: of all their pieces; ends: of each text."""

    asked: T
    calls: tuple[Call, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Embedded(Generic[T]):
    """What came of it. outcomes: one a piece, in order."""

    wanted: Wanted[T]
    outcomes: tuple[Outcome, ...]

    def vectors(self) -> tuple[Vectors, ...]:
        """One matrix a text: a row for each of its pieces, or one for all where they are pooled.

        Raises ValueError for vectors of several lengths.
        """
        settings = self.wanted.calls[0].settings
        rows = np.split(matrix([_vector(one) for one in self.outcomes]), self.wanted.ends[:-1])
        return tuple(_pooled(one, settings) for one in rows)

    def whole(self, length: int = 0) -> Outcome:
        """The pieces as one outcome: prices and tokens added up, the latency of the slowest.

        It is a failure where a piece has no vector, or one that is not of this length (0: of any one length).
        """
        failed = next((one for one in self.outcomes if isinstance(one, CallFailure)), None)
        if failed is not None:
            return failed
        done = [one for one in self.outcomes if isinstance(one, Completion)]
        lengths = {length_of(_vector(one)) for one in done} | ({length} if length else set())
        if len(lengths) > 1:
            found = " and ".join(str(one) for one in sorted(lengths))
            return CallFailure(
                call=done[0].call,
                kind="dimensions",
                message=f"vectors of {found} numbers came for one task, which cannot be compared",
                attempts=1,
                retryable=False,
            )
        prices = [one.price_usd for one in done]
        slowest = max(done, key=lambda one: one.latency.total_s)
        return replace(
            done[0],
            reply=Reply(usage=_added([one.reply.usage for one in done]), finish_reason="stop"),
            price_usd=None if None in prices else sum(price or 0.0 for price in prices),
            latency=Latency(queue_s=slowest.latency.queue_s, total_s=slowest.latency.total_s),
            cached=all(one.cached for one in done),
            cached_usd=sum(one.price_usd or 0.0 for one in done if one.cached),
            at=max(one.at for one in done),
        )


@dataclass(slots=True)
class _Open(Generic[T]):
    wanted: Wanted[T]
    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])


def embed(wanted: Iterable[Wanted[T]], send: Send) -> Generator[Embedded[T]]:
    """Each of these with the outcomes of its calls, as they are complete.

    send: `Engine.run`, or `Engine.recall`, which leaves out what was never asked: so does this then.
    """
    under_way: dict[int, tuple[_Open[T], int]] = {}

    def calls() -> Iterator[Call]:
        for one in wanted:
            begun = _Open(one)
            for place, call in enumerate(one.calls):
                under_way[id(call)] = (begun, place)
                yield call

    for outcome in send(calls()):
        begun, place = under_way.pop(id(outcome.call))
        begun.outcomes[place] = outcome
        if len(begun.outcomes) == len(begun.wanted.calls):
            yield Embedded(begun.wanted, tuple(outcome for _, outcome in sorted(begun.outcomes.items())))


def wanted(plan: Plan, settings: Settings, asked: T, texts: Sequence[str], sample_id: str) -> Wanted[T]:
    """The calls that embed these texts under these settings, which are those of one side."""
    cut = [pieces_of(text, settings, plan.asked_models) for text in texts]
    calls = tuple(
        Call(
            settings=settings,
            texts=(piece,),
            purpose="embed",
            task=plan.task.name,
            sample_id=sample_id,
        )
        for pieces in cut
        for piece in pieces
    )
    return Wanted(asked, calls, tuple(np.cumsum([len(pieces) for pieces in cut]).tolist()))


def _pooled(rows: Vectors, settings: Settings) -> Vectors:
    """What the pieces of one text become: the mean of their directions, or all where the best one counts."""
    if len(rows) == 1 or settings.local.get("pooling") == "max":
        return rows
    return unit(rows, f"the pieces of a text, by {settings.model},").mean(axis=0, keepdims=True)


def _vector(outcome: Outcome) -> bytes:
    assert isinstance(outcome, Completion), "vectors are asked for when nothing failed"
    assert outcome.reply.vectors is not None, "a call for a text is answered by its vector"
    return outcome.reply.vectors[0]


def _added(usages: Sequence[Usage]) -> Usage:
    tokens = [usage.input_tokens for usage in usages]
    return Usage(input_tokens=None if None in tokens else sum(count or 0 for count in tokens))
