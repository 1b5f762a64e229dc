"""Amazon Bedrock's Converse: `POST /model/{id}/converse` and `.../converse-stream`.

In: the body of a request, and its path, which names the model. Out: the question in it, and the bodies,
events and errors that answer it. Source: the Amazon Bedrock API reference (Converse, ConverseStream); for
the framing of events, the Amazon event stream encoding of the Smithy specification.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

from harness.records import Message
from harness.testing.protocols.openai_chat import DECLINED
from harness.testing.tokens import TOOLS_PROMPT, count_json_tokens
from harness.testing.wire import (
    Key,
    Letter,
    Question,
    Refusal,
    Refused,
    Wire,
    invalid,
    joined_parts,
    mapping,
    number,
    pieces_of,
    take_settings,
    texts,
    to_json,
    whole,
)

CONVERSES = ("converse", "converse-stream")
_PATH = re.compile(r"/model/(?P<model>[^/]+)/(?P<verb>[\w-]+)$")
_KEYS: Mapping[str, Key] = {
    "maxTokens": whole("max_output_tokens", 1),
    "temperature": number("temperature", 0, 1),
    "topP": number("top_p", 0, 1),
    "stopSequences": texts("stop"),
}
_BESIDE = frozenset(
    {
        *("messages", "system", "inferenceConfig", "additionalModelRequestFields", "toolConfig"),
        *("additionalModelResponseFieldPaths", "guardrailConfig", "performanceConfig", "requestMetadata"),
    }
)
# A prompt that is held back is met by a guardrail, which answers in the words that its owner gave it.
_GUARDED = "Sorry, the model cannot answer this question."
_STOP_REASONS = {
    "length": "max_tokens",
    "content_filter": "content_filtered",
    "blocked": "guardrail_intervened",
}
_ERRORS = {
    400: "ValidationException",
    403: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
# Where Bedrock's status or words differ from OpenAI's, by OpenAI's code.
_WORDS: Mapping[str, tuple[int, str]] = {
    "context_length_exceeded": (400, "Input is too long for requested model."),
    "rate_limit_exceeded": (429, "Too many requests, please wait before trying again."),
    "insufficient_quota": (429, "Too many tokens per day, please wait before trying again."),
    "overloaded": (503, "Bedrock is unable to process your request."),
}
_TEXT = 7  # type of a header's value in the event stream encoding
_COUNTED = 12  # bytes of the lengths and of their checksum
_CHECKSUM = 4


def read(body: Mapping[str, Any], path: str) -> Question | Refusal:
    """The question of a Converse request."""
    found = _PATH.search(path)
    assert found is not None, "the route has matched"
    messages = _messages(body)
    if isinstance(messages, Refusal):
        return messages
    for name in body.keys() - _BESIDE:
        return Refusal(400, "unknown_parameter", f"#: extraneous key [{name}] is not permitted", name)
    settings = take_settings(mapping(body.get("inferenceConfig")), _KEYS, strict=True)
    if isinstance(settings, Refusal):
        return settings
    settings |= mapping(body.get("additionalModelRequestFields"))
    stream = found["verb"] == "converse-stream"
    tools = mapping(body.get("toolConfig")).get("tools")
    beside_tokens = count_json_tokens(tools) + (TOOLS_PROMPT if tools else 0)
    model = unquote(found["model"])
    return Question(model, messages, settings, stream, stream_usage=stream, beside_tokens=beside_tokens)


def write(letter: Letter) -> bytes:
    """The body of an answer in one piece."""
    text = _text(letter)
    message = {"role": "assistant", "content": [{"text": text}] if text else []}
    body = {"output": {"message": message}, "stopReason": _reason(letter)}
    return to_json(body | _metadata(letter))


def events(letter: Letter) -> list[bytes]:
    """A streamed answer: one framed event a word, then the reason, then the counts."""
    said = [
        _framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}})
        for piece in pieces_of(_text(letter))
    ]
    return [
        _framed("messageStart", {"role": "assistant"}),
        *said,
        _framed("contentBlockStop", {"contentBlockIndex": 0}),
        _framed("messageStop", {"stopReason": _reason(letter)}),
        _framed("metadata", _metadata(letter)),
    ]


def refuse(refusal: Refusal) -> Refused:
    """An error: a message, and its type in a header."""
    status, words = _WORDS.get(refusal.code, (refusal.status, refusal.message))
    if refusal.code == "invalid_api_key":
        status = 403
        words = f"The security token included in the request is invalid. {refusal.message}"
    kind = _ERRORS.get(status, "ModelErrorException")
    return Refused(status, to_json({"message": words}), f"x-amzn-ErrorType: {kind}\r\n".encode("ascii"))


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...] | Refusal:
    messages: list[Message] = []
    if body.get("system"):
        system = joined_parts(body["system"], None)
        if system is None:
            return invalid("system", body["system"], "blocks with text")
        messages.append(Message("system", system))
    found = body.get("messages")
    if not isinstance(found, list) or not found:
        return invalid("messages", found, "a list of one message or more")
    for one in cast("list[object]", found):
        turn = mapping(one)
        role, content = turn.get("role"), turn.get("content")
        text = joined_parts(content, None) if isinstance(content, list) else None
        if role not in ("user", "assistant") or text is None:
            return invalid("messages", one, "a role, user or assistant, and blocks with text")
        messages.append(Message(role, text))
    return tuple(messages)


def _text(letter: Letter) -> str:
    # It has no word for a model that declines: the model's own are the answer.
    own = {"refusal": DECLINED, "content_filter": "", "blocked": _GUARDED}
    return own.get(letter.reply.finish_reason or "", letter.reply.text or "")


def _reason(letter: Letter) -> str:
    return _STOP_REASONS.get(letter.reply.finish_reason or "", "end_turn")


def _metadata(letter: Letter) -> dict[str, Any]:
    """Time and tokens; those read from the cache, or written to it, are not among the input's."""
    metadata: dict[str, Any] = {"metrics": {"latencyMs": 1}}
    usage = letter.reply.usage
    if letter.usage == "wrong":
        metadata["usage"] = {"inputTokens": -1, "outputTokens": -1, "totalTokens": -2}
    elif letter.usage == "true":
        read_, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        input_, output = usage.input_tokens or 0, usage.output_tokens or 0
        metadata["usage"] = {
            "inputTokens": input_ - read_ - written,
            "outputTokens": output,
            "totalTokens": input_ + output,
            "cacheReadInputTokens": read_,
            "cacheWriteInputTokens": written,
        }
    return metadata


def _framed(kind: str, value: object) -> bytes:
    """One event: lengths with a checksum, headers, the value as JSON, and a checksum of all of it."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(_header(name.encode(), text.encode()) for name, text in named.items())
    payload = to_json(value)
    lengths = struct.pack(">II", _COUNTED + len(headers) + len(payload) + _CHECKSUM, len(headers))
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


def _header(name: bytes, text: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _TEXT, len(text)) + text


BEDROCK = Wire(
    name="bedrock converse",
    read=read,
    write=write,
    events=events,
    refuse=refuse,
    stream_type="application/vnd.amazon.eventstream",
    blocks_in_answer=True,
)
