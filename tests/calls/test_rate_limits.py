"""Rate limits as providers word them, and what is no rate limit although its status is 429: kind and wait.

The bodies are those that the providers send, but for names of organizations.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.faults import kind_of, kind_of_error
from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import Provider, ProviderFault
from harness.testing.builders import a_call, a_settings

KEY = "my-own-secret-key"
OPENAI = "Rate limit reached for gpt-4o-mini in organization org-A1 on requests per"
OPENAI_MINUTE = (
    f"{OPENAI} min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s. Visit "
    "https://platform.openai.com/account/rate-limits to learn more. You can increase your rate limit "
    "by adding a payment method to your account at https://platform.openai.com/account/billing."
)
OPENAI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information "
    "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
GROQ = (
    "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_01` service tier "
    "`on_demand` on tokens per {}: Limit {}, Used 99000, Requested 1200. Please try again in {}. Need "
    "more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
)
ANTHROPIC = (
    "This request would exceed your organization's rate limit of 50,000 input tokens per minute. For "
    "details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers "
    "for current usage. Please reduce the prompt length or the maximum tokens requested, or try again "
    "later. You may also contact sales at https://www.anthropic.com/contact-sales to discuss your "
    "options for a rate limit increase."
)
GOOGLE = (
    "You exceeded your current quota, please check your plan and billing details. For more information "
    "on this error, head over to: https://ai.google.dev/gemini-api/docs/rate-limits.\n* Quota exceeded "
    "for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: "
    "10\nPlease retry in 26.5s."
)
TOGETHER = (
    "You have reached the rate limit specific to this model deepseek-ai/DeepSeek-R1. The maximum rate "
    "limit for this model is 0.3 queries and 180000 tokens per minute. This limit differs from the "
    "general rate limits published at Together AI rate limits documentation "
    "(https://docs.together.ai/docs/rate-limits). For inquiries about increasing your model-specific "
    "rate limit, please contact our sales team (https://www.together.ai/forms/contact-sales)"
)


def openai(message: str, kind: str | None, code: str | None) -> dict[str, Any]:
    """An error as OpenAI and those that follow it word it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def google(quota: str) -> dict[str, Any]:
    """Google's error: what is exceeded, and when to come back."""
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"},
    ]
    return {"error": {"code": 429, "message": GOOGLE, "status": "RESOURCE_EXHAUSTED", "details": details}}


def anthropic(message: str, kind: str) -> dict[str, Any]:
    """An error of Anthropic's."""
    return {"type": "error", "error": {"type": kind, "message": message}}


DAY = openai(GROQ.format("day (TPD)", 100000, "14m3.6s"), "tokens", "rate_limit_exceeded")
MINUTE = openai(GROQ.format("minute (TPM)", 12000, "3.5s"), "tokens", "rate_limit_exceeded")
LARGE = (
    "Request too large for gpt-4o in organization org-A1 on tokens per min (TPM): Limit 30000, "
    "Requested 41000. The input or output tokens must be reduced in order to run successfully."
)
NO_CREDIT = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
    "upgrade or purchase credits."
)
USED_UP = (
    "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
)
# By provider and case: model under litellm's prefix, status and body, the kind, and the wait that it states.
CASES: dict[str, tuple[str, int, dict[str, Any], str, float | None]] = {
    "openai, minute": (
        *("openai/gpt-4o-mini", 429, openai(OPENAI_MINUTE, "requests", "rate_limit_exceeded")),
        *("rate_limit", 20.0),
    ),
    "openai, quota": (
        *("openai/gpt-4o-mini", 429, openai(OPENAI_QUOTA, "insufficient_quota", "insufficient_quota")),
        *("quota", None),
    ),
    "openai, large": (
        *("openai/gpt-4o", 429, openai(LARGE, "tokens", "rate_limit_exceeded")),
        *("too_long", None),
    ),
    "openai, no account": (
        "openai/gpt-4o-mini",
        429,
        openai(
            "Your account is not active, please check your billing details on our website.",
            "billing_not_active",
            "billing_not_active",
        ),
        "quota",
        None,
    ),
    "groq, minute": ("groq/llama-3.3-70b-versatile", 429, MINUTE, "rate_limit", 3.5),
    "groq, day": ("groq/llama-3.3-70b-versatile", 429, DAY, "rate_limit", 843.6),
    "together, model": (
        "together_ai/deepseek-ai/DeepSeek-R1",
        429,
        openai(TOGETHER, "model_rate_limit", None),
        "rate_limit",
        None,
    ),
    "together, credit": (
        "together_ai/deepseek-ai/DeepSeek-R1",
        402,
        openai(
            "Credit limit exceeded, please navigate to https://api.together.ai/settings/billing",
            "credit_limit",
            None,
        ),
        "quota",
        None,
    ),
    "anthropic, minute": (
        *("anthropic/claude-haiku-4-5", 429, anthropic(ANTHROPIC, "rate_limit_error")),
        *("rate_limit", None),
    ),
    "anthropic, credit": (
        *("anthropic/claude-haiku-4-5", 400, anthropic(NO_CREDIT, "invalid_request_error")),
        *("quota", None),
    ),
    "anthropic, month": (
        *("anthropic/claude-haiku-4-5", 400, anthropic(USED_UP, "invalid_request_error")),
        *("quota", None),
    ),
    "google, minute": (
        *("gemini/gemini-2.5-flash", 429, google("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")),
        *("rate_limit", 26.5),
    ),
    "google, day": (
        *("gemini/gemini-2.5-flash", 429, google("GenerateRequestsPerDayPerProjectPerModel-FreeTier")),
        *("quota", 26.5),
    ),
}


def fault_of(lane: Provider, model: str) -> ProviderFault:
    """The fault that a request brings."""

    async def act() -> None:
        try:
            await lane.complete(a_call(settings=a_settings(model=model)))
        finally:
            await lane.close()

    with pytest.raises(ProviderFault) as caught:
        asyncio.run(act())
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_the_direct_lane_tells_limits_from_quotas(wire, case):
    """Also where a proxy sends the errors of others: what passes is waited for, what lasts ends the model."""
    model, status, body, kind, wait_s = CASES[case]
    wire.says(body, status)
    fault = fault_of(DirectProvider(wire.url, KEY), model)
    assert (fault.kind, fault.retry_after_s) == (kind, wait_s)


@pytest.mark.slow  # Loading litellm takes some four seconds.
@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")
@pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_litellm_lane_tells_limits_from_quotas(wire, case):
    """The same bodies give the same through litellm's exceptions."""
    model, status, body, kind, wait_s = CASES[case]
    prefix = model.partition("/")[0]
    address = wire.url if prefix in ("openai", "groq", "together_ai") else wire.url.removesuffix("/v1")
    wire.says(body, status)
    fault = fault_of(LitellmProvider(prefix, address, KEY), model)
    assert (fault.kind, fault.retry_after_s) == (kind, wait_s)


@pytest.mark.parametrize(
    "case", ["openai, minute", "openai, quota", "openai, large", "groq, day", "together, model"]
)
def test_a_limit_within_an_answer_is_told_from_a_quota(case):
    """A stream that was begun with status 200 ends with the same objects."""
    _, _, body, kind, _ = CASES[case]
    assert kind_of_error(body["error"]) == kind


@pytest.mark.parametrize("status", [400, 429])
def test_words_in_an_address_say_nothing(status):
    """Links lead to pages about bills and safety, whatever the failure is."""
    text = '"see https://x.example/settings/billing/insufficient_quota and https:\\/\\/x.example\\/safety"'
    assert kind_of(status, text) == {400: "bad_request", 429: "rate_limit"}[status]
