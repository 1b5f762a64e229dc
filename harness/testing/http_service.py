"""What the simulated provider answers to a request, byte by byte and at which moment.

In: whole requests. Out: responses as portions with times, and how the connection ends. Every fault is a
way to cut, delay or replace portions, so that the server only has to play them. Knows no sockets.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, cast

from harness.records import Reply
from harness.testing.delays import Delay
from harness.testing.embedding import spoilt
from harness.testing.faults import STATUSES, Fault, HttpFaults, Moment, even_draws
from harness.testing.http_requests import Request
from harness.testing.protocols.openai_chat import OPENAI_CHAT
from harness.testing.protocols.routes import wire_of
from harness.testing.sources import Answered, Source
from harness.testing.traffic import Entry, Kept, RequestLimit, Traffic, TrafficStats
from harness.testing.wire import CREATED_AT, Letter, Question, Refusal, UsageState, Wire, to_json

FIRST_TOKEN_SHARE = 0.25  # of the time of an answer, where nobody says more
SLOW_PORTIONS = 10
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
REASONS: Mapping[int, str] = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    529: "Site is overloaded",
}
_JSON_TYPE = "application/json"


@dataclass(slots=True)
class Response:
    """What to send and when. portions: seconds after the request came, and bytes, in order of time.

    end: keep the connection, close it, reset it, or do nothing for ever; end_at_s: when, for a reset.
    entry: of the journal; `None` for requests that are not questions.
    """

    portions: tuple[tuple[float, bytes], ...]
    end: Literal["keep", "close", "reset", "hang"] = "keep"
    end_at_s: float = 0.0
    entry: Entry | None = None


@dataclass(slots=True, kw_only=True)
class Service:
    """The provider behind the server.

    delay: of answers that the source itself does not time, `None`: at once; seed: of its draws.
    limit: on requests; `None`: none is kept or told. keep: whole requests, to be looked at. wall: seconds
    since 1970, for the journal.
    """

    source: Source
    delay: Delay | None = None
    faults: HttpFaults | None = None
    limit: RequestLimit | None = None
    seed: int = 0
    keep: bool = False
    wall: Callable[[], float] = time.time
    traffic: Traffic = field(default_factory=Traffic)

    def respond(self, request: Request, *, closing: bool = False) -> Response:
        """The response to one request. closing: say that the connection ends after it."""
        headers = b"connection: close\r\n" if closing else b""
        if self.keep:
            self.traffic.kept.append(Kept(request.path, request.body))
        wire = wire_of(request.path)
        if wire is None:
            return self._office(request, headers)
        if request.method != "POST":
            refusal = Refusal(405, "method_not_allowed", f"Use POST for {request.path}.")
            return Response(((0.0, _error(wire, refusal, headers)),))
        entry = self.traffic.begin(hashlib.sha256(request.body).hexdigest(), self.wall())
        return self._converse(_Exchange(wire, request, entry, headers))

    # -- questions

    def _converse(self, exchange: _Exchange) -> Response:
        entry, wire = exchange.entry, exchange.wire
        if self.limit is not None:
            wait_s = self.limit.admit()
            exchange.headers += wire.limits(self.limit.level(), self.wall())
            if wait_s:
                return _refused(exchange, _RATE_LIMIT, Fault("429", retry_after_s=wait_s))
        question = _question(wire, request=exchange.request)
        if isinstance(question, Refusal):
            return _refused(exchange, question)
        entry.model = question.model
        self.traffic.by_model[question.model] += 1
        fault = self._fault(entry)
        if fault is not None and fault.kind in STATUSES and not _is_answer(wire, fault):
            return _refused(exchange, _status_fault(fault, exchange.request), fault)
        answered = self.source.answer(question)
        if isinstance(answered, Refusal):
            return _refused(exchange, answered)
        usage = answered.reply.usage
        # Charged before anything is sent: a provider bills the answer that was made, not the one that came.
        self.traffic.charge(answered.price_usd, usage.input_tokens or 0, usage.output_tokens or 0)
        return _spoilt(exchange, self._portions(exchange, question, answered, fault), fault)

    def _fault(self, entry: Entry) -> Fault | None:
        if self.faults is None:
            return None
        fault = self.faults(Moment(entry.body, entry.attempt, entry.number))
        if fault is not None:
            entry.fault = fault.kind
            self.traffic.faults[fault.kind] += 1
        return fault

    def _portions(
        self, exchange: _Exchange, question: Question, answered: Answered, fault: Fault | None
    ) -> list[tuple[float, bytes]]:
        """The true answer: its head, then its body as one portion, or as one for each event of a stream."""
        entry = exchange.entry
        entry.status = 200
        first_s, total_s = self._times(entry, answered)
        usage: UsageState = "true"
        if fault is not None:
            usage = {"nousage": "missing", "wrongusage": "wrong"}.get(fault.kind, "true")  # pyright: ignore[reportAssignmentType] - the values are literals
        wire, reply = exchange.wire, _changed(answered.reply, fault)
        letter = Letter(entry.body[:24], question, reply, usage)
        if not question.stream or wire.events is None:
            body = wire.write(letter)
            return [(total_s, _head(200, len(body), exchange.headers)), (total_s, body)]
        events = wire.events(letter)
        step_s = (total_s - first_s) / max(1, len(events) - 1)
        head = _head(200, None, exchange.headers, wire.stream_type)
        chunks = [(first_s + n * step_s, _chunk(event)) for n, event in enumerate(events)]
        return [(first_s, head), *chunks, (total_s, b"0\r\n\r\n")]

    def _times(self, entry: Entry, answered: Answered) -> tuple[float, float]:
        """Seconds to the first token and to the end."""
        own = answered.latency
        if own is not None:
            return own.total_s if own.first_token_s is None else own.first_token_s, own.total_s
        if self.delay is None:
            return 0.0, 0.0
        total_s = self.delay(even_draws(f"delay:{self.seed}:{entry.body}:{entry.attempt}")[0])
        return FIRST_TOKEN_SHARE * total_s, total_s

    # -- everything else

    def _office(self, request: Request, headers: bytes) -> Response:
        match request.method, request.path:
            case "GET", "/health":
                found: object = {"status": "ok"}
            case "GET", "/v1/models" | "/models":
                models = [_model(name) for name in self.source.models()]
                found = {"object": "list", "data": models}
            case "GET", "/api/tags":
                found = {"models": [_tag(name) for name in self.source.models()]}
            case "GET", "/stats":
                found = dataclasses.asdict(self.stats())
                if "bodies=1" in request.query.split("&"):
                    found["bodies"] = self.bodies()
            case "GET", "/log":
                found = {"entries": [dataclasses.asdict(entry) for entry in self.traffic.journal]}
            case "POST", "/api/show":
                found = {"template": "", "details": {}, "model_info": {}}
            case "POST", "/reset":
                self.reset()
                found = {"status": "reset"}
            case method, path:
                refusal = Refusal(404, "not_found", f"Nothing answers {method} {path}.")
                return Response(((0.0, _error(OPENAI_CHAT, refusal, headers)),))
        return Response(((0.0, _message(200, to_json(found), headers)),))

    def stats(self) -> TrafficStats:
        """The counts of this moment."""
        return self.traffic.stats()

    def bodies(self) -> dict[str, int]:
        """How often each body came, by its SHA-256 in hex."""
        return dict(self.traffic.bodies)

    def kept(self) -> list[Kept]:
        """The last requests, oldest first, where they are kept."""
        return list(self.traffic.kept)

    def log(self) -> list[Entry]:
        """The journal as it is now, oldest request first."""
        return [dataclasses.replace(entry) for entry in self.traffic.journal]

    def reset(self) -> None:
        """Begin all counts anew; requests under way are counted on, so that their ends match."""
        old, new = self.traffic, Traffic()
        new.requests = new.in_flight = new.peak_in_flight = old.in_flight
        new.connections = old.connections
        self.traffic = new


@dataclass(slots=True)
class _Exchange:
    """One question under way. headers: further header lines of its answer."""

    wire: Wire
    request: Request
    entry: Entry
    headers: bytes = b""


_RATE_LIMIT = Refusal(429, "rate_limit_exceeded", "Rate limit reached for requests per minute (RPM).")
_QUOTA = Refusal(
    429,
    "insufficient_quota",
    "You exceeded your current quota, please check your plan and billing details.",
)
_BROKEN: Mapping[str, Refusal] = {
    "429": _RATE_LIMIT,
    "quota": _QUOTA,
    "500": Refusal(500, "server_error", "The server had an error while processing your request."),
    "503": Refusal(503, "unavailable", "The engine is currently unavailable, please try again later."),
    "529": Refusal(529, "overloaded", "Overloaded"),
    "toolong": Refusal(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens, but your messages resulted in 130000 tokens.",
        "messages",
    ),
    "blocked": Refusal(
        400,
        "content_policy_violation",
        "Your request was rejected as a result of our safety system.",
    ),
}
# Faults that are an answer of another kind than the true one, by the finish reason they have.
_OTHERWISE: Mapping[str, str] = {
    "refusal": "refusal",
    "filtered": "content_filter",
    "blocked": "blocked",
    "empty": "stop",
}


def _question(wire: Wire, request: Request) -> Question | Refusal:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return Refusal(400, "invalid_json", "We could not parse the JSON body of your request.")
    return wire.read(cast("dict[str, Any]", body), request.path)


def _refused(exchange: _Exchange, refusal: Refusal, fault: Fault | None = None) -> Response:
    """An error in place of an answer. fault: why, where it asks to wait."""
    entry, wire = exchange.entry, exchange.wire
    if fault is not None:
        entry.retry_after_s = fault.retry_after_s
        if not wire.waits_in_body or fault.retry_after_wrong is not None:
            exchange.headers += fault.retry_after_headers()
        refusal = dataclasses.replace(refusal, retry_after_s=fault.retry_after_s)
    refused = wire.refuse(refusal)
    entry.status = refused.status
    message = _message(refused.status, refused.body, exchange.headers + refused.headers)
    return Response(((0.0, message),), entry=entry)


def _is_answer(wire: Wire, fault: Fault) -> bool:
    """Whether this format answers where others refuse."""
    return fault.kind == "blocked" and wire.blocks_in_answer


def _changed(reply: Reply, fault: Fault | None) -> Reply:
    """The reply as it is given: nothing said, for a reason, or other vectors, where the fault is so."""
    if fault is not None and reply.vectors is not None:
        return dataclasses.replace(reply, vectors=spoilt(reply.vectors, fault.kind))
    reason = None if fault is None else _OTHERWISE.get(fault.kind)
    return reply if reason is None else dataclasses.replace(reply, text="", finish_reason=reason)


def _status_fault(fault: Fault, request: Request) -> Refusal:
    if fault.kind != "401":
        return _BROKEN[fault.kind]
    sent = (request.header(name) for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key"))
    key = next(filter(None, sent), "").removeprefix("Bearer ")
    # As careless providers and proxies do: whoever logs this message, logs the key.
    return Refusal(401, "invalid_api_key", f"Incorrect API key provided: {key}.")


def _spoilt(exchange: _Exchange, portions: list[tuple[float, bytes]], fault: Fault | None) -> Response:
    """The response made of the true portions, with what the fault does to them."""
    entry, last_s = exchange.entry, portions[-1][0]
    match fault.kind if fault else None:
        case "hang":
            entry.status = None
            return Response((), "hang", entry=entry)
        case "reset":
            entry.status = None
            return Response((), "reset", last_s, entry)
        case "badjson":
            head = _head(200, len(PAGE), exchange.headers, "text/html")
            return Response(((last_s, head + PAGE),), entry=entry)
        case "half":
            return Response(tuple(_half(portions)), "close", entry=entry)
        case "slow":
            assert fault is not None
            return Response(tuple(_slow(portions, fault.slow_s)), entry=entry)
        case _:
            return Response(_merged(portions), entry=entry)


def _half(portions: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    if len(portions) > 2:
        return portions[: len(portions) // 2]
    (_, head), (at_s, body) = portions
    return [(at_s, head + body[: len(body) // 2])]


def _slow(portions: list[tuple[float, bytes]], slow_s: float) -> list[tuple[float, bytes]]:
    if len(portions) == 2:
        (at_s, head), (_, body) = portions
        size = -(-len(body) // SLOW_PORTIONS)
        parts = [(at_s, body[start : start + size]) for start in range(0, len(body), size)]
        portions = [(at_s, head), *parts]
    step_s = slow_s / (len(portions) - 1)
    return [(at_s + n * step_s, data) for n, (at_s, data) in enumerate(portions)]


def _merged(portions: list[tuple[float, bytes]]) -> tuple[tuple[float, bytes], ...]:
    """Portions of one moment as one, which saves a system call each."""
    return tuple(
        (at_s, b"".join(data for _, data in same)) for at_s, same in groupby(portions, itemgetter(0))
    )


def _error(wire: Wire, refusal: Refusal, headers: bytes) -> bytes:
    refused = wire.refuse(refusal)
    return _message(refused.status, refused.body, headers + refused.headers)


def _message(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return _head(status, len(body), headers) + body


def _head(status: int, length: int | None, headers: bytes, kind: str = _JSON_TYPE) -> bytes:
    """Status line and headers. length: of the body; `None`: it comes in chunks."""
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    line = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\ncontent-type: {kind}\r\n{size}\r\n"
    return line.encode("ascii") + headers + b"\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}


def _tag(name: str) -> dict[str, object]:
    return {"name": name, "model": name, "modified_at": CREATED_AT, "size": 0, "digest": "", "details": {}}
