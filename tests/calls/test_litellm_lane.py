"""The litellm lane against a server of our own: one request a call, every failure with its kind, no noise."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import subprocess
import sys

import pytest
from aiohttp import ClientSession, web

from harness.calls.litellm_lane import _BY_STATUS, KINDS, LitellmProvider, load_litellm
from harness.calls.provider import Provider, ProviderFault
from harness.records import Call, Reply, Usage
from harness.testing.builders import a_call, a_settings
from harness.testing.contracts import ProviderContract

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
KEY = "my-own-secret-key"
# What litellm calls an exception and nobody raises for a call: enumerations beside them.
NO_EXCEPTIONS = ("RateLimitErrorCategory", "RateLimitType")


@pytest.fixture(scope="module", autouse=True)
def litellm():
    """The library, loaded once."""
    return load_litellm()


def call_to(prefix: str, **settings) -> Call:
    """A call for a model that litellm knows, of this provider."""
    name = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}[prefix]
    return a_call(settings=a_settings(model=f"{prefix}/{name}", **settings))


def base(wire, prefix: str) -> str:
    """The address under which litellm finds the server for this provider."""
    return wire.url if prefix == "openai" else wire.url.removesuffix("/v1")


def complete(wire, prefix="openai", call=None, address=None, **options) -> Reply:
    """One answer through litellm."""

    async def act() -> Reply:
        provider = LitellmProvider(prefix, address or base(wire, prefix), KEY, **options)
        try:
            return await provider.complete(call or call_to(prefix))
        finally:
            await provider.close()

    return asyncio.run(act())


def fault_of(wire, prefix="openai", **options) -> ProviderFault:
    """The fault that a request brings."""
    with pytest.raises(ProviderFault) as caught:
        complete(wire, prefix, **options)
    return caught.value


def message(**changes):
    """An answer in Anthropic's format."""
    body = {
        "id": "m-1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "billing"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 3},
    }
    return body | changes


# -- answers


def test_another_wire_format_is_spoken(wire):
    """Anthropic's format has other paths, names and words; what comes out is the same."""
    wire.says(message())
    reply = complete(wire, "anthropic", call_to("anthropic", stop=("END",)))
    assert (reply.text, reply.finish_reason) == ("billing", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 3)
    (request,) = wire.requests
    assert request.path == "/v1/messages"
    assert request.headers["x-api-key"] == KEY
    assert request.body["max_tokens"] == 64
    assert request.body["stop_sequences"] == ["END"]
    assert request.body["temperature"] == 0.3


def test_counts_that_were_not_stated_are_unknown(wire, chat_answer):
    """The library fills in zeros, which would make a paid answer free."""
    answer = chat_answer()
    del answer["usage"]
    wire.says(answer)
    assert complete(wire).usage == Usage()


# -- answers piece by piece


class Moments:
    """A clock that tells these moments, one after the other, and no more."""

    def __init__(self, *moments: float) -> None:
        self._moments = iter(moments)

    def monotonic(self) -> float:
        """The next moment."""
        return next(self._moments)


