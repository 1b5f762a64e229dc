"""Calls in, outcomes out: plain generators for callers, over an event loop in a background thread.

In: calls, from any thread, also inside a notebook's running loop. Out: one outcome a call, in order of
completion; a paid reply is durable before anybody sees it. Memory does not depend on the number of
calls. The engine cannot read a spec and judges nothing. What happens to a call that the store does not
know stands in `dispatch`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Self, cast

from harness.calls.batches import Lengths, require_text
from harness.calls.budget import Budget, Caps, require_bounded
from harness.calls.dispatch import Dispatcher, Notify
from harness.calls.known import CHUNK, Known
from harness.calls.provider import Provider
from harness.calls.tickets import Hits, Stream, Ticket
from harness.calls.waiting import Deadline
from harness.catalogue.models import Model
from harness.clock import Clock, SystemClock
from harness.errors import StoreLostError
from harness.findings import Spend
from harness.records import Call, CallFailure, Completion, Endpoint, Outcome
from harness.store.journal import Journal
from harness.store.leases import Pool
from harness.store.own import Own
from harness.store.owners import Owners
from harness.store.store import Store

WINDOW = 512  # calls under way or queued at once: bounds memory, and is far above any concurrency
# The same for texts to embed, of which a hundred travel in one request.
TEXTS_WINDOW = 8192
TEXTS_CHUNK = 1024
ELSEWHERE_S = 0.05  # between two looks for answers that another process is asking for


class Engine:
    """Answers calls from the store, else from their providers, within the caps. Close it when done.

    providers and endpoints: by provider name. models: by full name, for prices and limits.
    minutes: after which nothing is sent, counted from now on; `None`: no limit.
    use_cache: False takes no answers but those that the run paid for, and they replace the ones of before.
    reuse_limits: output limits among which an answer may stand for another; see `calls.reuse`.
    """

    def __init__(
        self,
        *,
        run: str,
        providers: Mapping[str, Provider],
        endpoints: Mapping[str, Endpoint],
        models: Mapping[str, Model],
        store: Store,
        caps: Caps,
        minutes: float | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        use_cache: bool = True,
        reuse_limits: Sequence[int] = (),
    ) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._owners = Owners(store.database)
        self._own = Own(store.database, run, only=not use_cache)
        self._known = Known(store, self._owners, endpoints, run, self._own, reuse_limits=reuse_limits)
        pool = None
        if caps != Caps():
            self._owners.let_lapse()  # before what the dead may have spent is counted
            name, lapse = self._owners.name, self._known.let_lapse
            pool = Pool(store.database, run, name, caps.amount(), lapse)
        self._deadline = Deadline(minutes, self._clock)
        self._budget = Budget(caps, store.spent(run), self._clock, pool)
        self._lengths = Lengths()
        self._dispatcher = Dispatcher(
            run=run,
            providers=providers,
            endpoints=endpoints,
            models=models,
            budget=self._budget,
            deadline=self._deadline,
            open_journal=self._open_journal,
            clock=self._clock,
            seed=seed,
            on_paid=self._own.paid,
            lengths=self._lengths,
        )
        self._counting = threading.Lock()  # several threads may use one engine
        self._hits = Hits()
        self._failed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, calls: Iterable[Call]) -> Generator[Outcome]:
        """One outcome for each call, in order of completion.

        Closing the generator sends nothing more, waits for what is in flight, and keeps its answers.
        Raises StoreLostError when answers or bills can no longer be made durable, and whatever a provider
        raises beside its faults.
        """
        return self._outcomes(iter(calls), Stream(), [], ())

    def ahead(self, calls: Sequence[Call]) -> Generator[Outcome]:
        """As `run`, but all of them are sent before this returns, behind what waits already.

        For a few calls whose outcomes are wanted later: they fill the line while others are waited for.
        """
        stream, elsewhere = Stream(), list[Call]()
        stored = self._begin(calls, stream, elsewhere)
        # Closing a generator that never ran would not stop its calls: this one runs up to its first outcome.
        running = cast("Outcome", None)
        outcomes = self._outcomes(iter(()), stream, elsewhere, (running, *stored))
        next(outcomes)
        return outcomes

    def _outcomes(
        self, source: Iterator[Call], stream: Stream, elsewhere: list[Call], first: Sequence[Outcome]
    ) -> Generator[Outcome]:
        """These first, then those of what is asked already and of the calls still to come from the source."""
        more, size, window = True, CHUNK, WINDOW
        try:
            yield from first
            while ((more or elsewhere) and not stream.stopped) or stream.open:
                if self._dispatcher.lost is not None:
                    raise self._dispatcher.lost
                if more and not stream.stopped and stream.open + len(elsewhere) < window:
                    chunk = list(islice(source, size))
                    more = len(chunk) == size
                    if chunk and chunk[0].texts:
                        size, window = TEXTS_CHUNK, TEXTS_WINDOW
                    yield from self._begin(chunk, stream, elsewhere)
                    continue
                delivery = stream.next(ELSEWHERE_S if elsewhere else None)
                if isinstance(delivery, BaseException):
                    raise delivery
                if delivery is not None:
                    yield delivery
                elif elsewhere and not stream.stopped:
                    self._known.let_lapse()
                    waiting, elsewhere = elsewhere, []
                    yield from self._begin(waiting, stream, elsewhere)
                    if self._deadline.over:
                        late, elsewhere = elsewhere, []
                        yield from map(self._late, late)
        finally:
            stream.stopped = True
            if stream.open:
                self._dispatcher.end_waits()
            stream.drain()

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """What the store knows of these calls, in their order, all answers as cached; nothing is sent.

        A call that this run asked in vain is its failure; one that was never asked is left out.
        """
        return self._known.recall(calls)

    def stored(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """As `recall`, for a run that asks nobody: what it finds counts as what it was told."""
        for outcome in self._known.recall(calls, told=False):
            with self._counting:
                self._hits.add([outcome])
            yield outcome

    def spend(self) -> Spend:
        """What the run has cost so far, earlier attempts included; cached, failed and retries are not."""
        spent = self._dispatcher.hits.added_to(self._hits.added_to(self._budget.spent))
        return replace(
            spent,
            failed=self._dispatcher.failed + self._failed,
            retries=self._dispatcher.retries,
            cap_usd=self._budget.caps.usd,
            cap_calls=self._budget.caps.calls,
        )

    def close(self) -> None:
        """Wait for what is in flight, make it durable, and let go of all providers; nothing more is sent.

        Harmless when called twice. Raises StoreLostError when a bill could not be made durable.
        """
        try:
            self._dispatcher.close()
        finally:
            # A store that is lost is told where it matters; others will find that this engine is gone.
            with suppress(StoreLostError):
                if self._dispatcher.lost is None:
                    self._owners.leave()
                else:  # bills are missing in it
                    self._owners.bury([self._owners.name])

    def _begin(self, calls: Sequence[Call], stream: Stream, elsewhere: list[Call]) -> Sequence[Outcome]:
        """Send what is not known and not asked elsewhere; gives what is known.

        Raises UsageError for a call that asks for no vector of one text, or that could cost more than is held
        for it, before any is sent.
        """
        if not calls:
            return ()
        for call in calls:
            require_text(call)
            if call.settings.extra:
                require_bounded(call)
        found = self._known.find(calls)
        elsewhere.extend(found.elsewhere)
        if found.mine:
            now = self._clock.monotonic()
            self._dispatcher.send([Ticket(call, key, stream, now) for call, key in found.mine])
            stream.asked += len(found.mine)
        stored = [self._fitting(answer) for answer in found.stored]
        with self._counting:
            self._hits.add(stored)
            self._failed += sum(isinstance(answer, CallFailure) for answer in stored)
        return stored

    def _fitting(self, answer: Completion) -> Outcome:
        """The stored answer; a failure when it is a vector of another length than others of this run."""
        if not answer.reply.vectors:
            return answer
        why = self._lengths.fault(answer.call, answer.reply.vectors[0])
        if not why:
            self._lengths.learn(answer.call, answer.reply.vectors[0])
            return answer
        model = answer.call.settings.model
        message = f"in the store, {why}; take the stored ones out with: harness cache prune --model {model}"
        return CallFailure(call=answer.call, kind="dimensions", message=message, attempts=0, retryable=False)

    def _late(self, call: Call) -> CallFailure:
        """What becomes of a call that another process is asking when the time of the run is up."""
        with self._counting:
            self._failed += 1
        words = f"{self._deadline.words}, and another process was still asking for this answer"
        return CallFailure(call=call, kind="budget", message=words, attempts=0, retryable=False)

    def _open_journal(self, notify: Notify) -> Journal[tuple[Ticket, Completion]]:
        self._owners.join()
        own = self._own
        return Journal(self._store.database, notify, newest=own.only, owners=self._owners, failed=own.failed)
