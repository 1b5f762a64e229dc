"""What a simulated embedding service answers, and what it refuses as the real ones do.

In: texts. Out: vectors with their bill, or a refusal in the service's words. Knows neither HTTP nor faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import Reply, Usage
from harness.testing.tokens import count_tokens
from harness.testing.vectors import DIMENSIONS, vectors_of
from harness.testing.wire import Refusal
from harness.vectors import length_of, numbers_of, packed


def spoilt(vectors: tuple[bytes, ...], kind: str) -> tuple[bytes, ...]:
    """These vectors with what a fault of this kind does to them; of another kind, as they are."""
    match kind:
        case "short":
            return tuple(packed(numbers_of(vector)[: length_of(vector) // 2]) for vector in vectors)
        case "zeros":
            return (bytes(len(vectors[0])), *vectors[1:])
        case "fewer":
            return vectors[:-1]
        case _:
            return vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """One embedding model: how long its vectors are, how bad, and what one request may carry.

    dimensions: unless others are asked for; see `vectors.vectors_of` for blur. texts, tokens: of a request;
    text_tokens: of one text. The defaults are OpenAI's (API reference, Embeddings, 2026-11-23).
    """

    dimensions: int = DIMENSIONS
    blur: float = 0.0
    texts: int = 2048
    tokens: int = 300_000
    text_tokens: int = 8192

    def refusal(self, texts: Sequence[str]) -> Refusal | None:
        """Why a request with these texts is refused as a whole; `None`: it is answered."""
        counts = [count_tokens(text) for text in texts]
        if len(texts) > self.texts:
            words = (
                f"Invalid 'input': array too long. Expected an array with maximum length {self.texts}, but "
                f"got an array with length {len(texts)} instead."
            )
            return Refusal(400, "array_above_max_length", words, "input")
        for place, (text, count) in enumerate(zip(texts, counts, strict=True)):
            if not text:
                return Refusal(400, "invalid_value", f"'$.input[{place}]' is invalid: it is empty.", "input")
            if count > self.text_tokens:
                words = f"Invalid 'input[{place}]': maximum input length is {self.text_tokens} tokens."
                return Refusal(400, "invalid_value", words, "input")
        if sum(counts) > self.tokens:
            words = f"Invalid 'input': maximum request size is {self.tokens} tokens per request."
            return Refusal(400, "max_tokens_per_request", words, "input")
        return None

    def answer(self, texts: Sequence[str], asked: object, *, served_by: str) -> Reply:
        """The vectors of these texts. asked: dimensions as sent; anything but a number means none were."""
        dimensions = asked if isinstance(asked, int) else self.dimensions
        tokens = sum(count_tokens(text) for text in texts)
        return Reply(
            vectors=vectors_of(texts, dimensions, blur=self.blur, model=served_by),
            finish_reason="stop",
            usage=Usage(input_tokens=tokens, cached_input_tokens=0, output_tokens=0, reasoning_tokens=0),
            served_by=served_by,
        )
