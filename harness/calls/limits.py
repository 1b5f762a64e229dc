"""How hard one model may be pressed: calls in flight, pace, and pauses when its provider is down.

In: what happened to each request. Out: whether the next one may go now, or when. Pure bookkeeping on
the clock's seconds; waits for nothing and sends nothing. Used from one event loop.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from harness.calls.waiting import LONGEST_ASK_S
from harness.records import Endpoint, FailureKind

DOWN_AFTER = 8  # failures in a row, none of them the caller's fault, before a provider counts as down
FIRST_PROBE_S = 1.0  # pause before the first probe; doubles with each probe that fails
LONGEST_PROBE_S = 30.0
PROBES = 6  # probes that fail before the provider is given up for this run: a minute, and their time-outs
UNREACHED_PROBES = 3  # the same where no connection ever came about: the address is wrong, or nobody is there
LONGEST_QUIET_S = 600.0  # a provider that asks for more, or does so for longer, is given up for this run
CALM_S = 1.0  # one decrease per so many seconds: the answers to one burst are one piece of news
SLOW = 4.0  # times its usual latency at which an answer counts as slow
SLOW_ROW = 5  # slow answers in a row that make a collapse: a single long answer says nothing about the load
USUAL_WEIGHT = 0.02  # of a new latency in the running mean of what is usual
PRESSED: frozenset[FailureKind] = frozenset({"rate_limit", "overloaded"})
FAULTS: frozenset[FailureKind] = frozenset({"overloaded", "connection", "timeout", "malformed"})
MINUTE_S = 60.0


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
    _minute: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    _minute_tokens: int = 0
    _decreased_at: float = -math.inf
    _failures: int = 0
    _probes: int = 0
    _probing: bool = False
    _probe_at: float = 0.0
    _quiet_until: float = -math.inf
    _usual_s: float | None = None
    _slow: int = 0
    _reached: bool = False

    def __post_init__(self) -> None:
        self.limit = float(self.endpoint.concurrency)

    @property
    def most(self) -> int:
        """Calls that may be in flight; a provider that is down is probed by one at a time."""
        return 1 if self.down_since is not None else int(self.limit)

    def wait_s(self, now: float, tokens: int) -> float:
        """Seconds until a request of so many tokens is due; claims its place in the pace.

        Requests are spaced evenly at `rpm`, tokens at `tpm`, and no window of a minute holds more of either;
        a request that is larger than `tpm` by itself has a minute of its own.
        """
        if not self.endpoint.rpm and not self.endpoint.tpm:
            return 0.0
        start = now
        if self.endpoint.rpm:
            start = max(start, self._next_send)
        if self.endpoint.tpm:
            start = self._room_for(max(start, self._next_token_s), tokens, self.endpoint.tpm)
            self._next_token_s = start + MINUTE_S * tokens / self.endpoint.tpm
        if self.endpoint.rpm:
            self._next_send = start + MINUTE_S / self.endpoint.rpm
        return start - now

    def pause_s(self, now: float) -> float:
        """Seconds until to ask again of a provider that is down, or asked for quiet; 0: send at once.

        That may be the probe, by which it shows whether the provider is back.
        """
        if self.down_since is None:
            return 0.0
        if now < self._probe_at:
            return min(self._probe_at - now, FIRST_PROBE_S)
        # Should this probe never be sent, the next one may go when it would have timed out.
        self._probing, self._probe_at = True, now + self.endpoint.timeout_s
        return 0.0

    def on_answer(self, now: float, latency_s: float) -> None:
        """An answer came: additive increase, unless latency says that the provider is collapsing.

        Source: AIMD, Chiu and Jain 1989, Computer Networks and ISDN Systems 17.
        """
        if self._failures or self.down_since is not None:
            self._recover(now)
        self._reached = True
        usual = latency_s if self._usual_s is None else self._usual_s
        self._slow = self._slow + 1 if latency_s > SLOW * usual and self.in_flight > 1 else 0
        if self._slow >= SLOW_ROW:
            self._decrease(now)
        elif self.limit < self.endpoint.concurrency:
            self.limit = min(float(self.endpoint.concurrency), self.limit + 1.0 / self.limit)
        self._usual_s = usual + USUAL_WEIGHT * (latency_s - usual)

    def on_fault(
        self,
        now: float,
        kind: FailureKind,
        message: str,
        asked_s: float | None = None,
        *,
        sent: bool = False,
    ) -> None:
        """A request failed: multiplicative decrease when pressed too hard, pause when it seems down.

        asked_s: seconds that the provider asked to wait. Beyond what one call waits by itself, all do.
        sent: whether the request went out before its connection was lost: then there is somebody.
        """
        self._reached = self._reached or sent or kind != "connection"
        if kind in PRESSED:
            self._decrease(now)
            if asked_s is not None and asked_s > LONGEST_ASK_S:
                return self._be_quiet(now, asked_s, message)
        if kind in FAULTS:
            self._count_fault(now, message)
        elif kind != "rate_limit" or self.down_since is not None:
            self._recover(now)  # whoever refuses a request is there
        return None

    def _be_quiet(self, now: float, asked_s: float, message: str) -> None:
        """Send nothing until then, and after it one request at a time until one is answered."""
        if self.down_since is None:
            self.down_since = now
        self._probing = False
        self._probe_at = self._quiet_until = max(self._quiet_until, now + asked_s)
        if asked_s > LONGEST_QUIET_S:
            most = f"a run waits {LONGEST_QUIET_S:.0f} s at most"
            self.given_up = f"asked to wait {asked_s:.0f} s, and {most}: {message}"
        elif now - self.down_since > LONGEST_QUIET_S:
            self.given_up = f"asked to wait again and again, for {now - self.down_since:.0f} s: {message}"

    def _count_fault(self, now: float, message: str) -> None:
        self._failures += 1
        if self._failures < DOWN_AFTER:
            return
        if self.down_since is None:
            self.down_since = now
        elif not self._probing:
            return  # it was sent before the provider counted as down
        else:
            self._probing = False
            self._probes += 1
        if self._probes >= (PROBES if self._reached else UNREACHED_PROBES):
            self.given_up = f"down since {now - self.down_since:.0f} s: {message}"
        self._probe_at = now + min(LONGEST_PROBE_S, FIRST_PROBE_S * 2.0**self._probes)

    def _recover(self, now: float) -> None:
        if now < self._quiet_until:
            return  # what was sent before the provider asked for quiet says nothing of after
        self._failures = self._probes = 0
        self._probing, self.down_since = False, None

    def _decrease(self, now: float) -> None:
        if now - self._decreased_at >= CALM_S:
            self._decreased_at = now
            self.limit = max(1.0, self.limit / 2)

    def _room_for(self, start: float, tokens: int, tpm: int) -> float:
        """The first moment from `start` on at which the minute before it leaves room; notes the request."""
        while self._minute:
            sent_at, sent = self._minute[0]
            if self._minute_tokens + tokens <= tpm and start < sent_at + MINUTE_S:
                break
            start = max(start, sent_at + MINUTE_S)
            self._minute_tokens -= sent
            self._minute.popleft()
        self._minute.append((start, tokens))
        self._minute_tokens += tokens
        return start
