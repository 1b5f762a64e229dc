"""A call on its way through the engine: its ticket, the stream it returns to, the gate it waits at.

State with the lifetime of a run, shared by the engine's own threads only; no decisions.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TypeAlias

from harness.calls.provider import Provider
from harness.catalogue.models import Model
from harness.records import Call, Endpoint, Outcome

Delivery: TypeAlias = "Outcome | BaseException"


@dataclass(slots=True)
class Stream:
    """Where the outcomes of one `run` arrive. stopped: nothing more may be sent for it."""

    arrived: SimpleQueue[Delivery] = field(default_factory=SimpleQueue)
    stopped: bool = False


@dataclass(slots=True)
class Ticket:
    """One call on its way. twins: tickets that asked the same while it was on its way."""

    call: Call
    key: str
    stream: Stream
    queued_at: float
    twins: list[Ticket] = field(default_factory=list["Ticket"])

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for the answer."""
        return not self.stream.stopped or any(twin.wanted for twin in self.twins)


@dataclass(slots=True)
class Gate:
    """The calls of one model: those waiting, and how many are in flight."""

    provider: Provider
    endpoint: Endpoint
    model: Model
    waiting: deque[Ticket] = field(default_factory=deque[Ticket])
    in_flight: int = 0
