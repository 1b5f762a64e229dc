"""Replies are taken in as ledger and store can bear them, also those of a user's own provider object."""

from __future__ import annotations

import math

import pytest

from harness.calls.budget import Caps, worst_case
from harness.calls.intake import taken_in
from harness.calls.provider import ProviderFault
from harness.records import CallFailure, Completion, Usage
from harness.testing.builders import a_reply
from harness.testing.scripted import ScriptedProvider
from harness.vectors import packed

PLAIN = Usage(input_tokens=10, output_tokens=2)
NO_COUNTS = (-1_000_000, 2**31, 10**20, 12.5, math.nan, math.inf, True, "many", [7])


@pytest.mark.parametrize("stated", NO_COUNTS)
def test_a_count_that_is_none_moves_no_cap_and_takes_no_answer_down(make_engine, ask, models, store, stated):
    """Its call is booked at its worst, as where nothing was stated; the bills of all others are their own."""
    odd = Usage(input_tokens=stated, output_tokens=stated)
    provider = ScriptedProvider(
        lambda call: a_reply(usage=odd if call.sample_id == "s3" else PLAIN, served_by="mine")
    )
    calls = ask(8)
    engine = make_engine(provider, concurrency=8, caps=Caps(usd=1.0))
    outcomes = {outcome.call.sample_id: outcome for outcome in engine.run(calls)}
    engine.close()
    assert all(isinstance(outcome, Completion) for outcome in outcomes.values())
    assert outcomes["s3"].reply.usage == Usage()
    worst = worst_case(calls[3], models[calls[3].settings.model])
    spent = store.spent("run-1")
    assert spent.calls == 8
    assert spent.input_tokens == 7 * 10 + worst.input_tokens
    assert spent.output_tokens == 7 * 2 + worst.output_tokens
    assert spent.usd == pytest.approx(7 * outcomes["s0"].price_usd + worst.usd)


@pytest.mark.parametrize(
    "wrong",
    [{"text": 7}, {"text": b"no"}, {"usage": {"input_tokens": 7}}, {"vectors": ([0.5],)}, {"served_by": 1}],
)
def test_what_is_no_reply_fails_its_own_call_alone(make_engine, ask, store, wrong):
    """It was sent, so its bill is booked; the answers of others come, and can be found again."""
    provider = ScriptedProvider(lambda call: a_reply(**(wrong if call.sample_id == "s3" else {})))
    engine = make_engine(provider, concurrency=8, max_retries=0)
    outcomes = {outcome.call.sample_id: outcome for outcome in engine.run(ask(8))}
    failed = outcomes.pop("s3")
    assert isinstance(failed, CallFailure)
    assert (failed.kind, failed.message.partition(":")[0]) == ("malformed", "unreadable answer")
    assert len(list(engine.stored(one.call for one in outcomes.values()))) == 7
    engine.close()
    assert store.spent("run-1").calls == 8


@pytest.mark.parametrize("stated", [-0.1, math.nan, math.inf])
def test_seconds_that_are_none_are_unknown(stated):
    """A database would hold them as another value, or not at all."""
    assert taken_in(a_reply(first_token_s=stated)).first_token_s is None


def test_one_odd_count_leaves_the_others():
    """What is stated well is kept."""
    odd = Usage(input_tokens=9, cached_input_tokens=-1, output_tokens=2, reasoning_tokens=2**40)
    assert taken_in(a_reply(usage=odd)).usage == Usage(input_tokens=9, output_tokens=2)


@pytest.mark.parametrize(
    ("text", "stated", "read"),
    [
        ("billing", (0, 0), (None, None)),
        ("billing", (0, 5), (None, None)),
        ("billing", (9, 0), (9, None)),
        ("", (9, 0), (9, 0)),
        (None, (9, 0), (9, 0)),
    ],
)
def test_a_zero_that_was_filled_in_is_not_free(text, stated, read):
    """No prompt has no tokens, and no text; an empty answer may have none."""
    usage = taken_in(a_reply(text=text, usage=Usage(input_tokens=stated[0], output_tokens=stated[1]))).usage
    assert (usage.input_tokens, usage.output_tokens) == read


def test_a_server_that_fills_in_zeros_reaches_the_cap(make_engine, ask, models, store):
    """Each call is booked at its worst: the cap holds, and no price of nothing is told."""
    calls = ask(8)
    worst = worst_case(calls[0], models[calls[0].settings.model]).usd
    provider = ScriptedProvider(lambda _: a_reply(usage=Usage(input_tokens=0, output_tokens=0)))
    engine = make_engine(provider, caps=Caps(usd=4.5 * worst))
    outcomes = list(engine.run(calls))
    engine.close()
    answers = [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    assert [one.price_usd for one in answers] == [None] * 4
    assert store.spent("run-1").usd == pytest.approx(4 * worst)


def test_a_fine_reply_is_not_copied():
    """Nothing is done to what is as it should be: this is on the way of every answer."""
    for reply in (a_reply(), a_reply(text=None, vectors=(packed([1.0]),), first_token_s=0.0)):
        assert taken_in(reply) is reply


def test_what_is_wrong_is_said():
    """Whoever wrote the provider reads what to do."""
    with pytest.raises(
        ProviderFault, match=r"vectors are not bytes; make them with harness\.vectors\.packed"
    ):
        taken_in(a_reply(vectors=([0.5, 0.5],)))
