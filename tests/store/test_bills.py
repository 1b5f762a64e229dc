"""The ledger of a run, taken apart by model."""

from __future__ import annotations

from harness.findings import Paid, Spend
from harness.store.bills import UNANSWERED, paid_by_model, with_others
from harness.store.journal import Journal


def test_bills_by_model_add_up_to_the_ledger(store, paid):
    """Over all attempts, without judges and without other runs; a bill without an answer has no model."""
    large = paid("b", usd=0.5, input_tokens=7)._replace(model="sim/large")
    judged = paid("j", usd=4.0, purpose="judge")._replace(model="sim/large")
    journal = Journal(store.database, lambda *_: None)
    for answer in (paid("a"), large, judged, paid("c", usd=8.0, run="run-2")):
        journal.put(answer, answer.payment.key)
    journal.put_payment(paid("lost", usd=0.125).payment)
    journal.close()
    found = paid_by_model(store, "run-1", "answer")
    assert found == {
        "sim/small": Paid(usd=0.25, calls=1, input_tokens=100, output_tokens=10),
        "sim/large": Paid(usd=0.5, calls=1, input_tokens=7, output_tokens=10),
        UNANSWERED: Paid(usd=0.125, calls=1, input_tokens=100, output_tokens=10),
    }
    judges = store.spent("run-1").by_purpose["judge"].usd
    assert sum(one.usd for one in found.values()) + judges == store.spent("run-1").usd
    assert paid_by_model(store, "nobody", "answer") == {}


def test_what_other_processes_of_a_run_paid_is_its_bill_too(store, paid):
    """Two processes resume one run: each counts its own calls, and the record says what the ledger says."""
    journal = Journal(store.database, lambda *_: None)
    for answer in (paid("a"), paid("b"), paid("j", usd=4.0, purpose="judge")):
        journal.put(answer, answer.payment.key)
    journal.close()
    own = Paid(usd=0.25, calls=1, input_tokens=100, output_tokens=10, cached=3, saved_usd=0.75)
    spend = Spend(usd=0.25, calls=1, cached=3, retries=2, cap_usd=9.0, by_purpose={"answer": own})
    whole = with_others(store, "run-1", spend)
    assert (whole.usd, whole.calls, whole.cached, whole.retries, whole.cap_usd) == (4.5, 3, 3, 2, 9.0)
    assert (whole.by_purpose["answer"].calls, whole.by_purpose["answer"].cached) == (2, 3)
    assert whole.by_purpose["judge"].usd == 4.0
    assert with_others(store, "run-1", whole) == whole
