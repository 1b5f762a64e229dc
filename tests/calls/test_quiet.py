"""A provider that asks to wait for longer than one call does: its line waits, or it is given up."""

from __future__ import annotations

import pytest

from harness.calls.limits import FIRST_PROBE_S, LONGEST_QUIET_S, Limiter
from harness.calls.provider import ProviderFault
from harness.calls.waiting import LONGEST_ASK_S
from harness.records import CallFailure, Completion
from harness.testing.builders import a_settings, an_endpoint
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider


def asked(line: Limiter, now: float, asked_s: float, kind="rate_limit") -> Limiter:
    """The line after a request that was refused in this way."""
    line.on_fault(now, kind, "slow down", asked_s)
    return line


def a_line() -> Limiter:
    """A line with sixteen calls in flight."""
    line = Limiter(an_endpoint(concurrency=16, timeout_s=20.0))
    line.in_flight = 16
    return line


@pytest.mark.parametrize("kind", ["rate_limit", "overloaded"])
def test_nothing_goes_out_before_the_time_is_over(kind):
    """Then one request at a time, until one is answered."""
    line = asked(a_line(), 100.0, 90.0, kind)
    assert all(line.pause_s(100.0 + second) > 0 for second in range(90))
    assert line.pause_s(190.0) == 0.0
    assert all(line.pause_s(190.0 + second) > 0 for second in range(20))
    assert line.most == 1
    line.on_answer(191.0, 1.0)
    assert (line.pause_s(191.0), line.most) == (0.0, 8)


def test_the_latest_moment_holds():
    """Of those that were in flight together, each is told when to come back."""
    line = asked(asked(asked(a_line(), 100.0, 90.0), 101.0, 90.0), 102.0, 61.0)
    assert line.pause_s(190.9) > 0
    assert line.pause_s(191.0) == 0.0


@pytest.mark.parametrize("sign", ["answer", "bad_request", "rate_limit"])
def test_answers_to_earlier_requests_do_not_end_it(sign):
    """They were sent before the provider asked for quiet."""
    line = asked(a_line(), 100.0, 90.0)
    line.on_answer(101.0, 1.0) if sign == "answer" else line.on_fault(101.0, sign, "no")
    assert line.pause_s(189.0) == FIRST_PROBE_S


def test_what_a_call_waits_by_itself_holds_nobody_up():
    """A refused call rests where it is; the others may go."""
    assert asked(a_line(), 100.0, LONGEST_ASK_S).pause_s(100.0) == 0.0


class Limited:
    """A provider that refuses all until a moment, asking for the same wait, and notes when it was asked."""

    def __init__(self, clock, until_s, asked_s, model=None):
        self.clock, self.until_s, self.asked_s, self.model = clock, until_s, asked_s, model
        self.times = []

    def __call__(self, call):
        """A fault, or an answer when it is over."""
        if self.model not in (None, call.settings.model):
            return "billing"
        self.times.append(self.clock.elapsed_s)
        if self.clock.elapsed_s < self.until_s:
            return ProviderFault("rate_limit", "slow down", retry_after_s=self.asked_s)
        return "billing"


@pytest.mark.parametrize("asked_s", [61.0, 90.0, 600.0])
def test_a_limit_of_minutes_is_no_failure(make_engine, ask, asked_s):
    """A provider that was busy for three seconds answers everything, a few refused requests later."""
    clock = FakeClock()
    limited = Limited(clock, until_s=3.0, asked_s=asked_s)
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=16)
    outcomes = list(engine.run(ask(200)))
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    early = [at for at in limited.times if at < asked_s]
    assert len(early) <= 16
    assert max(early) < 3.0
    assert clock.elapsed_s < asked_s + 10.0


def test_a_limit_that_lasts_uses_up_nobodys_retries(make_engine, ask):
    """Each refused call goes behind those that wait; some minutes later all are answered."""
    clock = FakeClock()
    limited = Limited(clock, until_s=400.0, asked_s=70.0)
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=4, max_retries=2)
    outcomes = list(engine.run(ask(40)))
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert len(limited.times) - 40 <= 4 + 400 / 70


@pytest.mark.parametrize("asked_s", [601.0, 3600.0, 1e9])
def test_a_provider_that_asks_for_longer_than_a_run_waits_is_given_up(make_engine, ask, asked_s):
    """One cause for all, at once, without further requests."""
    clock = FakeClock()
    limited = Limited(clock, until_s=1e12, asked_s=asked_s)
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=4)
    outcomes = list(engine.run(ask(2000)))
    assert {(outcome.kind, outcome.message) for outcome in outcomes} == {
        ("down", f"asked to wait {asked_s:.0f} s, and a run waits 600 s at most: slow down")
    }
    assert len(limited.times) <= 4
    assert clock.elapsed_s <= 1.0


def test_a_provider_that_asks_again_and_again_is_given_up(make_engine, ask):
    """All end with one cause, and none because its own retries are used up."""
    clock = FakeClock()
    limited = Limited(clock, until_s=1e12, asked_s=90.0)
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=4)
    outcomes = list(engine.run(ask(100)))
    assert {outcome.kind for outcome in outcomes} == {"down"}
    assert outcomes[0].message.startswith("asked to wait again and again, for ")
    assert LONGEST_QUIET_S < clock.elapsed_s < LONGEST_QUIET_S + 120.0
    assert len(limited.times) <= 4 + LONGEST_QUIET_S / 90.0 + 1


def test_one_model_that_waits_does_not_hold_up_another(make_engine, ask):
    """Each model has a line of its own: the other one is through while the first still waits."""
    clock = FakeClock()
    limited = Limited(clock, until_s=1e12, asked_s=3600.0, model="sim/small")
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=4)
    calls = [*ask(20), *ask(20, settings=a_settings(model="sim/large"))]
    kinds = [getattr(outcome, "kind", "answered") for outcome in engine.run(calls)]
    assert (kinds.count("down"), kinds.count("answered")) == (20, 20)


def test_without_retries_a_refused_call_fails_and_the_line_waits_all_the_same(make_engine, ask):
    """`max_retries: 0` is honoured, and the others are not sent to be refused."""
    clock = FakeClock()
    limited = Limited(clock, until_s=3.0, asked_s=90.0)
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=2, max_retries=0)
    outcomes = list(engine.run(ask(50)))
    failed = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
    assert [outcome.kind for outcome in failed] == ["rate_limit"] * len(failed)
    assert len(failed) <= 2


@pytest.mark.parametrize("asked_s", [50.0, 90.0])
def test_the_time_of_the_run_bounds_every_wait(make_engine, ask, asked_s):
    """`budget.minutes` is up before the provider wants to be asked again: nothing waits beyond it."""
    clock = FakeClock()
    limited = Limited(clock, until_s=1e12, asked_s=asked_s)
    engine = make_engine(ScriptedProvider(limited), clock=clock, concurrency=2, minutes=0.5)
    outcomes = list(engine.run(ask(10)))
    assert {outcome.kind for outcome in outcomes} == {"budget"}
    assert clock.elapsed_s == pytest.approx(30.0)
