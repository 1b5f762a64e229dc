"""Promises of the scorers for answers that are data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.scores.structured import Fields, Json, JsonSchema, read_json

INVOICE = {
    "type": "object",
    "required": ["number", "total"],
    "properties": {
        "number": {"type": "string", "pattern": "^INV-[0-9]+$"},
        "total": {"$ref": "#/$defs/money"},
    },
    "additionalProperties": False,
    "$defs": {"money": {"type": "number", "minimum": 0}},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text", ["{}", " [1, 2]\n", '"x"', "null", '```json\n{"a": 1}\n```', "```\n[]\n```\n"]
)
def test_json_takes_every_json_value(answer, text):
    """A fenced block of Markdown is how many models hand it over."""
    assert Json().score(answer(text)).value == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer is empty"),
        ("{'a': 1}", "not JSON: Expecting property name"),
        ('Here it is: {"a": 1}', "not JSON: Expecting value at line 1, column 1"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 10_000, "not JSON: Exceeds the limit"),
        ("```json\n{}\n```\nDone.", "not JSON"),
    ],
)
def test_json_says_where_reading_stopped(answer, text, reason):
    """The reason is for whoever mends the prompt."""
    score = Json().score(answer(text))
    assert score.value == 0
    assert reason in score.reason


def test_strict_json_takes_no_fence(answer):
    """An application that parses the answer as it is would fail on it."""
    assert Json(strict=True).score(answer("```json\n{}\n```")).value == 0
    assert Json(strict=True).score(answer(" {} ")).value == 1


@given(VALUES)
@settings(deadline=None)
def test_what_json_writes_is_read_back(value):
    """Reading is neither stricter nor looser than the standard library for what it wrote itself."""
    assert read_json(json.dumps(value), strict=True) == (value, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"number": "INV-7", "total": 12.5}', ""),
        ('```json\n{"number": "INV-7", "total": 0}\n```', ""),
        ('{"number": "INV-7"}', "$: 'total' is a required property"),
        ('{"number": "7", "total": 1}', "$.number: '7' does not match"),
        ('{"number": "INV-7", "total": -1}', "$.total: -1 is less than the minimum"),
        ('{"number": "INV-7", "total": 1, "vat": 2}', "Additional properties are not allowed"),
        ("INV-7", "not JSON"),
    ],
)
def test_json_schema_names_the_place_of_the_first_fault(answer, text, reason):
    """1 for what fits, else 0 with the path inside the answer."""
    score = JsonSchema(INVOICE).score(answer(text))
    assert score.value == float(not reason)
    assert reason in score.reason


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "objekt"}, "is no JSON Schema: 'objekt' is not valid"),
        ({"$ref": "https://example.com/schema.json"}, "nothing is fetched"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "nothing is fetched"),
        ({"anyOf": [{"pattern": "(a+)+b"}]}, "could take for ever"),
        ({"patternProperties": {"(a|a)*b": {}}}, "could take for ever"),
        ({"pattern": "("}, "cannot be read"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_when_built(schema, message):
    """Before money is spent, and before an answer can make it hang or call home."""
    with pytest.raises(UsageError, match=message):
        JsonSchema(schema)


def test_an_answer_too_deep_for_a_recursive_schema_is_wrong(answer):
    """It is no crash: what follows itself for ever is followed as far as Python goes."""
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}
    assert JsonSchema(schema).score(answer("[[[]]]")).value == 1
    score = JsonSchema(schema).score(answer("[" * 900 + "]" * 900))
    assert (score.value, score.reason) == (0, "the answer is nested too deeply to be checked")


TICKET = {
    "name": "Ada Lovelace",
    "amount": 12.5,
    "items": ["pen", "ink"],
    "address": {"city": "London", "zip": "007"},
}


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (TICKET, 1),
        ({**TICKET, "name": " ada  LOVELACE", "amount": "12.50", "items": ["ink", "pen"]}, 1),
        ({**TICKET, "name": None}, 2 * 5 / 11),
        ({**TICKET, "name": "Grace Hopper"}, 2 * 5 / 12),
        ({**TICKET, "phone": "1"}, 2 * 6 / 13),
        ({**TICKET, "address": {"city": "London", "zip": 7}}, 2 * 5 / 12),
        ({**TICKET, "items": ["pen"]}, 2 * 5 / 11),
        ({}, 0),
    ],
)
def test_fields_of_hand_worked_cases(answer, found, value):
    """The target has six facts; a missing one lowers recall, one too much precision, a wrong one both."""
    score = Fields().score(answer(json.dumps(found), TICKET))
    assert score.value == pytest.approx(value, abs=1e-9)
    assert bool(score.reason) == (score.value < 1)


def test_fields_names_what_is_wrong(answer):
    """What is missing and what is too much, by place."""
    score = Fields().score(answer('{"address": {"city": "Paris"}, "b": 2}', {"address": {"city": "London"}}))
    assert score.reason == "missing or other: address.city; too much or other: address.city, b"


def test_only_named_fields_count(answer):
    """The others may be anything."""
    assert Fields(names=("amount",)).score(answer('{"amount": 12.5, "name": "X"}', TICKET)).value == 1


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("[1]", {"a": 1}, 0),
        ("none", {"a": 1}, 0),
        ("{}", {}, 1),
        ("{}", {"a": None}, 1),
        ('{"a": true}', {"a": "TRUE"}, 1),
        ('{"id": 12345678901234567891}', {"id": 12345678901234567890}, 0),
        ('{"id": "1e3"}', {"id": 1000}, 1),
        ('{"x": 0.0}', {"x": "-0"}, 1),
        ('{"a": "nan"}', {"a": "NaN"}, 1),
        ('{"a": 1}', "no object", None),
    ],
)
def test_fields_at_the_edges(answer, text, target, value):
    """Answers that are no object, empty objects, truth values, and numbers that only look alike."""
    assert Fields().score(answer(text, target)).value == value


def test_fields_stop_at_a_depth_nobody_asked_for(answer):
    """A value nested a hundred levels deep is one fact, whatever it holds."""
    deep = json.loads('{"a":' * 150 + "1" + "}" * 150)
    deeper = json.loads('{"a":' * 160 + "1" + "}" * 160)
    assert Fields().score(answer(json.dumps(deep), deeper)).value == 1
