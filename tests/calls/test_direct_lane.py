"""The direct lane against a server of our own: what is on the wire, and what every answer means."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from harness.calls.direct_lane import DirectProvider, read_usage, request_body
from harness.calls.provider import Provider, ProviderFault
from harness.calls.reading import MOST_TOKENS
from harness.records import Call, Message, Reply, Usage
from harness.testing.builders import a_call, a_settings
from harness.testing.contracts import ProviderContract
from harness.testing.scripted import ScriptedProvider
from harness.testing.simulator import Simulator, simulated_world

KEY = "my-own-secret-key"


def complete(url: str, call: Call | None = None, key: str | None = KEY, **options) -> Reply:
    """One answer from this address."""

    async def act() -> Reply:
        provider = DirectProvider(url, key, **options)
        try:
            return await provider.complete(call or a_call())
        finally:
            await provider.close()

    return asyncio.run(act())


def fault_of(url: str, **options) -> ProviderFault:
    """The fault that a request to this address brings."""
    with pytest.raises(ProviderFault) as caught:
        complete(url, **options)
    return caught.value


# -- the request


def test_the_request_is_exactly_what_was_asked(wire):
    """One POST, with the settings under the names of the wire and nothing else."""
    settings = a_settings(
        top_p=0.9,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        stop=("END", "\n"),
        seed=7,
        reasoning_effort="low",
        extra={"top_k": 5, "logit_bias": {"50256": -100}},
    )
    messages = (Message("system", "Be brief."), Message("user", "größer 日本 \ud83d\ude00"))
    complete(wire.url, a_call(settings=settings, messages=messages))
    (request,) = wire.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "größer 日本 😀"},
        ],
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 64,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "stop": ["END", "\n"],
        "seed": 7,
        "reasoning_effort": "low",
        "top_k": 5,
        "logit_bias": {"50256": -100},
    }


def test_what_is_not_set_is_not_sent(wire):
    """The provider's own defaults are its own."""
    complete(wire.url, a_call(settings=a_settings(temperature=None, max_output_tokens=None)))
    assert set(wire.requests[0].body) == {"model", "messages"}


def test_headers_carry_the_key_and_the_type(wire):
    """A key goes out as bearer token; without one there is no such header."""
    complete(wire.url)
    complete(wire.url, key=None)
    first, second = (request.headers for request in wire.requests)
    assert first["Authorization"] == f"Bearer {KEY}"
    assert first["Content-Type"] == "application/json"
    assert "Authorization" not in second


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai/gpt-4o-mini", "max_tokens"),
        ("openai/gpt-4.1", "max_tokens"),
        ("together/meta-llama/Llama-3.3-70B", "max_tokens"),
        ("openai/o1", "max_completion_tokens"),
        ("openai/o4-mini", "max_completion_tokens"),
        ("openai/gpt-5-mini", "max_completion_tokens"),
        ("openai/gpt-6.1-sol", "max_completion_tokens"),
        ("openai/omni", "max_tokens"),
    ],
)
def test_the_output_limit_has_the_name_that_the_model_takes(model, name):
    """Newer models of OpenAI refuse the older name."""
    body = request_body(a_call(settings=a_settings(model=model)))
    assert {"max_tokens", "max_completion_tokens"} & set(body) == {name}
    assert body["model"] == model.partition("/")[2]


def test_a_slash_at_the_end_of_the_address_does_no_harm(wire):
    """People paste addresses with and without one."""
    complete(wire.url + "/")
    assert wire.requests[0].path == "/v1/chat/completions"


# -- the answer


