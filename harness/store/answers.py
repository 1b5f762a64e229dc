"""A paid answer as the store keeps it: record to row and back."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from harness.errors import StoreLostError
from harness.records import Call, CallFailure, Completion, FailureKind, Latency, Purpose, Reply, Usage
from harness.vectors import BYTES_PER_NUMBER

_VECTOR_HEADER = 4  # bytes that hold the number of vectors, before the vectors themselves
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


# Tuples, since one of each comes with every answer, and costs a third of a dataclass that is frozen.
class Payment(NamedTuple):
    """One request that was billed, for the ledger. What the provider did not state is booked at its worst."""

    run: str
    key: str
    purpose: Purpose
    usd: float
    input_tokens: int
    output_tokens: int
    at: datetime


class PaidAnswer(NamedTuple):
    """A reply with its bill, ready to be made durable under the key of its payment."""

    model: str
    reply: Reply
    price_usd: float | None
    latency: Latency
    payment: Payment


class FailedCall(NamedTuple):
    """A call of a run that brought no answer, as the store keeps it."""

    run: str
    key: str
    kind: FailureKind
    message: str
    attempts: int
    at: datetime

    @classmethod
    def of(cls, failed: CallFailure, *, run: str, key: str, at: datetime) -> FailedCall:
        """This failure of this run."""
        message = storable_text(failed.message)
        return cls(run=run, key=key, kind=failed.kind, message=message, attempts=failed.attempts, at=at)


ANSWER_COLUMNS = (
    "key",
    "model",
    "text",
    "vectors",
    "finish_reason",
    "served_by",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "price_usd",
    "queue_s",
    "total_s",
    "first_token_s",
    "at",
    "checksum",
)
_SUMMED = ANSWER_COLUMNS[:-1]
_VECTORS = ANSWER_COLUMNS.index("vectors")
PAYMENT_COLUMNS = Payment._fields
FAILURE_COLUMNS = FailedCall._fields


def storable(reply: Reply) -> Reply:
    """The reply with characters that a database may refuse replaced by U+FFFD.

    Half a surrogate pair is valid in JSON, and no text in UTF-8; PostgreSQL takes no NUL. Replaced before
    anybody reads the answer, so that the one scored today is the one found tomorrow.
    """
    texts = (reply.text, reply.finish_reason, reply.served_by)
    for text in texts:
        if text is not None and (not text.isascii() or "\0" in text):
            break
    else:
        return reply
    clean = tuple(None if text is None else storable_text(text) for text in texts)
    if clean == texts:
        return reply
    return replace(reply, text=clean[0], finish_reason=clean[1], served_by=clean[2])


def storable_text(text: str) -> str:
    """The text as every database takes it; see `storable`."""
    if _UNSTORABLE.search(text) is None:
        return text
    # Two halves that came in different pieces of a stream become the letter that they are.
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return paired.replace("\0", "\ufffd")


def answer_row(paid: PaidAnswer) -> tuple[object, ...]:
    """The row of `answers` for this reply, in the order of `ANSWER_COLUMNS`."""
    reply, usage, latency = paid.reply, paid.reply.usage, paid.latency
    values = (
        paid.payment.key,
        paid.model,
        reply.text,
        None if reply.vectors is None else _pack(reply.vectors),
        reply.finish_reason,
        reply.served_by,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.cache_write_tokens,
        paid.price_usd,
        latency.queue_s,
        latency.total_s,
        reply.first_token_s,
        paid.payment.at.timestamp(),
    )
    return (*values, checksum(values))


def checksum(values: Sequence[object]) -> int:
    """CRC-32 of a row of `answers`: its values in the order of `ANSWER_COLUMNS`, without the checksum.

    SQLite has no checksum of its pages: it gives back a text in which a bit has flipped. Whole numbers count
    as the floats that they are in a column of floats. Escaped as in JSON, which is the same in all versions
    of Python; `repr` is not.
    """
    plain = [value + 0.0 if isinstance(value, int | float) else value for value in values]
    packed = plain[_VECTORS]
    sums = zlib.crc32(packed) if isinstance(packed, bytes) else 0
    plain[_VECTORS] = None
    return zlib.crc32(json.dumps(plain).encode(), sums)


def is_sound(row: Mapping[str, Any]) -> bool:
    """Whether a row of `answers` is what was stored, as far as its checksum tells."""
    kept = row["checksum"]
    return kept is None or kept == checksum([row[name] for name in _SUMMED])


def require_sound(row: Mapping[str, Any]) -> None:
    """Raises StoreLostError unless the row is what was stored."""
    if not is_sound(row):
        raise StoreLostError(
            f"the store gives back another answer of {row['model']} than it was given (key {row['key']}): "
            "its disk or its file is damaged; put back a copy, or take out what is damaged with: "
            "harness cache verify --remove"
        )


def payment_row(payment: Payment) -> tuple[object, ...]:
    """The row of `payments` for this bill, in the order of `PAYMENT_COLUMNS`."""
    return (*payment[:-1], payment.at.timestamp())


def failure_row(failed: FailedCall) -> tuple[object, ...]:
    """The row of `failures` for this call, in the order of `FAILURE_COLUMNS`."""
    return (*failed[:-1], failed.at.timestamp())


def failure(row: Mapping[str, Any], call: Call) -> CallFailure:
    """The stored failure of this call."""
    return CallFailure(
        call=call, kind=row["kind"], message=row["message"], attempts=row["attempts"], retryable=False
    )


def completion(row: Mapping[str, Any], call: Call, *, cached: bool = True) -> Completion:
    """The stored answer to this call, with price and latency of the paid call. cached: as it is told."""
    packed = cast("bytes | None", row["vectors"])
    return Completion(
        call=call,
        reply=Reply(
            text=row["text"],
            vectors=None if packed is None else _unpack(packed),
            finish_reason=row["finish_reason"],
            usage=Usage(
                input_tokens=row["input_tokens"],
                cached_input_tokens=row["cached_input_tokens"],
                output_tokens=row["output_tokens"],
                reasoning_tokens=row["reasoning_tokens"],
                cache_write_tokens=row["cache_write_tokens"],
            ),
            served_by=row["served_by"],
            first_token_s=row["first_token_s"],
        ),
        price_usd=row["price_usd"],
        latency=Latency(queue_s=row["queue_s"], total_s=row["total_s"], first_token_s=row["first_token_s"]),
        cached=cached,
        at=datetime.fromtimestamp(row["at"], UTC),
    )


def _pack(vectors: tuple[bytes, ...]) -> bytes:
    return b"".join((len(vectors).to_bytes(_VECTOR_HEADER, "little"), *vectors))


def _unpack(packed: bytes) -> tuple[bytes, ...]:
    count, body = int.from_bytes(packed[:_VECTOR_HEADER], "little"), packed[_VECTOR_HEADER:]
    width = len(body) // count if count else 0
    if count * width != len(body) or width % BYTES_PER_NUMBER:
        raise ValueError(f"its vectors are cut off: {len(body)} bytes for {count} of one length")
    return tuple(body[place * width : (place + 1) * width] for place in range(count))
