"""What embedding models are held against: word counts, which need no model, no call and no money.

In: a plan of an embedding task and a split. Out: figures of the same task with such vectors. Nothing is sent
and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from harness.insights import Reference
from harness.plan.plan import Plan
from harness.records import Call, Completion, Latency, Outcome, Reply, Settings, Split
from harness.scores.vectors import tf_idf
from harness.trials.board import Board
from harness.trials.evidence import Arm
from harness.trials.index import documents
from harness.trials.vectors import judged_alone

MOST_TEXTS = 20_000  # of a corpus and its queries: beyond, a reference would take more memory than models do
NAME = "TF-IDF"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def references(plan: Plan, split: Split) -> tuple[Reference, ...]:
    """TF-IDF on this split, its words learnt from the corpus, or from the texts themselves; or nothing.

    Nothing for a cache, whose threshold has to be chosen for each model, and for a task of too many texts.
    """
    embedding = plan.task.embedding
    if embedding is None or embedding.kind == "semantic_cache":
        return ()
    settings = Settings(model=f"reference/{NAME}", prompt=next(iter(plan.task.prompts)))
    texts = list(_texts(plan, settings, split))
    if len(texts) > MOST_TEXTS:
        return ()
    arm = Arm.of(0, settings, Board.of(plan, split))
    for position, outcome, scores in judged_alone(arm, _answers(tf_idf(texts))):
        arm.take(position, outcome, scores)
    others = {name: float(np.nanmean(values)) for name, values in arm.others.items()}
    return (Reference(name=NAME, split=split, quality=arm.quality(), metrics=others),)


def _texts(plan: Plan, settings: Settings, split: Split) -> Iterator[str]:
    """What words are learnt from: a corpus where there is one, as a search engine would."""
    embedding = plan.task.embedding
    if embedding is not None and embedding.corpus is not None:
        for one in documents(plan, settings):
            yield from (text for call in one.calls for text in call.texts)
        return
    for sample_id in plan.task.rows.ids(split):
        sample = plan.task.rows.sample(sample_id)
        yield from (message.content for message in plan.task.messages(settings.prompt, sample))


def _answers(
    vectors: Callable[[Sequence[str]], NDArray[np.float32]],
) -> Callable[[Iterable[Call]], Iterator[Outcome]]:
    """Answers calls with these vectors, in place of an engine."""

    def send(calls: Iterable[Call]) -> Iterator[Outcome]:
        for call in calls:
            found = tuple(row.astype("<f4").tobytes() for row in vectors(call.texts))
            yield Completion(
                call=call,
                reply=Reply(vectors=found),
                price_usd=0.0,
                latency=Latency(queue_s=0.0, total_s=0.0),
                cached=False,
                at=NEVER,
            )

    return send
