"""Every format of the simulator: questions out of bodies, bodies and events out of answers, errors."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Message, Reply, Usage
from harness.testing.protocols.routes import wire_of
from harness.testing.traffic import Level
from harness.testing.wire import Letter, Question, Refusal, Wire, pieces_of

USAGE = Usage(
    input_tokens=70, cached_input_tokens=20, cache_write_tokens=10, output_tokens=50, reasoning_tokens=8
)
REPLY = Reply(text="one two\n three ", finish_reason="stop", usage=USAGE, served_by="small")
TURNS = (
    Message("system", "Be brief."),
    Message("user", "größer?"),
    Message("assistant", "ja"),
    Message("user", "und?"),
)
SETTINGS = {"temperature": 0.5, "max_output_tokens": 64}

CONVERSE = "/model/m/converse"
RAW_PREDICT = "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict"

# One question as each format writes it.
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "m",
        "messages": [{"role": turn.role, "content": turn.content} for turn in TURNS],
        "temperature": 0.5,
        "max_tokens": 64,
    },
    "/v1/responses": {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "größer?"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "ja"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "und?"}]},
        ],
        "temperature": 0.5,
        "max_output_tokens": 64,
    },
    "/v1/messages": {
        "model": "m",
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "größer?"},
            {"role": "assistant", "content": "ja"},
            {"role": "user", "content": [{"type": "text", "text": "und?"}]},
        ],
        "temperature": 0.5,
        "max_tokens": 64,
    },
    "/v1beta/models/m:generateContent": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"parts": [{"text": "größer?"}]},
            {"role": "model", "parts": [{"text": "ja"}]},
            {"role": "user", "parts": [{"text": "un"}, {"text": "d?"}]},
        ],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 64},
    },
    "/api/chat": {
        "model": "m",
        "messages": [{"role": turn.role, "content": turn.content} for turn in TURNS],
        "options": {"temperature": 0.5, "num_predict": 64},
        "stream": False,
    },
    CONVERSE: {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "größer?"}]},
            {"role": "assistant", "content": [{"text": "ja"}]},
            {"role": "user", "content": [{"text": "un"}, {"text": "d?"}]},
        ],
        "inferenceConfig": {"temperature": 0.5, "maxTokens": 64},
    },
    RAW_PREDICT: {
        "anthropic_version": "vertex-2023-10-16",
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "größer?"},
            {"role": "assistant", "content": "ja"},
            {"role": "user", "content": [{"type": "text", "text": "und?"}]},
        ],
        "temperature": 0.5,
        "max_tokens": 64,
    },
}
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"model": "m", "input": ["a", "b"], "dimensions": 3},
    "/models/m:batchEmbedContents": {
        "requests": [
            {"content": {"parts": [{"text": text}]}, "outputDimensionality": 3} for text in ("a", "b")
        ]
    },
    "/api/embed": {"model": "m", "input": ["a", "b"], "dimensions": 3},
}


def wire(path: str) -> Wire:
    """The format of a path."""
    found = wire_of(path)
    assert found is not None
    return found


def question(path: str, **changes: Any) -> Question | Refusal:
    """What the format of a path reads."""
    return wire(path).read({**BODIES.get(path, {}), **EMBEDDINGS.get(path, {}), **changes}, path)


def letter(path: str, reply: Reply = REPLY, **more: Any) -> Letter:
    """An answer to be written."""
    asked = question(path)
    assert isinstance(asked, Question)
    return Letter("cafe", asked, reply, **more)


@pytest.mark.parametrize("path", BODIES)
def test_one_question_is_the_same_in_every_format(path: str) -> None:
    """Roles, texts and settings come out under our own names, whatever the format calls them."""
    assert question(path) == Question("m", TURNS, SETTINGS)


@pytest.mark.parametrize("path", EMBEDDINGS)
def test_texts_to_embed_are_the_same_in_every_format(path: str) -> None:
    """So are the texts, and the length of the vectors that are asked for."""
    found = question(path)
    assert isinstance(found, Question)
    assert (found.model, found.texts, found.settings) == ("m", ("a", "b"), {"dimensions": 3})


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/v1/responses", {"frequency_penalty": 0.5}),
        ("/v1/responses", {"max_output_tokens": 15}),
        ("/v1/responses", {"input": []}),
        ("/v1/messages", {"frequency_penalty": 0.5}),
        ("/v1/messages", {"temperature": 1.5}),
        ("/v1/messages", {"max_tokens": None}),
        ("/v1/messages", {"seed": 7}),
        ("/v1/messages", {"messages": [{"role": "system", "content": "x"}]}),
        ("/v1beta/models/m:generateContent", {"generationConfig": {"max_tokens": 5}}),
        ("/v1beta/models/m:generateContent", {"generationConfig": {"temperature": 2.5}}),
        ("/v1beta/models/m:generateContent", {"contents": [{"role": "system", "parts": [{"text": "x"}]}]}),
        ("/api/chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        ("/api/chat", {"options": {"top_p": 2}}),
        ("/v1/embeddings", {"input": ["a", ""]}),
        ("/v1/embeddings", {"encoding_format": "hex"}),
        ("/api/embed", {"input": 5}),
        (CONVERSE, {"temperature": 0.5}),
        (CONVERSE, {"inferenceConfig": {"temperature": 1.5}}),
        (CONVERSE, {"messages": [{"role": "user", "content": "x"}]}),
        (RAW_PREDICT, {"model": "m"}),
        (RAW_PREDICT, {"anthropic_version": None}),
        (RAW_PREDICT, {"seed": 7}),
    ],
)
def test_what_a_provider_would_refuse_is_refused(path: str, changes: dict[str, Any]) -> None:
    """Unknown keys where the provider forbids them, values out of its range, and what is no question."""
    found = question(path, **changes)
    assert isinstance(found, Refusal)
    assert found.status == 400


def test_paths_with_and_without_a_version() -> None:
    """Clients are given addresses of either kind; a model's name may hold slashes."""
    assert wire_of("/chat/completions") is wire_of("/v1/chat/completions")
    assert wire_of("/models/m:generateContent") is wire_of("/v1beta/models/m:streamGenerateContent")
    assert wire_of("/models/m:countTokens") is None
    assert wire_of("/openai/deployments/m/chat/completions") is wire_of("/v1/chat/completions")
    assert wire_of("/openai/deployments/m/embeddings") is wire_of("/v1/embeddings")
    assert wire_of("/v1/models") is None
    assert wire_of("/model/m/converse") is wire_of("/model/m/converse-stream")
    assert wire_of("/model/m/invoke-agent") is None
    asked = wire("/models/tuned/m:embedContent").read(
        {"content": {"parts": [{"text": "a"}]}}, "/models/tuned/m:embedContent"
    )
    assert isinstance(asked, Question)
    assert asked.model == "tuned/m"


def test_bedrock_names_the_model_in_the_path_and_passes_on_what_is_the_model_s_own() -> None:
    """Its names hold colons, which a path quotes; fields of one model alone stand apart."""
    path = "/model/amazon.nova-micro-v1%3A0/converse"
    asked = wire(path).read(BODIES[CONVERSE] | {"additionalModelRequestFields": {"top_k": 5}}, path)
    assert isinstance(asked, Question)
    assert (asked.model, asked.settings["top_k"]) == ("amazon.nova-micro-v1:0", 5)


# -- answers


def test_anthropic_counts_a_prompt_in_three_parts() -> None:
    """Fresh tokens, those written to the cache and those read from it do not overlap."""
    body = json.loads(wire("/v1/messages").write(letter("/v1/messages")))
    assert body["content"] == [{"type": "text", "text": REPLY.text}]
    assert body["usage"] == {
        "input_tokens": 40,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 20,
        "output_tokens": 50,
    }


def test_gemini_counts_thoughts_apart() -> None:
    """The answer's own tokens, and the thoughts beside them."""
    path = "/v1beta/models/m:generateContent"
    assert json.loads(wire(path).write(letter(path)))["usageMetadata"] == {
        "promptTokenCount": 70,
        "cachedContentTokenCount": 20,
        "candidatesTokenCount": 42,
        "thoughtsTokenCount": 8,
        "totalTokenCount": 120,
    }


def test_bedrock_counts_cached_tokens_apart() -> None:
    """Those read from the cache and written to it are not among the input's, but in the total."""
    usage = json.loads(wire(CONVERSE).write(letter(CONVERSE)))["usage"]
    assert usage == {
        "inputTokens": 40,
        "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 10,
        "outputTokens": 50,
        "totalTokens": 120,
    }


def events_of(path: str, reply: Reply = REPLY) -> list[dict[str, Any]]:
    """The JSON of all events of a streamed answer."""
    events = wire(path).events
    assert events is not None
    if path == CONVERSE:
        # Amazon's own library takes the frames apart, and checks their sums.
        frames = EventStreamBuffer()
        frames.add_data(b"".join(events(letter(path, reply))))
        return [json.loads(frame.payload) for frame in frames]
    lines = b"".join(events(letter(path, reply))).decode().split("\n")
    said = [line.removeprefix("data: ") for line in lines if line.startswith(("data: ", "{"))]
    return [json.loads(one) for one in said if one != "[DONE]"]


def text_of(path: str, reply: Reply = REPLY) -> str:
    """The text that the events of a stream add up to."""
    said = events_of(path, reply)
    match path:
        case "/v1/responses":
            return "".join(one["delta"] for one in said if one["type"] == "response.output_text.delta")
        case "/model/m/converse":
            return "".join(one["delta"]["text"] for one in said if "delta" in one)
        case "/v1/messages" | "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict":
            return "".join(one["delta"]["text"] for one in said if one["type"] == "content_block_delta")
        case "/api/chat":
            return "".join(one["message"]["content"] for one in said)
        case "/v1/chat/completions":
            return "".join(c["delta"].get("content", "") for one in said for c in one["choices"])
        case _:
            return "".join(one["candidates"][0]["content"]["parts"][0]["text"] for one in said)


