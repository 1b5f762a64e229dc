"""The name under which an answer is kept: the same question gets the same key, in every process.

What cannot change the answer (time-outs, limits, the variant's name, the purpose) is left out; the
repeat is in, for without it three repeats would be one answer copied.
"""

from __future__ import annotations

from harness.fingerprint import fingerprint
from harness.records import Call, Endpoint, JsonValue

FORM = 1  # changes when what a key is made of changes: old answers are then not found, never mistaken


def call_key(call: Call, endpoint: Endpoint) -> str:
    """The key of this call at this endpoint: 64 hex digits."""
    return fingerprint(
        [
            FORM,
            endpoint.api_base or endpoint.provider,
            call.settings.model,
            [[message.role, message.content] for message in call.messages],
            list(call.texts),
            {name: _number(value) for name, value in call.settings.sent().items()},
            call.repeat,
        ]
    )


def _number(value: JsonValue) -> JsonValue:
    # 1 and 1.0 ask the same, and the store gives back a 1.0 where a spec said 1.
    return int(value) if isinstance(value, float) and value.is_integer() else value
