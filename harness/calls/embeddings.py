"""Embeddings in the OpenAI wire format: the body of a request, and the vectors in its answer.

In: a call with texts, and an answer's JSON. Out: a body, and a reply whose vectors stand in the order of the
texts. Vectors are asked for in base64: float32 as it is kept, shorter and read many times faster than
decimal numbers (docs/decisions.md). A server that does not know that sends numbers, and they are read too.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any, cast

from harness.records import Call, Reply, Usage
from harness.vectors import BYTES_PER_NUMBER, packed

FORM = "encoding_format"
BASE64 = "base64"


def embedding_body(call: Call) -> dict[str, Any]:
    """The JSON body of this call: model, texts, and what is sent along; a form of one's own wins."""
    settings = call.settings
    return {"model": settings.model_name, "input": list(call.texts), FORM: BASE64, **settings.sent()}


def read_vectors(data: object, count: int) -> tuple[bytes, ...]:
    """The vectors in the `data` of an answer to this many texts.

    Raises ValueError unless they are numbered 0 to count - 1 in that order, and TypeError for what is no
    vector. An answer in another order is not sorted: whose vector is whose would be a guess.
    """
    if not isinstance(data, list):
        raise TypeError(f"data is {type(data).__name__}, not a list")
    entries = cast("list[dict[str, Any]]", data)
    indices = [entry.get("index", place) for place, entry in enumerate(entries)]
    if indices != list(range(count)):
        raise ValueError(f"{len(entries)} vectors with the indices {_few(indices)} for {count} texts")
    return tuple(read_vector(entry["embedding"]) for entry in entries)


def read_vector(stated: object) -> bytes:
    """One vector, from base64 or from numbers."""
    if isinstance(stated, str):
        vector = binascii.a2b_base64(stated)
        if len(vector) % BYTES_PER_NUMBER:
            raise ValueError(f"a vector of {len(vector)} bytes, expected {BYTES_PER_NUMBER} for each number")
        return vector
    if not isinstance(stated, list):
        raise TypeError(f"embedding is {type(stated).__name__}, neither numbers nor base64")
    return packed(cast("list[float]", stated))


def reply_with(vectors: tuple[bytes, ...], input_tokens: int | None, served_by: str | None) -> Reply:
    """The reply with these vectors: nothing is generated, so nothing else is billed."""
    usage = Usage(input_tokens=input_tokens, cached_input_tokens=0, output_tokens=0, reasoning_tokens=0)
    return Reply(vectors=vectors, finish_reason="stop", usage=usage, served_by=served_by)


def _few(indices: Sequence[object]) -> str:
    shown = ", ".join(map(str, indices[:8]))
    return f"{shown}, ..." if len(indices) > 8 else shown or "none"
