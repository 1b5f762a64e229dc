"""What an error answer means: one table for every lane."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.faults import (
    MESSAGE_CHARACTERS,
    cut_off,
    kind_of,
    kind_of_error,
    safe,
)

GOOGLE = 'You exceeded your current quota, please check your plan and billing details. "quotaId": "'
QUOTA = '{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "temperature must be at most 1", "bad_request"),
        (400, '{"error": {"code": "context_length_exceeded"}}', "too_long"),
        (400, "This model's maximum context length is 8192 tokens", "too_long"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "too_long"),
        (400, '{"error": {"type": "exceed_context_size_error"}}', "too_long"),
        (400, "The input token count (40000) exceeds the maximum", "too_long"),
        (400, '{"error": {"code": "content_filter"}}', "filtered"),
        (400, '{"error": {"code": "content_policy_violation"}}', "filtered"),
        (401, "invalid api key", "credentials"),
        (402, "payment required", "quota"),
        (403, "not allowed", "credentials"),
        (404, "no such model", "not_found"),
        (405, "method not allowed", "bad_request"),
        (408, "", "timeout"),
        (409, "", "overloaded"),
        (413, "", "too_long"),
        (422, "stop: too many", "bad_request"),
        (425, "", "overloaded"),
        (429, "slow down", "rate_limit"),
        (429, QUOTA, "quota"),
        (429, "Your credit balance is too low", "quota"),
        (500, "", "overloaded"),
        (500, "input (602 tokens) is too large to process. increase the physical batch size", "too_long"),
        (400, "Invalid 'input[3]': maximum input length is 8192 tokens.", "too_long"),
        (400, "Invalid 'input': maximum request size is 300000 tokens per request.", "too_long"),
        (502, "<html>", "overloaded"),
        (503, QUOTA, "overloaded"),
        (529, "overloaded_error", "overloaded"),
        (301, "moved", "bad_request"),
        (400, "Your credit balance is too low to access the Anthropic API.", "quota"),
        (400, "You have reached your specified workspace spend limits.", "quota"),
        (400, "the input length exceeds the context length", "too_long"),
        (429, f"{GOOGLE}GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "rate_limit"),
        (429, f"{GOOGLE}GenerateContentInputTokensPerModelPerMinute-FreeTier", "rate_limit"),
        (429, f"{GOOGLE}GenerateRequestsPerDayPerProjectPerModel", "quota"),
    ],
)
def test_status_and_text_give_the_kind(status, text, kind):
    """Only what may succeed later is retried, and only what nobody can mend ends the run."""
    assert kind_of(status, text) == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": 429}, "rate_limit"),
        ({"message": "slow down", "code": "429"}, "rate_limit"),
        ({"message": "no", "code": 401}, "credentials"),
        ({"message": "Upstream error", "code": 502}, "overloaded"),
        ({"message": "Rate limit reached", "code": "rate_limit_exceeded"}, "rate_limit"),
        ({"message": "no", "code": "insufficient_quota"}, "quota"),
        ({"message": "no", "code": "context_length_exceeded"}, "too_long"),
        ({"message": "no", "code": "content_filter"}, "filtered"),
        ({"message": "stop: too many", "type": "invalid_request_error"}, "bad_request"),
        ({"message": "The server had an error", "type": "server_error"}, "overloaded"),
        ({"message": "odd", "code": 7}, "overloaded"),
        ({}, "overloaded"),
        ("CUDA out of memory", "overloaded"),
        (["no"], "overloaded"),
    ],
)
def test_an_error_within_an_answer_gives_the_kind(error, kind):
    """By the status that it repeats, else by its words; what says nothing may pass."""
    assert kind_of_error(error) == kind


@pytest.mark.parametrize(("text", "kind"), [("half of", "connection"), ("", "malformed")])
def test_a_stream_that_ends_early_may_have_been_billed(text, kind):
    """Cut off in the middle, or never an answer."""
    fault = cut_off(text)
    assert (fault.kind, fault.billed, fault.retryable) == (kind, True, True)


@pytest.mark.parametrize(
    "text",
    [
        "invalid key my-own-secret-1 given",
        "invalid key sk-proj-abcdef123456 given",
        "Authorization: Bearer abcdefgh.ijkl-mnop==",
        "key AIzaSyA1234567890 is not valid",
    ],
)
def test_keys_are_masked(text):
    """The key in use, and anything that looks like one."""
    shown = safe(text, "my-own-secret-1")
    assert "***" in shown
    for part in ("my-own-secret-1", "abcdef", "abcdefgh", "SyA123"):
        assert part not in shown


ODD_KEY = 'se/cret"key&1 é😀\\x+abc'
ESCAPES = {
    "JSON": json.dumps(ODD_KEY),
    "JSON beyond ASCII": json.dumps(ODD_KEY, ensure_ascii=False),
    "JSON within JSON": json.dumps(json.dumps({"key": ODD_KEY})),
    "JSON as Go writes it": json.dumps(ODD_KEY).replace("&", "\\u0026"),
    "JSON as PHP writes it": json.dumps(ODD_KEY).replace("/", "\\/"),
    "an address": quote(ODD_KEY),
    "a query": quote(ODD_KEY, safe=""),
    "an address within another": quote(quote(ODD_KEY, safe=""), safe=""),
    "cut off": ODD_KEY[:15],
    "JSON, cut off": json.dumps(ODD_KEY)[:18],
}


@pytest.mark.parametrize("way", ESCAPES)
def test_a_key_is_masked_however_it_is_written(way):
    """Providers quote it back in JSON and in addresses, and some the beginning of it."""
    shown = safe(f'{{"error": "bad key {ESCAPES[way]}"}}', ODD_KEY)
    assert "bad key" in shown
    assert "***" in shown
    for part in ("cret", "key&", "key%", "key\\u"):
        assert part not in shown


def test_a_text_that_does_not_quote_the_key_is_shown_as_it_is():
    """With its escapes: they are undone only where they hid the key."""
    text = 'status 400: {"error": "100%25 of \\"x\\u0026y\\""}'
    assert safe(text, ODD_KEY) == text


@given(st.text(max_size=1000), st.integers(0, 400))
def test_a_message_is_one_short_line_without_the_key(text, place):
    """Wherever the key stands, also across the place where the message is cut."""
    secret = "a-key-of-nobody"
    shown = safe(text[:place] + secret + text[place:], secret)
    assert secret not in shown
    assert len(shown) <= MESSAGE_CHARACTERS
    assert len(shown.splitlines()) <= 1


def test_without_a_key_the_text_stays():
    """Nothing is masked that is no secret."""
    assert safe("status 404:  no such\n model", None) == "status 404: no such model"
    assert safe("status 404", "") == "status 404"
