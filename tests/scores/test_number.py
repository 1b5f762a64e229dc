"""Promises of the number scorer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.records import Sample
from harness.scores.number import Number
from harness.scores.scorer import Answer


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The answer is 1,234.56.", "1234.56"),
        ("1,234,567", "1234567"),
        ("1'234 or so", "1234"),
        ("5\u202f000 kg", "5000"),
        ("so 18 - 2 = 16", "16"),
        ("**16**", "16"),
        ("$3.50", "3.5"),
        ("-$5", "-5"),
        ("\u22125", "-5"),
        ("+7", "7"),
        ("pages 3-5", "5"),
        ("GPT-4", "4"),
        (".5", "0.5"),
        ("It is 5.", "5"),
        ("1e-3", "0.001"),
        ("6.02E23", "6.02E+23"),
        ("3 \u00d7 10\u2078 m/s", "300000000"),
        (r"3 \times 10^{-2}", "0.03"),
        ("10^6", "1000000"),
        ("12.5 %", "12.5%"),
        ("\uff14\uff12", "42"),
        ("\u7b54\u6848\u662f5", "5"),
        ("9 m\u00b2", "9"),
        ("1,2,3", "3"),
        ("-0.0", "0"),
        ("-0", "0"),
        ("1e-999999999", "0"),
    ],
)
def test_number_reads_what_people_and_models_write(answer, text, label):
    """The label is the last number of the answer, in one spelling."""
    assert Number().score(answer(text, 0)).label == label


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "1.2.3",
        "10.20.30.40",
        "12.05.2024",
        "v2.0",
        "H2",
        "7^2",
        "10.5^2",
        "x^{2}",
        "1e999999999",
        "9" * 500,
        "\u00bd",
    ],
)
def test_an_answer_without_a_number_is_wrong(answer, text):
    """The model answered, and not with a number: value 0, no label, and a reason."""
    score = Number().score(answer(text, 42))
    assert (score.value, score.label, score.reason) == (0.0, None, "no number found")


@pytest.mark.parametrize("target", [None, "none", {}, True, [], [1, True], math.nan, math.inf])
def test_a_target_that_is_no_number_leaves_the_sample_unscored(answer, target):
    """The sample is at fault, not the model; what the answer says is still shown."""
    score = Number().score(answer("42", target))
    assert (score.value, score.label) == (None, "42")
    assert "is not a number" in score.reason


@pytest.mark.parametrize(
    ("scorer", "text", "target", "value"),
    [
        (Number(), "42", 42, 1),
        (Number(), "42.0", "42", 1),
        (Number(), "0.1", 0.1, 1),
        (Number(), "42.1", 42, 0),
        (Number(), "123456789012345678", 123456789012345679, 0),
        (Number(tolerance=0.1), "1.1", 1.0, 1),
        (Number(tolerance=0.1), "1.11", 1.0, 0),
        (Number(relative=0.01), "-101", -100, 1),
        (Number(relative=0.01), "-102", -100, 0),
        (Number(tolerance=5, relative=0.01), "-102", -100, 1),
        (Number(), "41 or 42", 41, 0),
        (Number(pick="first"), "41 or 42", 41, 1),
        (Number(), "7", [6, "7"], 1),
        (Number(), "7", 10**400, 0),
        (Number(), "72", "48 + 24 = 72 #### 72", 1),
        (Number(decimal=","), "1.234,5 Euro", 1234.5, 1),
        (Number(decimal=","), "3,5", "3,5", 1),
    ],
)
def test_number_is_right_within_the_tolerance(answer, scorer, text, target, value):
    """The end of the tolerance counts, exactly: 1.1 is within 0.1 of 1.0."""
    assert scorer.score(answer(text, target)).value == value


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("42%", 42, 1),
        ("42%", 0.42, 1),
        ("0.42", "42%", 1),
        ("42", "42%", 1),
        ("0.42%", "42%", 0),
        ("42%", 4.2, 0),
    ],
)
def test_a_percentage_is_what_is_written_or_its_hundredth(answer, text, target, value):
    """Data sets write shares either way; with a sign on both sides, only as written."""
    assert Number().score(answer(text, target)).value == value


def test_a_wrong_number_comes_with_what_was_expected(answer):
    """The reason names both numbers."""
    assert Number().score(answer("7", [8, 9])).reason == "found 7, expected 8 or 9"


@pytest.mark.parametrize("bad", [{"tolerance": -1}, {"relative": math.nan}, {"tolerance": math.inf}])
def test_number_refuses_a_tolerance_that_is_none(bad):
    """A tolerance is a finite number from 0 up."""
    with pytest.raises(UsageError, match="expected a number from 0 up"):
        Number(**bad)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_every_float_written_by_python_is_read_back(value):
    """What Python prints for a float equals that float as a target."""
    sample = Sample(id="s", inputs={}, target=value, split="search")
    assert Number().score(Answer(sample=sample, text=f"It is {value!r}.")).value == 1


@given(st.text(alphabet="0123456789.,-+e%^x*$ \u2212'()", max_size=60))
@settings(deadline=None)
def test_no_text_breaks_the_reader(text):
    """Any jumble of digits and marks gets a score."""
    sample = Sample(id="s", inputs={}, target=1, split="search")
    for decimal in (".", ","):
        assert Number(decimal=decimal).score(Answer(sample=sample, text=text)).value in (0, 1)
