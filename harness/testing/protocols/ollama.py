"""Ollama's own format: `POST /api/chat` and `POST /api/embed`.

In: the body of a request. Out: the question in it, and the bodies, lines and errors that answer it. Tokens
are counted, and nothing is cached or told apart as reasoning. Source: Ollama's API documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from harness.records import Message
from harness.testing.protocols.openai_chat import DECLINED, ROLES
from harness.testing.tokens import count_json_tokens
from harness.testing.wire import (
    CREATED_AT,
    Key,
    Letter,
    Question,
    Refusal,
    Refused,
    Wire,
    are_texts,
    invalid,
    mapping,
    model_of,
    number,
    pieces_of,
    take_settings,
    texts,
    to_json,
    whole,
)
from harness.vectors import numbers_of

_KEYS: Mapping[str, Key] = {
    "temperature": number("temperature", 0, 100),
    "top_p": number("top_p", 0, 1),
    "num_predict": whole("max_output_tokens"),
    "frequency_penalty": number("frequency_penalty", -2, 2),
    "presence_penalty": number("presence_penalty", -2, 2),
    "seed": whole("seed"),
    "stop": texts("stop"),
}
_WORDS: Mapping[str, tuple[int, str]] = {
    "context_length_exceeded": (400, "the input length exceeds the context length"),
    "overloaded": (503, "server busy, please try again.  maximum pending requests exceeded"),
}
_NANOSECONDS = dict.fromkeys(
    ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 1_000_000
)


def read(body: Mapping[str, Any], path: str = "") -> Question | Refusal:
    """The question of a chat request, which is streamed unless it says otherwise."""
    del path
    model, found = model_of(body), body.get("messages")
    if isinstance(model, Refusal):
        return model
    if not isinstance(found, list) or not found:
        return invalid("messages", found, "a list of one message or more")
    messages: list[Message] = []
    for one in cast("list[object]", found):
        turn = mapping(one)
        role, content = ROLES.get(str(turn.get("role"))), turn.get("content")
        if role is None or not isinstance(content, str):
            return invalid("messages", one, "a role and a text")
        messages.append(Message(role, content))
    # What it does not know, Ollama notes in its log and leaves out; here it stays visible.
    settings = take_settings(mapping(body.get("options")), _KEYS, strict=False)
    if isinstance(settings, Refusal):
        return settings
    if body.get("think") is not None:
        settings["think"] = body["think"]
    stream = body.get("stream", True) is not False
    # A form of answers is kept by what may be drawn: it is in no prompt.
    beside = count_json_tokens(body.get("tools"))
    return Question(model, tuple(messages), settings, stream, stream_usage=stream, beside_tokens=beside)


def write(letter: Letter) -> bytes:
    """The body of an answer in one piece."""
    return to_json(_said(letter, _text(letter)) | _end(letter))


def events(letter: Letter) -> list[bytes]:
    """A streamed answer: one JSON object a line, the last one with reason and counts."""
    said = [_said(letter, piece) for piece in pieces_of(_text(letter))]
    return [to_json(one) + b"\n" for one in (*said, _said(letter, "") | _end(letter))]


def read_embed(body: Mapping[str, Any], path: str = "") -> Question | Refusal:
    """The texts to embed: one or several."""
    del path
    model, found = model_of(body), body.get("input")
    if isinstance(model, Refusal):
        return model
    asked = [found] if isinstance(found, str) else found
    if not are_texts(asked) or not asked:
        return invalid("input", found, "a text, or a list of texts")
    keys = {"dimensions": whole("dimensions", 1)}
    settings = take_settings({"dimensions": body.get("dimensions")}, keys, strict=True)
    if isinstance(settings, Refusal):
        return settings
    return Question(model, (), settings, texts=tuple(asked))


def write_embed(letter: Letter) -> bytes:
    """The body with a vector for each text, in their order."""
    vectors = [numbers_of(vector) for vector in letter.reply.vectors or ()]
    body: dict[str, Any] = {"model": letter.reply.served_by, "embeddings": vectors}
    if letter.usage != "missing":
        tokens = -1 if letter.usage == "wrong" else letter.reply.usage.input_tokens
        body |= {"prompt_eval_count": tokens, "total_duration": 1_000_000, "load_duration": 1_000_000}
    return to_json(body)


def refuse(refusal: Refusal) -> Refused:
    """An error, which is a sentence."""
    status, words = _WORDS.get(refusal.code, (refusal.status, refusal.message))
    return Refused(status, to_json({"error": words}))


def _text(letter: Letter) -> str:
    # It has no word for a refusal: the model's own are the answer.
    return DECLINED if letter.reply.finish_reason == "refusal" else letter.reply.text or ""


def _said(letter: Letter, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": letter.reply.served_by, "created_at": CREATED_AT, "message": message, "done": False}


def _end(letter: Letter) -> dict[str, Any]:
    reason = "length" if letter.reply.finish_reason == "length" else "stop"
    end: dict[str, Any] = {"done": True, "done_reason": reason, **_NANOSECONDS}
    usage = letter.reply.usage
    if letter.usage == "wrong":
        end |= {"prompt_eval_count": -1, "eval_count": -1}
    elif letter.usage == "true":
        end |= {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens}
    return end


OLLAMA_CHAT = Wire(
    name="ollama chat",
    read=read,
    write=write,
    events=events,
    refuse=refuse,
    stream_type="application/x-ndjson",
)
OLLAMA_EMBED = Wire(name="ollama embed", read=read_embed, write=write_embed, refuse=refuse)
