"""FakeClock: virtual time, exact order, no real waiting."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import Clock
from harness.errors import UsageError
from harness.testing.fake_clock import FakeClock


def test_is_a_clock() -> None:
    """FakeClock can stand wherever a Clock is asked for."""
    clock: Clock = FakeClock(datetime(2030, 5, 1, tzinfo=UTC))
    assert (clock.now(), clock.monotonic()) == (datetime(2030, 5, 1, tzinfo=UTC), 0.0)


def test_time_jumps_when_everybody_sleeps() -> None:
    """An hour of sleep takes no real time and exactly an hour of virtual time."""
    clock = FakeClock()
    before = clock.now()
    asyncio.run(clock.sleep(3600))
    assert clock.monotonic() == 3600
    assert clock.now() - before == timedelta(hours=1)


@given(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 7.25]), min_size=1, max_size=12))
def test_sleepers_wake_by_due_time_then_by_arrival(delays: list[float]) -> None:
    """Whatever the order of going to sleep, waking is in order of due time; equals in order of arrival."""
    clock, woken = FakeClock(), []

    async def sleeper(number: int, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((clock.monotonic(), number))

    async def main() -> None:
        await asyncio.gather(*(sleeper(n, s) for n, s in enumerate(delays)))

    asyncio.run(main())
    assert woken == sorted((s, n) for n, s in enumerate(delays))


def test_time_waits_for_whoever_can_go_on() -> None:
    """Time does not jump while another task still has steps to make, however many."""
    clock, seen = FakeClock(), []

    async def worker() -> None:
        for _ in range(500):
            await asyncio.sleep(0)
            seen.append(clock.monotonic())

    async def main() -> None:
        await asyncio.gather(clock.sleep(10), worker())

    asyncio.run(main())
    assert set(seen) == {0.0}


def test_sleeping_again_adds_up_between_other_sleepers() -> None:
    """Tasks that sleep in a loop interleave as they would in real time."""
    clock, log = FakeClock(), []

    async def tick(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(seconds)
            log.append((clock.monotonic(), name))

    async def main() -> None:
        await asyncio.gather(tick("a", 2.0, 3), tick("b", 3.0, 2))

    asyncio.run(main())
    assert log == [(2.0, "a"), (3.0, "b"), (4.0, "a"), (6.0, "b"), (6.0, "a")]


def test_a_cancelled_sleeper_moves_no_time() -> None:
    """A timeout that was called off does not drag the clock to its end."""
    clock = FakeClock()

    async def main() -> None:
        timeout = asyncio.ensure_future(clock.sleep(60))
        await clock.sleep(1)
        timeout.cancel()
        await asyncio.gather(timeout, return_exceptions=True)
        await clock.sleep(1)

    asyncio.run(main())
    assert (clock.monotonic(), clock.sleepers) == (2.0, 0)


def test_zero_and_negative_sleeps_return_at_once() -> None:
    """A sleep of nothing lets others run and takes no virtual time."""
    clock = FakeClock(autojump=False)

    async def main() -> None:
        await clock.sleep(0)
        await clock.sleep(-5)

    asyncio.run(main())
    assert clock.monotonic() == 0.0


def test_one_clock_serves_one_loop_after_another() -> None:
    """A loop that was closed with somebody asleep does not stop the clock on the next."""
    clock = FakeClock()

    async def leave_a_sleeper() -> None:
        task = asyncio.ensure_future(clock.sleep(100))
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(leave_a_sleeper())
    asyncio.run(clock.sleep(1))
    assert clock.monotonic() == 1.0


def test_without_autojump_time_stands_still() -> None:
    """A manual clock wakes nobody by itself."""
    clock = FakeClock(autojump=False)

    async def main() -> bool:
        task = asyncio.ensure_future(clock.sleep(1))
        for _ in range(20):
            await asyncio.sleep(0)
        asleep = not task.done()
        clock.advance(1)
        await task
        return asleep

    assert asyncio.run(main())
    assert clock.monotonic() == 1.0


def test_advance_wakes_exactly_those_that_are_due() -> None:
    """Due at the end of the step counts as due."""
    clock, woken = FakeClock(autojump=False), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async def main() -> None:
        tasks = [asyncio.ensure_future(sleeper(s)) for s in (3.0, 1.0, 2.0)]
        await asyncio.sleep(0)
        clock.advance(2.0)
        await asyncio.gather(*tasks[1:])
        assert clock.sleepers == 1
        clock.advance(1.0)
        await tasks[0]

    asyncio.run(main())
    assert woken == [1.0, 2.0, 3.0]


def test_advance_refuses_to_go_back() -> None:
    """Monotonic time never goes back."""
    with pytest.raises(UsageError, match="jump"):
        FakeClock().advance(-1)


@pytest.mark.parametrize("autojump", [False, True])
def test_pass_time_lets_sleepers_sleep_again_on_the_way(autojump: bool) -> None:
    """Five seconds hold five naps of one second, with or without autojump."""
    clock, naps = FakeClock(autojump=autojump), []

    async def napper() -> None:
        while True:
            await clock.sleep(1)
            naps.append(clock.monotonic())

    async def main() -> None:
        task = asyncio.ensure_future(napper())
        await asyncio.sleep(0)
        await clock.pass_time(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert naps[:4] == [1, 2, 3, 4]
    assert clock.monotonic() == 5


def test_jump_moves_the_wall_clock_only() -> None:
    """A clock set back an hour changes now(), not monotonic() and not who sleeps how long."""
    clock = FakeClock(autojump=False)
    before = clock.now()

    async def main() -> None:
        task = asyncio.ensure_future(clock.sleep(10))
        await asyncio.sleep(0)
        clock.jump(-3600)
        assert clock.sleepers == 1
        clock.advance(10)
        await task

    asyncio.run(main())
    assert clock.monotonic() == 10
    assert clock.now() - before == timedelta(seconds=10 - 3600)


def test_patience_waits_for_a_thread() -> None:
    """With patience, time stands still while the loop waits for a thread that will answer soon."""
    clock, go = FakeClock(patience_s=5.0), threading.Event()

    async def main() -> float:
        sleeper = asyncio.ensure_future(clock.sleep(60))
        work = asyncio.get_running_loop().run_in_executor(None, go.wait)
        await asyncio.sleep(0)
        go.set()
        await work
        at = clock.monotonic()
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)
        return at

    assert asyncio.run(main()) == 0.0


def test_another_thread_may_advance_the_clock() -> None:
    """A test in the main thread can wake sleepers of a loop that runs in the background."""
    clock, asleep, done = FakeClock(autojump=False), threading.Event(), []

    async def main() -> None:
        task = asyncio.ensure_future(clock.sleep(5))
        await asyncio.sleep(0)
        asleep.set()
        await task
        done.append(clock.monotonic())

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert asleep.wait(30)
    clock.advance(5)
    thread.join(30)
    assert done == [5.0]


def test_a_loop_that_hides_its_queue_still_jumps() -> None:
    """On loops without a readable queue (uvloop) idleness is inferred from passes."""

    class Veiled(asyncio.SelectorEventLoop):
        def __getattribute__(self, name: str) -> object:
            if name == "_ready" and sys._getframe(1).f_code.co_name == "_is_quiet":
                raise AttributeError(name)
            return super().__getattribute__(name)

    clock = FakeClock()
    with asyncio.Runner(loop_factory=Veiled) as runner:
        runner.run(clock.sleep(30))
    assert clock.monotonic() == 30
