"""A task: what is asked, on which rows, and how answers are judged; or several of them as one.

In: what `task_draft` found. Out: records that calls, trials and outputs read. This file opens nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.plan.embedding import Embedding, document_name
from harness.plan.joined import JoinedRows, task_of
from harness.plan.labelled import Labelled
from harness.plan.long_inputs import LongInputs
from harness.plan.rows import Rows
from harness.plan.shots import Shots
from harness.prompts import Prompt, written_out
from harness.records import JsonValue, Message, Purpose, Sample
from harness.scores.combined import code_of, judges_in
from harness.scores.judge import Judge
from harness.scores.scorer import RepeatScorer, Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked and how answers are judged.

    scorers: of single answers, the first gives the quality. repeat_scorers: of all answers to a sample.
    scorer_forms: both as the spec wrote them. slices: metadata fields that quality is shown by; `None`: all
    with few values. labelled: answers of known quality by the name of the judge that is measured with
    them. shots: examples by prompt variant, of those that show some. embedding: what vectors are
    for, in a task that has no scorers; `None` in a task of texts. parts: the tasks that this one is made
    of, whose weights add up to 1: its quality is their mean by weight, its prompts are those of the first
    part, and each part has its own scorers. Without parts, it is the only one.
    """

    name: str
    rows: Rows | JoinedRows
    prompts: Mapping[str, Prompt]
    scorers: tuple[Scorer | Judge, ...]
    metric: str
    repeats: int
    scorer_forms: tuple[JsonValue, ...] = ()
    repeat_scorers: tuple[RepeatScorer, ...] = ()
    slices: tuple[str, ...] | None = None
    labelled: Mapping[str, tuple[Labelled, ...]] = field(
        default_factory=dict[str, "tuple[Labelled, ...]"], repr=False
    )
    shots: Mapping[str, Shots] = field(default_factory=dict[str, Shots], repr=False)
    embedding: Embedding | None = None
    weight: float = 1.0
    parts: tuple[Task, ...] = ()
    long_inputs: LongInputs | None = None

    @property
    def each(self) -> tuple[Task, ...]:
        """The tasks that samples belong to: the parts, or this one."""
        return self.parts or (self,)

    def of(self, sample_id: str) -> Task:
        """The task that this sample belongs to."""
        name = task_of(sample_id)
        return next((part for part in self.parts if part.name == name), self)

    def messages(self, prompt: str, sample: Sample) -> tuple[Message, ...]:
        """The first of `each_piece`, which is the only one but for a long input. Raises likewise."""
        return next(self.each_piece(prompt, sample))

    def each_piece(self, prompt: str, sample: Sample) -> Iterator[tuple[Message, ...]]:
        """What is asked about each chunk of this sample in this variant.

        In a task of vectors, each text that is embedded is one message. Raises PromptError as `Prompt.render`
        does.
        """
        if self.parts:
            return self.of(sample.id).each_piece(prompt, sample)
        template, shots = self.prompts[prompt], self.shots.get(prompt)
        if self.embedding is not None:
            return iter((tuple(Message("user", text) for text in self.embedding.asked(template, sample)),))
        shown = () if shots is None else shots.of(sample)
        if self.long_inputs is not None:
            return self.long_inputs.rendered(template, sample.inputs, shown)
        return iter((template.render(sample.inputs, shown),))

    def templates(self) -> dict[str, str]:
        """The templates by variant; of parts, by `TASK/VARIANT`; of documents, by `document_name`."""
        if not self.parts:
            documents = {} if self.embedding is None else self.embedding.documents
            named = {document_name(name): prompt.source for name, prompt in documents.items()}
            return {name: self.template(name) for name in self.prompts} | named
        return {f"{one.name}/{name}": one.template(name) for one in self.parts for name in one.prompts}

    def template(self, prompt: str) -> str:
        """The template of this variant for an application, its examples written out; not of several tasks."""
        source, shots = self.prompts[prompt].source, self.shots.get(prompt)
        return source if shots is None or not shots.n else written_out(source, shots.first())

    @property
    def studies(self) -> Purpose:
        """What its calls are for, those of judges apart."""
        return "answer" if self.embedding is None else "embed"

    @property
    def judges(self) -> tuple[Judge, ...]:
        """The scorers that ask models, also inside of others, those of parts included, each once."""
        found = [judge for task in self.each for one in task.scorers for judge in judges_in(one)]
        return tuple({judge.name: judge for judge in found}.values())

    @property
    def judge_calls(self) -> float:
        """Calls for each answer beside its own: of judges, or for the other text of a pair.

        Of parts, on average by their weights.
        """
        if self.embedding is not None:
            return int(self.embedding.of_pairs)
        if self.parts:
            return math.fsum(part.weight * part.judge_calls for part in self.parts)
        return sum(judge.asked_per_answer for judge in self.judges)


def asked_of(task: Task) -> dict[str, object]:
    """What is asked and how it is judged."""
    code = code_of((*task.scorers, *task.repeat_scorers))
    return {
        "prompts": {name: prompt.source for name, prompt in task.prompts.items()},
        "scorers": [(one.name, one.version) for one in (*task.scorers, *task.repeat_scorers)],
        "scorer_forms": task.scorer_forms,
        "metric": task.metric,
        **({"code": code} if code else {}),
        **({"shots": task.shots} if task.shots else {}),
        **({} if task.long_inputs is None else {"long_inputs": task.long_inputs.form()}),
    }
