"""Vectors of texts for simulated embedding models: texts that share words lie near each other.

In: texts. Out: unit vectors, the same in every process. Source: random indexing (Kanerva 2000): the sum of
one fixed pseudo-random direction a word, without regard to case or order; ours is drawn by SHAKE-256.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import shake_256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSIONS = 64
REMEMBERED = 4096  # directions of words: most texts are made of few


def vector_of(text: str, dimensions: int = DIMENSIONS, *, blur: float = 0.0, model: str = "") -> bytes:
    """The vector of a text, of length 1, as `harness.vectors` has it; see `vectors_of`."""
    words = text.casefold().split() or [""]
    total = np.sum([_direction(word, dimensions) for word in words], axis=0)
    if not total.any():  # directions that cancel each other out exactly leave none
        total = _direction("", dimensions)
    clear = total / np.sqrt((total * total).sum())
    if blur:
        own = _direction(f"\\0{model}\\0{text}", dimensions)
        clear = (1.0 - blur) * clear + blur * own / np.sqrt((own * own).sum())
        clear /= np.sqrt((clear * clear).sum())
    return clear.astype("<f4").tobytes()


def vectors_of(
    texts: Sequence[str], dimensions: int = DIMENSIONS, *, blur: float = 0.0, model: str = ""
) -> tuple[bytes, ...]:
    """The vectors of texts, in their order.

    blur: from 0, the words of a text alone decide where it lies, to 1, they do not at all: how bad a model
    is. model: its name, so that two blurred ones err differently.
    """
    return tuple(vector_of(text, dimensions, blur=blur, model=model) for text in texts)


@lru_cache(REMEMBERED)
def _direction(word: str, dimensions: int) -> NDArray[np.float64]:
    bits = shake_256(word.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    return np.frombuffer(bits, "<i2").astype(np.float64)
