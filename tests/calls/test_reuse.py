"""Answers that stand for other output limits: cheaper, and never another answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.reuse import stands_for, with_other_limits
from harness.catalogue.models import Model, Prices
from harness.fingerprint import fingerprint
from harness.records import Call, Completion, Message, Reply, Settings, Usage
from harness.result import TuneResult
from harness.run import tune
from harness.store.store import open_store
from harness.testing.builders import a_call, an_endpoint
from harness.testing.scripted import ScriptedProvider
from harness.testing.simulator import simulated_experiment

MODEL = Model(provider="sim", name="small", model_class="SMALL", prices=Prices(input=1.0, output=4.0))
LIMITS = (4, 8, 16, 32)
QUESTIONS = 2


@dataclass(frozen=True, slots=True)
class Greedy:
    """A model that writes word after word until it ends by itself or is cut off; each word is a token.

    lengths: of the greedy answers, by question. counts_end: whether the token that ends an answer is on the
    bill.
    """

    lengths: Sequence[int]
    counts_end: bool

    def answer(self, call: Call) -> Reply:
        """At temperature 0, the same words for the same question; else others for other settings."""
        limit = call.settings.max_output_tokens
        assert limit is not None
        drawn = "" if call.settings.temperature == 0 else f"-{limit}-{call.settings.temperature}"
        words = [f"{call.sample_id}-{n}{drawn}" for n in range(self.lengths[int(call.sample_id[1:])])]
        tokens = len(words) + self.counts_end
        whole = tokens <= limit if self.counts_end else tokens < limit
        return Reply(
            text=" ".join(words if whole else words[:limit]),
            finish_reason="stop" if whole else "length",
            usage=Usage(input_tokens=5, output_tokens=min(tokens, limit)),
        )


def question(number: int, *, limit: int, temperature: float | None = 0.0, repeat: int = 0) -> Call:
    """A call."""
    asked = Settings(model="sim/small", prompt="plain", temperature=temperature, max_output_tokens=limit)
    messages = (Message("user", f"Question {number}?"),)
    return a_call(settings=asked, sample_id=f"s{number}", messages=messages, repeat=repeat)


def answers(calls: Sequence[Call], model: Greedy, limits: Sequence[int]) -> tuple[list[Completion], int]:
    """What these calls are told, one after the other, and how many of them were sent."""
    provider = ScriptedProvider(model.answer)
    with (
        TemporaryDirectory() as folder,
        closing(open_store(f"sqlite:///{folder}/h.db", {})) as store,
        an_engine(store, provider, limits) as engine,
    ):
        told = [one for call in calls for one in engine.run([call])]
        assert list(engine.recall(calls)) == [replace(one, cached=True) for one in told]
        assert engine.spend().calls == len(provider.calls)
    return told, len(provider.calls)


def an_engine(store, provider, limits) -> Engine:
    """An engine that may reuse among these limits."""
    return Engine(
        run="run-1",
        providers={"sim": provider},
        endpoints={"sim": an_endpoint()},
        models={"sim/small": MODEL},
        store=store,
        caps=Caps(),
        reuse_limits=limits,
    )


CALLS = st.lists(
    st.builds(
        question,
        st.integers(0, QUESTIONS - 1),
        limit=st.sampled_from(LIMITS),
        temperature=st.sampled_from([0.0, 0.0, 0.0, 0.5, None]),
    ),
    min_size=4,
    max_size=12,
)
LENGTHS = st.tuples(*[st.sampled_from((0, 3, 4, 7, 8, 9, 16, 33))] * QUESTIONS)


@settings(max_examples=30, deadline=None)
@given(CALLS, LENGTHS, st.booleans())
@example([question(0, limit=32), question(0, limit=8)], (8, 0), False)
@example([question(0, limit=32), question(0, limit=8)], (8, 0), True)
def test_reuse_changes_no_answer(calls, lengths, counts_end):
    """Text, end, tokens and price are those of an answer of one's own, in whatever order limits are asked."""
    model = Greedy(lengths, counts_end)
    own, all_sent = answers(calls, model, ())
    told, sent = answers(calls, model, LIMITS)
    assert [(one.call, one.reply, one.price_usd) for one in told] == [
        (one.call, one.reply, one.price_usd) for one in own
    ]
    assert sent == all_sent - len({fingerprint(one.call) for one in told if one.reused})
    assert all(one.cached and one.call.settings.temperature == 0 for one in told if one.reused)


@pytest.fixture
def told(make_engine):
    """Asks in order, with an answer of three tokens each, and gives what is told."""

    def ask(*calls: Call, limits: Sequence[int] = LIMITS, finish_reason="stop", tokens: int | None = 3):
        usage = Usage(input_tokens=5, output_tokens=tokens)
        provider = ScriptedProvider(Reply(text="it is billing", finish_reason=finish_reason, usage=usage))
        engine = make_engine(provider, reuse_limits=limits)
        outcomes = [one for call in calls for one in engine.run([call])]
        return outcomes, len(provider.calls), engine.spend()

    return ask


