"""Texts that travel together: who goes with whom, and how an answer is dealt out again."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.batches import (
    MOST_TEXTS,
    UNSTATED_TEXTS,
    Lengths,
    deal,
    halve,
    request,
    require_text,
    shares,
    take,
)
from harness.calls.budget import worst_case
from harness.calls.provider import ProviderFault
from harness.calls.tickets import Stream, Ticket
from harness.catalogue.models import Model, Prices
from harness.errors import UsageError
from harness.records import Call, Reply, Settings, Usage
from harness.testing.builders import a_call
from harness.vectors import packed

MODEL = Model(
    provider="sim",
    name="vec",
    model_class="EMBEDDING",
    prices=Prices(input=0.02, output=0.0),
    texts_per_request=4,
    tokens_per_request=400,
)


def a_text(text: str = "Where is my parcel?", **extra) -> Call:
    """A call for the vector of one text."""
    settings = Settings(model="sim/vec", prompt="plain", extra=extra)
    return Call(settings=settings, sample_id=text[:8], texts=(text,), purpose="embed")


def tickets(*calls: Call) -> list[Ticket]:
    """These calls, waiting."""
    return [
        Ticket(call, str(place), Stream(), 0.0, worst=worst_case(call, MODEL))
        for place, call in enumerate(calls)
    ]


def a_gate(waiting: list[Ticket], model: Model = MODEL) -> SimpleNamespace:
    """What `take` needs of a gate."""
    return SimpleNamespace(waiting=deque(waiting), model=model)


def taken(gate: SimpleNamespace) -> list[list[str]]:
    """The keys of all groups, in the order in which they go."""
    groups = []
    while gate.waiting:
        groups.append([ticket.key for ticket in take(gate)])
    return groups


# -- who goes with whom


def test_texts_go_together_up_to_the_limit_of_a_request():
    """In the order in which they came."""
    gate = a_gate(tickets(*(a_text(f"text {n}") for n in range(10))))
    assert taken(gate) == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


def test_a_request_holds_no_more_tokens_than_the_provider_takes():
    """Counted from above, so that it is not refused; a text that is longer than that goes alone."""
    calls = [a_text("x" * 150), a_text("y" * 150), a_text("z" * 150), a_text("w" * 1000), a_text("v" * 150)]
    assert taken(a_gate(tickets(*calls))) == [["0", "1"], ["2"], ["3"], ["4"]]


@pytest.mark.parametrize(("stated", "most"), [(None, UNSTATED_TEXTS), (1, 1), (2048, MOST_TEXTS)])
def test_the_catalogue_says_how_many_texts_a_request_takes(stated, most):
    """Up to what is useful; where nothing is stated, as many as servers take that state nothing."""
    model = Model(provider="sim", name="vec", model_class="EMBEDDING", prices=None, texts_per_request=stated)
    gate = a_gate(tickets(*(a_text("a") for _ in range(300))), model)
    assert len(take(gate)) == most


def test_what_is_sent_along_keeps_texts_apart():
    """Two trials that take turns still fill their requests, and the order of each stays."""
    calls = [a_text(f"text {n}", dimensions=256 if n % 2 else 512) for n in range(8)]
    assert taken(a_gate(tickets(*calls))) == [["0", "2", "4", "6"], ["1", "3", "5", "7"]]


def test_the_name_of_a_template_keeps_nothing_apart():
    """It is not sent."""
    one, other = a_text("a"), a_text("b")
    other = Call(settings=Settings(model="sim/vec", prompt="prefixed"), sample_id="b", texts=("b",))
    assert taken(a_gate(tickets(one, other))) == [["0", "1"]]


def test_conversations_go_alone():
    """One request a call."""
    assert taken(a_gate(tickets(a_call(), a_text(), a_call(), a_text()))) == [["0"], ["1", "3"], ["2"]]


def test_texts_that_failed_go_with_their_like():
    """A text that breaks every request it is in must not use up the attempts of fresh ones."""
    waiting = tickets(*(a_text(f"text {n}") for n in range(4)))
    waiting[0].attempts = waiting[2].attempts = 1
    assert taken(a_gate(waiting)) == [["0", "2"], ["1", "3"]]


@given(st.integers(1, 40), st.integers(0, 39))
def test_one_bad_text_is_found_by_halving(count, bad):
    """Whichever it is, it is refused alone in the end, and all others are answered."""
    bad %= count
    model = Model(provider="sim", name="vec", model_class="EMBEDDING", prices=None, texts_per_request=64)
    gate = a_gate(tickets(*(a_text(f"text {n}") for n in range(count))), model)
    answered, refused = set(), []
    while gate.waiting:
        group = take(gate)
        keys = {ticket.key for ticket in group}
        if str(bad) not in keys:
            answered |= keys
        elif len(group) > 1:
            halve(gate, group)
        else:
            refused += keys
    assert refused == [str(bad)]
    assert answered == {str(n) for n in range(count)} - {str(bad)}


def test_one_request_carries_the_texts_in_their_order():
    """Under the settings that they share."""
    group = tickets(a_text("one", dimensions=3), a_text("two", dimensions=3))
    call = request(group)
    assert (call.texts, call.settings.extra, call.purpose) == (("one", "two"), {"dimensions": 3}, "embed")
    assert request(group[:1]) is group[0].call


# -- dealing out


def an_answer(*vectors: list[float], tokens: int | None = 10) -> Reply:
    """A reply with these vectors."""
    return Reply(vectors=tuple(map(packed, vectors)), usage=Usage(input_tokens=tokens, output_tokens=0))


def fault_of(reply: Reply, group: list[Ticket], lengths: Lengths | None = None) -> ProviderFault:
    """What is said of an answer that is none to this group."""
    with pytest.raises(ProviderFault) as caught:
        deal(reply, group, lengths or Lengths())
    assert caught.value.billed
    return caught.value


def test_each_text_gets_its_vector_and_its_part_of_the_bill():
    """The parts follow the length of the texts, and add up to the whole."""
    group = tickets(a_text("x" * 34), a_text("y" * 134))
    one, other = deal(an_answer([1.0, 0.0], [0.0, 2.0], tokens=61), group, Lengths())
    assert (one.vectors, other.vectors) == ((packed([1.0, 0.0]),), (packed([0.0, 2.0]),))
    # The bounds are 50 and 150 tokens: 15.25 and 45.75, rounded so that they add up.
    assert (one.usage.input_tokens, other.usage.input_tokens) == (15, 46)


def test_an_unknown_bill_has_unknown_parts():
    """Not zero."""
    group = tickets(a_text("a"), a_text("b"))
    assert [
        one.usage.input_tokens for one in deal(an_answer([1.0], [1.0], tokens=None), group, Lengths())
    ] == [
        None,
        None,
    ]


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.data())
def test_parts_add_up_and_none_is_above_its_bound(weights, data):
    """So a cap that holds for the bounds holds for the bill."""
    total = data.draw(st.integers(0, sum(weights)))
    parts = shares(total, weights)
    assert sum(parts) == total
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(text="hello"), "malformed", "no vectors for 2 texts"),
        (an_answer([1.0]), "malformed", "1 vectors for 2 texts"),
        (an_answer([1.0], [1.0], [1.0]), "malformed", "3 vectors for 2 texts"),
        (an_answer([1.0], [1.0, 0.0]), "malformed", "its vectors differ in length"),
        (an_answer([1.0], [float("nan")]), "malformed", "vector 1 has a number that is none"),
        (an_answer([1.0], [0.0]), "malformed", "vector 1 is nothing but zeros"),
    ],
)
def test_what_is_no_vector_for_each_text_is_a_fault(reply, kind, words):
    """Nothing is guessed or filled in; the answer was made, so it may be on the bill."""
    fault = fault_of(reply, tickets(a_text("a"), a_text("b")))
    assert fault.kind == kind
    assert words in fault.message


def test_another_length_than_asked_for_is_a_lasting_fault():
    """Asking again would pay again for the same."""
    fault = fault_of(an_answer([1.0, 1.0]), tickets(a_text("a", dimensions=3)))
    assert (fault.kind, fault.retryable) == ("dimensions", False)
    assert fault.message == "3 dimensions were asked for, and the vector has 2"


def test_another_length_than_before_is_a_lasting_fault():
    """Two lengths are two models; other parameters may have another length."""
    lengths = Lengths()
    deal(an_answer([1.0, 1.0]), tickets(a_text("a")), lengths)
    deal(an_answer([1.0]), tickets(a_text("b", task_type="CLUSTERING")), lengths)
    fault = fault_of(an_answer([1.0]), tickets(a_text("c")), lengths)
    assert fault.kind == "dimensions"
    assert "the vector has 1 dimensions, and those before it of sim/vec" in fault.message


def test_an_unusable_answer_decides_no_length():
    """The length of what was refused says nothing about the next."""
    lengths = Lengths()
    fault_of(an_answer([0.0, 0.0]), tickets(a_text("a")), lengths)
    assert deal(an_answer([1.0]), tickets(a_text("a")), lengths)


# -- what may be asked


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003"])
def test_nothing_has_no_vector(text):
    """An empty text is a mistake in the data, and told with its sample."""
    with pytest.raises(UsageError, match=r"the text of sample 's1' is .*leave such rows out"):
        require_text(Call(settings=Settings(model="sim/vec", prompt=""), sample_id="s1", texts=(text,)))


@pytest.mark.parametrize("call", [a_call(texts=("a",)), a_call(messages=(), texts=("a", "b"))])
def test_a_call_asks_for_one_vector_alone(call):
    """So that each text has a key, a price and an answer of its own."""
    with pytest.raises(UsageError, match="expected one text alone"):
        require_text(call)
