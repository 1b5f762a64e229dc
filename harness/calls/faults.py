"""What an error answer means, by status and body: one table for every lane.

In: an HTTP status, the provider's error code and text. Out: a kind of failure. Matching on texts is
unavoidable where providers give no code; all of it stands here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import cast
from urllib.parse import unquote

from harness.calls.provider import ProviderFault
from harness.records import FailureKind

# Addresses say where to read on, and their words nothing of the failure: rate limits link to bills and plans.
_LINK = re.compile(r"https?:(?:\\?/){2}[^\s\"'<>]+", re.IGNORECASE)
# There is no money left, also with a status that is not about limits: Anthropic gives 400.
_NO_MONEY = re.compile(
    r"insufficient_quota|credit.balance.(is.)?(too.low|exhausted)|spend.?limit|specified API usage limits"
    r"|billing_(hard_limit|not_active)",
    re.IGNORECASE,
)
# Names that outweigh sentences: OpenAI's and Groq's of the failure, Anthropic's, and Google's of the quota,
# beside which it says "exceeded your current quota ... billing" of a minute's limit too.
_SLOW_DOWN = re.compile(r"\brate_limit_(exceeded|error)\b|quotaId\W+\w*PerMinute", re.IGNORECASE)
_QUOTA = re.compile(
    r"exceeded your current quota|credit.balance|credit.limit|out of credits|insufficient credits"
    r"|check your (plan and )?billing|too many tokens per day",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context window|prompt is too long"
    r"|input token count|too many tokens|request too large|exceeds the context length|maximum input length"
    r"|maximum request size",
    re.IGNORECASE,
)
# Of a single request, by OpenAI: its tokens are more than a minute's limit, so waiting does not help.
_LARGER_THAN_LIMIT = re.compile(r"request too large for", re.IGNORECASE)
# llama.cpp says so of a text to embed with a status of 500.
_TOO_LARGE = re.compile(r"is too large to process", re.IGNORECASE)
_FILTERED = re.compile(
    r"content_filter|content_policy|content management policy|safety|blocked by", re.IGNORECASE
)
_RATE_LIMIT = re.compile(r"rate.?limit|too many requests|throttl", re.IGNORECASE)
_INVALID = re.compile(r"invalid_request_error|BadRequestError", re.IGNORECASE)
_KEY_LIKE = re.compile(r"\b(sk-[\w-]{6,}|AIza[\w-]{10,}|Bearer\s+[\w.~+/-]{8,}=*)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
# A gateway had passed the request on, and gave up waiting: the model behind it may have done the work, and
# goes on the bill. 522 and 524 are Cloudflare's; of its 523 it is known that nobody was reached.
GAVE_UP = frozenset({408, 504, 522, 524})
MESSAGE_CHARACTERS = 300
CUT_CHARACTERS = 12  # of a key that stand for it when the rest is cut off; so many in a row are no accident
ESCAPED_TIMES = 2  # JSON within JSON
# Of an answer that the model declined to give, or that a filter held back: litellm's word for both.
DECLINED = "content_filter"


def kind_of(status: int, text: str) -> FailureKind:
    """The kind of failure behind an HTTP status and the text (codes included) that came with it."""
    text = _LINK.sub("", text)
    if status == 429:
        return _kind_of_limit(text)
    if status in (401, 403):
        return "credentials"
    if status == 402:
        return "quota"
    if status == 404:
        return "not_found"
    if status == 408:
        return "timeout"
    if status in (409, 425) or status >= 500:
        return "too_long" if _TOO_LARGE.search(text) else "overloaded"
    if _NO_MONEY.search(text):
        return "quota"
    if status == 413 or _TOO_LONG.search(text):
        return "too_long"
    return "filtered" if _FILTERED.search(text) else "bad_request"


def _kind_of_limit(text: str) -> FailureKind:
    """The kind of failure behind "too many requests": most pass, some never."""
    if _NO_MONEY.search(text):
        return "quota"
    if _LARGER_THAN_LIMIT.search(text):
        return "too_long"
    return "quota" if _QUOTA.search(text) and not _SLOW_DOWN.search(text) else "rate_limit"


def kind_of_error(error: object) -> FailureKind:
    """The kind of failure behind an error object that came where a piece of an answer was expected.

    Its status went out as 200 long before; some servers repeat the true one as `code`. Where neither it
    nor the words tell, something broke while the answer was made.
    """
    code = cast("Mapping[str, object]", error).get("code") if isinstance(error, Mapping) else None
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    text = json.dumps(error, default=str)
    if isinstance(code, int) and 400 <= code < 600:
        return kind_of(code, text)
    if _RATE_LIMIT.search(text) or _NO_MONEY.search(text) or _QUOTA.search(text):
        return kind_of(429, text)
    if _TOO_LONG.search(text) or _FILTERED.search(text) or _INVALID.search(text):
        return kind_of(400, text)
    return "overloaded"


def cut_off(text: str) -> ProviderFault:
    """The fault of a stream that ended before its answer did, with the text that had come by then."""
    if text:
        return ProviderFault(
            "connection", "connection lost: the stream ended in the middle of the answer", billed=True
        )
    return ProviderFault("malformed", "unreadable answer: there is none in the stream", billed=True)


def safe(text: str, secret: str | None) -> str:
    """The text cut to a line, with this secret and anything that looks like a key masked.

    Also a secret that is cut off, or written with the escapes of JSON or of addresses: then the text is shown
    without them.
    """
    if secret:
        plain = text = _masked(text, secret)
        for undo in (_without_backslashes, unquote) * ESCAPED_TIMES:
            plain = undo(plain)
            if (masked := _masked(plain, secret)) != plain:
                text = plain = masked
    text = " ".join(_KEY_LIKE.sub("***", text).split())
    return text if len(text) <= MESSAGE_CHARACTERS else text[: MESSAGE_CHARACTERS - 1] + "…"


def _masked(text: str, secret: str) -> str:
    text = text.replace(secret, "***")
    begun = secret[:CUT_CHARACTERS]
    return (
        re.sub(rf"{re.escape(begun)}[^\s\"'<>]*", "***", text) if begun != secret and begun in text else text
    )


def _without_backslashes(text: str) -> str:
    """The text as a reader of JSON would have it, pairs of surrogates joined."""
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
