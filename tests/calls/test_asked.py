"""How long a provider asks to wait, in each of the ways that providers say so."""

from __future__ import annotations

import pytest

from harness.calls.asked import retry_after_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_is_read_in_seconds(headers, seconds):
    """What cannot be read counts as not said."""
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}', 26.0),
        ('b\'{"retryDelay":"0.5s"}\'', 0.5),
        ('"retryDelay": "soon"', None),
    ],
)
def test_google_asks_to_wait_in_the_error_itself(text, seconds):
    """It sends no header; one that is there all the same wins."""
    assert retry_after_s({}, text) == seconds
    assert retry_after_s({"retry-after": "3"}, text) == 3.0


@pytest.mark.parametrize(
    ("then", "now", "seconds"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 08:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None, None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:30 GMT", None),
        ("soon", "Wed, 21 Oct 2015 07:27:30 GMT", None),
    ],
)
def test_a_date_counts_from_the_date_of_the_answer(then, now, seconds):
    """The provider's clock is compared with itself; without its date, a date says nothing."""
    headers = {"retry-after": then} | ({} if now is None else {"date": now})
    assert retry_after_s(headers) == seconds


# -- how long to wait, where no Retry-After says so

NOW = {"date": "Thu, 26 Nov 2026 09:59:30 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # OpenAI and Groq: the bucket that is empty counts, not the other.
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m26.4s"}, 86.4),
        (
            {
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2h59m59.56s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "7.66s",
            },
            7.66,
        ),
        ({"x-ratelimit-remaining-requests": "12", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-reset-requests": "17ms"}, 0.017),
        # Cerebras, Mistral.
        ({"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "11.38"}, 11.38),
        ({"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "32"}, 32.0),
        # Anthropic.
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-26T10:00:00Z",
                **NOW,
            },
            30.0,
        ),
        ({"anthropic-ratelimit-requests-reset": "2026-11-26T10:00:00Z"}, None),
        ({"anthropic-ratelimit-requests-reset": "2026-11-26T09:00:00Z", **NOW}, None),
        # OpenRouter gives a moment in milliseconds, others in seconds.
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795687200000", **NOW}, 30.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795687200", **NOW}, 30.0),
        # IETF, old and new.
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30.0),
        ({"ratelimit": "limit=100, remaining=0, reset=30"}, 30.0),
        ({"ratelimit": "limit=100, remaining=50, reset=30"}, None),
        ({"ratelimit": '"minute";r=0;t=30, "day";r=900;t=7000'}, 30.0),
        ({"RateLimit": '"minute";r=0;t=30, "day";r=0;t=7000'}, 7000.0),
        # What nobody can read is not said.
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-reset-requests": "6m0x"}, None),
        ({"x-ratelimit-remaining-requests": "none", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"ratelimit": "limit"}, None),
    ],
)
def test_the_reset_of_an_empty_limit_is_waited_for(headers, seconds):
    """In each provider's own units; the provider's clock is compared with itself."""
    assert retry_after_s(headers, limited=True) == (None if seconds is None else pytest.approx(seconds))


def test_resets_come_with_every_answer_and_count_for_limits_alone():
    """A broken server may say so too, and has not asked to wait."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    assert retry_after_s(headers) is None


def test_what_is_asked_wins_over_when_a_limit_is_full_again():
    """One more request may be due long before: Retry-After, then the text, then the reset."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8m38s"}
    assert retry_after_s(headers, "Please try again in 20s.", limited=True) == 20.0
    assert retry_after_s({**headers, "retry-after": "7"}, "Please try again in 20s.", limited=True) == 7.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 20.5s.", 20.5),
        ("Please try again in 6m0s. Visit", 360.0),
        ("Please try again in 1h2m3s", 3723.0),
        ("Please try again in 140ms.", 0.14),
        ("Please retry after 26 seconds. Please go here", 26.0),
        ("Please retry in 26.5s.", 26.5),
        ("Retry in 2 minutes", 120.0),
        ("try again in 5 more requests", None),
        ("try again in a moment", None),
        ("Please try again later.", None),
    ],
)
def test_a_wait_that_only_the_text_tells_is_read(text, seconds):
    """As OpenAI, Groq, Azure and Google word it; proxies leave out headers."""
    assert retry_after_s({}, text) == (None if seconds is None else pytest.approx(seconds))
