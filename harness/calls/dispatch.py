"""Calls on their way: from the queue through limits and budget to the provider, and into the store.

In: tickets, from any thread. Out: one delivery for each, handed to its stream once the answer is durable.
All of it runs on one event loop in a background thread, so that nothing here needs a lock. It looks nothing
up: what arrives here was not found in the store.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence

from harness.calls.budget import Budget, Hold, price_of, worst_case
from harness.calls.limits import Limiter
from harness.calls.provider import Provider, ProviderFault
from harness.calls.tickets import Delivery, Gate, Stream, Ticket, again
from harness.calls.waiting import Pause, TimeLimit, asks_too_long, back_off_s
from harness.catalogue.models import Model
from harness.clock import Clock
from harness.errors import ProviderError, StoreLostError
from harness.records import Call, CallFailure, Completion, Endpoint, FailureKind, Latency, Reply, Usage
from harness.store.answers import FailedCall, PaidAnswer, Payment, storable
from harness.store.journal import Journal

RECENT = 1024  # answers remembered after delivery, for calls that were looked up before they were durable
STOPPED = "the run was stopped before this call was sent"

_Answered = tuple[Ticket, Completion]
Notify = Callable[[Sequence[_Answered], StoreLostError | None], None]


class Dispatcher:
    """Serves tickets until it is closed; then it can be used again.

    open_journal: makes the journal that tells this function what is durable. use_cache: False remembers no
    answers, so that equal calls are paid anew. cached, saved_usd: of calls that were answered together with
    an equal one. lost: why answers or bills can no longer be made durable.
    """

    def __init__(
        self,
        *,
        run: str,
        providers: Mapping[str, Provider],
        endpoints: Mapping[str, Endpoint],
        models: Mapping[str, Model],
        budget: Budget,
        open_journal: Callable[[Notify], Journal[_Answered]],
        clock: Clock,
        seed: int,
        use_cache: bool,
    ) -> None:
        self.failed = self.cached = self.retries = 0
        self.saved_usd = 0.0
        self.lost: StoreLostError | None = None
        self.under_way: dict[str, Ticket] = {}
        self._run = run
        self._providers = providers
        self._endpoints = endpoints
        self._models = models
        self._budget = budget
        self._open_journal = open_journal
        self._clock = clock
        self._random = random.Random(seed)
        self._use_cache = use_cache
        self._gates: dict[str, Gate] = {}
        self._recent: dict[str, Completion] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._journal: Journal[_Answered]  # these two are there as long as the loop is
        self._thread: threading.Thread

    # -- any thread

    def send(self, tickets: Sequence[Ticket]) -> None:
        """Take these tickets; each will have its delivery."""
        self._started().call_soon_threadsafe(self._accept, tickets)

    def drop_unwanted(self) -> None:
        """Give up what nobody waits for any more and is not in flight."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._drop_unwanted)

    def close(self) -> None:
        """Wait for what is in flight, make it durable, and let go of all providers; harmless when unused.

        Raises StoreLostError when a bill could not be made durable.
        """
        loop = self._loop
        if loop is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._finish(), loop).result()
        finally:
            self._journal.close()  # what it tells then is the last
            asyncio.run_coroutine_threadsafe(self._tasks_end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            loop.close()
            self._loop = None
        if self.lost is not None:
            raise self.lost

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                loop = _new_loop()
                self._journal = self._open_journal(self._on_durable)
                self._thread = threading.Thread(target=loop.run_forever, name="harness-calls", daemon=True)
                self._thread.start()
                self._loop = loop
            return self._loop

    # -- the journal's thread

    def _on_durable(self, group: Sequence[_Answered], lost: StoreLostError | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver_group, group, lost)

    # -- the loop's thread: tickets come

    def _accept(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            first = self.under_way.get(ticket.key)
            if first is not None:
                first.twins.append(ticket)
            elif ticket.key in self._recent:
                self._journal.put_release(ticket.key)
                ticket.stream.deliver([self._again(ticket, self._recent[ticket.key])])
            else:
                self.under_way[ticket.key] = ticket
                gate = self._gate(ticket.call)
                gate.waiting.append(ticket)
                self._fill(gate)

    def _gate(self, call: Call) -> Gate:
        gate = self._gates.get(call.settings.model)
        if gate is None:
            provider, endpoint = call.settings.provider, self._endpoints[call.settings.provider]
            gate = self._gates[call.settings.model] = Gate(
                self._providers[provider],
                endpoint,
                self._models[call.settings.model],
                TimeLimit(endpoint.timeout_s, self._clock),
                Limiter(endpoint),
            )
        return gate

    def _fill(self, gate: Gate) -> None:
        """Start one more worker if a call waits and the line has room."""
        if gate.waiting and gate.line.in_flight < gate.line.most:
            gate.line.in_flight += 1
            self._start(self._work(gate))

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the loop's thread: one call

    async def _work(self, gate: Gate) -> None:
        try:
            while gate.waiting and gate.line.in_flight <= gate.line.most:
                ticket = gate.waiting.popleft()
                try:
                    await self._serve(gate, ticket)
                except asyncio.CancelledError as error:
                    crash = ProviderError(
                        f"the provider of {gate.model.full_name!r} cancelled a call by itself"
                    )
                    crash.__cause__ = error
                    self._crash(ticket, crash)
                except BaseException as error:  # noqa: BLE001 - raised in `run`: whoever waits must not wait for ever
                    self._crash(ticket, error)
                self._fill(gate)
        finally:
            gate.line.in_flight -= 1

    async def _serve(self, gate: Gate, ticket: Ticket) -> None:
        worst, line = worst_case(ticket.call, gate.model), gate.line
        while ticket.wanted and not line.given_up:
            early_s = line.wait_s(self._clock.monotonic(), worst.tokens)
            if (early_s > 0 or line.down_since is not None) and not await self._is_due(gate, ticket, early_s):
                break
            if not self._budget.take(worst):
                if not await self._budget.hold(worst):
                    return self._fail(
                        ticket, "budget", "this call could have crossed the cap", ticket.attempts
                    )
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
                self.retries += 1
                await self._rest(ticket, back_off_s(ticket.attempts, fault.retry_after_s, self._random))
            if line.in_flight > line.most:
                # The line has become narrower: behind those that wait, so that no call uses up its retries.
                gate.waiting.append(ticket)
                return None
        if ticket.wanted:
            return self._fail(ticket, "down", line.given_up, ticket.attempts)
        return self._fail(ticket, "cancelled", STOPPED, ticket.attempts)

    async def _is_due(self, gate: Gate, ticket: Ticket, early_s: float) -> bool:
        """Wait for the pace, and while the provider is down; False: the call is not to be sent any more."""
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
            latency = Latency(
                queue_s=started - ticket.queued_at, total_s=now - started, first_token_s=reply.first_token_s
            )
            self._keep(ticket, worst, reply, price, latency)
            return None
        gate.line.on_fault(self._clock.monotonic(), fault.kind, fault.message)
        if fault.billed:
            self._journal.put_payment(self._settle(ticket, worst, worst.usd, Usage()))
        else:
            self._budget.release(worst)
        return fault

    def _keep(self, ticket: Ticket, worst: Hold, reply: Reply, price: float | None, latency: Latency) -> None:
        payment = self._settle(ticket, worst, worst.usd if price is None else price, reply.usage)
        answer = Completion(
            call=ticket.call, reply=reply, price_usd=price, latency=latency, cached=False, at=payment.at
        )
        model = ticket.call.settings.model
        paid = PaidAnswer(model=model, reply=reply, price_usd=price, latency=latency, payment=payment)
        self._journal.put(paid, (ticket, answer))

    def _settle(self, ticket: Ticket, worst: Hold, usd: float, usage: Usage) -> Payment:
        # What the provider does not state is booked at its worst: the caps must hold regardless.
        input_tokens = worst.input_tokens if usage.input_tokens is None else usage.input_tokens
        output_tokens = worst.output_tokens if usage.output_tokens is None else usage.output_tokens
        self._budget.settle(worst, usd, input_tokens, output_tokens, ticket.call.purpose)
        return Payment(
            run=self._run,
            key=ticket.key,
            purpose=ticket.call.purpose,
            usd=usd,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            at=self._clock.now(),
        )

    # -- the loop's thread: deliveries

    def _deliver_group(self, group: Sequence[_Answered], lost: StoreLostError | None) -> None:
        if lost is not None and not group:
            self.lost = lost  # bills that nobody waits for: whoever asks next hears of it
        self._deliver([(ticket, lost or answer) for ticket, answer in group])

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
            self._journal.put_failure(row)
        else:
            self._journal.put_release(ticket.key)
        self.failed += 1
        self._deliver([(ticket, failed)])

    def _crash(self, ticket: Ticket, error: BaseException) -> None:
        self._journal.put_release(ticket.key)
        self._deliver([(ticket, error)])

    def _deliver(self, ended: Sequence[tuple[Ticket, Delivery]]) -> None:
        # One hand-over for each stream: every one wakes a thread.
        arrived: defaultdict[Stream, list[Delivery]] = defaultdict(list)
        for ticket, delivery in ended:
            del self.under_way[ticket.key]
            if self._use_cache and isinstance(delivery, Completion):
                self._recent[ticket.key] = delivery
                if len(self._recent) > RECENT:
                    del self._recent[next(iter(self._recent))]
            arrived[ticket.stream].append(delivery)
            for twin in ticket.twins:
                arrived[twin.stream].append(self._again(twin, delivery))
        if not self.under_way:
            self._start(self._let_others_have())
        for stream, deliveries in arrived.items():
            stream.deliver(deliveries)

    def _again(self, twin: Ticket, delivery: Delivery) -> Delivery:
        """What a twin gets; an answer is counted as cached."""
        if isinstance(delivery, Completion):
            self.cached += 1
            self.saved_usd += delivery.price_usd or 0.0
        return again(delivery, twin.call)

    async def _let_others_have(self) -> None:
        try:
            await self._budget.rest()
        except StoreLostError as lost:
            self.lost = lost  # nobody waits for this: whoever asks next hears of it

    # -- the loop's thread: the end

    def _drop_unwanted(self) -> None:
        for gate in self._gates.values():
            unwanted = [ticket for ticket in gate.waiting if not ticket.wanted]
            wanted = [ticket for ticket in gate.waiting if ticket.wanted]
            gate.waiting.clear()
            gate.waiting.extend(wanted)
            for ticket in unwanted:
                self._fail(ticket, "cancelled", STOPPED, 0)
        for ticket in self.under_way.values():
            if ticket.pause is not None and not ticket.wanted:
                ticket.pause.cut()

    async def _finish(self) -> None:
        for ticket in self.under_way.values():
            for open_one in (ticket, *ticket.twins):
                open_one.stream.stopped = True
        self._drop_unwanted()
        await self._tasks_end()
        closed = await asyncio.gather(
            *(provider.close() for provider in self._providers.values()), return_exceptions=True
        )
        for error in closed:
            if error is not None:
                raise error

    async def _tasks_end(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        from uvloop import new_event_loop
    except ImportError:  # there is none for Windows
        from asyncio import new_event_loop
    return new_event_loop()
