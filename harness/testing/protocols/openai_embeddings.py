"""OpenAI's embeddings, `POST /v1/embeddings`: also of Together, vLLM, llama.cpp and others.

In: the body of a request. Out: the texts in it, and the body with their vectors. Errors and limits are
those of chat completions. Source: OpenAI's API reference, Embeddings.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from harness.testing.protocols.openai_chat import limits, refuse
from harness.testing.wire import (
    Key,
    Letter,
    Question,
    Refusal,
    Wire,
    are_texts,
    invalid,
    model_of,
    take_settings,
    to_json,
    whole,
)
from harness.vectors import numbers_of

_KEYS: Mapping[str, Key] = {"dimensions": whole("dimensions", 1)}
_BESIDE = frozenset({"model", "input", "encoding_format", "user"})
_FORMS = ("float", "base64")


def read(body: Mapping[str, Any], path: str = "") -> Question | Refusal:
    """The texts to embed: one or several, none of them empty."""
    del path
    model, found = model_of(body), body.get("input")
    if isinstance(model, Refusal):
        return model
    asked = [found] if isinstance(found, str) else found
    if not are_texts(asked) or not asked or not all(asked):
        return invalid("input", found, "a text, or a list of texts, none of them empty")
    form = body.get("encoding_format") or "float"
    if form not in _FORMS:
        return invalid("encoding_format", form, " or ".join(_FORMS))
    settings = take_settings(body, _KEYS, beside=_BESIDE, strict=False)
    if isinstance(settings, Refusal):
        return settings
    return Question(model, (), settings, texts=tuple(asked), form=form)


def write(letter: Letter) -> bytes:
    """The body with a vector for each text, in their order."""
    packed = letter.question.form == "base64"
    data = [
        {"object": "embedding", "index": n, "embedding": _packed(vector) if packed else numbers_of(vector)}
        for n, vector in enumerate(letter.reply.vectors or ())
    ]
    body: dict[str, Any] = {"object": "list", "data": data, "model": letter.reply.served_by}
    if letter.usage != "missing":
        tokens = -1 if letter.usage == "wrong" else letter.reply.usage.input_tokens
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return to_json(body)


def _packed(vector: bytes) -> str:
    return base64.b64encode(vector).decode("ascii")


OPENAI_EMBEDDINGS = Wire(name="openai embeddings", read=read, write=write, refuse=refuse, limits=limits)
