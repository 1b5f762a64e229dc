"""Answers of near prompts, for development runs: what is tried out becomes cheaper, and counts for nothing.

In: calls for answers, and an engine. Out: one outcome for each, some the answer to a near prompt, marked.
A plan that allows this recommends nothing; see `Plan.near`. Nothing is ever stored as the answer to a prompt
that was not asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.plan.plan import NearAnswers, Plan
from harness.records import Call, Completion, Outcome, Settings
from harness.trials.long_inputs import Asks, in_chunks
from harness.vectors import matrix

BLOCK = 64  # calls that are embedded together; those of them that are near each other wait for one answer

Vector: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = dict[str, Vector]


def in_front(plan: Plan, engine: Asks) -> Asks:
    """What answers the calls of this plan: the engine, or what stands before it as the spec asks."""
    return in_chunks(plan, engine if plan.near is None else NearAsks(plan, plan.near, engine))


@dataclass(slots=True)
class _Asked:
    """A prompt that is answered, or will be. answer: `None` until then, and for good when the call failed."""

    vector: Vector
    sample_id: str
    answer: Completion | None = None
    failed: bool = False


@dataclass(slots=True)
class NearAsks:
    """Stands before an engine, for as long as a run lasts.

    Two calls can be near only under the same model, prompt variant, task, split, repeat and sent settings,
    but for the seed that is derived from the sample. Which calls are near depends on their order alone.
    """

    plan: Plan
    near: NearAnswers
    engine: Asks
    _asked: dict[str, list[_Asked]] = field(default_factory=dict[str, "list[_Asked]"])

    def run(self, calls: Iterable[Call]) -> Generator[Outcome]:
        """As `Engine.run`."""
        source = iter(calls)
        while block := list(islice(source, BLOCK)):
            yield from self._answered(block)

    def ahead(self, calls: Sequence[Call]) -> Generator[Outcome]:
        """As `Engine.ahead`, but nothing is sent before it is wanted: what is near depends on order."""
        return self.run(calls)

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """As `Engine.recall`; where a prompt was not asked, the answer of the near one that it was given."""
        source = iter(calls)
        while block := list(islice(source, BLOCK)):
            known = {id(one.call): one for one in self.engine.recall(block)}
            vectors = self._vectors(block, self.engine.recall)
            for call in block:
                outcome = known.get(id(call))
                if outcome is not None:
                    if isinstance(outcome, Completion):
                        self._note(call, vectors, outcome)
                    yield outcome
                elif (found := self._nearest(call, vectors)) is not None and found[0].answer is not None:
                    yield _given(call, found[0].answer, *found)

    def _answered(self, block: Sequence[Call]) -> Iterator[Outcome]:
        """One outcome for each. A prompt whose own answer is in the store is never given another's."""
        own = {id(one.call) for one in self.engine.recall(block) if isinstance(one, Completion)}
        vectors = self._vectors(block, self.engine.run)
        asked: dict[int, _Asked | None] = {}
        given: list[tuple[Call, tuple[_Asked, float]]] = []
        for call in block:
            found = None if id(call) in own else self._nearest(call, vectors)
            if found is None:
                asked[id(call)] = self._note(call, vectors)
            else:
                given.append((call, found))
        yield from self._sent([call for call in block if id(call) in asked], asked)
        for call, found in given:
            if found[0].answer is not None:
                yield _given(call, found[0].answer, *found)
        # The one that these waited for failed: they are asked themselves.
        left = [call for call, found in given if found[0].answer is None]
        yield from self._sent(left, {id(call): self._note(call, vectors) for call in left})

    def _sent(self, calls: Sequence[Call], asked: dict[int, _Asked | None]) -> Iterator[Outcome]:
        if not calls:
            return
        with closing(self.engine.run(calls)) as outcomes:
            for outcome in outcomes:
                noted = asked[id(outcome.call)]
                if noted is not None:
                    noted.answer = outcome if isinstance(outcome, Completion) else None
                    noted.failed = noted.answer is None
                yield outcome

    def _note(self, call: Call, vectors: Vectors, answer: Completion | None = None) -> _Asked | None:
        """Remember a prompt for those that come after it; one without a vector cannot be near anything."""
        vector = vectors.get(_text(call))
        if vector is None:
            return None
        noted = _Asked(vector, call.sample_id, answer)
        self._asked.setdefault(self._kind(call), []).append(noted)
        return noted

    def _nearest(self, call: Call, vectors: Vectors) -> tuple[_Asked, float] | None:
        """The nearest prompt with its cosine, if it is near enough."""
        vector = vectors.get(_text(call))
        others = [one for one in self._asked.get(self._kind(call), ()) if not one.failed]
        if vector is None or not others:
            return None
        cosines = np.stack([one.vector for one in others]) @ vector
        best = int(cosines.argmax())
        return (others[best], float(cosines[best])) if cosines[best] >= self.near.threshold else None

    def _kind(self, call: Call) -> str:
        """What two calls have in common that may share an answer."""
        sent = {name: value for name, value in call.settings.sent().items() if name != "seed"}
        split = self.plan.task.rows.sample(call.sample_id).split
        named = [call.settings.model, call.settings.prompt, call.task, split, call.repeat, sent]
        return json.dumps(named, sort_keys=True)

    def _vectors(self, calls: Sequence[Call], send: Callable[[Iterable[Call]], Iterable[Outcome]]) -> Vectors:
        """Vectors of length 1 by prompt; what cannot be embedded, as a text that is too long, has none."""
        settings = Settings(model=self.near.model.full_name, prompt="", extra=self.near.sent)
        wanted = {
            text: Call(
                settings=settings, texts=(text,), purpose="embed", task=call.task, sample_id=call.sample_id
            )
            for call in calls
            if (text := _text(call)).strip()
        }
        found: Vectors = {}
        for outcome in send(list(wanted.values())):
            if isinstance(outcome, Completion) and outcome.reply.vectors:
                vector = matrix(outcome.reply.vectors)[0].astype(np.float64)
                found[outcome.call.texts[0]] = vector / np.sqrt(vector @ vector)
        return found


def _text(call: Call) -> str:
    return "\n".join(message.content for message in call.messages)


def _given(call: Call, answer: Completion, asked: _Asked, cosine: float) -> Completion:
    """The answer to another prompt, at its price; nothing is spent."""
    return replace(answer, call=call, cached=True, near_cosine=cosine, near_sample=asked.sample_id)
