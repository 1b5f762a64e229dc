"""ScriptedProvider: answers as told, remembers the calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.calls.provider import Provider, ProviderFault
from harness.errors import UsageError
from harness.records import Call, Reply
from harness.testing.builders import a_call, a_reply
from harness.testing.contracts import ProviderContract
from harness.testing.scripted import ScriptedProvider


def complete(provider: Provider, *numbers: int) -> list[Reply]:
    """Replies to calls of these repeats, one after another."""

    async def run() -> list[Reply]:
        return [await provider.complete(a_call(repeat=n)) for n in numbers]

    return asyncio.run(run())


class TestScriptedKeepsTheContract(ProviderContract):
    """A scripted provider is a provider."""

    def make_provider(self) -> Provider:
        """A fresh one."""
        return ScriptedProvider("billing")

    def make_faulty_provider(self) -> Provider:
        """Always overloaded."""
        return ScriptedProvider(ProviderFault("overloaded", "503"))

    def requests_sent(self, provider: Any) -> int:
        """It counts by itself."""
        return len(provider.calls)


def test_a_function_of_the_call_decides() -> None:
    """The function sees each call, and the calls are kept in order."""
    provider = ScriptedProvider(lambda call: f"repeat {call.repeat}")
    replies = complete(provider, 2, 0)
    assert [reply.text for reply in replies] == ["repeat 2", "repeat 0"]
    assert [call.repeat for call in provider.calls] == [2, 0]


def test_an_async_function_can_hold_a_call_back() -> None:
    """An answer may be awaited, so that a test decides when it comes."""

    async def main() -> Reply:
        gate = asyncio.Event()

        async def answer(call: Call) -> str:
            await gate.wait()
            return "late"

        task = asyncio.ensure_future(ScriptedProvider(answer).complete(a_call()))
        await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        return await task

    assert asyncio.run(main()).text == "late"


def test_a_sequence_is_used_up_in_order() -> None:
    """Texts, replies and faults may be mixed; after the last one the test is told."""
    provider = ScriptedProvider(["yes", a_reply(text="no"), ProviderFault("quota", "no credit")])
    assert [reply.text for reply in complete(provider, 0, 1)] == ["yes", "no"]
    with pytest.raises(ProviderFault, match="no credit"):
        complete(provider, 2)
    with pytest.raises(UsageError, match="no answer left for call 4"):
        complete(provider, 3)


def test_a_text_becomes_a_counted_reply() -> None:
    """Tokens of a text answer are counted, so that it can be priced."""
    (reply,) = complete(ScriptedProvider("one two three"), 0)
    assert (reply.usage.output_tokens, reply.finish_reason) == (4, "stop")
    assert reply.usage.input_tokens > 0


def test_a_fault_keeps_all_it_says_each_time() -> None:
    """Every raise is a fresh fault with the same kind, wait and bill."""
    provider = ScriptedProvider(ProviderFault("rate_limit", "429", retry_after_s=2.5, billed=True))
    faults = []
    for number in range(2):
        with pytest.raises(ProviderFault) as caught:
            complete(provider, number)
        faults.append(caught.value)
    assert faults[0] is not faults[1]
    assert {(f.kind, f.message, f.retry_after_s, f.billed) for f in faults} == {
        ("rate_limit", "429", 2.5, True)
    }
