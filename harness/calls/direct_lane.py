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
from harness.calls.faults import DECLINED, GAVE_UP, cut_off, kind_of, safe
from harness.calls.http_client import CONNECT_S, HttpClient, HttpConnection
from harness.calls.provider import ProviderFault
from harness.calls.reading import FAILED, StreamedText, answer_of, read_usage, reason_of, stated_fault
from harness.calls.sse import EventReader
from harness.catalogue.wire import limit_name
from harness.clock import Clock, SystemClock
from harness.records import Call, Reply, Usage

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
_COUNTS_S = 2.0  # and one that has said why its answer ended, for its counts
_encode = json.JSONEncoder(separators=(",", ":")).encode


class DirectProvider:
    """Speaks the OpenAI chat format to one `api_base`. key: sent as bearer token when given.

    stream: ask for the answer piece by piece, and time its first piece. The seconds per token after it are
    (total_s - first_token_s) / (output_tokens - 1): pieces need not be tokens, so they are not timed.
    connect_s: that a connection may take; nothing was sent by then, and nothing can have been billed.
    proxy: see `HttpClient`.
    """

    def __init__(
        self,
        api_base: str,
        key: str | None = None,
        *,
        stream: bool = False,
        clock: Clock | None = None,
        connect_s: float = CONNECT_S,
        proxy: str | None = None,
    ) -> None:
        self._url = api_base.rstrip("/")
        self._key = key
        self._delivery = STREAMED if stream else {}
        self._clock = clock or SystemClock()
        self._connect_s = connect_s
        self._proxy = proxy
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
        connection = await self._connection(path)
        try:
            answer = await connection.post(body)
            answered, raw = 200 <= answer.status < 300, b""
            # A server may answer in one piece all the same, and not every one tells the kind of its body.
            if streams and answered and answer.content_type != "application/json":
                answer.reusable = answer.reusable and answer.headers.get("server") not in HANGS_UP
                raw = await connection.piece()
                if answer.content_type == "text/event-stream" or not raw.lstrip().startswith(b"{"):
                    return await self._gather(connection, raw, sent)
            raw += await connection.read()
        except OSError as error:
            # The request was out when the line broke: the provider may have done the work.
            raise self._broken(error) from error
        finally:
            connection.release()
        if not answered:
            text = raw.decode("utf-8", "replace")
            raise ProviderFault(
                kind_of(answer.status, text),
                self._safe(f"status {answer.status}: {text}"),
                retry_after_s=retry_after_s(answer.headers, text, limited=answer.status == 429),
                billed=answer.status in GAVE_UP,
            )
        return self._read_vectors(raw, len(call.texts)) if call.texts else self._read(raw)

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    async def _connection(self, path: str) -> HttpConnection:
        try:
            return await self._client(path).connection()
        except OSError as error:
            raise ProviderFault("connection", self._safe(f"no connection: {error}")) from error
        except ValueError as error:  # no time heals what cannot be sent, or is no address
            kind = "credentials" if self._key and not self._key.isprintable() else "not_found"
            raise ProviderFault(kind, self._safe(f"nothing was sent: {error}")) from error

    def _client(self, path: str) -> HttpClient:
        if path not in self._clients:
            headers = {**HEADERS, "Authorization": f"Bearer {self._key}"} if self._key else HEADERS
            self._clients[path] = HttpClient(
                self._url + path, headers, connect_s=self._connect_s, proxy=self._proxy
            )
        return self._clients[path]

    def _read_vectors(self, raw: bytes, count: int) -> Reply:
        try:
            answer: dict[str, Any] = json.loads(raw)
            if answer.get("error"):
                raise stated_fault(answer["error"], self._key)
            tokens = read_usage(answer.get("usage")).input_tokens
            return reply_with(read_vectors(answer["data"], count), tokens, _word(answer.get("model")))
        except _UNREADABLE as error:
            raise self._unreadable(error, raw) from error

    def _read(self, raw: bytes) -> Reply:
        try:
            answer: dict[str, Any] = json.loads(raw)
            if answer.get("error"):
                raise stated_fault(answer["error"], self._key)
            choice = answer["choices"][0]
            reason = reason_of(choice.get("finish_reason"))
            if reason == FAILED or choice.get("error"):
                raise stated_fault(_error_of(choice), self._key)
            message = choice["message"]
            # Some servers leave it out where there is none.
            text = _text(message.get("content") if "role" in message else message["content"])
            declined = not text and message.get("refusal")
            return Reply(
                text=answer_of(text),
                finish_reason=DECLINED if declined else reason,
                usage=read_usage(answer.get("usage")),
                served_by=_word(answer.get("model")),
            )
        except _UNREADABLE as error:
            raise self._unreadable(error, raw) from error

    async def _gather(self, connection: HttpConnection, begun: bytes, sent: float) -> Reply:
        """The reply that a stream of events adds up to.

        begun: what has come of its body. sent: when the request went out, by our clock.
        """
        events, pieces, chunk = EventReader(), _Pieces(StreamedText(self._clock, sent)), begun
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(None) as patience:
                while chunk:
                    for data in events.feed(chunk):
                        self._add(pieces, data)
                    if pieces.ended or pieces.closed:
                        # Whether more comes or not, it is not waited for much longer.
                        until = now() + (_LAST_WORD_S if pieces.told else _COUNTS_S)
                        patience.reschedule(min(until, patience.when() or until))
                    chunk = await connection.piece()
            for data in events.feed(b"\n\n"):  # the end of the body is that of its last event
                self._add(pieces, data, whole=False)
        except OSError as error:
            if not (pieces.ended or pieces.closed):
                raise self._broken(error) from error
        if not pieces.ended:
            raise cut_off(pieces.text.answer())
        return pieces.reply()

    def _add(self, pieces: _Pieces, data: bytes, *, whole: bool = True) -> None:
        """Take in the data of an event. whole: it is known to be; otherwise what cannot be read is none."""
        try:
            error = pieces.add(data)
        except _UNREADABLE as caught:
            if whole:
                raise self._unreadable(caught, data) from caught
        else:
            if error:
                raise stated_fault(error, self._key)

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

    text: StreamedText
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

    @property
    def told(self) -> bool:
        """Whether nothing is missed if no more comes, once it has ended."""
        return self.closed or self.usage != Usage()

    def add(self, data: bytes) -> object:
        """Take in the data of one event; gives the error that stands there for a piece, else nothing."""
        if data.strip() == b"[DONE]":
            self.closed = True
        elif data.strip() and not self.closed:
            chunk: dict[str, Any] = json.loads(data)
            return chunk.get("error") or self._take(chunk)
        return None

    def reply(self) -> Reply:
        """The whole answer."""
        text = self.text.answer()
        return Reply(
            text=text,
            finish_reason=DECLINED if self.declined and not text else self.finish_reason,
            usage=self.usage,
            served_by=self.served_by,
            first_token_s=self.text.first_token_s if text else None,
        )

    def _take(self, chunk: Mapping[str, Any]) -> object:
        self.served_by = self.served_by or _word(chunk.get("model"))
        # In the last chunk; some servers state it so far in each, and some say less at the end.
        if chunk.get("usage") and (stated := read_usage(chunk["usage"])) != Usage():
            self.usage = stated
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            self.chosen = True
            # Beside the pieces, a server may repeat what they add up to; alone, it is no piece.
            delta = (choice["delta"] if "message" in choice else choice.get("delta")) or {}
            self.text.add(_text(delta.get("content")))
            self.declined = self.declined or bool(delta.get("refusal"))
            self.finish_reason = reason_of(choice.get("finish_reason")) or self.finish_reason
            if self.finish_reason == FAILED or choice.get("error"):
                return _error_of(choice)
        return None


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


def _error_of(choice: Mapping[str, Any]) -> object:
    # Not the whole choice: the words of its text are none of the error's.
    return choice.get("error") or {"finish_reason": choice.get("finish_reason")}


def _word(stated: object) -> str | None:
    return stated if isinstance(stated, str) else None


def _text(content: object) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    return content or ""
