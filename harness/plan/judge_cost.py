"""What judging costs, before anything is spent.

In: a plan and a few of its samples. Out: the calls and dollars that judges take for one answer, and for being
measured. Sends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.catalogue.bounds import most_embedded_tokens, most_input_tokens, most_output_tokens
from harness.catalogue.models import price_usd, worst_case_usd
from harness.plan.beside import CHARACTERS_PER_TOKEN, estimated_beside, estimated_tokens
from harness.plan.corpus_cost import corpus_calls
from harness.plan.plan import Plan
from harness.records import Sample, Usage
from harness.scores.answer import Answer, target_texts
from harness.scores.judge import Question

VERDICT_TOKENS = 60  # a sentence and a word
LONGEST_GUESSED = 1000  # tokens of an answer whose length nothing limits
MOST_CHARACTERS = 8  # of a token: more are rare
PRICED_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCost:
    """Judging one answer: calls, on average where tasks differ, and USD of all of them together.

    short_usd: an answer as short as its target. usd: one as long as the settings allow. most_usd: the same
    with a token per byte and the longest verdicts. measured_calls, measured_usd: for the labelled answers,
    or for the corpus of an embedding task, once.
    """

    calls: float = 0
    short_usd: float = 0.0
    usd: float = 0.0
    most_usd: float = 0.0
    measured_calls: int = 0
    measured_usd: float = 0.0


def judge_cost(plan: Plan, samples: Sequence[Sample]) -> JudgeCost:
    """What the judges of this plan cost, or a corpus and the other texts of pairs; nothing without any."""
    if plan.task.embedding is not None:
        calls, usd = corpus_calls(plan)
        return JudgeCost(calls=plan.task.judge_calls, measured_calls=calls, measured_usd=usd)
    if not plan.task.judges:
        return JudgeCost()
    some = samples[:PRICED_ROWS]
    short = [Answer(sample=one, text=next(iter(target_texts(one.target)), "")) for one in some]
    words = "word " * round(_answer_tokens(plan) * CHARACTERS_PER_TOKEN / 5)
    full = [Answer(sample=one, text=words) for one in some]
    most = [Answer(sample=one, text=words * round(MOST_CHARACTERS / CHARACTERS_PER_TOKEN)) for one in some]
    labelled = {name: [one.answer for one in known] for name, known in plan.task.labelled.items()}
    return JudgeCost(
        calls=plan.task.judge_calls,
        short_usd=_usd(plan, short) / len(some),
        usd=_usd(plan, full) / len(some),
        most_usd=_usd(plan, most, worst=True) / len(some),
        measured_calls=sum(
            judge.asked_per_answer * len(labelled.get(judge.name, ())) for judge in plan.task.judges
        ),
        measured_usd=math.fsum(_usd(plan, answers, only=name) for name, answers in labelled.items()),
    )


def _usd(plan: Plan, answers: Iterable[Answer], *, worst: bool = False, only: str | None = None) -> float:
    own = [judge for judge in plan.task.judges if judge.name == only]
    return math.fsum(
        _question_usd(plan, question, worst=worst)
        for answer in answers
        for judge in (own if only is not None else plan.task.of(answer.sample.id).judges)
        for question in judge.questions(answer)
    )


def _question_usd(plan: Plan, question: Question, *, worst: bool) -> float:
    model = plan.judge_models[question.model]
    assert model.prices is not None, "a plan holds only models with prices"
    if question.text is not None:
        tokens = most_embedded_tokens([question.text]) if worst else estimated_tokens(len(question.text))
        return price_usd(Usage(input_tokens=tokens, output_tokens=0), model.prices)
    texts = [message.content for message in question.messages]
    longest = question.max_output_tokens
    if worst:
        tokens = most_input_tokens(texts, question.beside)
        return worst_case_usd(tokens, most_output_tokens(longest, model), model.prices)
    tokens = estimated_tokens(sum(len(text) for text in texts)) + estimated_beside(question.beside)
    written = VERDICT_TOKENS if longest is None else min(longest, VERDICT_TOKENS)
    return price_usd(Usage(input_tokens=tokens, output_tokens=written), model.prices)


def _answer_tokens(plan: Plan) -> int:
    limits = [
        most_output_tokens(plan.space.defaults[name].max_output_tokens, model)
        for name, model in plan.models.items()
    ]
    return max(limit or LONGEST_GUESSED for limit in limits)
