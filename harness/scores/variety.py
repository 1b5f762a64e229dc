"""How much the answers to one question are alike, and how much they differ in their words.

In: texts of repeated answers. Out: two shares. Pure: which answers are compared is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

WORDS = 2  # of a group that counts as one: pairs tell phrasing apart where single words do not


def agreement(answers: Sequence[str]) -> float | None:
    """Share of the pairs of these answers that are the same, from 0 to 1; `None` for fewer than two.

    The chance that two answers to one question agree, estimated without bias.
    """
    pairs = list(combinations(answers, 2))
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else None


def distinct_n(texts: Sequence[str], n: int = WORDS) -> float | None:
    """Share of the groups of `n` neighbouring words in these texts that are different ones, above 0 to 1.

    `None` where no text is as long. Comparable only between equally many texts of similar length.
    Source: Li et al. 2016, arXiv 1510.03055, section 5: distinct n-grams by all n-grams.
    """
    groups = [group for text in texts for group in _groups(text.split(), n)]
    return len(set(groups)) / len(groups) if groups else None


def _groups(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
