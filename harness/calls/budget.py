"""The caps: money is held before a request is sent and settled when its bill is known.

In: worst cases and bills. Out: permission to send. The sum of what was spent and what is held never
passes a cap, so the last cent is safe however many calls are in flight. Used from one event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.catalogue.bounds import most_embedded_tokens, most_input_tokens, most_output_tokens, unbounded
from harness.catalogue.custom import custom_faults
from harness.catalogue.models import Model, price_usd, worst_case_usd
from harness.clock import Clock
from harness.errors import UsageError
from harness.findings import Paid, Spend
from harness.records import Call, Purpose, Reply
from harness.store.leases import Amount, Pool

NOTHING_PAID = Paid()
OTHERS_S = 0.05  # between two looks whether another process gave something back


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a run may use up; `None`: no limit. Its time is no part of this: see `waiting.Deadline`."""

    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None

    def amount(self) -> Amount:
        """The caps as an amount; what is not capped is infinite."""
        return Amount(*(math.inf if cap is None else cap for cap in (self.usd, self.calls, self.tokens)))


class Hold(NamedTuple):
    """The worst that one request can cost, set aside until its bill is known."""

    usd: float
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens of both kinds."""
        return self.input_tokens + self.output_tokens

    @property
    def amount(self) -> Amount:
        """What this one request counts against the caps."""
        return Amount(self.usd, 1, self.tokens)


class Budget:
    """What is left of the caps. spent: what earlier attempts of the same run paid.

    pool: the caps as shared with other processes of the run; `None`: this process has them alone.
    """

    def __init__(self, caps: Caps, spent: Spend, clock: Clock, pool: Pool | None = None) -> None:
        self.caps = caps
        self._usd, self._calls = spent.usd, spent.calls
        self._input_tokens, self._output_tokens = spent.input_tokens, spent.output_tokens
        self._parts, self._lost = dict(spent.by_purpose), spent.lost
        self._clock = clock
        self._pool = pool
        self._paid_before = self._paid
        free = caps.amount() - self._paid if pool is None else caps.amount().uncapped()
        # Figures of their own, not an amount: they move twice with every request.
        self._free_usd, self._free_calls, self._free_tokens = free.usd, free.calls, free.tokens
        self._leased = self._most_held = Amount()
        # The most that is left for good, known once a request was refused: payments never come back.
        self._left: Amount | None = None
        self._open = 0
        self._asking = False
        self._wakes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def spent(self) -> Spend:
        """What the run has paid so far, earlier attempts included."""
        return Spend(
            usd=self._usd,
            calls=self._calls,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            by_purpose=dict(self._parts),
            lost=self._lost,
        )

    def refuses(self, worst: Hold) -> bool:
        """Whether it is known that this much can never be set aside any more."""
        return self._left is not None and not self._left.covers(worst.amount)

    def take(self, worst: Hold) -> bool:
        """Set this much aside if it is free now."""
        usd, tokens = worst.usd, worst.tokens
        if self._free_usd < usd or self._free_calls < 1 or self._free_tokens < tokens:
            return False
        self._free_usd -= usd
        self._free_calls -= 1
        self._free_tokens -= tokens
        self._open += 1
        return True

    async def hold(
        self, worst: Hold, wanted: Callable[[], bool] = lambda: True, beside: Sequence[Hold] = ()
    ) -> bool:
        """Set this much aside; wait for others' holds if only they stand in the way.

        wanted: looked at in each turn; `wake` brings the next one. beside: what is to travel in the same
        request, for which nothing is set aside yet. Returns False where it is not wanted, and where the
        request could cross a cap even if nothing else were under way.
        """
        while not self.take(worst):
            if not wanted() or not await self._more(worst.amount, beside):
                return False
        return True

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._wakes += 1
        # All of them: a small call behind a large one may fit where the large one does not.
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    def settle(
        self,
        worst: Hold,
        usd: float,
        input_tokens: int,
        output_tokens: int,
        purpose: Purpose = "answer",
    ) -> None:
        """Replace a hold by the bill of its request."""
        part = self._parts.get(purpose, NOTHING_PAID)
        self._parts[purpose] = Paid(
            usd=part.usd + usd,
            calls=part.calls + 1,
            input_tokens=part.input_tokens + input_tokens,
            output_tokens=part.output_tokens + output_tokens,
        )
        self._usd += usd
        self._calls += 1
        self._input_tokens += input_tokens
        self._output_tokens += output_tokens
        self._free_usd += worst.usd - usd
        self._free_tokens += worst.tokens - input_tokens - output_tokens
        self._open -= 1
        self.wake()

    def release(self, worst: Hold) -> None:
        """Give a hold back: its request was not billed."""
        self._add(worst.amount)
        self._open -= 1
        self.wake()

    async def rest(self) -> None:
        """Let other processes have what is not held: nothing is waiting here."""
        if self._pool is not None and not self._asking and self._free.counted() != Amount():
            self._asking = True
            try:
                await self._give_back(self._pool)
            finally:
                self._asking = False
                self.wake()

    async def _more(self, need: Amount, beside: Sequence[Hold]) -> bool:
        """Wait until there may be more to hold; False when there will never be."""
        if self._pool is None or self._asking:
            if self._open or self._asking:
                return await self._turn()
            self._left = self._free
            return False
        self._asking = True
        try:
            return await self._lease(self._pool, need, beside)
        finally:
            self._asking = False
            self.wake()

    async def _lease(self, pool: Pool, need: Amount, beside: Sequence[Hold]) -> bool:
        # As much as is under way, what travels together included: else each text would travel alone.
        held = sum((one.amount for one in beside), self._held + need if beside else self._held)
        # As much as ever was under way: while the store is asked, answers arrive and nothing is sent.
        held = self._most_held = self._most_held.most(held)
        wakes = self._wakes
        granted = await asyncio.to_thread(pool.lease, self._free.shortfall(need), held)
        if granted is None and self._open:
            # Whoever was to be woken while the store was asked would sleep on.
            return self._wakes != wakes or await self._turn()
        if granted is None:
            # What is left here and what is left elsewhere may be enough together.
            await self._give_back(pool)
            granted = await asyncio.to_thread(pool.lease, need)
        if granted is not None:
            self._leased += granted.counted()
            self._add(granted)
            return True
        if not await asyncio.to_thread(pool.others_hold):
            self._left = await asyncio.to_thread(pool.left)
            return False
        await self._clock.sleep(OTHERS_S)
        return True

    async def _give_back(self, pool: Pool) -> None:
        freed = self._free.counted()
        self._leased -= freed
        self._add(Amount() - freed)
        await asyncio.to_thread(pool.give_back, freed)

    async def _turn(self) -> bool:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn
        return True

    @property
    def _free(self) -> Amount:
        return Amount(self._free_usd, self._free_calls, self._free_tokens)

    @property
    def _paid(self) -> Amount:
        return Amount(self._usd, self._calls, self._input_tokens + self._output_tokens)

    @property
    def _held(self) -> Amount:
        """What requests under way hold, of what is capped."""
        return self._leased - (self._paid - self._paid_before) - self._free.counted()

    def _add(self, amount: Amount) -> None:
        self._free_usd += amount.usd
        self._free_calls += amount.calls
        self._free_tokens += amount.tokens


def require_bounded(call: Call) -> None:
    """Raise UsageError when a custom parameter could make this call cost more than its worst case."""
    if faults := custom_faults(call.settings.extra):
        raise UsageError(f"the call for sample {call.sample_id!r} cannot be sent: {'; '.join(faults)}")


def require_limit(call: Call, model: Model, caps: Caps) -> None:
    """Raise UsageError when nothing limits the answer to this call, and a cap depends on it."""
    if call.texts:
        return
    if why := unbounded(call.settings.max_output_tokens, model, usd=caps.usd, tokens=caps.tokens):
        raise UsageError(why)


def worst_case(call: Call, model: Model) -> Hold:
    """The most that one request of this call can be billed; see `catalogue.bounds`."""
    beside = call.settings.extra
    if call.texts:
        input_tokens, output_tokens = most_embedded_tokens(call.texts, beside), 0
    else:
        input_tokens = most_input_tokens([message.content for message in call.messages], beside)
        output_tokens = most_output_tokens(call.settings.max_output_tokens, model)
    usd = worst_case_usd(input_tokens, output_tokens, model.prices) if model.prices else 0.0
    return Hold(usd, input_tokens, output_tokens)


def price_of(reply: Reply, model: Model) -> float | None:
    """List price of a reply in USD; `None` when the provider did not state the tokens it billed."""
    if model.prices is None or (model.prices.input == 0 and model.prices.output == 0):
        return 0.0
    if reply.usage.input_tokens is None or reply.usage.output_tokens is None:
        return None
    return price_usd(reply.usage, model.prices)
