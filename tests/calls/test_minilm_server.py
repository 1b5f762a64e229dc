"""The embedding model behind an address: as the lane that measures asks it, and as OpenAI's client does."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.minilm import Embedded
from harness.calls.minilm_server import serve_minilm
from harness.calls.provider import ProviderFault
from harness.errors import ProviderError
from harness.records import Call, Settings
from harness.testing.vectors import vectors_of


def embedding(texts):
    """Vectors of eight numbers, a token a word; the word "long" is too much."""
    if "long" in texts:
        raise ProviderFault("too_long", "text 0 has 300 tokens, and it takes 256 at most")
    return Embedded(tuple(vectors_of(list(texts), 8)), tuple(len(text.split()) for text in texts))


@pytest.fixture
def server():
    """A server on a free port."""
    with serve_minilm(embedding) as running:
        yield running


def posted(server, body, path="/embeddings"):
    """Status and content of the answer to a body that is sent as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_the_lane_that_measures_reads_its_vectors_to_the_last_digit(server):
    """Asked as any server of the user's own, in the order of the texts, with tokens to bill."""
    call = Call(
        settings=Settings(model="local/minilm", prompt=""),
        texts=("one two", "three"),
        purpose="embed",
        task="t",
        sample_id="s",
    )

    async def asked():
        provider = DirectProvider(server.url, None)
        try:
            return await provider.complete(call)
        finally:
            await provider.close()

    reply = asyncio.run(asked())
    assert reply.vectors == embedding(["one two", "three"]).vectors
    assert reply.usage.input_tokens == 3
    assert server.served == 1


def test_base64_is_what_openais_client_asks_for(server):
    """float32 in little-endian order, and plain numbers where nothing is said."""
    _, coded = posted(server, {"input": "one", "model": "minilm", "encoding_format": "base64"})
    _, plain = posted(server, {"input": "one", "model": "minilm"})
    vector = np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<f4")
    assert vector.tolist() == plain["data"][0]["embedding"]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 400, "not JSON"),
        ({"model": "minilm"}, 400, "input has to be a text, or a list of texts"),
        ({"input": [[1, 2]]}, 400, "numbers of tokens are not taken"),
        ({"input": ["a", " "]}, 400, "a blank text"),
        ({"input": "a", "encoding_format": "bogus"}, 400, "encoding_format has to be float or base64"),
        (
            {"input": "a", "model": "text-embedding-3-small"},
            404,
            "no model 'text-embedding-3-small'; ask for minilm",
        ),
        ({"input": "a", "dimensions": 64}, 400, "minilm does not take dimensions"),
        ({"input": "long"}, 400, "text 0 has 300 tokens"),
    ],
)
def test_what_it_cannot_embed_is_refused_with_the_reason(server, body, status, told):
    """In the form of OpenAI's errors; nothing is cut off or left out."""
    found, content = posted(server, body)
    assert found == status
    assert told in content["error"]["message"]
    assert server.served == 0


def test_another_path_is_not_found(server):
    """It answers for vectors alone, and names its model."""
    assert posted(server, {"input": "a"}, "/chat/completions")[0] == 404
    with urllib.request.urlopen(f"{server.url}/models") as answer:
        assert json.load(answer)["data"][0]["id"] == "minilm"


def test_a_port_that_is_taken_is_told():
    """With what to do about it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(ProviderError, match=f"port {port} of 127.0.0.1 .*name another"),
            serve_minilm(embedding, port=port),
        ):
            pass
