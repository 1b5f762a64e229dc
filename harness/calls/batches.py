"""Several texts in one request: which calls travel together, and how the answer to them is dealt out again.

In: calls for vectors that wait for the same model. Out: one request for some of them, and from its answer a
reply for each. What is no answer to that very request is a fault here: nothing is guessed or filled in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from harness.calls.provider import ProviderFault
from harness.calls.tickets import Gate, Ticket
from harness.catalogue.models import Model
from harness.errors import UsageError
from harness.records import Call, FailureKind, Reply
from harness.vectors import length_of, unusable

MOST_TEXTS = 128  # of a request: more save nothing that shows, and a request that fails would lose more
UNSTATED_TEXTS = 32  # where the catalogue states no limit: what servers take that state none either
UNSTATED_TOKENS = 8192
# One text that is too long, or that a filter holds back, has the whole request refused.
OF_ONE_TEXT: frozenset[FailureKind] = frozenset({"too_long", "filtered", "bad_request"})


def require_text(call: Call) -> None:
    """Raise UsageError unless a call for a vector asks for the vector of one text that says something."""
    if not call.texts:
        return
    if len(call.texts) > 1 or call.messages:
        raise UsageError(
            f"the call for sample {call.sample_id!r} holds {len(call.texts)} texts and {len(call.messages)} "
            "messages, expected one text alone; make a call for each text"
        )
    text = "".join(call.texts)
    if not text.strip():
        raise UsageError(
            f"the text of sample {call.sample_id!r} is blank ({len(text)} characters), and nothing has no "
            "vector; leave such rows out of the data"
        )


def most_texts(model: Model) -> int:
    """How many texts one request to this model may carry."""
    return min(MOST_TEXTS, model.texts_per_request or UNSTATED_TEXTS)


def take(gate: Gate) -> list[Ticket]:
    """The call that waits longest, and those behind it that can be asked in the same request.

    A conversation always goes alone. Texts go together when the same parameters are sent with them, they have
    failed as often, and their worst cases fit into the tokens of a request.
    """
    first = gate.waiting.popleft()
    group = [first]
    if not first.call.texts:
        return group
    most = min(first.together, most_texts(gate.model))
    tokens_left = (gate.model.tokens_per_request or UNSTATED_TOKENS) - first.worst.input_tokens
    passed: deque[Ticket] = deque()
    while gate.waiting and len(group) < most:
        ticket = gate.waiting.popleft()
        if not _alike(first, ticket):
            passed.append(ticket)
        elif ticket.worst.input_tokens <= tokens_left:
            tokens_left -= ticket.worst.input_tokens
            group.append(ticket)
        else:
            passed.append(ticket)
            break
    gate.waiting.extendleft(reversed(passed))
    return group


def request(group: Sequence[Ticket]) -> Call:
    """The one call that asks for all of them."""
    first = group[0].call
    if len(group) == 1:
        return first
    return replace(first, texts=tuple(ticket.call.texts[0] for ticket in group))


def deal(reply: Reply, group: Sequence[Ticket], lengths: Lengths) -> list[Reply]:
    """The reply to each of these calls, in their order; its tokens add up to those of the whole.

    Raises ProviderFault where this is no vector for each text, of the one length that the model's have.
    """
    if not group[0].call.texts:
        return [reply]
    vectors = reply.vectors
    if vectors is None or len(vectors) != len(group):
        found = "no vectors" if vectors is None else f"{len(vectors)} vectors"
        raise ProviderFault("malformed", f"unreadable answer: {found} for {len(group)} texts", billed=True)
    if len({len(vector) for vector in vectors}) > 1:
        raise ProviderFault("malformed", "unreadable answer: its vectors differ in length", billed=True)
    if why := lengths.fault(group[0].call, vectors[0]):
        raise ProviderFault("dimensions", why, billed=True)
    if why := unusable(vectors):
        raise ProviderFault("malformed", f"unreadable answer: {why}", billed=True)
    lengths.learn(group[0].call, vectors[0])
    if len(group) == 1:
        return [reply]
    tokens = shares(reply.usage.input_tokens, [ticket.worst.input_tokens for ticket in group])
    return [
        replace(reply, vectors=(vector,), usage=replace(reply.usage, input_tokens=part))
        for vector, part in zip(vectors, tokens, strict=True)
    ]


def halve(gate: Gate, group: Sequence[Ticket]) -> None:
    """Let the texts of a refused request wait in two halves: what is wrong with one must not fail all."""
    for ticket in group:
        ticket.together = (len(group) + 1) // 2
    gate.waiting.extendleft(reversed(group))


def shares(total: int | None, weights: Sequence[int]) -> Sequence[int | None]:
    """A total of tokens in whole parts, in proportion to these weights; the parts add up to it exactly.

    No part is larger than its weight as long as the total is not larger than all of them: so no text is
    billed more than was held for it. `None`, an unknown total, has unknown parts.
    Source: the largest-remainder method (Hamilton).
    """
    if total is None:
        return [None] * len(weights)
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    rests = [total * weight % whole for weight in weights]
    for place in sorted(range(len(weights)), key=lambda place: -rests[place])[: total - sum(parts)]:
        parts[place] += 1
    return parts


class Lengths:
    """How long the vectors of a model are with the same parameters: the first usable one decides.

    Two lengths are two models behind one name, and vectors of both in one index would mean nothing.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def fault(self, call: Call, vector: bytes) -> str:
        """Why this vector does not belong to the model and parameters of the call; empty: it does."""
        length, asked = length_of(vector), call.settings.extra.get("dimensions")
        if isinstance(asked, int) and length != asked:
            return f"{asked} dimensions were asked for, and the vector has {length}"
        known = self._known.get(_asked(call), length)
        if length == known:
            return ""
        return (
            f"the vector has {length} dimensions, and those before it of {call.settings.model} with the same "
            f"parameters have {known}: another model answers now"
        )

    def learn(self, call: Call, vector: bytes) -> None:
        """Take the length of this vector for the one that all have."""
        self._known.setdefault(_asked(call), length_of(vector))


def _asked(call: Call) -> tuple[str, str]:
    return call.settings.model, str(call.settings.sent())


def _alike(first: Ticket, ticket: Ticket) -> bool:
    one, other = first.call.settings, ticket.call.settings
    return (
        (ticket.attempts, ticket.together) == (first.attempts, first.together)
        and bool(ticket.call.texts)
        and (one is other or one.sent() == other.sent())
    )
