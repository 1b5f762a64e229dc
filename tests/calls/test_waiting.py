"""Limits of time and pauses: in the time of a clock, cheap, and nobody else is hurt."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.tickets import Stream
from harness.calls.waiting import LONGEST_ASK_S, LONGEST_WAIT_S, Pause, TimeLimit, back_off_s
from harness.testing.builders import a_completion
from harness.testing.fake_clock import FakeClock


def test_work_in_time_gives_its_result():
    """Nothing is cut off, and the clock does not run on afterwards."""

    async def act():
        clock = FakeClock()
        limit = TimeLimit(10.0, clock)

        async def work():
            await clock.sleep(9.0)
            return "done"

        assert await limit.within(work()) == "done"
        await asyncio.sleep(0)
        return clock.elapsed_s, clock.sleepers

    assert asyncio.run(act()) == (9.0, 0)


def test_late_work_is_cancelled_and_the_task_goes_on():
    """The task that was waiting is not cancelled itself: it can be limited again."""

    async def act():
        clock = FakeClock()
        limit = TimeLimit(10.0, clock)
        for _ in range(3):
            with pytest.raises(TimeoutError, match="10 s"):
                await limit.within(clock.sleep(1000.0))
        assert asyncio.current_task().cancelling() == 0
        await limit.within(clock.sleep(5.0))
        return clock.elapsed_s

    assert asyncio.run(act()) == 35.0


def test_each_work_has_its_own_time():
    """Those that began later are due later."""

    async def act():
        clock = FakeClock()
        limit = TimeLimit(10.0, clock)

        async def one(start, length):
            await clock.sleep(start)
            try:
                await limit.within(clock.sleep(length))
            except TimeoutError:
                return "late", clock.elapsed_s
            return "done", clock.elapsed_s

        return await asyncio.gather(one(0, 50), one(3, 5), one(4, 20), one(4, 9), one(20, 9))

    assert asyncio.run(act()) == [
        ("late", 10.0),
        ("done", 8.0),
        ("late", 14.0),
        ("done", 13.0),
        ("done", 29.0),
    ]


def test_a_task_that_is_cancelled_from_outside_stays_cancelled():
    """Only the limit's own cancellation becomes a time-out."""

    async def act():
        limit = TimeLimit(10.0, FakeClock())
        task = asyncio.ensure_future(limit.within(asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(act())


def test_an_error_of_late_work_is_its_own():
    """Work that turns its cancellation into an error of its own is believed."""

    async def act():
        limit = TimeLimit(10.0, FakeClock())

        async def work():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("cut off") from None

        with pytest.raises(ValueError, match="cut off"):
            await limit.within(work())
        return asyncio.current_task().cancelling()

    assert asyncio.run(act()) == 0


def test_a_pause_can_be_cut_short():
    """Whoever rests is woken at once, is not cancelled, and can rest again."""

    async def act():
        clock = FakeClock(autojump=False)
        pause = Pause(clock)
        resting = asyncio.ensure_future(pause.rest(1000.0))
        await asyncio.sleep(0)
        pause.cut()
        pause.cut()
        await resting
        again = asyncio.ensure_future(pause.rest(5.0))
        await asyncio.sleep(0)
        assert not again.done()
        clock.advance(5.0)
        await again
        pause.cut()
        return clock.elapsed_s

    assert asyncio.run(act()) == 5.0


@given(st.integers(1, 10**6), st.none() | st.floats(0.0, LONGEST_ASK_S), st.integers())
def test_a_back_off_is_never_shorter_than_asked(attempts, asked_s, seed):
    """Nor is it longer than that by more than the longest wait."""
    wait_s = back_off_s(attempts, asked_s, random.Random(seed))
    assert (asked_s or 0.0) <= wait_s <= (asked_s or 0.0) + LONGEST_WAIT_S


def test_back_offs_grow():
    """The ceiling begins at half a second and doubles up to the longest wait."""
    highest = [max(back_off_s(n, None, random.Random(seed)) for seed in range(300)) for n in range(1, 9)]
    for seen, ceiling in zip(highest, [0.5, 1, 2, 4, 8, 16, 30, 30], strict=True):
        assert 0.9 * ceiling < seen <= ceiling


def test_a_delivery_that_was_lost_to_an_interrupt_is_not_waited_for():
    """Control-C may fall between taking an outcome and noting it."""
    stream = Stream(asked=2)
    stream.deliver([a_completion()])
    stream.arrived.get()
    stream.deliver([a_completion()])
    stream.drain()
    stream.drain()
    assert stream.answered == 2