def events(*, counts: bool = True) -> list[bytes]:
    """A streamed answer in Anthropic's format. counts: whether it says what it cost."""
    begun = {"input_tokens": 12, "output_tokens": 1}
    said = [
        {"type": "message_start", "message": message(content=[], stop_reason=None, usage=begun)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in ("bil", "ling")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in said]


def streams(wire, *parts: bytes) -> None:
    """Let the server answer with these parts of a stream."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    wire.answer = answer


def test_another_format_is_read_piece_by_piece(wire):
    """Its events have other names; text, reason, counts and the time of the first token come out alike."""
    streams(wire, *events())
    reply = complete(wire, "anthropic", stream=True, clock=Moments(10.0, 12.5))
    assert (reply.text, reply.finish_reason, reply.first_token_s) == ("billing", "stop", 2.5)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 3)
    (request,) = wire.requests
    assert request.body["stream"] is True


def test_an_answer_that_is_not_streamed_has_no_first_token(wire):
    """It is not made up, and the clock is not asked."""
    assert complete(wire, clock=Moments(1.0)).first_token_s is None


@pytest.mark.parametrize("pieces", [3, 4, 5])
def test_a_stream_of_another_format_that_ends_early_is_no_answer(wire, pieces):
    """litellm ends it with a "stop" of its own, and half an answer would be scored as a whole one."""
    streams(wire, *events()[:pieces])
    fault = fault_of(wire, "anthropic", stream=True)
    assert (fault.kind, fault.billed) == ("connection", True)


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
@pytest.mark.parametrize("body", [b"", b"<html>Welcome</html>\n\n"])
def test_a_stream_without_an_answer_is_malformed(wire, prefix, body):
    """litellm makes an empty answer of it."""
    streams(wire, body)
    fault = fault_of(wire, prefix, stream=True)
    assert (fault.kind, fault.billed) == ("malformed", True)


def test_an_error_in_a_stream_of_another_format_has_its_kind(wire):
    """It comes after the status, wrapped once more by litellm."""
    crash = {"type": "error", "error": {"type": "overloaded_error", "message": f"Overloaded, {KEY}"}}
    streams(wire, *events()[:3], f"event: error\ndata: {json.dumps(crash)}\n\n".encode())
    fault = fault_of(wire, "anthropic", stream=True)
    assert (fault.kind, fault.billed) == ("overloaded", True)
    assert KEY not in fault.message


# -- failures


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "credentials"),
        (402, "quota"),
        (403, "credentials"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "overloaded"),
        (422, "bad_request"),
        (429, "rate_limit"),
        (500, "overloaded"),
        (503, "overloaded"),
        (529, "overloaded"),
    ],
)
def test_a_status_gives_the_kind_after_one_request(wire, prefix, status, kind):
    """The library's own retries are off, its classes are read, and Retry-After is passed on."""
    wire.says({"error": {"message": f"no such luck for {KEY}"}}, status, {"Retry-After": "7"})
    fault = fault_of(wire, prefix)
    assert fault.kind == kind
    assert fault.retry_after_s == 7.0
    assert "no such luck" in fault.message
    assert KEY not in fault.message
    assert len(wire.requests) == 1


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "insufficient_quota: You exceeded your current quota", "quota"),
        (400, "This model's maximum context length is 8192 tokens", "too_long"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "too_long"),
    ],
)
def test_the_text_tells_what_the_class_does_not(wire, prefix, status, text, kind):
    """Providers give one status to quite different things."""
    wire.says({"error": {"message": text, "type": "invalid_request_error"}}, status)
    assert fault_of(wire, prefix).kind == kind


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b'{"choices": [{"mess', b'{"id": "x"}'])
def test_an_answer_that_cannot_be_read_is_malformed(wire, prefix, body):
    """The library gives five classes to it, none of which says that it may have been billed."""
    wire.says(body)
    fault = fault_of(wire, prefix)
    assert (fault.kind, fault.billed) == ("malformed", True)
    assert "site-packages" not in fault.message


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
@pytest.mark.parametrize("after", [None, b'{"choices": [{"mess'])
def test_a_line_that_breaks_may_have_been_billed(wire, prefix, after):
    """The request was out."""
    wire.drops(after)
    fault = fault_of(wire, prefix)
    assert (fault.kind, fault.billed) == ("connection", True)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
def test_nobody_there_costs_nothing(wire, prefix):
    """The library calls it an internal error of the server."""
    fault = fault_of(wire, prefix, address="http://127.0.0.1:9/v1")
    assert (fault.kind, fault.billed) == ("connection", False)


def test_a_setting_that_the_model_does_not_take_is_refused(wire):
    """It is never dropped: the search would praise a setting that has no effect. Nothing is sent."""
    fault = fault_of(wire, "anthropic", call=call_to("anthropic", frequency_penalty=0.5))
    assert fault.kind == "bad_request"
    assert "frequency_penalty" in fault.message
    assert wire.requests == []


