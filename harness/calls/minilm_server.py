"""The embedding model of this package behind an address, for applications and exports that ask one.

In: what embeds texts. Out: a server on 127.0.0.1 that speaks OpenAI's format of `/v1/embeddings`, one request
at a time. No key is asked for: no other machine can reach the address. Must not load weights by itself.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import numpy as np

from harness.calls.minilm import Embedded
from harness.calls.provider import ProviderFault
from harness.errors import ProviderError

MOST_BYTES = 64 * 2**20  # of a request: some hundred thousand texts
HOST = "127.0.0.1"
FORMATS = ("float", "base64")


class _RefusedError(Exception):
    """Why a request has no answer. code: as OpenAI names it."""

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(slots=True)
class MiniLmServer:
    """A running server. url: the base of its API, with `/v1`. served: requests answered so far."""

    url: str = ""
    served: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, request: object, model: str, embed: Callable[[Sequence[str]], Embedded]
    ) -> dict[str, Any]:
        """The body of an answer to this body. Raises `_RefusedError`."""
        asked = cast("dict[str, Any]", request) if isinstance(request, dict) else {}
        texts = _texts(asked, model)
        with self._turn:
            try:
                made = embed(texts)
            except ProviderFault as fault:
                raise _RefusedError(str(fault), code="context_length_exceeded") from fault
            self.served += 1
        tokens = sum(made.tokens)
        coded = asked.get("encoding_format") == "base64"
        return {
            "object": "list",
            "model": model,
            "data": [
                {
                    "object": "embedding",
                    "index": place,
                    "embedding": _coded(vector) if coded else _plain(vector),
                }
                for place, vector in enumerate(made.vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


def _texts(asked: dict[str, Any], model: str) -> list[str]:
    """What a request wants embedded. Raises `_RefusedError` for one that means something else."""
    if asked.get("model", model) not in (model, f"local/{model}"):
        # Whoever means another model would mix its vectors with these, without a word.
        raise _RefusedError(
            f"there is no model {asked['model']!r}; ask for {model}", status=404, code="model_not_found"
        )
    texts = [asked.get("input")] if isinstance(asked.get("input"), str) else asked.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        raise _RefusedError("input has to be a text, or a list of texts; numbers of tokens are not taken")
    if not all(one.strip() for one in cast("list[str]", texts)):
        raise _RefusedError("input holds a blank text, which has no vector")
    if (asked.get("encoding_format") or FORMATS[0]) not in FORMATS:
        raise _RefusedError(f"encoding_format has to be {' or '.join(FORMATS)}")
    if (other := sorted(asked.keys() - {"input", "model", "encoding_format", "user"})) != []:
        raise _RefusedError(f"{model} does not take {', '.join(other)}")
    return cast("list[str]", texts)


@contextmanager
def serve_minilm(
    embed: Callable[[Sequence[str]], Embedded], *, model: str = "minilm", port: int = 0
) -> Generator[MiniLmServer]:
    """A server for as long as the block lasts. embed: as `MiniLm.embed`. port 0: any free one.

    Raises ProviderError when the port is taken.
    """
    running = MiniLmServer()
    try:
        server = ThreadingHTTPServer((HOST, port), _handler(running, model, embed))
    except OSError as error:
        raise ProviderError(
            f"port {port} of {HOST} cannot be listened on ({error.strerror}); name another, or 0 for any "
            "free one"
        ) from error
    running.url = f"http://{HOST}:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(
    running: MiniLmServer, model: str, embed: Callable[[Sequence[str]], Embedded]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.rstrip("/") == "/v1/models":
                self._send(200, {"object": "list", "data": [{"id": model, "object": "model"}]})
            else:
                self._send(404, _error(f"there is no {self.path}; ask /v1/embeddings", "not_found"))

        def do_POST(self) -> None:
            try:
                self._send(200, running.answer(self._body(), model, embed))
            except _RefusedError as refused:
                self._send(refused.status, _error(str(refused), refused.code))

        def _body(self) -> object:
            if self.path.rstrip("/") != "/v1/embeddings":
                self.close_connection = True  # what follows is not read
                raise _RefusedError(
                    f"there is no {self.path}; ask /v1/embeddings", status=404, code="not_found"
                )
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                self.close_connection = True
                raise _RefusedError(f"the length of a request has to be stated, up to {MOST_BYTES} bytes")
            try:
                return json.loads(self.rfile.read(int(length)))
            except ValueError as error:
                raise _RefusedError(f"the request is not JSON: {error}") from error

        def _send(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Say nothing: texts and addresses of an application are none of ours."""

    return Handler


def _error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def _coded(vector: bytes) -> str:
    """float32, little-endian, as OpenAI's client asks for it unless it is told otherwise."""
    return base64.b64encode(vector).decode("ascii")


def _plain(vector: bytes) -> list[float]:
    return np.frombuffer(vector, "<f4").tolist()
