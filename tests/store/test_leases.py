"""One budget for several processes: what was paid and what is leased never passes a cap together."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.findings import Paid
from harness.store.answers import Payment
from harness.store.journal import Journal
from harness.store.leases import CRUMB, GENEROUS, Amount, Pool
from harness.store.owners import Owners
from harness.store.schema import tables
from harness.store.store import open_store
from harness.testing.builders import AT

EVERYTHING = Amount(math.inf, math.inf, math.inf)
ROUNDING = 1e-9


def a_pool(store, name="one", run="run-1", **caps) -> Pool:
    """The pool of a process of this name."""
    return Pool(
        store.database, run, name, Amount(**{"usd": math.inf, "calls": math.inf, "tokens": math.inf} | caps)
    )


def leased(store, run="run-1") -> dict[str, Amount]:
    """What stands in the table, by process."""
    with store.database.connect() as connection:
        rows = connection.execute(tables().leases.select()).all()
    return {row.owner: Amount(row.usd, row.calls, row.tokens) for row in rows if row.run == run}


def pay(store, owner, usd, tokens=0, run="run-1"):
    """Book a payment as the journal does: with the lease shrinking in the same transaction."""
    journal = Journal(store.database, lambda *_: None, owners=owner)
    journal.put_payment(
        Payment(run=run, key="k", purpose="answer", usd=usd, input_tokens=tokens, output_tokens=0, at=AT)
    )
    journal.close()


# -- amounts


def test_amounts_are_counted_in_every_respect():
    """Sums and differences are taken figure by figure."""
    assert Amount(3.0, 2, 10) + Amount(1.0, 1, 5) == Amount(4.0, 3, 15)
    assert Amount(3.0, 2, 10) - Amount(1.0, 1, 5) == Amount(2.0, 1, 5)


@pytest.mark.parametrize("need", [Amount(1.1, 1, 1), Amount(1, 2, 1), Amount(1, 1, 1.5)])
def test_an_amount_covers_only_what_fits_in_every_respect(need):
    """Reaching it exactly is allowed."""
    assert Amount(1, 1, 1).covers(Amount(1, 1, 1))
    assert not Amount(1, 1, 1).covers(need)


def test_what_is_missing_is_never_negative():
    """Plenty of tokens does not make up for missing dollars."""
    assert Amount(1.0, 5, 100).shortfall(Amount(3.0, 2, 50)) == Amount(2.0, 0, 0)
    assert EVERYTHING.shortfall(Amount(3.0, 2, 50)) == Amount()


def test_what_is_not_capped_is_not_counted():
    """The table holds finite figures; what is infinite stays with the process."""
    caps = Amount(2.0, math.inf, math.inf)
    assert caps.counted() == Amount(2.0, 0, 0)
    assert caps.uncapped() == Amount(0.0, math.inf, math.inf)


# -- leases


def test_a_lease_grows_with_what_is_under_way(store):
    """As much again as is held saves a question a call, and bounds what a dead process leaves behind."""
    pool = a_pool(store, usd=8.0, calls=80, tokens=800)
    assert pool.lease(Amount(0.1, 1, 10)) == Amount(0.1, 1, 10)
    assert pool.lease(Amount(0.1, 1, 10), Amount(0.5, 5, 50)) == Amount(0.5, 5, 50)
    assert leased(store) == {"one": Amount(0.6, 6, 60)}


def test_a_lease_leaves_something_for_others(store):
    """However much is under way: not more than an eighth of what is free."""
    pool = a_pool(store, usd=8.0, calls=84, tokens=800)
    granted = pool.lease(Amount(0.1, 1, 10), Amount(7.0, 70, 700))
    assert granted == Amount(8.0 / GENEROUS, 84 // GENEROUS, 800 / GENEROUS)


def test_a_lease_covers_the_need_when_there_is_little(store):
    """The last part of the budget is given whole."""
    assert a_pool(store, usd=1.0).lease(Amount(1.0, 1, 5)).usd == 1.0


def test_what_is_not_free_is_not_leased(store):
    """A refusal changes nothing."""
    pool = a_pool(store, usd=1.0)
    assert pool.lease(Amount(1.01, 1, 5)) is None
    assert leased(store) == {"one": Amount()} or leased(store) == {}


@pytest.mark.parametrize("cap", ["usd", "calls", "tokens"])
def test_the_narrowest_cap_decides(store, cap):
    """Plenty of two kinds does not help where the third is missing."""
    caps = {"usd": 100.0, "calls": 100.0, "tokens": 100.0, cap: 0.5}
    assert a_pool(store, **caps).lease(Amount(1, 1, 1)) is None


def test_without_a_cap_everything_is_granted_and_nothing_is_written(store):
    """An uncapped figure is infinite for the process and zero in the table."""
    assert a_pool(store, usd=8.0).lease(Amount(1.0, 1, 10)) == Amount(1.0, math.inf, math.inf)
    assert leased(store) == {"one": Amount(1.0, 0, 0)}


def test_processes_share_one_budget(store):
    """What one has leased, the other cannot have, until it is given back."""
    one, two = a_pool(store, "one", usd=1.0), a_pool(store, "two", usd=1.0)
    assert one.lease(Amount(0.75)) is not None
    assert two.lease(Amount(0.5)) is None
    one.give_back(Amount(0.5))
    assert two.lease(Amount(0.5)) is not None


def test_runs_do_not_share_a_budget(store):
    """Each run has caps of its own."""
    assert a_pool(store, run="run-1", usd=1.0).lease(Amount(1.0)) is not None
    assert a_pool(store, run="run-2", usd=1.0).lease(Amount(1.0)) is not None


def test_a_payment_moves_its_amount_from_the_lease_to_what_is_paid(store):
    """Their sum stays, so that no moment lets another process have it too."""
    owners = Owners(store.database)
    owners.join()
    pool = a_pool(store, owners.name, usd=1.0, calls=8.0, tokens=100.0)
    pool.lease(Amount(0.5, 1, 40))
    pay(store, owners, 0.25, tokens=30)
    assert leased(store)[owners.name] == Amount(0.25, 0, 10)  # of 0.5, 1 and 40
    assert a_pool(store, "two", usd=1.0, tokens=100.0).lease(Amount(0.51, 1, 1)) is None
    assert a_pool(store, "two", usd=1.0, tokens=100.0).lease(Amount(0.5, 1, 60)) is not None


def test_what_earlier_attempts_paid_counts(store):
    """A resumed run has what its cap leaves."""
    before = Owners(store.database)
    before.join()
    pay(store, before, 0.75)
    before.leave()
    assert a_pool(store, "two", usd=1.0).lease(Amount(0.3)) is None
    assert a_pool(store, "two", usd=1.0).lease(Amount(0.25)) is not None


def test_a_bill_above_its_worst_case_is_paid_from_what_is_left(store):
    """A lease in debt is no room for others."""
    owners = Owners(store.database)
    owners.join()
    a_pool(store, owners.name, usd=1.0).lease(Amount(0.125))
    pay(store, owners, 0.625)
    assert leased(store)[owners.name].usd == -0.5
    assert a_pool(store, "two", usd=1.0).lease(Amount(0.376)) is None
    assert a_pool(store, "two", usd=1.0).lease(Amount(0.375)) is not None


def test_what_a_process_does_not_cap_counts_for_those_that_do(store):
    """A run resumed under a cap in calls, beside a process of it with a cap in dollars."""
    owners = Owners(store.database)
    owners.join()
    a_pool(store, owners.name, usd=1.0).lease(Amount(0.5, 1, 1))
    for _ in range(3):
        pay(store, owners, 0.125)
    assert a_pool(store, "two", calls=3.0).lease(Amount(0.1, 1, 1)) is None
    assert a_pool(store, "two", calls=4.0).lease(Amount(0.1, 1, 1)) is not None


def test_a_long_ledger_is_added_up_once(store):
    """What was paid before the last lease is remembered, and what anybody paid since is found."""
    owners, other = Owners(store.database), Owners(store.database)
    owners.join()
    other.join()
    pool = a_pool(store, owners.name, usd=2.0)
    for payer in (owners, other, owners):
        pay(store, payer, 0.25)
        assert pool.lease(Amount(0.0)) is not None
    assert pool.lease(Amount(1.251)) is None
    assert pool.lease(Amount(1.25)) is not None


# -- others


def test_others_hold_until_they_gave_back(store):
    """Waiting makes sense only while somebody else may still give something back."""
    one, two = a_pool(store, "one", usd=1.0), a_pool(store, "two", usd=1.0)
    granted = one.lease(Amount(0.6))
    assert two.others_hold()
    assert not one.others_hold()
    one.give_back(granted.counted())
    assert not two.others_hold()


def test_crumbs_of_rounding_are_nobodys(store):
    """Sums of fractions leave some 1e-17 in a lease; waiting for that would never end."""
    one = a_pool(store, "one", usd=1.0)
    granted = one.lease(Amount(0.3))
    one.give_back(Amount(granted.usd - CRUMB / 2))
    assert not a_pool(store, "two", usd=1.0).others_hold()


def test_other_runs_do_not_count_as_others(store):
    """A lease of another run will never be given to this one."""
    a_pool(store, "one", run="run-2", usd=1.0).lease(Amount(0.6))
    assert not a_pool(store, "two", run="run-1", usd=1.0).others_hold()


def test_nobody_waits_for_the_dead(store):
    """A process that was killed gives nothing back: its lease may be on a bill, and is nobody's any more."""
    owners = Owners(store.database)
    owners.join()
    a_pool(store, "gone", usd=1.0).lease(Amount(1.0))  # its process is not registered, or no more
    pool = Pool(store.database, "run-1", owners.name, Amount(1.0, math.inf, math.inf), owners.let_lapse)
    assert pool.lease(Amount(1.0)) is None
    assert pool.others_hold()
    assert not pool.others_hold()
    assert pool.lease(Amount(1.0)) is None
    assert store.spent("run-1").lost == Paid(usd=1.0)


