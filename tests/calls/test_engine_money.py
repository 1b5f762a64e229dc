"""The engine with money and time: retries, limits of time, caps that hold, and what it tells afterwards."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.calls.budget import Caps, worst_case
from harness.calls.provider import RETRYABLE, ProviderFault
from harness.catalogue.models import Model, Prices
from harness.records import CallFailure, Completion
from harness.testing.builders import a_reply, a_settings, a_usage
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider, as_reply
from harness.testing.simulator import Simulator
from harness.testing.worlds import SimulatedModel, SimulatedPrompt, World

RUNS = itertools.count()
KINDS = ("rate_limit", "overloaded", "connection", "timeout", "malformed")
TERMINAL = ("quota", "credentials", "bad_request", "not_found", "too_long", "filtered")


def a_fault(kind="overloaded", **options) -> ProviderFault:
    """A fault of this kind."""
    return ProviderFault(kind, f"a {kind}", **options)


class Timed:
    """A provider function that notes when it was asked and answers as scripted."""

    def __init__(self, clock, *script):
        self.clock, self.script, self.times = clock, list(script), []

    def __call__(self, call):
        """The next of the script; its last one for ever."""
        self.times.append(self.clock.monotonic())
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


# -- retries


@pytest.mark.parametrize("kind", KINDS)
def test_a_passing_fault_is_tried_again(make_engine, ask, kind):
    """The answer counts, and its latency is that of the attempt that brought it."""
    clock = FakeClock()
    provider = ScriptedProvider([a_fault(kind), a_fault(kind), "billing"])
    (outcome,) = make_engine(provider, clock=clock).run(ask(1))
    assert isinstance(outcome, Completion)
    assert len(provider.calls) == 3
    assert outcome.latency.total_s == 0.0
    assert outcome.latency.queue_s == clock.elapsed_s > 0.0


@pytest.mark.parametrize("kind", TERMINAL)
def test_a_lasting_fault_is_not_tried_again(make_engine, ask, kind):
    """Waiting does not help, and asking again may cost."""
    provider = ScriptedProvider(a_fault(kind))
    (outcome,) = make_engine(provider, clock=FakeClock()).run(ask(1))
    assert (outcome.kind, outcome.message, outcome.attempts) == (kind, f"a {kind}", 1)
    assert not outcome.retryable


def test_the_kinds_above_are_all_that_a_provider_can_give():
    """A kind added later must be put on one of the two lists."""
    assert set(KINDS) == set(RETRYABLE)


@pytest.mark.parametrize("retries", [0, 1, 4, 2000])
def test_retries_are_counted(make_engine, ask, retries):
    """max_retries: further attempts after the first; 0 is honoured, and a large number does no harm."""
    provider = ScriptedProvider(a_fault(kind="rate_limit"))
    engine = make_engine(provider, clock=FakeClock(), max_retries=retries)
    (outcome,) = engine.run(ask(1))
    assert (outcome.kind, outcome.attempts, outcome.retryable) == ("rate_limit", retries + 1, True)
    assert len(provider.calls) == retries + 1
    assert (engine.spend().retries, engine.spend().failed) == (retries, 1)


@pytest.mark.parametrize("asked_s", [0.05, 7.0, 60.0])
def test_retry_after_is_honoured(make_engine, ask, asked_s):
    """No request goes out earlier than the provider asked for."""
    clock = FakeClock()
    timed = Timed(clock, a_fault("rate_limit", retry_after_s=asked_s), "billing")
    list(make_engine(ScriptedProvider(timed), clock=clock).run(ask(1)))
    first, second = timed.times
    assert second - first >= asked_s


def test_an_attempt_that_takes_too_long_is_ended(make_engine, ask, models):
    """The limit counts for each attempt, by the run's clock; the request may have been billed."""
    clock = FakeClock()
    cancelled = []

    async def hang(call):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(call)
            raise

    engine = make_engine(ScriptedProvider(hang), clock=clock, timeout_s=90.0, max_retries=1)
    (outcome,) = engine.run(ask(1))
    assert (outcome.kind, outcome.attempts) == ("timeout", 2)
    assert "90 s" in outcome.message
    assert len(cancelled) == 2
    assert 180.0 <= clock.elapsed_s < 182.0
    worst = worst_case(ask(1)[0], models["sim/small"])
    assert engine.spend().usd == pytest.approx(2 * worst.usd)
    assert engine.spend().calls == 2


