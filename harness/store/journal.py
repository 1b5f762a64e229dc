"""Group commit: many answers become durable in one transaction, from one writer thread.

In: paid answers, from any thread. Out: a call of `notify` for each group, once the database has
committed it (or could not). A reply is therefore durable before anybody uses it, and yet the disk
is asked once for a whole group rather than once an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from harness.errors import StoreLostError
from harness.store.answers import FailedCall, PaidAnswer, Payment, answer_row, event_row
from harness.store.schema import lost_store, tables

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")
GROUP = 500  # answers a transaction at most: beyond that the wait costs more than the commit saves


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    """What one request left behind: a bill, an answer, a failure, each where there was one."""

    payment: Payment | None = None
    answer: PaidAnswer | None = None
    failure: FailedCall | None = None
    tag: T | None = None


class Journal(Generic[T]):
    """Takes answers with a tag each; hands the tags back in groups when their answers are durable.

    notify: called by the writer's thread, also without tags when bills or failures could not be written.
    newest: whether a second answer under a key replaces the first.
    """

    def __init__(
        self,
        database: sqlalchemy.Engine,
        notify: Callable[[Sequence[T], StoreLostError | None], None],
        *,
        newest: bool = False,
    ) -> None:
        self._database = database
        self._notify = notify
        self._newest = newest
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

    def close(self) -> None:
        """Write what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _write_groups(self) -> None:
        closing = False
        while not closing:
            group: list[_Entry[T]] = []
            entry = self._queue.get()
            while entry is not None:
                group.append(entry)
                if len(group) >= GROUP or self._queue.empty():
                    break
                entry = self._queue.get()
            closing = entry is None
            lost = self._commit(group)
            tags = [entry.tag for entry in group if entry.tag is not None]
            if tags or lost:
                self._notify(tags, lost)

    def _commit(self, group: Sequence[_Entry[T]]) -> StoreLostError | None:
        schema = tables()
        writes = (
            (schema.payments.insert(), [event_row(e.payment) for e in group if e.payment]),
            (self._insert_answer(), [answer_row(e.answer) for e in group if e.answer]),
            (schema.failures.insert(), [event_row(e.failure) for e in group if e.failure]),
        )
        try:
            with self._database.begin() as connection:
                for statement, rows in writes:
                    if rows:
                        connection.execute(statement, rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for this group must hear of it
            what = f"{len(writes[1][1])} answers and {len(writes[0][1])} bills"
            return lost_store(f"could not write {what}", error)
        return None

    def _insert_answer(self) -> sqlalchemy.Insert:
        # Two processes may have paid for the same call at once: one answer stays, both payments count.
        from sqlalchemy.dialects import postgresql, sqlite

        dialect = postgresql if self._database.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(tables().answers)
        if not self._newest:
            return insert.on_conflict_do_nothing(index_elements=["key"])
        columns = {column.name: insert.excluded[column.name] for column in tables().answers.c}
        return insert.on_conflict_do_update(index_elements=["key"], set_=columns)
