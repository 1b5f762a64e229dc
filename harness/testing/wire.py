"""Formats in which providers are spoken to: the OpenAI chat format, and the place for others.

In: the JSON body of a request. Out: the question in it; and for an answer the body to send. A format
is one `Wire`: four small functions. None of them knows who answers, when, or what goes wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from harness.records import JsonValue, Message, Reply, Role

UsageState = Literal["true", "missing", "wrong"]
# The same request gets the same bytes, so its moment of creation is always the same one.
CREATED = 1_767_225_600
_PIECE = re.compile(r"\s*\S+|\s+$")
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in our own words. settings: what was sent along, under the names of `Settings`.

    model: as the body names it. stream_usage: whether a stream is to end with its token counts.
    """

    model: str
    messages: tuple[Message, ...]
    settings: Mapping[str, JsonValue]
    stream: bool = False
    stream_usage: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question that gets no answer. code: the provider's word for why. param: the key at fault."""

    status: int
    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """An answer to be written. id: of the answer. usage: how its token counts are told."""

    id: str
    question: Question
    reply: Reply
    usage: UsageState = "true"


@dataclass(frozen=True, slots=True)
class Wire:
    """One format. read: a body's question. write: an answer's body. refuse: an error's body.

    events: a streamed answer as the server-sent events to send one after the other, the first of them
    at the time of the first token.
    """

    name: str
    read: Callable[[Mapping[str, Any]], Question | Refusal]
    write: Callable[[Letter], bytes]
    events: Callable[[Letter], Sequence[bytes]]
    refuse: Callable[[Refusal], bytes]


def to_json(value: object) -> bytes:
    """The value as compact JSON in UTF-8; a lone surrogate becomes a question mark."""
    return _JSON.encode(value).encode("utf-8", "replace")


def pieces_of(text: str) -> list[str]:
    """A text as it is streamed: a word each, with the blanks before it; joined, the pieces are the text."""
    return _PIECE.findall(text)


# -- OpenAI, POST /v1/chat/completions

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
# How an answer is delivered, not what it says.
_DELIVERY = frozenset({"model", "messages", "stream", "stream_options", "n", "user"})
_LIMITS = ("max_tokens", "max_completion_tokens")
_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "requests",
    529: "overloaded_error",
}


def read_openai_chat(body: Mapping[str, Any]) -> Question | Refusal:
    """The question of a chat completion request; keys that are null count as not sent."""
    model, stream = body.get("model"), body.get("stream") or False
    if not isinstance(model, str) or not model:
        return _invalid("model", model, "the name of a model")
    if not isinstance(stream, bool):
        return _invalid("stream", stream, "true or false")
    if body.get("n") not in (None, 1):
        return _invalid("n", body["n"], "1, this simulator gives one choice")
    messages = _openai_messages(body.get("messages"))
    if isinstance(messages, Refusal):
        return messages
    settings = _openai_settings(body)
    if isinstance(settings, Refusal):
        return settings
    options = body.get("stream_options")
    usage = isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
    return Question(model, messages, settings, stream, stream and usage)


def write_openai_chat(letter: Letter) -> bytes:
    """The body of a chat completion."""
    reply = letter.reply
    body: dict[str, Any] = {
        "id": letter.id,
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.served_by,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text, "refusal": None},
                "logprobs": None,
                "finish_reason": reply.finish_reason,
            }
        ],
    }
    if letter.usage != "missing":
        body["usage"] = _openai_usage(letter)
    return to_json(body)


def openai_chat_events(letter: Letter) -> list[bytes]:
    """The chunks of a streamed chat completion: role, words, finish reason, usage if asked for, `[DONE]`."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in pieces_of(letter.reply.text or "")]
    chunks = [_openai_chunk(letter, delta, None) for delta in deltas]
    chunks.append(_openai_chunk(letter, {}, letter.reply.finish_reason))
    if letter.question.stream_usage and letter.usage != "missing":
        last = _openai_chunk(letter, {}, None)
        chunks.append(last | {"choices": [], "usage": _openai_usage(letter)})
    return [*(b"data: " + to_json(chunk) + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


def refuse_openai(refusal: Refusal) -> bytes:
    """The body of an error."""
    kind = _ERROR_TYPES.get(
        refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error"
    )
    if refusal.code == "insufficient_quota":
        kind = refusal.code
    error = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}
    return to_json({"error": error})


def _openai_messages(found: object) -> tuple[Message, ...] | Refusal:
    if not isinstance(found, list) or not found:
        return _invalid("messages", found, "a list of one message or more")
    messages: list[Message] = []
    for one in cast("list[object]", found):
        turn = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        role, content = _ROLES.get(str(turn.get("role"))), _openai_content(turn.get("content"))
        if role is None or content is None:
            return _invalid(f"messages[{len(messages)}]", one, "a role and a text")
        messages.append(Message(role, content))
    return tuple(messages)


def _openai_content(content: object) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [cast("dict[str, Any]", p) if isinstance(p, dict) else {} for p in cast("list[object]", content)]
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    return "".join(map(str, texts)) if len(texts) == len(parts) else None


def _openai_settings(body: Mapping[str, Any]) -> dict[str, Any] | Refusal:
    settings: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name in _DELIVERY:
            continue
        if name in _RANGES:
            low, high = _RANGES[name]
            if type(value) not in (int, float) or not low <= value <= high:
                return _invalid(name, value, f"a number from {low:g} to {high:g}")
        elif name in _LIMITS:
            if type(value) is not int or value < 1:
                return _invalid(name, value, "a whole number from 1")
            name = "max_output_tokens"  # noqa: PLW2901 - two names of one setting
        elif name == "seed" and type(value) is not int:
            return _invalid(name, value, "a whole number")
        elif name == "stop" and isinstance(value, str):
            value = [value]  # noqa: PLW2901 - one text means a list of it
        settings[name] = value
    return settings


def _openai_chunk(letter: Letter, delta: Mapping[str, str], finish_reason: str | None) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "id": letter.id,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": letter.reply.served_by,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
    if letter.question.stream_usage:
        chunk["usage"] = None
    return chunk


def _openai_usage(letter: Letter) -> dict[str, Any]:
    if letter.usage == "wrong":
        return {"prompt_tokens": -1, "completion_tokens": "many", "total_tokens": None}
    usage = letter.reply.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _invalid(param: str, value: object, expected: str) -> Refusal:
    shown = repr(value)[:80]
    return Refusal(400, "invalid_value", f"Invalid '{param}': found {shown}, expected {expected}.", param)


OPENAI_CHAT = Wire(
    name="openai chat",
    read=read_openai_chat,
    write=write_openai_chat,
    events=openai_chat_events,
    refuse=refuse_openai,
)
