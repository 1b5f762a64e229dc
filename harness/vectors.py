"""Vectors of texts as bytes: float32 in little-endian order, one after the other, and nothing beside them.

In: numbers as a provider sends them. Out: bytes to keep and compare, and arrays to compute with. A list of
Python's floats would take eight times the room. It decides nothing about what the numbers mean.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES_PER_NUMBER = 4


def packed(numbers: Iterable[float]) -> bytes:
    """These numbers as a vector, each rounded to the nearest float32; too large ones become infinite.

    Raises TypeError for what is no number.
    """
    return _little_endian(array("f", numbers)).tobytes()


def numbers_of(vector: bytes) -> list[float]:
    """The numbers of one vector, for text formats. Raises ValueError for bytes that are no whole numbers."""
    body = array("f")
    body.frombytes(vector)
    return _little_endian(body).tolist()


def length_of(vector: bytes) -> int:
    """How many numbers a vector has."""
    return len(vector) // BYTES_PER_NUMBER


def matrix(vectors: Sequence[bytes]) -> NDArray[np.float32]:
    """These vectors as rows: shape (n_vectors, length). Raises ValueError when their lengths differ."""
    import numpy as np

    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1:
        raise ValueError(
            f"vectors of {', '.join(str(n // BYTES_PER_NUMBER) for n in sorted(lengths))} numbers"
        )
    return np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), -1 if vectors else 0)


def unusable(vectors: Sequence[bytes]) -> str:
    """Why these vectors, all of one length, cannot be compared with others; empty: they can.

    A vector with a NaN or an infinity has no cosine, and neither has one of zeros: some services fill in
    zeros where they failed.
    """
    import numpy as np

    rows = matrix(vectors)
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    for is_bad, what in (
        (~np.isfinite(squares), "has a number that is none (NaN, infinity)"),
        (squares == 0, "is nothing but zeros"),
    ):
        if is_bad.any():
            return f"vector {int(is_bad.argmax())} {what}"
    return ""


def _little_endian(body: array[float]) -> array[float]:
    if sys.byteorder == "big":
        body.byteswap()
    return body
