"""The journal: an answer is durable before anybody hears of it, and nobody waits for ever."""

from __future__ import annotations

import queue
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from harness.errors import StoreLostError
from harness.store.answers import FailedCall
from harness.store.journal import GROUP, Journal
from harness.store.store import open_store
from harness.testing.builders import AT, a_failure, a_reply

PATIENCE_S = 30.0


class Listener:
    """Takes what a journal tells; `before` runs first, in the writer's thread."""

    def __init__(self, before=lambda _: None):
        self.before = before
        self.told = queue.SimpleQueue()
        self.groups = []

    def __call__(self, tags, lost):
        """Note one group."""
        self.before(tags)
        self.groups.append(len(tags))
        for tag in tags:
            self.told.put((tag, lost))
        if not tags:
            self.told.put((None, lost))

    def take(self, count):
        """So many tags with their errors."""
        return [self.told.get(timeout=PATIENCE_S) for _ in range(count)]


@pytest.fixture
def store(url):
    """A store whose file can be looked at from beside."""
    with closing(open_store(url, {})) as opened:
        yield opened


def file_of(store) -> Path:
    """The file of a store."""
    return Path(store.database.url.database)


def rows(path: Path, query: str) -> list[tuple]:
    """What another connection sees in the database."""
    with closing(sqlite3.connect(path)) as other:
        return other.execute(query).fetchall()


def test_an_answer_is_durable_before_it_is_told(store, paid):
    """Whoever is told of an answer could find it, and its bill, from another process."""
    seen = []

    def look(tags):
        keys = {key for (key,) in rows(file_of(store), "select key from answers")}
        bills = {key for (key,) in rows(file_of(store), "select key from payments")}
        seen.append(set(tags) <= keys and set(tags) <= bills)

    listener = Listener(look)
    journal = Journal(store.database, listener)
    for number in range(50):
        journal.put(paid(f"k{number}"), f"k{number}")
    told = listener.take(50)
    journal.close()
    assert [tag for tag, _ in told] == [f"k{number}" for number in range(50)]
    assert all(lost is None for _, lost in told)
    assert all(seen)


def test_answers_that_wait_are_written_together(store, paid):
    """While one group is written others gather: the disk is asked once for up to GROUP of them."""
    hold = threading.Event()
    listener = Listener(lambda _: hold.wait(PATIENCE_S))
    journal = Journal(store.database, listener)
    journal.put(paid("first"), "first")
    for number in range(GROUP + 10):
        journal.put(paid(f"k{number}"), f"k{number}")
    hold.set()
    listener.take(GROUP + 11)
    journal.close()
    assert sum(listener.groups) == GROUP + 11
    assert max(listener.groups) <= GROUP
    assert len(listener.groups) <= 4


def test_closing_writes_what_is_queued(store, paid):
    """Nothing that was handed over before the end is lost."""
    listener = Listener()
    journal = Journal(store.database, listener)
    for number in range(700):
        journal.put(paid(f"k{number}"), number)
    journal.put_payment(paid("fault").payment)
    journal.put_failure(FailedCall.of(a_failure(), run="run-1", key="fault", at=AT))
    journal.close()
    assert len(listener.take(700)) == 700
    assert rows(file_of(store), "select count(*) from payments") == [(701,)]
    assert rows(file_of(store), "select kind, attempts from failures") == [("overloaded", 4)]


@pytest.mark.parametrize("damage", ["drop table answers", "drop table payments", "drop table failures"])
def test_a_failing_database_is_told_to_every_tag(store, paid, damage):
    """When a group cannot be written, each of its answers is told so, and none of it is half there."""
    with closing(sqlite3.connect(file_of(store))) as other:
        other.execute(damage)
        other.commit()
    listener = Listener()
    journal = Journal(store.database, listener)
    for number in range(20):
        journal.put_failure(FailedCall.of(a_failure(), run="run-1", key=f"f{number}", at=AT))
        journal.put(paid(f"k{number}"), number)
    tags: list[int] = []
    while len(tags) < 20:
        tag, lost = listener.told.get(timeout=PATIENCE_S)
        if tag is not None:
            tags.append(tag)
        if damage != "drop table failures" or tag is None:
            assert isinstance(lost, StoreLostError)
    journal.close()
    assert sorted(tags) == list(range(20))


def test_a_bill_that_cannot_be_written_is_told(store, paid):
    """A lost bill has no tag to be told to, and is told all the same: the cap depends on it."""
    with closing(sqlite3.connect(file_of(store))) as other:
        other.execute("drop table payments")
        other.commit()
    listener = Listener()
    journal = Journal(store.database, listener)
    journal.put_payment(paid("fault").payment)
    ((tag, lost),) = listener.take(1)
    journal.close()
    assert tag is None
    assert isinstance(lost, StoreLostError)
    assert "no such table: payments" in str(lost)


def test_an_answer_that_no_database_takes_does_not_hang(store, paid):
    """A fault of one row ends as an error of its group, not as a dead thread; later groups are written."""
    listener = Listener()
    journal = Journal(store.database, listener)
    journal.put(paid("bad", a_reply(text="\ud800")), "bad")
    ((_, lost),) = listener.take(1)
    assert isinstance(lost, StoreLostError)
    journal.put(paid("good"), "good")
    assert listener.take(1) == [("good", None)]
    journal.close()


def test_the_error_names_no_text(store, paid):
    """What people asked and were answered stays out of messages, also of the cause."""
    with closing(sqlite3.connect(file_of(store))) as other:
        other.execute("drop table answers")
        other.commit()
    listener = Listener()
    journal = Journal(store.database, listener)
    journal.put(paid("k", a_reply(text="my private matter")), "k")
    ((_, lost),) = listener.take(1)
    journal.close()
    assert "private" not in f"{lost} {lost.__cause__}"
    assert "resume the run" in str(lost)


def test_the_first_answer_stays(store, paid):
    """Two processes may pay for one call: one answer stays, both bills count."""
    journal = Journal(store.database, Listener())
    journal.put(paid("k", a_reply(text="first")), "k")
    journal.put(paid("k", a_reply(text="second")), "k")
    journal.close()
    assert store.answers(["k"])["k"]["text"] == "first"
    assert store.spent("run-1").calls == 2


def test_the_newest_answer_replaces(store, paid):
    """A run that pays anew leaves its own answer, whole."""
    journal = Journal(store.database, Listener(), newest=True)
    journal.put(paid("k", a_reply(text="first", finish_reason="length")), "k")
    journal.put(paid("k", a_reply(text="second"))._replace(price_usd=None), "k")
    journal.close()
    row = store.answers(["k"])["k"]
    assert (row["text"], row["finish_reason"], row["price_usd"]) == ("second", "stop", None)