def test_what_the_dead_left_is_counted_once(store):
    """Whoever finds them dead, and however often; of each process that died, and of no other run."""
    finder, other = Owners(store.database), Owners(store.database)
    for name, run in (("one", "run-1"), ("two", "run-1"), ("three", "run-2")):
        a_pool(store, name, run=run, usd=9.0, calls=9.0).lease(Amount(0.25, 2))
    for each in (finder, other, finder):
        each.let_lapse()
    assert store.spent("run-1").lost == Paid(usd=0.5, calls=4)
    assert store.spent("run-2").lost == Paid(usd=0.25, calls=2)
    assert a_pool(store, "four", usd=9.0, calls=9.0).lease(Amount(8.51, 1)) is None
    assert a_pool(store, "four", usd=9.0, calls=9.0).lease(Amount(8.5, 5)) is not None


def test_a_process_taken_for_dead_twice_leaves_twice(store):
    """One that stood still, woke, leased anew before its next beat, and stood still again."""
    owners, other = Owners(store.database), Owners(store.database)
    for _ in range(2):
        a_pool(store, owners.name, usd=9.0).lease(Amount(1.0))
        other.let_lapse()
    assert store.spent("run-1").lost == Paid(usd=2.0)


# -- arithmetic

MONEY = st.floats(0.001, 0.6)
STEPS = st.lists(
    st.tuples(st.sampled_from(["lease", "pay", "give_back"]), st.integers(0, 2), MONEY, st.integers(1, 50)),
    max_size=40,
)


