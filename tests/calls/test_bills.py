"""Our bill, made of the counts that came over the wire, against the simulator's own, made of the true ones.

For each class of usage: fresh prompt tokens, those read from the provider's cache, those written to it,
answers and hidden reasoning, whole and streamed, through litellm's reading of each provider's format.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.calls.budget import worst_case
from harness.calls.direct_lane import DirectProvider
from harness.calls.litellm_lane import LitellmProvider
from harness.catalogue.models import Model, Prices, price_usd
from harness.records import Call, Message, Settings
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
# By provider: litellm's prefix (none: spoken to directly), model, path of the address.
PROVIDERS = {
    "openai": ("openai", "gpt-4.1-mini", "/v1"),
    "openai responses": ("openai", "responses/gpt-4.1-mini", "/v1"),
    "anthropic": ("anthropic", "claude-haiku-4-5", ""),
    "google": ("gemini", "gemini-2.5-flash", "/v1beta"),
    "together": ("together_ai", "meta-llama/Llama-3.2-3B-Instruct", "/v1"),
    "ollama": ("ollama_chat", "llama3.2", ""),
    "direct": ("", "gpt-4.1-mini", "/v1"),
}
# 30 words, which the simulator counts as 39 tokens; answers of 4 words are 6.
QUESTION = " ".join(["parcel"] * 30)
PROMPT, ANSWER = 39, 6
CACHED, WRITTEN, HIDDEN = 13, 13, 10
PRICES = Prices(input=3.0, cached_input=0.3, output=15.0)
# Where writing has a price and is not told, it is billed as if all were written: never too little.
WRITES = replace(PRICES, cache_write=3.75)
# By class: what the simulator does, and its bill in millionths of a dollar, worked out by hand.
CLASSES = {
    "fresh": (FixedAnswers("one two three four", PRICES), PROMPT * 3 + ANSWER * 15),
    "cached": (
        FixedAnswers("one two three four", PRICES, cached_share=1 / 3),
        (PROMPT - CACHED) * 3 + CACHED * 0.3 + ANSWER * 15,
    ),
    "written": (
        FixedAnswers("one two three four", WRITES, cached_share=1 / 3, written_share=1 / 2),
        (PROMPT - CACHED - WRITTEN) * 3 + CACHED * 0.3 + WRITTEN * 3.75 + ANSWER * 15,
    ),
    "reasoning": (
        FixedAnswers("one two three four", PRICES, reasoning_tokens=HIDDEN),
        PROMPT * 3 + (ANSWER + HIDDEN) * 15,
    ),
}
# Formats that have no word for a class: what they cost is not told, so it cannot be billed.
UNTOLD = {("cached", "ollama"), ("written", "ollama"), ("written", "google")}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("usage_class", CLASSES)
def test_our_bill_is_the_provider_s(run, usage_class, provider, stream):
    """To the millionth of a cent, for every class that the format tells."""
    if (usage_class, provider) in UNTOLD:
        pytest.skip(f"{provider} does not tell this class")
    source, micro_usd = CLASSES[usage_class]
    reply, bill_usd = answered(run, source, provider, a_question(provider), stream=stream)
    assert bill_usd == pytest.approx(micro_usd / 1e6, rel=1e-12)
    prices = WRITES if usage_class == "written" else PRICES
    assert price_usd(reply.usage, prices) == pytest.approx(bill_usd, rel=1e-12)


PART = {"type": "string", "description": "What the customer says of this part of the order."}
LINE = {"type": "object", "properties": {f"part_{n}": PART for n in range(9)}, "required": ["part_0"]}
SCHEMA = {
    "type": "object",
    "properties": {name: {"$ref": "#/$defs/line"} for name in ("first", "second", "third", "fourth")},
    "required": ["first"],
    "$defs": {"line": LINE},
}
FORM = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_is_billed_and_held_for(run, provider):
    """As each format writes it: as a tool with Anthropic's words before it, or with its parts copied."""
    call = a_question(provider, response_format=FORM)
    worst = worst_case(call, Model(provider="p", name="m", model_class="SMALL", prices=PRICES))
    reply, bill_usd = answered(run, FixedAnswers("one two three four", PRICES), provider, call)
    billed = reply.usage.input_tokens
    assert (billed > PROMPT + 100) == (provider != "ollama")  # which keeps a form without telling the model
    assert billed <= worst.input_tokens
    assert bill_usd <= worst.usd


def a_question(provider, **extra):
    """The question, put to the model of this provider."""
    model = PROVIDERS[provider][1]
    settings = Settings(model=f"p/{model}", prompt="plain", max_output_tokens=64, extra=extra)
    return Call(settings=settings, sample_id="s1", messages=(Message("user", QUESTION),))


def answered(run, source, provider, call, *, stream=False):
    """The reply to this call over its provider's lane, and the simulator's own bill in dollars."""
    prefix, _, path = PROVIDERS[provider]
    with SimulatorServer(source) as server:
        address = server.url + path
        lane = (
            LitellmProvider(prefix, address, "my-key", stream=stream)
            if prefix
            else DirectProvider(address, "my-key", stream=stream)
        )

        async def act():
            try:
                return await lane.complete(call)
            finally:
                await lane.close()

        return run(act()), server.stats().bill_usd
