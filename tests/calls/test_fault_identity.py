"""The two lanes held together where they fail: every status, every broken line, everything unreadable.

The same fault gives the same outcome through either lane: kind, whether it may have been billed, and how long
to wait. Where litellm keeps something to itself, the difference stands in a table with its reason, and a
difference that no longer shows fails the test too.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from harness.calls.direct_lane import DirectProvider
from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import Provider, ProviderFault
from harness.records import Call
from harness.testing.builders import a_call, a_settings

# Loading litellm takes some four seconds, and a call through it some ten milliseconds.
pytestmark = [
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
    # Counts that are no whole numbers make OpenAI's library warn.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]
KEY = "my-own-secret-key"
# By provider: litellm's prefix, and the model asked for.
MODELS = {
    "openai": ("openai", "gpt-4o-mini"),
    "together": ("together_ai", "meta-llama/Llama-3.2-3B-Instruct"),
    "local": ("hosted_vllm", "smollm2-135m-instruct"),
}


# -- what the server does


@dataclass
class Fault:
    """Raw HTTP that is said, and then the line is closed, or reset."""

    pieces: list[bytes]
    reset: bool = False


def head(status: int = 200, kind: str = "application/json", **headers: object) -> bytes:
    """The head of an answer."""
    lines = [f"HTTP/1.1 {status} Said", "Connection: close", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def whole(body: Any, status: int = 200, kind: str = "application/json", **headers: object) -> Fault:
    """An answer in one piece: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Fault([head(status, kind, Content_Length=len(raw), **headers), raw])


