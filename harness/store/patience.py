"""Waiting for a database whose lock somebody else holds: a backup, a shell, another process of ours.

In: work that fails as a whole, so that it may be done again. Out: what it gives, once the lock is free. What
was paid is in memory until then, and nothing is lost by waiting.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
LOCK_TIMEOUT_S = 5.0  # that a database waits by itself: nothing can be told or stopped while it does
PATIENCE_S = 600.0  # a copy or a clean-up of a large store ends within it; what takes longer needs a hand
PAUSE_S = 0.1
# Of PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. The transaction is taken back.
_AGAIN = frozenset({"40001", "40P01", "55P03"})


def is_locked(error: BaseException) -> bool:
    """Whether this failed since others were at work on the same rows, and may succeed when done again."""
    fault = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None)
    if isinstance(fault, sqlite3.OperationalError):
        # The lower byte; the rest says in which of its ways the database is busy.
        return getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return getattr(fault, "sqlstate", None) in _AGAIN


def patiently(
    work: Callable[[], T], *, patience_s: float = PATIENCE_S, on_wait: Callable[[], None] | None = None
) -> T:
    """What this work gives; while others hold the lock that it needs, it is done again.

    on_wait: called when it is done again for the first time. Raises what the work raises, and its error of a
    lock after so many seconds.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except Exception as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise
        if on_wait is not None:
            on_wait()
            on_wait = None
        time.sleep(PAUSE_S)


def patient(work: Callable[P, T]) -> Callable[P, T]:
    """The same function, done as `patiently` does; its transactions may be done again together."""

    @wraps(work)
    def until_done(*args: P.args, **kwargs: P.kwargs) -> T:
        return patiently(partial(work, *args, **kwargs))

    return until_done
