"""Vectors of simulated embedding models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.testing.vectors import vector_of, vectors_of
from harness.vectors import matrix, numbers_of

ASKED, NEAR, FAR = "my card was stolen", "card stolen today", "what is the weather like"


def cosines(*texts: str, **options) -> list[float]:
    """Of the first text with each of the others."""
    rows = matrix(vectors_of(texts, **options))
    return (rows[1:] @ rows[0]).tolist()


@given(st.text(), st.integers(1, 40), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_vector_has_the_length_one(text: str, dimensions: int, blur: float) -> None:
    """Whatever the text, and as many numbers as were asked for."""
    vector = matrix([vector_of(text, dimensions, blur=blur)])
    assert vector.shape == (1, dimensions)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_like_texts_are_near_each_other() -> None:
    """The more words they share, the nearer; case and order are nothing to it."""
    near, far = cosines(ASKED, NEAR, FAR)
    assert near > 0.4 > far
    assert vector_of("Card stolen") == vector_of("stolen card")


def test_a_blurred_model_is_a_worse_one() -> None:
    """The words of a text decide less where it lies, and nothing at all in the end."""
    near = [cosines(ASKED, NEAR, blur=blur)[0] for blur in (0.0, 0.4, 0.6, 1.0)]
    assert near == sorted(near, reverse=True)
    assert abs(near[-1]) < 0.4


def test_two_blurred_models_err_differently() -> None:
    """And each of them always in the same way."""
    one, other = (vector_of(ASKED, blur=0.5, model=name) for name in ("small", "large"))
    assert one != other
    assert one == vector_of(ASKED, blur=0.5, model="small")


def test_a_short_vector_is_the_beginning_of_a_long_one() -> None:
    """As of models that were trained so; only its length is brought back to one."""
    short, long = (matrix([vector_of(ASKED, n)])[0] for n in (32, 256))
    cut = long[:32] / np.linalg.norm(long[:32])
    assert short == pytest.approx(cut, abs=1e-6)
    assert len(numbers_of(vector_of(ASKED, 7))) == 7
