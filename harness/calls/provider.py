"""The one seam to whoever answers: a call goes in, a reply comes out, or a fault says what went wrong.

Everything that may be replaced lives below this line: the direct lane, the litellm lane, the embedded
model, the simulator. A provider sends exactly one request a call; retries, limits, money and caching
belong to the engine above it.
"""

from __future__ import annotations

from typing import Protocol

from harness.records import Call, FailureKind, Reply

RETRYABLE: frozenset[FailureKind] = frozenset(
    {"rate_limit", "overloaded", "connection", "timeout", "malformed"}
)


class ProviderFault(Exception):  # noqa: N818 - a fault becomes a record; it is no error of ours
    """A request that brought no usable answer, already classified.

    retry_after_s: seconds that the provider asked to wait; `None` when it did not say.
    billed: whether the provider may have charged for it (an answer was begun).
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.billed = billed

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in RETRYABLE


class Provider(Protocol):
    """Answers calls for one endpoint. Used from one event loop, many calls at a time."""

    async def complete(self, call: Call) -> Reply:
        """Send one request and read its answer. Raises ProviderFault, and nothing else on purpose."""
        ...

    async def close(self) -> None:
        """Let go of connections and processes; harmless when called twice."""
        ...
