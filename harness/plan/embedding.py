"""A task of embedding models with everything looked up: which texts a sample has, and what its target means.

In: what the planner found. Out: `Embedding`, which says what is to be embedded and what the vectors are
held against. Must not send anything, and computes no figure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from harness.plan.corpus import Corpus, Fields
from harness.plan.embedding_spec import OF_PAIRS, Kind
from harness.prompts import Prompt
from harness.records import JsonValue, Sample, Settings, Split
from harness.scores.metrics import Metric

if TYPE_CHECKING:
    from harness.plan.joined import JoinedRows
    from harness.plan.rows import Rows
    from harness.stats.threshold import Of

SAME = ("same", "yes", "true", "1")
DIFFERENT = ("different", "no", "false", "0")
SIMILARITY = "similarity"  # the scorer of a pair, whose text is its cosine
TOP_K = 10  # documents retrieved, where neither metric nor settings say how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """What vectors are for in this task.

    texts: the two inputs of a pair. documents: how a document is embedded, by variant of the prompt.
    false_hit_rate: the largest share of false hits that a cache may have; false_hits_of: of different pairs,
    or of all hits.
    usd_per_answer: what a hit of the cache saves. fallback: settings that an evaluation goes on with when
    those before cannot be asked any more, in order.
    """

    kind: Kind
    metric: Metric
    texts: tuple[str, str]
    corpus: Corpus | None = None
    documents: Mapping[str, Prompt] = field(default_factory=dict[str, Prompt])
    false_hit_rate: float = 0.01
    false_hits_of: Of = "different"
    usd_per_answer: float | None = None
    fallback: tuple[Settings, ...] = ()

    @property
    def of_pairs(self) -> bool:
        """Whether a sample is two texts."""
        return self.kind in OF_PAIRS

    def inputs(self, fields: Fields) -> tuple[Fields, ...]:
        """What the prompt sees of a sample: its inputs, or of a pair each text as `text`."""
        if not self.of_pairs:
            return (fields,)
        return tuple({**fields, "text": fields[name]} for name in self.texts)

    def asked(self, prompt: Prompt, sample: Sample) -> tuple[str, ...]:
        """The texts of this sample that are embedded: one, or two of a pair. Raises PromptError."""
        return tuple(text_of(prompt, inputs) for inputs in self.inputs(sample.inputs))

    def parts(self) -> dict[str, object]:
        """What of this changes a result, for the name of a plan."""
        return {
            "kind": self.kind,
            "texts": self.texts,
            "corpus": None if self.corpus is None else self.corpus.fingerprint(),
            "documents": {name: prompt.source for name, prompt in self.documents.items()},
            "false_hit_rate": self.false_hit_rate,
            "false_hits_of": self.false_hits_of,
            "fallback": self.fallback,
        }


def document_name(variant: str) -> str:
    """The name among a task's templates of the one that documents are embedded with, beside this variant."""
    return f"document/{variant}"


def text_of(prompt: Prompt, inputs: Fields) -> str:
    """The one text that a prompt makes. Raises PromptError."""
    return prompt.render(inputs)[-1].content


def relevance(target: JsonValue) -> dict[str, float] | None:
    """The grades of relevant documents by id, of a target that is an id, ids, or grades; else `None`.

    Text that is a list or an object in JSON counts as what it says: a table of text has no other way.
    """
    target = _unfolded(target)
    if isinstance(target, str | int) and not isinstance(target, bool):
        return {str(target): 1.0}
    if isinstance(target, list):
        ids = [one for one in target if isinstance(one, str | int) and not isinstance(one, bool)]
        return dict.fromkeys(map(str, ids), 1.0) if ids and len(ids) == len(target) else None
    if not isinstance(target, dict):
        return None
    grades = {name: number(value) for name, value in target.items()}
    if any(grade is None or grade < 0 for grade in grades.values()) or not any(grades.values()):
        return None
    return {name: grade for name, grade in cast("dict[str, float]", grades).items() if grade > 0}


def _unfolded(target: JsonValue) -> JsonValue:
    if isinstance(target, str) and target.lstrip()[:1] in ("[", "{"):
        try:
            return cast("JsonValue", json.loads(target))
        except ValueError:
            return target
    return target


def same(target: JsonValue) -> bool | None:
    """Whether a pair means the same; `None` where the target does not say."""
    if isinstance(target, bool | int | float):
        return bool(target) if target in (0, 1) else None
    word = target.strip().casefold() if isinstance(target, str) else ""
    return True if word in SAME else False if word in DIFFERENT else None


def number(target: JsonValue) -> float | None:
    """A finite number, or text that is one; `None` for anything else."""
    if isinstance(target, str):
        try:
            target = float(target)
        except ValueError:
            return None
    if isinstance(target, bool) or not isinstance(target, int | float) or not math.isfinite(target):
        return None
    return float(target)


def gold(kind: Kind, target: JsonValue) -> float | None:
    """What a pair's similarity is held against: the number of people, or 1 for the same and 0 for others."""
    if kind == "similarity":
        return number(target)
    found = same(target)
    return None if found is None else float(found)


def alike(embedding: Embedding, rows: Rows | JoinedRows, split: Split) -> str | None:
    """The target that all samples of a split have, quoted, by which no model is told from another.

    `None` where they differ, in an empty split, and in retrieval, whose queries each have their own.
    """
    if embedding.kind == "retrieval":
        return None
    seen: dict[JsonValue, JsonValue] = {}
    for sample_id in rows.ids(split):
        target = rows.sample(sample_id).target
        seen.setdefault(gold(embedding.kind, target) if embedding.of_pairs else str(target), target)
        if len(seen) > 1:
            return None
    return next((repr(target) for target in seen.values()), None)


def target_fault(kind: Kind, target: JsonValue, corpus: Corpus | None) -> str | None:
    """Why the target of a sample is of no use for this kind of task; `None`: it is."""
    if kind == "retrieval":
        grades = relevance(target)
        if grades is None:
            return (
                f"has the target {target!r:.80}, expected the id of a relevant document, a list of ids, or "
                "grades from 0 by id with one above 0"
            )
        unknown = [name for name in grades if corpus is not None and name not in corpus.places]
        return f"names the document {unknown[0]!r}, which is not in the corpus" if unknown else None
    if kind == "similarity":
        return None if number(target) is not None else f"has the target {target!r:.80}, expected a number"
    if kind in OF_PAIRS:
        wanted = "same or different, true or false, or 1 or 0"
        return None if same(target) is not None else f"has the target {target!r:.80}, expected {wanted}"
    labelled = isinstance(target, str | int) and target != ""
    return None if labelled else f"has the target {target!r:.80}, expected a label"
