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
from operator import itemgetter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from harness.errors import StoreLostError
from harness.store.answers import (
    ANSWER_COLUMNS,
    FAILURE_COLUMNS,
    PAYMENT_COLUMNS,
    FailedCall,
    PaidAnswer,
    Payment,
    answer_row,
    failure_row,
    payment_row,
)
from harness.store.connections import transaction
from harness.store.own import delete_failures
from harness.store.owners import BEAT_S, Owners
from harness.store.patience import PATIENCE_S, is_locked, patiently
from harness.store.schema import lost_store
from harness.store.statements import Insert, insert

if TYPE_CHECKING:
    import sqlalchemy

T = TypeVar("T")
_KEY = itemgetter(0)  # of a row of answers
_PAYMENTS = Insert("payments", PAYMENT_COLUMNS)
_FAILURES = Insert("failures", FAILURE_COLUMNS)
_FIRST_ANSWERS = Insert("answers", ANSWER_COLUMNS, "ON CONFLICT (key) DO NOTHING")
_NEWEST_ANSWERS = Insert(
    "answers",
    ANSWER_COLUMNS,
    f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in ANSWER_COLUMNS)}",
)
GROUP = 500  # answers a transaction at most: beyond that the wait costs more than the commit saves
GATHER_S = 0.02  # that answers wait for others when many come: a commit costs as much as writing ten of them


class _Entry(NamedTuple, Generic[T]):
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
    with their answers, and whose lease shrinks with each payment; `None`: it holds none. failed: keys of
    calls that failed before, to which it adds: an answer takes the failure of its key out. patience_s: that a
    group waits for a lock of others before it is given up. waiting: whether one does; nothing that has to be
    written later should be begun then.
    """

    def __init__(
        self,
        database: sqlalchemy.Engine,
        notify: Callable[[Sequence[T], StoreLostError | None], None],
        *,
        newest: bool = False,
        owners: Owners | None = None,
        failed: set[str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.waiting = False
        self._database = database
        self._failed = set[str]() if failed is None else failed
        self._notify = notify
        # Two processes may have paid for the same call at once: one answer stays, both payments count.
        self._answers = _NEWEST_ANSWERS if newest else _FIRST_ANSWERS
        self._owners = owners
        self._patience_s = patience_s
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
        self._failed.add(failed.key)
        self._queue.put(_Entry(failure=failed))

    def put_release(self, key: str) -> None:
        """Queue the end of a claim on a key that was never asked."""
        self._queue.put(_Entry(released=key))

    def close(self) -> None:
        """Write what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _write_groups(self) -> None:
        closing = busy = False
        while not closing:
            group: list[_Entry[T]] = []
            entry = self._next()
            self._beat()
            if busy and entry is not None:
                time.sleep(GATHER_S)
            while entry is not None:
                group.append(entry)
                if len(group) >= GROUP or self._queue.empty():
                    break
                entry = self._queue.get()
            closing = entry is None
            busy = len(group) > 1  # an entry that came alone before does not wait for company
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
        payments = [entry.payment for entry in group if entry.payment]
        bills = [payment_row(payment) for payment in payments]
        failures = [failure_row(entry.failure) for entry in group if entry.failure]
        answers = [answer_row(entry.answer) for entry in group if entry.answer]
        paid = [entry.answer.payment for entry in group if entry.answer]
        got_over = [payment for payment in paid if payment.key in self._failed]
        if self._answers is _NEWEST_ANSWERS:  # PostgreSQL changes a row only once in a statement
            answers = list({answer[0]: answer for answer in answers}.values())
        # By key: two processes that write the same rows in two orders would lock each other out.
        answers.sort(key=_KEY)
        what = f"could not write {len(answers)} answers and {len(bills)} bills"

        def write() -> None:
            with transaction(self._database, what) as connection:
                insert(connection, _PAYMENTS, bills)
                insert(connection, self._answers, answers)
                insert(connection, _FAILURES, failures)
                for payment in got_over:
                    delete_failures(connection, payment.run, [payment.key])
                if self._owners is not None:
                    self._owners.book(connection, payments, _ended(group))

        try:
            patiently(write, patience_s=self._patience_s, on_wait=self._wait)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for this group must hear of it
            if is_locked(error):
                self._patience_s = 0.0  # those behind it have waited as long
            return error if isinstance(error, StoreLostError) else lost_store(what, error)
        finally:
            self.waiting = False
        return None

    def _wait(self) -> None:
        self.waiting = True


def _ended(group: Sequence[_Entry[T]]) -> list[str]:
    """The keys that nobody asks any more, now that this group is written."""
    answered = [entry.answer.payment.key for entry in group if entry.answer]
    failed = [entry.failure.key for entry in group if entry.failure]
    return answered + failed + [entry.released for entry in group if entry.released]
