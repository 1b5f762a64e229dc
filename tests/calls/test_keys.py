"""The key of a call: what can change the answer is in it, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.calls.keys import call_key, key_as_written, place
from harness.catalogue.models import load_catalogue
from harness.records import Message, Settings
from harness.store.codec import decode, encode
from harness.testing.builders import a_call, a_settings, an_endpoint

KEY = call_key(a_call(), an_endpoint())


def test_a_key_is_the_same_in_every_process():
    """Answers of last year are found: a change of this value is a change of every key."""
    assert KEY == "5905ee721a84a2dceba4ad03e02134ec12795293e711dc3ed399bae810999aee"


@pytest.mark.parametrize(
    "other",
    [
        a_call(repeat=1),
        a_call(messages=(Message("user", "Another question"),)),
        a_call(messages=(Message("system", a_call().messages[0].content),)),
        a_call(messages=(*a_call().messages, Message("user", ""))),
        a_call(messages=(), texts=("Which label fits? I was charged twice.",)),
        a_call(settings=a_settings(model="sim/medium")),
        a_call(settings=a_settings(temperature=None)),
        a_call(settings=a_settings(temperature=0.31)),
        a_call(settings=a_settings(seed=1)),
        a_call(settings=a_settings(stop=("\n",))),
        a_call(settings=a_settings(extra={"top_k": 5})),
    ],
)
def test_what_changes_the_answer_changes_the_key(other):
    """Another question, another model, another setting, another repeat."""
    assert call_key(other, an_endpoint()) != KEY


@pytest.mark.parametrize(
    "other", [a_call(sample_id="s2"), a_call(task="t"), a_call(settings=a_settings(prompt="other"))]
)
def test_names_of_ours_do_not_change_the_key(other):
    """Equal questions are paid once, whatever we call sample, task and variant."""
    assert call_key(other, an_endpoint()) == KEY


def test_the_address_is_part_of_the_question():
    """The same name may be another model elsewhere; how hard an endpoint is pressed changes no answer."""
    assert call_key(a_call(), an_endpoint(api_base="http://127.0.0.1:10/v1")) != KEY
    pressed = an_endpoint(concurrency=1, timeout_s=1.0, max_retries=0, rpm=5, tpm=5, api_key_env="K")
    assert call_key(a_call(), pressed) == KEY
    assert call_key(a_call(), an_endpoint(api_base=None)) != KEY


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("http://127.0.0.1:9/v1/", "http://127.0.0.1:9/v1"),
        ("http://127.0.0.1:9//", "http://127.0.0.1:9"),
        ("HTTPS://API.Example.com:443/V1", "https://api.example.com/V1"),
        ("http://api.example.com:80", "http://api.example.com"),
        ("http://[::1]:80/v1", "http://[::1]/v1"),
        ("https://User:Word@Example.com/v1/", "https://User:Word@example.com/v1"),
        ("https://example.com:8443/a%20b/", "https://example.com:8443/a%20b"),
        ("https://example.com:44380/v1/", "https://example.com:44380/v1"),
        ("http://example.com:port/", "http://example.com:port/"),
    ],
)
def test_one_place_is_one_question_however_its_address_is_spelled(address, plain):
    """A slash at the end, or a host in capitals, pays for nothing again."""
    assert place(address) == plain == place(plain)
    assert call_key(a_call(), an_endpoint(api_base=address)) == call_key(
        a_call(), an_endpoint(api_base=plain)
    )


def test_what_is_kept_under_an_address_as_written_has_its_key_of_before():
    """Versions before this one made the key so; the addresses of the catalogue were plain already."""
    slash = an_endpoint(api_base="http://127.0.0.1:9/v1/")
    assert key_as_written(a_call(), slash) == (
        "bb70890958c6b23f5ce45c9cd7e99b6899fe8eaee1fdc0f28914029f28c5f6a5"
    )
    assert call_key(a_call(), slash) == KEY
    usual = {facts.api_base for facts in load_catalogue().providers.values()}
    assert len(usual) > 5
    assert {key_as_written(a_call(), an_endpoint(api_base=one)) for one in usual} == {None}


@pytest.mark.parametrize("value", [0, 1, -1, 0.5, 0.0])
def test_a_whole_number_is_one_question_however_it_is_written(value):
    """A spec says 1, the store gives back 1.0."""
    settings = a_settings(temperature=value, frequency_penalty=value)
    again = decode(Settings, encode(settings))
    endpoint = an_endpoint()
    assert call_key(a_call(settings=again), endpoint) == call_key(a_call(settings=settings), endpoint)


def test_half_a_surrogate_pair_has_a_key():
    """Any text that Python holds can be asked."""
    odd = replace(a_call(), messages=(Message("user", "\ud800"),))
    assert len(call_key(odd, an_endpoint())) == 64
