"""What processes at work on one store hold: claims on keys, so that one call is in flight per key.

In: a database that several processes share. Out: a name for this process, its claims, and a verdict on
others. A process of this machine is looked up by its number and start; one of another machine is dead
when its beat stands still, and so is an engine of this very process that could not leave, its store being
lost. No two machines' clocks are compared, so a clock set back harms nothing.
"""

from __future__ import annotations

import math
import os
import platform
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.store.answers import Payment
from harness.store.connections import transaction
from harness.store.leases import Amount, leave_behind, take_off
from harness.store.patience import patient, patiently
from harness.store.schema import tables
from harness.store.statements import Insert, blocks, execute, fetch, insert, marks, select_sql

if TYPE_CHECKING:
    import sqlalchemy

BEAT_S = 5.0  # between two beats of a process
SILENT_S = 30.0  # without a beat, whoever cannot be looked up counts as dead
_UNREGISTERED = "NOT IN (SELECT owner FROM owners)"
_CLAIMS = Insert("claims", ("key", "owner"), "ON CONFLICT (key) DO NOTHING")


class Owners:
    """This process among those that share the store. `name` is its own; it joins with its first claim."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database
        self.name = uuid4().hex
        self._beats_seen: dict[str, tuple[int, float]] = {}
        self._joined = False
        self._lock = threading.Lock()

    @patient
    def join(self) -> None:
        """Register this process, once, and free what dead ones left behind."""
        with self._lock:
            if not self._joined:
                self.let_lapse()
                with transaction(self._database) as connection:
                    self._register(connection, beat=0)
                self._joined = True

    def _register(self, connection: sqlalchemy.Connection, *, beat: int) -> None:
        connection.execute(
            tables()
            .owners.insert()
            .values(owner=self.name, host=_host(), pid=os.getpid(), started=_started(os.getpid()), beat=beat)
        )

    def beat(self) -> None:
        """Say that this process is alive."""
        owners = tables().owners
        with self._lock, transaction(self._database) as connection:
            told = connection.execute(
                owners.update().where(owners.c.owner == self.name).values(beat=owners.c.beat + 1)
            )
            # Others took this process for dead when it stood still for long: claims need an owner.
            if self._joined and not told.rowcount:
                self._register(connection, beat=1)

    @patient
    def claim(self, keys: Sequence[str]) -> set[str]:
        """Those of these keys that are now this process's to ask; the others are being asked elsewhere.

        keys: distinct. Look the keys up again afterwards: one may have been answered in between.
        """
        self.join()
        with transaction(self._database) as connection:
            if insert(connection, _CLAIMS, [(key, self.name) for key in keys]) == len(keys):
                return set(keys)
            query = select_sql("claims", ("key",), f"owner = ? AND key IN {marks(keys)}")
            return {key for (key,) in fetch(connection, query, (self.name, *keys))}

    def book(
        self, connection: sqlalchemy.Connection, payments: Sequence[Payment], ended: Sequence[str]
    ) -> None:
        """Within a transaction that writes answers: shrink the lease by their bills, end their claims."""
        for run in {payment.run for payment in payments}:
            bills = [payment for payment in payments if payment.run == run]
            tokens = sum(bill.input_tokens + bill.output_tokens for bill in bills)
            usd = math.fsum(bill.usd for bill in bills)
            take_off(connection, run, self.name, Amount(usd, len(bills), tokens))
        if ended:
            self.release(connection, ended)

    def release(self, connection: sqlalchemy.Connection, keys: Sequence[str]) -> None:
        """End these claims; keys that this process does not hold are left alone."""
        for some in blocks(keys):
            ended = f"DELETE FROM claims WHERE owner = ? AND key IN {marks(some)}"  # noqa: S608 - only marks
            execute(connection, ended, (self.name, *some))

    @patient
    def end_claims(self, keys: Sequence[str]) -> None:
        """End these claims of this process."""
        with transaction(self._database) as connection:
            self.release(connection, keys)

    def leave(self) -> None:
        """Give back all that this process holds, and be gone; harmless when it never joined.

        Only where all that it sent is booked; else `bury` it.
        """
        with self._lock:
            if self._joined:
                # For so long others wait for a process of which they hear nothing.
                patiently(self._give_all_back, patience_s=SILENT_S)
                self._joined = False

    def _give_all_back(self) -> None:
        leases = tables().leases
        with transaction(self._database) as connection:
            connection.execute(leases.delete().where(leases.c.owner == self.name))
        self.bury([self.name])

    def bury(self, names: Sequence[str]) -> None:
        """Let the claims of these processes lapse; what they had leased may be spent, and stays taken."""
        if not names:
            return
        schema = tables()
        with transaction(self._database) as connection:
            leave_behind(connection, f"owner IN {marks(names)}", names)
            for table in (schema.claims, schema.owners):
                connection.execute(table.delete().where(table.c.owner.in_(names)))

    @patient
    def let_lapse(self) -> None:
        """End what dead processes held, and what is held by nobody who is registered."""
        self.bury(self._dead())
        with transaction(self._database) as connection:
            leave_behind(connection, f"owner {_UNREGISTERED}", ())
            execute(connection, f"DELETE FROM claims WHERE owner {_UNREGISTERED}")  # noqa: S608 - ours

    def _dead(self) -> list[str]:
        with transaction(self._database) as connection:
            rows = connection.execute(tables().owners.select()).all()
        return [row.owner for row in rows if row.owner != self.name and self._is_dead(row)]

    def _is_dead(self, row: sqlalchemy.Row[tuple[object, ...]]) -> bool:
        if row.host == _host():
            if _started(row.pid) != row.started:
                return True
            if row.pid != os.getpid():
                return False
        beat, since = self._beats_seen.get(row.owner, (-1, 0.0))
        now = time.monotonic()
        if beat != row.beat:
            self._beats_seen[row.owner] = (row.beat, now)
            return False
        return now - since > SILENT_S


def _host() -> str:
    """Where a process number means what it means here."""
    # A container shares the machine's boot, and at times its name, but not its process numbers.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        boot = numbers = ""
    return f"{platform.node()}/{boot}/{numbers}"


def _started(pid: int) -> str:
    """When the process of this number began, in the system's own words; empty: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _alive_without_proc(pid)
    except OSError:
        return ""
    # Behind the program's name, which may hold anything: state, parent, ..., start in ticks since boot.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _alive_without_proc(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "alive"
