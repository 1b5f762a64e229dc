"""What is held for a call bounds what it is billed, whatever is sent beside its messages."""

from __future__ import annotations

import asyncio

import pytest

from harness.calls.budget import Caps, worst_case
from harness.errors import UsageError
from harness.records import Completion
from harness.testing.builders import a_settings
from harness.testing.scripted import ScriptedProvider, as_reply

SCHEMA = {"type": "object", "properties": {f"part_{n}": {"description": "word " * 20} for n in range(9)}}
FORM = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


class Simulated:
    """A provider that charges schemas as a part of the prompt, after all calls have had time to be sent."""

    def __init__(self, billed):
        self.billed = billed

    async def __call__(self, call):
        """An answer, and its tokens on the bill."""
        await asyncio.sleep(0)
        reply = as_reply(call, "billing")
        self.billed += reply.usage.input_tokens + reply.usage.output_tokens
        return reply


def test_a_cap_holds_over_what_a_schema_is_billed(make_engine, ask, models):
    """Many calls in flight, each with a schema in its prompt that is longer than the question."""
    calls = ask(50, settings=a_settings(extra={"response_format": FORM}))
    worst = worst_case(calls[0], models["sim/small"])
    provider = Simulated(billed=0)
    engine = make_engine(ScriptedProvider(provider), caps=Caps(tokens=3 * worst.tokens), concurrency=50)
    answered = sum(isinstance(outcome, Completion) for outcome in engine.run(calls))
    assert 3 <= answered < 50
    assert engine.spend().calls == answered
    assert provider.billed <= 3 * worst.tokens


@pytest.mark.parametrize(
    "extra", [{"max_tokens": 8000}, {"model": "dearest"}, {"tools": [{"type": "search"}]}]
)
def test_nothing_is_sent_that_a_hold_does_not_know_of(make_engine, ask, extra):
    """Whoever made the call: it would ask for more, or for another model."""
    provider = ScriptedProvider("billing")
    engine = make_engine(provider)
    with pytest.raises(UsageError, match=f"the call for sample 's0' cannot be sent: {next(iter(extra))} "):
        list(engine.run(ask(3, settings=a_settings(extra=extra))))
    assert provider.calls == []
