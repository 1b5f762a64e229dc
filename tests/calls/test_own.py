"""What a run did itself: whose money an answer was, what is asked anew, and which failures it got over."""

from __future__ import annotations

import pytest

from harness.calls.provider import ProviderFault
from harness.records import CallFailure, Completion
from harness.testing.scripted import ScriptedProvider


def a_fault(kind, **options) -> ProviderFault:
    """A fault of this kind."""
    return ProviderFault(kind, f"a {kind}", **options)


def told(outcomes) -> list[tuple[str, bool]]:
    """Text and whether it was cached, in order of the samples."""
    by_sample = sorted(outcomes, key=lambda outcome: outcome.call.sample_id)
    return [(outcome.reply.text, outcome.cached) for outcome in by_sample]


def kinds(outcomes) -> list[str]:
    """Each outcome in a word: the kind of a failure, or the text of an answer."""
    return [one.kind if isinstance(one, CallFailure) else one.reply.text for one in outcomes]


def fails(make_engine, calls, run="run-1", **options):
    """An earlier process of this run, in which these calls failed."""
    with make_engine(ScriptedProvider(a_fault("malformed", **options)), run=run, max_retries=0) as engine:
        assert all(isinstance(one, CallFailure) for one in engine.run(calls))


def test_what_an_earlier_process_paid_is_no_answer_of_others(make_engine, ask):
    """A resumed run tells it as paid, once: the first of equal calls paid, and the others found it."""
    with make_engine(ScriptedProvider("billing"), run="other") as other:
        list(other.run(ask(1)))
    with make_engine(ScriptedProvider("bug")) as before:
        list(before.run(ask(3)))
        undisturbed = before.spend()
    engine = make_engine(ScriptedProvider("unasked"))
    assert told(engine.run(ask(3))) == [("billing", True), ("bug", False), ("bug", False)]
    spend = engine.spend()
    assert (spend.cached, spend.saved_usd, spend.usd) == pytest.approx(
        (undisturbed.cached, undisturbed.saved_usd, undisturbed.usd)
    )
    assert {cached for _, cached in told(engine.run(ask(3)))} == {True}


def test_asking_the_store_alone_tells_who_paid_as_well(make_engine, ask):
    """Offline, a run that paid some of its answers online goes on as the one that paid them."""
    with make_engine(ScriptedProvider("billing"), run="other") as other:
        list(other.run(ask(1)))
    with make_engine(ScriptedProvider("bug")) as before:
        list(before.run(ask(2)[1:]))
    engine = make_engine(ScriptedProvider("unasked"))
    assert told(engine.stored(ask(2))) == [("billing", True), ("bug", False)]
    assert engine.spend().cached == 1


def test_a_request_that_was_written_off_pays_for_no_answer_of_others(make_engine, ask):
    """The bill of a request in vain stands in the ledger, and another run's answer is still another's."""
    fails(make_engine, ask(1), billed=True)
    with make_engine(ScriptedProvider("bug"), run="other") as other:
        list(other.run(ask(1)))
    engine = make_engine(ScriptedProvider("unasked"))
    assert told(engine.run(ask(1))) == [("bug", True)]


@pytest.mark.parametrize("billed", [False, True])
def test_an_answer_that_came_to_others_later_leaves_a_failure_one(make_engine, ask, billed):
    """What a run tells afterwards is what it saw, whatever its failed requests cost."""
    fails(make_engine, ask(1), billed=billed)
    with make_engine(ScriptedProvider("bug"), run="other") as other:
        list(other.run(ask(1)))
    assert kinds(make_engine(ScriptedProvider("unasked")).recall(ask(1))) == ["malformed"]


@pytest.mark.parametrize("by", ["other", "run-1"])
def test_a_resumed_run_recalls_what_it_saw_last(make_engine, ask, by):
    """It failed, the answer came to it or to another run, and it goes on with that answer."""
    fails(make_engine, ask(1))
    with make_engine(ScriptedProvider("bug"), run=by) as paying:
        list(paying.run(ask(1)))
    with make_engine(ScriptedProvider("unasked")) as resumed:
        assert kinds(resumed.run(ask(1))) == ["bug"]
        assert kinds(resumed.recall(ask(1))) == ["bug"]
    assert kinds(make_engine(ScriptedProvider("unasked")).recall(ask(1))) == ["bug"]


def test_asked_anew_a_call_is_paid_once(make_engine, ask):
    """Without the cache, equal calls of one run have one answer, at the same time or one after the other."""
    with make_engine(ScriptedProvider("old"), run="other") as other:
        list(other.run(ask(2)))
    script = ["first", "second"]
    engine = make_engine(ScriptedProvider(script), use_cache=False, concurrency=1)
    assert told(engine.run([*ask(2)[:1], *ask(2)[:1]])) == [("first", False), ("first", True)]
    assert told(engine.run(ask(2))) == [("first", True), ("second", False)]
    assert kinds(engine.recall(ask(2))) == ["first", "second"]


def test_asked_anew_and_resumed_only_what_is_missing_is_asked(make_engine, ask):
    """What the run paid for it keeps; what others paid for before it goes on to leave alone."""
    with make_engine(ScriptedProvider("old"), run="other") as other:
        list(other.run(ask(4)))
    with make_engine(ScriptedProvider("new"), use_cache=False) as begun:
        list(begun.run(ask(2)))
    provider = ScriptedProvider("newer")
    resumed = make_engine(provider, use_cache=False)
    assert told(resumed.run(ask(4))) == [("new", False)] * 2 + [("newer", False)] * 2
    assert len(provider.calls) == 2
    assert (resumed.spend().calls, resumed.spend().cached) == (4, 0)


def test_asked_anew_in_vain_an_old_answer_is_not_taken(make_engine, ask):
    """A bill for nothing makes no answer of others the run's own."""
    with make_engine(ScriptedProvider("old"), run="other") as other:
        list(other.run(ask(1)))
    with make_engine(
        ScriptedProvider(a_fault("malformed", billed=True)), use_cache=False, max_retries=0
    ) as begun:
        list(begun.run(ask(1)))
    (outcome,) = make_engine(ScriptedProvider("new"), use_cache=False).run(ask(1))
    assert isinstance(outcome, Completion)
    assert outcome.reply.text == "new"
