"""Vectors as bytes: float32, little-endian, and what cannot be compared with others."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.vectors import length_of, matrix, numbers_of, packed, unusable

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=20)


@given(FLOATS)
def test_numbers_of_four_bytes_come_back_the_same(numbers):
    """A float32 is kept to the last bit, zeros and infinities with their signs."""
    vector = packed(numbers)
    assert vector == struct.pack(f"<{len(numbers)}f", *numbers)
    assert length_of(vector) == len(numbers)
    assert struct.pack(f"<{len(numbers)}d", *numbers_of(vector)) == struct.pack(f"<{len(numbers)}d", *numbers)


def test_longer_numbers_are_rounded_to_the_nearest():
    """As the services that send them in base64 do."""
    assert numbers_of(packed([0.1, 1 / 3])) == [np.float32(0.1), np.float32(1 / 3)]
    assert numbers_of(packed([1e300])) == [math.inf]


@pytest.mark.parametrize("numbers", [["1"], [None], [[1.0]]])
def test_what_is_no_number_is_refused(numbers):
    """A vector holds numbers alone."""
    with pytest.raises(TypeError):
        packed(numbers)


def test_vectors_become_the_rows_of_a_matrix():
    """In their order; none of them make one without rows."""
    rows = matrix([packed([1.0, 2.0]), packed([3.0, 4.0])])
    assert rows.dtype == np.float32
    assert rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert matrix([]).shape == (0, 0)


def test_vectors_of_two_lengths_make_no_matrix():
    """Nothing is cut off or filled up."""
    with pytest.raises(ValueError, match="vectors of 1, 2 numbers"):
        matrix([packed([1.0]), packed([1.0, 2.0])])


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ([0.6, -0.8], ""),
        ([1e30, 1e30], ""),
        ([1e-30, 0.0], ""),
        ([math.nan, 1.0], "vector 1 has a number that is none"),
        ([-math.inf, 1.0], "vector 1 has a number that is none"),
        ([0.0, -0.0], "vector 1 is nothing but zeros"),
    ],
)
def test_a_vector_without_a_direction_is_unusable(numbers, why):
    """Zeros, and what is no number, have no cosine with anything."""
    assert unusable([packed([1.0, 0.0]), packed(numbers)]).startswith(why)
    assert bool(why) == bool(unusable([packed(numbers)]))


def test_a_vector_of_no_numbers_is_unusable():
    """There is nothing in it."""
    assert "nothing but zeros" in unusable([b""])
