"""How hard one model may be pressed: calls in flight, pace, and pauses when its provider is down.

In: what happened to each request. Out: whether the next one may go now, or when. Pure bookkeeping on
the clock's seconds; waits for nothing and sends nothing. Used from one event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.records import Endpoint, FailureKind

DOWN_AFTER = 8  # failures in a row, none of them the caller's fault, before a provider counts as down
FIRST_PROBE_S = 1.0  # pause before the first probe; doubles with each probe that fails
LONGEST_PROBE_S = 30.0
PROBES = 6  # probes that fail before the provider is given up for this run: about two minutes
CALM_S = 1.0  # one decrease per so many seconds: the answers to one burst are one piece of news
SLOW = 4.0  # times its usual latency at which a provider counts as collapsing under the load
USUAL_WEIGHT = 0.02  # of a new latency in the running mean of what is usual
PRESSED: frozenset[FailureKind] = frozenset({"rate_limit", "overloaded"})
FAULTS: frozenset[FailureKind] = frozenset({"overloaded", "connection", "timeout", "malformed"})


@dataclass(slots=True)
class Limiter:
    """State of one model's line. now: seconds of a monotonic clock, given by the caller."""

    endpoint: Endpoint
    in_flight: int = 0
    limit: float = field(init=False)
    down_since: float | None = None
    given_up: str = ""
    _next_send: float = 0.0
    _next_token_s: float = 0.0
    _decreased_at: float = -CALM_S
    _failures: int = 0
    _probes: int = 0
    _probe_at: float = 0.0
    _usual_s: float | None = None

    def __post_init__(self) -> None:
        self.limit = float(self.endpoint.concurrency)

    @property
    def most(self) -> int:
        """Calls that may be in flight; a provider that is down is probed by one at a time."""
        return 1 if self.down_since is not None else int(self.limit)

    def wait_s(self, now: float, tokens: int) -> float:
        """Seconds until a request of so many tokens may be sent; claims its place in the pace.

        Pace: requests are spaced evenly at `rpm`, tokens at `tpm`, so that no window of a minute holds more.
        """
        start = max(now, self._probe_at if self.down_since is not None else now)
        if self.endpoint.rpm:
            start = max(start, self._next_send)
            self._next_send = start + 60.0 / self.endpoint.rpm
        if self.endpoint.tpm:
            start = max(start, self._next_token_s)
            self._next_token_s = start + 60.0 * tokens / self.endpoint.tpm
        return start - now

    def on_answer(self, now: float, latency_s: float) -> None:
        """An answer came: additive increase, unless latency says that the provider is collapsing.

        Source: AIMD, Chiu and Jain 1989, Computer Networks and ISDN Systems 17.
        """
        self._failures = self._probes = 0
        self.down_since = None
        usual = latency_s if self._usual_s is None else self._usual_s
        if latency_s > SLOW * usual and self.in_flight > 1:
            self._decrease(now)
        else:
            self.limit = min(float(self.endpoint.concurrency), self.limit + 1.0 / self.limit)
        self._usual_s = usual + USUAL_WEIGHT * (latency_s - usual)

    def on_fault(self, now: float, kind: FailureKind, message: str) -> None:
        """A request failed: multiplicative decrease when pressed too hard, pause when it seems down."""
        if kind in PRESSED:
            self._decrease(now)
        if kind not in FAULTS:
            self._failures = 0 if kind != "rate_limit" else self._failures
            return
        self._failures += 1
        if self._failures < DOWN_AFTER:
            return
        if self.down_since is None:
            self.down_since = now
        elif now >= self._probe_at:
            self._probes += 1
        if self._probes >= PROBES:
            self.given_up = f"down since {now - self.down_since:.0f} s: {message}"
        self._probe_at = now + min(LONGEST_PROBE_S, FIRST_PROBE_S * 2.0**self._probes)

    def _decrease(self, now: float) -> None:
        if now - self._decreased_at >= CALM_S:
            self._decreased_at = now
            self.limit = max(1.0, self.limit / 2)
