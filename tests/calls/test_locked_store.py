"""A store whose lock somebody else holds while calls are under way: what was paid waits, and is kept."""

from __future__ import annotations

import asyncio
import threading

from harness.records import Completion
from harness.testing.builders import a_reply
from harness.testing.locks import PATIENCE_S, locked
from harness.testing.scripted import ScriptedProvider


def test_nothing_more_is_sent_while_paid_answers_wait_for_the_lock(make_engine, ask, store):
    """What was in flight arrives and is kept; the rest is asked when the store can be written again."""
    taken, stuck = threading.Event(), threading.Event()

    async def answer(_):
        place = len(provider.calls)
        if place > 8:  # the ninth meets the lock; the others see that it waits
            assert await asyncio.to_thread((taken if place == 9 else stuck).wait, PATIENCE_S)
        return a_reply()

    provider = ScriptedProvider(answer)
    outcomes = make_engine(provider, concurrency=4).run(ask(100))
    told = [next(outcomes) for _ in range(8)]
    with locked(store) as lock:
        taken.set()
        lock.met(2)
        in_flight = len(provider.calls)
        stuck.set()
        lock.met(4)
        assert len(provider.calls) == in_flight < 8 + 2 * 4
        lock.let_go()
        told += outcomes
    assert len(provider.calls) == 100
    assert all(isinstance(one, Completion) for one in told)
    assert len({one.call.sample_id for one in told}) == store.spent("run-1").calls == 100
