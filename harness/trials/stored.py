"""Asking the store alone: for a machine without keys, such as one that checks a stranger's pull request.

In: arms and positions of samples, as for `evaluate.Pipeline`. Out: the arms, with what the store knows.
Nothing is ever sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.calls.engine import Engine
from harness.errors import ProviderError
from harness.records import Call, Outcome
from harness.trials.evaluate import NOTHING, Answered, Asked, Due, calls_of, take
from harness.trials.evidence import Arm
from harness.trials.judging import Arrived, judge_each
from harness.trials.vectors import VectorPipeline

NAMED = 5  # samples that the message lists


class StoredAnswers:
    """Lets arms have the answers that the store has. `watch` is called after each."""

    def __init__(self, engine: Engine, watch: Callable[[], None] | None = None) -> None:
        self._engine = engine
        self._watch = watch

    def ask(self, arms: Sequence[Arm], positions: Sequence[int], ahead: Due = NOTHING) -> Answered:
        """Fill these arms at these positions; see `evaluate.Ask`. Nothing is asked ahead.

        Raises ProviderError when answers are missing, with how many and the first samples.
        """
        del ahead
        send, under_way = RecallAll(self._engine), dict[int, Asked]()
        found = send(calls_of(Due(arms, positions), under_way))
        arrived = (Arrived(asked := under_way[id(one.call)], one, asked.sample) for one in found)
        for judged in judge_each(arms[0].board.plan, arrived, send):
            take(judged)
            if self._watch:
                self._watch()
        send.require_all()
        return Answered()


class StoredVectors:
    """The same for arms of embedding models. `watch` is called after each sample."""

    def __init__(self, engine: Engine, watch: Callable[[], None] | None = None) -> None:
        self._send = RecallAll(engine)
        self._pipeline = VectorPipeline(self._send, watch)

    def ask(self, arms: Sequence[Arm], positions: Sequence[int], ahead: Due = NOTHING) -> Answered:
        """Fill these arms at these positions, from the vectors of texts and of the whole corpus.

        Raises ProviderError when vectors are missing, with how many and the first of their texts.
        """
        answered = self._pipeline.ask(arms, positions, ahead)
        self._send.require_all()
        return answered


class RecallAll:
    """Sends calls to the store, and remembers which it does not know."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._missing: list[Call] = []
        self._asked = 0

    def __call__(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """What the store knows of these calls, in order, as it is read: a corpus of vectors is large."""
        waiting: dict[int, Call] = {}

        def noted() -> Iterator[Call]:
            for call in calls:
                self._asked += 1
                waiting[id(call)] = call
                yield call

        for outcome in self._engine.stored(noted()):
            del waiting[id(outcome.call)]
            yield outcome
        self._missing += waiting.values()

    def require_all(self) -> None:
        """Raise ProviderError when the store did not know a call."""
        if not self._missing:
            return
        samples = list(dict.fromkeys(call.sample_id for call in self._missing))
        more = f" and {len(samples) - NAMED} more" if len(samples) > NAMED else ""
        judges = sum(call.purpose == "judge" for call in self._missing)
        of_judges = f", {judges} of them of judges" if judges else ""
        model, vectors = self._missing[0].settings.model, all(call.texts for call in self._missing)
        what, where = ("vectors", "for the texts of") if vectors else ("answers", "on samples")
        raise ProviderError(
            f"{len(self._missing)} of {self._asked} {what} are not in the store{of_judges}, and --offline "
            f"asks nobody: {model} {where} {', '.join(samples[:NAMED])}{more}; run it once where keys are, "
            "with the same store (HARNESS_STORE), or without --offline"
        )
