"""What every kind of answer becomes through litellm, provider by provider, as each of them words it.

The simulator speaks the provider's own format over HTTP, litellm reads it, and the lane says what it is: an
answer with its counts, or a fault of a kind that the engine knows how to treat. What litellm keeps to itself
stands in a table with its reason, and a difference that no longer shows fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import Provider, ProviderFault
from harness.records import Call, Message, Settings, Usage
from harness.testing.faults import Fault, FaultKind, Moment
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
KEY = "my-own-secret-key"
WAIT_S = 2.5
# By provider: litellm's prefix, a model that litellm knows, and the path of its address.
PROVIDERS = {
    "openai": ("openai", "gpt-4.1-mini", "/v1"),
    "openai responses": ("openai", "responses/gpt-4.1-mini", "/v1"),
    "anthropic": ("anthropic", "claude-haiku-4-5", ""),
    "google": ("gemini", "gemini-2.5-flash", "/v1beta"),
    "together": ("together_ai", "meta-llama/Llama-3.2-3B-Instruct", "/v1"),
    "ollama": ("ollama_chat", "llama3.2", ""),
    "vllm": ("hosted_vllm", "hermes-3-llama-3.2-3b", "/v1"),
    "lm studio": ("lm_studio", "hermes-3-llama-3.2-3b", "/v1"),
    "azure": ("azure", "gpt-4o-mini", ""),
    "bedrock nova": ("bedrock", "amazon.nova-micro-v1:0", ""),
    "bedrock claude": ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0", ""),
    "bedrock llama": ("bedrock", "meta.llama3-1-8b-instruct-v1:0", ""),
    "vertex claude": ("vertex_ai", "claude-sonnet-4-6", ""),
    "vertex gemini": ("vertex_ai", "gemini-3.1-flash-lite", ""),
    # Spoken to directly, without litellm.
    "direct": ("", "gpt-4.1-mini", "/v1"),
}
BEDROCK = ("bedrock nova", "bedrock claude", "bedrock llama")
# A fault of each kind: its kind here, and whether the answer may have been billed.
FAULTS: dict[FaultKind, tuple[str, bool]] = {
    "401": ("credentials", False),
    "429": ("rate_limit", False),
    "quota": ("quota", False),
    "500": ("overloaded", False),
    "503": ("overloaded", False),
    "529": ("overloaded", False),
    "toolong": ("too_long", False),
    "blocked": ("filtered", False),
    "half": ("connection", True),
    "badjson": ("malformed", True),
}
# An answer of each kind: its text and finish reason here.
ANSWERS: dict[FaultKind, tuple[str, str]] = {
    "empty": ("", "stop"),
    "filtered": ("", "content_filter"),
    "refusal": ("", "content_filter"),
}
DECLINED = "I'm sorry, but I can't help with that."
# By kind, provider, and whole or streamed: what comes out instead, and why.
DIFFERENCES: dict[tuple[str, str, str], Any] = {
    # Google answers a prompt that it blocks: nothing is said, and the counts are there.
    ("blocked", "google", "whole"): ("", "content_filter"),
    ("blocked", "google", "streamed"): ("", "content_filter"),
    ("blocked", "vertex gemini", "whole"): ("", "content_filter"),
    ("blocked", "vertex gemini", "streamed"): ("", "content_filter"),
    # On Bedrock a guardrail answers, in the words of its owner.
    **{
        ("blocked", provider, way): ("Sorry, the model cannot answer this question.", "content_filter")
        for provider in BEDROCK
        for way in ("whole", "streamed")
    },
    # Formats without a word for a refusal: the model's own are the answer.
    **{
        ("refusal", provider, way): (DECLINED, "stop")
        for provider in ("ollama", *BEDROCK)
        for way in ("whole", "streamed")
    },
    ("filtered", "ollama", "whole"): ("", "stop"),
    ("filtered", "ollama", "streamed"): ("", "stop"),
    # litellm loses a refusal in a stream, and in a response.
    ("refusal", "openai", "streamed"): ("", "stop"),
    ("refusal", "together", "streamed"): ("", "stop"),
    ("refusal", "azure", "streamed"): ("", "stop"),
    ("refusal", "vllm", "streamed"): ("", "stop"),
    ("refusal", "lm studio", "streamed"): ("", "stop"),
    ("refusal", "openai responses", "whole"): ("", "stop"),
    ("refusal", "openai responses", "streamed"): ("", "stop"),
    # It says there that the stream was closed, and no more.
    ("badjson", "openai responses", "streamed"): ("overloaded", True),
}
SOURCE = FixedAnswers("one two three four", cached_share=0.25, reasoning_tokens=3)


class Server:
    """The simulator, meeting every request with one kind of fault. kind: `None`: none."""

    def __init__(self, source: FixedAnswers = SOURCE) -> None:
        self.kind: FaultKind | None = None
        self.http = SimulatorServer(source, faults=self._fault)

    def _fault(self, moment: Moment) -> Fault | None:
        return None if self.kind is None else Fault(self.kind, retry_after_s=WAIT_S)

    def lane(self, provider: str, *, stream: bool) -> Provider:
        """The way to this provider."""
        prefix, _, path = PROVIDERS[provider]
        if not prefix:
            return DirectProvider(self.http.url + path, KEY, stream=stream)
        return LitellmProvider(prefix, self.http.url + path, KEY, stream=stream)


@pytest.fixture(scope="module")
def server(google_account) -> Iterator[Server]:
    """One simulator for all."""
    made = Server()
    with made.http:
        yield made


@pytest.fixture(scope="module")
def thinker(google_account) -> Iterator[Server]:
    """One whose model writes its thoughts into every answer."""
    made = Server(FixedAnswers("<think> one </think> two three"))
    with made.http:
        yield made


def call_to(provider: str) -> Call:
    """A question to this provider's model."""
    messages = (Message("system", "Answer briefly."), Message("user", "Where is my parcel, please?"))
    settings = Settings(
        model=f"p/{PROVIDERS[provider][1]}", prompt="plain", temperature=0.5, max_output_tokens=64
    )
    return Call(settings=settings, sample_id="s1", messages=messages)


