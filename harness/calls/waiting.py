"""How long the engine waits: for one attempt at most, between two attempts, and for anything at all.

In: a clock, the limits of an endpoint, and the time of a run. Out: time-outs, pauses and a deadline in that
clock's time, real or fake. It must not know what is waited for.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable
from typing import Any, TypeVar

from harness.clock import Clock

T = TypeVar("T")
FIRST_WAIT_S = 0.5  # upper end of the first back-off; it doubles with each attempt
LONGEST_WAIT_S = 30.0
LONGEST_ASK_S = 60.0  # where a provider asks for more, no call waits by itself: all of the model do
DOUBLINGS = 16  # far beyond LONGEST_WAIT_S, and no number of retries overflows


class Deadline:
    """The moment at which the time of a run is up. minutes: from now on; `None`: there is no such moment."""

    def __init__(self, minutes: float | None, clock: Clock) -> None:
        self._clock = clock
        self._at = math.inf if minutes is None else clock.monotonic() + 60 * minutes
        self.words = "" if minutes is None else f"the time of the budget ({minutes:g} minutes) is over"

    @property
    def left_s(self) -> float:
        """Seconds that are left; infinite without a deadline."""
        return math.inf if self._at == math.inf else max(0.0, self._at - self._clock.monotonic())

    @property
    def over(self) -> bool:
        """Whether nothing more may be sent."""
        return self._at < math.inf and self._clock.monotonic() >= self._at


class TimeLimit:
    """Ends work that takes longer than so many seconds. One sleeper watches all work of a limit.

    A timer a call would cost a task each in a clock that can only sleep. As all work may take equally
    long, what began first is due first, and the sleeper looks at one entry only. It sleeps only while work is
    under way, so that it never makes a fake clock jump.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._due: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._sleeper: asyncio.Task[None] | None = None

    async def within(self, work: Awaitable[T]) -> T:
        """What this work gives. Raises TimeoutError when it took too long: it was cancelled then."""
        task = asyncio.current_task()
        assert task is not None
        self._due[task] = self._clock.monotonic() + self._seconds
        if self._sleeper is None:
            self._sleeper = asyncio.get_running_loop().create_task(self._watch())
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._late:
                raise TimeoutError(f"took longer than {self._seconds:g} s") from None
            raise
        finally:
            self._due.pop(task, None)
            if task in self._late:
                self._late.discard(task)
                task.uncancel()
            if not self._due:
                self._stop_watching()

    def _stop_watching(self) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    async def _watch(self) -> None:
        while self._due:
            task, due = next(iter(self._due.items()))
            rest_s = due - self._clock.monotonic()
            if rest_s > 0:
                await self._clock.sleep(rest_s)
                continue
            del self._due[task]
            self._late.add(task)
            task.cancel()
        self._sleeper = None


class Pause:
    """A rest between two attempts that can be cut short. Used by one task at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resting: asyncio.Task[Any] | None = None
        self._cut = False

    async def rest(self, seconds: float) -> None:
        """Return after this many seconds, or when `cut` is called."""
        self._resting, self._cut = asyncio.current_task(), False
        assert self._resting is not None
        try:
            await self._clock.sleep(seconds)
        except asyncio.CancelledError:
            if not self._cut:
                raise
            self._resting.uncancel()
        finally:
            self._resting = None

    def cut(self) -> None:
        """End the rest under way, if there is one."""
        if self._resting is not None and not self._cut:
            self._cut = True
            self._resting.cancel()


def back_off_s(attempts: int, asked_s: float | None, chance: random.Random) -> float:
    """Seconds to wait after this many attempts; never less than the provider asked for.

    Full jitter: Brooker 2015, "Exponential Backoff And Jitter", AWS Architecture Blog. What the provider
    asked for comes on top, so that those who were told the same do not come back together. Beyond
    LONGEST_ASK_S it does not: `limits.Limiter` then holds back all calls of the model.
    """
    ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(attempts - 1, DOUBLINGS))
    own_s = asked_s if asked_s is not None and asked_s <= LONGEST_ASK_S else 0.0
    return chance.uniform(0.0, ceiling) + own_s
