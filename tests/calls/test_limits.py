"""The limits of a line: how many at once, how fast, and what happens when the provider is down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.limits import (
    CALM_S,
    DOWN_AFTER,
    FAULTS,
    FIRST_PROBE_S,
    LONGEST_PROBE_S,
    MINUTE_S,
    PRESSED,
    PROBES,
    SLOW,
    SLOW_ROW,
    UNREACHED_PROBES,
    Limiter,
)
from harness.calls.provider import ProviderFault
from harness.records import CallFailure, Completion
from harness.testing.builders import a_settings, an_endpoint
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider

EXACT = 1e-6  # what adding up seconds may be off by


def a_line(**changes) -> Limiter:
    """A line of an endpoint, with calls in flight."""
    line = Limiter(an_endpoint(**{"concurrency": 16, **changes}))
    line.in_flight = line.endpoint.concurrency
    return line


def fail(line, now=0.0, kind="overloaded", times=1):
    """So many failures at once."""
    for _ in range(times):
        line.on_fault(now, kind, f"a {kind}")


# -- how many at once


def test_a_line_begins_at_what_was_asked():
    """Nothing is lost to a slow start: the user knows how much the provider takes."""
    assert a_line(concurrency=16).most == 16


@pytest.mark.parametrize("kind", sorted(PRESSED))
def test_pressure_halves_the_line_once_a_calm_period(kind):
    """The answers to one burst are one piece of news; the next second brings another."""
    line = a_line()
    fail(line, 5.0, kind, times=5)
    assert line.limit == 8.0
    fail(line, 5.0 + 0.9 * CALM_S, kind)
    assert line.limit == 8.0
    fail(line, 5.0 + CALM_S, kind)
    assert line.limit == 4.0


@pytest.mark.parametrize("kind", ["connection", "timeout", "malformed", "bad_request", "quota"])
def test_other_faults_do_not_narrow_the_line(kind):
    """Fewer calls in flight would not mend them."""
    line = a_line()
    fail(line, 5.0, kind)
    assert line.limit == 16.0


def test_one_call_may_always_be_in_flight():
    """However often it was halved, the line does not close."""
    line = a_line()
    for second in range(20):
        fail(line, float(second), "rate_limit")
    assert line.most == 1


@pytest.mark.parametrize("limit", [2, 4, 8])
def test_a_window_of_answers_widens_the_line_by_one(limit):
    """Additive increase: as many answers as the line is wide make it wider by one, or a little less."""
    line = a_line()
    line.limit = float(limit)
    for _ in range(limit):
        line.on_answer(10.0, 0.1)
    assert limit + 0.8 <= line.limit <= limit + 1


@given(
    st.lists(st.sampled_from(["answer", "slow", "rate_limit", "overloaded", "timeout"]), max_size=200),
    st.integers(1, 64),
)
def test_the_line_is_never_wider_than_asked(events, concurrency):
    """Whatever happens, between one and what was asked may be in flight."""
    line = a_line(concurrency=concurrency)
    for number, event in enumerate(events):
        now = number * 0.3
        if event in ("answer", "slow"):
            line.on_answer(now, 0.1 if event == "answer" else 5.0)
        else:
            fail(line, now, event)
        assert 1 <= line.most <= concurrency


def test_a_collapse_of_latency_narrows_the_line():
    """Answers that all become slow say that the provider takes less than it is sent."""
    line = a_line()
    for number in range(100):
        line.on_answer(number * 0.1, 0.5)
    for _ in range(SLOW_ROW):
        assert line.limit == 16.0
        line.on_answer(20.0, 0.5 * SLOW * 1.5)
    assert line.limit == 8.0


def test_a_single_slow_answer_narrows_nothing():
    """Answers differ in length: one that takes long says nothing about the load."""
    line = a_line()
    for number in range(300):
        line.on_answer(number * 0.1, 0.5 if number % SLOW_ROW else 20.0)
    assert line.limit == 16.0


def test_slow_answers_narrow_nothing_when_nobody_else_was_in_flight():
    """A line of one cannot be what slows its provider down."""
    line = a_line()
    line.on_answer(0.0, 0.1)
    line.in_flight = 1
    for number in range(2 * SLOW_ROW):
        line.on_answer(float(number), 10.0)
    assert line.limit == 16.0


# -- how fast


def starts(line, tokens, now=0.0) -> list[float]:
    """When requests of so many tokens may go that all ask now."""
    return [now + line.wait_s(now, count) for count in tokens]


def test_requests_are_spaced_evenly():
    """120 a minute are one every half second, the first at once."""
    assert starts(a_line(rpm=120), [1] * 5) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


def test_a_place_that_nobody_took_is_not_made_up_for():
    """After a quiet while the next request goes at once, and the one behind it keeps its distance."""
    line = a_line(rpm=60)
    starts(line, [1, 1])
    assert starts(line, [1, 1], now=100.0) == pytest.approx([100.0, 101.0])


def test_tokens_are_spaced_evenly():
    """A request of a quarter of the minute's tokens keeps the line for a quarter of a minute."""
    assert starts(a_line(tpm=1000), [250] * 4) == pytest.approx([0.0, 15.0, 30.0, 45.0])


