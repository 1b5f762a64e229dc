"""The answers that a reader looks at first: those that scored lowest.

In: rows of the per-sample table, as they pass by. Out: the same rows, and the lowest of them. Must not hold
more than a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.findings import AnswerRow, RunRecord
from harness.outputs.report_parts import first_value, of_pair
from harness.plan.embedding import same

MOST_WORST = 20
LAST = 2.0  # behind every likeness of a different pair


class Worst:
    """Remembers the samples on which the settings of interest scored lowest, while rows pass by.

    Of a sweep the recommended ones on the confirm split, of an evaluation the only ones. One row a sample
    (its lowest repeat), at most `MOST_WORST`, full scores left out. A failed or unscored call counts here as
    it does in quality: 0, or not at all. Of pairs with one score, those that are taken for the same and are
    not come first: a wrong answer does more harm than one that is asked again.
    """

    def __init__(self, record: RunRecord) -> None:
        choice = record.recommendation
        self._every = record.verb == "eval"
        self._number = None if choice is None else choice.trial.number
        self._missing = 0.0 if record.failures == "count_as_wrong" else None
        self._kept: dict[str, tuple[float, float, int, AnswerRow]] = {}
        self._seen = 0

    def watching(self, rows: Iterable[AnswerRow]) -> Iterator[AnswerRow]:
        """The same rows, each looked at on its way."""
        for row in rows:
            self._seen += 1
            if self._every or (row.trial == self._number and row.split == "confirm"):
                self._offer(row)
            yield row

    def rows(self) -> list[AnswerRow]:
        """The rows kept, lowest score first, ties in the order in which they came."""
        return [row for *_, row in sorted(self._kept.values(), key=lambda kept: kept[:3])]

    def _offer(self, row: AnswerRow) -> None:
        scored = None if row.failure is not None else first_value(row)
        value = self._missing if scored is None else scored
        if value is None or value >= 1:
            return
        before = self._kept.get(row.sample_id)
        if before is None or value < before[0]:
            self._kept[row.sample_id] = (value, _farness(row), self._seen, row)
        if len(self._kept) > MOST_WORST:
            best = max(self._kept, key=lambda sample_id: self._kept[sample_id][:3])
            del self._kept[best]


def _farness(row: AnswerRow) -> float:
    """What orders pairs of one score: different ones, falling by likeness, then others, rising; else 0."""
    gold = same(row.target)
    if gold is None or row.text is None or not of_pair(row):
        return 0.0
    likeness = float(row.text)
    return LAST + likeness if gold else -likeness
