"""Judge what a search found for one query, from the grades of what stands where.

In: the grades of the documents found, in their order, and the grades of all documents that are relevant to
the query. Out: a figure from 0 to 1. Definitions are those of trec_eval, which MTEB and BEIR report as well;
a document is relevant with a grade above 0, and one without a grade has 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import UsageError
from harness.scores.naming import unknown_name


class _Judged(NamedTuple):
    """Gains of what was found, and the best there are, both cut at k; how many are relevant in all."""

    gains: Sequence[float]
    ideal: Sequence[float]
    relevant: int


def _ndcg(judged: _Judged) -> float:
    best = _discounted(judged.ideal)
    return _discounted(judged.gains) / best if best else 0.0


def _recall(judged: _Judged) -> float:
    return sum(gain > 0 for gain in judged.gains) / judged.relevant


def _mrr(judged: _Judged) -> float:
    return next((1 / rank for rank, gain in enumerate(judged.gains, 1) if gain > 0), 0.0)


def _map(judged: _Judged) -> float:
    ranks = [rank for rank, gain in enumerate(judged.gains, 1) if gain > 0]
    return math.fsum(seen / rank for seen, rank in enumerate(ranks, 1)) / judged.relevant


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


class _Kind(NamedTuple):
    description: str
    of: Callable[[_Judged], float]


KINDS: Mapping[str, _Kind] = {
    "ndcg": _Kind("grades found, discounted by log2(rank + 1), as a share of the best order", _ndcg),
    "recall": _Kind("share of the relevant documents that were found", _recall),
    "mrr": _Kind("1 / rank of the first relevant document, 0 without one", _mrr),
    "map": _Kind("precision at each relevant document, averaged over all relevant ones", _map),
}
NAME = re.compile(r"(?P<kind>[a-z]+)(?:@(?P<k>[1-9][0-9]{0,5}))?")


@dataclass(frozen=True, slots=True)
class RankingFigure:
    """A figure of one ranking, such as ndcg@10. k: how many ranks are looked at; `None`: all of them."""

    kind: str
    k: int | None

    @property
    def name(self) -> str:
        """As a spec writes it."""
        return self.kind if self.k is None else f"{self.kind}@{self.k}"

    @property
    def description(self) -> str:
        """What it is, as a phrase."""
        within = "" if self.k is None else f", among the first {self.k}"
        return f"{KINDS[self.kind].description}{within}"

    def of(self, found: Sequence[float], grades: Sequence[float]) -> float:
        """The figure of one query, from 0 to 1; 0 where nothing is relevant, as trec_eval has it.

        found: grades of the documents found, the first one first. grades: of all documents that have one for
        this query, in any order. Gains are the grades themselves (linear, not 2^grade - 1), and a grade below
        0 gains nothing. The best order is that of all grades, cut at k.
        Source: Järvelin and Kekäläinen 2002, TOIS 20(4), with the discount of trec_eval 9.
        """
        best = sorted((grade for grade in grades if grade > 0), reverse=True)
        if not best:
            return 0.0
        gains = [max(0.0, grade) for grade in found[: self.k]]
        return KINDS[self.kind].of(_Judged(gains, best[: self.k], len(best)))


def ranking_figure(name: str) -> RankingFigure:
    """The figure of this name: ndcg, recall, mrr or map, as it is or with @K.

    Raises UsageError that lists the valid names.
    """
    parts = NAME.fullmatch(name)
    if parts is None or parts["kind"] not in KINDS:
        raise unknown_name("ranking metric", name, {f"{kind}@10": kind for kind in KINDS})
    if parts["k"] is None and parts["kind"] == "recall":
        raise UsageError("recall of a whole ranking is always 1; write how many ranks count, as in recall@10")
    return RankingFigure(parts["kind"], None if parts["k"] is None else int(parts["k"]))
