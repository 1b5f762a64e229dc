"""The cap: money is held before a request is sent and settled when its bill is known.

In: worst cases and bills. Out: permission to send. The sum of what was spent and what is held never
passes a cap, so the last cent is safe however many calls are in flight. Used from one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace

from harness.catalogue.models import Model, price_usd, worst_case_usd
from harness.clock import Clock
from harness.records import Call, Reply, Spend

TOKENS_PER_REQUEST = 64  # what a chat template may add around the messages
TOKENS_PER_MESSAGE = 16  # what it may add around each of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a run may use up; `None`: no limit. minutes: of wall time, counted anew for each process."""

    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The worst that one request can cost, set aside until its bill is known."""

    usd: float
    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Tokens of both kinds."""
        return self.input_tokens + self.output_tokens


class Budget:
    """What is left of the caps. `spent` starts with what earlier attempts of the same run paid."""

    def __init__(self, caps: Caps, spent: Spend, clock: Clock) -> None:
        self.caps = caps
        self.spent = spent
        self._clock = clock
        self._deadline = None if caps.minutes is None else clock.monotonic() + 60 * caps.minutes
        self._held_usd, self._held_tokens = 0.0, 0
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def hold(self, worst: Hold) -> bool:
        """Set this much aside; wait for others' holds if only they stand in the way.

        Returns False when the request could cross a cap even if nothing else were under way.
        """
        while not self._fits(worst):
            if self._open == 0 or self._late():
                return False
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._held_usd += worst.usd
        self._held_tokens += worst.tokens
        self._open += 1
        return True

    def settle(self, worst: Hold, usd: float, input_tokens: int, output_tokens: int) -> None:
        """Replace a hold by the bill of its request."""
        self._let_go(worst)
        self.spent = replace(
            self.spent,
            usd=self.spent.usd + usd,
            calls=self.spent.calls + 1,
            input_tokens=self.spent.input_tokens + input_tokens,
            output_tokens=self.spent.output_tokens + output_tokens,
        )
        self._wake()

    def release(self, worst: Hold) -> None:
        """Give a hold back: its request was not billed."""
        self._let_go(worst)
        self._wake()

    def _fits(self, worst: Hold) -> bool:
        caps, spent = self.caps, self.spent
        if self._late():
            return False
        if caps.usd is not None and spent.usd + self._held_usd + worst.usd > caps.usd:
            return False
        if caps.calls is not None and spent.calls + self._open + 1 > caps.calls:
            return False
        used = spent.input_tokens + spent.output_tokens + self._held_tokens + worst.tokens
        return caps.tokens is None or used <= caps.tokens

    def _late(self) -> bool:
        return self._deadline is not None and self._clock.monotonic() >= self._deadline

    def _let_go(self, worst: Hold) -> None:
        self._open -= 1
        # With nothing open the sum is zero by definition: rounding must not leave a crumb behind.
        self._held_usd = self._held_usd - worst.usd if self._open else 0.0
        self._held_tokens -= worst.tokens

    def _wake(self) -> None:
        # All of them: a small call behind a large one may fit where the large one does not.
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)


def worst_case(call: Call, model: Model) -> Hold:
    """The most that one request of this call can be billed.

    A token of a byte-level vocabulary is at least one byte of UTF-8, so the bytes of the prompt bound its
    tokens from above without a tokenizer. Output is bounded by what was asked for, else by the model.
    """
    texts = [message.content for message in call.messages] or list(call.texts)
    input_tokens = TOKENS_PER_REQUEST + sum(
        TOKENS_PER_MESSAGE + len(text.encode("utf-8", "surrogatepass")) for text in texts
    )
    output_tokens = call.settings.max_output_tokens or model.max_output_tokens or model.context_tokens or 0
    usd = worst_case_usd(input_tokens, output_tokens, model.prices) if model.prices else 0.0
    return Hold(usd, input_tokens, output_tokens)


def price_of(reply: Reply, model: Model) -> float | None:
    """List price of a reply in USD; `None` when the provider did not state the tokens it billed."""
    if model.prices is None or (model.prices.input == 0 and model.prices.output == 0):
        return 0.0
    if reply.usage.input_tokens is None or reply.usage.output_tokens is None:
        return None
    return price_usd(reply.usage, model.prices)
