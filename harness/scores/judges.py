"""The kinds of judges: by a criterion, against a reference, between two answers, and by nearness of meaning.

In: an answer, and replies. Out: questions and values; how they are put and read stands in `judge`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from harness.errors import UsageError
from harness.records import JsonValue, Message, Sample
from harness.scores.answer import Answer, target_texts
from harness.scores.arguments import build, first_argument
from harness.scores.judge import Judge, Said, TextJudge, ask_about, object_in, shown_inputs
from harness.scores.semantic import Semantic

GRADES = 5
NO_REFERENCE = "the target is no text to compare with"


@dataclass(frozen=True, kw_only=True)
class Rubric(TextJudge):
    """How well an answer meets a criterion in words.

    criterion: what is asked for, in plain words. scale: "yes_no" (1 or 0), "1-5" (grades 1 to 5 as 0, 0.25,
    0.5, 0.75, 1) or "0-1" (any number from 0 to 1).
    Source: grading by a criterion, single answer, of Zheng et al. 2023, arXiv 2306.05685, section 3.1.
    """

    criterion: str
    scale: Literal["yes_no", "1-5", "0-1"] = "yes_no"
    name: str = "rubric"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.criterion.strip():
            raise UsageError(f"judge {self.name!r}: criterion is empty; say what a good answer does")

    def tasks(self, answer: Answer) -> tuple[tuple[Message, ...], ...]:
        """One question."""
        asked = {
            "yes_no": "Say yes when it meets the criterion, else no.",
            "1-5": "Grade how well it meets the criterion, from 1, not at all, to 5, in full.",
            "0-1": "Say how well it meets the criterion, from 0, not at all, to 1, in full.",
        }[self.scale]
        role = (
            "You judge one ANSWER that a language model gave to a TASK, by this criterion alone:\n\n"
            f"{self.criterion.strip()}\n\n{asked} Length is no merit by itself."
        )
        parts = {"TASK": shown_inputs(self, answer.sample), "ANSWER": answer.text}
        values = {"yes_no": '"yes" or "no"', "1-5": "1, 2, 3, 4 or 5", "0-1": "a number from 0 to 1"}
        return (ask_about(role, parts, values[self.scale], marked=("TASK", "ANSWER")),)

    def values(self) -> Mapping[str, JsonValue]:
        """By scale."""
        if self.scale == "yes_no":
            return _YES_NO
        if self.scale == "1-5":
            return {"type": "integer", "enum": list(_GRADES)}
        return {"type": "number"}

    def read(self, found: Sequence[JsonValue]) -> float | None:
        """By scale."""
        (verdict,) = found
        if self.scale == "yes_no":
            return _yes(verdict)
        number = _number(verdict)
        if self.scale == "1-5":
            return None if number is None or number not in _GRADES else (number - 1) / (GRADES - 1)
        return number if number is not None and 0 <= number <= 1 else None


@dataclass(frozen=True, kw_only=True)
class Correctness(TextJudge):
    """1 when an answer says the same as the target, else 0; wording and form do not count.

    A list as target holds alternatives, one of which has to be met.
    Source: reference-guided grading of Zheng et al. 2023, arXiv 2306.05685, section 3.1.
    """

    name: str = "correctness"
    version: int = field(default=1, init=False)

    def fault(self, sample: Sample) -> str | None:
        """A target without a text cannot be compared with."""
        return super().fault(sample) or (None if target_texts(sample.target) else NO_REFERENCE)

    def tasks(self, answer: Answer) -> tuple[tuple[Message, ...], ...]:
        """One question."""
        role = (
            "You judge whether one ANSWER that a language model gave to a TASK is correct. The REFERENCE is "
            "correct; of several, each is. Say yes when the answer says the same in substance, whatever its "
            "wording, form or length, and contradicts none of it; else no."
        )
        parts = {
            "TASK": shown_inputs(self, answer.sample),
            "REFERENCE": "\n--- or ---\n".join(target_texts(answer.sample.target)),
            "ANSWER": answer.text,
        }
        return (ask_about(role, parts, '"yes" or "no"', marked=("TASK", "REFERENCE", "ANSWER")),)

    def values(self) -> Mapping[str, JsonValue]:
        """Yes or no."""
        return _YES_NO

    def read(self, found: Sequence[JsonValue]) -> float | None:
        """1 or 0."""
        return _yes(found[0])


@dataclass(frozen=True, kw_only=True)
class Preference(TextJudge):
    """Whether an answer is better than another one to the same task: 1 better, 0.5 no difference, 0 worse.

    criterion: what makes an answer better, in plain words. against: the input that holds the other answer,
    which the judge then sees in that place alone; `None`: the target. Each judge is asked twice, with the two
    in both orders: when it prefers the same seat twice, that is no difference.
    Source: pairwise comparison with swapped positions, Zheng et al. 2023, arXiv 2306.05685, section 3.4;
    there a pair that flips is a tie as well.
    """

    criterion: str = "It helps whoever asked more: correct, complete, clear, and no longer than it need be."
    against: str | None = None
    name: str = "preference"
    version: int = field(default=1, init=False)

    def fault(self, sample: Sample) -> str | None:
        """Without another answer there is nothing to prefer."""
        if self.against is not None and not isinstance(sample.inputs.get(self.against), str):
            return f"the row has no text {self.against!r} to compare with"
        if self.against is None and not target_texts(sample.target):
            return NO_REFERENCE
        return super().fault(sample)

    def tasks(self, answer: Answer) -> tuple[tuple[Message, ...], ...]:
        """Two questions: the answer stands first, then second."""
        role = (
            "You compare two answers, FIRST and SECOND, to one TASK, by this criterion alone:\n\n"
            f"{self.criterion.strip()}\n\nSay which is better, or tie. Their order means nothing, and length "
            "is no merit by itself."
        )
        sample, other = answer.sample, self._other(answer.sample)
        hidden = {name: value for name, value in sample.inputs.items() if name != self.against}
        task = shown_inputs(self, Sample(id=sample.id, inputs=hidden, target="", split=sample.split))
        return tuple(
            ask_about(
                role,
                {"TASK": task, "FIRST": first, "SECOND": second},
                '"first", "second" or "tie"',
                marked=("TASK", "FIRST", "SECOND"),
            )
            for first, second in ((answer.text, other), (other, answer.text))
        )

    def values(self) -> Mapping[str, JsonValue]:
        """first, second or tie."""
        return {"type": "string", "enum": ["first", "second", "tie"]}

    def read(self, found: Sequence[JsonValue]) -> float | None:
        """The mean of both orders, where two that contradict each other are 0.5."""
        points = [_SEATS[order].get(_word(verdict)) for order, verdict in enumerate(found)]
        return None if None in points else sum(cast("list[float]", points)) / len(points)

    def firsts(self, replies: Sequence[Said]) -> tuple[bool, ...]:
        """Ties and replies without a verdict are left out."""
        found = [object_in(reply) for reply in replies if isinstance(reply, str)]
        words = [_word(one["verdict"]) for one in found if not isinstance(one, str)]
        return tuple(word == "first" for word in words if word in ("first", "second"))

    def _other(self, sample: Sample) -> str:
        if self.against is not None:
            return str(sample.inputs.get(self.against, ""))
        return next(iter(target_texts(sample.target)), "")


JUDGES: Mapping[str, type[Judge]] = {
    "rubric": Rubric,
    "correctness": Correctness,
    "preference": Preference,
    "semantic": Semantic,
}


def build_judge(form: str | Mapping[str, JsonValue]) -> Judge | None:
    """The judge that an entry of `task.scorers` asks for; `None` when it names no judge.

    Raises UsageError for a wrong or missing argument, and for a name that is nearly one of a judge.
    """
    name = form if isinstance(form, str) else next(iter(form), "")
    if name not in JUDGES:
        if meant := difflib.get_close_matches(str(name).casefold(), JUDGES, n=1, cutoff=0.8):
            raise UsageError(f"unknown scorer {name!r}; did you mean the judge {meant[0]!r}?")
        return None
    given = None if isinstance(form, str) else form[name]
    kind = JUDGES[name]
    arguments = given if isinstance(given, dict) else {first_argument(kind): given}
    return build(f"judge {name!r}", kind, {} if given is None else arguments)


def _yes(verdict: JsonValue) -> float | None:
    if isinstance(verdict, bool):
        return float(verdict)
    return {"yes": 1.0, "no": 0.0}.get(_word(verdict))


def _word(verdict: JsonValue) -> str:
    return verdict.strip().casefold() if isinstance(verdict, str) else ""


def _number(verdict: JsonValue) -> float | None:
    if isinstance(verdict, bool) or not isinstance(verdict, int | float | str):
        return None
    try:
        return float(verdict)
    except (ValueError, OverflowError):
        return None


_GRADES = range(1, GRADES + 1)
_YES_NO: Mapping[str, JsonValue] = {"type": "string", "enum": ["yes", "no"]}
# Points of the judged answer by the order of the question: it stands first, then second.
_SEATS: tuple[Mapping[str, float], ...] = (
    {"first": 1.0, "tie": 0.5, "second": 0.0},
    {"first": 0.0, "tie": 0.5, "second": 1.0},
)
