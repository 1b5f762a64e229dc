"""Calls on their way: from the queue through limits and budget to the provider, and into the store.

In: tickets, from any thread, of calls that the store does not hold. Out: one delivery for each, handed to its
stream once the answer is durable. It runs on one event loop in a background thread, so nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, MutableSequence, Sequence
from itertools import takewhile

from harness.calls.batches import OF_ONE_TEXT, Lengths, deal, halve, request, take
from harness.calls.books import Books
from harness.calls.budget import Budget, price_of, require_limit, worst_case
from harness.calls.event_loop import new_loop
from harness.calls.intake import taken_in
from harness.calls.limits import Limiter
from harness.calls.provider import Provider, ProviderFault
from harness.calls.tickets import Delivery, Gate, Hits, Stream, Ticket, again
from harness.calls.waiting import Deadline, Pause, TimeLimit, back_off_s
from harness.catalogue.models import Model
from harness.clock import Clock
from harness.errors import ProviderError, StoreLostError, UsageError
from harness.records import Call, Completion, Endpoint, FailureKind, Latency
from harness.store.journal import Journal

RECENT = 1024  # answers remembered after delivery, for calls that were looked up before they were durable
LOCKED_S = 0.25  # between two looks whether the store can be written again
STOPPED = "the run was stopped before this call was sent"
CROSSES = "this call could have crossed the cap"

_Answered = tuple[Ticket, Completion]
_Why = tuple[FailureKind, str]
Notify = Callable[[Sequence[_Answered], StoreLostError | None], None]


class Dispatcher:
    """Serves tickets until it is closed; then it can be used again.

    open_journal: makes the journal that tells this function what is durable. on_paid: hears the keys of that.
    deadline: after it nothing is sent. lengths: of known vectors. hits: calls answered with an equal one.
    lost: why nothing is durable any more.
    """

    def __init__(
        self,
        *,
        run: str,
        providers: Mapping[str, Provider],
        endpoints: Mapping[str, Endpoint],
        models: Mapping[str, Model],
        budget: Budget,
        deadline: Deadline,
        open_journal: Callable[[Notify], Journal[_Answered]],
        clock: Clock,
        seed: int,
        on_paid: Callable[[str], None],
        lengths: Lengths,
    ) -> None:
        self.failed = self.retries = 0
        self.hits = Hits()
        self.lost: StoreLostError | None = None
        self.under_way: dict[str, Ticket] = {}
        self._run = run
        self._providers = providers
        self._endpoints = endpoints
        self._models = models
        self._budget = budget
        self._deadline = deadline
        self._open_journal = open_journal
        self._clock = clock
        self._random = random.Random(seed)
        self._on_paid = on_paid
        self._lengths = lengths
        self._gates: dict[str, Gate] = {}
        self._recent: dict[str, Completion] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._journal: Journal[_Answered]  # these three are there as long as the loop is
        self._books: Books
        self._thread: threading.Thread

    # -- any thread

    def send(self, tickets: Sequence[Ticket]) -> None:
        """Take these tickets; each will have its delivery."""
        self._started().call_soon_threadsafe(self._accept, tickets)

    def end_waits(self) -> None:
        """Give up what nobody waits for any more and is not in flight."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end_waits)

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
                loop = new_loop()
                self._journal = self._open_journal(self._on_durable)
                self._books = Books(self._run, self._budget, self._journal, self._clock)
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
            if (first := self.under_way.get(ticket.key)) is not None:
                first.twins.append(ticket)
            elif ticket.key in self._recent:
                self._journal.put_release(ticket.key)
                ticket.stream.deliver([self._again(ticket, self._recent[ticket.key])])
            else:
                self.under_way[ticket.key] = ticket
                try:
                    gate = self._gate(ticket.call)
                    ticket.worst = worst_case(ticket.call, gate.model)
                    if not ticket.worst.output_tokens:
                        require_limit(ticket.call, gate.model, self._budget.caps)
                except UsageError as error:
                    self._crash([ticket], error)
                    continue
                gate.waiting.append(ticket)
                self._fill(gate)

    def _gate(self, call: Call) -> Gate:
        gate = self._gates.get(call.settings.model)
        if gate is None:
            provider, endpoint = call.settings.provider, self._endpoints[call.settings.provider]
            if provider not in self._providers:
                raise UsageError(f"no provider {provider!r} was given; add it to providers, or give none")
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

    # -- the loop's thread: one request, for one conversation or for several texts

    async def _work(self, gate: Gate) -> None:
        try:
            while gate.waiting and gate.line.in_flight <= gate.line.most:
                group = take(gate)
                try:
                    await self._serve(gate, group)
                except asyncio.CancelledError as error:
                    name = gate.model.full_name
                    crash = ProviderError(f"the provider of {name!r} cancelled a call by itself")
                    crash.__cause__ = error
                    self._crash(group, crash)
                except BaseException as error:  # noqa: BLE001 - raised in `run`: whoever waits must not wait for ever
                    self._crash(group, error)
                self._fill(gate)
        finally:
            gate.line.in_flight -= 1

    async def _serve(self, gate: Gate, group: list[Ticket]) -> None:
        """Have this group answered, or failed; what leaves it on the way is taken out of the list."""
        line = gate.line
        while self._still_wanted(group):
            early_s = line.wait_s(self._clock.monotonic(), sum([ticket.worst.tokens for ticket in group]))
            held_up = early_s > 0 or line.down_since is not None or self._journal.waiting
            if held_up and not await self._is_due(gate, group, early_s):
                continue
            if not await self._hold(gate, group):
                return None
            fault = await self._attempt(gate, group)
            if fault is None:
                return None
            if len(group) > 1 and fault.kind in OF_ONE_TEXT:
                return halve(gate, group)
            for ticket in group:
                ticket.attempts += 1
            if not fault.retryable or group[0].attempts > gate.endpoint.max_retries:
                return self._fail([(ticket, (fault.kind, fault.message or fault.kind)) for ticket in group])
            if self._still_wanted(group):
                self.retries += 1
                await self._rest(group, back_off_s(group[0].attempts, fault.retry_after_s, self._random))
            if line.in_flight > line.most or line.down_since is not None:
                # The line has become narrower: behind those that wait, so that no call uses up its retries.
                gate.waiting.extend(group)
                return None
        return None

    def _why_over(self, ticket: Ticket) -> _Why | None:
        """Why no request is made for this call any more, whatever it waits for; `None`: one is."""
        if not ticket.wanted:
            return "cancelled", STOPPED
        if self._deadline.over:
            return "budget", self._deadline.words
        if given_up := self._gates[ticket.call.settings.model].line.given_up:
            return "down", given_up
        return ("budget", CROSSES) if self._budget.refuses(ticket.worst) else None

    def _still_wanted(self, group: MutableSequence[Ticket], *, held: bool = False) -> bool:
        """Fail and take out what is over; False: that was all. held: money is set aside for them."""
        told = [(ticket, self._why_over(ticket)) for ticket in group]
        if over := [(ticket, why) for ticket, why in told if why]:
            group.clear()
            group.extend(ticket for ticket, why in told if not why)
            if held:
                for ticket, _ in over:
                    self._budget.release(ticket.worst)
            self._fail(over)
        return bool(group)

    async def _hold(self, gate: Gate, group: list[Ticket]) -> bool:
        """Set money aside for as many of them as may be now; the others wait again. False: for none."""
        first = group[0]
        at_once = self._budget.take(first.worst)
        if not at_once and not await self._budget.hold(
            first.worst, lambda: not self._why_over(first), [ticket.worst for ticket in group[1:]]
        ):
            gate.waiting.extendleft(reversed(group[1:]))
            self._fail([(first, self._why_over(first) or ("budget", CROSSES))])
            self._end_waits()
            return False
        if len(group) > 1:
            held = [first, *takewhile(lambda ticket: self._budget.take(ticket.worst), group[1:])]
            gate.waiting.extendleft(reversed(group[len(held) :]))
            group[:] = held
        return at_once or self._still_wanted(group, held=True)  # holding may have taken long

    async def _is_due(self, gate: Gate, group: list[Ticket], early_s: float) -> bool:
        """Wait for the pace, the store, and a provider that is down; False: nobody is to be sent."""
        while self._still_wanted(group):
            early_s = early_s or (LOCKED_S if self._journal.waiting else 0.0)
            early_s = early_s or gate.line.pause_s(self._clock.monotonic())
            if early_s <= 0:
                return True
            await self._rest(group, early_s)
            early_s = 0.0
        return False

    async def _rest(self, group: Sequence[Ticket], seconds: float) -> None:
        pause = Pause(self._clock)
        for ticket in group:
            ticket.pause = pause
        await pause.rest(min(seconds, self._deadline.left_s))

    async def _attempt(self, gate: Gate, group: Sequence[Ticket]) -> ProviderFault | None:
        """Send one request and book its bill; gives the fault, `None` when there is an answer."""
        started = self._clock.monotonic()
        try:
            reply = taken_in(await gate.time_limit.within(gate.provider.complete(request(group))))
            replies = deal(reply, group, self._lengths)
            prices = [price_of(one, gate.model) for one in replies]
        except TimeoutError as error:
            fault = ProviderFault("timeout", f"no complete answer in time: {error}", billed=True)
        except ProviderFault as caught:
            fault = caught
        except BaseException:
            self._books.write_off(group, billed=False)
            raise
        else:
            now = self._clock.monotonic()
            gate.line.on_answer(now, now - started)
            for ticket, one, price in zip(group, replies, prices, strict=True):
                latency = Latency(
                    queue_s=started - ticket.queued_at, total_s=now - started, first_token_s=one.first_token_s
                )
                self._books.keep(ticket, one, price, latency)
            return None
        now = self._clock.monotonic()
        gate.line.on_fault(now, fault.kind, fault.message, fault.retry_after_s, sent=fault.billed)
        self._books.write_off(group, billed=fault.billed)
        if gate.line.given_up:
            self._end_waits()
        return fault

    # -- the loop's thread: deliveries

    def _deliver_group(self, group: Sequence[_Answered], lost: StoreLostError | None) -> None:
        if lost is not None and not group:
            self.lost = lost  # bills that nobody waits for: whoever asks next hears of it
        self._deliver([(ticket, lost or answer) for ticket, answer in group])

    def _fail(self, group: Sequence[tuple[Ticket, _Why]]) -> None:
        self.failed += len(group)
        self._deliver([(ticket, self._books.fail(ticket, *why)) for ticket, why in group])

    def _crash(self, group: Sequence[Ticket], error: BaseException) -> None:
        for ticket in group:
            self._journal.put_release(ticket.key)
        self._deliver([(ticket, error) for ticket in group])

    def _deliver(self, ended: Sequence[tuple[Ticket, Delivery]]) -> None:
        # One hand-over for each stream: every one wakes a thread.
        arrived: defaultdict[Stream, list[Delivery]] = defaultdict(list)
        for ticket, delivery in ended:
            del self.under_way[ticket.key]
            if isinstance(delivery, Completion):
                self._on_paid(ticket.key)
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
        told = again(delivery, twin.call)
        self.hits.add([told])
        return told

    async def _let_others_have(self) -> None:
        try:
            await self._budget.rest()
        except StoreLostError as lost:
            self.lost = lost  # nobody waits for this: whoever asks next hears of it

    # -- the loop's thread: the end

    def _end_waits(self) -> None:
        """Let nothing wait that is over: in a queue, in a pause, or for money."""
        for gate in self._gates.values():
            self._still_wanted(gate.waiting)
        under_way = self.under_way.values()
        needed = {id(ticket.pause) for ticket in under_way if not self._why_over(ticket)}
        for ticket in under_way:
            if ticket.pause is not None and id(ticket.pause) not in needed:
                ticket.pause.cut()
        self._budget.wake()

    async def _finish(self) -> None:
        for ticket in self.under_way.values():
            for open_one in (ticket, *ticket.twins):
                open_one.stream.stopped = True
        self._end_waits()
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
