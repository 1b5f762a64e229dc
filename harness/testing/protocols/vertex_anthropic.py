"""Anthropic's messages on Google's Vertex AI: `POST .../models/{model}:rawPredict` and `:streamRawPredict`.

In: the body of a request, and its path, which names the model. Out: as `protocols.anthropic`, whose messages
and events these are; what Google itself refuses comes as a google.rpc.Status. Source: the Vertex AI
documentation, "Use Anthropic's Claude models".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.testing.protocols import anthropic
from harness.testing.wire import Question, Refusal, Refused, Wire, invalid, to_json

PREDICTS = ("rawPredict", "streamRawPredict")
VERSION = "vertex-2023-10-16"
_PATH = re.compile(r"/publishers/anthropic/models/(?P<model>[^/]+):(?P<verb>\w+)$")
# What Google refuses before the model sees it, by OpenAI's code: status, words, and Google's name of it.
_GOOGLES: Mapping[str, tuple[int, str, str]] = {
    "invalid_api_key": (
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        "UNAUTHENTICATED",
    ),
    "rate_limit_exceeded": (
        429,
        "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model.",
        "RESOURCE_EXHAUSTED",
    ),
    "insufficient_quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "RESOURCE_EXHAUSTED",
    ),
}


def read(body: Mapping[str, Any], path: str) -> Question | Refusal:
    """The question of a rawPredict request: one of messages, with a version in place of the model."""
    found = _PATH.search(path)
    if found is None:
        return Refusal(404, "not_found", f"Publisher model {path} was not found.")
    if body.get("anthropic_version") != VERSION:
        return invalid("anthropic_version", body.get("anthropic_version"), VERSION)
    if "model" in body:
        return Refusal(400, "unknown_parameter", "model: Extra inputs are not permitted", "model")
    inner = {name: value for name, value in body.items() if name != "anthropic_version"}
    return anthropic.read({**inner, "model": found["model"], "stream": found["verb"] == "streamRawPredict"})


def refuse(refusal: Refusal) -> Refused:
    """An error, Google's or Anthropic's."""
    if refusal.code not in _GOOGLES:
        return anthropic.refuse(refusal)
    status, words, name = _GOOGLES[refusal.code]
    if refusal.code == "invalid_api_key":
        words = f"{words} {refusal.message}"
    return Refused(status, to_json({"error": {"code": status, "message": words, "status": name}}))


VERTEX_ANTHROPIC = Wire(
    name="anthropic messages on vertex",
    read=read,
    write=anthropic.write,
    events=anthropic.events,
    refuse=refuse,
)
