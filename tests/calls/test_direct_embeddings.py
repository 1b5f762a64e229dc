"""Embeddings in the direct lane: what is on the wire, and what every answer means."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.provider import ProviderFault
from harness.records import Call, Reply, Settings, Usage
from harness.testing.http_server import SimulatorServer
from harness.testing.vectors import vectors_of
from harness.vectors import packed

KEY = "my-own-secret-key"
TEXTS = ("Where is my parcel?", "größer 日本 \U0001f600")


def a_request(texts: tuple[str, ...] = TEXTS, **extra: Any) -> Call:
    """A request for the vectors of these texts."""
    settings = Settings(model="openai/text-embedding-3-small", prompt="plain", extra=extra)
    return Call(settings=settings, sample_id="s1", texts=texts, purpose="embed")


def complete(url: str, call: Call | None = None) -> Reply:
    """One answer from this address."""

    async def act() -> Reply:
        provider = DirectProvider(url, KEY)
        try:
            return await provider.complete(call or a_request())
        finally:
            await provider.close()

    return asyncio.run(act())


def fault_of(url: str) -> ProviderFault:
    """The fault that a request to this address brings."""
    with pytest.raises(ProviderFault) as caught:
        complete(url)
    return caught.value


def an_answer(*vectors: object, indices: object = None, **changes: Any) -> dict[str, Any]:
    """An answer in the OpenAI embeddings format."""
    places = range(len(vectors)) if indices is None else indices
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in zip(places, vectors, strict=True)
    ]
    usage = {"prompt_tokens": 14, "total_tokens": 14}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage, **changes}


def in_base64(*numbers: float) -> str:
    """As OpenAI packs a vector."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_the_request_is_exactly_what_was_asked(wire):
    """One POST with all texts, what is sent along, and the compact form of vectors."""
    wire.says(an_answer([1.0], [2.0]))
    complete(wire.url, a_request(dimensions=256, user="nobody"))
    (request,) = wire.requests
    assert request.path == "/v1/embeddings"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "text-embedding-3-small",
        "input": list(TEXTS),
        "encoding_format": "base64",
        "dimensions": 256,
        "user": "nobody",
    }


def test_a_form_of_ones_own_is_asked_for(wire):
    """For a server that refuses base64."""
    wire.says(an_answer([1.0], [2.0]))
    complete(wire.url, a_request(encoding_format="float"))
    assert wire.requests[0].body["encoding_format"] == "float"


@pytest.mark.parametrize("form", [in_base64, lambda *numbers: list(numbers)], ids=["base64", "numbers"])
def test_vectors_are_read_in_either_form(wire, form):
    """A server that does not know base64 sends numbers all the same; both end as the same bytes."""
    wire.says(an_answer(form(0.25, -1.5), form(3, 4)))
    assert complete(wire.url) == Reply(
        vectors=(packed([0.25, -1.5]), packed([3.0, 4.0])),
        finish_reason="stop",
        usage=Usage(input_tokens=14, cached_input_tokens=0, output_tokens=0, reasoning_tokens=0),
        served_by="text-embedding-3-small",
    )


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1}, {"prompt_tokens": "many"}])
def test_tokens_that_nobody_states_are_unknown(wire, usage):
    """Not zero; what was generated is none, whoever answers."""
    wire.says(an_answer([1.0], [2.0], usage=usage))
    found = complete(wire.url).usage
    assert (found.input_tokens, found.output_tokens) == (None, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (an_answer([1.0], [2.0], indices=(1, 0)), "2 vectors with the indices 1, 0 for 2 texts"),
        (an_answer([1.0], [2.0], indices=(0, 0)), "2 vectors with the indices 0, 0 for 2 texts"),
        (an_answer([1.0]), "1 vectors with the indices 0 for 2 texts"),
        (an_answer(), "0 vectors with the indices none for 2 texts"),
        (an_answer([1.0], "AAA="), "a vector of 2 bytes"),
        (an_answer([1.0], "not base64!"), "unreadable"),
        (an_answer([1.0], None), "embedding is NoneType, neither numbers nor base64"),
        (an_answer([1.0], ["1"]), "unreadable"),
        (an_answer([1.0], [10**400]), "unreadable"),
        (an_answer(data={}), "data is dict, not a list"),
        (an_answer(data=["a", "b"]), "unreadable"),
        ({"object": "list"}, "unreadable"),
        ([], "unreadable"),
        (b"<html>", "unreadable"),
    ],
)
def test_an_answer_that_is_none_is_a_fault(wire, body, words):
    """Whose vector is whose is never guessed; the answer was made, so it may be on the bill."""
    wire.says(body)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == ("malformed", True)
    assert words in fault.message


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Invalid 'input[3]': maximum input length is 8192 tokens.", "too_long"),
        (400, "Invalid 'input': maximum request size is 300000 tokens per request.", "too_long"),
        (400, "This model's maximum context length is 8192 tokens, however you requested 9000", "too_long"),
        (413, "too large", "too_long"),
        (400, "This model does not support specifying dimensions.", "bad_request"),
        (401, f"Incorrect API key provided: {KEY}.", "credentials"),
        (429, "Rate limit reached", "rate_limit"),
        (500, "The server had an error", "overloaded"),
    ],
)
def test_a_refusal_is_classified(wire, status, message, kind):
    """As for chat, and never with the key in it."""
    wire.says({"error": {"message": message}}, status)
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == (kind, False)
    assert KEY not in fault.message


def test_a_line_that_breaks_may_have_cost(wire):
    """The request was out."""
    wire.drops(b'{"data": [')
    fault = fault_of(wire.url)
    assert (fault.kind, fault.billed) == ("connection", True)


def test_one_provider_speaks_of_texts_and_vectors(wire, chat_answer):
    """Over connections of their own, kept by one provider."""

    async def both() -> tuple[Reply, Reply]:
        from harness.testing.builders import a_call

        provider = DirectProvider(wire.url, KEY)
        try:
            wire.says(chat_answer("billing"))
            said = await provider.complete(a_call())
            wire.says(an_answer([1.0], [2.0]))
            return said, await provider.complete(a_request())
        finally:
            await provider.close()

    said, embedded = asyncio.run(both())
    assert (said.text, said.vectors, embedded.text) == ("billing", None, None)
    assert [request.path for request in wire.requests] == ["/v1/chat/completions", "/v1/embeddings"]


def test_the_simulator_gives_the_vectors_of_the_words():
    """In base64, with its own bill."""
    with SimulatorServer() as server:
        reply = complete(f"{server.url}/v1", a_request(dimensions=12))
        assert reply.vectors == vectors_of(TEXTS, 12)
        stats = server.stats()
        assert (stats.requests, stats.charged, stats.input_tokens) == (1, 1, reply.usage.input_tokens)


@pytest.mark.parametrize(
    ("texts", "kind", "words"),
    [
        (("a",) * 2049, "bad_request", "maximum length 2048"),
        (("word " * 7000,), "too_long", "maximum input length is 8192 tokens"),
        (("word " * 6000,) * 39, "too_long", "maximum request size is 300000 tokens"),
    ],
)
def test_the_simulator_refuses_what_the_service_would(texts, kind, words):
    """More texts or tokens than a request takes, or than one text may have; such requests cost nothing."""
    with SimulatorServer() as server:
        with pytest.raises(ProviderFault, match=words) as caught:
            complete(f"{server.url}/v1", a_request(texts))
        assert caught.value.kind == kind
        assert server.stats().charged == 0
