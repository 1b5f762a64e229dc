"""One budget for all processes of a run: each leases a part of what is left, and spends within it.

In: caps and needs. Out: amounts that a process may spend without asking again. What was paid and what is
leased never passes a cap together: that is checked when a lease is granted, in one transaction, and a
payment takes its amount off the lease in the transaction that books it.

A process that dies leaves requests on their way, which its provider may bill. Its lease is the most that they
can cost: nobody gets it back, and it counts against the caps of its run for good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.store.connections import transaction
from harness.store.patience import patient
from harness.store.statements import Insert, execute, fetch, insert, select_sql

if TYPE_CHECKING:
    import sqlalchemy

GENEROUS = 8  # a lease takes at most an eighth of what is free, so that other processes find something too
CRUMB = 1e-9  # of any kind: rounding may leave that much in a lease that was given back
_FIGURES = ("usd", "calls", "tokens")
_LEASES = Insert("leases", ("run", "owner", *_FIGURES), "ON CONFLICT (run, owner) DO NOTHING")
_TAKE_OFF = """
UPDATE leases SET usd = usd - ?, calls = calls - ?, tokens = tokens - ? WHERE run = ? AND owner = ?
"""
# The owner of a lease that its process left behind: no name of a process, which is 32 hexadecimal digits,
# and none that was given before, since a process that stood still for long may be taken for dead twice.
_LEFT = "left:"
_OF_NAME = 14  # characters of the process's name; the rest is drawn anew
_LEFT_BY = f"'{_LEFT}' || substr(owner, 1, {_OF_NAME}) || ?"
_IS_LEFT = f"substr(owner, 1, {len(_LEFT)}) = '{_LEFT}'"
_HELD_ELSEWHERE = select_sql("leases", _FIGURES, f"run = ? AND owner <> ? AND NOT {_IS_LEFT}")
_LEFT_BEHIND = select_sql("leases", _FIGURES, f"run = ? AND {_IS_LEFT}")
_PAID = """
SELECT coalesce(sum(usd), 0) AS usd, count(*) AS calls,
       coalesce(sum(input_tokens + output_tokens), 0) AS tokens, coalesce(max(id), 0) AS last
FROM payments WHERE run = ? AND id > ?
"""
# A lease is in debt for what its process does not cap, and after a bill above its worst: no room for others.
# One statement, so that all figures are of one moment: between two of them PostgreSQL may let a payment
# through, which moves its amount from the lease to what was paid, and would be missed twice.
_TAKEN = f"""
SELECT paid.usd + leased.usd, paid.calls + leased.calls, paid.tokens + leased.tokens,
       paid.usd, paid.calls, paid.tokens, paid.last
FROM ({_PAID}) AS paid,
     (SELECT coalesce(sum(CASE WHEN usd > 0 THEN usd ELSE 0 END), 0) AS usd,
             coalesce(sum(CASE WHEN calls > 0 THEN calls ELSE 0 END), 0) AS calls,
             coalesce(sum(CASE WHEN tokens > 0 THEN tokens ELSE 0 END), 0) AS tokens
      FROM leases WHERE run = ?) AS leased
