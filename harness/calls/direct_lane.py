"""The OpenAI wire format, spoken directly: for OpenAI, Together, local servers and any `api_base`.

In: a call. Out: a reply, from one POST to `/chat/completions`, or to `/embeddings` for texts, over
connections that are kept. The format needs no translation, so nothing stands between the settings and the
wire.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.calls.asked import retry_after_s
from harness.calls.embeddings import embedding_body, read_vectors, reply_with
from harness.calls.faults import DECLINED, cut_off, kind_of, kind_of_error, safe
from harness.calls.http_client import HttpClient, HttpConnection
from harness.calls.provider import ProviderFault
from harness.calls.sse import EventReader
from harness.catalogue.wire import limit_name
from harness.clock import Clock, SystemClock
from harness.records import Call, Reply, Usage

MOST_TOKENS = 2**31  # no request has as many, and no more fit the columns of a database
# Other servers' words for the two reasons that all have, as litellm translates them; the rest stays as it is.
_REASONS = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
}
# Servers that promise to keep a connection after a stream, and close it: the next request would be lost.
HANGS_UP = ("llama.cpp",)
HEADERS: Mapping[str, str] = {
    "User-Agent": "llm-harness",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
STREAMED: Mapping[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
# What an answer may raise while it is read: it is not JSON, or not of the shape that was promised.
_UNREADABLE = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError),
    OverflowError,  # a number that fits no vector
)
CHAT, EMBEDDINGS = "/chat/completions", "/embeddings"
_LAST_WORD_S = 0.1  # a server that has said all is waited for so long, to keep its connection
_encode = json.JSONEncoder(separators=(",", ":")).encode


class DirectProvider:
    """Speaks the OpenAI chat format to one `api_base`. key: sent as bearer token when given.

    stream: ask for the answer piece by piece, and time its first piece. The seconds per token after it are
    (total_s - first_token_s) / (output_tokens - 1): pieces need not be tokens, so they are not timed.
    """

    def __init__(
        self, api_base: str, key: str | None = None, *, stream: bool = False, clock: Clock | None = None
    ) -> None:
        self._url = api_base.rstrip("/")
        self._key = key
        self._delivery = STREAMED if stream else {}
        self._clock = clock or SystemClock()
        self._clients: dict[str, HttpClient] = {}

    def __repr__(self) -> str:
        return f"DirectProvider({self._url!r})"

    async def complete(self, call: Call) -> Reply:
        """Send one request and read its answer; see `provider.Provider`."""
        if call.texts:
            path, streams, content = EMBEDDINGS, False, embedding_body(call)
        else:
            path, streams, content = CHAT, bool(self._delivery), {**request_body(call), **self._delivery}
        body = _encode(content).encode()
        sent = self._clock.monotonic() if streams else 0.0
        try:
            connection = await self._client(path).connection()
        except (OSError, ValueError) as error:
            raise ProviderFault("connection", self._safe(f"no connection: {error}")) from error
        try:
            answer = await connection.post(body)
            # A server may answer in one piece all the same.
            if streams and answer.status == 200 and answer.content_type != "application/json":
                answer.reusable = answer.reusable and answer.headers.get("server") not in HANGS_UP
                return await self._gather(connection, sent)
            raw = await connection.read()
        except OSError as error:
            # The request was out when the line broke: the provider may have done the work.
            raise self._broken(error) from error
        finally:
            connection.release()
        if answer.status != 200:
            text = raw.decode("utf-8", "replace")
            raise ProviderFault(
                kind_of(answer.status, text),
                self._safe(f"status {answer.status}: {text}"),
                retry_after_s=retry_after_s(answer.headers, text, limited=answer.status == 429),
            )
        return self._read_vectors(raw, len(call.texts)) if call.texts else self._read(raw)

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def _client(self, path: str) -> HttpClient:
        if path not in self._clients:
            headers = {**HEADERS, "Authorization": f"Bearer {self._key}"} if self._key else HEADERS
            self._clients[path] = HttpClient(self._url + path, headers)
        return self._clients[path]

    def _read_vectors(self, raw: bytes, count: int) -> Reply:
        try:
            answer: dict[str, Any] = json.loads(raw)
            if answer.get("error"):
                raise self._stated(answer["error"])
            tokens = read_usage(answer.get("usage")).input_tokens
            return reply_with(read_vectors(answer["data"], count), tokens, _word(answer.get("model")))
        except _UNREADABLE as error:
            raise self._unreadable(error, raw) from error

    def _read(self, raw: bytes) -> Reply:
        try:
            answer: dict[str, Any] = json.loads(raw)
            if answer.get("error"):
                raise self._stated(answer["error"])
            choice = answer["choices"][0]
            message = choice["message"]
            text = _text(message["content"])
            declined = not text and message.get("refusal")
            return Reply(
                text=text,
                finish_reason=DECLINED if declined else _reason(choice.get("finish_reason")),
                usage=read_usage(answer.get("usage")),
                served_by=_word(answer.get("model")),
            )
        except _UNREADABLE as error:
            raise self._unreadable(error, raw) from error

    async def _gather(self, connection: HttpConnection, sent: float) -> Reply:
        """The reply that a stream of events adds up to. sent: when the request went out, by our clock."""
        events, pieces = EventReader(), _Pieces()
        try:
            while chunk := await connection.piece():
                for data in events.feed(chunk):
                    self._add(pieces, data, sent)
                if pieces.closed:
                    await _last_word(connection)
                    break
        except OSError as error:
            if not pieces.ended:
                raise self._broken(error) from error
        if not pieces.ended:
            raise cut_off("".join(pieces.texts))
        return pieces.reply()

    def _add(self, pieces: _Pieces, data: bytes, sent: float) -> None:
        try:
            error = pieces.add(data)
        except _UNREADABLE as caught:
            raise self._unreadable(caught, data) from caught
        if error is not None:
            raise self._stated(error)
        if pieces.texts and pieces.first_token_s is None:
            pieces.first_token_s = self._clock.monotonic() - sent

    def _stated(self, error: object) -> ProviderFault:
        shown = self._safe(f"an error in place of an answer: {json.dumps(error)}")
        return ProviderFault(kind_of_error(error), shown, billed=True)

    def _broken(self, why: object) -> ProviderFault:
        return ProviderFault("connection", self._safe(f"connection lost: {why}"), billed=True)

    def _unreadable(self, why: object, raw: bytes) -> ProviderFault:
        shown = raw.decode("utf-8", "replace")
        return ProviderFault("malformed", self._safe(f"unreadable answer ({why!r}): {shown}"), billed=True)

    def _safe(self, text: str) -> str:
        return safe(text, self._key)


@dataclass(slots=True)
class _Pieces:
    """What a stream has brought so far. chosen: any piece. closed: by the word that ends all streams."""

    texts: list[str] = field(default_factory=list[str])
    first_token_s: float | None = None
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    served_by: str | None = None
    chosen: bool = False
    closed: bool = False
    declined: bool = False

    @property
    def ended(self) -> bool:
        """Whether the answer is whole: not every server sends the last word after the finish reason."""
        return self.chosen and (self.closed or self.finish_reason is not None)

    def add(self, data: bytes) -> object:
        """Take in the data of one event; gives the error that stands there for a piece, else `None`."""
        if data.strip() == b"[DONE]":
            self.closed = True
        elif data.strip():
            chunk: dict[str, Any] = json.loads(data)
            if chunk.get("error"):
                return chunk["error"]
            self._take(chunk)
        return None

    def reply(self) -> Reply:
        """The whole answer."""
        text = "".join(self.texts)
        return Reply(
            text=text,
            finish_reason=DECLINED if self.declined and not text else self.finish_reason,
            usage=self.usage,
            served_by=self.served_by,
            first_token_s=self.first_token_s,
        )

    def _take(self, chunk: Mapping[str, Any]) -> None:
        self.served_by = self.served_by or _word(chunk.get("model"))
        if chunk.get("usage"):  # in the last chunk; some servers state it so far in each
            self.usage = read_usage(chunk["usage"])
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            self.chosen = True
            delta = choice.get("delta") or {}
            text = _text(delta.get("content"))
            if text:
                self.texts.append(text)
            self.declined = self.declined or bool(delta.get("refusal"))
            self.finish_reason = _reason(choice.get("finish_reason")) or self.finish_reason


async def _last_word(connection: HttpConnection) -> None:
    """Read to the end of a body whose content is complete: only then is its connection used again."""
    try:
        async with asyncio.timeout(_LAST_WORD_S):
            await connection.read()
    except TimeoutError:
        pass


def request_body(call: Call) -> dict[str, Any]:
    """The JSON body of this call: model, messages, and the settings under the names of the wire."""
    model, sent = call.settings.model_name, call.settings.sent()
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        **sent,
    }
    if "max_output_tokens" in sent:
        body.setdefault(limit_name(model), body.pop("max_output_tokens"))
    return body


def read_usage(usage: Mapping[str, Any] | None) -> Usage:
    """Token counts of an OpenAI `usage` object; what it does not state stays unknown."""
    if not usage:
        return Usage()
    prompt = usage.get("prompt_tokens_details") or {}
    output = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        cached_input_tokens=count(prompt.get("cached_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        reasoning_tokens=count(output.get("reasoning_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
    )


def count(stated: object) -> int | None:
    """A number of tokens as a provider states it; anything that cannot be one is unknown.

    A negative or a huge count would move the ledger, and with it the cap.
    """
    # By its type, not as an instance: true and false are numbers to Python.
    return stated if type(stated) is int and 0 <= stated < MOST_TOKENS else None


def _word(stated: object) -> str | None:
    return stated if isinstance(stated, str) else None


def _reason(stated: object) -> str | None:
    word = _word(stated)
    return _REASONS.get(word, word) if word else None


def _text(content: object) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    return content or ""
