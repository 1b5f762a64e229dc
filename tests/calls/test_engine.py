"""The engine: one outcome a call, paid once, durable before it is seen, and never a hang."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from harness.calls.engine import CHUNK, WINDOW
from harness.calls.keys import call_key, key_as_written
from harness.calls.provider import ProviderFault
from harness.records import Completion
from harness.store.answers import ANSWER_COLUMNS, PaidAnswer, Payment, answer_row
from harness.store.statements import Insert, insert
from harness.store.store import Store
from harness.testing.builders import AT, a_completion, a_settings, an_endpoint
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


# -- one outcome a call, paid once


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 2 * WINDOW + 7])
def test_every_call_gets_one_outcome(make_engine, ask, count):
    """However many calls there are, each comes back once."""
    provider = a_simulator()
    outcomes = list(make_engine(provider).run(iter(ask(count))))
    assert asked(outcomes) == asked(a_completion(call=call) for call in ask(count))
    assert all(isinstance(outcome, Completion) and not outcome.cached for outcome in outcomes)
    assert provider.requests == count


def test_an_answer_is_paid_once(make_engine, ask, store):
    """A second run finds the answers: list price and latency are kept, and the ledger is left alone."""
    first = {o.call.sample_id: o for o in make_engine(a_simulator(clock=FakeClock())).run(ask(20))}
    before = store.spent("run-1")
    provider = a_simulator()
    engine = make_engine(provider, run="run-2")
    for again in engine.run(ask(20)):
        paid = first[again.call.sample_id]
        assert again == replace(paid, cached=True)
        assert again.price_usd > 0
    assert provider.requests == 0
    assert store.spent("run-1") == before
    assert engine.spend().cached == 20
    assert engine.spend().saved_usd == pytest.approx(before.usd)


def test_a_slash_behind_an_address_pays_nothing_again(make_engine, ask, store):
    """It leads to the same place; and what an earlier version kept under the longer address is found too."""
    plain, slash = "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"
    list(make_engine(a_simulator(), api_base=plain).run(ask(20)))
    with store.database.begin() as connection:
        for call in ask(10):
            keys = (
                call_key(call, an_endpoint(api_base=plain)),
                key_as_written(call, an_endpoint(api_base=slash)),
            )
            connection.exec_driver_sql(
                "UPDATE answers SET key = '{1}', checksum = NULL WHERE key = '{0}'".format(*keys)
            )
    provider = a_simulator()
    again = list(make_engine(provider, run="run-2", api_base=slash).run(ask(20)))
    assert asked(again) == asked(a_completion(call=call) for call in ask(20))
    assert [(one.cached, one.reused) for one in again] == [(True, False)] * 20
    assert provider.requests == 0


def test_an_answer_is_durable_before_it_is_seen(make_engine, ask, store):
    """Whoever sees a paid answer could find it in the store, with its bill."""
    calls = ask(50)
    for outcome in make_engine(a_simulator()).run(calls):
        key = call_key(outcome.call, an_endpoint())
        assert store.answers([key])
    assert store.spent("run-1").calls == 50


def test_equal_calls_in_flight_share_one_request(make_engine, ask):
    """The twin of a call on its way is answered with it, marked cached, under its own name."""
    hold = Held()
    provider = ScriptedProvider(hold)
    (call,) = ask(1)
    twin = replace(call, sample_id="twin")
    engine = make_engine(provider)
    stream = engine.run([call, twin])
    threading.Thread(target=lambda: (until(lambda: provider.calls), hold.released.set())).start()
    outcomes = {outcome.call.sample_id: outcome for outcome in stream}
    assert len(provider.calls) == 1
    assert (outcomes["s0"].cached, outcomes["twin"].cached) == (False, True)
    assert outcomes["twin"].reply == outcomes["s0"].reply
    assert (engine.spend().calls, engine.spend().cached) == (1, 1)


def test_equal_calls_that_fail_both_fail(make_engine, ask):
    """A failure goes to everybody who asked."""
    (call,) = ask(1)
    script = [a_fault("bad_request")]
    outcomes = list(make_engine(ScriptedProvider(script)).run([call, replace(call, sample_id="twin")]))
    assert asked(outcomes) == ["s0", "twin"]
    assert all(outcome.kind == "bad_request" for outcome in outcomes)


def test_a_call_looked_up_too_early_is_not_paid_again(make_engine, ask, tmp_path, store):
    """An equal call may become durable between the look into the store and the sending."""
    provider = ScriptedProvider("billing")
    (call,) = ask(1)

    class Early(Store):
        """A store in which somebody else is faster, once."""

        def answers(self, keys):
            found = super().answers(keys)
            if not meanwhile:
                meanwhile.append(True)
                meanwhile.extend(engine.run([call]))
            return found

    meanwhile: list = []
    engine = make_engine(provider, store=Early(store.database))
    (late,) = engine.run([call])
    assert len(provider.calls) == 1
    assert late.cached
    assert late.reply == meanwhile[1].reply


def test_repeats_are_asked_separately(make_engine, ask):
    """Three repeats are three answers, or their spread would be nothing."""
    provider = ScriptedProvider(["a", "b", "c"])
    calls = [replace(call, repeat=repeat) for call in ask(1) for repeat in range(3)]
    assert {outcome.reply.text for outcome in make_engine(provider).run(calls)} == {"a", "b", "c"}


def test_asking_anew_replaces_what_was_known(make_engine, ask):
    """Without the cache every call is paid, and the new answer is the one found later."""
    list(make_engine(ScriptedProvider("old"), run="run-0").run(ask(3)))
    fresh = list(make_engine(ScriptedProvider("new"), use_cache=False).run(ask(3)))
    assert {(outcome.reply.text, outcome.cached) for outcome in fresh} == {("new", False)}
    later = make_engine(ScriptedProvider("unasked"), run="run-2").run(ask(3))
    assert {(outcome.reply.text, outcome.cached) for outcome in later} == {("new", True)}


def test_a_text_that_no_database_takes_is_mended_at_once(make_engine, ask):
    """The answer seen first is the answer found later, and nobody hangs on it."""
    (first,) = make_engine(ScriptedProvider("a\ud800\0b")).run(ask(1))
    (again,) = make_engine(ScriptedProvider("unasked")).run(ask(1))
    assert first.reply.text == again.reply.text == "a\ufffd\ufffdb"


# -- concurrency


@pytest.mark.parametrize("concurrency", [1, 7, 64])
def test_concurrency_is_reached_and_never_passed(make_engine, ask, concurrency):
    """So many calls are in flight at once as the endpoint allows."""
    provider = a_simulator(clock=(clock := FakeClock()))
    list(make_engine(provider, concurrency=concurrency, clock=clock).run(ask(200)))
    assert provider.peak_in_flight == concurrency
    assert provider.in_flight == 0


def test_each_model_has_its_own_line(make_engine, ask):
    """A slow model does not keep the others waiting."""
    provider = a_simulator(clock=(clock := FakeClock()))
    names = ("sim/small", "sim/medium", "sim/large")
    calls = [call for name in names for call in ask(40, settings=a_settings(model=name))]
    list(make_engine(provider, concurrency=5, clock=clock).run(calls))
    assert provider.peak_in_flight == 15


def test_two_threads_may_use_one_engine(make_engine, ask):
    """Each gets its own outcomes; what both ask is paid once; one loop serves them."""
    provider = a_simulator()
    engine = make_engine(provider)
    together, results = threading.Barrier(4), {}

    def run(name):
        together.wait()
        results[name] = list(engine.run(ask(300)))

    threads = [threading.Thread(target=run, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(results) == 4
    assert all(asked(outcomes) == asked(results[0]) for outcomes in results.values())
    assert provider.requests == 300
    assert (engine.spend().calls, engine.spend().cached) == (300, 900)
    assert sum(thread.name == "harness-calls" for thread in threading.enumerate()) == 1


def test_it_runs_inside_a_running_loop(make_engine, ask):
    """A notebook has a loop of its own; plain generators work there."""
    engine = make_engine(a_simulator())

    async def cell():
        return list(engine.run(ask(5)))

    assert len(asyncio.run(cell())) == 5


# -- memory


def test_thousands_of_known_answers_do_not_pile_up(make_engine, ask, store):
    """Calls are taken from their source only as outcomes are taken from the engine."""
    calls = ask(20_000)
    answer, latency = a_completion().reply, a_completion().latency

    def row(call):
        key = call_key(call, an_endpoint())
        bill = {
            "run": "r",
            "key": key,
            "purpose": "answer",
            "usd": 0.0,
            "input_tokens": 0,
            "output_tokens": 0,
        }
        return answer_row(
            PaidAnswer(
                model="sim/small",
                reply=answer,
                price_usd=0.0,
                latency=latency,
                payment=Payment(**bill, at=AT),
            )
        )

    with store.database.begin() as connection:
        insert(connection, Insert("answers", ANSWER_COLUMNS), [row(call) for call in calls])
    provider = a_simulator()
    assert most_ahead(make_engine(provider), calls) <= CHUNK
    assert provider.requests == 0


def test_calls_under_way_do_not_pile_up(make_engine, ask):
    """No more calls are queued than the window holds, however long the list."""
    assert most_ahead(make_engine(a_simulator()), ask(3000)) <= WINDOW + CHUNK


def most_ahead(engine, calls) -> int:
    """The most calls that were taken from the source and not yet answered."""
    taken, most = 0, 0

    def source():
        nonlocal taken
        for call in calls:
            taken += 1
            yield call

    for answered, _ in enumerate(engine.run(source())):
        most = max(most, taken - answered)
    return most
