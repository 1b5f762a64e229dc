"""Embeddings through litellm: every format gives back the vectors that the simulator wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from harness.calls.litellm_lane import LitellmProvider
from harness.loading import load_litellm
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FIXED_PRICES
from harness.testing.vectors import DIMENSIONS, vectors_of
from harness.vectors import numbers_of

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
TEXTS = ["Where is my parcel?", "Ich möchte mein Konto schließen.", "charged twice"]
# By name: litellm's model, the path of the address, and whether it tells how many tokens it read.
MODELS = {
    "openai": ("openai/text-embedding-3-small", "/v1"),
    "together": ("together_ai/BAAI/bge-base-en-v1.5", "/v1"),
    "vllm": ("hosted_vllm/bge-small", "/v1"),
    "google": ("gemini/gemini-embedding-001", "/v1beta"),
    "ollama": ("ollama/mxbai-embed-large", ""),
    "azure": ("azure/text-embedding-3-small", ""),
}


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    """One simulator for all."""
    with SimulatorServer() as made:
        yield made


@pytest.fixture(scope="module")
def run():
    """Runs a coroutine, on one loop for all: litellm's clients belong to a loop, and are slow to make."""
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(LitellmProvider("openai").close())


def asked(run, server: SimulatorServer, name: str, **more: int) -> list[list[float]]:
    """The vectors of the texts, as litellm reads them."""
    model, path = MODELS[name]
    server.reset()
    address = {"api_base": server.url + path, "api_key": "my-key", "max_retries": 0}
    made = run(load_litellm().aembedding(model=model, input=TEXTS, **address, **more))
    assert [one["index"] for one in made.data] == [0, 1, 2]
    return [one["embedding"] for one in made.data]


@pytest.mark.parametrize("name", MODELS)
def test_vectors_come_back_in_their_order(run, server, name):
    """One request for all texts, and the simulator's own bill for the words in them."""
    found = asked(run, server, name)
    for vector, expected in zip(found, vectors_of(TEXTS), strict=True):
        assert vector == pytest.approx(numbers_of(expected), abs=1e-6)
    stats = server.stats()
    # 4, 5 and 2 words are 6, 7 and 3 tokens.
    assert (stats.charged, stats.input_tokens, stats.output_tokens) == (1, 16, 0)
    assert stats.bill_usd == pytest.approx(16 * FIXED_PRICES.input / 1e6)


@pytest.mark.parametrize("name", ["openai", "google", "azure"])
def test_a_vector_is_as_long_as_was_asked_for(run, server, name):
    """`dimensions` arrives under the name of each format."""
    assert {len(vector) for vector in asked(run, server, name)} == {DIMENSIONS}
    assert {len(vector) for vector in asked(run, server, name, dimensions=12)} == {12}
