"""Judges, asked about answers like everybody else.

In: answers as they arrive, and a way to ask. Out: the same answers with what judges said of them. Judges'
calls go through the engine, store and ledger of all others, under the purpose "judge", or "embed" where a
judge reads vectors; what they cost stays apart.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

from harness.errors import InconclusiveError
from harness.plan.plan import Plan
from harness.records import UNSENT, Call, CallFailure, Completion, Outcome, Sample, Settings
from harness.scores.answer import Answer, Slow
from harness.scores.combined import leaves
from harness.scores.judge import Judge, Question, Said

T = TypeVar("T")
Send: TypeAlias = "Callable[[Iterable[Call]], Iterator[Outcome]]"
TOGETHER = 64  # answers judged at a time: enough to fill the line, few enough to lose nothing
AT_A_TIME = os.cpu_count() or 1  # answers with slow scorers at work on them
OF_PROVIDER = ("credentials", "quota")  # what meets every model of a provider alike
HOPELESS = (*OF_PROVIDER, "not_found", "down")  # what every further call would meet as well


@dataclass(frozen=True, slots=True)
class Arrived(Generic[T]):
    """An outcome, what it was asked for, and the sample that it answers."""

    asked: T
    outcome: Outcome
    sample: Sample


@dataclass(slots=True)
class Replies:
    """What judges said of one answer, by the judge's name; `None`: a call that failed or was not sent.

    usd: list price of it. unsent: whether a judge was not asked, for want of budget or because the run was
    stopped: then the answer has no score yet. hopeless: why a model of a judge cannot be asked any more, by
    the judge's name.
    """

    texts: dict[str, list[Said]] = field(default_factory=dict[str, "list[Said]"])
    usd: float = 0.0
    unsent: bool = False
    hopeless: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Judged(Generic[T]):
    """An outcome with what judges said of it; nothing of a failed call, or in a task without judges."""

    asked: T
    outcome: Outcome
    sample: Sample
    replies: Replies


NOTHING_SAID = Replies()


def judge_each(
    plan: Plan, arrived: Iterable[Arrived[T]], send: Send, *, stops: bool = False
) -> Iterator[Judged[T]]:
    """These outcomes with what judges say of them, in order; where judges are asked, some at a time.

    send: `Engine.run`, or `Engine.recall` where nothing may be sent. stops: raise InconclusiveError when a
    judge cannot be asked any more, after the outcomes at hand were given without a verdict of it.
    """
    arrived = _begun(plan, arrived)
    if not plan.task.judges:
        for one in arrived:
            yield Judged(one.asked, one.outcome, one.sample, NOTHING_SAID)
        return
    source = iter(arrived)
    while some := list(islice(source, TOGETHER)):
        replies = _judge(plan, some, send)
        for one, said in zip(some, replies, strict=True):
            yield Judged(one.asked, one.outcome, one.sample, said)
        if stops:
            for judge in plan.task.judges:
                _stop_without(judge, replies)


def _begun(plan: Plan, arrived: Iterable[Arrived[T]]) -> Iterator[Arrived[T]]:
    """These outcomes in order, a few behind where scorers take their time, so that they work side by side."""
    slow = {
        part.name: [leaf for one in part.scorers for leaf in leaves(one) if isinstance(leaf, Slow)]
        for part in plan.task.each
    }
    if not any(slow.values()):
        yield from arrived
        return
    behind: deque[Arrived[T]] = deque()
    for one in arrived:
        if not isinstance(one.outcome, CallFailure):
            for scorer in slow[plan.task.of(one.sample.id).name]:
                scorer.begin(answer_of(one.outcome, one.sample))
        behind.append(one)
        if len(behind) > AT_A_TIME:
            yield behind.popleft()
    yield from behind


def judge_call(plan: Plan, judge: Judge, question: Question, sample_id: str) -> Call:
    """The call that puts this question.

    A conversation is greedy where the model takes a temperature, and the same for equal answers: one is
    judged once. So is a text to embed.
    """
    task = plan.task.of(sample_id).name
    if question.text is not None:
        settings = Settings(model=question.model, prompt=judge.name)
        return Call(
            settings=settings, texts=(question.text,), sample_id=sample_id, purpose="embed", task=task
        )
    takes = plan.judge_models[question.model].settings
    settings = Settings(
        model=question.model,
        prompt=judge.name,
        temperature=0.0 if "temperature" in takes else None,
        max_output_tokens=question.max_output_tokens if "max_output_tokens" in takes else None,
        extra=question.beside,
    )
    return Call(
        settings=settings, messages=question.messages, sample_id=sample_id, purpose="judge", task=task
    )


def ask_judge(
    plan: Plan, judge: Judge, answers: Iterable[Answer], send: Send
) -> Iterator[tuple[Answer, Replies]]:
    """These answers with what this judge said of them."""
    source = iter(answers)
    while some := list(islice(source, TOGETHER)):
        said = _put(plan, [(place, judge, answer) for place, answer in enumerate(some)], send)
        yield from ((answer, said[place]) for place, answer in enumerate(some))


def _judge(plan: Plan, some: Sequence[Arrived[T]], send: Send) -> list[Replies]:
    """What all judges of the task say of these outcomes, by place."""
    asked = [
        (place, judge, answer_of(one.outcome, one.sample))
        for place, one in enumerate(some)
        if not isinstance(one.outcome, CallFailure)
        for judge in plan.task.of(one.sample.id).judges
    ]
    said = _put(plan, asked, send)
    return [said.get(place, Replies()) for place in range(len(some))]


def _put(plan: Plan, asked: Sequence[tuple[int, Judge, Answer]], send: Send) -> dict[int, Replies]:
    """Put all questions of these judges about these answers, and gather what is said, by place."""
    said: dict[int, Replies] = {}
    under_way: dict[int, tuple[int, str, int]] = {}
    calls: list[Call] = []
    for place, judge, answer in asked:
        questions = judge.questions(answer)
        said.setdefault(place, Replies()).texts[judge.name] = [None] * len(questions)
        for number, question in enumerate(questions):
            call = judge_call(plan, judge, question, answer.sample.id)
            under_way[id(call)] = (place, judge.name, number)
            calls.append(call)
    for outcome in send(calls):
        place, name, number = under_way[id(outcome.call)]
        _note(said[place], name, number, outcome)
    return said


def _note(replies: Replies, name: str, number: int, outcome: Outcome) -> None:
    if isinstance(outcome, CallFailure):
        replies.unsent = replies.unsent or outcome.kind in UNSENT
        if outcome.kind in HOPELESS:
            replies.hopeless[name] = f"{outcome.call.settings.model} ({outcome.kind}): {outcome.message}"
        return
    reply = outcome.reply
    replies.texts[name][number] = reply.vectors[0] if reply.vectors else reply.text or ""
    replies.usd += outcome.price_usd or 0.0


def _stop_without(judge: Judge, replies: Sequence[Replies]) -> None:
    """Raise InconclusiveError when this judge lost a model for good, and has no verdict on any answer."""
    gone = next((said.hopeless[judge.name] for said in replies if judge.name in said.hopeless), "")
    asked = [said.texts[judge.name] for said in replies if judge.name in said.texts]
    if gone and not any(judge.has_verdict(texts) for texts in asked):
        raise InconclusiveError(
            f"the judge cannot be asked: {gone}; answers are unscored from here on, so the run ends. Mend it "
            "and run again: answers that were paid are not paid twice"
        )


def answer_of(outcome: Completion, sample: Sample) -> Answer:
    """The answer as scorers and judges see it."""
    return Answer(
        sample=sample,
        text=outcome.reply.text or "",
        repeat=outcome.call.repeat,
        finish_reason=outcome.reply.finish_reason,
    )
