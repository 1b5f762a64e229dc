"""A provider that answers what a test wrote down: a function, a list, or one answer for all.

In: calls. Out: replies or faults, as scripted. It must not decide anything by itself.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

from harness.calls.provider import ProviderFault
from harness.errors import UsageError
from harness.records import Call, Reply, Usage
from harness.testing.tokens import count_call_tokens, count_tokens

Scripted: TypeAlias = "Reply | ProviderFault | str"
PATIENCE_S = 30.0
Script: TypeAlias = "Callable[[Call], Scripted | Awaitable[Scripted]] | Sequence[Scripted] | Scripted"


class ScriptedProvider:
    """Answers calls as told; the counterpart of `httpx.MockTransport` for models.

    answer: a function of the call (async is allowed, to hold a call back), a sequence that is used up in
    order of arrival, or one answer for every call. A text becomes a finished reply with counted
    tokens; a `ProviderFault` is raised; exceptions of the function pass through.
    """

    def __init__(self, answer: Script) -> None:
        self.calls: list[Call] = []
        self.closed = 0
        self._constant: Scripted | None = None
        self._function: Callable[[Call], Scripted | Awaitable[Scripted]] | None = None
        self._rest: Iterator[Scripted] = iter(())
        if isinstance(answer, str | Reply | ProviderFault):
            self._constant = answer
        elif callable(answer):
            self._function = answer
        else:
            self._rest = iter(answer)

    async def complete(self, call: Call) -> Reply:
        """The scripted answer. Raises the scripted ProviderFault, or UsageError when none is left."""
        self.calls.append(call)
        scripted = await self._next(call)
        if isinstance(scripted, ProviderFault):
            raise _fresh(scripted)
        return as_reply(call, scripted) if isinstance(scripted, str) else scripted

    async def close(self) -> None:
        """Count that it was closed; harmless when called twice."""
        self.closed += 1

    async def _next(self, call: Call) -> Scripted:
        if self._constant is not None:
            return self._constant
        if self._function is not None:
            answer = self._function(call)
            return await answer if inspect.isawaitable(answer) else answer
        for scripted in self._rest:
            return scripted
        raise UsageError(
            f"the script has no answer left for call {len(self.calls)} (sample {call.sample_id!r}); "
            "give it one more, or pass a function"
        )


def as_reply(call: Call, text: str) -> Reply:
    """A finished reply with this text, its tokens counted as the simulator counts them."""
    return Reply(
        text=text,
        finish_reason="stop",
        usage=Usage(
            input_tokens=count_call_tokens(call),
            cached_input_tokens=0,
            cache_write_tokens=0,
            output_tokens=count_tokens(text),
            reasoning_tokens=0,
        ),
        served_by=call.settings.model_name,
    )


def _fresh(fault: ProviderFault) -> ProviderFault:
    # A copy: raising one instance again and again would chain its tracebacks without end.
    return ProviderFault(fault.kind, fault.message, retry_after_s=fault.retry_after_s, billed=fault.billed)


class Held:
    """A script that holds every call back, but for the first few, until `released` is set.

    free: how many it answers at once. `seen` counts the calls that came.
    """

    def __init__(self, free: int = 0) -> None:
        self.free, self.seen = free, 0
        self.released = threading.Event()

    async def __call__(self, _: Call) -> Scripted:
        """Answer, at once or when released."""
        self.seen += 1
        if self.seen > self.free:
            await asyncio.to_thread(self.released.wait, PATIENCE_S)
        return "billing"


def until(condition: Callable[[], bool]) -> None:
    """Return when another thread has made the condition true. Raises AssertionError after `PATIENCE_S`."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S * 1000)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("the condition did not come true")
