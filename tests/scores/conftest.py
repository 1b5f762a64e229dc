"""What the tests of scorers share: one answer, made from its text and its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.records import Sample
from harness.scores.scorer import Answer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def answer() -> Callable[..., Answer]:
    """A function from text and target to an answer of sample "s1", repeat 2."""

    def make(text: str, target: object = None) -> Answer:
        return Answer(sample=Sample(id="s1", inputs={}, target=target, split="search"), text=text, repeat=2)

    return make
