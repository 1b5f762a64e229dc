"""Promises of the judge that reads vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.records import Sample
from harness.scores.answer import Answer
from harness.scores.judges import build_judge
from harness.scores.semantic import Semantic
from harness.vectors import packed

SEMANTIC = Semantic(model="sim/vectors")
NUMBERS = st.floats(-1e3, 1e3, width=32).filter(lambda number: number == 0 or abs(number) > 1e-3)
VECTORS = st.lists(NUMBERS, min_size=3, max_size=3).filter(any)


def an_answer(text="Your refund is on its way.", target="We have sent the money back."):
    """An answer to a customer."""
    return Answer(sample=Sample(id="t1", inputs={}, target=target, split="search"), text=text)


@pytest.mark.parametrize(
    ("vectors", "at_least", "value", "reason"),
    [
        ([(3, 4), (3, 4)], None, 1.0, "cosine 1.000"),
        ([(3, 4), (4, 3)], None, 24 / 25, "cosine 0.960"),
        ([(3, 4), (6, 0)], None, 3 / 5, "cosine 0.600"),
        ([(1, 0), (0, 2)], None, 0.0, "cosine 0.000"),
        ([(1, 0), (-2, 0)], None, 0.0, "cosine -1.000"),
        ([(3, 4), (0, 1), (1, 0)], None, 4 / 5, "cosine 0.800"),
        ([(3, 4), (6, 0)], 0.6, 1.0, "cosine 0.600 of 0.6"),
        ([(3, 4), (6, 0)], 0.61, 0.0, "cosine 0.600 of 0.61"),
    ],
)
def test_hand_worked_cosines(vectors, at_least, value, reason):
    """The nearest target counts, a negative cosine is 0, and a threshold makes it right or wrong."""
    judge = Semantic(model="sim/vectors", at_least=at_least)
    score = judge.score(an_answer(), [packed(vector) for vector in vectors])
    assert score.value == pytest.approx(value, abs=1e-12)
    assert (score.reason, score.scorer, score.version) == (reason, "semantic", 1)


@given(VECTORS, VECTORS)
def test_a_cosine_is_a_share_and_knows_no_order_or_length(one, other):
    """From 0 to 1, whichever of two texts is the answer, and however long the vectors."""
    first, second = packed(one), packed(other)
    value = SEMANTIC.score(an_answer(), [first, second]).value
    assert 0 <= value <= 1
    assert SEMANTIC.score(an_answer(), [second, first]).value == pytest.approx(value, abs=1e-9)
    doubled = packed([2 * number for number in one])
    assert SEMANTIC.score(an_answer(), [doubled, second]).value == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([None, packed((1, 0))], "the embedding call failed"),
        ([packed((1, 0)), None], "the embedding call failed"),
        ([packed((1, 0)), packed((1, 0)), None], "the embedding call failed"),
        ([], "the embedding call failed"),
        ([packed((1, 0)), packed((1, 0, 0))], "the vectors have 2 and 3 numbers and cannot be compared"),
        ([packed((1, 0)), packed((0, 0))], "vector 1 is nothing but zeros"),
    ],
)
def test_without_comparable_vectors_nothing_is_scored(replies, reason):
    """Unscored with the reason, and never 0."""
    score = SEMANTIC.score(an_answer(), replies)
    assert (score.value, score.reason) == (None, reason)
    assert not SEMANTIC.has_verdict([None, packed((1, 0))])


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_answer_is_wrong_and_asks_nothing(text):
    """Nothing has no vector, and is no answer."""
    answer = an_answer(text)
    assert SEMANTIC.questions(answer) == ()
    score = SEMANTIC.score(answer, [])
    assert (score.value, score.reason) == (0.0, "the answer is empty")


def test_the_answer_and_each_target_are_a_text_to_embed():
    """As they are, one question each."""
    questions = SEMANTIC.questions(an_answer("Paid {{ back }}", ["Refunded", 7]))
    assert [question.text for question in questions] == ["Paid {{ back }}", "Refunded", "7"]
    assert {question.model for question in questions} == {"sim/vectors"}


@pytest.mark.parametrize("target", [None, "", [], ["paid", " "], {"label": "paid"}])
def test_a_target_without_words_is_a_fault_of_the_row(target):
    """To be told before anything is spent."""
    assert SEMANTIC.fault(an_answer(target=target).sample) == "the target is no text to embed"
    assert SEMANTIC.fault(an_answer().sample) is None


def test_it_is_built_from_the_words_of_a_spec():
    """By its model alone, or with arguments."""
    assert build_judge({"semantic": "sim/vectors"}) == SEMANTIC
    form = {"semantic": {"model": "sim/vectors", "at_least": 0.8, "name": "meaning"}}
    assert build_judge(form) == Semantic(model="sim/vectors", at_least=0.8, name="meaning")
    with pytest.raises(UsageError, match="at_least is"):
        build_judge({"semantic": {"model": "sim/vectors", "at_least": 1.5}})
    with pytest.raises(UsageError, match="needs model"):
        build_judge("semantic")