def test_a_call_that_hangs_holds_no_other_up(make_engine, ask):
    """The others go on, each with a limit of its own."""
    clock = FakeClock()

    async def answer(call):
        await clock.sleep(1000.0 if call.sample_id == "s3" else 30.0)
        return "billing"

    engine = make_engine(ScriptedProvider(answer), clock=clock, concurrency=2, timeout_s=60.0, max_retries=0)
    outcomes = {outcome.call.sample_id: outcome for outcome in engine.run(ask(10))}
    assert outcomes.pop("s3").kind == "timeout"
    assert all(outcome.latency.total_s == 30.0 for outcome in outcomes.values())


def test_a_limit_of_real_time_works_too(make_engine, ask):
    """The system clock ends an attempt as the fake one does."""

    async def hang(_):
        await asyncio.Event().wait()

    engine = make_engine(ScriptedProvider(hang), timeout_s=0.01, max_retries=0)
    assert [outcome.kind for outcome in engine.run(ask(3))] == ["timeout"] * 3


def test_a_clock_does_not_run_on_when_nothing_is_under_way(make_engine, ask):
    """Watching over time-outs makes a fake clock jump only while somebody waits."""
    clock = FakeClock()
    engine = make_engine(ScriptedProvider("billing"), clock=clock)
    for _ in range(5):
        list(engine.run(ask(20)))
    assert clock.elapsed_s == 0.0


# -- caps


def a_world(prices) -> World:
    """One model at these prices."""
    return World(
        models={"sim/small": SimulatedModel(ability=2.0, prices=prices)},
        prompts={"plain": SimulatedPrompt(max_words=30)},
        targets={f"s{number}": "yes" for number in range(100)},
    )


def a_model(prices) -> Model:
    """That model in the catalogue."""
    return Model(provider="sim", name="small", model_class="SMALL", prices=prices, max_output_tokens=64)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_cap_is_ever_passed(make_engine, ask, data):
    """Whatever the prices, the concurrency and the faults: what the provider bills stays within the caps."""
    price = st.floats(0.0, 100.0)
    prices = Prices(input=data.draw(price), output=data.draw(price))
    faults = data.draw(
        st.lists(st.sampled_from([None, None, "overloaded", "malformed", "timeout"]), min_size=1, max_size=9)
    )
    caps = Caps(
        usd=data.draw(st.none() | st.floats(0.0, 0.05)),
        calls=data.draw(st.none() | st.integers(0, 30)),
        tokens=data.draw(st.none() | st.integers(0, 4000)),
    )
    run = f"run-{next(RUNS)}"

    def fault(call, attempt):
        kind = faults[(int(call.sample_id[1:]) + attempt) % len(faults)]
        return None if kind is None else a_fault(kind, billed=kind != "overloaded")

    clock = FakeClock()
    provider = Simulator(a_world(prices), clock=clock, faults=fault)
    engine = make_engine(
        provider,
        run=run,
        models={"sim/small": a_model(prices)},
        caps=caps,
        clock=clock,
        concurrency=data.draw(st.integers(1, 9)),
        max_retries=2,
        use_cache=False,
    )
    outcomes = list(engine.run(ask(data.draw(st.integers(1, 25)))))
    engine.close()
    spent = engine.spend()
    assert len({outcome.call.sample_id for outcome in outcomes}) == len(outcomes)
    assert provider.bill_usd <= spent.usd + 1e-9
    assert caps.usd is None or spent.usd <= caps.usd
    assert caps.calls is None or spent.calls <= caps.calls
    assert caps.tokens is None or spent.input_tokens + spent.output_tokens <= caps.tokens
    assert engine._budget._open == 0
    stored = engine._store.spent(run)
    assert stored.usd == pytest.approx(spent.usd)
    assert (stored.calls, stored.input_tokens) == (spent.calls, spent.input_tokens)


