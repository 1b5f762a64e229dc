"""Vectors of simulated embedding models."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.testing.vectors import vector_of, vectors_of


def cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of unit vectors."""
    return sum(a * b for a, b in zip(one, other, strict=True))


@given(st.text(), st.integers(1, 40))
def test_a_vector_has_the_length_one(text: str, dimensions: int) -> None:
    """Whatever the text, and as many numbers as were asked for."""
    vector = vector_of(text, dimensions)
    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1.0)


def test_like_texts_are_near_each_other() -> None:
    """The more words they share, the nearer; case and order are nothing to it."""
    asked, near, far = vectors_of(["my card was stolen", "card stolen today", "what is the weather like"])
    assert cosine(asked, near) > 0.4 > cosine(asked, far)
    assert vector_of("Card stolen") == pytest.approx(vector_of("stolen card"))