"""  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class Amount:
    """What a call, a lease or a cap comes to. math.inf in a cap: not capped."""

    usd: float = 0.0
    calls: float = 0.0
    tokens: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.usd + other.usd, self.calls + other.calls, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.usd - other.usd, self.calls - other.calls, self.tokens - other.tokens)

    def counted(self) -> Amount:
        """The amount as the table holds it: what is not capped is not counted."""
        figures = (self.usd, self.calls, self.tokens)
        return Amount(*(figure if math.isfinite(figure) else 0.0 for figure in figures))

    def uncapped(self) -> Amount:
        """Nothing where this amount is finite, everything where it is not."""
        return self - self.counted()

    def shortfall(self, need: Amount) -> Amount:
        """What is missing for this need, in each respect."""
        return Amount(
            max(0.0, need.usd - self.usd),
            max(0.0, need.calls - self.calls),
            max(0.0, need.tokens - self.tokens),
        )

    def most(self, other: Amount) -> Amount:
        """The greater of both, in each respect."""
        return Amount(max(self.usd, other.usd), max(self.calls, other.calls), max(self.tokens, other.tokens))

    def covers(self, other: Amount) -> bool:
        """Whether the other amount fits in this one, in every respect."""
        return self.usd >= other.usd and self.calls >= other.calls and self.tokens >= other.tokens


class Pool:
    """The budget of one run, as one of its processes sees it. Blocking: call it beside the event loop.

    let_lapse: frees what dead processes hold; called when the leases of others stand in the way.
    """

    def __init__(
        self,
        database: sqlalchemy.Engine,
        run: str,
        owner: str,
        caps: Amount,
        let_lapse: Callable[[], None] | None = None,
    ) -> None:
        self._let_lapse = let_lapse
        self._database = database
        self._run = run
        self._owner = owner
        self._caps = caps
        self._booked, self._last = Amount(), 0  # what was paid up to this row of the ledger

    @patient
    def lease(self, need: Amount, held: Amount | None = None) -> Amount | None:
        """A further lease that covers this need, and more if there is plenty; `None` when it is not free.

        held: what requests under way hold. A lease is at most as much again, which doubles what is lost when
        the process dies, and asks the store once for as many requests as are under way.
        """
        held = held or Amount()
        with transaction(self._database) as connection:
            _lock(connection, self._run, self._owner)
            free = self._caps - self._taken(connection)
            if not free.covers(need):
                return None
            calls = _granted(need.calls, held.calls, free.calls)
            granted = Amount(
                _granted(need.usd, held.usd, free.usd),
                calls // 1 if math.isfinite(calls) else calls,
                _granted(need.tokens, held.tokens, free.tokens),
            )
            take_off(connection, self._run, self._owner, Amount() - granted)
        return granted

    @patient
    def give_back(self, amount: Amount) -> None:
        """Return a part of this process's lease that it does not need now."""
        with transaction(self._database) as connection:
            take_off(connection, self._run, self._owner, amount)

    @patient
    def left(self) -> Amount:
        """What nobody paid yet of the caps, nor may have paid who died: never more than this can be spent."""
        with transaction(self._database) as connection:
            ((*paid, _),) = fetch(connection, _PAID, (self._run, 0))
            return self._caps - _amount(paid) - left_behind(connection, self._run)

    @patient
    def others_hold(self) -> bool:
        """Whether another process of this run holds a lease that it may yet give back."""
        with transaction(self._database) as connection:
            rows = fetch(connection, _HELD_ELSEWHERE, (self._run, self._owner))
        held = any(max(row) > CRUMB for row in rows)
        if held and self._let_lapse is not None:
            self._let_lapse()  # whoever waits asks again, and does not wait for the dead
        return held

    def _taken(self, connection: sqlalchemy.Connection) -> Amount:
        """What is paid and leased."""
        (row,) = fetch(connection, _TAKEN, (self._run, self._last, self._run))
        taken = self._booked + _amount(row[:3])
        if connection.dialect.name == "sqlite":
            # Adding up a long ledger at each lease takes longer than the answers that it is for.
            # SQLite writes one transaction after the other: no row appears later with a smaller number.
            self._booked += _amount(row[3:6])
            self._last = max(self._last, row[6])
        return taken


def leave_behind(connection: sqlalchemy.Connection, which: str, owners: Sequence[str]) -> None:
    """Let the leases of dead processes stand for good. which: their rows, as SQL with marks."""
    left = f"UPDATE leases SET owner = {_LEFT_BY} WHERE {which} AND NOT {_IS_LEFT}"  # noqa: S608 - ours
    execute(connection, left, (uuid4().hex[: 32 - len(_LEFT) - _OF_NAME], *owners))


def left_behind(connection: sqlalchemy.Connection, run: str) -> Amount:
    """The most that requests of dead processes of this run can cost, beside what is booked."""
    rows = fetch(connection, _LEFT_BEHIND, (run,))
    return Amount(*(math.fsum(max(0.0, row[place]) for row in rows) for place in range(len(_FIGURES))))


def take_off(connection: sqlalchemy.Connection, run: str, owner: str, amount: Amount) -> None:
    """Take a payment, or what is given back, off a process's lease."""
    less = amount.counted()
    execute(connection, _TAKE_OFF, (less.usd, less.calls, less.tokens, run, owner))


def _granted(need: float, held: float, free: float) -> float:
    """What is leased of one kind."""
    return max(need, min(held, free / GENEROUS)) if math.isfinite(free) else math.inf


def _amount(figures: Sequence[float]) -> Amount:
    usd, calls, tokens = figures
    return Amount(float(usd), float(calls), float(tokens))


def _lock(connection: sqlalchemy.Connection, run: str, owner: str) -> None:
    # SQLite's first write takes the only write lock; PostgreSQL is given a lock of the run's own.
    insert(connection, _LEASES, [(run, owner, 0.0, 0.0, 0.0)])
    if connection.dialect.name == "postgresql":
        fetch(connection, "SELECT pg_advisory_xact_lock(hashtext(?))", (run,))
