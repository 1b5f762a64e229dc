"""What a simulated provider saw, sent and would charge: counts, a journal, and a limit on requests.

In: one entry a request, changed as it goes on. Out: pictures of the counts. It must not decide what
is answered. Used from one thread.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError

# Bounds the memory of a long benchmark; a test that reads the journal sends far fewer requests.
LONGEST_JOURNAL = 200_000
MOST_KEPT = 10_000  # whole requests, where they are kept


@dataclass(slots=True)
class Entry:
    """One request in the journal. Moments are seconds since 1970, comparable between processes.

    body: SHA-256 of its body in hex. status: of the answer; `None` while, or because, there is none.
    retry_after_s: seconds that the answer truly asked to wait. finished_at: when the last byte was
    handed to the network; `None`: the answer never went out in full.
    """

    number: int
    body: str
    attempt: int
    arrived_at: float
    model: str = ""
    status: int | None = None
    fault: str | None = None
    retry_after_s: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What came in one request, without its headers, which hold keys. body: as it was sent."""

    path: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficStats:
    """Counts at one moment. requests = answered + unanswered + in_flight.

    requests: questions that came, whatever became of them. answered: by status, answers that went out in
    full. unanswered: reset, cut off, or given up by the client. faults: by kind, as they were scheduled.
    bill_usd: what a real provider would charge; tokens are those on the bill. connections: open now.
    """

    requests: int
    answered: Mapping[int, int]
    unanswered: int
    in_flight: int
    peak_in_flight: int
    connections: int
    bytes_in: int
    bytes_out: int
    bill_usd: float
    charged: int
    input_tokens: int
    output_tokens: int
    faults: Mapping[str, int]
    requests_by_model: Mapping[str, int]


@dataclass(slots=True)
class Traffic:
    """Counts of one server since its start or its last reset."""

    requests: int = 0
    unanswered: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    charged: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charges_usd: list[float] = field(default_factory=list[float])
    answered: Counter[int] = field(default_factory=Counter[int])
    faults: Counter[str] = field(default_factory=Counter[str])
    by_model: Counter[str] = field(default_factory=Counter[str])
    bodies: dict[str, int] = field(default_factory=dict[str, int])
    journal: deque[Entry] = field(default_factory=lambda: deque[Entry](maxlen=LONGEST_JOURNAL))
    kept: deque[Kept] = field(default_factory=lambda: deque[Kept](maxlen=MOST_KEPT))

    def begin(self, body: str, now: float) -> Entry:
        """Note a request that has come in full."""
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        attempt = self.bodies[body] = self.bodies.get(body, 0) + 1
        entry = Entry(self.requests, body, attempt, now)
        self.journal.append(entry)
        return entry

    def charge(self, price_usd: float, input_tokens: int, output_tokens: int) -> None:
        """Put an answer on the bill."""
        self.charged += 1
        self.charges_usd.append(price_usd)
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        if len(self.charges_usd) >= 4096:
            self.charges_usd = [math.fsum(self.charges_usd)]

    def finish(self, entry: Entry, now: float) -> None:
        """Note that the answer to this request has gone out in full."""
        entry.finished_at = now
        self.in_flight -= 1
        self.answered[entry.status or 0] += 1

    def lose(self) -> None:
        """Note that a request will never be answered in full."""
        self.in_flight -= 1
        self.unanswered += 1

    def stats(self) -> TrafficStats:
        """The counts of this moment."""
        return TrafficStats(
            requests=self.requests,
            answered=dict(self.answered),
            unanswered=self.unanswered,
            in_flight=self.in_flight,
            peak_in_flight=self.peak_in_flight,
            connections=self.connections,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            bill_usd=math.fsum(self.charges_usd),
            charged=self.charged,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            faults=dict(self.faults),
            requests_by_model=dict(self.by_model),
        )


@dataclass(frozen=True, slots=True)
class Level:
    """A limit as providers tell it. rpm: requests a minute; left: of them; full_s: until all are back."""

    rpm: int
    left: int
    full_s: float


class RequestLimit:
    """Requests a minute as a bucket that holds a minute's worth and fills up evenly.

    now: a clock in seconds that never goes back.
    """

    def __init__(self, rpm: int, now: Callable[[], float]) -> None:
        if rpm < 1:
            raise UsageError(f"rpm is {rpm!r}, expected at least 1 request a minute")
        self._rpm = rpm
        self._now = now
        self._left = float(rpm)
        self._at = now()

    def admit(self) -> float:
        """Take one request in: 0.0, or the seconds after which the next one can be taken."""
        now = self._now()
        self._left = min(self._rpm, self._left + (now - self._at) * self._rpm / 60)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * 60 / self._rpm

    def level(self) -> Level:
        """How much of it is left at this moment."""
        return Level(self._rpm, int(self._left), (self._rpm - self._left) * 60 / self._rpm)
