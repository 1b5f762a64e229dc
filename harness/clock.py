"""Time as an argument: the real clock here, a fake one in `harness.testing`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the package gets its time from."""

    def now(self) -> datetime:
        """The current moment, with time zone UTC; may jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. For durations only."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds; at once if they are zero or less."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The current moment in UTC."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(max(0.0, seconds))