@pytest.mark.parametrize(("first", "second"), [(32, 8), (8, 32)])
def test_a_whole_answer_stands_for_other_limits(told, first, second):
    """It is marked, costs nothing, and keeps price and latency of the call that was paid."""
    (paid, reused), sent, spend = told(question(1, limit=first), question(1, limit=second))
    assert sent == spend.calls == spend.cached == 1
    assert (paid.reused, reused.reused, reused.cached) == (False, True, True)
    assert reused.call.settings.max_output_tokens == second
    assert (reused.reply, reused.price_usd, reused.latency) == (paid.reply, paid.price_usd, paid.latency)
    assert spend.saved_usd == paid.price_usd


@pytest.mark.parametrize(
    "other",
    [
        question(2, limit=8),
        question(1, limit=8, repeat=1),
        question(1, limit=8, temperature=0.5),
        question(1, limit=8, temperature=None),
        replace(question(1, limit=8), settings=replace(question(1, limit=8).settings, top_p=0.5)),
    ],
)
def test_whatever_else_differs_is_asked(told, other):
    """Another question, repeat or setting, and what is drawn at random."""
    first = question(1, limit=32, temperature=other.settings.temperature)
    _, sent, _ = told(first, other)
    assert sent == 2


@pytest.mark.parametrize("limits", [(), (4, 8)])
def test_only_the_limits_of_the_run_are_looked_at(told, limits):
    """None unless the run says so."""
    outcomes, sent, _ = told(question(1, limit=32), question(1, limit=8), limits=limits)
    assert sent == 2
    assert not any(one.reused for one in outcomes)


@pytest.mark.parametrize(
    ("finish_reason", "tokens"),
    [("length", 3), ("content_filter", 3), (None, 3), ("stop", None), ("stop", 4)],
)
def test_an_answer_that_might_not_be_whole_stands_for_nothing(told, finish_reason, tokens):
    """Cut off, ended for a reason unknown, of unknown length, or so long that its end may not have fitted."""
    options = {"finish_reason": finish_reason, "tokens": tokens}
    _, sent, _ = told(question(1, limit=32), question(1, limit=4), **options)
    assert sent == 2


def test_the_oldest_answer_stands(store, make_engine):
    """Which answer is found does not depend on what others ask later."""
    for limit, text in ((16, "first"), (32, "second")):
        list(make_engine(ScriptedProvider(text)).run([question(1, limit=limit)]))
    (found,) = make_engine(ScriptedProvider("third"), reuse_limits=LIMITS).run([question(1, limit=8)])
    assert (found.reply.text, found.reused) == ("first", True)


def test_a_run_without_reuse_finds_no_reused_answer(make_engine):
    """Nothing is written under the key of a call that was not sent."""
    list(make_engine(ScriptedProvider("one"), reuse_limits=LIMITS).run([question(1, limit=32)]))
    list(make_engine(ScriptedProvider("two"), reuse_limits=LIMITS).run([question(1, limit=8)]))
    (own,) = make_engine(ScriptedProvider("three")).run([question(1, limit=8)])
    assert (own.reply.text, own.cached) == ("three", False)


def test_calls_without_a_limit_have_no_others():
    """There is nothing to vary, and whatever was answered does not stand for them."""
    free = replace(
        question(1, limit=8), settings=Settings(model="sim/small", prompt="plain", temperature=0.0)
    )
    assert list(with_other_limits(free, LIMITS)) == []
    assert not stands_for({"finish_reason": "stop", "output_tokens": 3}, free)


def test_a_search_that_reuses_finds_the_same_for_less(tmp_path):
    """The same trials and recommendation; fewer calls are paid; the table per sample says which were not."""
    pd = pytest.importorskip("pandas")

    def result(name: str, reuse: bool) -> TuneResult:
        search = {
            "temperature": {"choices": [0.0, 0.5]},
            "max_output_tokens": {"choices": [32, 64, 256]},
            "frequency_penalty": 0.0,
            "reuse_across_limits": reuse,
            "n_trials": 16,
        }
        made = simulated_experiment(tmp_path / name, n_samples=60, search=search)
        return tune(
            made.spec,
            store=f"sqlite:///{tmp_path}/{name}.db",
            reports=tmp_path / f"{name}-reports",
            providers={"sim": made.simulator()},
            mlflow=False,
            environ={},
        )

    own, shared = result("own", reuse=False), result("shared", reuse=True)
    assert shared.best_params == own.best_params
    assert [(one.settings, one.samples, one.quality) for one in shared.record.trials] == [
        (one.settings, one.samples, one.quality) for one in own.record.trials
    ]
    assert shared.record.spend.calls < own.record.spend.calls
    rows = pd.read_parquet(shared.folder / "scores.parquet")
    saved = own.record.spend.calls - shared.record.spend.calls
    assert rows["reused"].sum() == saved
    assert not pd.read_parquet(own.folder / "scores.parquet")["reused"].any()
