"""Somebody else's lock is waited for: what was paid is kept, once it is told, and nothing is done twice."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from queue import SimpleQueue

import pytest
from sqlalchemy.exc import OperationalError

from harness.errors import StoreLostError
from harness.store.contents import Which, prune
from harness.store.journal import Journal
from harness.store.owners import Owners
from harness.store.patience import is_locked, patiently
from harness.store.store import open_store
from harness.testing.builders import AT, a_reply
from harness.testing.locks import PATIENCE_S, WAIT_MS, locked


class DriverError(Exception):
    """What a driver raises. sqlstate: PostgreSQL's name for what happened."""

    def __init__(self, sqlstate):
        super().__init__("what a driver says")
        self.sqlstate = sqlstate


def failing(*states):
    """Work that fails in these ways, one after the other, and then succeeds."""
    left = list(states)

    def work():
        if left:
            raise OperationalError("SELECT", {}, DriverError(left.pop(0)))
        return "done"

    return work


def beside(work):
    """Begin this in another thread; gives where its result or error will be."""
    results = SimpleQueue()

    def run():
        try:
            results.put(work())
        except StoreLostError as lost:
            results.put(lost)

    threading.Thread(target=run, daemon=True).start()
    return results


def test_a_group_waits_for_the_lock_and_is_written_once(store, paid, caplog):
    """The journal keeps it, says that it waits, and tells of it once; the bill stands once in the ledger."""
    told = SimpleQueue()
    with locked(store) as lock, caplog.at_level(logging.WARNING):
        journal = Journal(store.database, lambda *group: told.put(group))
        journal.put(paid("k"), "k")
        lock.met(4)
        assert journal.waiting
        assert told.empty()
        lock.let_go()
        assert told.get(timeout=PATIENCE_S) == (["k"], None)
        journal.close()
    assert not journal.waiting
    assert store.spent("run-1").calls == 1
    assert [record.getMessage().partition(" of the store")[0] for record in caplog.records] == [
        "another program holds the lock"
    ]


def test_a_store_that_stays_locked_says_what_to_do(store, paid):
    """It is neither full nor broken; and groups behind the first one do not wait as long once more."""
    told = SimpleQueue()
    with locked(store):
        journal = Journal(store.database, lambda *group: told.put(group), patience_s=0.0)
        journal.put(paid("k"), "k")
        tags, lost = told.get(timeout=PATIENCE_S)
        journal.close()
    assert tags == ["k"]
    assert isinstance(lost, StoreLostError)
    assert "end what holds its lock (a backup, a database shell" in str(lost)
    assert "then resume the run" in str(lost)
    assert "free the disk" not in str(lost)


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.set_state("run", "running"),
        lambda store: Owners(store.database).claim(["k"]) and None,
        lambda store: Owners(store.database).join(),
    ],
)
def test_whoever_writes_waits_for_the_lock(store, act):
    """Not only the journal: claims and states are written while a run is under way."""
    with locked(store) as lock:
        ended = beside(lambda: act(store))
        lock.met(2)
        lock.let_go()
        assert ended.get(timeout=PATIENCE_S) is None


def test_a_reader_waits_for_the_lock(postgres, paid):
    """Where reading needs it at all; SQLite's readers never wait for a writer."""
    with closing(open_store(postgres.fresh_url(), {})) as store, locked(store) as lock:
        ended = beside(lambda: store.answers(["k"]))
        lock.met(2)
        lock.let_go()
        assert ended.get(timeout=PATIENCE_S) == {}


def test_opening_waits_for_the_lock(url):
    """A command that begins beside a backup works, and is late."""
    hurried = f"{url}?timeout={WAIT_MS / 1000}"
    with closing(open_store(url, {})) as store, locked(store) as lock:
        ended = beside(lambda: open_store(hurried, {}).close())
        meanwhile = beside(lambda: store.set_state("run", "running"))
        lock.met(3)
        assert ended.empty()
        lock.let_go()
        assert ended.get(timeout=PATIENCE_S) is None
        assert meanwhile.get(timeout=PATIENCE_S) is None


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_what_postgresql_took_back_is_done_again(state):
    """Serialization failures, deadlocks and locks alike; whoever waits is told once."""
    waits = []
    assert patiently(failing(state, state), on_wait=lambda: waits.append(1)) == "done"
    assert waits == [1]


@pytest.mark.parametrize("state", ["53100", "57P01", "23505"])
def test_what_will_fail_again_is_not_done_again(state):
    """A full disk, a server that goes down, a row that is there."""
    with pytest.raises(OperationalError) as caught:
        patiently(failing(state))
    assert not is_locked(caught.value)


def test_a_file_is_not_shrunk_while_others_are_at_work(url, paid):
    """It would hold the lock for as long as a copy takes; answers go all the same, and runs go on."""
    with closing(open_store(url, {})) as store:
        journal = Journal(store.database, lambda *_: None)
        for number in range(3):
            journal.put(paid(f"k{number}", a_reply(text="x" * 5000), at=AT), number)
        journal.close()
        at_work = Owners(store.database)
        at_work.join()
        gone = prune(store, Which(model="sim/small"))
        assert (gone.answers, gone.shrunk) == (3, False)
        at_work.leave()
        journal = Journal(store.database, lambda *_: None)
        journal.put(paid("k3"), 3)
        journal.close()
        assert prune(store, Which(model="sim/small")).shrunk
