"""Records as text: what is written down comes back the same."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import is_dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.findings import Trial
from harness.records import Settings
from harness.store.codec import decode, encode
from harness.testing import builders
from harness.testing.builders import a_provenance, a_run_record, a_settings, a_trial

# Every builder that gives a record with no arguments: a record added later is covered by its builder.
BUILT = [
    made()
    for name, made in inspect.getmembers(builders, inspect.isfunction)
    if name.startswith(("a_", "an_")) and made.__module__ == builders.__name__
]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SETTINGS = st.builds(
    Settings,
    model=TEXTS,
    prompt=TEXTS,
    temperature=st.none() | NUMBERS,
    top_p=st.none() | NUMBERS,
    max_output_tokens=st.none() | st.integers(),
    frequency_penalty=st.none() | NUMBERS,
    presence_penalty=st.none() | NUMBERS,
    stop=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
    seed=st.none() | st.integers(),
    reasoning_effort=st.none() | TEXTS,
    extra=st.dictionaries(TEXTS, JSON, max_size=3),
)


@pytest.mark.parametrize("record", BUILT, ids=lambda record: type(record).__name__)
def test_every_record_comes_back_the_same(record):
    """Nested records, tuples, mappings, moments and `None` survive."""
    assert is_dataclass(record)
    again = decode(type(record), encode(record))
    assert again == record
    assert encode(again) == encode(record)


@given(SETTINGS)
def test_any_settings_come_back_the_same(settings):
    """Whatever may be sent can be written down: any text, any number, any custom parameter."""
    assert decode(Settings, encode(settings)) == settings


def test_a_number_that_is_none_is_not_lost():
    """NaN and infinities come back: one odd metric must not make the list of runs unreadable."""
    odd = a_trial(metrics={"nan": math.nan, "high": math.inf, "low": -math.inf})
    again = decode(Trial, encode(odd)).metrics
    assert math.isnan(again["nan"])
    assert (again["high"], again["low"]) == (math.inf, -math.inf)


def test_a_moment_keeps_its_zone():
    """A moment in another zone is the same moment afterwards, to the microsecond."""
    moment = datetime(2026, 3, 1, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    record = a_provenance(started_at=moment)
    again = decode(type(record), encode(record))
    assert again.started_at == moment
    assert again.started_at.utcoffset() == timedelta(hours=5, minutes=30)


def test_text_is_readable_and_plain_json():
    """What people open in an editor is JSON with their own letters in it."""
    text = encode(a_settings(prompt="größer 日本"), indent=2)
    assert "größer 日本" in text
    assert json.loads(text)["prompt"] == "größer 日本"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the whole text"),
        ('{"model": "sim/small"', "the whole text"),
        ("[]", "the whole text"),
        ('{"model": "sim/small"}', "prompt"),
        ('{"model": "m", "prompt": "p", "temperature": "hot"}', "temperature"),
    ],
)
def test_text_of_something_else_is_refused(text, fault):
    """The refusal names the file, the kind of record and the first fault."""
    with pytest.raises(UsageError, match=rf"best\.json: not a Settings written by harness: {fault}"):
        decode(Settings, text, file="best.json")


def test_a_run_record_is_small():
    """A record holds no answers: it stays small enough to be kept in one row."""
    assert len(encode(a_run_record())) < 20_000
