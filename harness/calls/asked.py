"""How long a provider asks to wait before the next request, in whatever way it says so.

In: headers and text of an error. Out: seconds. No clock of ours takes part: what providers give as a moment
counts from the `Date` of the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"\d+(\.\d+)?")
_UNIT = r"(?:ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?)(?![a-z])"
_PART = re.compile(rf"(\d+(?:\.\d+)?) ?({_UNIT})", re.IGNORECASE)
_SPAN = rf"(?:\d+(?:\.\d+)? ?{_UNIT} ?)+"  # "6m0s", "20ms", "26 seconds"
# Google's google.rpc.RetryInfo; then the sentences of OpenAI, Groq, Google and Azure.
_SAID = re.compile(
    rf"(?:retryDelay\W+|\btry again in |\bretry (?:in|after) )(?P<span>{_SPAN})", re.IGNORECASE
)
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
# From here on a number is a moment since 1970, in seconds or, of OpenRouter, in milliseconds.
_MOMENT, _MOMENT_MS = 1e9, 1e12
# `limit=100, remaining=0, reset=30`, and what became of it: `"default";r=0;t=30`.
_FIELDS = re.compile(r"remaining=(?P<left>\d+)\D+reset=(?P<reset>\d+)|;r=(?P<r>\d+);t=(?P<t>\d+)")


def retry_after_s(headers: Mapping[str, str], text: str = "", *, limited: bool = False) -> float | None:
    """Seconds that the provider asks to wait; `None`: it does not ask, or not readably.

    Retry-After wins (RFC 9110, 10.2.3), in milliseconds before seconds, then what the text says. limited:
    whether the error is a rate limit. Only then do the headers count that tell when a limit is reset, since
    they come with every answer (OpenAI, Anthropic; IETF, draft-ietf-httpapi-ratelimit-headers).
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        stated = headers.get(name, "").strip()
        if _NUMBER.fullmatch(stated):
            return float(stated) * unit
    now = _moment(headers.get("date", ""))
    if (wait_s := _until(_moment(headers.get("retry-after", "")), now)) is not None:
        return wait_s
    said = [_span_s(one["span"]) for one in _SAID.finditer(text)]
    return max(said or (_resets(headers, now) if limited else ()), default=None)


def _resets(headers: Mapping[str, str], now: float | None) -> Iterator[float]:
    """Seconds until each limit is reset of which nothing is said to be left."""
    for name, stated in headers.items():
        if (name := name.lower()) == "ratelimit":
            fields = _FIELDS.finditer(stated)
            yield from (float(f["reset"] or f["t"]) for f in fields if int(f["left"] or f["r"]) == 0)
        elif "ratelimit" in name and "reset" in name:
            left = headers.get(name.replace("reset", "remaining"), "0").strip()
            wait_s = _reset_s(stated.strip(), now)
            if wait_s is not None and _NUMBER.fullmatch(left) and float(left) == 0:
                yield wait_s


def _reset_s(stated: str, now: float | None) -> float | None:
    if not _NUMBER.fullmatch(stated):
        return _span_s(stated) if re.fullmatch(_SPAN, stated) else _until(_moment(stated), now)
    number = float(stated)
    if number < _MOMENT:
        return number
    return _until(number if number < _MOMENT_MS else number / 1000, now)


def _span_s(text: str) -> float:
    return sum(
        float(number) * (0.001 if unit.lower().startswith(("ms", "milli")) else _UNITS_S[unit[0].lower()])
        for number, unit in _PART.findall(text)
    )


def _until(then: float | None, now: float | None) -> float | None:
    return then - now if then is not None and now is not None and then > now else None


def _moment(text: str) -> float | None:
    """A moment as HTTP or RFC 3339 writes it, in seconds since 1970; without a zone it is UTC."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None
