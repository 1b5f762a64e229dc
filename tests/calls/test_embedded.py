"""Models of this machine: a server each, started when first asked, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.calls.embedded import EmbeddedProvider, weights_file
from harness.calls.provider import ProviderFault
from harness.catalogue.models import Model
from harness.errors import ProviderError
from harness.records import Call
from harness.testing.builders import a_call, a_settings
from harness.vectors import packed

# A server like the real one: reads its parameters, says its address, and lives as long as its input.
SERVER = """
import http.server, json, os, sys, threading, time
parameters = json.loads(sys.stdin.readline())
time.sleep(float(os.environ.get("TEST_SLOW_S", "0")))
with open(parameters["gguf"], "a") as log:
    log.write("started\\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if os.path.exists(parameters["gguf"] + ".die"):
            os._exit(9)
        if self.headers["Authorization"] != "Bearer " + parameters["key"]:
            return self.send_error(401)
        content = parameters["alias"]
        answer = {"choices": [{"message": {"content": content}}]}
        if self.path.endswith("/embeddings"):
            answer = {"data": [{"index": 0, "embedding": [1.0 if parameters["embedding"] else 0.0]}]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"url": "http://127.0.0.1:%d" % server.server_port}), flush=True)
sys.stdin.read()
"""
PROGRAM = (sys.executable, "-c", SERVER)


def a_model(name: str) -> Model:
    """A model whose weights are a file of the same name."""
    return Model(provider="local", name=name, model_class="SMALL", prices=None, weights=None)


def call(name: str = "tiny"):
    """A call for a local model."""
    return a_call(settings=a_settings(model=f"local/{name}"))


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A provider of two models, run by the stand-in server."""
    provider = EmbeddedProvider({}, tmp_path, tmp_path / "logs", program=PROGRAM)
    for name in ("tiny", "other"):
        (tmp_path / f"{name}.gguf").write_text("")
        provider._files[name] = tmp_path / f"{name}.gguf"
        provider._models[name] = a_model(name)
    return provider


def starts(tmp_path: Path, name: str = "tiny") -> int:
    """How often a server was started for this model."""
    return (tmp_path / f"{name}.gguf").read_text().count("started")


def test_a_server_is_started_once_for_many_calls(provider, tmp_path):
    """Calls that come at once wait for the same start; each model has its own server."""

    async def act():
        try:
            return await asyncio.gather(*(provider.complete(call(n)) for n in ["tiny", "other", "tiny"] * 5))
        finally:
            await provider.close()

    replies = asyncio.run(act())
    assert [reply.text for reply in replies] == ["tiny", "other", "tiny"] * 5
    assert (starts(tmp_path), starts(tmp_path, "other")) == (1, 1)


def test_an_embedding_model_of_ones_own_is_served_as_one(provider, tmp_path):
    """A GGUF file of class EMBEDDING gets a server that gives vectors, and is asked for nothing else."""
    provider._models["other"] = replace(a_model("other"), model_class="EMBEDDING")
    asked = Call(settings=a_settings(model="local/other"), sample_id="s1", texts=("Hi",), purpose="embed")

    async def act():
        try:
            with pytest.raises(ProviderFault, match="local/other gives vectors, not answers"):
                await provider.complete(call("other"))
            with pytest.raises(ProviderFault, match="local/tiny gives no vectors"):
                await provider.complete(replace(asked, settings=a_settings(model="local/tiny")))
            return await provider.complete(asked)
        finally:
            await provider.close()

    assert asyncio.run(act()).vectors == (packed([1.0]),)
    assert (starts(tmp_path), starts(tmp_path, "other")) == (0, 1)


def test_nothing_starts_before_it_is_asked(provider, tmp_path):
    """A run whose answers are all in the store loads no model."""
    asyncio.run(provider.close())
    assert starts(tmp_path) == 0


def test_a_caller_who_gives_up_leaves_no_second_server(provider, tmp_path, monkeypatch):
    """A large model may load longer than one attempt may take: the next attempt finds the same server."""
    monkeypatch.setenv("TEST_SLOW_S", "0.2")

    async def act():
        first = asyncio.ensure_future(provider.complete(call()))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        reply = await provider.complete(call())
        running = await provider._starts["tiny"]
        await provider.close()
        return reply, running.server.alive

    reply, alive = asyncio.run(act())
    assert reply.text == "tiny"
    assert starts(tmp_path) == 1
    assert not alive


def test_closing_ends_a_server_that_is_still_starting(provider, tmp_path, monkeypatch):
    """Nothing is left behind that fills the memory."""
    monkeypatch.setenv("TEST_SLOW_S", "0.2")

    async def act():
        asking = asyncio.ensure_future(provider.complete(call()))
        await asyncio.sleep(0)
        start = provider._starts["tiny"]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await provider.close()
        return (await start).server.alive

    assert not asyncio.run(act())


def test_a_server_that_ends_is_named(provider, tmp_path):
    """The run cannot go on with this model: the message says where its log is, and how to go on."""

    async def act():
        try:
            await provider.complete(call())
            running = await provider._starts["tiny"]
            (tmp_path / "tiny.gguf.die").write_text("")
            # The line breaks a moment before the process is gone: the first may still be a passing fault.
            with contextlib.suppress(ProviderFault, ProviderError):
                await provider.complete(call())
            await asyncio.to_thread(running.server._child.wait)
            await provider.complete(call())
        finally:
            await provider.close()

    with pytest.raises(ProviderError, match=r"server of 'tiny' ended.*local-tiny\.log.*resume the run"):
        asyncio.run(act())


def test_a_server_that_cannot_start_is_told_to_all(provider, tmp_path):
    """Everybody who waits hears why, and closing does no harm."""
    provider._program = (sys.executable, "-c", "import sys; sys.exit(3)")

    async def act():
        try:
            return await asyncio.gather(
                *(provider.complete(call()) for _ in range(3)), return_exceptions=True
            )
        finally:
            await provider.close()

    for error in asyncio.run(act()):
        assert isinstance(error, ProviderError)
        assert "exit code 3" in str(error)


def test_missing_weights_are_named(tmp_path):
    """With the command that fetches them, before anything is started."""
    model = Model(
        provider="local", name="smollm2", model_class="SMALL", prices=None, weights="smollm2-135m-instruct"
    )
    with pytest.raises(ProviderError, match=r"harness models pull smollm2-135m-instruct"):
        weights_file(model, tmp_path)
    with pytest.raises(ProviderError, match="not in"):
        EmbeddedProvider({"smollm2": model}, tmp_path, tmp_path)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing at all was made
