"""The targets of a task, held against its scorers while the rows are read.

In: scorers, and rows. Out: what is wrong with a target that no answer could ever be judged against. Spends
nothing; what a scorer can judge is asked of the scorer itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.fingerprint import canonical
from harness.plan.columns import Fault, Row, no_target
from harness.records import JsonValue, Sample
from harness.scores.answer import Scorer
from harness.scores.combined import judges_in, part_fault
from harness.scores.judge import Judge

# Labels repeat and are asked about once. Free texts hardly repeat: past this many, none is remembered.
MOST_REMEMBERED = 10_000


class TargetCheck:
    """Asks each scorer whether it can judge a row's own target, given as the answer.

    A sample that a scorer cannot judge stays unscored whatever a model says: a fault of the row or of the
    scorer's arguments, to be told before money is spent.
    """

    def __init__(self, scorers: Sequence[Scorer | Judge]) -> None:
        self._scorers = tuple(scorers)
        self._known: dict[tuple[bool, str], str | Fault | None] = {}

    def row(self, row: Row) -> str | Fault | None:
        """Why the target of this row cannot be judged; `None` when every scorer can."""
        # A judge looks at the inputs as well, so that a target alone tells nothing about its row.
        if row.target is None or any(judges_in(scorer) for scorer in self._scorers):
            return self._fault(row)
        key = _key(row.target)
        if key in self._known:
            return self._known[key]
        fault = self._fault(row)
        if len(self._known) < MOST_REMEMBERED:
            self._known[key] = fault
        return fault

    def _fault(self, row: Row) -> str | Fault | None:
        sample = sample_of(row)
        for scorer in self._scorers:
            fault = part_fault(scorer, sample)
            if fault is not None and row.target is None and _about_target(scorer, sample, fault):
                return no_target(row, f"scorer {scorer.name!r}")
            if fault is not None:
                return f"{fault}; correct the row, or scorer {scorer.name!r}"
        return None


def _about_target(scorer: Scorer | Judge, sample: Sample, fault: str) -> bool:
    """Whether this fault of a sample without target would be another one with a target."""
    return part_fault(scorer, replace(sample, target="x")) != fault


def sample_of(row: Row) -> Sample:
    """The row as a sample, for a scorer to look at; neither its split nor its group matters here."""
    return Sample(
        id=row.id,
        inputs=row.inputs,
        target=row.target,
        split="search",
        metadata=row.metadata,
    )


def _key(target: JsonValue) -> tuple[bool, str]:
    """The target as a key: the text "1" and the number 1 are two targets."""
    return (True, target) if isinstance(target, str) else (False, canonical(target))
