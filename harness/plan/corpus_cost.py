"""What embedding a corpus costs before its first query, known before anything is spent.

In: a plan of an embedding task. Out: its calls and dollars, in the form of what is paid once beside the
answers. Sends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

from harness.catalogue.models import Model
from harness.plan.embedding import text_of
from harness.plan.embedding_spec import CUT, LOCAL
from harness.plan.plan import Choices, Plan, Range

CHARACTERS_PER_TOKEN = 3.5  # of English text some 4, and what comes with it
SAMPLED_DOCUMENTS = 200  # whose texts are rendered; the others are taken to be like them


def corpus_calls(plan: Plan) -> tuple[int, float]:
    """Calls, and US dollars at list price, of embedding the corpus for all that is searched; 0 without one.

    Each model, what is sent to it, and each way of cutting texts takes the corpus anew; what is compared on
    this machine takes nothing. From above: as many ways as there are, or as trials.
    """
    embedding = plan.task.embedding
    if embedding is None or embedding.corpus is None:
        return 0, 0.0
    sizes = {name: list(islice(_tokens(plan, name), SAMPLED_DOCUMENTS)) for name in plan.space.prompts}
    tokens = sum(map(sum, sizes.values())) / sum(map(len, sizes.values()))
    ways = {name: _ways(plan, name) for name in plan.space.models}
    share = min(1.0, plan.n_trials / sum(len(found) for found in ways.values()))
    calls = usd = 0.0
    for name, found in ways.items():
        for size in found:
            pieces = 1 if size is None else math.ceil(tokens / size)
            calls += share * pieces * len(embedding.corpus)
            usd += share * len(embedding.corpus) * tokens * _price(plan.models[name]) / 1e6
    return math.ceil(calls), usd


def _tokens(plan: Plan, prompt: str) -> Iterator[int]:
    embedding = plan.task.embedding
    assert embedding is not None, "only a task of vectors has a corpus"
    assert embedding.corpus is not None, "only a task of retrieval has a corpus"
    for _, fields in embedding.corpus.documents():
        yield math.ceil(len(text_of(embedding.documents[prompt], fields)) / CHARACTERS_PER_TOKEN)


def _ways(plan: Plan, model: str) -> list[float | None]:
    """For each way in which this model embeds a corpus, the size of a piece; `None`: documents are whole."""
    sizes: list[float | None] = [None]
    others = len(plan.space.prompts)
    for dimension in plan.space.dimensions[model]:
        if dimension.name == "chunk_tokens":
            sizes = _values(dimension)
        elif dimension.name in CUT or dimension.name not in LOCAL:
            others *= dimension.distinct or plan.n_trials
    return sizes * others


def _values(dimension: Choices | Range) -> list[float | None]:
    if isinstance(dimension, Choices):
        return [one if isinstance(one, int | float) else None for one in dimension.values]
    return [dimension.low, dimension.high]


def _price(model: Model) -> float:
    return model.prices.input if model.prices is not None else 0.0