@pytest.mark.parametrize("prefix", ["openai", "together_ai", "hosted_vllm"])
def test_a_key_of_the_environment_goes_to_nobody(wire, monkeypatch, prefix):
    """An address of one's own that takes no key must not be sent the one that belongs to OpenAI."""
    for name in ("OPENAI_API_KEY", "TOGETHERAI_API_KEY", "HOSTED_VLLM_API_KEY"):
        monkeypatch.setenv(name, "sk-somebody-elses")

    async def act() -> None:
        provider = LitellmProvider(prefix, wire.url)
        await provider.complete(a_call())
        await provider.close()

    asyncio.run(act())
    assert "sk-somebody-elses" not in str(wire.requests[0])


def test_every_exception_of_litellm_has_a_kind(litellm):
    """A class that a new version adds must be looked at, not guessed from a default."""
    classes = [
        cls
        for name, cls in inspect.getmembers(litellm.exceptions, inspect.isclass)
        if cls.__module__ == litellm.exceptions.__name__ and name not in NO_EXCEPTIONS
    ]
    assert len(classes) > 20
    unmapped = [
        cls.__name__
        for cls in classes
        if not any(parent.__name__ in KINDS or parent.__name__ in _BY_STATUS for parent in cls.__mro__)
    ]
    assert unmapped == []


def test_every_name_in_the_table_is_one_of_litellm(litellm):
    """A class that a new version renames leaves no dead line."""
    known = dir(litellm.exceptions)
    assert [name for name in (*KINDS, *_BY_STATUS) if name not in known] == []


# -- connections


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
def test_closing_leaves_no_connection_behind(wire, prefix):
    """litellm closes none by itself, and Python complains when the loop is gone. It can be used again."""

    def still_open() -> list[ClientSession]:
        sessions = [one for one in gc.get_objects() if isinstance(one, ClientSession)]
        return [one for one in sessions if one._loop is asyncio.get_running_loop() and not one.closed]

    async def act() -> None:
        provider = LitellmProvider(prefix, base(wire, prefix), KEY)
        for _ in range(2):
            await provider.complete(call_to(prefix))
            assert still_open()
            await provider.close()
            assert not still_open()

    if prefix == "anthropic":
        wire.says(message())
    asyncio.run(act())
    asyncio.run(act())


def test_closing_loads_nothing():
    """A run that never got as far as a call does not pay for the library."""
    code = (
        "import asyncio, sys; from harness.calls.litellm_lane import LitellmProvider;"
        "asyncio.run(LitellmProvider('openai').close()); print('litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- quiet


def test_nothing_is_printed(wire, capfd):
    """Standard output belongs to the command's own answer, also when a model is unknown or a call fails."""
    complete(wire)
    wire.says({"error": {"message": "no"}}, 500)
    fault_of(wire)
    fault_of(wire, call=a_call(settings=a_settings(model="openai/nobody-knows-this")))
    assert capfd.readouterr().out == ""


def test_the_key_is_not_in_its_description():
    """Reprs end up in logs."""
    assert KEY not in repr(LitellmProvider("openai", "http://127.0.0.1:9/v1", KEY))


class TestLitellmProviderKeepsTheContract(ProviderContract):
    """The litellm lane, against the loopback server."""

    @pytest.fixture(autouse=True)
    def _served(self, wire) -> None:
        self.wire = wire

    def make_call(self, number: int) -> Call:
        return call_to("openai", seed=number)

    def make_provider(self) -> Provider:
        return LitellmProvider("openai", self.wire.url, KEY)

    def make_faulty_provider(self) -> Provider:
        self.wire.says({"error": {"message": "no"}}, 500)
        return LitellmProvider("openai", self.wire.url, KEY)

    def requests_sent(self, provider: Provider) -> int:
        return len(self.wire.requests)

    # litellm makes its coroutine in a thread; cancelled just then, it drops it, and Python complains.
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
    @pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine object")
    def test_lets_itself_be_cancelled(self) -> None:
        super().test_lets_itself_be_cancelled()
