"""What goes wrong over HTTP, and when: faults by schedule, the same in every process.

In: the fingerprint of a request's body and how often it came. Out: the fault it meets, or none. It
must not draw from a generator: concurrency would then change who meets what.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import accumulate
from typing import Literal, TypeAlias, cast, get_args

from harness.errors import UsageError

FaultKind = Literal[
    "429",  # too many requests
    "500",  # an error of the server
    "503",  # unavailable
    "529",  # overloaded
    "401",  # the key is refused, and echoed in full
    "quota",  # 429 that waiting does not mend
    "reset",  # the answer was made, then the connection is reset before its first byte
    "half",  # half of an answer, then the connection closes
    "slow",  # a body that trickles
    "badjson",  # a page of HTML with status 200
    "hang",  # the answer was made, and nothing ever comes
    "nousage",  # an answer without its token counts
    "wrongusage",  # an answer with token counts that are none
    "toolong",  # the prompt is longer than the model takes
    "blocked",  # the prompt is held back by a filter
    "filtered",  # the answer is held back by a filter
    "refusal",  # the model declines to answer
    "empty",  # an answer without a word
    "short",  # vectors of half their length
    "zeros",  # a vector of nothing but zeros, in place of the first
    "fewer",  # a vector too few
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
STATUSES: Mapping[FaultKind, int] = {
    "429": 429,
    "500": 500,
    "503": 503,
    "529": 529,
    "401": 401,
    "quota": 429,
    "toolong": 400,
    "blocked": 400,
}
"""Faults that are a status instead of an answer; they are never charged."""
ASK_TO_WAIT: frozenset[FaultKind] = frozenset({"429", "503", "529"})
# Seen or feared in the wild: a word, a negative number, a date long past, nothing, no number.
WRONG_RETRY_AFTER = ("soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "", "NaN")
# Options of the text form that are no shares of faults, with the field each one sets.
_OPTIONS: Mapping[str, str] = {
    "retry-after": "retry_after",
    "retry-after-wrong": "retry_after_wrong",
    "retry-after-s": "retry_after_s",
    "slow-s": "slow_s",
    "attempts": "attempts",
    "by": "by",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One request as a schedule sees it.

    body: SHA-256 of the request's body in hex. attempt: how often this body came, this time included.
    number: of the request at this server, from 1.
    """

    body: str
    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    retry_after_s: seconds that an error truly asks to wait; `None`: it sends no usable Retry-After.
    retry_after_wrong: text sent as Retry-After that says nothing usable. slow_s: how long a slow body takes.
    """

    kind: FaultKind
    retry_after_s: float | None = None
    retry_after_wrong: str | None = None
    slow_s: float = 2.0

    def retry_after_headers(self) -> bytes:
        """The header lines that ask to wait; milliseconds too where seconds cannot say it."""
        if self.retry_after_wrong is not None:
            return f"retry-after: {self.retry_after_wrong}\r\n".encode("ascii")
        return b"" if self.retry_after_s is None else wait_headers(self.retry_after_s)


HttpFaults: TypeAlias = "Callable[[Moment], Fault | None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSchedule:
    """Faults by shares of requests; call it with a `Moment`. Raises UsageError for shares that make no sense.

    shares: by kind, together at most 1. by "body": drawn from seed, body and attempt, so that a repeated
    request may fare better, and the order of requests changes nothing; "count": from seed and number of
    the request. attempts: from a body's next request on, nothing goes wrong any more; `None`: no end.
    retry_after: share of 429, 503 and 529 that carry Retry-After; retry_after_wrong: share of these
    where it says nothing usable; retry_after_s: what it says else.
    """

    shares: Mapping[FaultKind, float]
    seed: int = 0
    by: Literal["body", "count"] = "body"
    attempts: int | None = None
    retry_after: float = 1.0
    retry_after_wrong: float = 0.0
    retry_after_s: float = 1.0
    slow_s: float = 2.0
    _steps: tuple[tuple[float, FaultKind], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _refuse(self)
        bounds = accumulate(self.shares.values())
        object.__setattr__(self, "_steps", tuple(zip(bounds, self.shares, strict=True)))

    def __call__(self, moment: Moment) -> Fault | None:
        """The fault that this request meets, or `None`."""
        if self.attempts is not None and moment.attempt > self.attempts:
            return None
        where = f"{moment.body}:{moment.attempt}" if self.by == "body" else str(moment.number)
        draws = even_draws(f"fault:{self.seed}:{where}")
        kind: FaultKind | None = next((kind for bound, kind in self._steps if draws[0] < bound), None)
        if kind is None:
            return None
        if kind not in ASK_TO_WAIT or draws[1] >= self.retry_after:
            return Fault(kind, slow_s=self.slow_s)
        if draws[2] < self.retry_after_wrong:
            wrong = WRONG_RETRY_AFTER[int(draws[3] * len(WRONG_RETRY_AFTER))]
            return Fault(kind, retry_after_wrong=wrong)
        return Fault(kind, retry_after_s=self.retry_after_s)


def parse_faults(text: str, *, seed: int = 0) -> FaultSchedule:
    """The schedule of a text: "429:0.2,500:0.1,reset:0.05,retry-after-wrong:0.5,retry-after-s:0.2".

    A kind of fault and its share of requests each, and options: retry-after, retry-after-wrong (shares),
    retry-after-s, slow-s (seconds), attempts (a number), by (body or count).
    Raises UsageError naming what is wrong and what there is.
    """
    shares: dict[FaultKind, float] = {}
    options: dict[str, float | int | str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, value = (piece.strip() for piece in part.partition(":"))
        if name not in KINDS and name not in _OPTIONS:
            close = get_close_matches(name, [*KINDS, *_OPTIONS], n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise UsageError(
                f"faults has {name!r}{hint}, expected one of {', '.join(KINDS)}, with its share; "
                f"or an option: {', '.join(_OPTIONS)}"
            )
        if not colon or name in shares or _OPTIONS.get(name) in options:
            raise UsageError(
                f"faults has {part!r}, expected each name once and with a value, as in '429:0.2'"
            )
        if name == "by":
            options["by"] = value
        elif name in _OPTIONS:
            number = _number(name, value)
            options[_OPTIONS[name]] = int(number) if name == "attempts" else number
        else:
            shares[cast("FaultKind", name)] = _number(name, value)
    return FaultSchedule(shares=shares, seed=seed, **cast("dict[str, float]", options))  # pyright: ignore[reportArgumentType] - __post_init__ checks every value


def wait_headers(seconds: float) -> bytes:
    """Header lines that ask to wait this long: whole seconds, rounded up, and exact milliseconds."""
    whole = math.ceil(seconds)
    exact = "" if whole == seconds else f"retry-after-ms: {math.ceil(seconds * 1000)}\r\n"
    return f"{exact}retry-after: {whole}\r\n".encode("ascii")


def even_draws(text: str) -> tuple[float, float, float, float]:
    """Four numbers in [0, 1) that depend on the text alone."""
    digest = hashlib.sha256(text.encode()).digest()
    first, second, third, fourth = (int.from_bytes(digest[at : at + 6]) / 2**48 for at in (0, 6, 12, 18))
    return first, second, third, fourth


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"faults has {name}:{value}, expected a number")
    return number


def _refuse(schedule: FaultSchedule) -> None:
    shares = {**schedule.shares, "retry-after": schedule.retry_after}
    shares["retry-after-wrong"] = schedule.retry_after_wrong
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UsageError(f"faults has {name}:{share:g}, expected a share from 0 to 1")
    unknown = [kind for kind in schedule.shares if kind not in KINDS]
    if unknown:
        raise UsageError(f"faults has {unknown[0]!r}, expected one of {', '.join(KINDS)}")
    total = math.fsum(schedule.shares.values())
    if total > 1 + 1e-9:
        raise UsageError(f"the shares of faults add up to {total:g}, expected at most 1")
    if schedule.by not in ("body", "count"):
        raise UsageError(f"faults has by:{schedule.by}, expected body or count")
    lowest = min(
        schedule.retry_after_s, schedule.slow_s, 0 if schedule.attempts is None else schedule.attempts
    )
    if lowest < 0:
        raise UsageError("faults has a negative number of seconds or attempts, expected zero or more")
