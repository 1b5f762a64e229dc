"""How the engine ends: early, interrupted, crashed or without its store; never with a hang or a loss."""

from __future__ import annotations

import asyncio
import threading

import pytest

from harness.calls.budget import Caps, worst_case
from harness.calls.engine import CHUNK, WINDOW
from harness.calls.provider import ProviderFault
from harness.errors import ProviderError, StoreLostError
from harness.records import CallFailure, Completion
from harness.testing.builders import a_completion
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import PATIENCE_S, Held, ScriptedProvider, until
from harness.testing.simulator import Simulator, simulated_world


def a_simulator(**options) -> Simulator:
    """A provider that can answer the first thousands of questions."""
    return Simulator(simulated_world({f"s{number}": "yes" for number in range(3000)}), **options)


def asked(outcomes) -> list[str]:
    """The samples of these outcomes, sorted."""
    return sorted(outcome.call.sample_id for outcome in outcomes)


def a_fault(kind, **options) -> ProviderFault:
    """A fault of this kind."""
    return ProviderFault(kind, f"a {kind}", **options)


# -- stopping early


def test_closing_early_sends_nothing_more_and_keeps_what_was_in_flight(make_engine, ask, store):
    """Those in flight were paid: they are waited for and stored. Afterwards the engine goes on."""
    hold = Held(free=1)
    provider = ScriptedProvider(hold)
    engine = make_engine(provider, concurrency=4)
    stream = engine.run(ask(20))
    next(stream)
    closing = threading.Thread(target=stream.close)
    closing.start()
    until(lambda: len(engine._dispatcher.under_way) == 4)
    hold.released.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert len(provider.calls) == 5
    assert store.spent("run-1").calls == 5
    outcomes = list(engine.run(ask(20)))
    assert sum(outcome.cached for outcome in outcomes) == 5
    assert len(provider.calls) == 20


def test_an_interrupt_loses_nothing(make_engine, ask, store):
    """Control-C in the caller's loop ends the run; every answer that was paid is in the store."""
    provider = a_simulator()
    engine = make_engine(provider, concurrency=4)

    def consume():
        for _ in engine.run(ask(3000)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert store.spent("run-1").calls == provider.requests <= WINDOW + CHUNK
    assert provider.in_flight == 0


def test_closing_does_not_wait_for_a_long_pause(make_engine, ask):
    """A call that rests between two attempts is given up at once, not after the pause."""
    provider = ScriptedProvider(a_fault("rate_limit", retry_after_s=60.0))
    clock = FakeClock(autojump=False)
    engine = make_engine(provider, clock=clock)
    stream = engine.run(ask(3))
    pulling = threading.Thread(target=lambda: list(stream))
    pulling.start()
    until(lambda: clock.sleepers == 3)
    engine.close()
    pulling.join(PATIENCE_S)
    assert not pulling.is_alive()
    assert len(provider.calls) == 3


def test_closing_the_engine_sends_nothing_more(make_engine, ask, store):
    """With a generator left open, closing waits for what is in flight and cancels the rest."""
    hold = Held(free=1)
    provider = ScriptedProvider(hold)
    engine = make_engine(provider, concurrency=2)
    stream = engine.run(ask(20))
    first = next(stream)
    closing = threading.Thread(target=engine.close)
    closing.start()
    until(lambda: len(engine._dispatcher.under_way) == 2)
    hold.released.set()
    closing.join(PATIENCE_S)
    rest = list(stream)
    assert asked([first, *rest]) == asked(a_completion(call=call) for call in ask(20))
    assert sum(isinstance(o, CallFailure) and o.kind == "cancelled" for o in rest) == 17
    assert store.spent("run-1").calls == len(provider.calls) == 3
    assert provider.closed == 1


def test_closing_twice_or_unused_is_harmless(make_engine, ask):
    """And no thread is left behind."""
    engine = make_engine(a_simulator())
    engine.close()
    list(engine.run(ask(3)))
    engine.close()
    engine.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"harness-calls", "harness-journal"}


# -- crashes


