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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Self

from harness.calls.budget import Budget, Caps, Hold, price_of, worst_case
from harness.calls.known import CHUNK, Known
from harness.calls.limits import Limiter
from harness.calls.provider import Provider, ProviderFault
from harness.calls.tickets import Delivery, Gate, Stream, Ticket, again
from harness.calls.waiting import Pause, TimeLimit, asks_too_long, back_off_s
from harness.catalogue.models import Model
from harness.clock import Clock, SystemClock
from harness.errors import ProviderError, StoreLostError
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
from harness.store.answers import FailedCall, PaidAnswer, Payment, storable
from harness.store.journal import Journal
from harness.store.leases import Pool
from harness.store.owners import Owners
from harness.store.store import Store

WINDOW = 512  # calls under way or queued at once: bounds memory, and is far above any concurrency
ELSEWHERE_S = 0.05  # between two looks for answers that another process is asking for
RECENT = 1024  # answers remembered after delivery, for calls that were looked up before they were durable
STOPPED = "the run was stopped before this call was sent"


class Engine:
    """Answers calls from the store, else from their providers, within the caps. Close it when done.

    providers and endpoints: by provider name. models: by full name, for prices and limits.
    use_cache: False pays anew for every call, and its answers replace those of before.
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
        clock: Clock | None = None,
        seed: int = 0,
        use_cache: bool = True,
        reuse_limits: Sequence[int] = (),
    ) -> None:
        self._run = run
        self._providers = providers
        self._endpoints = endpoints
        self._models = models
        self._store = store
        self._clock = clock or SystemClock()
        self._owners = Owners(store.database)
        self._known = Known(
            store, self._owners, endpoints, run, use_cache=use_cache, reuse_limits=reuse_limits
        )
        limited = caps.amount() != Caps().amount()
        pool = None
        if limited:
            name, lapse = self._owners.name, self._known.let_lapse
            pool = Pool(store.database, run, name, caps.amount(), lapse)
        self._budget = Budget(caps, store.spent(run), self._clock, pool)
        self._random = random.Random(seed)
        self._use_cache = use_cache
        self._gates: dict[str, Gate] = {}
        self._under_way: dict[str, Ticket] = {}
        self._recent: dict[str, Completion] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()  # guards the start and the counts, which several threads move
        self._lost: StoreLostError | None = None
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
        Raises StoreLostError when answers or bills can no longer be made durable, and whatever a provider
        raises beside its faults.
        """
        source = iter(calls)
        stream = Stream()
        elsewhere: list[Call] = []
        more = True
        try:
            while ((more or elsewhere) and not stream.stopped) or stream.open:
                if self._lost is not None:
                    raise self._lost
                if more and not stream.stopped and stream.open + len(elsewhere) < WINDOW:
                    chunk = list(islice(source, CHUNK))
                    more = len(chunk) == CHUNK
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
        finally:
            stream.stopped = True
            if stream.open and self._loop is not None:
                self._loop.call_soon_threadsafe(self._drop_unwanted)
            stream.drain()

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """What the store knows of these calls, in their order; nothing is sent.

        A call that this run asked in vain is its failure; one that was never asked is left out.
        """
        return self._known.recall(calls)

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
        """Wait for what is in flight, make it durable, and let go of all providers; nothing more is sent.

        Harmless when called twice. Raises StoreLostError when a bill could not be made durable.
        """
        loop = self._loop
        if loop is None or self._thread is None or self._journal is None:
            self._leave()
            return
        try:
            asyncio.run_coroutine_threadsafe(self._finish(), loop).result()
        finally:
            self._journal.close()
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            loop.close()
            self._loop = None
            self._leave()
        if self._lost is not None:
            raise self._lost

    def _leave(self) -> None:
        # A store that is lost is told where it matters; what this engine held in it lapses by itself.
        with suppress(StoreLostError):
            self._owners.leave()

    # -- the caller's thread

    def _begin(self, calls: Sequence[Call], stream: Stream, elsewhere: list[Call]) -> Sequence[Completion]:
        """Send what is not known and not asked elsewhere; gives what is known."""
        if not calls:
            return ()
        found = self._known.find(calls)
        elsewhere.extend(found.elsewhere)
        self._count_cached(found.stored)
        now = self._clock.monotonic()
        self._send([Ticket(call, key, stream, now) for call, key in found.mine], stream)
        return found.stored

    def _count_cached(self, answers: Sequence[Completion]) -> None:
        with self._lock:
            saved = [answer.price_usd or 0.0 for answer in answers if answer.cached]
            self._cached += len(saved)
            self._saved_usd += sum(saved)

    def _send(self, tickets: Sequence[Ticket], stream: Stream) -> None:
        if tickets:
            self._started().call_soon_threadsafe(self._accept, tickets)
            stream.asked += len(tickets)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._owners.join()
                loop = asyncio.new_event_loop()
                self._journal = Journal(
                    self._store.database, self._on_durable, newest=not self._use_cache, owners=self._owners
                )
                self._thread = threading.Thread(target=loop.run_forever, name="harness-calls", daemon=True)
                self._thread.start()
                self._loop = loop
            return self._loop

    # -- the loop's thread

    def _accept(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            first = self._under_way.get(ticket.key)
            if first is not None:
                first.twins.append(ticket)
                continue
            if ticket.key in self._recent:
                self._journaled.put_release(ticket.key)
                self._deliver_again(ticket, self._recent[ticket.key])
                continue
            self._under_way[ticket.key] = ticket
            gate = self._gate(ticket.call)
            gate.waiting.append(ticket)
            self._fill(gate)

    def _fill(self, gate: Gate) -> None:
        """Start one more worker if a call waits and the line has room."""
        if gate.waiting and gate.line.in_flight < gate.line.most:
            gate.line.in_flight += 1
            task = asyncio.get_running_loop().create_task(self._work(gate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _gate(self, call: Call) -> Gate:
        name = call.settings.model
        if name not in self._gates:
            provider, endpoint = call.settings.provider, self._endpoints[call.settings.provider]
            self._gates[name] = Gate(
                self._providers[provider],
                endpoint,
                self._models[name],
                TimeLimit(endpoint.timeout_s, self._clock),
                Limiter(endpoint),
            )
        return self._gates[name]

    async def _work(self, gate: Gate) -> None:
        try:
            while gate.waiting and gate.line.in_flight <= gate.line.most:
                await self._answer(gate, gate.waiting.popleft())
                self._fill(gate)
        finally:
            gate.line.in_flight -= 1

    async def _answer(self, gate: Gate, ticket: Ticket) -> None:
        try:
            await self._serve(gate, ticket)
        except asyncio.CancelledError as error:
            crash = ProviderError(f"the provider of {gate.model.full_name!r} cancelled a call by itself")
            crash.__cause__ = error
            self._crash(ticket, crash)
        except BaseException as error:  # noqa: BLE001 - raised in `run`: whoever waits must not wait for ever
            self._crash(ticket, error)

    def _crash(self, ticket: Ticket, error: BaseException) -> None:
        self._journaled.put_release(ticket.key)
        self._deliver(ticket, error)

    async def _serve(self, gate: Gate, ticket: Ticket) -> None:
        worst, line = worst_case(ticket.call, gate.model), gate.line
        while ticket.wanted and not line.given_up:
            if not await self._is_due(gate, ticket, worst.tokens):
                break
            if not await self._budget.hold(worst):
                return self._fail(ticket, "budget", "this call could have crossed the cap", ticket.attempts)
            if not ticket.wanted:  # holding may have taken long
                self._budget.release(worst)
                break
            fault = await self._attempt(gate, ticket, worst)
            if fault is None:
                return None
            ticket.attempts += 1
            if not fault.retryable or ticket.attempts > gate.endpoint.max_retries:
                return self._fail(ticket, fault.kind, fault.message, ticket.attempts)
            if too_long := asks_too_long(fault.retry_after_s):
                return self._fail(ticket, fault.kind, f"{too_long}: {fault.message}", ticket.attempts)
            if ticket.wanted:
                await self._rest(ticket, back_off_s(ticket.attempts, fault.retry_after_s, self._random))
            if line.in_flight > line.most:
                # The line has become narrower: behind those that wait, so that no call uses up its retries.
                gate.waiting.append(ticket)
                return None
        if ticket.wanted:
            return self._fail(ticket, "down", line.given_up, ticket.attempts)
        return self._fail(ticket, "cancelled", STOPPED, ticket.attempts)

    async def _is_due(self, gate: Gate, ticket: Ticket, tokens: int) -> bool:
        """Wait for the pace, and while the provider is down; False: the call is not to be sent any more."""
        early_s = gate.line.wait_s(self._clock.monotonic(), tokens)
        while ticket.wanted and not gate.line.given_up:
            if early_s > 0:
                await self._rest(ticket, early_s)
                early_s = 0.0
                continue
            early_s = gate.line.pause_s(self._clock.monotonic())
            if early_s <= 0:
                return True
        return False

    async def _rest(self, ticket: Ticket, seconds: float) -> None:
        ticket.pause = ticket.pause or Pause(self._clock)
        await ticket.pause.rest(seconds)

    async def _attempt(self, gate: Gate, ticket: Ticket, worst: Hold) -> ProviderFault | None:
        """Send one request and book its bill; gives the fault, `None` when there is an answer."""
        started = self._clock.monotonic()
        try:
            reply = storable(await gate.time_limit.within(gate.provider.complete(ticket.call)))
            price = price_of(reply, gate.model)
        except TimeoutError as error:
            fault = ProviderFault("timeout", f"no complete answer in time: {error}", billed=True)
        except ProviderFault as caught:
            fault = caught
        except BaseException:
            self._budget.release(worst)
            raise
        else:
            now = self._clock.monotonic()
            gate.line.on_answer(now, now - started)
            self._keep(ticket, worst, reply, price, now - started)
            return None
        gate.line.on_fault(self._clock.monotonic(), fault.kind, fault.message)
        if fault.billed:
            self._journaled.put_payment(self._settle(ticket, worst, worst.usd, Usage()))
        else:
            self._budget.release(worst)
        return fault

    def _keep(self, ticket: Ticket, worst: Hold, reply: Reply, price: float | None, total_s: float) -> None:
        queue_s = self._clock.monotonic() - total_s - ticket.queued_at
        latency = Latency(queue_s=queue_s, total_s=total_s, first_token_s=reply.first_token_s)
        payment = self._settle(ticket, worst, worst.usd if price is None else price, reply.usage)
        answer = Completion(
            call=ticket.call, reply=reply, price_usd=price, latency=latency, cached=False, at=payment.at
        )
        model = ticket.call.settings.model
        paid = PaidAnswer(model=model, reply=reply, price_usd=price, latency=latency, payment=payment)
        self._journaled.put(paid, (ticket, answer))

    def _settle(self, ticket: Ticket, worst: Hold, usd: float, usage: Usage) -> Payment:
        # What the provider does not state is booked at its worst: the caps must hold regardless.
        input_tokens = worst.input_tokens if usage.input_tokens is None else usage.input_tokens
        output_tokens = worst.output_tokens if usage.output_tokens is None else usage.output_tokens
        self._budget.settle(worst, usd, input_tokens, output_tokens)
        return Payment(
            run=self._run,
            key=ticket.key,
            purpose=ticket.call.purpose,
            usd=usd,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            at=self._clock.now(),
        )

    @property
    def _journaled(self) -> Journal[tuple[Ticket, Completion]]:
        assert self._journal is not None, "the loop runs only beside its journal"
        return self._journal

    def _on_durable(self, group: Sequence[tuple[Ticket, Completion]], lost: StoreLostError | None) -> None:
        # Called by the journal's thread.
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver_group, group, lost)

    def _deliver_group(self, group: Sequence[tuple[Ticket, Completion]], lost: StoreLostError | None) -> None:
        if lost is not None and not group:
            self._lost = lost  # bills that nobody waits for: whoever asks next hears of it
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
        if attempts:
            row = FailedCall.of(failed, run=self._run, key=ticket.key, at=self._clock.now())
            self._journaled.put_failure(row)
        else:
            self._journaled.put_release(ticket.key)
        self._deliver(ticket, failed)

    def _deliver(self, ticket: Ticket, delivery: Delivery) -> None:
        del self._under_way[ticket.key]
        if isinstance(delivery, CallFailure):
            self._failed += 1
        elif isinstance(delivery, Completion) and self._use_cache:
            self._recent[ticket.key] = delivery
            if len(self._recent) > RECENT:
                del self._recent[next(iter(self._recent))]
        ticket.stream.deliver(delivery)
        for twin in ticket.twins:
            self._deliver_again(twin, delivery)
        if not self._under_way:
            task = asyncio.get_running_loop().create_task(self._let_others_have())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _let_others_have(self) -> None:
        try:
            await self._budget.rest()
        except StoreLostError as lost:
            self._lost = lost  # nobody waits for this: whoever asks next hears of it

    def _deliver_again(self, twin: Ticket, delivery: Delivery) -> None:
        delivery = again(delivery, twin.call)
        if isinstance(delivery, Completion):
            self._count_cached([delivery])
        twin.stream.deliver(delivery)

    def _drop_unwanted(self) -> None:
        """Fail the calls that nobody waits for and that are not in flight."""
        for gate in self._gates.values():
            unwanted = [ticket for ticket in gate.waiting if not ticket.wanted]
            gate.waiting = deque(ticket for ticket in gate.waiting if ticket.wanted)
            for ticket in unwanted:
                self._fail(ticket, "cancelled", STOPPED, 0)
        for ticket in self._under_way.values():
            if ticket.pause is not None and not ticket.wanted:
                ticket.pause.cut()

    async def _finish(self) -> None:
        for ticket in self._under_way.values():
            for open_one in (ticket, *ticket.twins):
                open_one.stream.stopped = True
        self._drop_unwanted()
        while self._tasks:
            await asyncio.wait(self._tasks)
        closed = await asyncio.gather(
            *(provider.close() for provider in self._providers.values()), return_exceptions=True
        )
        for error in closed:
            if error is not None:
                raise error
