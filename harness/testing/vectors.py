"""Vectors of texts for simulated embedding models: texts that share words lie near each other.

In: texts. Out: unit vectors, the same in every process. Source: random indexing (Kanerva 2000): the sum of
one fixed pseudo-random direction a word, without regard to case or order; ours is drawn by SHAKE-256.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from hashlib import shake_256

DIMENSIONS = 64


def vector_of(text: str, dimensions: int = DIMENSIONS) -> tuple[float, ...]:
    """The vector of a text, of length 1; a text without words has that of the empty word."""
    words = text.casefold().split() or [""]
    total = [
        math.fsum(parts) for parts in zip(*(_direction(word, dimensions) for word in words), strict=True)
    ]
    length = math.hypot(*total)
    # Directions that cancel each other out exactly leave none.
    return tuple(part / length for part in total) if length else vector_of("", dimensions)


def vectors_of(texts: Sequence[str], dimensions: int = DIMENSIONS) -> tuple[tuple[float, ...], ...]:
    """The vectors of texts, in their order."""
    return tuple(vector_of(text, dimensions) for text in texts)


def _direction(word: str, dimensions: int) -> tuple[int, ...]:
    bits = shake_256(word.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    return struct.unpack(f"<{dimensions}h", bits)
