"""What an error answer means, by status and body: one table for every lane.

In: an HTTP status, the provider's error code and text. Out: a kind of failure. Matching on texts is
unavoidable where providers give no code; all of it stands here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.records import FailureKind

_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance|billing|out of credits", re.IGNORECASE
)
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context window|prompt is too long"
    r"|input token count|too many tokens|request too large",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content_filter|content_policy|content management policy|safety|blocked by", re.IGNORECASE
)
_KEY_LIKE = re.compile(r"\b(sk-[\w-]{6,}|AIza[\w-]{10,}|Bearer\s+[\w.~+/-]{8,}=*)")
MESSAGE_CHARACTERS = 300


def kind_of(status: int, text: str) -> FailureKind:
    """The kind of failure behind an HTTP status and the text (codes included) that came with it."""
    if status == 429:
        return "quota" if _QUOTA.search(text) else "rate_limit"
    if status in (401, 403):
        return "credentials"
    if status == 402:
        return "quota"
    if status == 404:
        return "not_found"
    if status == 408:
        return "timeout"
    if status in (409, 425) or status >= 500:
        return "overloaded"
    if status == 413 or _TOO_LONG.search(text):
        return "too_long"
    return "filtered" if _FILTERED.search(text) else "bad_request"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait (RFC 9110, 10.2.3, in seconds); `None`: it does not."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        if re.fullmatch(r"\d+(\.\d+)?", text.strip()):
            return float(text) * unit
    return None


def safe(text: str, secret: str | None) -> str:
    """The text cut to a line, with this secret and anything that looks like a key masked."""
    if secret:
        text = text.replace(secret, "***")
    text = " ".join(_KEY_LIKE.sub("***", text).split())
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"
