"""The two lanes held together: the direct lane asks and reads as litellm does, or the difference is named.

A server of our own on the loopback address keeps what arrives. Every difference that may be stands in one of
the tables below with its reason, and a difference that no longer shows fails the test too. How the lanes fail
is compared in test_fault_identity.py.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from harness.calls.direct_lane import DirectProvider
from harness.calls.litellm_lane import LitellmProvider, load_litellm
from harness.calls.reading import answer_of
from harness.catalogue.models import Accepts, Model, load_catalogue
from harness.plan.conditions import restriction
from harness.records import Call, Message, Reply, Settings, Usage
from harness.testing.builders import a_call

# Loading litellm takes some four seconds, and a call through it some ten milliseconds.
pytestmark = [
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
    # Counts that are no whole numbers make OpenAI's library warn.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]
KEY = "my-own-secret-key"
DRAWS = 300  # for each provider, streamed and not
LANE_EVERY = 5  # every so many of them goes through our litellm lane too

# By provider: litellm's prefix, and the models asked for.
MODELS = {
    "openai": ("openai", ["gpt-4o-mini", "gpt-4.1", "gpt-5-mini", "gpt-5.4-mini", "o4-mini"]),
    "together": ("together_ai", ["meta-llama/Llama-3.2-3B-Instruct", "openai/gpt-oss-120b"]),
    "local": ("hosted_vllm", ["smollm2-135m-instruct", "hermes-3-llama-3.2-3b"]),
    "own": ("openai", ["a-model-of-ones-own"]),
}
# Headers that may differ, and why.
HEADERS = {
    "user-agent": "names the client",
    "accept": "litellm's own handlers take anything; OpenAI's library asks for JSON, and so do we",
    "accept-encoding": "what the HTTP library at hand can unpack",
    "connection": "HTTP/1.1 keeps connections alive without saying so",
    "content-length": "the same JSON, written with or without blanks and \\u escapes",
    "host": "the address of the test's server",
}
# What reasoning models write before an answer, and reasons that are no word of OpenAI's.
THOUGHTS = [
    ["<think>", "Is it > 1?", "</think>"],
    ["\n<", "think", ">\n", "größer", "\n</", "think", ">\n\n"],
    ["<think>", "a", "</think>", "<think>", "b", "</think>"],
    ["Orders?\n", "</think>"],
    ["<think>", "Or"],
]
REASONS = ["COMPLETE", "SAFETY", "abort"]
TELEMETRY = "x-stainless-"  # what OpenAI's library tells about the machine it runs on
# Differences in the body: what litellm makes of it, by name.
BODIES = {
    "system": "litellm makes the system's message the user's for o4-mini, whose entry there does not say "
    "that the model takes one; OpenAI gives it the rank of a developer's, so it stays what it is",
    "user": "litellm drops it without a word where the model is not on its list of OpenAI's; here, nothing "
    "that a spec asks for is dropped",
}
# Differences in what is read, by name.
READINGS = {
    "usage": "where no counts are stated, litellm gives zeros, or in a stream its own; here they are unknown",
    "reasoning": "in a stream, litellm gives a count of zero where the provider states none",
    "hidden": "litellm leaves thoughts that a provider counts apart out of the tokens of the answer",
    "thoughts": "litellm takes out what an answer begins with in <think>, but not in a stream, not twice, "
    "and not behind a line break; here, thoughts are never the answer",
    "reason": "litellm makes 'stop' of words that it does not know; here they stay",
}
# Which of them show, by provider.
NAMED = {"openai": {"system"}, "together": {"user"}, "local": {"user"}, "own": {"user"}}


# -- answers


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def piece(delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> bytes:
    """One piece of a streamed answer; without a delta, it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    body = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "served-1"}
    return event({**body, "choices": choices, **more})


def answer(text: str | None, reason: str | None, usage: Any) -> dict[str, Any]:
    """An answer in one piece, in OpenAI's chat format."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "served-1", "choices": [choice]}
    return body if usage is None else {**body, "usage": usage}


# -- the draw


def model_of(provider: str, name: str) -> Model:
    """What the catalogue knows, so that only settings are drawn that a spec could ask for."""
    known = {model.name: model for model in load_catalogue().models if model.provider in (provider, "local")}
    like = {"o4-mini": "gpt-5-mini", "a-model-of-ones-own": "smollm2-135m-instruct"}.get(name, name)
    return replace(known[like], provider=provider, name=name)


def drawn_value(draw: random.Random, name: str, accepts: Accepts) -> Any:
    """A value that the model accepts."""
    if accepts.choices is not None:
        return draw.choice(accepts.choices)
    if name == "stop":
        return tuple(draw.sample(["END", "\n", "。", '"', "\\n\\n"], draw.randint(1, 4)))
    low, high = accepts.low, accepts.high
    assert low is not None
    assert high is not None
    if name in ("max_output_tokens", "seed"):
        return draw.choice([int(low), int(high), draw.randint(int(low), int(high))])
    return draw.choice([low, high, round(draw.uniform(low, high), 2)])


def drawn_call(draw: random.Random, model: Model) -> Call:
    """A call with some of the settings that the model accepts, and a conversation of any letters."""
    settings = {
        name: drawn_value(draw, name, accepts)
        for name, accepts in model.settings.items()
        if draw.random() < 0.5
    }
    values = {name: (value,) for name, value in settings.items()}
    settings = {name: value for name, value in settings.items() if restriction(model, name, values) is None}
    extra: list[dict[str, Any]] = [{}, {"logit_bias": {"50256": -100}}, {"user": "nobody"}]
    if model.provider in ("together", "local"):
        extra += [{"top_k": 5}, {"repetition_penalty": 1.1, "min_p": 0.05}]
    if "frequency_penalty" not in model.settings:  # a reasoning model takes few settings
        extra = [{}, {"user": "nobody"}]
    words = ["größer", "日本", "😀", '"', "\\", "\n", "\t", "\x00", "\u2028", " ", "plain", "{}"]
    roles = draw.choice([["user"], ["system", "user"], ["system", "user", "assistant", "user"]])
    messages = tuple(Message(role, "".join(draw.choices(words, k=draw.randint(1, 9)))) for role in roles)
    made = Settings(model=model.full_name, prompt="plain", **settings, extra=draw.choice(extra))
    return a_call(settings=made, messages=messages)


def drawn_counts(draw: random.Random) -> dict[str, Any] | None:
    """Counts of tokens as a provider states them: with details, without, or none."""
    if draw.random() < 0.1:
        return None
    usage: dict[str, Any] = {
        "prompt_tokens": draw.randint(1, 9999),
        "completion_tokens": draw.randint(0, 999),
    }
    usage["total_tokens"] = sum(usage.values())
    if draw.random() < 0.5:
        usage["prompt_tokens_details"] = {"cached_tokens": draw.randint(0, usage["prompt_tokens"])}
        usage["completion_tokens_details"] = {"reasoning_tokens": draw.randint(0, 9)}
    if draw.random() < 0.1:  # thoughts that are on the bill, and not among the tokens of the answer
        hidden = draw.randint(1, 999)
        usage["total_tokens"] += hidden
        if draw.random() < 0.5:
            usage["completion_tokens_details"] = {"reasoning_tokens": hidden}
    if draw.random() < 0.05:
        usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    if draw.random() < 0.1:
        form = draw.choice([float, str])
        usage |= {name: form(stated) for name, stated in usage.items() if isinstance(stated, int)}
    return usage


def drawn_answer(draw: random.Random, wire, *, stream: bool) -> None:
    """Let the server answer with text, counts and reason of any kind; streamed, cut anywhere."""
    usage = drawn_counts(draw)
    words = draw.choices(["größer ", "日本", "😀", "bil", "ling", "\n", '"', " "], k=draw.randint(0, 6))
    if not words and usage is None:  # of such an answer, nothing comes through litellm
        words = ["ling"]
    words = [*draw.choice([[], [], [], *THOUGHTS]), *words]
    reason = draw.choice([*("stop", "length", "content_filter", "eos", "eos_token", "max_tokens"), *REASONS])
    if not stream:
        wire.says(answer("".join(words), reason, usage))
        return
    said = [piece({"role": "assistant", "content": ""}), *(piece({"content": word}) for word in words)]
    said.append(piece({}, reason))
    if usage is not None:
        said.append(piece(None, usage=usage))
    raw = b": keep-alive\n\n" + b"".join(said) + event(b"[DONE]")
    if draw.random() < 0.3:
        raw = raw.replace(b"\n", b"\r\n")
    cuts = sorted(draw.choices(range(len(raw)), k=draw.randint(0, 5)))
    parts = [raw[low:high] for low, high in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in filter(None, parts):
            await response.write(part)
        return response

    wire.answer = streamed


# -- what litellm does with it


async def plainly(prefix: str, call: Call, url: str, *, stream: bool) -> Reply:
    """The answer through `litellm.acompletion` as its documentation shows it."""
    settings = call.settings.sent()
    if "max_output_tokens" in settings:
        settings["max_tokens"] = settings.pop("max_output_tokens")
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    said = await load_litellm().acompletion(
        model=f"{prefix}/{call.settings.model_name}",
        messages=[{"role": message.role, "content": message.content} for message in call.messages],
        api_base=url,
        api_key=KEY,
        max_retries=0,
        **settings,
        **streaming,
    )
    if not stream:
        choice = said.choices[0]
        return Reply(
            text=choice.message.content or "", finish_reason=choice.finish_reason, usage=counts(said.usage)
        )
    text, reason, usage = "", None, None
    async for chunk in said:
        usage = getattr(chunk, "usage", None) or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return Reply(text=text, finish_reason=reason, usage=counts(usage))


def counts(usage: Any) -> Usage:
    """What litellm says was used."""
    prompt, output = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_input_tokens=prompt and prompt.cached_tokens,
        reasoning_tokens=output and output.reasoning_tokens,
    )


def as_litellm_asks(body: dict[str, Any], provider: str, named: set[str]) -> dict[str, Any]:
    """The body with the named differences; adds the names of those that it has."""
    changed = dict(body)
    if provider != "openai" and changed.pop("user", None):
        named.add("user")
    if body["model"] == "o4-mini" and body["messages"][0]["role"] == "system":
        named.add("system")
        changed["messages"] = [{**body["messages"][0], "role": "user"}, *body["messages"][1:]]
    return changed


def as_litellm_reads(reply: Reply, theirs: Reply, named: set[str]) -> Reply:
    """Our reply with the named differences; adds the names of those that it has."""
    usage = reply.usage
    if usage == Usage():
        named.add("usage")
        usage = theirs.usage
    elif usage.reasoning_tokens is None and theirs.usage.reasoning_tokens == 0:
        named.add("reasoning")
        usage = replace(usage, reasoning_tokens=0)
    if (usage.output_tokens or 0) > (theirs.usage.output_tokens or 0):
        named.add("hidden")
        usage = replace(usage, output_tokens=theirs.usage.output_tokens)
    text, reason = reply.text, reply.finish_reason
    if theirs.text and answer_of(theirs.text) != theirs.text:
        named.add("thoughts")
        assert answer_of(theirs.text) == text
        text = theirs.text
    if reason == "abort":
        named.add("reason")
        reason = "stop"
    return Reply(text=text, finish_reason=reason, usage=usage)


def stripped(reply: Reply, *, stream: bool, own: bool) -> Reply:
    """The reply without what only one of the lanes, or neither, can repeat. own: handlers of litellm's."""
    if not stream:
        return reply
    assert (reply.first_token_s is None) == (not reply.text)
    if own and reply.finish_reason == "abort":
        reply = replace(reply, finish_reason="stop")  # these keep no reason but those they know
    # litellm's chunks carry the model that was asked for.
    return replace(reply, first_token_s=None, served_by=None)


