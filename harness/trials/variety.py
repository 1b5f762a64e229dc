"""Consistency and diversity of a trial's repeated answers, gathered as they come.

In: answers by position. Out: two figures for the record of the trial. It keeps the texts of the first samples
alone, so that memory does not grow with the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean

from harness.scores.variety import agreement, distinct_n, plain

SAMPLES = 64  # positions whose answers are compared: enough to tell 0.9 from 0.8
CONSISTENCY, DIVERSITY = "consistency", "diversity"  # named as the scorers that give the same figures


@dataclass(slots=True)
class Variety:
    """Answers of one arm. readings: the label that was read from an answer, else its text.

    told: the figures last computed, with the number of answers behind them: records are made more often.
    """

    readings: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    texts: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    told: tuple[int, dict[str, float]] = (0, {})

    def take(self, position: int, text: str, label: str | None) -> None:
        """Note one answer. label: what the first scorer read from it; `None` where it reads none."""
        if position < SAMPLES:
            self.texts.setdefault(position, []).append(text)
            self.readings.setdefault(position, []).append(plain(text) if label is None else label)

    def metrics(self) -> dict[str, float]:
        """Both figures, each the mean over samples that were answered more than once; without any, none.

        consistency: the chance that two answers to one sample agree. diversity: the share of different pairs
        of neighbouring words among the answers to one sample. Where the task has a scorer of that name, its
        mean over all samples is told in place of it.
        """
        answers = sum(map(len, self.texts.values()))
        if answers != self.told[0]:
            self.told = (answers, self._measured())
        return self.told[1]

    def _measured(self) -> dict[str, float]:
        repeated = [place for place, answers in self.texts.items() if len(answers) > 1]
        found = {
            CONSISTENCY: [agreement(self.readings[place]) for place in repeated],
            DIVERSITY: [distinct_n(self.texts[place]) for place in repeated],
        }
        known = {name: [v for v in values if v is not None] for name, values in found.items()}
        return {name: fmean(values) for name, values in known.items() if values}
