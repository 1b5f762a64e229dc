"""The documents of a corpus as vectors of one model, and what stands nearest to a query.

In: a plan, settings, and a way to send calls. Out: an `Index`, or why there is none. An index holds vectors
of one model and one length, of every document; with a single one missing there is no index.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from harness.fingerprint import canonical
from harness.plan.corpus import Corpus
from harness.plan.embedding import Embedding, text_of
from harness.plan.plan import Plan
from harness.records import CallFailure, Settings
from harness.stats.neighbours import nearest
from harness.trials.embed import Send, Vectors, Wanted, embed, wanted
from harness.vectors import BYTES_PER_NUMBER

MOST_HELD = 2**31  # bytes of matrices kept for arms to come; what is dropped is read back from the store
MADE_BY = ("chunk_tokens", "chunk_overlap", "split_by", "pooling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Vectors of all documents. matrix: shape (n_pieces, length), float32.

    ids: of the documents, from the last to the first, so that equal ones rank as in trec_eval. starts: row of
    each document's first piece. usd: list price of embedding all of them, `None`: unknown.
    """

    matrix: Vectors = field(repr=False)
    ids: Sequence[str] = field(repr=False)
    starts: Sequence[int] = field(repr=False)
    usd: float | None

    @property
    def length(self) -> int:
        """How many numbers a vector has."""
        return self.matrix.shape[1]

    def figures(self) -> dict[str, float]:
        """What the index is and costs, by name."""
        held: dict[str, float] = {
            **size_figures(self.length),
            "bytes_per_document": self.matrix.nbytes / len(self.ids),
        }
        return held if self.usd is None else {**held, "corpus_usd": self.usd}

    def nearest(self, queries: Sequence[Vectors], k: int) -> list[list[str]]:
        """By query, the ids of the k nearest documents, best first; of a document, its best piece counts.

        queries: matrices of shape (n_pieces, length); of these as well, the best piece counts.
        """
        found = nearest(np.concatenate(queries), self.matrix, k, starts=self.starts)
        ranked: list[list[str]] = []
        row = 0
        for query in queries:
            places = found.places[row : row + len(query)].ravel()
            cosines = found.cosines[row : row + len(query)].ravel()
            row += len(query)
            best: dict[int, None] = dict.fromkeys(places[np.lexsort((places, -cosines))].tolist())
            ranked.append([str(self.ids[place]) for place in list(best)[:k]])
        return ranked


def size_figures(length: int) -> dict[str, float]:
    """What storing a vector of this length takes, by name."""
    return {"dimensions": length, "bytes_per_vector": length * BYTES_PER_NUMBER}


@dataclass(frozen=True, slots=True)
class NoIndex:
    """Why a corpus is not embedded: the failure of one of its documents, by which none of it can be used."""

    failure: CallFailure


class Shelf:
    """The indexes of a run: each corpus is embedded once a model, what is sent to it, and how it is cut."""

    def __init__(self, plan: Plan, send: Send, held: OrderedDict[str, Index] | None = None) -> None:
        """held: indexes that are there already, and where new ones are kept."""
        self._plan = plan
        self._send = send
        self._held = OrderedDict[str, Index]() if held is None else held

    def index(self, settings: Settings) -> Index | NoIndex:
        """The index for these settings."""
        key = _key(self._plan, settings)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        made = _build(self._plan, settings, self._send)
        if isinstance(made, Index):
            self._held[key] = made
            while len(self._held) > 1 and sum(one.matrix.nbytes for one in self._held.values()) > MOST_HELD:
                self._held.popitem(last=False)
        return made


def _key(plan: Plan, settings: Settings) -> str:
    cut = {name: settings.local.get(name) for name in MADE_BY}
    sent = settings.of_side("document").sent()
    return canonical([settings.model, sent, cut, _of(plan).documents[settings.prompt].source])


def _of(plan: Plan) -> Embedding:
    assert plan.task.embedding is not None, "only tasks of vectors have an index"
    return plan.task.embedding


def _corpus(plan: Plan) -> Corpus:
    corpus = _of(plan).corpus
    assert corpus is not None, "only a task of retrieval has an index"
    return corpus


def documents(plan: Plan, settings: Settings) -> Iterator[Wanted[int]]:
    """The documents that are to be embedded, by their place in the corpus."""
    prompt = _of(plan).documents[settings.prompt]
    # How results are cut off or compared is no part of an index: arms that differ there share its calls.
    local = {name: one for name, one in settings.local.items() if name in MADE_BY}
    plain = replace(settings.of_side("document"), local=local)
    for place, (name, fields) in enumerate(_corpus(plan).documents()):
        yield wanted(plan, plain, place, [text_of(prompt, fields)], name)


def _build(plan: Plan, settings: Settings, send: Send) -> Index | NoIndex:
    corpus = _corpus(plan)
    rows = _Rows(sorted(range(len(corpus)), key=lambda place: corpus.ids[place], reverse=True))
    usd, priced, length = 0.0, True, 0
    with closing(embed(documents(plan, settings), send)) as found:
        for one in found:
            whole = one.whole(length)
            if isinstance(whole, CallFailure):
                name = corpus.ids[one.wanted.asked]
                told = f"document {name!r} of the corpus was not embedded: {whole.message}"
                return NoIndex(replace(whole, message=told))
            usd, priced = usd + (whole.price_usd or 0.0), priced and whole.price_usd is not None
            row = one.vectors()[0]
            rows.put(one.wanted.asked, row, alone=_one_each(settings))
            length = row.shape[1]
    if (missing := rows.missing()) is not None:
        return NoIndex(_never_asked(plan, settings, corpus.ids[missing]))
    matrix, starts = rows.whole()
    return Index(
        matrix=matrix,
        ids=[corpus.ids[place] for place in rows.order],
        starts=starts,
        usd=usd if priced else None,
    )


def _one_each(settings: Settings) -> bool:
    """Whether every document has one vector, however it is cut."""
    return settings.local.get("chunk_tokens") is None or settings.local.get("pooling") != "max"


class _Rows:
    """The vectors of documents, as they come. order: of the documents, by their place in the corpus.

    Where each document has one, it goes where it stays: of a large corpus, two copies would not fit.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self.order = order
        self._rank = np.argsort(order)
        self._seen = np.zeros(len(order), dtype=bool)
        self._alone: Vectors | None = None
        self._several: dict[int, Vectors] = {}

    def put(self, place: int, rows: Vectors, *, alone: bool) -> None:
        """Take the vectors of a document, shape (n, length). alone: whether every document has one."""
        self._seen[place] = True
        if not alone:
            self._several[place] = rows
            return
        if self._alone is None:
            self._alone = np.empty((len(self.order), rows.shape[1]), np.float32)
        self._alone[self._rank[place]] = rows[0]

    def missing(self) -> int | None:
        """A document that has no vector, by its place; `None`: all have."""
        return None if self._seen.all() else int(np.argmin(self._seen))

    def whole(self) -> tuple[Vectors, Sequence[int]]:
        """All vectors in order, and the row at which each document starts."""
        if self._alone is not None:
            return self._alone, range(len(self.order))
        ordered = [self._several[place] for place in self.order]
        ends = np.cumsum([len(rows) for rows in ordered])
        return np.concatenate(ordered), [0, *ends[:-1].tolist()]


def _never_asked(plan: Plan, settings: Settings, document: str) -> CallFailure:
    call = wanted(plan, settings.of_side("document"), 0, ["unknown"], document).calls[0]
    message = f"document {document!r} of the corpus is not in the store"
    return CallFailure(call=call, kind="cancelled", message=message, attempts=0, retryable=True)
