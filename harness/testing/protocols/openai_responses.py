"""OpenAI's responses, `POST /v1/responses`, for questions that are asked and answered in text.

In: the body of a request. Out: the question in it, and the bodies and events that answer it. Errors and
limits are those of chat completions. Source: OpenAI's API reference, Responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from harness.records import Message
from harness.testing.protocols.openai_chat import DECLINED, ROLES, limits, refuse
from harness.testing.tokens import count_json_tokens
from harness.testing.wire import (
    CREATED,
    Key,
    Letter,
    Question,
    Refusal,
    Wire,
    event,
    invalid,
    joined_parts,
    mapping,
    model_of,
    number,
    pieces_of,
    take_settings,
    to_json,
    whole,
    word,
)

_KEYS: Mapping[str, Key] = {
    "temperature": number("temperature", 0, 2),
    "top_p": number("top_p", 0, 1),
    "max_output_tokens": whole("max_output_tokens", 16),
    "reasoning_effort": word("reasoning_effort"),
    "top_logprobs": whole("top_logprobs", 0),
    "truncation": word("truncation"),
}
_BESIDE = frozenset(
    {
        *("model", "input", "instructions", "stream", "stream_options", "reasoning", "store", "include"),
        *("metadata", "user", "text", "service_tier", "parallel_tool_calls", "tools", "tool_choice"),
    }
)
# What a response that did not end of itself says, by our finish reason.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def read(body: Mapping[str, Any], path: str = "") -> Question | Refusal:
    """The question of a response request: its input as one text or as messages."""
    del path
    model = model_of(body)
    if isinstance(model, Refusal):
        return model
    messages = _messages(body)
    if isinstance(messages, Refusal):
        return messages
    effort = mapping(body.get("reasoning")).get("effort")
    settings = take_settings({**body, "reasoning_effort": effort}, _KEYS, beside=_BESIDE, strict=True)
    if isinstance(settings, Refusal):
        return settings
    stream = body.get("stream") is True
    form = mapping(mapping(body.get("text")).get("format")).get("schema")
    beside = count_json_tokens(body.get("tools"), form)
    return Question(model, messages, settings, stream, stream_usage=stream, beside_tokens=beside)


def write(letter: Letter) -> bytes:
    """The body of a response."""
    return to_json(_response(letter))


def events(letter: Letter) -> list[bytes]:
    """The events of a streamed response, numbered: created, its text word by word, and the whole."""
    declined = letter.reply.finish_reason == "refusal"
    kind = "refusal" if declined else "output_text"
    place = {"item_id": f"msg_{letter.id}", "output_index": 0, "content_index": 0}
    text = DECLINED if declined else letter.reply.text or ""
    begun = _response(letter) | {"status": "in_progress", "output": [], "usage": None}
    item = _message(letter)
    done = {"refusal" if declined else "text": text}
    last = "response.incomplete" if letter.reply.finish_reason in _INCOMPLETE else "response.completed"
    said: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "content": []},
        },
        {
            "type": "response.content_part.added",
            **place,
            "part": item["content"][0] | dict.fromkeys(done, ""),
        },
        *({"type": f"response.{kind}.delta", **place, "delta": piece} for piece in pieces_of(text)),
        {"type": f"response.{kind}.done", **place, **done},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": last, "response": _response(letter)},
    ]
    return [event(one | {"sequence_number": n}, str(one["type"])) for n, one in enumerate(said)]


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...] | Refusal:
    found, instructions = body.get("input"), body.get("instructions")
    messages = [Message("system", instructions)] if isinstance(instructions, str) else []
    if isinstance(found, str):
        return (*messages, Message("user", found))
    if not isinstance(found, list) or not found:
        return invalid("input", found, "a text, or a list of one message or more")
    for one in cast("list[object]", found):
        turn = mapping(one)
        content = joined_parts(turn.get("content"), "input_text", "output_text")
        role = ROLES.get(str(turn.get("role")))
        if role is None or content is None:
            return invalid("input", one, "messages of a role and a text")
        messages.append(Message(role, content))
    return tuple(messages)


def _response(letter: Letter) -> dict[str, Any]:
    reply = letter.reply
    why = _INCOMPLETE.get(reply.finish_reason or "")
    response: dict[str, Any] = {
        "id": f"resp_{letter.id}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if why else "completed",
        "error": None,
        "incomplete_details": {"reason": why} if why else None,
        "instructions": None,
        "metadata": {},
        "model": reply.served_by,
        "output": [_message(letter)],
        "parallel_tool_calls": True,
        "temperature": letter.question.settings.get("temperature"),
        "tool_choice": "auto",
        "tools": [],
        "top_p": letter.question.settings.get("top_p"),
    }
    if letter.usage != "missing":
        response["usage"] = _usage(letter)
    return response


def _message(letter: Letter) -> dict[str, Any]:
    if letter.reply.finish_reason == "refusal":
        part: dict[str, Any] = {"type": "refusal", "refusal": DECLINED}
    else:
        part = {"type": "output_text", "text": letter.reply.text or "", "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": f"msg_{letter.id}",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _usage(letter: Letter) -> dict[str, Any]:
    if letter.usage == "wrong":
        return {"input_tokens": -1, "output_tokens": "many", "total_tokens": None}
    usage = letter.reply.usage
    prompt = {"cached_tokens": usage.cached_input_tokens}
    if usage.cache_write_tokens is not None:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": prompt,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
    }


OPENAI_RESPONSES = Wire(
    name="openai responses", read=read, write=write, events=events, refuse=refuse, limits=limits
)