def test_holds_that_are_released_let_others_through(make_engine, ask, models):
    """A cap with room for one worst case at a time still lets many cheap calls through."""
    worst = worst_case(ask(1)[0], models["sim/small"])
    reply = a_reply(usage=a_usage(input_tokens=5, output_tokens=1))
    engine = make_engine(ScriptedProvider(reply), caps=Caps(usd=worst.usd * 1.5), concurrency=8)
    outcomes = list(engine.run(ask(8)))
    assert all(isinstance(outcome, Completion) for outcome in outcomes)


def test_a_call_beyond_the_cap_is_not_sent(make_engine, ask):
    """It comes back as a failure of kind "budget" with no attempt, and so do all that follow."""
    provider = ScriptedProvider("billing")
    engine = make_engine(provider, caps=Caps(calls=3))
    outcomes = list(engine.run(ask(10)))
    refused = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
    assert len(provider.calls) == 3
    assert [(f.kind, f.attempts, f.retryable) for f in refused] == [("budget", 0, False)] * 7


def test_a_cached_answer_needs_no_budget(make_engine, ask):
    """What is known is free, also when everything is spent."""
    list(make_engine(ScriptedProvider("billing")).run(ask(5)))
    outcomes = list(make_engine(ScriptedProvider("unasked"), run="run-2", caps=Caps(usd=0.0)).run(ask(5)))
    assert all(outcome.cached for outcome in outcomes)


def test_a_resumed_run_goes_on_with_its_bill(make_engine, ask):
    """The cap is of the run, not of the process."""
    list(make_engine(ScriptedProvider("billing"), caps=Caps(calls=5)).run(ask(3)))
    provider = ScriptedProvider("billing")
    list(make_engine(provider, caps=Caps(calls=5)).run(ask(10)))
    assert len(provider.calls) == 2
    other = ScriptedProvider("billing")
    list(make_engine(other, run="run-2", caps=Caps(calls=5)).run(ask(20)))
    assert len(other.calls) == 5


def test_minutes_are_a_cap_too(make_engine, ask):
    """Nothing is sent after the time is over; what is in flight then is waited for."""
    clock = FakeClock()

    async def slow(_):
        await clock.sleep(25.0)
        return "billing"

    provider = ScriptedProvider(slow)
    engine = make_engine(provider, clock=clock, concurrency=2, minutes=1)
    outcomes = list(engine.run(ask(20)))
    assert len(provider.calls) == 6
    assert sum(isinstance(outcome, Completion) for outcome in outcomes) == 6


def test_an_unstated_bill_is_booked_at_its_worst(make_engine, ask, models, store):
    """The price of the answer is unknown, and the ledger assumes the worst in dollars and in tokens."""
    worst = worst_case(ask(1)[0], models["sim/small"])
    reply = a_reply(usage=a_usage(input_tokens=None, output_tokens=None))
    engine = make_engine(ScriptedProvider(reply))
    (outcome,) = engine.run(ask(1))
    assert outcome.price_usd is None
    for spent in (engine.spend(), store.spent("run-1")):
        assert spent.usd == worst.usd
        assert (spent.input_tokens, spent.output_tokens) == (worst.input_tokens, worst.output_tokens)


@pytest.mark.parametrize("billed", [False, True])
def test_a_fault_is_booked_only_when_it_may_have_been_billed(make_engine, ask, billed):
    """A broken answer may cost; a refusal does not."""
    provider = ScriptedProvider([a_fault(billed=billed), "billing"])
    engine = make_engine(provider, clock=FakeClock())
    list(engine.run(ask(1)))
    assert engine.spend().calls == 1 + billed


def test_faults_of_a_free_model_count_as_calls(make_engine, ask):
    """A cap on calls holds for models that cost nothing, too."""
    provider = ScriptedProvider(a_fault("malformed", billed=True))
    free = {"sim/small": a_model(Prices(input=0, output=0))}
    engine = make_engine(provider, models=free, clock=FakeClock(), caps=Caps(calls=7))
    list(engine.run(ask(5)))
    assert len(provider.calls) == 7
    assert engine.spend().usd == 0.0


