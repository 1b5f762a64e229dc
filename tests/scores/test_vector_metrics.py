"""The names of figures of vectors: which there are for a kind of task, and what a wrong one is told."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.scores.vector_metrics import vector_metric


@pytest.mark.parametrize(
    ("kind", "name", "reads"),
    [
        ("retrieval", "ndcg@10", "scores"),
        ("similarity", "spearman", "pairs"),
        ("pairs", "average_precision", "pairs"),
        ("classification", "accuracy", "vectors"),
        ("clustering", "v_measure", "clusters"),
        ("semantic_cache", "hit_rate", "hits"),
    ],
)
def test_every_kind_has_its_usual_metric(kind, name, reads):
    """Without a name, a task is measured by what its field reports."""
    metric = vector_metric(kind, None)
    assert (metric.name, metric.reads) == (name, reads)


def test_a_metric_of_retrieval_may_say_how_many_documents_count():
    """recall@5 looks at five; recall alone at as many as the settings retrieve."""
    assert vector_metric("retrieval", "recall@5").argument == "5"
    assert vector_metric("retrieval", "recall").argument == ""


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("retrieval", "ncdg@10", "did you mean|expected one of: ndcg"),
        ("retrieval", "recall@0", "from 1 to 1000"),
        ("pairs", "best_f1@3", "expected one of: average_precision, best_f1"),
        ("similarity", "accuracy", "expected one of: spearman"),
    ],
)
def test_a_wrong_metric_is_told_with_the_right_ones(kind, name, words):
    """The message lists what the kind of task has."""
    with pytest.raises(UsageError, match=words):
        vector_metric(kind, name)
