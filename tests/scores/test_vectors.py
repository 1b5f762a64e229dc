"""Promises of labels and clusters told from vectors."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatsError
from harness.scores.vectors import clusters, cross_fitted_labels

TOPICS = ("billing", "delivery", "returns")


def _texts(n=60, apart=4.0, seed=11):
    """Vectors around one centre a label, and labels in turn."""
    random = np.random.default_rng(seed)
    labels = [TOPICS[place % 3] for place in range(n)]
    centres = apart * random.normal(size=(3, 12))
    return centres[[TOPICS.index(one) for one in labels]] + random.normal(size=(n, 12)), labels


def test_labels_that_lie_apart_are_told():
    """Every text once, in its place."""
    vectors, labels = _texts()
    assert cross_fitted_labels(vectors, labels, seed=1) == labels


def test_labels_are_told_by_models_that_did_not_see_them():
    """Random labels are told as by chance, though 12 dimensions could learn most of 60 by heart."""
    vectors, labels = _texts(apart=0)
    told = cross_fitted_labels(vectors, labels, seed=1)
    assert np.mean([a == b for a, b in zip(told, labels, strict=True)]) < 0.55


def test_copies_of_a_text_do_not_tell_its_label():
    """With copies in one group, random labels stay untold; apart from each other, copies give them away."""
    random = np.random.default_rng(3)
    vectors = np.repeat(random.normal(size=(40, 64)), 3, axis=0)
    labels = np.repeat(random.choice(TOPICS, 40), 3).tolist()
    groups = np.repeat(np.arange(40), 3).tolist()

    def right(groups):
        told = cross_fitted_labels(vectors, labels, seed=1, groups=groups)
        return np.mean([a == b for a, b in zip(told, labels, strict=True)])

    assert right(groups) < 0.6 < right(None)


def test_the_length_of_a_vector_does_not_count():
    """Neither for labels nor for clusters."""
    vectors, labels = _texts(apart=1)
    longer = vectors * np.random.default_rng(4).uniform(0.1, 9, (60, 1))
    assert cross_fitted_labels(longer, labels, seed=1) == cross_fitted_labels(vectors, labels, seed=1)
    assert clusters(longer, 3, seed=1) == clusters(vectors, 3, seed=1)


def test_clusters_are_found_without_labels():
    """One a topic, whatever its number."""
    vectors, labels = _texts()
    found = clusters(vectors, 3, seed=1)
    assert len(set(zip(found, labels, strict=True))) == 3


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (["a"] * 6, None, "there are 1 labels"),
        (["a"] * 5 + ["b"], None, "label 'b' has 1 independent"),
        (["a"] * 4 + ["b"] * 2, [0, 1, 2, 3, 9, 9], "label 'b' has 1 independent"),
        (["a"] * 5, None, "6, 12.* and 5 labels"),
    ],
)
def test_labels_that_cannot_be_told_are_refused(labels, groups, message):
    """One label, a label that would be in one fold only, and lengths that differ."""
    with pytest.raises(StatsError, match=message):
        cross_fitted_labels(_texts(6)[0], labels, seed=1, groups=groups)


def test_more_clusters_than_texts_are_refused():
    """And none at all."""
    for n in (0, 7):
        with pytest.raises(StatsError, match=f"{n} clusters of 6 texts"):
            clusters(_texts(6)[0], n, seed=1)
