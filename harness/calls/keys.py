"""The name under which an answer is kept: the same question gets the same key, in every process.

What cannot change the answer (time-outs, limits, the variant's name, the purpose) is left out; the
repeat is in, for without it three repeats would be one answer copied.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from harness.fingerprint import fingerprint
from harness.records import Call, Endpoint, JsonValue

PORTS = {"http": 80, "https": 443}
FORM = 1  # changes when what a key is made of changes: old answers are then not found, never mistaken


def call_key(call: Call, endpoint: Endpoint) -> str:
    """The key of this call at this endpoint: 64 hex digits."""
    return _key_at(endpoint.api_base and place(endpoint.api_base), call, endpoint)


def key_as_written(call: Call, endpoint: Endpoint) -> str | None:
    """The key of earlier versions, which took the address as it is written; `None`: it is the same."""
    written = endpoint.api_base
    return None if written is None or place(written) == written else _key_at(written, call, endpoint)


@lru_cache(maxsize=256)
def place(address: str) -> str:
    """The address in the one spelling of all that lead to the same place (RFC 3986, section 6.2).

    Scheme and host in small letters, no port that goes without saying, no slash at the end.
    """
    parts = urlsplit(address.strip())
    try:
        said = f":{PORTS[parts.scheme]}" if parts.port == PORTS[parts.scheme] else ""
    except (KeyError, ValueError):  # no address that anybody can be asked at
        return address
    name, at, host = parts.netloc.rpartition("@")
    host = host.lower().removesuffix(said)
    return parts._replace(netloc=f"{name}{at}{host}", path=parts.path.rstrip("/")).geturl()


def _key_at(address: str | None, call: Call, endpoint: Endpoint) -> str:
    return fingerprint(
        [
            FORM,
            address or endpoint.provider,
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
