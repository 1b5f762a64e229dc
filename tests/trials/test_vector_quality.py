"""What single vectors say of a text."""

from __future__ import annotations

import numpy as np

from harness.trials.vector_quality import neighbour_labels


def test_a_neighbour_gives_its_label():
    """Each text takes the label of the one nearest to it, never its own; a single text has no neighbour."""
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], np.float32)
    assert neighbour_labels(vectors, ["a", "b", "c", "d"]) == ["b", "a", "d", "c"]
    assert neighbour_labels(vectors[:1], ["a"]) == [None]
