"""A text cut to the size that settings ask for.

In: a text, settings and their model. Out: its pieces, the text itself where nothing is to be cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

from harness.catalogue.models import Model
from harness.chunks import By, Count, cut
from harness.plan.lengths import token_count
from harness.records import Settings

BY: By = "sentence"
REMEMBERED = 4096  # texts whose pieces are kept: arms that cut alike meet the same texts, one after the other


def pieces_of(text: str, settings: Settings, models: Mapping[str, Model]) -> Sequence[str]:
    """The pieces of this text, at least one, in order; none that is blank, which would have no vector.

    Raises UsageError for too small a size.
    """
    size = settings.local.get("chunk_tokens")
    if not isinstance(size, int | float):
        return (text,)
    overlap, by = settings.local.get("chunk_overlap"), cast("By | None", settings.local.get("split_by"))
    lap = int(overlap) if isinstance(overlap, int | float) else 0
    return _pieces(text, int(size), lap, by or BY, token_count(models[settings.model]))


@lru_cache(maxsize=REMEMBERED)
def _pieces(text: str, size: int, overlap: int, by: By, count: Count) -> tuple[str, ...]:
    pieces = [chunk.text for chunk in cut(text, size=size, count=count, overlap=overlap, by=by)]
    return tuple(piece for piece in pieces if piece.strip()) or (text,)