def test_no_minute_holds_one_request_too_many_for_its_tokens():
    """Two requests of 600 tokens would fit evenly into a minute of 1,000, but are 1,200."""
    assert starts(a_line(tpm=1000), [600] * 3) == pytest.approx([0.0, 60.0, 120.0])


def test_a_request_larger_than_the_limit_has_its_minutes_to_itself():
    """It cannot be sent otherwise, and is paid for by the wait behind it."""
    assert starts(a_line(tpm=1000), [100, 2500, 100]) == pytest.approx([0.0, 60.0, 210.0])


def test_without_limits_nobody_waits():
    """No pace was asked for."""
    assert starts(a_line(), [10**6] * 10) == [0.0] * 10


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 1000)), min_size=1, max_size=80),
    st.integers(1, 200),
    st.integers(1000, 20_000),
)
def test_no_window_of_a_minute_holds_more(requests, rpm, tpm):
    """Wherever a minute begins, at most `rpm` requests with at most `tpm` tokens are sent in it."""
    line, now, sent = a_line(rpm=rpm, tpm=tpm), 0.0, []
    for pause_s, tokens in requests:
        now += pause_s
        sent.append((now + line.wait_s(now, tokens), tokens))
    for first, _ in sent:
        window = [tokens for at, tokens in sent if first <= at < first + MINUTE_S - EXACT]
        assert len(window) <= rpm
        assert sum(window) <= tpm


def test_the_engine_keeps_the_pace(make_engine, ask):
    """On the run's clock, requests go out exactly as far apart as `rpm` asks."""
    clock, times = FakeClock(), []

    def answer(call):
        times.append(clock.monotonic())
        return "billing"

    list(make_engine(ScriptedProvider(answer), clock=clock, rpm=30, concurrency=8).run(ask(6)))
    assert times == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0, 10.0])


# -- a provider that is down


def down(**changes) -> Limiter:
    """A line whose provider counts as down since second 100."""
    line = a_line(**changes)
    fail(line, 100.0, "connection", times=DOWN_AFTER)
    return line


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_failures_in_a_row_mean_down(kind):
    """One fewer does not; then one call at a time is all that may be tried."""
    line = a_line()
    fail(line, 100.0, kind, times=DOWN_AFTER - 1)
    assert line.down_since is None
    fail(line, 100.0, kind)
    assert (line.down_since, line.most) == (100.0, 1)


@pytest.mark.parametrize("between", ["answer", "bad_request", "credentials", "filtered"])
def test_a_provider_that_answers_in_between_is_not_down(between):
    """Also a refusal is an answer."""
    line = a_line()
    for _ in range(3):
        fail(line, 100.0, times=DOWN_AFTER - 1)
        line.on_answer(100.0, 0.1) if between == "answer" else fail(line, 100.0, between)
    assert line.down_since is None


def test_a_provider_that_asks_to_slow_down_is_not_down():
    """429 is no failure of the provider, however often it comes."""
    line = a_line()
    fail(line, 100.0, "rate_limit", times=10 * DOWN_AFTER)
    assert line.down_since is None


def test_one_probe_at_a_time():
    """When the pause is over, the first who asks is the probe, and all others wait for what it brings."""
    line = down(timeout_s=20.0)
    probe_at = 100.0 + FIRST_PROBE_S
    assert line.pause_s(100.0) == FIRST_PROBE_S
    assert line.pause_s(probe_at) == 0.0
    assert all(line.pause_s(probe_at + second) > 0 for second in range(20))


def test_a_probe_that_was_never_sent_does_not_stop_the_others():
    """It may have been stopped by the cap: the next one goes when it would have timed out."""
    line = down(timeout_s=20.0)
    assert line.pause_s(101.0) == 0.0
    assert line.pause_s(121.0) == 0.0


@pytest.mark.parametrize(
    ("sign", "probes"), [("answer", PROBES), ("reset", PROBES), ("nothing", UNREACHED_PROBES)]
)
def test_pauses_between_probes_double_until_the_provider_is_given_up(sign, probes):
    """The message tells since when it is down and why; where nobody ever was, it is given up sooner.

    Who takes a request and then resets its connection is there.
    """
    line, now, pauses = down(), 100.0, []
    if sign == "answer":
        line.on_answer(now, 0.1)
        fail(line, now, times=DOWN_AFTER)
    elif sign == "reset":
        line.on_fault(now, "connection", "a reset", sent=True)
    while not line.given_up:
        asleep_s = now
        while (pause_s := line.pause_s(now)) > 0:
            assert pause_s <= FIRST_PROBE_S  # so that all hear of it soon when it is back
            now += pause_s
        pauses.append(now - asleep_s)
        fail(line, now, "connection")
    assert pauses == [min(LONGEST_PROBE_S, FIRST_PROBE_S * 2**n) for n in range(probes)]
    assert line.given_up == f"down since {sum(pauses):.0f} s: a connection"


