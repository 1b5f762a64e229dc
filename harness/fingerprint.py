"""Names for contents: the same value gives the same text on every machine and in every process.

In: JSON-like values and the package's own records. Out: the hex digits of a SHA-256.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

CHUNK_BYTES = 1 << 20


def canonical(value: object) -> str:
    """The value as JSON text with sorted keys and no spaces (RFC 8785 but for number formatting).

    Tuples become lists and records become objects, without a field marked `named: unless empty` that is.
    Raises TypeError for anything that is not
    JSON-like, and ValueError for NaN and infinities: neither may silently become part of a name.
    """
    return _encode(value)


def fingerprint(value: object) -> str:
    """The SHA-256 of `canonical(value)`, as 64 hex digits."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def file_fingerprint(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits; reads in chunks, whatever its size."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def share(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone: evenly spread, the same everywhere."""
    return int(fingerprint(list(parts))[:13], 16) / 16**13


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        for f in dataclasses.fields(value):
            if f.metadata and f.metadata.get("named") == "unless empty" and not named[f.name]:
                del named[f.name]
        return named
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"{type(value).__name__} {value!r} has no canonical form; pass JSON-like values")


_encode = json.JSONEncoder(
    default=_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode
