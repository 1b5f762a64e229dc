"""all-MiniLM-L6-v2 in this process: a BERT of six layers as a few matrix products, for vectors without a key.

In: texts, and two files, the published weights and the published tokenizer. Out: vectors of length 1, and how
many tokens each text had. It needs numpy and the tokenizer's library, which are here anyway: no torch, no
server, no conversion. It fetches nothing and must not run on the event loop: it blocks while it computes.

Source: Devlin et al. 2019, arXiv 1810.04805 (the encoder); Reimers and Gurevych 2019, arXiv 1908.10084 (the
mean of its outputs); the model card of sentence-transformers/all-MiniLM-L6-v2.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.calls.embeddings import reply_with
from harness.calls.provider import ProviderFault
from harness.errors import ProviderError
from harness.records import Call, Reply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

LAYERS, HEADS, WIDTH = 6, 12, 384
MOST_TOKENS = 256  # of a text, the frame included: it was trained on no more
AT_ONCE = 16  # texts in one product: more only leave the processor's cache
EPSILON = 1e-12
_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Embedded:
    """vectors: one a text, as `harness.vectors` has them. tokens: of each text, its frame included."""

    vectors: tuple[bytes, ...]
    tokens: tuple[int, ...]


class MiniLmProvider:
    """Answers calls for vectors with a loaded model, one request at a time, beside the event loop."""

    def __init__(self, model: MiniLm) -> None:
        self._model = model
        self._turn = asyncio.Lock()

    async def complete(self, call: Call) -> Reply:
        """The vectors of the call's texts; see `provider.Provider`."""
        if call.settings.sent():
            names = ", ".join(call.settings.sent())
            raise ProviderFault("bad_request", f"{call.settings.model!r} does not take {names}")
        async with self._turn:
            made = await asyncio.to_thread(self._model.embed, call.texts)
        return reply_with(made.vectors, sum(made.tokens), call.settings.model_name)

    async def close(self) -> None:
        """Nothing is open."""


class MiniLm:
    """The loaded model. weights: model.safetensors; tokenizer: tokenizer.json.

    Raises ProviderError for files that are none of this model.
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
            self._weights = _read(weights)
        except Exception as error:  # the tokenizer's library raises plain exceptions
            raise ProviderError(
                f"{str(weights)!r} with {str(tokenizer)!r} cannot be loaded ({error}); delete both and run "
                "`harness models pull minilm`"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Embedded:
        """The vectors of these texts, in their order. Raises ProviderFault for a text that is too long."""
        from threadpoolctl import threadpool_limits

        encoded = [one.ids for one in self._tokenizer.encode_batch(list(texts))]
        for place, ids in enumerate(encoded):
            if len(ids) > MOST_TOKENS:
                raise ProviderFault(
                    "too_long",
                    f"text {place} has {len(ids)} tokens, and all-MiniLM-L6-v2 takes {MOST_TOKENS} at most",
                )
        vectors = [b""] * len(encoded)
        # By length: what is filled up to the longest of a group is computed for nothing.
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        # Threads that wait for a busy core spin: on two busy cores, two took six times as long as one.
        with threadpool_limits(1, user_api="blas"):
            for start in range(0, len(order), AT_ONCE):
                places = order[start : start + AT_ONCE]
                rows = self._forward([encoded[place] for place in places])
                for place, row in zip(places, rows, strict=True):
                    vectors[place] = row.astype("<f4").tobytes()
        return Embedded(tuple(vectors), tuple(map(len, encoded)))

    def _forward(self, encoded: Sequence[Sequence[int]]) -> Floats:
        """Vectors of length 1 for token ids, a text a row."""
        import numpy as np

        longest, weights = max(map(len, encoded)), self._weights
        ids = np.zeros((len(encoded), longest), dtype=np.int64)
        there = np.zeros((len(encoded), longest), dtype=np.float32)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = one
            there[row, : len(one)] = 1.0
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:longest]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = _normalised(hidden, weights, "embeddings.LayerNorm")
        blind = ((1.0 - there) * -1e9)[:, None, None, :]
        for layer in range(LAYERS):
            hidden = _layer(hidden, blind, weights, f"encoder.layer.{layer}.")
        mean = (hidden * there[..., None]).sum(axis=1) / there.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def _layer(hidden: Floats, blind: Floats, weights: dict[str, Floats], name: str) -> Floats:
    """One block: attention, then two dense layers, each added to what went in and normalised."""
    import numpy as np

    count, length, _ = hidden.shape
    query, key, value = (
        _dense(hidden, weights, f"{name}attention.self.{part}")
        .reshape(count, length, HEADS, WIDTH // HEADS)
        .transpose(0, 2, 1, 3)
        for part in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(WIDTH // HEADS) + blind
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    seen = (scores @ value).transpose(0, 2, 1, 3).reshape(count, length, WIDTH)
    seen = hidden + _dense(seen, weights, f"{name}attention.output.dense")
    seen = _normalised(seen, weights, f"{name}attention.output.LayerNorm")
    inner = _gelu(_dense(seen, weights, f"{name}intermediate.dense"))
    return _normalised(
        seen + _dense(inner, weights, f"{name}output.dense"), weights, f"{name}output.LayerNorm"
    )


def _dense(values: Floats, weights: dict[str, Floats], name: str) -> Floats:
    # One product of two matrices: of a stack of them, numpy makes as many small ones.
    flat = values.reshape(-1, values.shape[-1]) @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return flat.reshape(*values.shape[:-1], -1)


def _normalised(values: Floats, weights: dict[str, Floats], name: str) -> Floats:
    import numpy as np

    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(values: Floats) -> Floats:
    """X Phi(x), with the error function to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26)."""
    import numpy as np

    size = np.abs(values) * np.float32(1 / math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.copysign(1 - series * np.exp(-size * size), values)
    return 0.5 * values * (1 + erf)


def _read(file: Path) -> dict[str, Floats]:
    """The matrices of a safetensors file by name; they stay on the disk until they are used.

    Source: the format's own description: eight bytes with the length of a JSON header, then the data.
    """
    import numpy as np

    raw = np.memmap(file, np.uint8, "r")
    begin = _HEADER_BYTES + int.from_bytes(raw[:_HEADER_BYTES].tobytes(), "little")
    header: dict[str, Any] = json.loads(raw[_HEADER_BYTES:begin].tobytes())
    return {
        name: raw[begin + entry["data_offsets"][0] : begin + entry["data_offsets"][1]]
        .view("<f4")
        .reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }
