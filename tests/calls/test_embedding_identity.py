"""The lanes held together for vectors: what goes out and is read is litellm's, or the difference is named.

A server of our own on the loopback address keeps what arrives; the simulator answers the other formats.
"""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.litellm_lane import LitellmProvider, load_litellm
from harness.calls.provider import Provider, ProviderFault
from harness.records import Call, Settings
from harness.testing.http_server import SimulatorServer
from harness.testing.tokens import count_tokens
from harness.testing.vectors import vectors_of
from harness.vectors import packed

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
KEY = "my-own-secret-key"
TEXTS = ("Where is my parcel?", "Ich möchte mein Konto schließen.", "charged twice")
DRAWS = 60  # for each provider
# By provider of the direct lane: litellm's prefix and a model.
DIRECT = {
    "openai": ("openai", "text-embedding-3-small"),
    "together": ("together_ai", "BAAI/bge-base-en-v1.5"),
    "vllm": ("hosted_vllm", "bge-small"),
}
# Of the litellm lane: prefix, model, where the simulator is asked, and how it is told a length.
THROUGH = {
    "google": ("gemini", "gemini-embedding-001", "/v1beta"),
    "ollama": ("ollama_chat", "mxbai-embed-large", ""),
    "azure": ("azure", "text-embedding-3-small", ""),
    "openai": ("openai", "text-embedding-3-small", "/v1"),
}
FORM = "encoding_format"  # the one difference: litellm asks for what the server likes, we for base64
HEADERS = ("authorization", "content-type")


def a_request(model: str, texts: tuple[str, ...] = TEXTS, **extra: Any) -> Call:
    """A request for the vectors of these texts."""
    return Call(
        settings=Settings(model=model, prompt="", extra=extra), sample_id="s1", texts=texts, purpose="embed"
    )


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    """One simulator for all."""
    with SimulatorServer() as made:
        yield made


def drawn(draw: random.Random, model: str) -> tuple[Call, list[dict[str, Any]]]:
    """A request of any letters, and the answer to it: in base64 or in numbers, and the same in numbers."""
    words = ["größer", "日本", "\U0001f600", '"', "\\", "\n", "\t", "\u2028", " ", "plain", "{}"]
    texts = tuple("x" + "".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(draw.randint(1, 9)))
    extra = draw.choice([{}, {"dimensions": 3}, {"dimensions": 3, "user": "nobody"}])
    # Numbers that four bytes hold exactly, so that both forms mean the same.
    rows = [[draw.randint(-64, 64) / 64 for _ in range(3)] for _ in texts]
    tokens = draw.randint(1, 999)
    answers = [
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": n, "embedding": form(row)} for n, row in enumerate(rows)
            ],
            "model": "served-1",
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        for form in (draw.choice([list, in_base64]), list)
    ]
    return a_request(model, texts, **extra), answers


def in_base64(row: list[float]) -> str:
    """As OpenAI packs a vector."""
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()


@pytest.mark.parametrize("provider", DIRECT)
def test_the_same_request_goes_out_and_the_same_vectors_are_read(wire, run, provider):
    """For any texts, parameters and answers, but for the form that vectors are asked for in."""
    prefix, name = DIRECT[provider]
    draw = random.Random(provider)

    async def plainly(call: Call) -> Any:
        return await load_litellm().aembedding(
            model=f"{prefix}/{name}",
            input=list(call.texts),
            api_base=wire.url,
            api_key=KEY,
            max_retries=0,
            **call.settings.extra,
        )

    async def act(direct: Provider) -> None:
        for _ in range(DRAWS):
            call, (answer, in_numbers) = drawn(draw, f"{provider}/{name}")
            wire.says(answer)
            ours = await direct.complete(call)
            wire.says(in_numbers)
            theirs = await plainly(call)
            first, second = wire.requests
            wire.requests.clear()
            assert first.path == second.path
            assert first.body.pop(FORM) == "base64"
            assert first.body == {key: value for key, value in second.body.items() if key != FORM}
            for header in HEADERS:
                assert [r.headers.get(header.title()) for r in (first, second)] == [
                    first.headers[header.title()]
                ] * 2
            assert ours.vectors == tuple(packed(one["embedding"]) for one in theirs.data)
            assert ours.usage.input_tokens == theirs.usage.prompt_tokens
            assert ours.served_by == theirs.model

    direct = DirectProvider(wire.url, KEY)
    try:
        run(act(direct))
    finally:
        run(direct.close())


@pytest.mark.parametrize("provider", THROUGH)
def test_our_litellm_lane_gives_the_vectors_of_every_format(run, server, provider):
    """In the order of the texts, of the length asked for, in one request, with the tokens that it cost."""
    prefix, name, path = THROUGH[provider]
    server.reset()
    lane = LitellmProvider(prefix, server.url + path, KEY)
    reply = run(lane.complete(a_request(f"{provider}/{name}", dimensions=12)))
    assert reply.vectors is not None
    for vector, expected in zip(reply.vectors, vectors_of(TEXTS, 12), strict=True):
        assert struct.unpack("<12f", vector) == pytest.approx(struct.unpack("<12f", expected), abs=1e-6)
    assert (reply.text, reply.usage.output_tokens) == (None, 0)
    assert server.stats().charged == 1
    if provider == "google":
        # It states none: five, nine and two by the tokenizer that litellm has at hand.
        counts = [load_litellm().token_counter(model="", text=text) for text in TEXTS]
        assert reply.usage.input_tokens == sum(counts)
    else:
        assert reply.usage.input_tokens == sum(count_tokens(text) for text in TEXTS)


def test_a_kind_of_task_reaches_google(run):
    """As `taskType` of each text."""
    with SimulatorServer(keep=True) as server:
        lane = LitellmProvider("gemini", server.url + "/v1beta", KEY)
        run(lane.complete(a_request("google/gemini-embedding-001", task_type="RETRIEVAL_QUERY")))
        (kept,) = server.kept()
        assert kept.body.count(b'"taskType":"RETRIEVAL_QUERY"') + kept.body.count(
            b'"taskType": "RETRIEVAL_QUERY"'
        ) == len(TEXTS)


def test_ollama_is_told_to_refuse_a_text_that_is_too_long(run):
    """By itself it would embed its beginning, without a word; so would Vertex."""
    with SimulatorServer(keep=True) as server:
        run(LitellmProvider("ollama_chat", server.url, KEY).complete(a_request("ollama/mxbai-embed-large")))
        bodies = [json.loads(kept.body) for kept in server.kept() if kept.path == "/api/embed"]
    assert bodies == [{"model": "mxbai-embed-large", "input": list(TEXTS), "truncate": False}]
    vertex = LitellmProvider("vertex_ai").arguments(a_request("vertex/text-embedding-004"))
    assert vertex["autoTruncate"] is False


def test_more_texts_than_google_takes_are_a_refusal(run, server):
    """A hundred in one request."""
    lane = LitellmProvider("gemini", server.url + "/v1beta", KEY)
    with pytest.raises(ProviderFault, match="at most 100 requests can be in one batch") as caught:
        run(lane.complete(a_request("google/gemini-embedding-001", ("text",) * 101)))
    assert caught.value.kind == "bad_request"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": []}, "indices none for 3 texts"),
        ({"data": [{"index": 0, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}]}, "indices 0, 2"),
    ],
)
def test_an_answer_that_is_none_is_a_fault_there_too(wire, run, change, words):
    """Vectors that are missing or out of order."""
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    wire.says({"object": "list", "model": "m", "usage": usage, **change})
    lane = LitellmProvider("openai", wire.url, KEY)
    with pytest.raises(ProviderFault) as caught:
        run(lane.complete(a_request("openai/text-embedding-3-small")))
    assert (caught.value.kind, caught.value.billed) == ("malformed", True)
    assert words in caught.value.message


def test_a_refusal_of_parameters_is_one_before_anything_is_sent(wire, run):
    """litellm knows that the older model has one length."""
    lane = LitellmProvider("openai", wire.url, KEY)
    with pytest.raises(ProviderFault) as caught:
        run(lane.complete(a_request("openai/text-embedding-ada-002", dimensions=256)))
    assert caught.value.kind == "bad_request"
    assert wire.requests == []
