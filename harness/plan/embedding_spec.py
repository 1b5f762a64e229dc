"""The parts of a spec that embedding models alone have: their tasks, and what is searched of their vectors.

In: plain values. Out: strict models, or pydantic's errors. Must not look anything up: that is the planner's
work.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from harness.plan.columns_spec import ColumnsSpec
from harness.plan.prompt_spec import PROMPT_TEXT, Prompts
from harness.plan.ranges import (
    KIND,
    CustomSetting,
    NumberSetting,
    Options,
    Setting,
    Strict,
    TextSetting,
    WholeSetting,
)

Kind = Literal["retrieval", "similarity", "pairs", "classification", "clustering", "semantic_cache"]
OF_PAIRS: tuple[Kind, ...] = ("similarity", "pairs", "semantic_cache")
THE_TEXT = "{{ text }}"
# What is done with vectors on our side: never sent, and no part of a call's name in the store.
CUT = ("chunk_tokens", "chunk_overlap", "split_by")  # by which texts become other calls
LOCAL = ("chunk_tokens", "chunk_overlap", "split_by", "pooling", "top_k", "threshold")
AUTO, NONE = "auto", "none"  # words for what the provider documents, and for nothing


class EmbeddingTaskSpec(Strict):
    """What vectors are for, and on which texts it is measured how well they do."""

    kind: Kind = Field(
        description="retrieval: find the documents of a corpus that answer a query. similarity: order "
        "pairs of texts by likeness, as a number says. pairs: tell pairs that mean the same from others. "
        "classification: tell labels apart by a logistic regression on the vectors. clustering: find the "
        "labels again without being told. semantic_cache: choose the similarity from which on the answer to "
        "one text may be given for another.",
    )
    dataset: str = Field(
        min_length=1,
        description="Queries, pairs or texts: a name (datasets/NAME.yaml beside the spec or above it), a "
        "path to a .yaml, .jsonl, .csv or .parquet file relative to the spec, or hf:owner/name@revision. The "
        "target is, by kind: the id of a relevant document, a list of them, or grades from 0 by id; a "
        "number; same or different (true or false, 1 or 0); a label.",
    )
    columns: ColumnsSpec | None = Field(
        default=None,
        description="Which column is what, for rows of a path, a hub or Python; a data set definition says "
        "it itself.",
    )
    corpus: str | None = Field(
        default=None,
        min_length=1,
        description="retrieval: the documents, a data set with an id and inputs, named like `dataset`; it "
        "needs no target.",
    )
    prompt: Prompts = Field(
        default=THE_TEXT,
        description=f"How a text is embedded, or several ways by name, which are then searched, as in "
        f"e5: 'query: {{{{ text }}}}'. {PROMPT_TEXT} In a pair, `text` is each of its texts.",
    )
    document: Prompts | None = Field(
        default=None,
        description="retrieval: how a document is embedded: one way, or by the names under `prompt`. Left "
        "out: its input `text`.",
    )
    texts: list[str] = Field(
        default_factory=lambda: ["text_a", "text_b"],
        min_length=2,
        max_length=2,
        description="similarity, pairs, semantic_cache: the two inputs that are compared.",
    )
    metric: str | None = Field(
        default=None,
        min_length=1,
        description="retrieval: ndcg@10 (default), recall@K, mrr@K, map@K, or the same without @K: at top_k. "
        "similarity: spearman. pairs: average_precision (default), best_f1. classification: "
        "accuracy. clustering: v_measure. semantic_cache: hit_rate.",
    )
    false_hit_rate: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="semantic_cache: the largest share of false hits, at aim.confidence.",
    )
    false_hits_of: Literal["different", "hits"] = Field(
        default="different",
        description="semantic_cache: what false_hit_rate is a share of: pairs that mean something different, "
        "or all hits, for which the pairs have to be a fair sample of what is asked.",
    )
    usd_per_answer: float | None = Field(
        default=None,
        gt=0,
        description="semantic_cache: what an answer costs that the cache saves, in US dollars; the report "
        "tells the money saved with it.",
    )
    slices: list[str] | None = Field(
        default=None,
        description="Metadata fields by whose values quality is shown. Left out: fields of at most 12.",
    )
    stratify: str | None = Field(
        default=None,
        min_length=1,
        description="Split so that both splits hold the same share of each value of this: target, or a field "
        "of metadata. Left out: by id alone.",
    )
    limit: int | None = Field(
        default=None, ge=4, description="Use only this many samples, at least 4; the same ones every time."
    )

    @model_validator(mode="after")
    def _fits(self) -> EmbeddingTaskSpec:
        if (self.kind == "retrieval") != (self.corpus is not None):
            found, what = (
                ("no corpus", "name the data set of the documents as task.corpus")
                if self.corpus is None
                else ("a corpus", "remove it, or write kind: retrieval")
            )
            raise ValueError(f"is of kind {self.kind} and has {found}; {what}")
        if self.document is not None and self.kind != "retrieval":
            raise ValueError(f"is of kind {self.kind}, which has no documents; remove `document`")
        return self


class BySide(Strict):
    """What a model is told of the texts of a retrieval, by side."""

    query: str = Field(min_length=1, description="What it is told of a query.")
    document: str = Field(min_length=1, description="What it is told of a document.")


def _word_or_sides(value: object) -> str:
    return KIND + ("word" if isinstance(value, str) else "sides")


InputType = Annotated[
    Annotated[BySide, Tag(KIND + "sides")] | Annotated[str, Field(min_length=1), Tag(KIND + "word")],
    Discriminator(_word_or_sides),
]


class InputTypeOptions(Options[InputType]):
    """What a model is told of texts, searched among the values listed."""


def _input_type(value: object) -> str:
    if isinstance(value, Options) or (isinstance(value, dict) and "choices" in value):
        return KIND + "choices"
    return _word_or_sides(value)


InputTypeSetting = Annotated[
    Annotated[InputTypeOptions, Tag(KIND + "choices")]
    | Annotated[BySide, Tag(KIND + "sides")]
    | Annotated[str, Field(min_length=1), Tag(KIND + "word")],
    Discriminator(_input_type),
]


class VectorSearchSpec(Strict):
    """What may be searched of embedding models, in a task with `kind` alone."""

    dimensions: WholeSetting | None = Field(
        default=None, description="Embedding: length of a vector, sent to models that can shorten theirs."
    )
    input_type: InputTypeSetting | None = Field(
        default=None,
        description="Embedding: what a model is told that a text is for, under the name that it has for it "
        "(task_type, input_type). auto (default): what its provider documents for the kind of task, of a "
        "retrieval another for queries than for documents; none: nothing; a word: that for every text; "
        "{query: WORD, document: WORD}: by side.",
    )
    chunk_tokens: WholeSetting | None = Field(
        default=None,
        description="Embedding: longest piece of a text in tokens; longer ones are cut up. Left out: a text "
        "is one piece.",
    )
    chunk_overlap: CustomSetting | None = Field(
        default=None, description="Embedding: tokens that a piece repeats of the one before, from 0."
    )
    split_by: TextSetting | None = Field(
        default=None, description="Embedding: where texts are cut: sentence, paragraph or markdown."
    )
    pooling: TextSetting | None = Field(
        default=None,
        description="Embedding: what the pieces of one text become: mean, or max (the best of them counts).",
    )
    top_k: WholeSetting | None = Field(
        default=None, description="Embedding: how many documents are retrieved, for metrics without @K."
    )
    threshold: NumberSetting | None = Field(
        default=None,
        description="Embedding: similarity from which on two texts are the same, -1 to 1, in place of the "
        "one that semantic_cache chooses.",
    )

    def local(self) -> dict[str, Setting]:
        """What is searched without being sent, by name."""
        asked = {name: getattr(self, name) for name in LOCAL}
        return {name: value for name, value in asked.items() if value is not None}
