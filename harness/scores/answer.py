"""What a scorer is given, and what it has to be.

In: a sample and the text that a model gave for it, or all texts that it gave. Out: one `Score`. Nothing here
judges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from harness.records import JsonValue, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a model, with the sample it was given for.

    text: the answer as received; empty when the model said nothing. repeat: counted from 0.
    finish_reason: "stop", "length" or the provider's own word; `None` when it did not say.
    """

    sample: Sample
    text: str
    repeat: int = 0
    finish_reason: str | None = None


class Scorer(Protocol):
    """Judges one answer, the same way each time it is asked.

    An implementation is a frozen dataclass: its fields are the arguments that a spec may give, the
    first of them being the one meant by the short form `name: value`.
    """

    @property
    def name(self) -> str:
        """What its scores are called, unique within a task."""
        ...

    @property
    def version(self) -> int:
        """Raised by one whenever the same answer may get another score than before."""
        ...

    def score(self, answer: Answer) -> Score:
        """The judgement; its value is `None`, with a reason, when the sample cannot be judged."""
        ...


@runtime_checkable
class Slow(Protocol):
    """A scorer whose work can begin before its judgement is asked for."""

    def begin(self, answer: Answer) -> None:
        """Begin, and return at once; `score` of the same answer waits for the end."""
        ...


@runtime_checkable
class RepeatScorer(Protocol):
    """Judges all answers to one sample together, such as how far they agree; else as a `Scorer`."""

    @property
    def name(self) -> str:
        """What its scores are called, unique within a task."""
        ...

    @property
    def version(self) -> int:
        """Raised by one whenever the same answers may get another score than before."""
        ...

    def score_repeats(self, answers: Sequence[Answer]) -> Score:
        """The judgement, whatever the order of the answers; they are one sample's, at least one of them."""
        ...


AnyScorer: TypeAlias = Scorer | RepeatScorer


@runtime_checkable
class ChecksSamples(Protocol):
    """A scorer that says by itself whether it can judge a sample, for judging takes long or runs code."""

    def fault(self, sample: Sample) -> str | None:
        """Why no answer to this sample could be judged; `None` when it can."""
        ...

    def target_label(self, sample: Sample) -> str | None:
        """The label that it reads from the target; `None` for none."""
        ...


def judged(
    scorer: AnyScorer, answer: Answer, value: float | None, *, label: str | None = None, reason: str = ""
) -> Score:
    """The score of this answer under the scorer's name and version."""
    return Score(
        sample_id=answer.sample.id,
        repeat=answer.repeat,
        scorer=scorer.name,
        version=scorer.version,
        value=value,
        label=label,
        reason=reason,
    )


def names_classes(scorer: object) -> bool:
    """Whether the labels of this scorer stand for classes, and not, as numbers do, for what was computed."""
    return bool(getattr(scorer, "of_classes", True))


def sample_fault(scorer: Scorer, sample: Sample) -> str | None:
    """Why this scorer can judge no answer to the sample; `None` when it can.

    Unless the scorer tells it by itself (`ChecksSamples`), it is asked to judge the target as an answer.
    """
    if isinstance(scorer, ChecksSamples):
        return scorer.fault(sample)
    texts = target_texts(sample.target)
    score = scorer.score(Answer(sample=sample, text=texts[0] if texts else "", finish_reason="stop"))
    return score.reason if score.value is None else None


def target_label(scorer: AnyScorer, sample: Sample) -> str | None:
    """The label that this scorer reads from the sample's own target; the first one of alternatives.

    It names a target as the scorer names answers (an alias becomes its label), which is what a metric
    over labels compares. `None` for a scorer that reads no labels, or a target it cannot read.
    """
    if isinstance(scorer, ChecksSamples):
        return scorer.target_label(sample)
    texts = target_texts(sample.target)
    if not texts or isinstance(scorer, RepeatScorer):
        return None
    return scorer.score(Answer(sample=sample, text=texts[0])).label


def target_texts(target: JsonValue) -> tuple[str, ...]:
    """The accepted answers as texts; empty when the target holds none.

    A list holds alternatives. Numbers, true and false become their JSON text. `None`, a mapping, and
    a list with anything but texts, numbers and booleans in it are no target at all.
    """
    if isinstance(target, str):
        return (target,)
    options: Sequence[JsonValue] = target if isinstance(target, list) else [target]
    if not all(isinstance(option, str | int | float) for option in options):
        return ()
    return tuple(option if isinstance(option, str) else json.dumps(option) for option in options)
