"""Scorers that compare all answers to one sample: `consistency`, `diversity`.

In: the answers of the repeats of a sample. Out: one score for the sample. They compare answers with each
other, and never with a target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.scores.answer import Answer, Scorer, judged
from harness.scores.variety import WORDS, agreement, distinct_n, plain

if TYPE_CHECKING:
    from harness.records import Score


@dataclass(frozen=True)
class Consistency:
    """Share of pairs of answers to one sample that agree, from 0 to 1; the label is the commonest answer.

    of: a scorer that reads labels, such as `choice` or `number`: answers agree when their labels do, and one
    without a label agrees with none. Without it, answers agree that are the same text but for case, width and
    white space. Needs `repeats` of 2 or more; with fewer answers than 2, unscored. Of several commonest
    answers, the label is the first one in alphabetical order.
    Source: the majority vote is self-consistency (Wang et al. 2022, arXiv 2203.11171); the share of
    agreeing pairs is an unbiased estimate of the chance that two answers agree (Simpson 1949, Nature 163).
    """

    of: Scorer | None = None
    name: str = "consistency"
    version: int = field(default=1, init=False)

    def score_repeats(self, answers: Sequence[Answer]) -> Score:
        """Value from 0 to 1."""
        if len(answers) < 2:
            return judged(self, answers[0], None, reason="one answer alone agrees with nothing")
        read = [self._read(answer) for answer in answers]
        counts = Counter(text for text in read if text is not None)
        label = min(counts, key=lambda text: (-counts[text], text)) if counts else None
        value = agreement(read)
        reason = "" if value == 1 else f"{len(counts)} different answers in {len(read)}"
        return judged(self, answers[0], value, label=None if label is None else label[:200], reason=reason)

    def _read(self, answer: Answer) -> str | None:
        return plain(answer.text) if self.of is None else self.of.score(answer).label


@dataclass(frozen=True)
class Diversity:
    """Distinct-n over the answers to one sample, from 0 to 1: distinct n-grams of words / all n-grams.

    n: words in a row, 2 by default. High when the answers to one sample say different things; long answers
    repeat themselves more, so compare settings of like length. Needs `repeats` of 2 or more; unscored with
    fewer answers than 2, or without an n-gram in any. Words as for `rouge`; of each answer, the first 50,000
    characters.
    Source: distinct-n of Li et al. 2016, arXiv 1510.03055, taken over the answers to one prompt.
    """

    n: int = WORDS
    name: str = "diversity"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UsageError(f"scorer {self.name!r}: n is {self.n!r}, expected a whole number from 1 up")

    def score_repeats(self, answers: Sequence[Answer]) -> Score:
        """Value from 0 to 1; no label."""
        if len(answers) < 2:
            return judged(self, answers[0], None, reason="one answer alone has no diversity")
        value = distinct_n([answer.text for answer in answers], self.n)
        reason = "" if value is not None else f"no answer has {self.n} words in a row"
        return judged(self, answers[0], value, reason=reason)
