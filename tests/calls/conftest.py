"""A store, engines that close themselves, and a server of our own on the loopback address."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.litellm_lane import LitellmProvider
from harness.catalogue.models import Model
from harness.records import Call, Message
from harness.store.store import Store, open_store
from harness.testing.builders import a_call, an_endpoint
from harness.testing.simulator import PRICES

MODELS = {
    f"sim/{name}": Model(
        provider="sim", name=name, model_class=name.upper(), prices=prices, max_output_tokens=64
    )
    for name, prices in PRICES.items()
}


def question(number: int, **changes: Any) -> Call:
    """A call that differs from those of other numbers."""
    text = f"Question {number}: which label fits?"
    return a_call(**{"sample_id": f"s{number}", "messages": (Message("user", text),), **changes})


@pytest.fixture
def ask() -> Callable[..., list[Call]]:
    """Makes so many different calls: `ask(10)`, `ask(3, settings=...)`."""
    return lambda count, **changes: [question(number, **changes) for number in range(count)]


@pytest.fixture
def models() -> dict[str, Model]:
    """The simulated models by full name, with prices and a limit of 64 output tokens."""
    return dict(MODELS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store in a file of its own."""
    opened = open_store(f"sqlite:///{tmp_path / 'harness.db'}", {})
    yield opened
    opened.close()


@pytest.fixture
def make_engine(store: Store) -> Iterator[Callable[..., Engine]]:
    """Makes engines on the store: `make_engine(provider, concurrency=4, caps=Caps(usd=1), clock=clock)`.

    What is no argument of `Engine` goes to its endpoint. Engines are closed after the test.
    """
    with ExitStack() as stack:

        def make(provider: Any, **changes: Any) -> Engine:
            own = {"run": "run-1", "models": MODELS, "store": store, "caps": Caps()}
            known = {
                name: changes.pop(name)
                for name in (*own, "minutes", "clock", "seed", "use_cache", "reuse_limits")
                if name in changes
            }
            endpoints = {"sim": an_endpoint(**changes)}
            return stack.enter_context(
                Engine(providers={"sim": provider}, endpoints=endpoints, **{**own, **known})
            )

        yield make


@dataclass
class Request:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Any


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Wire:
    """A server that answers as told. url: ends in /v1. answer: what to do with the next requests."""

    url: str = ""
    answer: Answer | None = None
    requests: list[Request] = field(default_factory=list)

    def says(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with this body: bytes as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=raw, status=status, headers=headers, content_type="application/json")

        self.answer = answer

    def drops(self, after: bytes | None = None) -> None:
        """Close the connection, after the beginning of a longer body if one is given."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            if after is not None:
                await response.prepare(request)
                await response.write(after)
            assert request.transport is not None
            request.transport.close()
            return response

        self.answer = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer it."""
        body = json.loads(await request.read() or b"null")
        self.requests.append(Request(request.path, dict(request.headers), body))
        assert self.answer is not None
        return await self.answer(request)


def chat(content: object = "billing", **changes: Any) -> dict[str, Any]:
    """An answer in the OpenAI chat format."""
    message = {"role": "assistant", "content": content}
    body = {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 1,
        "model": "small-2026-01-01",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }
    return body | changes


@pytest.fixture(scope="session")
def _server() -> Iterator[Wire]:
    """One server for all tests, on a loop in a thread of its own: providers come and go with their loops."""
    wire, loop = Wire(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", wire.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        wire.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield wire
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def wire(_server: Wire) -> Wire:
    """The server, with no requests so far, answering "billing"."""
    _server.requests.clear()
    _server.says(chat())
    return _server


@pytest.fixture
def chat_answer() -> Callable[..., dict[str, Any]]:
    """Makes an answer in the OpenAI chat format."""
    return chat


@pytest.fixture(scope="module")
def google_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A made-up service account, and the place that gives it tokens: litellm asks there before Vertex."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    token = json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(token)))
            self.end_headers()
            self.wfile.write(token)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as tokens, pytest.MonkeyPatch.context() as patch:
        thread = threading.Thread(target=tokens.serve_forever, args=(0.01,))
        thread.start()
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key": key.private_bytes(*form).decode(),
            "client_email": "nobody@p.iam.gserviceaccount.com",
            "token_uri": f"http://127.0.0.1:{tokens.server_port}/token",
        }
        file: Path = tmp_path_factory.mktemp("account") / "account.json"
        file.write_text(json.dumps(account))
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        patch.setenv("VERTEXAI_PROJECT", "p")
        patch.setenv("VERTEXAI_LOCATION", "us-central1")
        yield
        tokens.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Any]]:
    """Runs a coroutine, on one loop for all: litellm's clients belong to a loop, and are slow to make."""
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(LitellmProvider("openai").close())
