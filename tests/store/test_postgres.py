"""The store on PostgreSQL: what SQLite does by itself must be asked for there."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from harness.errors import StoreError, StoreLostError
from harness.findings import Paid
from harness.records import Usage
from harness.store.answers import FailedCall, completion
from harness.store.journal import Journal
from harness.store.leases import Amount, Pool
from harness.store.owners import Owners
from harness.store.store import open_store
from harness.testing.builders import AT, a_call, a_failure, a_reply
from harness.vectors import packed

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the server is run as on Unix")
TOGETHER = 6


@pytest.fixture
def url(postgres) -> str:
    """The URL of an empty database."""
    return postgres.fresh_url()


def write(store, *answers, **options) -> list[StoreLostError]:
    """Make these answers durable; gives what was lost."""
    lost = []
    journal = Journal(store.database, lambda _, error: lost.append(error) if error else None, **options)
    for answer in answers:
        journal.put(answer, answer.payment.key)
    journal.close()
    return lost


@contextmanager
def at_once(*acts) -> Iterator[list[Exception]]:
    """Let all of these begin at the same moment; gives what they raised."""
    together, faults = threading.Barrier(len(acts)), []

    def run(act):
        together.wait()
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the test reports whatever it was
            faults.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield faults


def test_an_answer_comes_back_as_it_was(store, paid):
    """Texts of any language, vectors of bytes, unknown counts, doubles to the last bit, and its bill."""
    replies = {
        "text": a_reply(text="größer 中文 \U0001f600 'quoted' %s {x}", usage=Usage(input_tokens=7)),
        "vectors": a_reply(text=None, vectors=(packed([0.1 + 0.2, -1e-30]), packed([3.0, 4.0]))),
    }
    assert write(store, *(paid(key, reply, usd=0.1 + 0.2) for key, reply in replies.items())) == []
    rows = store.answers([*replies, "other"])
    for key, reply in replies.items():
        assert completion(rows[key], a_call()).reply == reply
    spent = Paid(usd=0.6000000000000001, calls=2, input_tokens=200, output_tokens=20)
    assert store.spent("run-1").by_purpose == {"answer": spent}


def test_names_have_any_length(store, paid):
    """SQLite takes any text for a name; so does PostgreSQL."""
    run = "a-name-" * 40
    write(store, paid("k", run=run))
    journal = Journal(store.database, lambda *_: None)
    journal.put_failure(FailedCall.of(a_failure(message="\0 " * 500), run=run, key="k", at=AT))
    journal.close()
    pool = Pool(store.database, run, "me", Amount(1.0, 10, 1000))
    assert pool.lease(Amount(0.1, 1, 10)) is not None
    assert store.failures(run, ["k"])["k"]["kind"] == "overloaded"


def test_the_newest_answer_replaces(store, paid):
    """A run that pays anew leaves its own answer; otherwise the first one stays, and both are paid."""
    first, second = paid("k", a_reply(text="first")), paid("k", a_reply(text="second"))
    write(store, first)
    write(store, second)
    assert store.answers(["k"])["k"]["text"] == "first"
    write(store, second, newest=True)
    assert store.answers(["k"])["k"]["text"] == "second"
    assert store.spent("run-1").calls == 3


def test_two_may_write_the_same_answers_in_any_order(store, paid):
    """In two orders they would wait for each other, and PostgreSQL would end one of them."""
    keys = [f"k{number:03}" for number in range(400)]
    orders = [[paid(key) for key in order] for order in (keys, keys[::-1])] * 2
    lost = []
    acts = [lambda order=order: lost.extend(write(store, *order, newest=True)) for order in orders]
    with at_once(*acts) as faults:
        assert (faults, lost) == ([], [])
    assert store.spent("run-1").calls == 4 * len(keys)


def test_leases_never_pass_the_cap(store, paid):
    """While leases are granted, others' payments go on: paid and leased fit the cap throughout."""
    owners = [Owners(store.database) for _ in range(TOGETHER)]
    granted = []

    def spend(owner):
        owner.join()
        pool = Pool(store.database, "run-1", owner.name, Amount(usd=math.inf, calls=90, tokens=math.inf))
        while (lease := pool.lease(Amount(1.0, 1, 110))) is not None:
            calls = int(lease.calls)
            granted.append(calls)
            bills = [paid(f"{owner.name}-{len(granted)}-{n}", usd=0.5) for n in range(calls)]
            assert write(store, *bills, owners=owner) == []

    with at_once(*[lambda owner=owner: spend(owner) for owner in owners]) as faults:
        assert faults == []
    assert sum(granted) == store.spent("run-1").calls == 90


def test_a_server_that_goes_down_is_one_clear_error(postgres, store, paid):
    """Reading and writing tell it, and what was committed is there when the server is back."""
    write(store, paid("k"))
    postgres.stop()
    try:
        with pytest.raises(StoreLostError, match="then resume the run"):
            store.answers(["k"])
        assert len(write(store, paid("other"))) == 1
        with pytest.raises(StoreLostError):
            Owners(store.database).claim(["k"])
        with pytest.raises(StoreError, match="cannot be opened"):
            open_store(store.database.url.render_as_string(hide_password=False), {})
    finally:
        postgres.start()
    assert set(store.answers(["k", "other"])) == {"k"}


def test_without_a_driver_the_message_says_what_to_install(monkeypatch):
    """The package is named."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'psycopg\[binary\]"):
        open_store("postgresql://harness@127.0.0.1:1/none", {})


@pytest.fixture
def store(url):
    """An open store in a database of its own."""
    with closing(open_store(url, {})) as opened:
        yield opened
