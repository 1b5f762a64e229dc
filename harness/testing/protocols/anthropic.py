"""Anthropic's messages, `POST /v1/messages`.

In: the body of a request. Out: the question in it, and the bodies, events and errors that answer it.
Source: Anthropic's API reference: Messages, Streaming messages, Errors, Rate limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from harness.records import Message
from harness.testing.tokens import TOOLS_PROMPT, count_json_tokens
from harness.testing.traffic import Level
from harness.testing.wire import (
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
    word,
)

_KEYS: Mapping[str, Key] = {
    "temperature": number("temperature", 0, 1),
    "top_p": number("top_p", 0, 1),
    "top_k": whole("top_k", 0),
    "max_tokens": whole("max_output_tokens", 1),
    "stop_sequences": texts("stop"),
    "reasoning_effort": word("reasoning_effort"),
}
_BESIDE = frozenset(
    {
        *("model", "messages", "system", "stream", "thinking", "output_config", "metadata", "service_tier"),
        *("tools", "tool_choice", "cache_control", "context_management", "output_format"),
    }
)
_STOP_REASONS = {"length": "max_tokens", "refusal": "refusal", "content_filter": "refusal"}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
# Where Anthropic's status or words differ from OpenAI's, by OpenAI's code.
_WORDS: Mapping[str, tuple[int, str]] = {
    "insufficient_quota": (
        400,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    ),
    "rate_limit_exceeded": (
        429,
        "This request would exceed your organization's rate limit of 50 requests per minute.",
    ),
    "context_length_exceeded": (400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "content_policy_violation": (400, "Output blocked by content filtering policy"),
}


def read(body: Mapping[str, Any], path: str = "") -> Question | Refusal:
    """The question of a messages request; the answer's limit must be given."""
    del path
    model = model_of(body)
    if isinstance(model, Refusal):
        return model
    if body.get("max_tokens") is None:
        return Refusal(400, "missing_parameter", "max_tokens: Field required", "max_tokens")
    messages = _messages(body)
    if isinstance(messages, Refusal):
        return messages
    output = mapping(body.get("output_config"))
    effort = output.get("effort")
    settings = take_settings({**body, "reasoning_effort": effort}, _KEYS, beside=_BESIDE, strict=True)
    if isinstance(settings, Refusal):
        return settings
    budget = mapping(body.get("thinking")).get("budget_tokens")
    if budget is not None:
        settings["thinking_budget_tokens"] = budget
    stream = body.get("stream") is True
    tools, form = body.get("tools"), body.get("output_format") or output.get("format")
    beside_tokens = count_json_tokens(tools, form) + (TOOLS_PROMPT if tools else 0)
    return Question(model, messages, settings, stream, stream_usage=stream, beside_tokens=beside_tokens)


def write(letter: Letter) -> bytes:
    """The body of a message."""
    text = "" if letter.reply.finish_reason == "refusal" else letter.reply.text or ""
    message = _message(letter)
    message |= {"content": [{"type": "text", "text": text}] if text else []}
    if letter.usage != "missing":
        message["usage"] = _input_usage(letter) | _output_usage(letter)
    return to_json(message)


def events(letter: Letter) -> list[bytes]:
    """The events of a streamed message: a start with the prompt's tokens, words, an end with the rest."""
    start: dict[str, Any] = _message(letter) | {"content": [], "stop_reason": None}
    end: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": _reason(letter), "stop_sequence": None},
    }
    if letter.usage != "missing":
        start["usage"] = _input_usage(letter) | {"output_tokens": 1}
        end["usage"] = _output_usage(letter)
    text = "" if letter.reply.finish_reason == "refusal" else letter.reply.text or ""
    said: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces_of(text)
        ),
        {"type": "content_block_stop", "index": 0},
        end,
        {"type": "message_stop"},
    ]
    return [event(one, str(one["type"])) for one in said]


def refuse(refusal: Refusal) -> Refused:
    """An error: a type that follows from the status, and a message."""
    status, words = _WORDS.get(refusal.code, (refusal.status, refusal.message))
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_simulated"}
    return Refused(status, to_json(body))


def limits(level: Level, now: float) -> bytes:
    """The header lines of a limit on requests."""
    full_at = datetime.fromtimestamp(now + level.full_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"anthropic-ratelimit-requests-limit: {level.rpm}\r\n"
        f"anthropic-ratelimit-requests-remaining: {level.left}\r\n"
        f"anthropic-ratelimit-requests-reset: {full_at}\r\n"
    ).encode("ascii")


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...] | Refusal:
    system, found = body.get("system"), body.get("messages")
    messages: list[Message] = []
    if system is not None:
        content = joined_parts(system, "text")
        if content is None:
            return invalid("system", system, "a text")
        messages.append(Message("system", content))
    if not isinstance(found, list) or not found:
        return invalid("messages", found, "a list of one message or more")
    for number_, one in enumerate(cast("list[object]", found)):
        turn = mapping(one)
        role, content = turn.get("role"), joined_parts(turn.get("content"), "text")
        if role not in ("user", "assistant") or content is None:
            return invalid(f"messages.{number_}", one, "a role, user or assistant, and a text")
        messages.append(Message(role, content))
    return tuple(messages)


def _message(letter: Letter) -> dict[str, Any]:
    return {
        "id": f"msg_{letter.id}",
        "type": "message",
        "role": "assistant",
        "model": letter.reply.served_by,
        "stop_reason": _reason(letter),
        "stop_sequence": None,
    }


def _reason(letter: Letter) -> str:
    return _STOP_REASONS.get(letter.reply.finish_reason or "", "end_turn")


def _input_usage(letter: Letter) -> dict[str, Any]:
    """The prompt's tokens in three counts that do not overlap: fresh, written to the cache, read from it."""
    if letter.usage == "wrong":
        return {"input_tokens": -1}
    usage = letter.reply.usage
    read_, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    return {
        "input_tokens": (usage.input_tokens or 0) - read_ - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read_,
    }


def _output_usage(letter: Letter) -> dict[str, Any]:
    return {"output_tokens": "many" if letter.usage == "wrong" else letter.reply.usage.output_tokens}


ANTHROPIC = Wire(
    name="anthropic messages", read=read, write=write, events=events, refuse=refuse, limits=limits
)
