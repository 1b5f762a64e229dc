"""How much the answers to one question are alike, and how much they differ in their words.

In: repeated answers, as texts or as what was read from them. Out: two shares. Pure: the scorers of repeats
and the figures of every trial with repeats are both made here, so that one word means one number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.scores.text import folded
from harness.scores.words import READ_CHARACTERS, ngrams, words_of

WORDS = 2  # in a row that count as one: pairs tell phrasing apart where single words do not


def plain(text: str) -> str:
    """The text as answers are compared: without regard to case, width and white space."""
    return " ".join(folded(text).split())


def agreement(readings: Sequence[str | None]) -> float | None:
    """Share of the pairs of these answers that are the same, from 0 to 1; `None` for fewer than two.

    readings: what is compared of each answer; `None` agrees with none. An unbiased estimate of the chance
    that two answers to one question agree (Simpson 1949, Nature 163).
    """
    if len(readings) < 2:
        return None
    counts = Counter(one for one in readings if one is not None)
    agreeing = sum(count * (count - 1) for count in counts.values())
    return agreeing / (len(readings) * (len(readings) - 1))


def distinct_n(texts: Sequence[str], n: int = WORDS) -> float | None:
    """Share of the groups of `n` words in a row in these texts that are different ones, above 0 to 1.

    `None` where no text is as long. Words as for `rouge`; of each text, the first 50,000 characters.
    Comparable only between equally many texts of similar length.
    Source: Li et al. 2016, arXiv 1510.03055, section 5: distinct n-grams by all n-grams.
    """
    groups = [group for text in texts for group in ngrams(words_of(text[:READ_CHARACTERS]), n)]
    return len(set(groups)) / len(groups) if groups else None