def test_failures_of_requests_sent_before_do_not_count_as_probes():
    """Sixty calls that time out together are one outage."""
    line = down()
    fail(line, 100.5, "timeout", times=60)
    assert not line.given_up
    assert line.pause_s(100.0 + FIRST_PROBE_S) == 0.0


@pytest.mark.parametrize("sign", ["answer", "rate_limit", "bad_request"])
def test_a_sign_of_life_resets_everything(sign):
    """Afterwards it takes as many failures again, and pauses begin short."""
    line = down()
    for _ in range(3):
        line._probe_at = 200.0
        assert line.pause_s(200.0) == 0.0
        fail(line, 200.0)
    line.on_answer(300.0, 0.1) if sign == "answer" else fail(line, 300.0, sign)
    assert (line.down_since, line.pause_s(300.0)) == (None, 0.0)
    fail(line, 400.0, times=DOWN_AFTER - 1)
    assert line.down_since is None
    fail(line, 400.0)
    assert line.pause_s(400.0 + FIRST_PROBE_S) == 0.0


class Outage:
    """A provider that is down until a moment, and notes when it was asked and how many at once."""

    def __init__(self, clock, until_s):
        self.clock, self.until_s, self.times = clock, until_s, []

    def __call__(self, call):
        """A fault, or an answer when it is over."""
        self.times.append(self.clock.monotonic())
        if self.clock.monotonic() < self.until_s:
            return ProviderFault("overloaded", "refused")
        return "billing"


def test_a_provider_that_comes_back_answers_everything(make_engine, ask):
    """A pause costs time, not answers: while it lasts, probes go out one by one."""
    clock = FakeClock()
    outage = Outage(clock, until_s=20.0)
    engine = make_engine(ScriptedProvider(outage), clock=clock, concurrency=8, max_retries=30)
    outcomes = list(engine.run(ask(40)))
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    probes = [at for at in outage.times if 3.0 < at < 20.0]
    assert 1 <= len(probes) <= PROBES
    assert len(set(probes)) == len(probes)


def test_a_provider_that_stays_down_is_given_up(make_engine, ask):
    """All other calls fail as "down" with the cause, without a request of their own."""
    clock = FakeClock()
    provider = ScriptedProvider(ProviderFault("connection", "refused"))
    engine = make_engine(provider, clock=clock, concurrency=4, max_retries=50)
    outcomes = list(engine.run(ask(100)))
    assert {outcome.kind for outcome in outcomes} == {"down"}
    assert all(outcome.message.endswith("refused") for outcome in outcomes)
    assert len(provider.calls) <= DOWN_AFTER + 4 + PROBES
    elapsed_s, sent = clock.elapsed_s, len(provider.calls)
    (late,) = engine.run([*ask(101)][100:])
    assert (late.kind, late.attempts) == ("down", 0)
    assert (clock.elapsed_s, len(provider.calls)) == (elapsed_s, sent)


def test_one_provider_down_does_not_stop_another_model(make_engine, ask, models):
    """Each model has a line of its own."""
    clock = FakeClock()

    def answer(call):
        return ProviderFault("connection", "refused") if call.settings.model == "sim/small" else "billing"

    engine = make_engine(ScriptedProvider(answer), clock=clock, max_retries=50)
    small = ask(20)
    large = ask(20, settings=a_settings(model="sim/large"))
    kinds = [isinstance(outcome, Completion) for outcome in engine.run([*small, *large])]
    assert (kinds.count(True), kinds.count(False)) == (20, 20)


# -- limits and retries together


def test_a_rate_limit_is_no_failure(make_engine, ask):
    """A provider that takes ten requests a second, pressed by 64 calls, answers all but a few in the end."""
    clock, admitted = FakeClock(), []

    async def answer(call):
        await clock.sleep(0.05)
        now = clock.monotonic()
        recent = [at for at in admitted if at > now - 1.0]
        if len(recent) >= 10:
            return ProviderFault("rate_limit", "429", retry_after_s=recent[-10] + 1.0 - now)
        admitted.append(now)
        return "billing"

    outcomes = list(make_engine(ScriptedProvider(answer), clock=clock, concurrency=64).run(ask(300)))
    failed = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
    assert len(failed) <= 3