@contextmanager
def a_store():
    """A store that is gone afterwards; hypothesis needs a new one for each example."""
    with TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'harness.db'}", {})
        try:
            yield store
        finally:
            store.close()


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_paid_and_leased_never_pass_the_cap(steps):
    """Whatever three processes lease, pay within their leases and give back, in whatever order."""
    caps = Amount(1.0, 12, 150)
    with a_store() as store:
        owners = [Owners(store.database) for _ in range(3)]
        for one in owners:
            one.join()
        pools = [Pool(store.database, "run-1", one.name, caps) for one in owners]
        free = [Amount()] * 3
        for what, who, usd, tokens in steps:
            need = Amount(usd, 1, tokens)
            if what == "lease":
                free[who] += pools[who].lease(need) or Amount()
            elif what == "give_back":
                part = Amount(free[who].usd / 2, free[who].calls // 2, free[who].tokens // 2)
                free[who] -= part
                pools[who].give_back(part)
            elif free[who].covers(need):
                with store.database.begin() as connection:
                    payment = Payment(
                        run="run-1",
                        key="k",
                        purpose="answer",
                        usd=usd,
                        input_tokens=tokens,
                        output_tokens=0,
                        at=AT,
                    )
                    row = {name: getattr(payment, name) for name in ("run", "key", "purpose", "usd")}
                    row |= {"input_tokens": tokens, "output_tokens": 0, "at": 0.0}
                    connection.execute(tables().payments.insert(), [row])
                    owners[who].book(connection, [payment], [])
                free[who] -= need
            held, spent = leased(store), store.spent("run-1")
            paid = Amount(spent.usd, spent.calls, spent.input_tokens)
            total = sum(held.values(), paid)
            assert (caps + Amount(ROUNDING)).covers(total)
            for one, left in zip(owners, free, strict=True):
                assert held.get(one.name, Amount()).usd == pytest.approx(left.usd, abs=ROUNDING)
                assert held.get(one.name, Amount()).tokens == pytest.approx(left.tokens, abs=ROUNDING)