def test_the_answer_is_read_in_full(wire, chat_answer):
    """Text, reason, who served it, and all counts."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    wire.says(chat_answer("größer 日本", usage=usage))
    assert complete(wire.url) == Reply(
        text="größer 日本",
        finish_reason="stop",
        usage=Usage(input_tokens=100, cached_input_tokens=64, output_tokens=20, reasoning_tokens=12),
        served_by="small-2026-01-01",
    )


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, Usage()),
        ({}, Usage()),
        ({"prompt_tokens": 5}, Usage(input_tokens=5)),
        ({"prompt_tokens": 5, "completion_tokens": 0}, Usage(input_tokens=5, output_tokens=0)),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": None, "completion_tokens_details": {}},
            Usage(input_tokens=5),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage()),
        ({"completion_tokens": 5}, Usage()),
        (
            # xAI's way: thoughts beside the tokens of the answer.
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94),
        ),
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94),
        ),
        # Google's: in the total alone.
        (
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135},
            Usage(input_tokens=32, output_tokens=103),
        ),
        (
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 30},
            Usage(input_tokens=32, output_tokens=9),
        ),
        (
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 2**40},
            Usage(input_tokens=32, output_tokens=9),
        ),
        ({"prompt_tokens": "5", "completion_tokens": -3}, Usage(input_tokens=5)),
        ({"prompt_tokens": 5.0, "completion_tokens": True}, Usage(input_tokens=5)),
        ({"prompt_tokens": MOST_TOKENS, "completion_tokens": 2**80}, Usage()),
    ],
)
def test_counts_that_are_not_stated_or_impossible_are_unknown(usage, read):
    """Unknown is booked at its worst; a negative count would give the budget back what was never spent."""
    assert read_usage(usage) == read


def test_an_answer_of_nothing_is_an_empty_text(wire, chat_answer):
    """A reasoning model that used up its limit sends null: an answer, cut off, and paid."""
    cut = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "length"}
    wire.says(chat_answer(choices=[cut]))
    reply = complete(wire.url)
    assert (reply.text, reply.finish_reason, reply.usage.output_tokens) == ("", "length", 3)


@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_a_message_without_a_content_is_an_empty_text(wire, chat_answer, reason):
    """Servers that call a tool leave it out; asked again, they would do the same, and be paid again."""
    silent = {"message": {"role": "assistant", "tool_calls": []}, "finish_reason": reason}
    wire.says(chat_answer(choices=[silent]))
    reply = complete(wire.url)
    assert (reply.text, reply.finish_reason, reply.usage.output_tokens) == ("", reason, 3)


def test_thoughts_are_none_of_the_answer(wire, chat_answer):
    """Local servers without a parser for them, and hosts of open models, leave them in the text."""
    wire.says(chat_answer("<think>\nThe label may be orders.\n</think>\n\nbilling"))
    assert complete(wire.url).text == "\n\nbilling"


@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_an_answer_is_one_with_any_status_of_success(wire, chat_answer, status):
    """It was made and paid."""
    wire.says(chat_answer(), status)
    assert complete(wire.url).text == "billing"


def test_success_without_an_answer_may_have_been_billed(wire):
    """There is nothing to read."""
    wire.says(b"", 204)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == ("malformed", True)


def test_odd_names_in_an_answer_are_unknown(wire, chat_answer):
    """What is no text cannot be stored, and is no reason to lose a paid answer."""
    choice = {"message": {"content": "billing"}, "finish_reason": {"type": "stop"}}
    wire.says(chat_answer(choices=[choice], model=["a", "b"]))
    reply = complete(wire.url)
    assert (reply.text, reply.finish_reason, reply.served_by) == ("billing", None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Welcome</body></html>",
        b'{"choices": [{"message": {"con',
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {}}]}',
        b'{"choices": [{"message": {"content": ["a", "b"]}}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "usage": [1]}',
        b'{"error": null}',
        b"\xff\xfe\x00",
        b"[" * 200_000,
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_an_answer_that_cannot_be_read_is_malformed(wire, body):
    """It may have been billed, and the message shows what came."""
    wire.says(body)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed, fault.retryable) == ("malformed", True, True)
    assert fault.message.startswith("unreadable answer")
    assert len(fault.message) < 500


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("COMPLETE", "stop"),
        ("max_tokens", "length"),
        ("SAFETY", "content_filter"),
        ("something new", "something new"),
        (None, None),
        ("", None),
    ],
)
def test_the_usual_reasons_have_one_name(wire, chat_answer, word, reason):
    """An answer that was cut off must be known as one, whatever the server calls it; other words stay."""
    wire.says(chat_answer(choices=[{"message": {"content": "yes"}, "finish_reason": word}]))
    assert complete(wire.url).finish_reason == reason


def test_an_error_in_place_of_an_answer_says_what_it_is(wire):
    """Some servers pass on what went wrong behind them with status 200; it may have cost something."""
    wire.says({"error": {"message": "slow down", "code": 429}})
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == ("rate_limit", True)
    assert "slow down" in fault.message


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"message": {"content": ""}, "error": {"code": 502, "message": "it died"}}, "overloaded"),
        ({"message": {"content": "bil"}, "error": {"code": 429, "message": "slow down"}}, "rate_limit"),
        ({"error": {"code": 429, "message": "slow down"}}, "rate_limit"),
        ({"message": {"content": "billing"}, "finish_reason": "error"}, "overloaded"),
        ({"message": {"content": "bil"}, "finish_reason": "network_error"}, "overloaded"),
    ],
)
def test_an_error_in_place_of_a_choice_is_no_answer(wire, chat_answer, choice, kind):
    """OpenRouter passes on so what went wrong behind it; as an answer, it would be scored, and kept."""
    wire.says(chat_answer(choices=[choice]))
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed, fault.retryable) == (kind, True, True)
    assert fault.message.startswith("an error in place of an answer")


# -- connections that are kept, and end


def test_a_kept_connection_that_ends_may_have_been_billed(wire, run, chat_answer):
    """What was sent on it may have been read, however soon it ends: a cap must hold for that as well."""
    answered = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if answered:
            request.transport.abort()
        answered.append(request)
        return web.json_response(chat_answer("billing"))

    async def act() -> ProviderFault:
        provider = DirectProvider(wire.url)
        await provider.complete(a_call())
        with pytest.raises(ProviderFault, match="connection lost") as caught:
            await provider.complete(a_call())
        await provider.close()
        return caught.value

    wire.answer = answer
    fault = run(act())
    assert (fault.kind, fault.billed, fault.retryable) == ("connection", True, True)
    assert len(answered) == 2


# -- refusals


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "credentials"),
        (402, "quota"),
        (403, "credentials"),
        (404, "not_found"),
        (413, "too_long"),
        (422, "bad_request"),
        (429, "rate_limit"),
        (500, "overloaded"),
        (502, "overloaded"),
        (503, "overloaded"),
        (523, "overloaded"),
        (529, "overloaded"),
    ],
)
def test_a_status_gives_the_kind(wire, status, kind):
    """A refusal is not billed, sent once, and its message carries status and text."""
    wire.says({"error": {"message": "no such luck"}}, status)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == (kind, False)
    assert str(status) in fault.message
    assert "no such luck" in fault.message
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(408, "timeout"), (504, "overloaded"), (522, "overloaded"), (524, "overloaded")]
)
def test_a_gateway_that_gave_up_waiting_may_be_billed(wire, status, kind):
    """The model behind it may have done the work: it is a time-out, told by somebody else."""
    wire.says(b"<html>Gateway Time-out</html>", status)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed, fault.retryable) == (kind, True, True)


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "7"}, 7.0), ({"retry-after-ms": "1500"}, 1.5), ({}, None)]
)
def test_retry_after_is_passed_on(wire, header, seconds):
    """In seconds, from either header, in any case of letters."""
    wire.says({"error": {}}, 429, header)
    assert fault_of(wire.url).retry_after_s == seconds


def test_no_credit_left_is_not_a_rate_limit(wire):
    """Both come with 429; only one of them passes by waiting."""
    wire.says({"error": {"code": "insufficient_quota"}}, 429)
    assert fault_of(wire.url).kind == "quota"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(wire, status):
    """It would be a second request, and might carry the key to somebody else."""
    wire.says(b"", status, {"Location": wire.url + "/elsewhere"})
    assert fault_of(wire.url).kind == "bad_request"
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("padding", [0, 150, 180, 190, 290, 1000])
def test_a_key_that_is_echoed_is_not_shown(wire, status, padding):
    """Wherever it stands, also where the message is cut."""
    wire.says(b"x" * padding + f" wrong key {KEY} ".encode() + b"x" * padding, status)
    shown = str(fault_of(wire.url))
    assert KEY not in shown
    assert KEY[:8] not in shown


# -- the line


def test_nobody_there_is_a_connection_fault_that_costs_nothing():
    """Nothing was sent."""
    fault = fault_of("http://127.0.0.1:9/v1")
    assert (fault.kind, fault.billed, fault.retryable) == ("connection", False, True)


def test_a_connection_that_never_stands_costs_nothing():
    """Whoever listens there says nothing: no request went out, and a whole time limit is not waited."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fault = fault_of(f"https://127.0.0.1:{silent.getsockname()[1]}/v1", connect_s=0.05)
    assert (fault.kind, fault.billed, fault.retryable) == ("connection", False, True)
    assert "0.05 s" in fault.message


