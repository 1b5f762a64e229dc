"""Promises of the scorers for answers that are data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.scores.structured import Json, JsonSchema, read_json

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
        ("```json\n" + " " * 1_000_000, "not JSON"),
        ("[]" + " " * 2_000_000 + "x", "longer than 2,000,000 characters"),
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


def test_a_pattern_reads_the_ends_of_a_text_that_ran_away(answer):
    """Two open repeats in a row take the square of its length."""
    schema = JsonSchema({"pattern": ".+@.+"})
    assert schema.score(answer(json.dumps("a" * 1_000_000))).value == 0
    assert schema.score(answer(json.dumps("a" * 1_000_000 + "@b"))).value == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"$ref": {"type": "string"}, "pattern": {"description": "such as (a+)+b"}}},
        {"enum": [{"$ref": "https://example.com", "pattern": "("}]},
    ],
)
def test_names_and_data_in_a_schema_are_no_keywords(answer, schema):
    """A form may ask for a field called `pattern`, and a value may look like a reference."""
    JsonSchema(schema).score(answer("{}"))


def test_an_answer_too_deep_for_a_recursive_schema_is_wrong(answer):
    """It is no crash: what follows itself for ever is followed as far as Python goes."""
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}}
    assert JsonSchema(schema).score(answer("[[[]]]")).value == 1
    score = JsonSchema(schema).score(answer("[" * 900 + "]" * 900))
    assert (score.value, score.reason) == (0, "the answer is nested too deeply to be checked")
