"""Changes in a JSON text: what is asked for changes, and not a byte more."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.outputs.exports.json_splice import GONE, splice

names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
layouts = st.sampled_from([None, 2, 4, "\t"])


def test_a_value_is_replaced_where_it_stands():
    """Spaces, order and odd formatting around it stay."""
    text = '{ "name" : "Ada",\n\t"settings":{"a":1 ,  "b" : [1,\n2]},"z":null }\n'
    changed = splice(text, {("settings", "a"): 0.5}, file="c.json")
    assert changed == text.replace('"a":1 ', '"a":0.5 ')


def test_a_new_member_follows_the_last_in_the_files_own_indentation():
    """Objects on the way are made; line ends of Windows are kept."""
    text = '{\r\n    "name": "Ada",\r\n    "settings": {\r\n        "voice": "x"\r\n    }\r\n}\r\n'
    changed = splice(text, {("settings", "modelConfig", "temperature"): 1e-6}, file="c.json")
    assert changed == text.replace(
        '"x"\r\n',
        '"x",\r\n        "modelConfig": {\r\n            "temperature": 1e-06\r\n        }\r\n',
    )


def test_an_object_on_one_line_stays_on_one_line():
    """A dense file is not blown up."""
    assert (
        splice('{"settings": {"a": 1}}', {("settings", "b"): 2}, file="c") == '{"settings": {"a": 1, "b": 2}}'
    )


def test_members_are_taken_out_with_their_comma():
    """First, middle and last member alike; one that is not there is no fault."""
    text = '{"a": 1, "b": 2, "c": 3}'
    assert splice(text, {("a",): GONE}, file="c") == '{"b": 2, "c": 3}'
    assert splice(text, {("b",): GONE}, file="c") == '{"a": 1, "c": 3}'
    assert splice(text, {("c",): GONE}, file="c") == '{"a": 1, "b": 2}'
    assert splice(text, {("d",): GONE, ("a", "x"): GONE}, file="c") == text


@given(st.dictionaries(names, values, max_size=5), names, names, values, layouts)
def test_only_the_asked_place_changes(document, outer, inner, value, indent):
    """Whatever the file and its layout, reading it again gives the old values and the new one."""
    document = {**document, outer: {"kept": 1}}
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    changed = json.loads(splice(text, {(outer, inner): value}, file="c.json"))
    assert changed == {**document, outer: {"kept": 1, inner: value}}


@given(st.dictionaries(names, values, min_size=1, max_size=5), st.data(), layouts)
def test_taking_out_leaves_the_rest(document, data, indent):
    """The other members keep their values and their order."""
    name = data.draw(st.sampled_from(sorted(document)))
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    rest = json.loads(splice(text, {(name,): GONE}, file="c.json"))
    assert list(rest.items()) == [(key, value) for key, value in document.items() if key != name]


@pytest.mark.parametrize("text", ["", "[1]", "{", "name: Ada"])
def test_what_is_no_object_is_refused(text):
    """A YAML character or a broken one is named, not mangled."""
    with pytest.raises(UsageError, match=r"c\.json"):
        splice(text, {("a",): 1}, file="c.json")


def test_a_place_that_holds_no_object_is_refused():
    """Nobody's value is thrown away to make room."""
    with pytest.raises(UsageError, match="settings is no object"):
        splice('{"settings": 3}', {("settings", "a"): 1}, file="c.json")
