"""One budget for all processes of a run: each leases a part of what is left, and spends within it.

In: caps and needs. Out: amounts that a process may spend without asking again. What was paid and what is
leased never passes a cap together: that is checked when a lease is granted, in one transaction, and a
payment takes its amount off the lease in the transaction that books it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.store.connections import transaction
from harness.store.schema import insert_new, tables

if TYPE_CHECKING:
    import sqlalchemy

GENEROUS = 8  # a lease takes an eighth of what is free, so that other processes find something too
CRUMB = 1e-9  # of any kind: rounding may leave that much in a lease that was given back


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

    def lease(self, need: Amount) -> Amount | None:
        """A further lease that covers this need, and more if there is plenty; `None` when it is not free."""
        with transaction(self._database) as connection:
            _lock(connection, self._run, self._owner)
            free = self._caps - _taken(connection, self._run)
            if not free.covers(need):
                return None
            granted = Amount(
                max(need.usd, free.usd / GENEROUS),
                max(need.calls, free.calls // GENEROUS if math.isfinite(free.calls) else math.inf),
                max(need.tokens, free.tokens / GENEROUS),
            )
            take_off(connection, self._run, self._owner, Amount() - granted)
        return granted

    def give_back(self, amount: Amount) -> None:
        """Return a part of this process's lease that it does not need now."""
        with transaction(self._database) as connection:
            take_off(connection, self._run, self._owner, amount)

    def others_hold(self) -> bool:
        """Whether another process of this run holds a lease that it may yet give back."""
        table = tables().leases
        with transaction(self._database) as connection:
            query = table.select().where(table.c.run == self._run, table.c.owner != self._owner)
            rows = connection.execute(query).all()
        held = any(max(row.usd, row.calls, row.tokens) > CRUMB for row in rows)
        if held and self._let_lapse is not None:
            self._let_lapse()  # whoever waits asks again, and does not wait for the dead
        return held


def take_off(connection: sqlalchemy.Connection, run: str, owner: str, amount: Amount) -> None:
    """Take a payment, or what is given back, off a process's lease."""
    table, less = tables().leases, amount.counted()
    connection.execute(
        table.update()
        .where(table.c.run == run, table.c.owner == owner)
        .values(
            usd=table.c.usd - less.usd, calls=table.c.calls - less.calls, tokens=table.c.tokens - less.tokens
        )
    )


def _taken(connection: sqlalchemy.Connection, run: str) -> Amount:
    """What the run has paid and leased."""
    from sqlalchemy import func, select

    paid, leases = tables().payments, tables().leases
    tokens = paid.c.input_tokens + paid.c.output_tokens
    paid_of = {"usd": func.sum(paid.c.usd), "calls": func.count(), "tokens": func.sum(tokens)}
    # One statement, so that all figures are of one moment: between two of them PostgreSQL may let a
    # payment through, which moves its amount from the lease to what was paid, and would be missed twice.
    figures = [
        func.coalesce(select(figure).where(paid.c.run == run).scalar_subquery(), 0)
        + func.coalesce(select(func.sum(leases.c[name])).where(leases.c.run == run).scalar_subquery(), 0)
        for name, figure in paid_of.items()
    ]
    return Amount(*(float(figure) for figure in connection.execute(select(*figures)).one()))


def _lock(connection: sqlalchemy.Connection, run: str, owner: str) -> None:
    # SQLite's first write takes the only write lock; PostgreSQL is given a lock of the run's own.
    table = tables().leases
    row: dict[str, Any] = {"run": run, "owner": owner, "usd": 0.0, "calls": 0.0, "tokens": 0.0}
    connection.execute(insert_new(connection.engine, table), [row])
    if connection.dialect.name == "postgresql":
        from sqlalchemy import text

        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:run))"), {"run": run})
