"""The direct lane against a server of our own that answers piece by piece."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from aiohttp import web

from harness.calls.direct_lane import DirectProvider
from harness.calls.provider import Provider, ProviderFault
from harness.clock import SystemClock
from harness.records import Reply, Usage
from harness.testing.builders import a_call
from harness.testing.contracts import ProviderContract

KEY = "my-own-secret-key"


class Moments:
    """A clock that tells these moments, one after the other, and no more."""

    def __init__(self, *moments: float) -> None:
        self._moments = iter(moments)

    def monotonic(self) -> float:
        """The next moment."""
        return next(self._moments)


def complete(url: str, **options) -> Reply:
    """One streamed answer from this address."""

    async def act() -> Reply:
        provider = DirectProvider(url, KEY, **{"stream": True, **options})
        try:
            return await provider.complete(a_call())
        finally:
            await provider.close()

    return asyncio.run(act())


def fault_of(url: str) -> ProviderFault:
    """The fault that a request for a stream from this address brings."""
    with pytest.raises(ProviderFault) as caught:
        complete(url)
    return caught.value


def event(data) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def piece(content=None, reason=None, **more) -> bytes:
    """One piece of a streamed answer."""
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": reason}
    return event({"model": "small-2026-01-01", "choices": [choice]} | more)


DONE = event(b"[DONE]")
COUNTS = {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
STREAM = [
    piece(""),
    piece("größer "),
    piece("日本"),
    piece(reason="stop"),
    piece(choices=[], usage=COUNTS),
    DONE,
]


def streams(wire, *parts: bytes, hold: threading.Event | None = None) -> None:
    """Let the server answer with these parts of a stream. hold: what to wait for before the end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if hold is not None:
            await asyncio.to_thread(hold.wait)
        return response

    wire.answer = answer


# -- the request


