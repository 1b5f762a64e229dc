"""Embeddings on Amazon Bedrock: `POST /model/{id}/invoke`, each family of models with a body of its own.

In: the body of a request, and its path, which names the model. Out: the texts in it, and the body with their
vectors. Errors are those of Converse. Source: the Amazon Bedrock user guide, "Amazon Titan Text Embeddings"
and "Cohere Embed v3".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from harness.testing.protocols import bedrock
from harness.testing.wire import (
    Key,
    Letter,
    Question,
    Refusal,
    Wire,
    are_texts,
    invalid,
    take_settings,
    to_json,
    whole,
    word,
)
from harness.vectors import numbers_of

INVOKES = ("invoke",)
MOST_TEXTS = 96  # of Cohere, in one request
USES = ("search_document", "search_query", "classification", "clustering")
_PATH = re.compile(r"/model/(?P<model>[^/]+)/invoke$")
_TITAN_KEYS: Mapping[str, Key] = {"dimensions": whole("dimensions", 1)}
_TITAN_BESIDE = frozenset({"inputText", "normalize", "embeddingTypes"})
_COHERE_KEYS: Mapping[str, Key] = {"input_type": word("input_type")}
_COHERE_BESIDE = frozenset({"texts", "truncate", "embedding_types"})
_COHERE = "cohere."


def read(body: Mapping[str, Any], path: str) -> Question | Refusal:
    """The texts to embed: one of Titan, several of Cohere, which has to be told what they are for."""
    found = _PATH.search(path)
    assert found is not None, "the route has matched"
    model = unquote(found["model"])
    return _of_cohere(body, model) if model.startswith(_COHERE) else _of_titan(body, model)


def write(letter: Letter) -> bytes:
    """The vectors; Cohere's say nothing of tokens."""
    vectors = [numbers_of(vector) for vector in letter.reply.vectors or ()]
    if letter.question.model.startswith(_COHERE):
        body: dict[str, Any] = {"id": letter.id, "texts": list(letter.question.texts)}
        return to_json({**body, "embeddings": vectors, "response_type": "embeddings_floats"})
    body = {"embedding": vectors[0]}
    if letter.usage != "missing":
        body["inputTextTokenCount"] = -1 if letter.usage == "wrong" else letter.reply.usage.input_tokens
    return to_json(body)


def _of_titan(body: Mapping[str, Any], model: str) -> Question | Refusal:
    text = body.get("inputText")
    if not isinstance(text, str) or not text:
        return invalid("inputText", text, "a text that is not empty")
    settings = take_settings(body, _TITAN_KEYS, beside=_TITAN_BESIDE, strict=True)
    return settings if isinstance(settings, Refusal) else Question(model, (), settings, texts=(text,))


def _of_cohere(body: Mapping[str, Any], model: str) -> Question | Refusal:
    texts, use = body.get("texts"), body.get("input_type")
    if not are_texts(texts) or not texts or len(texts) > MOST_TEXTS:
        return invalid("texts", texts, f"a list of 1 to {MOST_TEXTS} texts")
    if use not in USES:
        return invalid("input_type", use, " or ".join(USES))
    settings = take_settings(body, _COHERE_KEYS, beside=_COHERE_BESIDE, strict=True)
    if isinstance(settings, Refusal):
        return settings
    # What texts are for does not change a vector here.
    sent = {name: value for name, value in settings.items() if name != "input_type"}
    return Question(model, (), sent, texts=tuple(texts))


BEDROCK_EMBEDDINGS = Wire(name="bedrock embeddings", read=read, write=write, refuse=bedrock.refuse)
