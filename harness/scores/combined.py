"""Scorers made of scorers: `all`, `any`, `weighted`.

In: an answer. Out: one score from those of the parts, with their reasons. What a part could not judge is
never taken for a 0; that of a judge comes from the replies that it was given, which are asked for elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from harness.errors import UsageError
from harness.scores.answer import (
    Answer,
    AnyScorer,
    Scorer,
    judged,
    names_classes,
    sample_fault,
    target_label,
)
from harness.scores.judge import Judge, Said
from harness.scores.own import Own, OwnRepeats

if TYPE_CHECKING:
    from harness.records import Sample, Score

Replied: TypeAlias = Mapping[str, Sequence[Said]]  # replies to a judge's questions, by its name
NOTHING: Replied = {}
ROUNDING = 1e-9  # 0.2 and 0.7 of 0.2, 0.7 and 0.1 are a little less than 0.9


@dataclass(frozen=True)
class Composition:
    """What scorers made of scorers have in common. scorers: the parts, in the forms that a task takes."""

    scorers: tuple[Scorer | Judge, ...]

    @property
    def of_classes(self) -> bool:
        """Whether the labels of all parts stand for classes."""
        return all(map(names_classes, self.scorers))

    def score(self, answer: Answer, replies: Replied = NOTHING) -> Score:
        """The judgement. replies: to the questions of the judges among the parts."""
        raise NotImplementedError

    def fault(self, sample: Sample) -> str | None:
        """Why no answer to this sample could be judged."""
        faults = ((scorer.name, part_fault(scorer, sample)) for scorer in self.scorers)
        return next((f"{name}: {fault}" for name, fault in faults if fault is not None), None)

    def target_label(self, sample: Sample) -> str | None:
        """The label of the first part that reads one from the target."""
        plain = [scorer for scorer in self.scorers if not isinstance(scorer, Judge)]
        labels = (target_label(scorer, sample) for scorer in plain)
        return next((label for label in labels if label is not None), None)

    def _parts(self, answer: Answer, replies: Replied) -> list[Score]:
        return [part_score(scorer, answer, replies) for scorer in self.scorers]


@dataclass(frozen=True)
class AllOf(Composition):
    """The lowest score of the parts: 1 if all of them give 1.

    scorers: the parts, in the forms that a task takes. Unscored when a part is and none gives 0. The label is
    that of the first part that has one.
    Source: the minimum, the "and" of many values of truth (Zadeh 1965); of 0 and 1, the plain one.
    """

    scorers: tuple[Scorer | Judge, ...]
    name: str = "all"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        _require_parts(self.name, self.scorers)

    def score(self, answer: Answer, replies: Replied = NOTHING) -> Score:
        """Value from 0 to 1; the reasons of the parts below 1."""
        scores = self._parts(answer, replies)
        known = [score.value for score in scores if score.value is not None]
        unclear = len(known) < len(scores) and 0.0 not in known
        return judged(
            self, answer, None if unclear else min(known), label=_label(scores), reason=_reasons(scores)
        )


@dataclass(frozen=True)
class AnyOf(Composition):
    """The highest score of the parts: 1 if one of them gives 1.

    scorers: the parts, in the forms that a task takes. Unscored when a part is and none gives 1. The label is
    that of the first part that has one.
    Source: the maximum, the "or" of many values of truth (Zadeh 1965); of 0 and 1, the plain one.
    """

    scorers: tuple[Scorer | Judge, ...]
    name: str = "any"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        _require_parts(self.name, self.scorers)

    def score(self, answer: Answer, replies: Replied = NOTHING) -> Score:
        """Value from 0 to 1; below 1, the reasons of all parts."""
        scores = self._parts(answer, replies)
        known = [score.value for score in scores if score.value is not None]
        unclear = len(known) < len(scores) and 1.0 not in known
        value = None if unclear else max(known)
        return judged(
            self, answer, value, label=_label(scores), reason="" if value == 1.0 else _reasons(scores)
        )


@dataclass(frozen=True)
class Weighted(Composition):
    """The weighted mean of the parts, from 0 to 1.

    scorers: the parts, in the forms that a task takes. weights: one number from 0 up for each, equal without
    them; only their proportions matter. at_least: the score is then 1 when the mean is this high, else 0.
    Unscored when a part with a weight is. The label is that of the first part that has one.
    Source: the weighted arithmetic mean.
    """

    scorers: tuple[Scorer | Judge, ...]
    weights: tuple[float, ...] = ()
    at_least: float | None = None
    name: str = "weighted"
    version: int = field(default=2, init=False)

    def __post_init__(self) -> None:
        _require_parts(self.name, self.scorers)
        weights = self._weights
        if len(weights) != len(self.scorers):
            raise UsageError(
                f"scorer {self.name!r}: {len(weights)} weights for {len(self.scorers)} scorers; give one each"
            )
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise UsageError(
                f"scorer {self.name!r}: weights are {list(weights)!r}; expected numbers from 0 up"
            )
        if self.at_least is not None and not 0 < self.at_least <= 1:
            raise UsageError(
                f"scorer {self.name!r}: at_least is {self.at_least!r}, expected a number in (0, 1]"
            )

    @property
    def _weights(self) -> tuple[float, ...]:
        return self.weights or (1.0,) * len(self.scorers)

    def score(self, answer: Answer, replies: Replied = NOTHING) -> Score:
        """Value from 0 to 1; the reasons of the parts below 1."""
        scores = self._parts(answer, replies)
        pairs = [(weight, score.value) for weight, score in zip(self._weights, scores, strict=True) if weight]
        known = [weight * value for weight, value in pairs if value is not None]
        value = None if len(known) < len(pairs) else min(1.0, math.fsum(known) / math.fsum(self._weights))
        reason = _reasons(scores)
        if value is not None and self.at_least is not None:
            reached = value >= self.at_least - ROUNDING
            reason = "" if reached else f"mean {value:.3g} of {self.at_least:g}; {reason}"
            value = float(reached)
        return judged(self, answer, value, label=_label(scores), reason=reason)


def leaves(scorer: AnyScorer | Judge) -> tuple[AnyScorer | Judge, ...]:
    """The scorers and judges that this one is made of, in order; itself when it is made of none."""
    if not isinstance(scorer, Composition):
        return (scorer,)
    return tuple(leaf for part in scorer.scorers for leaf in leaves(part))


def judges_in(scorer: AnyScorer | Judge) -> tuple[Judge, ...]:
    """The judges that this scorer is or is made of, in order."""
    return tuple(leaf for leaf in leaves(scorer) if isinstance(leaf, Judge))


def code_of(scorers: Iterable[AnyScorer | Judge]) -> dict[str, str]:
    """Fingerprints of the code that these scorers were loaded from, by name; of own ones alone."""
    own = (leaf for scorer in scorers for leaf in leaves(scorer) if isinstance(leaf, Own | OwnRepeats))
    return {scorer.name: scorer.code for scorer in own if scorer.code}


def may_be_silent(scorer: AnyScorer | Judge) -> bool:
    """Whether no verdict says nothing of the answer: a judge failed, or no sandbox ran its program."""
    if isinstance(scorer, Composition):
        return any(map(may_be_silent, scorer.scorers))
    return isinstance(scorer, Judge) or bool(getattr(scorer, "runs_code", False))


def with_judges(scorer: Scorer | Judge, judges: Mapping[str, Judge]) -> Scorer | Judge:
    """The scorer with these judges, by name, in the place of those that it is or is made of."""
    if isinstance(scorer, Judge):
        return judges.get(scorer.name, scorer)
    if not judges_in(scorer) or not isinstance(scorer, Composition):
        return scorer
    return replace(scorer, scorers=tuple(with_judges(part, judges) for part in scorer.scorers))


def part_score(scorer: Scorer | Judge, answer: Answer, replies: Replied) -> Score:
    """The judgement of this scorer; unscored for a judge without replies, which was not asked."""
    if isinstance(scorer, Judge):
        asked = scorer.name in replies
        return scorer.score(answer, replies[scorer.name]) if asked else scorer.unasked(answer)
    if isinstance(scorer, Composition):
        return cast("Composition", scorer).score(answer, replies)
    return scorer.score(answer)


def part_fault(scorer: Scorer | Judge, sample: Sample) -> str | None:
    """Why this scorer can judge no answer to the sample; `None` when it can."""
    return scorer.fault(sample) if isinstance(scorer, Judge) else sample_fault(scorer, sample)


def _require_parts(name: str, scorers: Sequence[Scorer | Judge]) -> None:
    if not scorers:
        raise UsageError(f"scorer {name!r}: scorers is empty; list the scorers that it is made of")


def _label(scores: Sequence[Score]) -> str | None:
    return next((score.label for score in scores if score.label is not None), None)


def _reasons(scores: Sequence[Score]) -> str:
    """What the parts below 1 say, each with its name."""
    return "; ".join(f"{score.scorer}: {score.reason or 'below 1'}" for score in scores if score.value != 1.0)
