"""Texts through the engine: one vector a call, paid once, many in one request, and never a wrong one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.calls.batches import MOST_TEXTS
from harness.calls.budget import Caps, worst_case
from harness.calls.provider import ProviderFault
from harness.catalogue.models import Model, Prices
from harness.errors import UsageError
from harness.records import Call, CallFailure, Completion, Reply, Settings, Usage
from harness.store.contents import export_rows, verify
from harness.testing.embedding import EmbeddingModel
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider
from harness.testing.simulator import Simulator
from harness.testing.tokens import count_tokens
from harness.testing.vectors import vector_of
from harness.testing.worlds import SimulatedModel, World
from harness.vectors import numbers_of, packed

PRICES = Prices(input=0.02, output=0.0)
MODELS = {
    "sim/vec": Model(
        provider="sim",
        name="vec",
        model_class="EMBEDDING",
        prices=PRICES,
        context_tokens=8192,
        texts_per_request=2048,
        tokens_per_request=300_000,
    )
}
SUBJECTS = ("parcel", "invoice", "password", "größe", "書類", "refund")


def a_text(number: int, **changes) -> Call:
    """A call for the vector of a text that differs from those of other numbers."""
    text = f"Customer {number} asks about the {SUBJECTS[number % len(SUBJECTS)]}" + " again" * (number % 7)
    call = Call(
        settings=Settings(model="sim/vec", prompt="plain"),
        sample_id=f"s{number}",
        texts=(text,),
        purpose="embed",
    )
    return replace(call, **changes)


def texts(count: int) -> list[Call]:
    """So many of them."""
    return [a_text(number) for number in range(count)]


def a_service(embedding: EmbeddingModel | None = None, **options) -> Simulator:
    """A provider of one embedding model."""
    models = {"sim/vec": SimulatedModel(ability=0.0, prices=PRICES, embedding=embedding)}
    return Simulator(World(models=models, prompts={}), **options)


@pytest.fixture
def embed(make_engine):
    """Makes an engine that knows the embedding model."""
    return lambda provider, **options: make_engine(provider, **{"models": MODELS, **options})


# -- one vector a text


def test_every_text_gets_its_own_vector(embed):
    """Some thousand texts travel in few requests, and each comes back with the vector of its words."""
    service = a_service()
    outcomes = list(embed(service).run(texts(1000)))
    assert len(outcomes) == 1000
    for outcome in outcomes:
        assert isinstance(outcome, Completion)
        assert outcome.reply.vectors == (vector_of(outcome.call.texts[0]),)
    assert service.requests <= math.ceil(1000 / MOST_TEXTS) + 1


def test_a_text_is_paid_once_ever(embed, store):
    """A second run sends nothing; the vectors are the same to the last bit."""
    first = {o.call.sample_id: o.reply.vectors for o in embed(a_service()).run(texts(300))}
    service = a_service()
    engine = embed(service, run="run-2")
    again = list(engine.run(texts(300)))
    assert {o.call.sample_id: o.reply.vectors for o in again} == first
    assert all(outcome.cached for outcome in again)
    assert service.requests == 0
    assert store.spent("run-2").usd == 0.0


def test_ten_thousand_stored_vectors_need_no_request(embed):
    """Replay asks nobody, however many there are."""
    list(embed(a_service(), concurrency=4).run(texts(10_000)))
    service = a_service()
    assert sum(o.cached for o in embed(service, run="run-2").run(texts(10_000))) == 10_000
    assert service.requests == 0


def test_the_bill_is_dealt_out_to_the_last_token(embed, store):
    """What the texts cost adds up to what the service charges, in tokens exactly."""
    service = a_service()
    outcomes = list(embed(service).run(texts(500)))
    tokens = sum(count_tokens(call.texts[0]) for call in texts(500))
    assert sum(outcome.reply.usage.input_tokens for outcome in outcomes) == tokens
    spent = store.spent("run-1")
    assert (spent.input_tokens, spent.output_tokens, spent.calls) == (tokens, 0, 500)
    assert spent.usd == pytest.approx(service.bill_usd, rel=1e-12)
    assert math.fsum(outcome.price_usd for outcome in outcomes) == pytest.approx(service.bill_usd, rel=1e-12)


def test_hits_and_misses_are_told_by_purpose(embed):
    """What was embedded anew, what was not, and what that saved."""
    list(embed(a_service()).run(texts(40)))
    engine = embed(a_service(), run="run-2")
    list(engine.run(texts(60)))
    part = engine.spend().by_purpose["embed"]
    assert (part.calls, part.cached) == (20, 40)
    assert part.saved_usd == pytest.approx(engine.spend().saved_usd)
    assert part.usd == pytest.approx(engine.spend().usd)
    assert min(part.saved_usd, part.usd) > 0


def test_equal_texts_in_one_run_are_asked_once(embed):
    """The same sentence in two rows has one vector."""
    service = a_service()
    twins = [a_text(1), replace(a_text(1), sample_id="twin"), a_text(2)]
    outcomes = {outcome.call.sample_id: outcome for outcome in embed(service).run(twins)}
    assert outcomes["twin"].reply.vectors == outcomes["s1"].reply.vectors
    assert service.requests == 1
    assert service.bill_usd == pytest.approx(
        sum(count_tokens(call.texts[0]) for call in (a_text(1), a_text(2))) * PRICES.input / 1e6
    )


def test_what_is_sent_decides_what_is_stored(embed):
    """Another length is another vector; the name of the template is not part of the question."""
    long = Settings(model="sim/vec", prompt="plain", extra={"dimensions": 128})
    other = Settings(model="sim/vec", prompt="with-prefix")
    engine = embed(a_service())
    for settings, cached, length in ((None, False, 64), (long, False, 128), (other, True, 64)):
        call = a_text(1) if settings is None else a_text(1, settings=settings)
        (outcome,) = engine.run([call])
        assert outcome.cached == cached
        assert len(numbers_of(outcome.reply.vectors[0])) == length


def test_vectors_are_part_of_what_can_be_checked_and_exported(embed, store):
    """As numbers, and with a checksum over them."""
    list(embed(a_service()).run(texts(3)))
    assert verify(store).faults == 0
    rows = list(export_rows(store))
    stored = {tuple(row["vectors"][0]) for row in rows}
    assert stored == {tuple(numbers_of(vector_of(call.texts[0]))) for call in texts(3)}
    with store.database.begin() as connection:
        connection.exec_driver_sql("UPDATE answers SET vectors = zeroblob(length(vectors)) || x'' WHERE 1")
    assert verify(store).faults == 3


# -- nothing but a vector for each text


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_a_mistake_before_anything_is_sent(embed, text):
    """Told with its sample; the texts beside it are not paid for."""
    service = a_service()
    with pytest.raises(UsageError, match="the text of sample 's1' is"):
        list(embed(service).run([a_text(0), a_text(1, texts=(text,))]))
    assert service.requests == 0


def test_one_text_too_long_fails_alone(embed):
    """The service refuses the whole request; the others are asked again without it."""
    calls = texts(100)
    calls[37] = a_text(37, texts=("word " * 7000,))
    service = a_service()
    outcomes = {outcome.call.sample_id: outcome for outcome in embed(service).run(calls)}
    failed = outcomes.pop("s37")
    assert isinstance(failed, CallFailure)
    assert (failed.kind, failed.attempts) == ("too_long", 1)
    assert "maximum input length is 8192 tokens" in failed.message
    assert all(isinstance(outcome, Completion) for outcome in outcomes.values())
    assert service.requests <= 1 + 2 * math.ceil(math.log2(100))


def test_a_wrong_number_of_vectors_is_no_answer(embed):
    """Whose they are cannot be told, so that none is used."""
    provider = ScriptedProvider(Reply(vectors=(packed([1.0]),), usage=Usage(input_tokens=9, output_tokens=0)))
    outcomes = list(embed(provider, max_retries=0, clock=FakeClock()).run(texts(2)))
    assert {(outcome.kind, outcome.message) for outcome in outcomes} == {
        ("malformed", "unreadable answer: 1 vectors for 2 texts")
    }


def test_a_wrong_answer_may_be_on_the_bill(embed):
    """It is booked at its worst: the caps must hold regardless."""
    provider = ScriptedProvider(Reply(vectors=(packed([0.0]),), usage=Usage(input_tokens=9, output_tokens=0)))
    engine = embed(provider, max_retries=0)
    list(engine.run(texts(1)))
    worst = worst_case(a_text(0), MODELS["sim/vec"])
    assert engine.spend().usd == pytest.approx(worst.usd)
    assert engine.spend().input_tokens == worst.input_tokens


def test_a_stored_vector_of_another_length_is_no_answer(embed):
    """A server that serves another model under the old name does not mix two spaces in one run."""
    list(embed(a_service(), run="old").run([a_text(1)]))
    engine = embed(a_service(EmbeddingModel(dimensions=32)), run="new")
    (fresh,) = engine.run([a_text(2)])
    (stored,) = engine.run([a_text(1)])
    assert isinstance(fresh, Completion)
    assert (stored.kind, stored.attempts, engine.spend().failed) == ("dimensions", 0, 1)
    assert "in the store, the vector has 64 dimensions" in stored.message
    assert "cache prune --model sim/vec" in stored.message


# -- money, retries and limits


@pytest.mark.parametrize("share", [0.1, 0.37, 0.9])
def test_the_bill_stays_below_the_cap(embed, share):
    """Whatever part of the worst case may be spent; what no longer fits is told, call by call."""
    worst = sum(worst_case(call, MODELS["sim/vec"]).usd for call in texts(600))
    service = a_service()
    cap = share * worst
    outcomes = list(embed(service, caps=Caps(usd=cap), concurrency=3).run(texts(600)))
    assert service.bill_usd <= cap
    refused = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
    assert all(outcome.kind == "budget" for outcome in refused)
    assert len(outcomes) == 600
    # What is left could not have paid for one more.
    if refused:
        smallest = min(worst_case(call, MODELS["sim/vec"]).usd for call in texts(600))
        largest = max(worst_case(call, MODELS["sim/vec"]).usd for call in texts(600))
        assert cap - service.bill_usd < largest + smallest


def test_a_cap_on_calls_counts_texts(embed):
    """However many travel in one request."""
    outcomes = list(embed(a_service(), caps=Caps(calls=150)).run(texts(400)))
    assert sum(isinstance(outcome, Completion) for outcome in outcomes) == 150


def test_a_failed_request_is_tried_again_as_a_whole(embed):
    """A retry is one request too, and nobody is asked twice for nothing."""
    first = []

    def faults(call, attempt):
        first.append(len(call.texts))
        return ProviderFault("overloaded", "busy") if attempt == 1 else None

    service = a_service(faults=faults)
    outcomes = list(embed(service, clock=FakeClock()).run(texts(128)))
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert first == [128, 128]


def test_requests_are_what_concurrency_counts(embed):
    """Two in flight carry 256 texts."""
    clock = FakeClock()
    service = a_service(clock=clock)
    list(embed(service, clock=clock, concurrency=2).run(texts(1024)))
    assert service.peak_in_flight <= 2
    assert service.requests == 8


def test_a_provider_that_is_down_is_asked_few_times(embed):
    """A request that fails is one failure, however many texts it carried."""
    clock = FakeClock()
    provider = ScriptedProvider(ProviderFault("connection", "refused"))
    outcomes = list(embed(provider, clock=clock, concurrency=1, max_retries=0).run(texts(1024)))
    assert {outcome.kind for outcome in outcomes} == {"connection"}
    assert len(provider.calls) == 8