@pytest.mark.parametrize("crash", [ValueError("a mistake"), ProviderError("the server ended"), SystemExit(3)])
def test_a_crash_in_a_provider_surfaces(make_engine, ask, store, crash):
    """It is raised to the caller as it is; what was in flight is stored, and the engine goes on."""

    async def answer(call):
        await asyncio.sleep(0)
        if call.sample_id == "s3" and crashes:
            raise crashes.pop()
        return "billing"

    crashes = [crash]
    provider = ScriptedProvider(answer)
    engine = make_engine(provider, concurrency=4)
    with pytest.raises(type(crash)) as caught:
        list(engine.run(ask(50)))
    assert caught.value is crash
    assert store.spent("run-1").calls == len(provider.calls) - 1
    assert len(list(engine.run(ask(50)))) == 50


def test_a_crash_gives_its_hold_back(make_engine, ask, models):
    """Others wait for the money that the crashed call had set aside."""
    worst = worst_case(ask(1)[0], models["sim/small"])
    crashes = [ValueError("a mistake")]

    def answer(_):
        if crashes:
            raise crashes.pop()
        return "billing"

    engine = make_engine(ScriptedProvider(answer), caps=Caps(usd=worst.usd * 1.5))
    with pytest.raises(ValueError, match="a mistake"):
        list(engine.run(ask(1)))
    (outcome,) = engine.run(ask(1))
    assert isinstance(outcome, Completion)


def test_a_provider_that_cancels_itself_is_heard_of(make_engine, ask):
    """A library that cancels its own work must not leave the caller waiting."""

    async def answer(_):
        raise asyncio.CancelledError

    with pytest.raises(ProviderError, match="'sim/small' cancelled a call by itself"):
        list(make_engine(ScriptedProvider(answer)).run(ask(10)))


def test_a_lost_store_surfaces(make_engine, ask, store):
    """A run whose answers can no longer be kept ends with an error that says so."""

    def answer(call):
        if call.sample_id == "s40":
            with store.database.begin() as connection:
                connection.exec_driver_sql("drop table answers")
        return "billing"

    with pytest.raises(StoreLostError, match="no such table: answers"):
        list(make_engine(ScriptedProvider(answer), concurrency=2).run(ask(100)))


def test_a_lost_bill_surfaces_at_the_end_at_the_latest(make_engine, ask, store):
    """The bill of a request that brought nothing counts toward the cap like any other."""

    def answer(_):
        with store.database.begin() as connection:
            connection.exec_driver_sql("drop table if exists payments")
        return a_fault("malformed", billed=True)

    engine = make_engine(ScriptedProvider(answer), max_retries=0)

    def run():
        try:
            list(engine.run(ask(3)))
        finally:
            engine.close()

    with pytest.raises(StoreLostError, match="no such table: payments"):
        run()


# -- asked ahead


def test_what_is_asked_ahead_is_sent_at_once_and_told_later(make_engine, ask, store):
    """Its answers are there when somebody wants them; meanwhile others are asked and told."""
    provider = a_simulator()
    engine = make_engine(provider)
    later = engine.ahead(ask(30)[20:])
    until(lambda: store.spent("run-1").calls == 10)
    assert asked(engine.run(ask(20))) == asked(a_completion(call=call) for call in ask(20))
    assert asked(later) == asked(a_completion(call=call) for call in ask(30)[20:])
    assert provider.requests == 30


def test_what_was_asked_ahead_is_told_from_the_store(make_engine, ask):
    """An answer that was paid before is not paid again, and counts as cached."""
    provider = a_simulator()
    engine = make_engine(provider)
    list(engine.run(ask(5)))
    assert [outcome.cached for outcome in engine.ahead(ask(5))] == [True] * 5
    assert provider.requests == 5


def test_closing_what_was_asked_ahead_sends_nothing_more(make_engine, ask, store):
    """Also when nobody took an outcome yet: what is in flight is waited for, the rest is never sent."""
    hold = Held(free=0)
    provider = ScriptedProvider(hold)
    engine = make_engine(provider, concurrency=4)
    later = engine.ahead(ask(20))
    until(lambda: len(provider.calls) == 4)
    closing = threading.Thread(target=later.close)
    closing.start()
    until(lambda: len(engine._dispatcher.under_way) == 4)
    hold.released.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert (len(provider.calls), store.spent("run-1").calls) == (4, 4)
