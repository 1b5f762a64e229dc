"""Who is at work on a store: claims are exclusive, and the dead hold nothing for long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from harness.findings import Paid
from harness.store.leases import Amount, Pool
from harness.store.owners import SILENT_S, Owners
from harness.store.schema import tables
from harness.store.store import open_store

KEYS = [f"key-{number}" for number in range(20)]


@pytest.fixture
def two(store) -> tuple[Owners, Owners]:
    """Two engines on one store."""
    return Owners(store.database), Owners(store.database)


def rows(store, name):
    """All rows of a table."""
    with store.database.connect() as connection:
        return connection.execute(getattr(tables(), name).select()).all()


def pretend(store, owner, **changes):
    """Change what is registered of a process: where it runs, its number, when it began."""
    table = tables().owners
    with store.database.begin() as connection:
        connection.execute(table.update().where(table.c.owner == owner.name).values(**changes))


def ended_process() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


# -- claims


def test_a_key_is_claimed_by_one(two):
    """The first has it; the second is told so, and takes what is left."""
    one, other = two
    assert one.claim(KEYS[:12]) == set(KEYS[:12])
    assert other.claim(KEYS) == set(KEYS[12:])


def test_claiming_again_gives_the_same(two):
    """What a process holds already is its own to ask."""
    one, other = two
    assert one.claim(KEYS) == one.claim(KEYS) == set(KEYS)
    assert other.claim(KEYS) == set()


def test_claims_made_at_once_never_overlap(each_url):
    """Several connections race for the same keys: each key goes to exactly one of them."""
    keys = [f"key-{number}" for number in range(200)]
    barrier, taken, lock = threading.Barrier(4), Counter(), threading.Lock()

    def race(shift):
        store = open_store(each_url, {})
        owners = Owners(store.database)
        owners.join()
        barrier.wait()
        for start in range(0, 200, 20):
            chunk = [keys[(start + shift + n) % 200] for n in range(20)]
            mine = owners.claim(chunk)
            with lock:
                taken.update(mine)
        store.close()

    threads = [threading.Thread(target=race, args=(shift,)) for shift in (0, 7, 50, 111)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 200
    with_one_owner = open_store(each_url, {})
    assert len(rows(with_one_owner, "claims")) == 200
    with_one_owner.close()


def test_an_ended_claim_is_free_again(two):
    """It was answered, failed, or not asked at all: others may ask."""
    one, other = two
    one.claim(KEYS)
    one.end_claims(KEYS[:5])
    assert other.claim(KEYS) == set(KEYS[:5])


def test_nobody_ends_the_claims_of_others(two):
    """A late answer of a process that lost its claim must not free that of another."""
    one, other = two
    one.claim(KEYS)
    other.join()
    other.end_claims(KEYS)
    assert other.claim(KEYS) == set()


# -- coming and going


def test_a_process_registers_with_its_first_claim(store, two):
    """Engines that only replay are seen by nobody."""
    one, _ = two
    assert rows(store, "owners") == []
    one.claim(KEYS[:1])
    (row,) = rows(store, "owners")
    assert (row.owner, row.pid) == (one.name, os.getpid())
    one.join()
    assert len(rows(store, "owners")) == 1


def test_leaving_gives_everything_back(store, two):
    """Claims and leases are free for others, at once."""
    one, other = two
    one.claim(KEYS)
    Pool(store.database, "run-1", one.name, Amount(1.0, 1.0, 1.0)).lease(Amount(1.0, 1, 1))
    one.leave()
    assert [rows(store, name) for name in ("owners", "claims", "leases")] == [[], [], []]
    assert other.claim(KEYS) == set(KEYS)


def test_leaving_twice_or_without_joining_does_no_harm(store, two):
    """Closing an engine is harmless whatever it did before."""
    one, other = two
    other.claim(KEYS)
    one.leave()
    one.leave()
    assert len(rows(store, "claims")) == len(KEYS)


# -- the dead


def test_what_a_dead_process_held_lapses(store, two):
    """A process of this machine that is no more claims nothing; what it had leased may be spent."""
    one, other = two
    one.claim(KEYS)
    Pool(store.database, "run-1", one.name, Amount(1.0, 1.0, 1.0)).lease(Amount(1.0, 1, 1))
    pretend(store, one, pid=ended_process())
    other.let_lapse()
    assert [rows(store, name) for name in ("owners", "claims")] == [[], []]
    assert store.spent("run-1").lost == Paid(usd=1.0, calls=1)
    assert other.claim(KEYS) == set(KEYS)


def test_joining_frees_what_the_dead_held(store, two):
    """A run that is resumed need not wait for the one that was killed."""
    one, other = two
    one.claim(KEYS)
    pretend(store, one, pid=ended_process())
    assert other.claim(KEYS) == set(KEYS)


def test_a_number_that_was_given_to_another_process_is_not_the_same_process(store, two):
    """Process numbers come round; when a process began tells them apart."""
    one, other = two
    one.claim(KEYS)
    pretend(store, one, started="1")
    assert other.claim(KEYS) == set(KEYS)


def test_the_living_keep_what_they_hold(store, two):
    """However long their beat stands still: a process of this machine can be looked up."""
    one, other = two
    one.claim(KEYS)
    pretend(store, one, pid=os.getppid(), started=started(os.getppid()))
    other._beats_seen[one.name] = (0, -SILENT_S * 1e6)
    other.let_lapse()
    assert other.claim(KEYS) == set()


def started(pid) -> str:
    """When this process began, as it would register itself."""
    from harness.store.owners import _started

    return _started(pid)


def test_a_process_elsewhere_is_alive_while_its_beat_goes_on(store, two):
    """Its number says nothing here; each new beat is a new lease of life."""
    one, other = two
    one.claim(KEYS)
    pretend(store, one, host="elsewhere/1", pid=ended_process())
    for _ in range(3):
        other.let_lapse()
        beat, _since = other._beats_seen[one.name]
        other._beats_seen[one.name] = (beat, -SILENT_S * 1e6)
        one.beat()
    other.let_lapse()
    assert other.claim(KEYS) == set()


def test_a_process_elsewhere_is_dead_when_its_beat_stands_still(store, two):
    """No two machines' clocks are compared: the silence is measured by whoever listens."""
    one, other = two
    one.claim(KEYS)
    pretend(store, one, host="elsewhere/1")
    other.let_lapse()
    assert other.claim(KEYS) == set()
    beat, since = other._beats_seen[one.name]
    other._beats_seen[one.name] = (beat, since - SILENT_S - 1)
    other.let_lapse()
    assert other.claim(KEYS) == set(KEYS)


def test_a_process_taken_for_dead_registers_again_with_its_next_beat(store, two):
    """What it claims from then on is its own again."""
    one, other = two
    one.claim(KEYS[:10])
    other.bury([one.name])
    one.beat()
    assert [row.owner for row in rows(store, "owners")] == [one.name]
    assert one.claim(KEYS[:10]) == set(KEYS[:10])
    other.let_lapse()
    assert other.claim(KEYS[:10]) == set()


def test_a_beat_before_joining_registers_nobody(store, two):
    """Only who holds something needs to be known."""
    one, _ = two
    one.beat()
    assert rows(store, "owners") == []


def test_claims_without_an_owner_are_free(store, two):
    """Whatever left them behind, nobody will ever answer them."""
    one, other = two
    with store.database.begin() as connection:
        connection.execute(tables().claims.insert(), [{"key": key, "owner": "nobody"} for key in KEYS])
    one.join()
    assert other.claim(KEYS) == set(KEYS)
