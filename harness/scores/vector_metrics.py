"""The figures of embedding tasks by name: what each says, and of which kind of task.

In: a kind of task and a name of a spec. Out: a `Metric`. How they are computed stands in `ranking` and in
`stats`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from harness.errors import UsageError
from harness.scores.metrics import Metric, Reads
from harness.scores.naming import unknown_name

MOST_K = 1000
_AT = re.compile(r"(?P<kind>[a-z_]+)@(?P<k>[0-9]+)")


def _metric(name: str, description: str, reads: Reads = "scores", low: float = 0.0) -> Metric:
    return Metric(name=name, description=description, reads=reads, low=low)


RETRIEVAL = (
    _metric("ndcg", "normalised discounted cumulative gain of the first K documents, mean of the queries"),
    _metric("recall", "share of the relevant documents among the first K, mean of the queries"),
    _metric("mrr", "1 / rank of the first relevant document among the first K, else 0, mean of the queries"),
    _metric("map", "average precision of the first K documents, mean of the queries"),
)
BY_KIND: Mapping[str, tuple[Metric, ...]] = {
    "retrieval": RETRIEVAL,
    "similarity": (
        _metric("spearman", "rank correlation of the similarities and the numbers of people", "pairs", -1.0),
    ),
    "pairs": (
        _metric("average_precision", "precision of pairs that mean the same, by similarity", "pairs"),
        _metric("best_f1", "F1 at the similarity from which on it is highest", "pairs"),
    ),
    "classification": (
        _metric("accuracy", "share of labels that a logistic regression finds from other texts", "vectors"),
    ),
    "clustering": (_metric("v_measure", "agreement of clusters and labels (V-measure)", "clusters"),),
    "semantic_cache": (
        _metric("hit_rate", "share of texts that mean the same and are found, at the threshold", "hits"),
    ),
}
BEST: Mapping[str, str] = {"retrieval": "ndcg@10"}


def vector_metric(kind: str, name: str | None) -> Metric:
    """The metric of this name for this kind of task; `None`: the usual one.

    Its argument is K, or empty where a metric of retrieval is taken at the settings' own top_k. Raises
    UsageError that lists the valid names.
    """
    known = BY_KIND[kind]
    wanted = name or BEST.get(kind, known[0].name)
    at = _AT.fullmatch(wanted)
    plain = wanted if at is None or kind != "retrieval" else at["kind"]
    found = next((one for one in known if one.name == plain), None)
    if found is None:
        hint = ", each also as NAME@K, as in ndcg@10" if kind == "retrieval" else ""
        raise unknown_name(f"metric of kind {kind}", wanted, [one.name for one in known], hint)
    if plain == wanted:
        return found
    k = int(at["k"]) if at else 0
    if not 1 <= k <= MOST_K:
        raise UsageError(f"metric {wanted!r} needs a whole number from 1 to {MOST_K} after the @")
    return replace(
        found, name=wanted, kind=plain, argument=str(k), description=found.description.replace("K", str(k))
    )
