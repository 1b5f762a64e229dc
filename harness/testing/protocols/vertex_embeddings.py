"""Text embeddings on Google's Vertex AI: `POST .../publishers/google/models/{model}:predict`.

In: the body of a request, and its path, which names the model. Out: the texts in it, and the body with their
vectors and tokens. Errors are those of Google's other formats. Source: the Vertex AI documentation, "Text
embeddings API".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from harness.testing.protocols import gemini
from harness.testing.tokens import count_tokens
from harness.testing.wire import (
    Key,
    Letter,
    Question,
    Refusal,
    Wire,
    invalid,
    mapping,
    take_settings,
    to_json,
    whole,
)
from harness.vectors import numbers_of

PREDICTS = ("predict",)
MOST_INSTANCES = 250
ONE_INSTANCE = ("gemini-embedding-001",)  # models that take one text a request
_PATH = re.compile(r"/publishers/google/models/(?P<model>[^/]+):predict$")
_KEYS: Mapping[str, Key] = {"outputDimensionality": whole("dimensions", 1)}
_BESIDE = frozenset({"autoTruncate"})


def read(body: Mapping[str, Any], path: str) -> Question | Refusal:
    """The texts of a predict request; what they are for does not change a vector here."""
    found = _PATH.search(path)
    if found is None:
        return Refusal(404, "not_found", f"Publisher model {path} was not found.")
    instances = body.get("instances")
    if not isinstance(instances, list) or not instances:
        return invalid("instances", instances, "a list of one instance or more")
    texts = [mapping(one).get("content") for one in cast("list[object]", instances)]
    most = 1 if found["model"] in ONE_INSTANCE else MOST_INSTANCES
    if len(texts) > most:
        words = f"{len(texts)} instance(s) is over the limit of {most} per prediction request."
        return Refusal(400, "invalid_value", words, "instances")
    if not all(isinstance(text, str) and text for text in texts):
        return invalid("content", texts, "a text for each instance, none of them empty")
    # litellm repeats what belongs to each instance beside the parameters, where Google does not look.
    wanted = {name: one for name, one in mapping(body.get("parameters")).items() if name != "task_type"}
    settings = take_settings(wanted, _KEYS, beside=_BESIDE, strict=True)
    if isinstance(settings, Refusal):
        return settings
    return Question(found["model"], (), settings, texts=tuple(cast("list[str]", texts)))


def write(letter: Letter) -> bytes:
    """The vector of each text in their order, with its tokens."""
    predictions: list[dict[str, Any]] = []
    for text, vector in zip(letter.question.texts, letter.reply.vectors or (), strict=False):
        embeddings: dict[str, Any] = {"values": numbers_of(vector)}
        if letter.usage != "missing":
            tokens = -1 if letter.usage == "wrong" else count_tokens(text)
            embeddings["statistics"] = {"token_count": tokens, "truncated": False}
        predictions.append({"embeddings": embeddings})
    return to_json({"predictions": predictions})


VERTEX_EMBEDDINGS = Wire(
    name="vertex text embeddings", read=read, write=write, refuse=gemini.refuse, waits_in_body=True
)
