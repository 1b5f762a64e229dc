"""Promises of the scorer for values extracted from a text."""

from __future__ import annotations

import json

import pytest

from harness.scores.fields import Fields

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


ORDER = {"items": [{"name": "pen", "price": 2, "n": 10}, {"name": "ink", "price": 7, "n": 1}]}


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ([{"name": "ink", "price": 7, "n": 1}, {"name": "pen", "price": 2, "n": 10}], 1),
        ([{"name": "pen", "price": 7, "n": 10}, {"name": "ink", "price": 2, "n": 1}], 2 * 4 / 12),
        ([{"name": "pen", "price": 2, "n": 10}], 2 * 3 / 9),
        ([{"name": "pen", "price": 2, "n": 10}, {"name": "pen", "price": 2, "n": 10}], 2 * 3 / 12),
        ([{"name": "pen", "price": 7, "n": 1}, {"name": "ink", "price": 2, "n": 10}], 2 * 4 / 12),
        ([], 0),
    ],
)
def test_objects_in_a_list_are_matched_one_to_one(answer, items, value):
    """A price belongs to its article: swapped prices are two faults, whatever the order of the articles."""
    score = Fields().score(answer(json.dumps({"items": items}), ORDER))
    assert score.value == pytest.approx(value, abs=1e-9)


def test_a_name_with_a_dot_is_no_path(answer):
    """Places are for reading; what is compared is the value under its own name."""
    assert Fields().score(answer('{"a.b": 1}', {"a": {"b": 1}})).value == 0


def test_a_list_that_never_ends_costs_no_time(answer):
    """What runs away is too much, member by member."""
    text = json.dumps({"items": [{"name": "pen", "price": 2, "n": n} for n in range(20_000)]})
    score = Fields().score(answer(text, ORDER))
    assert score.value == pytest.approx(2 * 4 / (60_000 + 6), abs=1e-9)