@pytest.fixture
def ask(server, run):
    """Asks a provider once, with this fault: gives the reply, or the fault as the lane tells it."""

    def act(provider: str, kind: FaultKind | None, way: str):
        lane = server.lane(provider, stream=way == "streamed")

        async def once():
            try:
                return await lane.complete(call_to(provider))
            except ProviderFault as fault:
                return fault
            finally:
                await lane.close()

        server.kind = kind
        before = server.http.stats().requests
        found = run(once())
        assert server.http.stats().requests - before == 1, "one request a call"
        return found

    return act


WAYS = pytest.mark.parametrize("way", ["whole", "streamed"])
ALL = pytest.mark.parametrize("provider", PROVIDERS)


@WAYS
@ALL
@pytest.mark.parametrize("kind", [*FAULTS, *ANSWERS])
def test_an_answer_of_any_kind_becomes_what_it_is(ask, kind, provider, way):
    """Text and reason of what was answered; kind, bill and wait of what was not."""
    found = ask(provider, kind, way)
    expected = DIFFERENCES.get((kind, provider, way), FAULTS.get(kind) or ANSWERS.get(kind))
    if isinstance(found, ProviderFault):
        assert (found.kind, found.billed) == expected
        # A status comes with the time to wait: in a header, or where Google says it.
        assert found.retry_after_s == (None if found.billed else WAIT_S)
    else:
        assert (found.text, found.finish_reason) == expected


@WAYS
@ALL
def test_the_key_does_not_come_back(ask, provider, way):
    """The provider repeats it in its error, in full."""
    fault = ask(provider, "401", way)
    assert KEY not in f"{fault} {fault.message}"
    assert fault.message


@WAYS
@ALL
def test_a_plain_answer_is_read_whole(ask, server, provider, way):
    """Text, reason, as many counts as the format has: 10 tokens in, 2 of them cached, 9 out, 3 hidden."""
    reply = ask(provider, None, way)
    assert (reply.text, reply.finish_reason) == ("one two three four", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 9)
    cached, reasoning = reply.usage.cached_input_tokens, reply.usage.reasoning_tokens
    # Ollama tells neither; others do not tell thoughts from words, and litellm makes a zero of that.
    assert cached == (None if provider == "ollama" else 2)
    untold = dict.fromkeys(("anthropic", "vertex claude", *BEDROCK), 0)
    assert reasoning == (None if provider == "ollama" else untold.get(provider, 3))
    assert (reply.first_token_s is not None) == (way == "streamed")


@WAYS
@ALL
def test_thoughts_are_none_of_the_answer(thinker, run, provider, way):
    """Open models write them into their text, behind whichever format; they are paid, and never scored."""
    lane = thinker.lane(provider, stream=way == "streamed")

    async def once():
        try:
            return await lane.complete(call_to(provider))
        finally:
            await lane.close()

    reply = run(once())
    # litellm takes the tags alone out of Ollama's pieces; Ollama itself tells thoughts from answers.
    expected = " one  two three" if (provider, way) == ("ollama", "streamed") else " two three"
    assert (reply.text, reply.finish_reason) == (expected, "stop")
    assert (reply.first_token_s is not None) == (way == "streamed")


# Where the provider states no counts: what comes out, if not "unknown", and why.
UNSTATED = {
    # litellm cannot read an answer of these without counts.
    ("anthropic", "whole"): "malformed",
    ("google", "whole"): "malformed",
    ("vertex claude", "whole"): "malformed",
    ("vertex gemini", "whole"): "malformed",
    **{(provider, "whole"): "malformed" for provider in BEDROCK},
    # It counts by itself, and does not say so; what Ollama serves is free, and OpenAI always states them.
    ("ollama", "whole"): "counted",
    ("openai responses", "streamed"): "counted",
}


@WAYS
@ALL
def test_counts_that_are_not_stated_are_unknown(ask, provider, way):
    """They are never zero: an answer of unknown length is billed at its worst case."""
    found = ask(provider, "nousage", way)
    match UNSTATED.get((provider, way)):
        case "malformed":
            assert (found.kind, found.billed) == ("malformed", True)
        case "counted":
            assert found.usage.input_tokens is not None
        case _:
            assert found.usage == Usage()


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")  # such counts make it warn
@WAYS
@ALL
def test_counts_that_are_none_move_no_money(ask, provider, way):
    """A negative count would give money back, and with it the cap."""
    found = ask(provider, "wrongusage", way)
    if isinstance(found, ProviderFault):
        assert found.billed
    else:
        assert found.usage.input_tokens is None
