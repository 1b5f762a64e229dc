"""Answers that stand for calls with another output limit, so that these need not be paid.

In: a call, and the limits that a run searches. Out: the calls that ask the same under the other limits, and
whether an answer of theirs is what the call itself would get. Rests on greedy decoding alone: token by token,
and without knowledge of where it would be cut off. No text is ever cut here: the tokens of a text need not be
those that it was made of, so where a cut would fall is known to the model that wrote it only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.records import Call

ENDED_BY_ITSELF = "stop"


def with_other_limits(call: Call, limits: Sequence[int]) -> Iterator[Call]:
    """The same question under the other of these limits; none unless it is answered greedily."""
    settings = call.settings
    if settings.temperature != 0 or settings.max_output_tokens is None:
        return
    for limit in limits:
        if limit != settings.max_output_tokens:
            yield replace(call, settings=replace(settings, max_output_tokens=limit))


def stands_for(row: Mapping[str, Any], call: Call) -> bool:
    """Whether this stored answer, given under another limit, is the one that the call would get.

    It ended by itself, and with a token to spare: some providers count the token that ends an answer, and
    some do not, and one that ran into its limit right before it was cut off there.
    """
    tokens, limit = row["output_tokens"], call.settings.max_output_tokens
    if row["finish_reason"] != ENDED_BY_ITSELF or tokens is None or limit is None:
        return False
    return tokens < limit
