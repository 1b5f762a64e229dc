"""A call on its way through the engine: its ticket, the stream it returns to, the gate it waits at.

State with the lifetime of a run, shared by the engine's own threads only; no decisions.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TypeAlias

from harness.calls.budget import Hold
from harness.calls.limits import Limiter
from harness.calls.provider import Provider
from harness.calls.waiting import Pause, TimeLimit
from harness.catalogue.models import Model
from harness.findings import Paid, Spend
from harness.records import Call, CallFailure, Completion, Endpoint, Outcome, Purpose

Delivery: TypeAlias = "Outcome | BaseException"
NO_HOLD = Hold(0.0, 0, 0)
ANY_NUMBER = sys.maxsize


@dataclass(slots=True, eq=False)
class Stream:
    """Where the outcomes of one `run` arrive, in groups. stopped: nothing more may be sent for it.

    asked: tickets handed to the engine, counted by the caller's thread; answered: by the engine's. What is
    still to come is their difference, whatever became of deliveries when an interrupt fell between two steps.
    """

    arrived: SimpleQueue[Sequence[Delivery]] = field(default_factory=SimpleQueue)
    stopped: bool = False
    asked: int = 0
    answered: int = 0
    taken: int = 0
    _at_hand: deque[Delivery] = field(default_factory=deque["Delivery"])

    @property
    def open(self) -> int:
        """How many outcomes the caller has yet to take."""
        return self.asked - self.taken

    def next(self, timeout_s: float | None) -> Delivery | None:
        """The next outcome; `None` when none came within this time."""
        if not self._at_hand:
            try:
                self._at_hand.extend(self.arrived.get(timeout=timeout_s))
            except Empty:
                return None
        self.taken += 1
        return self._at_hand.popleft()

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Hand these outcomes over."""
        self.answered += len(deliveries)
        self.arrived.put(deliveries)

    def drain(self) -> None:
        """Return when everything asked was answered; the answers are dropped."""
        while self.answered < self.asked:
            self.arrived.get()


@dataclass(slots=True, eq=False)
class Ticket:
    """One call on its way. twins: tickets that asked the same while it was on its way.

    worst: what one request of it can cost at most; set when it is accepted. pause: between two attempts;
    `None` until the first one failed. attempts: requests sent in vain. together: with how many others it may
    travel at most, itself included; fewer once a request with several texts was refused.
    """

    call: Call
    key: str
    stream: Stream
    queued_at: float
    twins: list[Ticket] = field(default_factory=list["Ticket"])
    worst: Hold = NO_HOLD
    pause: Pause | None = None
    attempts: int = 0
    together: int = ANY_NUMBER

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for the answer."""
        return not self.stream.stopped or any(twin.wanted for twin in self.twins)


class Hits:
    """Answers that the run did not pay for, by purpose."""

    def __init__(self) -> None:
        self._found: dict[Purpose, tuple[int, float]] = {}

    def add(self, told: Iterable[Delivery]) -> None:
        """Count the answers among these that are cached, and their list price."""
        for one in told:
            if isinstance(one, Completion) and one.cached:
                count, usd = self._found.get(one.call.purpose, (0, 0.0))
                self._found[one.call.purpose] = count + 1, usd + (one.price_usd or 0.0)

    def added_to(self, spend: Spend) -> Spend:
        """What was spent, with these answers counted as cached."""
        parts = dict(spend.by_purpose)
        for purpose, (count, usd) in list(self._found.items()):
            part = parts.get(purpose, Paid())
            parts[purpose] = replace(part, cached=part.cached + count, saved_usd=part.saved_usd + usd)
        return replace(
            spend,
            cached=spend.cached + sum(count for count, _ in self._found.values()),
            saved_usd=spend.saved_usd + sum(usd for _, usd in self._found.values()),
            by_purpose=parts,
        )


def again(delivery: Delivery, call: Call) -> Delivery:
    """The same delivery to another call that asked the same; an answer counts as cached there."""
    if isinstance(delivery, Completion):
        return replace(delivery, call=call, cached=True)
    return replace(delivery, call=call) if isinstance(delivery, CallFailure) else delivery


@dataclass(slots=True)
class Gate:
    """The calls of one model: those waiting, and the limits they wait for. time_limit: of one attempt."""

    provider: Provider
    endpoint: Endpoint
    model: Model
    time_limit: TimeLimit
    line: Limiter
    waiting: deque[Ticket] = field(default_factory=deque[Ticket])