def test_a_stream_is_asked_for_with_its_counts(wire):
    """Without being asked, a stream does not say what it cost; otherwise nothing of it is sent."""
    streams(wire, *STREAM)
    complete(wire.url)
    assert wire.requests[0].body["stream"] is True
    assert wire.requests[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_adds_up_to_the_answer(wire, size):
    """The pieces may be cut anywhere, also within a letter."""
    raw = b": hello\n\n" + b"".join(STREAM).replace(b"\n", b"\r\n")
    streams(wire, *(raw[i : i + size] for i in range(0, len(raw), size)))
    assert complete(wire.url, clock=Moments(10.0, 12.5)) == Reply(
        text="größer 日本",
        finish_reason="stop",
        usage=Usage(input_tokens=12, cached_input_tokens=4, output_tokens=3),
        served_by="small-2026-01-01",
        first_token_s=2.5,
    )


def test_the_first_token_is_the_first_piece_with_a_text(wire):
    """Roles, pings and empty pieces come before it and are none."""
    streams(wire, piece(""), event({"choices": []}), event(b""), piece(None), *STREAM)
    assert complete(wire.url, clock=Moments(1.0, 4.0)).first_token_s == 3.0


def test_an_answer_without_a_text_has_no_first_token(wire):
    """There is nothing to time."""
    streams(wire, piece(""), piece(reason="length"), DONE)
    reply = complete(wire.url)
    assert (reply.text, reply.finish_reason, reply.first_token_s) == ("", "length", None)


def test_an_answer_that_is_not_streamed_has_no_first_token(wire, chat_answer):
    """It is not made up, also where a stream was asked for and the server sent the answer in one piece."""
    wire.says(chat_answer("yes"))
    assert complete(wire.url, stream=False).first_token_s is None
    reply = complete(wire.url)
    assert (reply.text, reply.usage.output_tokens, reply.first_token_s) == ("yes", 3, None)


def test_counts_that_a_stream_does_not_state_are_unknown(wire):
    """They are not counted here: what was billed, only the provider knows."""
    streams(wire, piece("yes"), piece(reason="stop"), DONE)
    assert complete(wire.url).usage == Usage()


def test_counts_may_come_with_every_piece(wire):
    """Some servers state them so far; the last ones are those of the answer."""
    first, last = ({"prompt_tokens": 12, "completion_tokens": n} for n in (1, 2))
    streams(wire, piece("ye", usage=first), piece("s", "stop", usage=last), DONE)
    assert complete(wire.url).usage == Usage(input_tokens=12, output_tokens=2)


def test_counts_that_say_less_do_not_undo_others(wire):
    """Some servers end with the sum alone."""
    last = piece(choices=[], usage={"total_tokens": 15})
    streams(wire, piece("yes", "stop"), piece(choices=[], usage=COUNTS), last, DONE)
    assert complete(wire.url).usage == Usage(input_tokens=12, cached_input_tokens=4, output_tokens=3)


def test_thoughts_are_none_of_the_answer_and_not_its_first_token(wire):
    """The answer begins behind them."""
    thoughts = (piece(text) for text in ("<think>", "Orders?", "</think>"))
    streams(wire, *thoughts, piece("bil"), piece("ling", "stop"), DONE)
    reply = complete(wire.url, clock=Moments(10.0, 11.0, 13.0))
    assert (reply.text, reply.first_token_s) == ("billing", 3.0)


@pytest.mark.parametrize(
    "parts",
    [
        STREAM[:4],
        STREAM[:5],
        [piece("größer 日本"), DONE],
        [piece("größer 日本"), DONE[:-2]],
        [piece("größer "), piece("日本", "stop")[:-1]],
        [piece("größer 日本", "stop"), b'data: {"choices": [{"del'],
    ],
)
def test_an_answer_that_is_whole_is_kept(wire, parts):
    """With its reason or with the last word, it has come to its end, and is not paid again."""
    streams(wire, *parts)
    assert complete(wire.url).text == "größer 日本"


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([], "malformed"),
        ([b"<html>Welcome</html>\n\n"], "malformed"),
        ([event({"id": "x"}), DONE], "malformed"),
        ([DONE], "malformed"),
        ([piece("ye"), event(b'{"choices": [{"del'), DONE], "malformed"),
        ([piece("ye"), event([]), DONE], "malformed"),
        ([piece("ye"), piece(["s"]), DONE], "malformed"),
        ([piece("ye")], "connection"),
        ([piece("ye"), piece("s", "stop")[:-9]], "connection"),
        ([event({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}), DONE], "malformed"),
        ([piece("ye"), piece(None, "error"), DONE], "overloaded"),
        ([piece("ye"), event({"choices": [{"error": {"code": 429}}]}), DONE], "rate_limit"),
        ([piece("ye"), event({"error": {"message": "the model crashed"}}), DONE], "overloaded"),
        ([event({"error": {"message": "slow down", "code": 429}})], "rate_limit"),
        ([event({"error": {"code": "context_length_exceeded"}})], "too_long"),
        ([event({"error": "CUDA out of memory"})], "overloaded"),
    ],
)
def test_a_stream_that_brings_no_whole_answer_may_have_been_billed(wire, parts, kind):
    """Half an answer is none, and never scored as one."""
    streams(wire, *parts)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == (kind, True)
    assert len(wire.requests) == 1


def test_a_line_that_breaks_in_a_stream_may_have_been_billed(wire):
    """Fewer bytes came than were promised."""
    wire.drops(piece("ye"))
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == ("connection", True)


def test_a_refusal_of_a_stream_is_one_as_always(wire):
    """Its status tells, and nothing is billed."""
    wire.says({"error": {"message": "no"}}, 429, {"Retry-After": "7"})
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed, fault.retry_after_s) == ("rate_limit", False, 7.0)


@pytest.mark.parametrize("data", [{"error": {"message": f"wrong key {KEY}"}}, f"wrong key {KEY}".encode()])
def test_a_key_that_is_echoed_in_a_stream_is_not_shown(wire, data):
    """Neither in an error nor in what cannot be read."""
    streams(wire, event(data))
    assert KEY not in str(fault_of(wire.url))