@pytest.mark.parametrize("path", BODIES)
@given(st.text())
def test_the_pieces_of_a_stream_are_the_text(path: str, text: str) -> None:
    """In every format, whatever the text."""
    text = text.encode("utf-8", "replace").decode()
    assert text_of(path, Reply(text=text, finish_reason="stop", usage=USAGE)) == text


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_has_an_event_for_each_word(path: str) -> None:
    """So that the time of the first one means something."""
    assert len(events_of(path)) >= len(pieces_of(REPLY.text or ""))


def test_the_last_event_tells_the_counts() -> None:
    """Where each format has them, and in none before but the prompt's."""
    assert events_of("/v1/responses")[-1]["response"]["usage"]["output_tokens"] == 50
    assert events_of("/v1/messages")[-2]["usage"] == {"output_tokens": 50}
    assert events_of("/v1/messages")[0]["message"]["usage"]["cache_read_input_tokens"] == 20
    assert events_of("/api/chat")[-1]["eval_count"] == 50
    assert events_of(CONVERSE)[-1]["usage"]["outputTokens"] == 50
    *before, last = (one["usageMetadata"] for one in events_of("/v1beta/models/m:generateContent"))
    assert [one.get("candidatesTokenCount") for one in before] == [None] * 3
    assert last["candidatesTokenCount"] == 42


def test_vectors_come_as_numbers_or_packed() -> None:
    """OpenAI's library asks for base64 and unpacks 32-bit floats."""
    reply = Reply(vectors=(struct.pack("<2f", 0.5, -1.0),), usage=USAGE, served_by="m")
    plain, packed = (
        Letter("cafe", Question("m", (), {}, texts=("a",), form=form), reply) for form in ("float", "base64")
    )
    write = wire("/v1/embeddings").write
    assert json.loads(write(plain))["data"][0]["embedding"] == [0.5, -1.0]
    raw = base64.b64decode(json.loads(write(packed))["data"][0]["embedding"])
    assert struct.unpack("<2f", raw) == (0.5, -1.0)


# -- errors and limits

LIMIT = Refusal(429, "rate_limit_exceeded", "Rate limit reached.", retry_after_s=2.5)
QUOTA = Refusal(429, "insufficient_quota", "You exceeded your current quota.")


@pytest.mark.parametrize(
    ("path", "refusal", "status", "said"),
    [
        ("/v1/messages", LIMIT, 429, "rate_limit_error"),
        ("/v1/messages", QUOTA, 400, "credit balance"),
        ("/v1/messages", Refusal(529, "overloaded", "Overloaded"), 529, "overloaded_error"),
        ("/v1/messages", Refusal(500, "server_error", "x"), 500, "api_error"),
        ("/models/m:generateContent", LIMIT, 429, '"retryDelay":"2.5s"'),
        ("/models/m:generateContent", LIMIT, 429, "PerMinute"),
        ("/models/m:generateContent", QUOTA, 429, "PerDay"),
        ("/models/m:generateContent", Refusal(401, "invalid_api_key", "x"), 400, "API_KEY_INVALID"),
        ("/models/m:generateContent", Refusal(529, "overloaded", "x"), 503, "UNAVAILABLE"),
        ("/api/chat", Refusal(404, "model_not_found", "model 'm' not found"), 404, "model 'm' not found"),
        (CONVERSE, LIMIT, 429, "Too many requests"),
        (CONVERSE, QUOTA, 429, "Too many tokens per day"),
        (CONVERSE, Refusal(401, "invalid_api_key", "x"), 403, "security token"),
        (CONVERSE, Refusal(529, "overloaded", "x"), 503, "unable to process"),
        (RAW_PREDICT, LIMIT, 429, "RESOURCE_EXHAUSTED"),
        (RAW_PREDICT, Refusal(401, "invalid_api_key", "x"), 401, "UNAUTHENTICATED"),
        (RAW_PREDICT, Refusal(400, "context_length_exceeded", "x"), 400, "prompt is too long"),
    ],
)
def test_an_error_has_the_provider_s_own_status_and_words(
    path: str, refusal: Refusal, status: int, said: str
) -> None:
    """One reason, six ways to say it."""
    refused = wire(path).refuse(refusal)
    assert (refused.status, said in refused.body.decode()) == (status, True)


def test_bedrock_names_the_kind_of_an_error_in_a_header() -> None:
    """Amazon's libraries make their exceptions of it."""
    assert wire(CONVERSE).refuse(LIMIT).headers == b"x-amzn-ErrorType: ThrottlingException\r\n"


def test_limits_are_told_as_each_provider_does() -> None:
    """OpenAI in seconds to go, Anthropic as a moment, Google and Ollama not at all."""
    level = Level(rpm=60, left=12, full_s=48.0)
    told = wire("/v1/messages").limits(level, 1_767_225_600.0)
    assert b"anthropic-ratelimit-requests-remaining: 12\r\n" in told
    assert b"anthropic-ratelimit-requests-reset: 2026-01-01T00:00:48Z\r\n" in told
    assert b"x-ratelimit-reset-requests: 48s\r\n" in wire("/v1/responses").limits(level, 0.0)
    assert wire("/api/chat").limits(level, 0.0) == b""
    assert wire("/models/m:generateContent").limits(level, 0.0) == b""
