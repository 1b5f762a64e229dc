"""Group commit: many answers become durable in one transaction, from one writer thread.

In: paid answers, from any thread. Out: a call of `notify` for each group, once the database has
committed it (or could not). A reply is therefore durable before anybody uses it, and yet the disk
is asked once for a whole group rather than once an answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.errors import StoreLostError
from harness.store.answers import (
    FAILURE_COLUMNS,
    PAYMENT_COLUMNS,
    FailedCall,
    PaidAnswer,
    Payment,
    answer_row,
    event_row,
)
from harness.store.connections import transaction
from harness.store.owners import BEAT_S, Owners
from harness.store.rows import RowWriter
from harness.store.schema import insert, insert_new, lost_store, tables

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")
GROUP = 500  # answers a transaction at most: beyond that the wait costs more than the commit saves


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    """What one request left behind: a bill, an answer, a failure, each where there was one.

    released: a key that was claimed and will not be asked.
    """

    payment: Payment | None = None
    answer: PaidAnswer | None = None
    failure: FailedCall | None = None
    tag: T | None = None
    released: str | None = None


class Journal(Generic[T]):
    """Takes answers with a tag each; hands the tags back in groups when their answers are durable.

    notify: called by the writer's thread, also without tags when bills or failures could not be written.
    newest: whether a second answer under a key replaces the first. owners: this process, whose claims end
    with their answers, and whose lease shrinks with each payment; `None`: it holds none.
    """

    def __init__(
        self,
        database: sqlalchemy.Engine,
        notify: Callable[[Sequence[T], StoreLostError | None], None],
        *,
        newest: bool = False,
        owners: Owners | None = None,
    ) -> None:
        self._database = database
        self._notify = notify
        self._newest = newest
        schema = tables()
        self._payments = RowWriter(database, schema.payments.insert(), PAYMENT_COLUMNS)
        self._answers = RowWriter(database, self._insert_answer(), [c.name for c in schema.answers.c])
        self._failures = RowWriter(database, schema.failures.insert(), FAILURE_COLUMNS)
        self._owners = owners
        self._beat_at = time.monotonic() + BEAT_S
        self._queue: SimpleQueue[_Entry[T] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_groups, name="harness-journal", daemon=True)
        self._thread.start()

    def put(self, paid: PaidAnswer, tag: T) -> None:
        """Queue one answer and its bill for the next group."""
        self._queue.put(_Entry(paid.payment, paid, None, tag))

    def put_payment(self, payment: Payment) -> None:
        """Queue the bill of a request that brought no answer."""
        self._queue.put(_Entry(payment))

    def put_failure(self, failed: FailedCall) -> None:
        """Queue a call that brought no answer."""
        self._queue.put(_Entry(failure=failed))

    def put_release(self, key: str) -> None:
        """Queue the end of a claim on a key that was never asked."""
        self._queue.put(_Entry(released=key))

    def close(self) -> None:
        """Write what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _write_groups(self) -> None:
        closing = False
        while not closing:
            group: list[_Entry[T]] = []
            entry = self._next()
            self._beat()
            while entry is not None:
                group.append(entry)
                if len(group) >= GROUP or self._queue.empty():
                    break
                entry = self._queue.get()
            closing = entry is None
            lost = self._commit(group) if group else None
            tags = [entry.tag for entry in group if entry.tag is not None]
            if tags or lost:
                self._notify(tags, lost)

    def _next(self) -> _Entry[T] | None:
        """The next entry; while there is none, other processes are told now and then that this one lives."""
        if self._owners is None:
            return self._queue.get()
        while True:
            try:
                return self._queue.get(timeout=BEAT_S)
            except Empty:
                self._beat()

    def _beat(self) -> None:
        now = time.monotonic()
        if self._owners is not None and now >= self._beat_at:
            self._beat_at = now + BEAT_S
            # A beat that fails is no loss: the next write tells what is wrong with the store.
            with suppress(StoreLostError):
                self._owners.beat()

    def _commit(self, group: Sequence[_Entry[T]]) -> StoreLostError | None:
        writes = (
            (self._payments, [event_row(e.payment) for e in group if e.payment]),
            (self._answers, _ordered([answer_row(e.answer) for e in group if e.answer])),
            (self._failures, [event_row(e.failure) for e in group if e.failure]),
        )
        what = f"could not write {len(writes[1][1])} answers and {len(writes[0][1])} bills"
        try:
            with transaction(self._database, what) as connection:
                for writer, rows in writes:
                    writer.write(connection, rows)
                if self._owners is not None:
                    self._owners.book(connection, [e.payment for e in group if e.payment], _ended(group))
        except StoreLostError as lost:
            return lost
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for this group must hear of it
            return lost_store(what, error)
        return None

    def _insert_answer(self) -> sqlalchemy.Insert:
        # Two processes may have paid for the same call at once: one answer stays, both payments count.
        table = tables().answers
        if not self._newest:
            return insert_new(self._database, table)
        statement = insert(self._database, table)
        columns = {column.name: statement.excluded[column.name] for column in table.c}
        return statement.on_conflict_do_update(index_elements=["key"], set_=columns)


def _ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by key: two processes that write the same ones in two orders would lock each other out."""
    return sorted(rows, key=itemgetter("key"))


def _ended(group: Sequence[_Entry[T]]) -> list[str]:
    """The keys that nobody asks any more, now that this group is written."""
    named = ((e.answer and e.answer.payment.key, e.failure and e.failure.key, e.released) for e in group)
    return [key for keys in named for key in keys if key]
