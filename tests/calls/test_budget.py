"""The cap: what is spent and held never passes it, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.budget import Budget, Caps, Hold, price_of, worst_case
from harness.catalogue.models import Model, Prices
from harness.findings import Paid, Spend
from harness.records import Message, Reply, Usage
from harness.testing.builders import a_call, a_reply, a_settings, a_usage
from harness.testing.fake_clock import FakeClock
from harness.testing.tokens import count_call_tokens

ONE = Hold(1.0, 6, 4)


def a_model(**changes) -> Model:
    """A model of one dollar per million tokens in, and ten out."""
    model = Model(provider="sim", name="small", model_class="SMALL", prices=Prices(input=1.0, output=10.0))
    return replace(model, **changes)


def a_budget(spent=None, **caps) -> Budget:
    """A budget with these caps."""
    return Budget(Caps(**caps), spent or Spend(), FakeClock())


async def granted(budget, *holds) -> int:
    """How many of these are granted without waiting."""
    tasks = [asyncio.ensure_future(budget.hold(hold)) for hold in holds]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    count = sum(task.done() and task.result() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return count


@pytest.mark.parametrize(
    ("caps", "count"),
    [
        ({}, 5),
        ({"usd": 3.0}, 3),
        ({"usd": 3.5}, 3),
        ({"usd": 0.5}, 0),
        ({"calls": 2}, 2),
        ({"calls": 0}, 0),
        ({"tokens": 39}, 3),
        ({"tokens": 40}, 4),
        ({"usd": 4.0, "calls": 3, "tokens": 20}, 2),
    ],
)
def test_as_many_are_held_as_the_caps_allow(caps, count):
    """The narrowest cap decides; reaching a cap exactly is allowed."""
    assert asyncio.run(granted(a_budget(**caps), *[ONE] * 5)) == count


def test_what_was_spent_before_counts():
    """A resumed run begins with its bill."""
    spent = Spend(usd=2.0, calls=1, input_tokens=10, output_tokens=10)
    assert asyncio.run(granted(a_budget(spent, usd=4.0), *[ONE] * 5)) == 2
    assert asyncio.run(granted(a_budget(spent, calls=4), *[ONE] * 5)) == 3
    assert asyncio.run(granted(a_budget(spent, tokens=30), *[ONE] * 5)) == 1


def test_a_settled_hold_makes_room_for_others():
    """A bill is mostly lower than the worst case, and whoever waits goes on at once."""

    async def act():
        budget = a_budget(usd=1.5)
        assert await budget.hold(ONE)
        waiting = [asyncio.ensure_future(budget.hold(ONE)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        budget.settle(ONE, 0.25, 3, 1)
        assert await waiting[0]
        budget.release(ONE)
        assert await waiting[1]
        budget.settle(ONE, 0.75, 6, 4)
        assert not await budget.hold(ONE)
        return budget.spent

    paid = Paid(usd=1.0, calls=2, input_tokens=9, output_tokens=5)
    whole = Spend(usd=1.0, calls=2, input_tokens=9, output_tokens=5, by_purpose={"answer": paid})
    assert asyncio.run(act()) == whole


def test_what_judges_cost_is_a_part_of_the_whole():
    """The cap is one for all; the parts by purpose add up to it."""

    async def act():
        budget = a_budget(Spend(usd=0.5, calls=1, by_purpose={"judge": Paid(usd=0.5, calls=1)}), usd=3.0)
        for purpose in ("answer", "judge"):
            assert await budget.hold(ONE)
            budget.settle(ONE, 0.25, 3, 1, purpose)
        return budget.spent

    spent = asyncio.run(act())
    assert (spent.usd, spent.calls) == (1.0, 3)
    assert spent.by_purpose["judge"] == Paid(usd=0.75, calls=2, input_tokens=3, output_tokens=1)
    assert spent.by_purpose["answer"].usd == 0.25


def test_a_small_call_passes_a_large_one_that_waits():
    """Room that is too small for one is used by another."""

    async def act():
        budget = a_budget(usd=2.0)
        assert await budget.hold(ONE)
        large = asyncio.ensure_future(budget.hold(Hold(2.0, 0, 0)))
        await asyncio.sleep(0)
        assert await budget.hold(ONE)
        budget.release(ONE)
        budget.release(ONE)
        return await large

    assert asyncio.run(act())


def test_rounding_leaves_no_crumb():
    """Thousands of holds that came and went leave exactly nothing behind."""

    async def act():
        budget = a_budget(usd=0.3)
        odd = [Hold(0.1, 1, 1), Hold(0.07, 1, 1), Hold(0.013, 1, 1)]
        for _ in range(1000):
            for hold in odd:
                assert await budget.hold(hold)
            for hold in odd:
                budget.release(hold)
        return await budget.hold(Hold(0.3, 0, 0))

    assert asyncio.run(act())


@given(
    cap=st.floats(0.0, 5.0),
    worsts=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=12),
    shares=st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12),
)
def test_everybody_gets_an_answer_and_the_cap_holds(cap, worsts, shares):
    """Any mixture of holds and bills: nobody waits for ever, and the bill stays below the cap."""

    async def one(budget, worst, share):
        if not await budget.hold(Hold(worst, 1, 1)):
            return False
        await asyncio.sleep(0)
        budget.settle(Hold(worst, 1, 1), worst * share, 1, 0)
        return True

    async def act():
        budget = a_budget(usd=cap)
        work = [one(budget, worst, share) for worst, share in zip(worsts, shares, strict=False)]
        granted = await asyncio.wait_for(asyncio.gather(*work), 30)
        return budget, granted

    budget, granted_all = asyncio.run(act())
    assert budget.spent.usd <= cap
    assert budget.spent.calls == sum(granted_all)


# -- the worst case


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4), st.integers(1, 500))
def test_the_worst_case_covers_every_bill(texts, limit):
    """Bytes bound the tokens of any tokenizer, words of the simulator among them."""
    call = a_call(
        messages=tuple(Message("user", text) for text in texts),
        settings=a_settings(max_output_tokens=limit),
    )
    worst = worst_case(call, a_model())
    usage = a_usage(input_tokens=count_call_tokens(call), output_tokens=limit)
    assert usage.input_tokens <= worst.input_tokens
    assert worst.input_tokens >= sum(len(text.encode()) for text in texts)
    assert price_of(a_reply(usage=usage), a_model()) <= worst.usd


@pytest.mark.parametrize(
    ("asked", "model", "tokens"),
    [
        (64, a_model(max_output_tokens=1000, context_tokens=8000), 64),
        (None, a_model(max_output_tokens=1000, context_tokens=8000), 1000),
        (None, a_model(context_tokens=8000), 8000),
    ],
)
def test_output_is_bounded_by_what_was_asked_for_else_by_the_model(asked, model, tokens):
    """A call without a limit may fill all that the model can give."""
    call = a_call(settings=a_settings(max_output_tokens=asked))
    assert worst_case(call, model).output_tokens == tokens


SCHEMA = {"type": "object", "properties": {"label": {"type": "string", "description": "word " * 200}}}


@pytest.mark.parametrize("name", ["response_format", "tools", "documents"])
def test_what_is_sent_beside_the_messages_is_held_too(name):
    """A schema or a tool is written into the prompt, and billed with it."""
    call = a_call(settings=a_settings(extra={name: [SCHEMA]}))
    assert worst_case(call, a_model()).input_tokens >= worst_case(a_call(), a_model()).input_tokens + 1000


def test_texts_to_embed_are_counted():
    """An embedding call has no messages."""
    call = a_call(messages=(), texts=("x" * 1000, "ü" * 500))
    assert worst_case(call, a_model()).input_tokens >= 2000


def test_a_text_with_half_a_surrogate_pair_is_counted():
    """Whatever Python holds has a worst case."""
    call = a_call(messages=(Message("user", "\ud800" * 10),))
    assert worst_case(call, a_model()).input_tokens >= 30


@pytest.mark.parametrize(
    ("prices", "usage", "price"),
    [
        (Prices(input=1.0, output=10.0), a_usage(input_tokens=1000, output_tokens=100), 0.002),
        (Prices(input=1.0, output=10.0), Usage(), None),
        (Prices(input=1.0, output=10.0), Usage(input_tokens=5), None),
        (Prices(input=1.0, output=10.0), Usage(output_tokens=5), None),
        (Prices(input=0, output=0), Usage(), 0.0),
        (None, Usage(), 0.0),
    ],
)
def test_a_price_is_known_only_with_both_counts(prices, usage, price):
    """Unknown is not zero, unless the model is free."""
    assert price_of(Reply(usage=usage), a_model(prices=prices)) == price
