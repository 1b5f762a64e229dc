"""Calls in, outcomes out: one event loop in a background thread, plain generators for callers.

In: calls, from any thread, also inside a notebook's running loop. Out: one outcome a call, in order of
completion; a paid reply is durable before anybody sees it. Memory does not depend on the number of
calls. The engine cannot read a spec and judges nothing.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Self

from harness.calls.budget import Budget, Caps, Hold, price_of, worst_case
from harness.calls.keys import call_key
from harness.calls.provider import Provider, ProviderFault
from harness.calls.tickets import Delivery, Gate, Stream, Ticket
from harness.catalogue.models import Model
from harness.clock import Clock, SystemClock
from harness.errors import StoreLostError
from harness.records import (
    Call,
    CallFailure,
    Completion,
    Endpoint,
    FailureKind,
    Latency,
    Outcome,
    Reply,
    Spend,
    Usage,
)
from harness.store.answers import FailedCall, PaidAnswer, Payment, completion, failure
from harness.store.journal import Journal
from harness.store.store import Store

CHUNK = 128  # calls looked up in the store by one query
WINDOW = 512  # calls under way or queued at once: bounds memory, and is far above any concurrency
FIRST_WAIT_S = 0.5  # upper end of the first back-off; it doubles with each attempt
LONGEST_WAIT_S = 30.0


class Engine:
    """Answers calls from the store, else from their providers, within the caps. Close it when done.

    providers and endpoints: by provider name. models: by full name, for prices and limits.
    use_cache: False pays anew for every call, and its answers replace those of before.
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
        clock: Clock | None = None,
        seed: int = 0,
        use_cache: bool = True,
    ) -> None:
        self._run = run
        self._providers = providers
        self._endpoints = endpoints
        self._models = models
        self._store = store
        self._clock = clock or SystemClock()
        self._budget = Budget(caps, store.spent(run), self._clock)
        self._random = random.Random(seed)
        self._use_cache = use_cache
        self._gates: dict[str, Gate] = {}
        self._under_way: dict[str, Ticket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cached = self._failed = 0
        self._saved_usd = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._journal: Journal[tuple[Ticket, Completion]] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """One outcome for each call, in order of completion.

        Closing the generator sends nothing more, waits for what is in flight, and keeps its answers.
        Raises StoreLostError when answers can no longer be made durable.
        """
        source = iter(calls)
        stream = Stream()
        open_calls, more = 0, True
        try:
            while more or open_calls:
                if more and open_calls < WINDOW:
                    chunk = list(islice(source, CHUNK))
                    more = len(chunk) == CHUNK
                    stored, missing = self._look_up(chunk, stream)
                    open_calls += len(missing)
                    self._send(missing)
                    yield from stored
                elif open_calls:
                    delivery = stream.arrived.get()
                    open_calls -= 1
                    if isinstance(delivery, BaseException):
                        raise delivery
                    yield delivery
        finally:
            stream.stopped = True
            self._drain(stream, open_calls)

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """What the store knows of these calls, in their order; nothing is sent.

        A call that this run asked in vain is its failure; one that was never asked is left out.
        """
        source = iter(calls)
        while chunk := list(islice(source, CHUNK)):
            keys = [call_key(call, self._endpoints[call.settings.provider]) for call in chunk]
            answers = self._store.answers(keys)
            failures = self._store.failures(self._run, [key for key in keys if key not in answers])
            for call, key in zip(chunk, keys, strict=True):
                if key in answers:
                    yield completion(answers[key], call)
                elif key in failures:
                    yield failure(failures[key], call)

    def spend(self) -> Spend:
        """What the run has cost so far, earlier attempts included; cached and failed are of this attempt."""
        return replace(
            self._budget.spent,
            cached=self._cached,
            failed=self._failed,
            saved_usd=self._saved_usd,
            cap_usd=self._budget.caps.usd,
            cap_calls=self._budget.caps.calls,
        )

    def close(self) -> None:
        """Wait for what is in flight, make it durable, and let go of all providers."""
        loop = self._loop
        if loop is None or self._thread is None or self._journal is None:
            return
        self._call(loop, self._finish())
        self._journal.close()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
        self._loop = None

    # -- the caller's thread

    def _look_up(self, calls: Sequence[Call], stream: Stream) -> tuple[list[Completion], list[Ticket]]:
        keys = [call_key(call, self._endpoints[call.settings.provider]) for call in calls]
        rows = self._store.answers(keys) if self._use_cache and keys else {}
        stored: list[Completion] = []
        missing: list[Ticket] = []
        now = self._clock.monotonic()
        for call, key in zip(calls, keys, strict=True):
            row = rows.get(key)
            if row is None:
                missing.append(Ticket(call, key, stream, now))
                continue
            answer = completion(row, call)
            self._cached += 1
            self._saved_usd += answer.price_usd or 0.0
            stored.append(answer)
        return stored, missing

    def _send(self, tickets: Sequence[Ticket]) -> None:
        if tickets:
            self._started().call_soon_threadsafe(self._accept, tickets)

    def _drain(self, stream: Stream, open_calls: int) -> None:
        if open_calls and self._loop is not None:
            self._loop.call_soon_threadsafe(self._drop_unwanted)
            for _ in range(open_calls):
                stream.arrived.get()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._journal = Journal(self._store.database, self._on_durable, newest=not self._use_cache)
            self._thread = threading.Thread(target=self._loop.run_forever, name="harness-calls", daemon=True)
            self._thread.start()
        return self._loop

    @staticmethod
    def _call(loop: asyncio.AbstractEventLoop, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    # -- the loop's thread

    def _accept(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            first = self._under_way.get(ticket.key)
            if first is not None:
                first.twins.append(ticket)
                continue
            self._under_way[ticket.key] = ticket
            gate = self._gate(ticket.call)
            gate.waiting.append(ticket)
            if gate.in_flight < gate.endpoint.concurrency:
                gate.in_flight += 1
                task = asyncio.get_running_loop().create_task(self._work(gate))
                self._tasks.add(task)
                task.add_done_callback(self._on_worker_end)

    def _gate(self, call: Call) -> Gate:
        name = call.settings.model
        if name not in self._gates:
            provider = call.settings.provider
            self._gates[name] = Gate(self._providers[provider], self._endpoints[provider], self._models[name])
        return self._gates[name]

    async def _work(self, gate: Gate) -> None:
        try:
            while gate.waiting:
                await self._serve(gate, gate.waiting.popleft())
        finally:
            gate.in_flight -= 1

    async def _serve(self, gate: Gate, ticket: Ticket) -> None:
        worst = worst_case(ticket.call, gate.model)
        attempts = 0
        while True:
            if not ticket.wanted:
                return self._fail(
                    ticket, "cancelled", "the run was stopped before this call was sent", attempts
                )
            if not await self._budget.hold(worst):
                return self._fail(ticket, "budget", "this call could have crossed the cap", attempts)
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(gate.endpoint.timeout_s):
                    reply = await gate.provider.complete(ticket.call)
            except TimeoutError:
                limit = gate.endpoint.timeout_s
                fault = ProviderFault("timeout", f"no complete answer within {limit:g} s", billed=True)
            except ProviderFault as caught:
                fault = caught
            except BaseException:
                self._budget.release(worst)
                raise
            else:
                return self._keep(gate, ticket, worst, reply, started)
            attempts += 1
            self._book_fault(ticket, worst, fault)
            if not fault.retryable or attempts > gate.endpoint.max_retries:
                return self._fail(ticket, fault.kind, fault.message, attempts)
            await self._clock.sleep(self._wait_s(attempts, fault.retry_after_s))

    def _keep(self, gate: Gate, ticket: Ticket, worst: Hold, reply: Reply, started: float) -> None:
        usage = reply.usage
        price = price_of(reply, gate.model)
        # A bill that the provider does not state is booked at its worst: the cap must hold regardless.
        spent = worst.usd if price is None else price
        self._budget.settle(worst, spent, usage.input_tokens or 0, usage.output_tokens or 0)
        total_s = self._clock.monotonic() - started
        latency = Latency(
            queue_s=started - ticket.queued_at, total_s=total_s, first_token_s=reply.first_token_s
        )
        answer = Completion(
            call=ticket.call,
            reply=reply,
            price_usd=price,
            latency=latency,
            cached=False,
            at=self._clock.now(),
        )
        self._record(ticket, answer, spent)

    def _record(self, ticket: Ticket, answer: Completion, spent: float) -> None:
        assert self._journal is not None
        paid = PaidAnswer(
            model=ticket.call.settings.model,
            reply=answer.reply,
            price_usd=answer.price_usd,
            latency=answer.latency,
            payment=self._payment(ticket, spent, answer.reply.usage),
        )
        self._journal.put(paid, (ticket, answer))

    def _payment(self, ticket: Ticket, usd: float, usage: Usage) -> Payment:
        return Payment(
            run=self._run,
            key=ticket.key,
            purpose=ticket.call.purpose,
            usd=usd,
            input_tokens=usage.input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
            at=self._clock.now(),
        )

    def _book_fault(self, ticket: Ticket, worst: Hold, fault: ProviderFault) -> None:
        if not fault.billed or worst.usd == 0.0:
            self._budget.release(worst)
            return
        self._budget.settle(worst, worst.usd, 0, 0)
        assert self._journal is not None
        self._journal.put_payment(self._payment(ticket, worst.usd, Usage()))

    def _wait_s(self, attempts: int, asked_s: float | None) -> float:
        # Full jitter: Brooker 2015, "Exponential Backoff And Jitter", AWS Architecture Blog.
        jittered = self._random.uniform(0.0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempts))
        return jittered if asked_s is None else asked_s + jittered

    def _on_durable(self, group: Sequence[tuple[Ticket, Completion]], lost: StoreLostError | None) -> None:
        # Called by the journal's thread.
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver_group, group, lost)

    def _deliver_group(self, group: Sequence[tuple[Ticket, Completion]], lost: StoreLostError | None) -> None:
        for ticket, answer in group:
            self._deliver(ticket, lost or answer)

    def _fail(self, ticket: Ticket, kind: FailureKind, message: str, attempts: int) -> None:
        failed = CallFailure(
            call=ticket.call,
            kind=kind,
            message=message,
            attempts=attempts,
            retryable=ProviderFault(kind, message).retryable,
        )
        if attempts and self._journal is not None:
            self._journal.put_failure(
                FailedCall(
                    run=self._run,
                    key=ticket.key,
                    kind=kind,
                    message=message,
                    attempts=attempts,
                    at=self._clock.now(),
                )
            )
        self._deliver(ticket, failed)

    def _deliver(self, ticket: Ticket, delivery: Delivery) -> None:
        self._under_way.pop(ticket.key, None)
        if isinstance(delivery, CallFailure):
            self._failed += 1
        ticket.stream.arrived.put(delivery)
        for twin in ticket.twins:
            if isinstance(delivery, Completion):
                self._cached += 1
                self._saved_usd += delivery.price_usd or 0.0
                twin.stream.arrived.put(replace(delivery, call=twin.call, cached=True))
            elif isinstance(delivery, CallFailure):
                twin.stream.arrived.put(replace(delivery, call=twin.call))
            else:
                twin.stream.arrived.put(delivery)

    def _drop_unwanted(self) -> None:
        for gate in self._gates.values():
            unwanted = [ticket for ticket in gate.waiting if not ticket.wanted]
            gate.waiting = deque(ticket for ticket in gate.waiting if ticket.wanted)
            for ticket in unwanted:
                self._fail(ticket, "cancelled", "the run was stopped before this call was sent", 0)

    def _on_worker_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # A fault in a provider's own code: whoever waits must hear of it rather than wait for ever.
            for ticket in list(self._under_way.values()):
                self._deliver(ticket, error)

    async def _finish(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        for provider in self._providers.values():
            await provider.close()
