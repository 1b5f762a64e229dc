"""What a call waits for, it waits for no longer once it is over: stopped, out of time, down, beyond a cap."""

from __future__ import annotations

import threading

import pytest

from harness.calls.budget import Caps, worst_case
from harness.calls.keys import call_key
from harness.calls.provider import ProviderFault
from harness.records import CallFailure, Completion
from harness.testing.builders import an_endpoint
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import PATIENCE_S, Held, ScriptedProvider, until

SLOW_DOWN = ProviderFault("rate_limit", "slow down", retry_after_s=60.0)
TIME = "the time of the budget"
CAP = "could have crossed the cap"


def told(outcomes) -> list[tuple[str, str]]:
    """Kind and message of those that failed."""
    return [(one.kind, one.message) for one in outcomes if isinstance(one, CallFailure)]


# -- the time of the run


def test_calls_that_wait_for_the_pace_are_over_with_the_time_of_the_run(make_engine, ask):
    """Thirty calls at six a minute would take five minutes; the run has three seconds, and says so."""
    clock = FakeClock()
    engine = make_engine(ScriptedProvider("billing"), clock=clock, rpm=6, concurrency=8, minutes=0.05)
    outcomes = list(engine.run(ask(30)))
    assert clock.elapsed_s == pytest.approx(3.0)
    assert told(outcomes) == [("budget", f"{TIME} (0.05 minutes) is over")] * 29


def test_a_back_off_is_over_with_the_time_of_the_run(make_engine, ask):
    """The provider asked to be left alone for longer than the run lasts."""
    clock = FakeClock()
    provider = ScriptedProvider(SLOW_DOWN)
    engine = make_engine(provider, clock=clock, concurrency=2, minutes=0.5)
    outcomes = list(engine.run(ask(5)))
    assert clock.elapsed_s == pytest.approx(30.0)
    assert {kind for kind, _ in told(outcomes)} == {"budget"}
    assert all(TIME in message for _, message in told(outcomes))


def test_answers_that_another_process_asks_for_are_over_with_the_time_of_the_run(make_engine, ask):
    """It may stand still for hours; this run ends, and names what it waited for."""
    hold = Held()
    other = make_engine(ScriptedProvider(hold), concurrency=3)
    theirs = other.ahead(ask(3))
    until(lambda: hold.seen == 3)
    clock = FakeClock()
    mine = make_engine(ScriptedProvider("billing"), run="run-2", clock=clock, minutes=1)
    clock.advance(61.0)
    outcomes = list(mine.run(ask(3)))
    assert {kind for kind, _ in told(outcomes)} == {"budget"}
    assert all("another process" in message for _, message in told(outcomes))
    assert mine.spend().failed == 3
    hold.released.set()
    assert sum(isinstance(one, Completion) for one in theirs) == 3


# -- a cap that is reached


def test_what_a_cap_refuses_does_not_go_through_the_pace(make_engine, ask):
    """Once the three calls of the budget are paid, the other 27 are refused in no time."""
    clock = FakeClock(patience_s=0.02)
    engine = make_engine(ScriptedProvider("billing"), clock=clock, rpm=60, concurrency=8, caps=Caps(calls=3))
    outcomes = list(engine.run(ask(30)))
    assert told(outcomes) == [("budget", f"this call {CAP}")] * 27
    assert clock.elapsed_s <= 3.0


def test_a_smaller_call_is_still_sent_after_a_larger_one_was_refused(make_engine, ask, models):
    """What is left is not enough for one, and is for the other."""
    small, large = ask(1), ask(1, messages=ask(1)[0].messages * 50)
    cap = worst_case(small[0], models["sim/small"]).usd * 1.01
    engine = make_engine(ScriptedProvider("billing"), caps=Caps(usd=cap))
    assert [kind for kind, _ in told(engine.run(large))] == ["budget"]
    assert not told(engine.run(small))


# -- a stop


def test_closing_does_not_wait_for_money_that_another_process_holds(make_engine, ask):
    """The other one's calls may take hours; nothing of this one is in flight."""
    hold, caps = Held(), Caps(calls=1)
    other = make_engine(ScriptedProvider(hold), caps=caps)
    theirs = other.ahead(ask(1))
    until(lambda: hold.seen == 1)
    provider = ScriptedProvider("billing")
    mine = make_engine(provider, caps=caps)
    outcomes = mine.ahead(ask(5)[1:])
    until(lambda: mine._budget._asking)
    closing = threading.Thread(target=outcomes.close)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert not provider.calls
    assert hold.seen == 1
    hold.released.set()
    assert sum(isinstance(one, Completion) for one in theirs) == 1


def test_a_call_that_waited_for_money_is_not_sent_after_the_stop(make_engine, ask, models):
    """The call in flight gives its money back when the run has ended already."""
    hold = Held()
    provider = ScriptedProvider(hold)
    cap = worst_case(ask(1)[0], models["sim/small"]).usd * 1.5
    engine = make_engine(provider, concurrency=2, caps=Caps(usd=cap))
    outcomes = engine.ahead(ask(2))
    until(lambda: hold.seen == 1)
    closing = threading.Thread(target=outcomes.close)
    closing.start()
    until(lambda: len(engine._dispatcher.under_way) == 1)
    hold.released.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert len(provider.calls) == 1


def test_who_asks_the_same_gets_the_answer_though_the_first_one_stops(make_engine, ask):
    """The call rests between two attempts when the one who asked first goes; the other still wants it."""
    clock = FakeClock(autojump=False)
    engine = make_engine(ScriptedProvider([SLOW_DOWN, "billing"]), clock=clock)
    first, second = engine.ahead(ask(1)), engine.ahead(ask(1))
    until(lambda: clock.sleepers == 1)
    closing = threading.Thread(target=first.close)
    closing.start()
    until(lambda: all(ticket.stream.stopped for ticket in engine._dispatcher.under_way.values()))
    clock.advance(120.0)
    assert [type(one) for one in second] == [Completion]
    closing.join(PATIENCE_S)


def test_what_was_stopped_between_two_attempts_is_no_failure_of_the_run(make_engine, ask, store):
    """Nothing is known of it: neither the store nor a resumed run takes it for one that failed."""
    clock = FakeClock(autojump=False)
    engine = make_engine(ScriptedProvider(SLOW_DOWN), clock=clock)
    outcomes = engine.ahead(ask(1))
    until(lambda: clock.sleepers == 1)
    outcomes.close()
    engine.close()
    assert not store.failures("run-1", [call_key(ask(1)[0], an_endpoint())])


# -- a provider that was given up


def test_who_rests_does_not_sleep_on_when_the_provider_was_given_up(make_engine, ask):
    """One call learns that the provider wants to be left alone for hours; another rests for a minute."""
    clock = FakeClock()

    async def answer(call):
        first = call.sample_id == "s0"
        await clock.sleep(1.0 if first else 5.0)
        if first:
            return SLOW_DOWN
        return ProviderFault("rate_limit", "come back tomorrow", retry_after_s=86400.0)

    engine = make_engine(ScriptedProvider(answer), clock=clock, concurrency=2)
    outcomes = list(engine.run(ask(2)))
    assert {kind for kind, _ in told(outcomes)} == {"down"}
    assert clock.elapsed_s == pytest.approx(5.0)