def telling(headers: dict[str, str]) -> dict[str, str]:
    """The headers that must be the same."""
    return {
        name: value
        for name, value in ((name.lower(), value) for name, value in headers.items())
        if name not in HEADERS and not name.startswith(TELEMETRY)
    }


def took(wire):
    """The one request since the last time."""
    (request,) = wire.requests
    wire.requests.clear()
    return request


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", MODELS)
def test_the_same_request_goes_out_and_the_same_answer_is_read(wire, run, provider, stream):
    """For any settings, messages and answers: body, headers, text, reason and counts are those of litellm."""
    prefix, names = MODELS[provider]
    draw, named = random.Random(f"{provider} {stream}"), set()
    models = [model_of(provider, name) for name in names]

    async def act(direct: DirectProvider, through: LitellmProvider) -> None:
        for number in range(DRAWS):
            call = drawn_call(draw, models[number % len(models)])
            drawn_answer(draw, wire, stream=stream)
            ours, first = await direct.complete(call), took(wire)
            theirs, second = await plainly(prefix, call, wire.url, stream=stream), took(wire)
            assert first.path == second.path
            assert as_litellm_asks(first.body, provider, named) == second.body
            assert telling(first.headers) == telling(second.headers)
            assert as_litellm_reads(ours, theirs, named) == theirs
            if number % LANE_EVERY == 0:
                lane, third = await through.complete(call), took(wire)
                # Custom parameters go past its mapping, which leaves some out without a word.
                assert third.body == second.body | {
                    name: first.body[name] for name in call.settings.extra if name in first.body
                }
                own = prefix != "openai"
                assert stripped(lane, stream=stream, own=own) == stripped(ours, stream=stream, own=own)

    direct = DirectProvider(wire.url, KEY, stream=stream)
    try:
        run(act(direct, LitellmProvider(prefix, wire.url, KEY, stream=stream)))
    finally:
        run(direct.close())
    read = {"usage", "hidden", "thoughts", "reason", *(("reasoning",) if stream else ())}
    assert named == NAMED[provider] | read