# -- what it tells


def test_spend_says_what_the_run_cost(make_engine, ask):
    """Paid, cached, failed, saved and capped, each under its name."""
    list(make_engine(ScriptedProvider("billing"), run="before").run(ask(4)))

    def answer(call):
        return a_fault("bad_request") if call.sample_id == "s9" else as_reply(call, "billing")

    caps = Caps(usd=1.0, calls=100)
    engine = make_engine(ScriptedProvider(answer), caps=caps)
    outcomes = list(engine.run(ask(10)))
    paid = [o for o in outcomes if isinstance(o, Completion) and not o.cached]
    spent = engine.spend()
    assert (spent.calls, spent.cached, spent.failed) == (5, 4, 1)
    assert spent.usd == pytest.approx(sum(outcome.price_usd for outcome in paid))
    assert spent.saved_usd == pytest.approx(sum(o.price_usd for o in outcomes if getattr(o, "cached", False)))
    assert spent.output_tokens == sum(outcome.reply.usage.output_tokens for outcome in paid)
    assert (spent.cap_usd, spent.cap_calls) == (1.0, 100)


def test_recall_gives_what_is_known_in_order_and_sends_nothing(make_engine, ask):
    """Answers and failures of this run, in the order of the calls; what was never asked is left out."""

    def answer(call):
        return a_fault("filtered") if call.sample_id == "s2" else "billing"

    calls = ask(200)
    engine = make_engine(ScriptedProvider(answer))
    list(engine.run(calls[:150]))
    engine.close()
    provider = ScriptedProvider("unasked")
    recalled = list(make_engine(provider).recall(reversed(calls)))
    assert [outcome.call for outcome in recalled] == calls[149::-1]
    assert recalled[-3] == CallFailure(
        call=calls[2], kind="filtered", message="a filtered", attempts=1, retryable=False
    )
    assert all(outcome.cached for outcome in recalled if isinstance(outcome, Completion))
    assert provider.calls == []
    strangers = list(make_engine(provider, run="run-2").recall(calls))
    assert len(strangers) == 149


def test_recall_prefers_an_answer_to_an_older_failure(make_engine, ask):
    """A resumed run asks again what failed; the answer is what counts then."""
    script = [a_fault("bad_request"), "billing"]
    provider = ScriptedProvider(script)
    engine = make_engine(provider)
    list(engine.run(ask(1)))
    list(engine.run(ask(1)))
    (outcome,) = engine.recall(ask(1))
    assert isinstance(outcome, Completion)


def test_settings_read_back_from_the_store_find_their_answers(make_engine, ask):
    """A whole number in a spec comes back as a decimal one; it is the same question all the same."""
    list(make_engine(ScriptedProvider("billing")).run(ask(1, settings=a_settings(temperature=1))))
    again = make_engine(ScriptedProvider("unasked")).recall(ask(1, settings=a_settings(temperature=1.0)))
    assert len(list(again)) == 1


def test_a_failure_with_a_text_no_database_takes_is_kept(make_engine, ask):
    """Providers echo what they like in their messages."""
    fault = ProviderFault("bad_request", "refused \ud800\0")
    engine = make_engine(ScriptedProvider(fault))
    list(engine.run(ask(1)))
    engine.close()
    (outcome,) = make_engine(ScriptedProvider("unasked")).recall(ask(1))
    assert outcome.message == "refused \ufffd\ufffd"


def test_twins_far_apart_are_one_request(make_engine, ask):
    """The second of two equal calls of one list finds the first in flight, just answered, or in the store."""
    calls = ask(600)
    twins = [replace(call, sample_id=f"twin of {call.sample_id}") for call in calls]
    provider = ScriptedProvider("billing")
    outcomes = list(make_engine(provider).run([*calls, *twins]))
    assert len(outcomes) == 1200
    assert len(provider.calls) == 600
