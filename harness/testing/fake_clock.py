"""A clock whose time only moves when a test says so, or when everybody sleeps.

In: sleeps of the code under test. Out: virtual time, in exact and repeatable order. It must never wait
for real time, but for the `patience_s` that a test asks for.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from harness.clock import SystemClock
from harness.errors import UsageError

# Passes of the event loop after which a loop that hides its queue (uvloop) counts as quiet. A wake-up
# travels through a handful of callbacks; fifty is far beyond any chain of futures in practice.
BLIND_PASSES = 50
# The first quiet pass may come before the loop has polled its sockets; the second comes after.
QUIET_PASSES = 2
PATIENCE_STEPS = 4
START = datetime(2026, 1, 1, tzinfo=UTC)

_Sleeper = tuple[float, int, "asyncio.Future[None]"]


class FakeClock:
    """A `harness.clock.Clock` in virtual time; sleepers wake in order of due time, then of arrival.

    start: what `now()` says at the beginning. autojump: when nothing on the event loop can go on
    and somebody sleeps, time jumps to the next sleeper (the idea of trio's MockClock); without it,
    time moves by `advance`, `pass_time` and `jump` only. patience_s: real seconds that the loop must
    stay quiet before a jump; needed only where code also waits for threads, processes or sockets, whose
    work takes no virtual time and which the clock cannot see. Use one jumping clock an event loop.
    """

    def __init__(self, start: datetime = START, *, autojump: bool = True, patience_s: float = 0.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._shift = 0.0
        self._autojump = autojump
        self._patience_s = patience_s
        self._sleepers: list[_Sleeper] = []
        self._order = itertools.count()
        # The loop on which a check is pending: a loop that was closed with a check pending is
        # recognised, because the next one is another object.
        self._watched: asyncio.AbstractEventLoop | None = None

    @property
    def sleepers(self) -> int:
        """How many are asleep now."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def elapsed_s(self) -> float:
        """Virtual seconds since construction."""
        return self._elapsed

    def now(self) -> datetime:
        """The virtual moment, in the time zone of `start`; moved by `jump` too."""
        return self._start + timedelta(seconds=self._elapsed + self._shift)

    def monotonic(self) -> float:
        """Virtual seconds since construction; never goes back."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return when this much virtual time has passed; lets others run once if zero or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        if self._autojump:
            self._watch(loop)
        await future

    def advance(self, seconds: float) -> None:
        """Move time forward and wake all that are due, in order.

        They run when the caller next awaits, and find the clock at the end of the step; use
        `pass_time` where sleepers that sleep again must wake in between. Raises UsageError for a
        negative step: use `jump` for a clock that is set back.
        """
        if seconds < 0:
            raise UsageError(f"advance() got {seconds!r}, expected 0 or more; jump() sets now() back")
        target = self._elapsed + seconds
        while (due := self._next_due()) is not None and due <= target:
            self._move_to(due)
        self._elapsed = target

    async def pass_time(self, seconds: float) -> None:
        """Let time pass sleeper by sleeper: whoever wakes runs before time goes on."""
        if self._autojump:
            await self.sleep(seconds)
            return
        target = self._elapsed + seconds
        await self._settle()
        while (due := self._next_due()) is not None and due <= target:
            self._move_to(due)
            await self._settle()
        self._elapsed = target

    def jump(self, seconds: float) -> None:
        """Set the wall clock: `now()` moves, also backwards; `monotonic()` and sleepers do not."""
        self._shift += seconds

    def _next_due(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():  # cancelled while asleep
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _move_to(self, due: float) -> None:
        self._elapsed = max(self._elapsed, due)
        while self._next_due() == due:
            _wake(heapq.heappop(self._sleepers)[2])

    async def _settle(self) -> None:
        loop, quiet, passes = asyncio.get_running_loop(), 0, 0
        while quiet < QUIET_PASSES:
            await asyncio.sleep(0)
            passes += 1
            quiet = quiet + 1 if _is_quiet(loop, passes) else 0

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._watched is not loop:
            self._watched = loop
            loop.call_soon(self._check, loop, 0, 0)

    def _check(self, loop: asyncio.AbstractEventLoop, passes: int, quiet: int) -> None:
        """Jump once the loop has been quiet long enough; else look again after its next pass."""
        if self._next_due() is None:
            self._watched = None
            return
        if not _is_quiet(loop, passes):
            loop.call_soon(self._check, loop, passes + 1, 0)
        elif quiet + 1 < QUIET_PASSES:
            loop.call_soon(self._check, loop, passes + 1, quiet + 1)
        elif self._patience_s > 0 and quiet + 1 < QUIET_PASSES + PATIENCE_STEPS:
            pause = self._patience_s / PATIENCE_STEPS
            loop.call_later(pause, self._check, loop, passes + 1, quiet + 1)
        else:
            self._jump_to_next(loop)

    def _jump_to_next(self, loop: asyncio.AbstractEventLoop) -> None:
        due = self._next_due()
        if due is not None:
            self._move_to(due)
        loop.call_soon(self._check, loop, 0, 0)


def _wake(future: asyncio.Future[None]) -> None:
    def finish() -> None:
        if not future.done():
            future.set_result(None)

    loop = future.get_loop()
    if loop.is_closed():
        future.cancel()
    elif loop is _running_loop():
        finish()
    else:  # a test advances the clock of a loop that runs in another thread
        loop.call_soon_threadsafe(finish)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_quiet(loop: asyncio.AbstractEventLoop, passes: int) -> bool:
    """Whether nothing else is ready to run, asked from within a callback of that loop.

    The standard loops keep what is ready in `_ready`, and have removed the running callback from it.
    There is no public way to ask; a loop without it counts as quiet after `BLIND_PASSES`.
    """
    ready = getattr(loop, "_ready", None)
    return passes >= BLIND_PASSES if ready is None else not ready


class BusyClock(SystemClock):
    """A clock by which time passes at each look, so that a run shows itself after every few answers."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    def monotonic(self) -> float:
        """A twentieth of a second more than last time."""
        return next(self._looks) / 20