def streamed(*events: bytes, last: bytes = b"0\r\n\r\n", reset: bool = False, status: int = 200) -> Fault:
    """A stream of events, with the end of its body unless something else is its last."""
    parts = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return Fault([head(status, "text/event-stream", Transfer_Encoding="chunked"), *parts, last], reset)


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def piece(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    """One piece of a streamed answer. more: of its choice."""
    body = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "served-1"}
    return event({**body, "choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]})


def counted(prompt: object, output: object) -> bytes:
    """The event with the counts."""
    return event(answered(usage=counts(prompt, output)))


def choice(text: str | None, reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    """One choice of an answer in one piece; without a text, its message has no content."""
    message = {"role": "assistant"} if text is None else {"role": "assistant", "content": text}
    return {"index": 0, "message": message, "finish_reason": reason, **more}


def answered(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer in one piece, with its counts."""
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "served-1"}
    return {**body, "choices": list(choices), "usage": counts(12, 3), **more}


def counts(prompt: object, output: object) -> dict[str, Any]:
    """Counts of tokens."""
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": 15}


def refusal(text: str, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error as OpenAI words it."""
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def said(status: int, text: str = "no such luck", code: str | None = None, **headers: object) -> Fault:
    """An answer with this status and an error in it."""
    return whole(refusal(text, code), status, **headers)


BEGUN = piece({"role": "assistant", "content": "bil"})
REST = piece({"content": "ling"})
END = piece({}, "stop")
COUNTED = counted(12, 3)
DONE = event(b"[DONE]")
THOUGHTS = ["<think>", "Orders?\n", "</think>"]
HALF = [head(Content_Length=1000), b'{"choices": [{"mess']
CRASH = refusal("the model crashed", kind="server_error")
DIED = {"message": "the provider died", "code": 502}
SLOW = {"message": "slow down", "code": 429}
CALLS = [{"id": "t-1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
ANSWER = answered(choice("billing"))

# In one piece or streamed, the answer is the same.
FAULTS = {
    "400": said(400),
    "400 too long": said(
        400, "This model's maximum context length is 8192 tokens", "context_length_exceeded"
    ),
    "400 filtered": said(400, "The response was filtered", "content_filter"),
    "400 policy": said(400, "violates our content management policy", "content_policy_violation"),
    "401": said(401, "Incorrect API key provided", "invalid_api_key"),
    "402": said(402),
    "403": said(403),
    "404": said(404, "The model does not exist", "model_not_found"),
    "408": said(408),
    "409": said(409),
    "413": said(413),
    "422": said(422),
    "425": said(425),
    "429": said(429, "slow down", "rate_limit_exceeded"),
    "429 with Retry-After": said(429, "slow down", "rate_limit_exceeded", Retry_After=7),
    "429 with a reset": said(
        429, code="rate_limit_exceeded", X_RateLimit_Remaining_Requests=0, X_RateLimit_Reset_Requests="6m0s"
    ),
    "429 quota": said(429, "You exceeded your current quota", "insufficient_quota"),
    "500": said(500),
    "504": said(504),
    "504 in HTML": whole(b"<html>Gateway Time-out</html>", 504),
    "524": said(524, "a timeout occurred"),
    "502 in HTML": whole(b"<html>Bad gateway</html>", 502),
    "503 with Retry-After": said(503, Retry_After=3),
    "529": said(529, "overloaded"),
    "nobody answers": Fault([]),
    "reset": Fault([], reset=True),
    "half a body": Fault(HALF),
    "half a body, reset": Fault(HALF, reset=True),
    "empty": whole(b""),
    "HTML": whole(b"<html>Welcome</html>"),
    "half of the JSON": whole(b'{"choices": [{"mess'),
    "no choices": whole({"id": "c-1"}),
    "choices of none": whole({"id": "c-1", "choices": []}),
    "null": whole(b"null"),
    "error with 200": whole(CRASH),
}
# Odd, and answers or faults all the same; in one piece only.
ODD = {
    "an error for a choice": whole(answered(choice("", "error", error=DIED))),
    "an error for a choice, half a text": whole(answered(choice("bil", "stop", error=DIED))),
    "an error for a choice, 429": whole(answered(choice("", None, error=SLOW))),
    "an error for a reason": whole(answered(choice("billing", "error"))),
    "network_error for a reason": whole(answered(choice("bil", "network_error"))),
    "no content": whole(answered(choice(None))),
    "no content but a call": whole(answered(choice(None, "tool_calls", tool_calls=CALLS))),
    "201": whole(ANSWER, 201),
    "202": whole(ANSWER, 202),
    "202 of nothing": whole({"id": "c-1"}, 202),
    "204": Fault([head(204)]),
    "counts with a point": whole(answered(choice("yes"), usage=counts(12.0, 3.0))),
    "counts as texts": whole(answered(choice("yes"), usage=counts("12", "3"))),
    "thoughts": whole(answered(choice("<think>Orders?</think>billing"))),
    "thoughts on lines": whole(answered(choice("\n<think>\nOrders?\n</think>\n\nbilling"))),
    "thoughts twice": whole(answered(choice("<think>a</think><think>b</think>billing"))),
    "thoughts begun in the prompt": whole(answered(choice("Orders?\n</think>\n\nbilling"))),
    "thoughts and no answer": whole(answered(choice("<think>Or", "length"))),
    "a reason of Google's": whole(answered(choice("", "SAFETY"))),
    "a reason of Cohere's": whole(answered(choice("yes", "COMPLETE"))),
    "a new reason": whole(answered(choice("yes", "something new"))),
}
STREAM_FAULTS = {
    "cut before the first event": streamed(last=b""),
    "cut in the middle": streamed(BEGUN, last=b""),
    "reset in the middle": streamed(BEGUN, last=b"", reset=True),
    "cut within an event": streamed(BEGUN, REST[:40], last=b""),
    "ended in the middle": streamed(BEGUN),
    "ended within an event": streamed(BEGUN, REST[:40]),
    "no event": streamed(),
    "HTML in a stream": streamed(b"<html>Welcome</html>\n\n"),
    "half of the JSON in an event": streamed(BEGUN, event(b'{"choices": [{"del'), DONE),
    "nothing but the last word": streamed(DONE),
    "no choices in any event": streamed(event({"id": "x"}), DONE),
    "an error first": streamed(event(CRASH)),
    "an error in the middle": streamed(BEGUN, event(CRASH), DONE),
    "an error in the middle, 429": streamed(BEGUN, event({"error": {"message": "slow down", "code": 429}})),
    "an error in the middle, rate": streamed(
        BEGUN, event(refusal("Rate limit reached", "rate_limit_exceeded"))
    ),
    "an error in the middle, quota": streamed(
        BEGUN, event(refusal("You exceeded your current quota", "insufficient_quota"))
    ),
    "an error in the middle, long": streamed(
        BEGUN, event(refusal("the maximum context length is 8192 tokens"))
    ),
    "an error in the middle, filter": streamed(BEGUN, event(refusal("no", "content_filter"))),
}
ODD_STREAMS = {
    "an error for a choice": streamed(BEGUN, piece({"content": ""}, "error", error=DIED), DONE),
    "an error for a choice, 429": streamed(BEGUN, piece({"content": ""}, error=SLOW), DONE),
    "an error for a reason": streamed(BEGUN, piece({}, "error"), COUNTED, DONE),
    "network_error for a reason": streamed(BEGUN, piece({}, "network_error"), COUNTED, DONE),
    "a message for a piece": streamed(event({**ANSWER, "usage": None}), DONE),
    "201": streamed(BEGUN, REST, END, COUNTED, DONE, status=201),
    "counts with a point": streamed(BEGUN, END, counted(12.0, 3.0), DONE),
    "counts as texts": streamed(BEGUN, END, counted("12", "3"), DONE),
    "counts and then less": streamed(BEGUN, END, COUNTED, event(answered(usage={"total_tokens": 15})), DONE),
    "thoughts": streamed(*(piece({"content": text}) for text in THOUGHTS), BEGUN, END, COUNTED, DONE),
    "thoughts begun in the prompt": streamed(
        *(piece({"content": text}) for text in THOUGHTS[1:]), BEGUN, END, COUNTED, DONE
    ),
    "thoughts and no answer": streamed(
        *(piece({"content": text}) for text in THOUGHTS[:2]), piece({}, "length"), COUNTED, DONE
    ),
    "a reason of Google's": streamed(BEGUN, piece({}, "SAFETY"), COUNTED, DONE),
    "a reason of Cohere's": streamed(BEGUN, piece({}, "COMPLETE"), COUNTED, DONE),
    "a new reason": streamed(BEGUN, piece({}, "something new"), COUNTED, DONE),
    "a letter in two pieces": streamed(
        piece({"content": "\ud83d"}), piece({"content": "\ude00"}), END, COUNTED
    ),
    "no line after the last word": streamed(BEGUN, REST, DONE[:-2]),
    "no line after the reason": streamed(BEGUN, REST, END[:-2]),
    "no line after the counts": streamed(BEGUN, END, COUNTED[:-2]),
    "JSON of another kind": whole(ANSWER, kind="text/plain"),
}
WHOLE_STREAMS = {
    "no last word": streamed(BEGUN, REST, END),
    "no counts": streamed(BEGUN, REST, END, DONE),
    "cut after the reason": streamed(BEGUN, REST, END, last=b""),
    "no reason": streamed(BEGUN, REST, DONE),
    "neither text nor counts": streamed(END, DONE),
    "in one piece all the same": whole(ANSWER),
}
ALL = {
    **{f"{name}, {way}": fault for way in ("whole", "streamed") for name, fault in FAULTS.items()},
    **{f"{name}, whole": fault for name, fault in ODD.items()},
    **{f"{name}, streamed": fault for name, fault in (STREAM_FAULTS | ODD_STREAMS | WHOLE_STREAMS).items()},
}
OWN = frozenset({"together", "local"})  # providers that litellm speaks to with handlers of its own
# By fault: the providers for which litellm tells something else, and why.
DIFFERENCES = {
    **{
        f"504 in HTML, {way}": ({"openai", *OWN}, "litellm reads 'Time-out' and takes it for its own limit")
        for way in ("whole", "streamed")
    },
    "error with 200, streamed": (
        {"openai"},
        "OpenAI's library finds no event in JSON, and litellm shows no more",
    ),
    "in one piece all the same, streamed": (
        {"openai", *OWN},
        "litellm loses a text that was to be streamed and is not; its own handlers keep the counts",
    ),
    "no reason, streamed": (
        {"openai", *OWN},
        "litellm hides the last word: without it, no reason means cut off; its own handlers make one up",
    ),
    "JSON of another kind, streamed": (
        {"openai", *OWN},
        "litellm loses a text that was to be streamed and is not, whatever its kind",
    ),
    **{
        f"{name}, streamed": (OWN, "litellm's own handlers keep no error, and no reason but those they know")
        for name in (
            "an error for a choice",
            "an error for a reason",
            "network_error for a reason",
            "a new reason",
        )
    },
    "an error for a choice, 429, streamed": (
        {"openai", *OWN},
        "litellm keeps of a choice what it knows: no reason then means cut off",
    ),
    "no line after the last word, streamed": (
        {"openai", *OWN},
        "litellm hides the last word, as above; OpenAI's library drops an event without its line",
    ),
    **{
        f"no line after the {name}, streamed": (
            {"openai"},
            "OpenAI's library drops the last event without its empty line",
        )
        for name in ("reason", "counts")
    },
    "neither text nor counts, streamed": (
        {"openai", *OWN},
        "through litellm, it looks like an answer that could not be read, and is taken for one",
    ),
    "half of the JSON in an event, streamed": (OWN, "litellm's own handlers skip what they cannot read"),
    "an error in the middle, filter, streamed": (
        OWN,
        "litellm keeps the text of the error alone, not its code",
    ),
}
# litellm sends a second request after a reset, and nothing switches that off.
SENT_TWICE = frozenset(f"reset, {way} {provider}" for way in ("whole", "streamed") for provider in OWN)


def plays(wire, fault: Fault) -> None:
    """Let the server do this to every request."""

    async def answer(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        for part in fault.pieces:
            transport.write(part)
        if fault.reset:
            at_once = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        transport.close()
        return web.StreamResponse()

    wire.answer = answer


def lanes(wire, provider: str, *, stream: bool) -> tuple[DirectProvider, LitellmProvider]:
    """Both ways to this provider."""
    through = LitellmProvider(MODELS[provider][0], wire.url, KEY, stream=stream)
    return DirectProvider(wire.url, KEY, stream=stream), through


async def outcome(lane: Provider, call: Call) -> tuple[object, ...]:
    """What became of a call, as far as anybody acts on it."""
    try:
        reply = await lane.complete(call)
    except ProviderFault as fault:
        return (fault.kind, fault.billed, fault.retry_after_s)
    finally:
        await lane.close()
    return (reply.text, reply.finish_reason, reply.usage)


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("name", ALL)
def test_a_fault_is_the_same_through_either_lane(wire, run, name, provider):
    """Kind, whether it may have been billed, and how long to wait; what is whole is read alike."""
    plays(wire, ALL[name])
    call = a_call(settings=a_settings(model=f"{provider}/{MODELS[provider][1]}"))
    direct, through = lanes(wire, provider, stream=name.endswith("streamed"))
    ours, sent = run(outcome(direct, call)), len(wire.requests)
    theirs = run(outcome(through, call))
    assert sent == 1
    assert len(wire.requests) - sent == (2 if f"{name} {provider}" in SENT_TWICE else 1)
    if provider in DIFFERENCES.get(name, ((), ""))[0]:
        assert ours != theirs
    else:
        assert ours == theirs


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_hang_is_left_to_the_engine(wire, run, stream, begun):
    """Neither lane gives up by itself: who waits may stop waiting, also in the middle of an answer."""
    asked, over = threading.Event(), threading.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if begun:
            await response.prepare(request)
            await response.write(BEGUN)
        asked.set()
        await asyncio.to_thread(over.wait)
        return response

    async def act(lane: Provider) -> None:
        asked.clear()
        waiting = asyncio.create_task(lane.complete(a_call(settings=a_settings(model="openai/gpt-4o-mini"))))
        await asyncio.to_thread(asked.wait)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await lane.close()

    wire.answer = answer
    try:
        for lane in lanes(wire, "openai", stream=stream):
            run(act(lane))
    finally:
        over.set()
