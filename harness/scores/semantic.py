"""A judge that reads vectors: how near an answer's meaning is to that of the target.

In: an answer, then the vectors of its text and of the target's. Out: one `Score`. Nothing is embedded here:
the texts are questions like those of any judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from harness.errors import UsageError
from harness.records import Sample, Score
from harness.scores.answer import Answer, target_texts
from harness.scores.judge import Judge, Question, Said
from harness.vectors import length_of, matrix, unusable


@dataclass(frozen=True, kw_only=True)
class Semantic(Judge):
    """The cosine between the vectors of answer and target, from 0 to 1; a negative one is 0.

    A list as target holds alternatives, of which the nearest counts. model: what embeds them, as
    provider/name or provider/EMBEDDING. at_least: the score is then 1 when the cosine is this high, else 0.
    An empty answer is 0 and asks nothing; one whose vector cannot be had is unscored.
    Source: cosine of sentence embeddings, Reimers & Gurevych 2019, arXiv 1908.10084, section 3. Opposite
    directions carry no meaning of their own there, so they are no worse than unrelated ones.
    """

    model: str
    at_least: float | None = None
    name: str = "semantic"
    version: int = field(default=1, init=False)
    reads_vectors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_least is not None and not 0 < self.at_least <= 1:
            raise UsageError(f"judge {self.name!r}: at_least is {self.at_least!r}, expected above 0, up to 1")

    @property
    def asks(self) -> tuple[str, ...]:
        """The one model."""
        return (self.model,)

    def asking(self, models: Sequence[str]) -> Self:
        """The same judge with this name for its model."""
        (model,) = models
        return replace(self, model=model)

    @property
    def asked_per_answer(self) -> int:
        """The answer and its target; a target that was embedded before is in the store."""
        return 2

    def fault(self, sample: Sample) -> str | None:
        """A target without words has no vector."""
        texts = target_texts(sample.target)
        return None if texts and all(text.strip() for text in texts) else "the target is no text to embed"

    def questions(self, answer: Answer) -> tuple[Question, ...]:
        """The vector of the answer, then of each target; none about an empty answer."""
        if not answer.text.strip():
            return ()
        texts = (answer.text, *target_texts(answer.sample.target))
        return tuple(Question(model=self.model, text=text) for text in texts)

    def has_verdict(self, replies: Sequence[Said]) -> bool:
        """Whether each text has its vector."""
        return bool(replies) and all(isinstance(reply, bytes) for reply in replies)

    def score(self, answer: Answer, replies: Sequence[Said]) -> Score:
        """The highest cosine, or whether it is high enough; unscored without the vectors of all texts."""
        if not answer.text.strip():
            return self._scored(answer, 0.0, "the answer is empty")
        vectors = [reply for reply in replies if isinstance(reply, bytes)]
        if len(vectors) < max(2, len(replies)):
            return self._scored(answer, None, "the embedding call failed")
        if len({len(vector) for vector in vectors}) > 1:
            lengths = " and ".join(str(length) for length in sorted({length_of(one) for one in vectors}))
            return self._scored(answer, None, f"the vectors have {lengths} numbers and cannot be compared")
        if why := unusable(vectors):
            return self._scored(answer, None, why)
        cosine = _highest_cosine(vectors)
        # Rounding of float32 may pass 1 by its last digit.
        value = min(1.0, max(0.0, cosine))
        if self.at_least is None:
            return self._scored(answer, value, f"cosine {cosine:.3f}")
        return self._scored(
            answer, float(value >= self.at_least), f"cosine {cosine:.3f} of {self.at_least:g}"
        )


def _highest_cosine(vectors: Sequence[bytes]) -> float:
    """The highest cosine of the first vector with the others, from -1 to 1."""
    import numpy as np

    rows = matrix(vectors).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return float((rows[1:] @ rows[0]).max())
