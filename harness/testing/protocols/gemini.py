"""Google's Gemini API: `generateContent`, `streamGenerateContent`, `embedContent`, `batchEmbedContents`.

In: the body of a request, and its path, which names the model. Out: the question in it, and the bodies,
events and errors that answer it. Source: the Gemini API reference, and google.rpc.Status for errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from harness.records import Message, Role
from harness.testing.tokens import count_json_tokens
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
    number,
    pieces_of,
    take_settings,
    texts,
    to_json,
    whole,
    word,
)
from harness.vectors import numbers_of

GENERATES = ("generateContent", "streamGenerateContent")
EMBEDS = ("embedContent", "batchEmbedContents")
MOST_REQUESTS = 100  # of texts to embed, in one batch
_PATH = re.compile(r"/models/(?P<model>.+):(?P<verb>\w+)$")
_KEYS: Mapping[str, Key] = {
    "temperature": number("temperature", 0, 2),
    "topP": number("top_p", 0, 1),
    "topK": whole("top_k", 1),
    "maxOutputTokens": whole("max_output_tokens", 1),
    "stopSequences": texts("stop"),
    "seed": whole("seed"),
    "frequencyPenalty": number("frequency_penalty", -2, 2),
    "presencePenalty": number("presence_penalty", -2, 2),
    "responseMimeType": word("response_mime_type"),
    "thinkingLevel": word("thinking_level"),
    "thinkingBudget": whole("thinking_budget", -1),
}
_SCHEMAS = ("responseSchema", "responseJsonSchema")
# litellm writes some keys in the other of the two spellings that protocol buffers take.
_CAMEL = re.compile(r"_(\w)")
_ROLES: Mapping[str | None, Role] = {"user": "user", "model": "assistant", None: "user"}
_FINISH_REASONS = {"length": "MAX_TOKENS", "refusal": "PROHIBITED_CONTENT", "content_filter": "SAFETY"}
_SILENT = ("refusal", "content_filter")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)
# Google says the same of a minute's limit and of one that lasts: only the name of the quota tells.
_QUOTA_IDS = {
    "rate_limit_exceeded": "GenerateRequestsPerMinutePerProjectPerModel",
    "insufficient_quota": "GenerateRequestsPerDayPerProjectPerModel",
}
_WORDS: Mapping[str, tuple[int, str]] = {
    "context_length_exceeded": (
        400,
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "overloaded": (503, "The model is overloaded. Please try again later."),
    "rate_limit_exceeded": (429, _QUOTA),
    "insufficient_quota": (429, _QUOTA),
}
_TYPE = "type.googleapis.com/google.rpc."


def read(body: Mapping[str, Any], path: str) -> Question | Refusal:
    """The question of a generateContent request."""
    found = _PATH.search(path)
    assert found is not None, "the route has matched"
    messages = _messages(body)
    if isinstance(messages, Refusal):
        return messages
    wanted = _generation(body)
    beside_tokens = count_json_tokens(body.get("tools"), *(wanted.pop(name, None) for name in _SCHEMAS))
    settings = take_settings(wanted, _KEYS, beside=frozenset({"includeThoughts"}), strict=True)
    if isinstance(settings, Refusal):
        return _unknown_name(settings)
    stream = found["verb"] == "streamGenerateContent"
    model = found["model"]
    return Question(model, messages, settings, stream, stream_usage=stream, beside_tokens=beside_tokens)


def write(letter: Letter) -> bytes:
    """The body of a response with one candidate; with none when the prompt is blocked."""
    return to_json(_response(letter, letter.reply.text or "", last=True))


def events(letter: Letter) -> list[bytes]:
    """A streamed response: each event a response of its own, the last one with reason and counts."""
    reason = letter.reply.finish_reason
    pieces = [] if reason in (*_SILENT, "blocked") else pieces_of(letter.reply.text or "")
    begun = [event(_response(letter, piece, last=False)) for piece in pieces[:-1]]
    return [*begun, event(_response(letter, pieces[-1] if pieces else "", last=True))]


def read_embed(body: Mapping[str, Any], path: str) -> Question | Refusal:
    """The texts of an embedContent or batchEmbedContents request."""
    found = _PATH.search(path)
    assert found is not None, "the route has matched"
    several = found["verb"] == "batchEmbedContents"
    asked = body.get("requests") if several else [body]
    if not isinstance(asked, list) or not asked:
        return invalid("requests", asked, "a list of one request or more")
    if len(cast("list[object]", asked)) > MOST_REQUESTS:
        words = f"* BatchEmbedContentsRequest.requests: at most {MOST_REQUESTS} requests can be in one batch"
        return Refusal(400, "invalid_value", words, "requests")
    said: list[str] = []
    dimensions: object = None
    for one in cast("list[object]", asked):
        request = mapping(one)
        text = joined_parts(mapping(request.get("content")).get("parts"), None)
        if not text:
            return invalid("content", request.get("content"), "parts with text")
        dimensions = request.get("outputDimensionality", dimensions)
        said.append(text)
    settings = take_settings(
        {"outputDimensionality": dimensions}, {"outputDimensionality": whole("dimensions", 1)}, strict=True
    )
    if isinstance(settings, Refusal):
        return settings
    return Question(found["model"], (), settings, texts=tuple(said), form=found["verb"])


def write_embed(letter: Letter) -> bytes:
    """The vector of one text, or those of several in their order."""
    values = [{"values": numbers_of(vector)} for vector in letter.reply.vectors or ()]
    body: dict[str, Any] = (
        {"embeddings": values} if letter.question.form == "batchEmbedContents" else {"embedding": values[0]}
    )
    if letter.usage != "missing":
        tokens = -1 if letter.usage == "wrong" else letter.reply.usage.input_tokens
        body["usageMetadata"] = {"promptTokenCount": tokens}
    return to_json(body)


def refuse(refusal: Refusal) -> Refused:
    """A google.rpc.Status: code, message, status and details."""
    status, words = _WORDS.get(refusal.code, (refusal.status, refusal.message))
    details: list[dict[str, Any]] = []
    if refusal.code == "invalid_api_key":
        # Google answers 400 to a key that is none.
        status = 400
        words = f"API key not valid. Please pass a valid API key. {refusal.message}"
        details.append(
            {"@type": f"{_TYPE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        )
    if refusal.code in _QUOTA_IDS:
        violation = {"quotaId": _QUOTA_IDS[refusal.code], "quotaValue": "60"}
        details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [violation]})
    if refusal.retry_after_s is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{refusal.retry_after_s:g}s"})
    error: dict[str, Any] = {"code": status, "message": words, "status": _STATUSES.get(status, "UNKNOWN")}
    return Refused(status, to_json({"error": error | ({"details": details} if details else {})}))


def _generation(body: Mapping[str, Any]) -> dict[str, Any]:
    """The generation settings, flat and in one spelling."""
    found = mapping(body.get("generationConfig") or body.get("generation_config"))
    flat = {_CAMEL.sub(lambda part: part[1].upper(), name): value for name, value in found.items()}
    return flat | mapping(flat.pop("thinkingConfig", None))


def _unknown_name(refusal: Refusal) -> Refusal:
    if refusal.code != "unknown_parameter":
        return refusal
    words = f"Invalid JSON payload received. Unknown name \"{refusal.param}\" at 'generation_config'"
    return Refusal(400, refusal.code, words, refusal.param)


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...] | Refusal:
    system = mapping(body.get("systemInstruction") or body.get("system_instruction"))
    messages: list[Message] = []
    if system:
        messages.append(Message("system", joined_parts(system.get("parts"), None) or ""))
    found = body.get("contents")
    if not isinstance(found, list) or not found:
        return invalid("contents", found, "a list of one content or more")
    for one in cast("list[object]", found):
        turn = mapping(one)
        role, text = _ROLES.get(turn.get("role")), joined_parts(turn.get("parts"), None)
        if role is None or text is None:
            return invalid("contents", one, "a role, user or model, and parts with text")
        messages.append(Message(role, text))
    return tuple(messages)


def _response(letter: Letter, text: str, *, last: bool) -> dict[str, Any]:
    reply = letter.reply
    response: dict[str, Any] = {"modelVersion": reply.served_by, "responseId": letter.id}
    if reply.finish_reason == "blocked":
        response["promptFeedback"] = {"blockReason": "SAFETY"}
    else:
        candidate: dict[str, Any] = {"index": 0}
        if reply.finish_reason not in _SILENT:
            candidate["content"] = {"role": "model", "parts": [{"text": text}]}
        if last:
            candidate["finishReason"] = _FINISH_REASONS.get(reply.finish_reason or "", "STOP")
        response["candidates"] = [candidate]
    if letter.usage != "missing":
        response["usageMetadata"] = _usage(letter, last=last)
    return response


def _usage(letter: Letter, *, last: bool) -> dict[str, Any]:
    """Thoughts are counted apart from the answer, and left out where there are none; so are cached tokens."""
    if letter.usage == "wrong":
        return {"promptTokenCount": -1, "candidatesTokenCount": -1, "totalTokenCount": -1}
    usage = letter.reply.usage
    counts: dict[str, Any] = {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens}
    if usage.cached_input_tokens:
        counts["cachedContentTokenCount"] = usage.cached_input_tokens
    if not last:
        return counts
    thoughts, output = usage.reasoning_tokens or 0, usage.output_tokens or 0
    counts["candidatesTokenCount"] = output - thoughts
    counts["totalTokenCount"] = (usage.input_tokens or 0) + output
    return counts | ({"thoughtsTokenCount": thoughts} if thoughts else {})


GEMINI = Wire(
    name="gemini generateContent",
    read=read,
    write=write,
    events=events,
    refuse=refuse,
    waits_in_body=True,
    blocks_in_answer=True,
)
GEMINI_EMBED = Wire(
    name="gemini embedContent", read=read_embed, write=write_embed, refuse=refuse, waits_in_body=True
)
