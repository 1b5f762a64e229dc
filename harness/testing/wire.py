"""What every format of a provider has in common: questions, letters, refusals, and how settings are read.

In: JSON bodies. Out: questions in our own words, and the means to write answers. The formats themselves
stand in `protocols`, one a file. None of them knows who answers, when, or what goes wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from harness.records import JsonValue, Message, Reply
from harness.testing.traffic import Level

UsageState = Literal["true", "missing", "wrong"]
# The same request gets the same bytes, so its moment of creation is always the same one.
CREATED = 1_767_225_600
CREATED_AT = "2026-01-01T00:00:00Z"
EVENT_STREAM = "text/event-stream; charset=utf-8"
_PIECE = re.compile(r"\s*\S+|\s+$")
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in our own words. settings: what was sent along, under the names of `Settings`.

    model: as the request names it. stream_usage: whether a stream is to end with its token counts.
    texts: to be embedded, in place of messages. form: a way of answering of the format's own. beside_tokens:
    of the prompt, by what stands in the request beside messages.
    """

    model: str
    messages: tuple[Message, ...]
    settings: Mapping[str, JsonValue]
    stream: bool = False
    stream_usage: bool = False
    texts: tuple[str, ...] = ()
    form: str = ""
    beside_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question that gets no answer. code: OpenAI's word for why, which the other formats translate.

    param: the key at fault. retry_after_s: seconds to wait, for formats that say so in the body.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as one format writes it, with the status that the provider gives it.

    headers: lines that belong to it.
    """

    status: int
    body: bytes
    headers: bytes = b""


@dataclass(frozen=True, slots=True)
class Letter:
    """An answer to be written. id: of the answer, in hex. usage: how its token counts are told.

    A reply's finish reason is "stop", "length", "refusal" (the model declined), "content_filter" (its
    answer was held back) or "blocked" (the prompt was).
    """

    id: str
    question: Question
    reply: Reply
    usage: UsageState = "true"


def no_headers(level: Level, now: float) -> bytes:
    """The header lines about limits of a provider that tells none."""
    del level, now
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One format. read: the question in a body and the path it was sent to. write: an answer's body.

    refuse: an error. events: a streamed answer as portions to send one after the other, the first of them
    at the time of the first token; `None`: nothing is streamed. stream_type: media type of these.
    limits: header lines that tell a limit, given seconds since 1970. waits_in_body: says how long to wait
    in the error itself, not in a header. blocks_in_answer: a prompt that its filter holds back gets an
    answer that says so, not an error.
    """

    name: str
    read: Callable[[Mapping[str, Any], str], Question | Refusal]
    write: Callable[[Letter], bytes]
    refuse: Callable[[Refusal], Refused]
    events: Callable[[Letter], Sequence[bytes]] | None = None
    stream_type: str = EVENT_STREAM
    limits: Callable[[Level, float], bytes] = no_headers
    waits_in_body: bool = False
    blocks_in_answer: bool = False


# -- settings


@dataclass(frozen=True, slots=True)
class Key:
    """How a format writes one setting. name: ours. fits: whether a value may be; expected: in words."""

    name: str
    expected: str
    fits: Callable[[object], bool]


def number(name: str, low: float, high: float) -> Key:
    """A number within these ends, both included."""

    def fits(value: object) -> bool:
        # Not an instance: true and false are numbers to Python.
        return (type(value) is float or type(value) is int) and low <= value <= high

    return Key(name, f"a number from {low:g} to {high:g}", fits)


def whole(name: str, low: int | None = None) -> Key:
    """A whole number, from `low` on when given."""
    expected = "a whole number" if low is None else f"a whole number from {low}"
    return Key(name, expected, lambda value: type(value) is int and (low is None or value >= low))


def word(name: str) -> Key:
    """Any text."""
    return Key(name, "a text", lambda value: isinstance(value, str))


def texts(name: str) -> Key:
    """A list of texts, or one text, which means a list of it."""
    return Key(name, "a list of texts", lambda value: isinstance(value, str) or are_texts(value))


def are_texts(value: object) -> bool:
    """Whether this is a list of texts and nothing else."""
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))


def take_settings(
    body: Mapping[str, Any], keys: Mapping[str, Key], *, beside: frozenset[str] = frozenset(), strict: bool
) -> dict[str, Any] | Refusal:
    """The settings of a body under our names; what is null counts as not sent.

    beside: keys that are no settings. strict: refuse keys that the format does not know, as providers that
    forbid them do; else they are settings under their own names.
    """
    settings: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name in beside:
            continue
        key = keys.get(name)
        if key is None:
            if strict:
                return Refusal(400, "unknown_parameter", f"{name}: Extra inputs are not permitted", name)
            settings[name] = value
        elif not key.fits(value):
            return invalid(name, value, key.expected)
        else:
            settings[key.name] = [value] if key.name == "stop" and isinstance(value, str) else value
    return settings


def invalid(param: str, value: object, expected: str) -> Refusal:
    """The refusal of a value that cannot be."""
    shown = repr(value)[:80]
    return Refusal(400, "invalid_value", f"Invalid '{param}': found {shown}, expected {expected}.", param)


# -- bodies


def to_json(value: object) -> bytes:
    """The value as compact JSON in UTF-8; a lone surrogate becomes a question mark."""
    return _JSON.encode(value).encode("utf-8", "replace")


def event(data: object, name: str | None = None) -> bytes:
    """One server-sent event with this value as JSON."""
    head = b"" if name is None else b"event: %b\n" % name.encode()
    return b"%bdata: %b\n\n" % (head, to_json(data))


def pieces_of(text: str) -> list[str]:
    """A text as it is streamed: a word each, with the blanks before it; joined, the pieces are the text."""
    return _PIECE.findall(text)


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def joined_parts(content: object, *kinds: str | None) -> str | None:
    """The text of a message's content: one text, or parts of these `type`s; `None`: it is neither."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [mapping(part) for part in cast("list[object]", content)]
    found = [part.get("text") for part in parts if part.get("type") in kinds]
    return "".join(map(str, found)) if len(found) == len(parts) else None


def model_of(body: Mapping[str, Any]) -> str | Refusal:
    """The model that a body names."""
    model = body.get("model")
    return model if isinstance(model, str) and model else invalid("model", model, "the name of a model")
