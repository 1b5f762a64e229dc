"""OpenAI's chat completions, `POST /v1/chat/completions`: also of Together, vLLM, llama.cpp and others.

In: the body of a request. Out: the question in it, and the bodies, chunks and errors that answer it.
Source: OpenAI's API reference, Chat Completions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

from harness.records import Message, Role
from harness.testing.tokens import count_beside_tokens
from harness.testing.traffic import Level
from harness.testing.wire import (
    CREATED,
    Key,
    Letter,
    Question,
    Refusal,
    Refused,
    Wire,
    event,
    invalid,
    joined_parts,
    mapping,
    model_of,
    number,
    pieces_of,
    take_settings,
    texts,
    to_json,
    whole,
)

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
KEYS: Mapping[str, Key] = {
    "temperature": number("temperature", 0, 2),
    "top_p": number("top_p", 0, 1),
    "frequency_penalty": number("frequency_penalty", -2, 2),
    "presence_penalty": number("presence_penalty", -2, 2),
    "max_tokens": whole("max_output_tokens", 1),
    "max_completion_tokens": whole("max_output_tokens", 1),
    "seed": whole("seed"),
    "stop": texts("stop"),
}
# Models that reason whatever they are told, and what they refuse for it; a temperature may only be 1.
# Source: OpenAI's guide to reasoning models, "Limitations"; litellm 1.106.2 refuses the same.
_REASON_ALWAYS = re.compile(r"gpt-5(-mini|-nano|-pro)?(-\d{4}-\d\d-\d\d)?|o\d.*")
_NOT_OF_REASONERS = ("top_p", "frequency_penalty", "presence_penalty")
# How an answer is delivered, not what it says.
_DELIVERY = frozenset({"model", "messages", "stream", "stream_options", "n", "user"})
_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "requests",
    529: "overloaded_error",
}
DECLINED = "I'm sorry, but I can't help with that."


def read(body: Mapping[str, Any], path: str = "") -> Question | Refusal:
    """The question of a chat completion request; keys that are null count as not sent."""
    del path
    model, stream = model_of(body), body.get("stream") or False
    if isinstance(model, Refusal):
        return model
    if not isinstance(stream, bool):
        return invalid("stream", stream, "true or false")
    if body.get("n") not in (None, 1):
        return invalid("n", body["n"], "1, this simulator gives one choice")
    messages = _messages(body.get("messages"))
    if isinstance(messages, Refusal):
        return messages
    settings = take_settings(body, KEYS, beside=_DELIVERY, strict=False)
    if isinstance(settings, Refusal):
        return settings
    refusal = _refuse_sampling(model, settings)
    if refusal is not None:
        return refusal
    usage = mapping(body.get("stream_options")).get("include_usage") is True
    beside_tokens = count_beside_tokens(settings)
    return Question(model, messages, settings, stream, stream and usage, beside_tokens=beside_tokens)


def write(letter: Letter) -> bytes:
    """The body of a chat completion."""
    reply = letter.reply
    declined = reply.finish_reason == "refusal"
    message = {
        "role": "assistant",
        "content": None if declined else reply.text,
        "refusal": DECLINED if declined else None,
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(letter)}
    body: dict[str, Any] = {
        "id": f"chatcmpl-{letter.id}",
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.served_by,
        "choices": [choice],
    }
    if letter.usage != "missing":
        body["usage"] = _usage(letter)
    return to_json(body)


def events(letter: Letter) -> list[bytes]:
    """The chunks of a streamed chat completion: role, words, finish reason, usage if asked for, `[DONE]`."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    if letter.reply.finish_reason == "refusal":
        deltas.append({"refusal": DECLINED})
    else:
        deltas += [{"content": piece} for piece in pieces_of(letter.reply.text or "")]
    chunks = [_chunk(letter, delta, None) for delta in deltas]
    chunks.append(_chunk(letter, {}, _reason(letter)))
    if letter.question.stream_usage and letter.usage != "missing":
        chunks.append(_chunk(letter, {}, None) | {"choices": [], "usage": _usage(letter)})
    return [*map(event, chunks), b"data: [DONE]\n\n"]


def refuse(refusal: Refusal) -> Refused:
    """An error: a message, a type that follows from the status, the key at fault, and a code."""
    kind = _ERROR_TYPES.get(
        refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error"
    )
    if refusal.code == "insufficient_quota":
        kind = refusal.code
    error = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}
    return Refused(refusal.status, to_json({"error": error}))


def limits(level: Level, now: float) -> bytes:
    """The header lines of a limit on requests."""
    del now
    return (
        f"x-ratelimit-limit-requests: {level.rpm}\r\n"
        f"x-ratelimit-remaining-requests: {level.left}\r\n"
        f"x-ratelimit-reset-requests: {_duration(level.full_s)}\r\n"
    ).encode("ascii")


def _refuse_sampling(model: str, settings: Mapping[str, Any]) -> Refusal | None:
    """What a model that always reasons says to settings of sampling; `None` of all others."""
    if not _REASON_ALWAYS.fullmatch(model.rpartition("/")[2]):
        return None
    if settings.get("temperature", 1) != 1:
        return invalid("temperature", settings["temperature"], f"1, the only value that {model} takes")
    for name in _NOT_OF_REASONERS:
        if name in settings:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            return Refusal(400, "unsupported_parameter", message, name)
    return None


def _messages(found: object) -> tuple[Message, ...] | Refusal:
    if not isinstance(found, list) or not found:
        return invalid("messages", found, "a list of one message or more")
    messages: list[Message] = []
    for one in cast("list[object]", found):
        turn = mapping(one)
        role, content = ROLES.get(str(turn.get("role"))), joined_parts(turn.get("content"), "text")
        if role is None or content is None:
            return invalid(f"messages[{len(messages)}]", one, "a role and a text")
        messages.append(Message(role, content))
    return tuple(messages)


def _reason(letter: Letter) -> str | None:
    # A model that declines has stopped by itself.
    return "stop" if letter.reply.finish_reason == "refusal" else letter.reply.finish_reason


def _chunk(letter: Letter, delta: Mapping[str, str], finish_reason: str | None) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "id": f"chatcmpl-{letter.id}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": letter.reply.served_by,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
    if letter.question.stream_usage:
        chunk["usage"] = None
    return chunk


def _usage(letter: Letter) -> dict[str, Any]:
    if letter.usage == "wrong":
        return {"prompt_tokens": -1, "completion_tokens": "many", "total_tokens": None}
    usage = letter.reply.usage
    prompt = {"cached_tokens": usage.cached_input_tokens}
    if usage.cache_write_tokens is not None:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _duration(seconds: float) -> str:
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds / 1000, 60)
    return f"{minutes:.0f}m{rest:.3g}s" if minutes else f"{rest:.4g}s"


OPENAI_CHAT = Wire(name="openai chat", read=read, write=write, events=events, refuse=refuse, limits=limits)