def test_a_server_that_does_not_hang_up_is_not_waited_for(wire):
    """After the last word, nothing can come."""
    over = threading.Event()
    streams(wire, *STREAM, hold=over)
    try:
        assert complete(wire.url).text == "größer 日本"
    finally:
        over.set()


def test_counts_that_do_not_come_are_not_waited_for_long(wire):
    """The reason has come, and with it all of the answer; a server that keeps the line open loses none."""
    over = threading.Event()
    streams(wire, *STREAM[:4], hold=over)
    try:
        reply = complete(wire.url)
    finally:
        over.set()
    assert (reply.text, reply.finish_reason, reply.usage) == ("größer 日本", "stop", Usage())


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_an_answer_in_one_piece_is_known_by_its_first_letter(wire, chat_answer, kind):
    """Not every server that does not stream says what it sends instead."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\n" + json.dumps(chat_answer("yes")).encode(), content_type=kind)

    wire.answer = answer
    reply = complete(wire.url)
    assert (reply.text, reply.usage.output_tokens, reply.first_token_s) == ("yes", 3, None)


def test_a_stream_is_one_with_any_status_of_success_and_any_kind(wire):
    """What does not begin like JSON is read event by event."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201, headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        for part in STREAM:
            await response.write(part)
        return response

    wire.answer = answer
    assert complete(wire.url).text == "größer 日本"


@pytest.mark.parametrize("stream", [False, True])
def test_connections_are_shared(wire, chat_answer, stream):
    """Calls one after another use one connection; the provider can be used again after it was closed."""
    ports = set()
    streams(wire, *STREAM) if stream else wire.says(chat_answer())
    said = wire.answer

    async def answer(request: web.Request) -> web.StreamResponse:
        ports.add(request.transport.get_extra_info("peername")[1])
        return await said(request)

    async def act() -> int:
        provider = DirectProvider(wire.url, stream=stream)
        for _ in range(5):
            await provider.complete(a_call())
        await provider.close()
        shared = len(ports)
        await provider.complete(a_call())
        await provider.close()
        return shared

    wire.answer = answer
    assert asyncio.run(act()) == 1


def test_a_connection_that_the_server_will_close_is_not_used_again(wire):
    """llama.cpp promises to keep it, and hangs up after each stream: the next request would be lost on it."""
    begun, ports = threading.Event(), set()

    class Clock(SystemClock):
        def monotonic(self) -> float:
            """Asked when a request goes out, and when the first token has come."""
            (begun.clear if self.asked % 2 == 0 else begun.set)()
            self.asked += 1
            return super().monotonic()

        asked = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        ports.add(request.transport.get_extra_info("peername")[1])
        head = {"Content-Type": "text/event-stream", "Server": "llama.cpp"}
        response = web.StreamResponse(headers=head)
        await response.prepare(request)
        await response.write(STREAM[0] + STREAM[1])
        await asyncio.to_thread(begun.wait, 10)
        await response.write(b"".join(STREAM[2:]))
        return response

    async def act() -> None:
        provider = DirectProvider(wire.url, stream=True, clock=Clock())
        for _ in range(3):
            await provider.complete(a_call())
        await provider.close()

    wire.answer = answer
    asyncio.run(act())
    assert len(ports) == 3


# -- the contract


class TestStreamingDirectProviderKeepsTheContract(ProviderContract):
    """The direct lane, asked to stream, against the loopback server."""

    @pytest.fixture(autouse=True)
    def _served(self, wire) -> None:
        self.wire = wire
        streams(wire, *STREAM)

    def make_provider(self) -> Provider:
        return DirectProvider(self.wire.url, KEY, stream=True)

    def make_faulty_provider(self) -> Provider:
        streams(self.wire, STREAM[1])
        return DirectProvider(self.wire.url, KEY, stream=True)

    def requests_sent(self, provider: Provider) -> int:
        return len(self.wire.requests)
