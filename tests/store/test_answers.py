"""An answer as the store keeps it: what was paid for comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Reply, Usage
from harness.store.answers import (
    ANSWER_COLUMNS,
    FAILURE_COLUMNS,
    PAYMENT_COLUMNS,
    answer_row,
    checksum,
    completion,
    failure,
    storable,
    storable_text,
)
from harness.store.journal import Journal
from harness.store.schema import tables
from harness.testing.builders import AT, a_call, a_reply, a_usage
from harness.vectors import packed

REPLIES = {
    "plain": a_reply(),
    "nothing known": Reply(),
    "usage in part": a_reply(usage=Usage(input_tokens=7)),
    "free of charge": a_reply(usage=a_usage(input_tokens=0, output_tokens=0)),
    "empty text": a_reply(text=""),
    "unicode": a_reply(text="größer\n日本語 e\u0301 👩‍🔬 \x1b[0m שלום", served_by="modèle"),
    "a megabyte": a_reply(text="ab" * 500_000),
    "vectors": a_reply(text=None, vectors=(packed([0.1, -1e-30, 1 / 3]), packed([1e30, 0.0, -0.0]))),
    "one vector": a_reply(text=None, vectors=(packed([0.1]),)),
    "no vectors": a_reply(text=None, vectors=()),
    "first token": a_reply(first_token_s=0.25),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
def test_an_answer_comes_back_the_same(store, paid, reply):
    """Text, vectors, counts and latency are those of the real answer, and it is marked cached."""
    journal = Journal(store.database, lambda *_: None)
    answer = paid("k", reply)
    journal.put(answer, "k")
    journal.close()
    call = a_call(repeat=3)
    again = completion(store.answers(["k"])["k"], call)
    assert again.reply == reply
    assert again.call is call
    assert again.cached
    assert again.at == AT
    assert again.price_usd == answer.price_usd
    assert (again.latency.queue_s, again.latency.total_s) == (0.125, 0.5)
    assert again.latency.first_token_s == reply.first_token_s


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=5).map(tuple))
def test_vectors_keep_every_bit(vectors):
    """An embedding read back scores as it did when it arrived."""
    from harness.store.answers import _pack, _unpack

    assert _unpack(_pack(vectors)) == vectors


@given(st.text())
def test_any_text_becomes_storable(text):
    """What is stored is valid UTF-8 without NUL, of the same length, and a storable text stays as it is."""
    clean = storable_text(text)
    clean.encode("utf-8")
    assert "\0" not in clean
    assert len(clean) == len(text)
    assert storable_text(clean) == clean


def test_the_halves_of_a_letter_become_one_again():
    """A stream may cut between them; each half alone is none."""
    assert storable_text("a\ud83d\ude00b\ude00\ud83d") == "a😀b\ufffd\ufffd"


def test_half_a_surrogate_pair_is_replaced_everywhere():
    """JSON may carry one in any text; databases take none."""
    reply = a_reply(text="a\ud800b", finish_reason="stop\0", served_by="m\udfff")
    assert storable(reply) == a_reply(text="a\ufffdb", finish_reason="stop\ufffd", served_by="m\ufffd")


def test_a_storable_answer_is_not_copied():
    """The usual answer costs a look, no copy."""
    reply = a_reply(text="größer")
    assert storable(reply) is reply


def test_a_price_that_is_unknown_stays_unknown(store, paid):
    """Unknown is never 0, also after a night on disk."""
    row = answer_row(paid("k")._replace(price_usd=None))
    assert completion(dict(zip(ANSWER_COLUMNS, row, strict=True)), a_call()).price_usd is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("yes", 1506081100), ("größer", 677029137), ("\U0001fae8 \u2028", 3785065236), (None, 2217508427)],
)
def test_a_checksum_is_the_same_in_every_version_of_python(text, expected):
    """Frozen values: a store outlives the Python that wrote it, and what it deems printable."""
    row = dict.fromkeys(ANSWER_COLUMNS) | {"key": "k", "model": "sim/small", "text": text, "price_usd": -0.0}
    values = [row[name] for name in ANSWER_COLUMNS[:-1]]
    assert checksum(values) == expected


def test_no_column_of_an_answer_is_left_out():
    """A row that is written as text has a value for every column of its table."""
    schema = tables()
    assert [column.name for column in schema.answers.c] == list(ANSWER_COLUMNS)
    for table, columns in ((schema.payments, PAYMENT_COLUMNS), (schema.failures, FAILURE_COLUMNS)):
        assert [column.name for column in table.c] == ["id", *columns]


def test_a_failure_comes_back_as_a_record():
    """A stored failure says what happened and how often it was tried."""
    call = a_call()
    row = {"kind": "timeout", "message": "no answer", "attempts": 5}
    again = failure(row, call)
    assert (again.call, again.kind, again.message, again.attempts) == (call, "timeout", "no answer", 5)
