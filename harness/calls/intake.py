"""A reply as ledger and store take it, whoever made it: a lane of ours, or a provider object of the user's.

In: what `Provider.complete` returned. Out: the same reply where nothing is wrong with it, which costs next to
nothing. What only one answer states must never move the cap, or take the answers of others down.
"""

from __future__ import annotations

import math
from dataclasses import replace

from harness.calls.provider import ProviderFault
from harness.calls.reading import MOST_TOKENS, count
from harness.records import Reply, Usage
from harness.store.answers import storable


def taken_in(reply: Reply) -> Reply:
    """The reply, with what cannot be a count or seconds unknown, and its texts as `storable` has them.

    Raises ProviderFault where it is no reply at all: text that is none, vectors that are not bytes.
    """
    try:
        usage = counted(reply.usage)
        if usage.input_tokens == 0 or (usage.output_tokens == 0 and reply.text):
            usage = _without_zeros(usage)
        first_token_s = reply.first_token_s
        if first_token_s is not None and not 0 <= first_token_s < math.inf:
            first_token_s = None
        if usage is not reply.usage or first_token_s is not reply.first_token_s:
            reply = replace(reply, usage=usage, first_token_s=first_token_s)
        odd = set(map(type, reply.vectors)) - {bytes} if reply.vectors is not None else ()
        reply = storable(reply)
    except (AttributeError, TypeError) as error:
        raise ProviderFault("malformed", f"unreadable answer: {error}", billed=True) from error
    if odd:
        why = "its vectors are not bytes; make them with harness.vectors.packed"
        raise ProviderFault("malformed", f"unreadable answer: {why}", billed=True)
    return reply


def _without_zeros(usage: Usage) -> Usage:
    """Unknown, where a zero was filled in: an answer would be free with it, and never reach a cap."""
    return replace(usage, output_tokens=None) if usage.input_tokens else Usage()


def counted(usage: Usage) -> Usage:
    """The usage with each count that cannot be one unknown; see `count`."""
    stated = (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.cache_write_tokens,
    )
    for tokens in stated:
        if tokens is not None and not (type(tokens) is int and 0 <= tokens < MOST_TOKENS):
            break
    else:
        return usage
    return Usage(
        input_tokens=count(stated[0]),
        cached_input_tokens=count(stated[1]),
        output_tokens=count(stated[2]),
        reasoning_tokens=count(stated[3]),
        cache_write_tokens=count(stated[4]),
    )