@pytest.mark.parametrize("after", [None, b"", b'{"choices": [{"mess'])
def test_a_line_that_breaks_may_have_been_billed(wire, after):
    """The request was out, so the work may have been done; it is not sent again by itself."""
    wire.drops(after)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == ("connection", True)
    assert len(wire.requests) == 1


def test_the_key_is_not_in_its_description():
    """Reprs end up in logs."""
    assert KEY not in repr(DirectProvider("http://127.0.0.1:9/v1", KEY))


# -- the contract


class TestDirectProviderKeepsTheContract(ProviderContract):
    """The direct lane, against the loopback server."""

    @pytest.fixture(autouse=True)
    def _served(self, wire) -> None:
        self.wire = wire

    def make_provider(self) -> Provider:
        return DirectProvider(self.wire.url, KEY)

    def make_faulty_provider(self) -> Provider:
        self.wire.says({"error": {"message": "no"}}, 500)
        return DirectProvider(self.wire.url, KEY)

    def requests_sent(self, provider: Provider) -> int:
        return len(self.wire.requests)


class TestSimulatorKeepsTheContract(ProviderContract):
    """The simulator is a provider like any other."""

    def make_provider(self) -> Provider:
        return Simulator(simulated_world({"s1": "yes"}))

    def make_faulty_provider(self) -> Provider:
        return Simulator(simulated_world({"s1": "yes"}), faults=lambda *_: ProviderFault("overloaded", "no"))

    def requests_sent(self, provider: Provider) -> int:
        assert isinstance(provider, Simulator)
        return provider.requests


class TestScriptedProviderKeepsTheContract(ProviderContract):
    """And so is a script."""

    def make_provider(self) -> Provider:
        return ScriptedProvider("billing")

    def make_faulty_provider(self) -> Provider:
        return ScriptedProvider(ProviderFault("overloaded", "no"))

    def requests_sent(self, provider: Provider) -> int:
        assert isinstance(provider, ScriptedProvider)
        return len(provider.calls)
