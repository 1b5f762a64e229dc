"""Ask arms the same samples and score what comes back. Nothing is decided here.

In: arms and positions of samples. Out: the arms, with evidence added. Calls are interleaved by sample,
so that time of day and prompt caches meet all settings alike.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from harness.calls.engine import Engine
from harness.fingerprint import share
from harness.plan.plan import Plan
from harness.records import AnswerRow, Call, CallFailure, Message, Outcome, Sample, Score, Settings
from harness.scores.judge import Judge
from harness.trials.evidence import Arm
from harness.trials.judging import NOTHING_SAID, Arrived, Judged, answer_of, judge_each

SEEDS = 2**31  # providers take seeds of 31 bits
UNSENT = ("budget", "cancelled")
OF_PROVIDER = ("credentials", "quota")  # what meets every model of a provider alike
HOPELESS = (*OF_PROVIDER, "not_found", "down")  # what every further call would meet as well


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a call under way was made for. The sample is read from disk once for all arms that meet it."""

    arm: Arm
    position: int
    sample: Sample


@dataclass(slots=True)
class Answered:
    """How asking ended. complete: False when the budget refused calls, or the run was stopped.

    gone: models that cannot be asked any more, with the cause; their further calls were not sent.
    """

    complete: bool = True
    gone: dict[str, str] = field(default_factory=dict[str, str])


Ask: TypeAlias = "Callable[[Sequence[Arm], Sequence[int]], Answered]"


def ask(
    arms: Sequence[Arm],
    positions: Sequence[int],
    engine: Engine,
    watch: Callable[[], None] | None = None,
) -> Answered:
    """Let all these arms answer the samples at these positions, except what they answered before.

    `watch` is called after each outcome. A model without credentials, credit or anybody who answers is gone
    for these arms; the others go on.
    """
    under_way: dict[int, _Asked] = {}
    answered = Answered()
    calls = _calls(arms, positions, under_way, without=answered.gone)
    outcomes = _arrived(engine.run(calls), under_way)
    for judged in judge_each(arms[0].board.plan, outcomes, engine.run, stops=True):
        outcome = judged.outcome
        if judged.replies.unsent or (isinstance(outcome, CallFailure) and outcome.kind in UNSENT):
            answered.complete = False
            continue
        if isinstance(outcome, CallFailure) and outcome.kind in HOPELESS:
            cause = f"cannot be asked ({outcome.kind}): {outcome.message}"
            answered.gone.update(dict.fromkeys(_affected(outcome, arms), cause))
        _take(judged)
        if watch:
            watch()
    return answered


def _arrived(outcomes: Iterator[Outcome], under_way: dict[int, _Asked]) -> Iterator[Arrived[_Asked]]:
    for outcome in outcomes:
        asked = under_way.pop(id(outcome.call))
        yield Arrived(asked, outcome, asked.sample)


def _take(judged: Judged[_Asked]) -> None:
    asked, plan = judged.asked, judged.asked.arm.board.plan
    scores = score_all(plan, judged.outcome, judged.sample, judged.replies.texts)
    asked.arm.take(asked.position, judged.outcome, scores)
    asked.arm.judge_usd += judged.replies.usd


def remember(arm: Arm, seen: str, engine: Engine) -> None:
    """Fill an empty arm with the answers that it saw in an earlier process; nothing is sent.

    seen: as `Arm.seen_text` wrote it.
    """
    under_way: dict[int, _Asked] = {}
    arm.seen[:] = arm.seen_of(seen)
    positions = np.flatnonzero(arm.seen.any(axis=1)).tolist()
    outcomes = _arrived(engine.recall(_calls([arm], positions, under_way, again=True)), under_way)
    for judged in judge_each(arm.board.plan, outcomes, engine.recall):
        _take(judged)


def score_all(
    plan: Plan,
    outcome: Outcome,
    sample: Sample,
    replies: Mapping[str, Sequence[str | None]] = NOTHING_SAID.texts,
) -> tuple[Score, ...]:
    """One score per scorer of the task; none for a failed call. replies: of each judge, by its name."""
    if isinstance(outcome, CallFailure):
        return ()
    answer = answer_of(outcome, sample)
    return tuple(
        scorer.score(answer, replies[scorer.name]) if isinstance(scorer, Judge) else scorer.score(answer)
        for scorer in plan.task.scorers
    )


def make_call(
    plan: Plan,
    settings: Settings,
    sample: Sample,
    repeat: int,
    messages: tuple[Message, ...] | None = None,
) -> Call:
    """The call that asks this sample under these settings. messages: when they were rendered before.

    Its seed comes from the plan's seed, the sample and the repeat, equal for all settings: one seed for
    all samples would correlate their noise. Greedy answers (temperature 0) and models that take no seed
    are asked without.
    """
    takes_seed = "seed" in plan.models[settings.model].settings and settings.temperature != 0
    if takes_seed and settings.seed is None:
        settings = replace(settings, seed=int(share(plan.seed, sample.id, repeat) * SEEDS))
    return Call(
        settings=settings,
        messages=messages or plan.task.messages(settings.prompt, sample),
        sample_id=sample.id,
        task=plan.task.name,
        repeat=repeat,
    )


def answer_rows(arm: Arm, engine: Engine) -> Iterator[AnswerRow]:
    """The per-sample table of one arm, read back from the store; nothing is sent for it."""
    under_way: dict[int, _Asked] = {}
    plan, seen = arm.board.plan, np.flatnonzero(arm.seen.any(axis=1)).tolist()
    outcomes = _arrived(engine.recall(_calls([arm], seen, under_way, again=True)), under_way)
    for judged in judge_each(plan, outcomes, engine.recall):
        outcome, sample = judged.outcome, judged.sample
        failed = isinstance(outcome, CallFailure)
        yield AnswerRow(
            trial=arm.number,
            split=sample.split,
            sample_id=sample.id,
            repeat=outcome.call.repeat,
            text=None if failed else outcome.reply.text,
            finish_reason=None if failed else outcome.reply.finish_reason,
            failure=outcome.kind if failed else None,
            price_usd=None if failed else outcome.price_usd,
            latency_s=None if failed else outcome.latency.total_s,
            cached=not failed and outcome.cached,
            reused=not failed and outcome.reused,
            scores=score_all(plan, outcome, sample, judged.replies.texts),
            target=sample.target,
        )


def _affected(failure: CallFailure, arms: Sequence[Arm]) -> set[str]:
    """The models that share the cause: all of the provider, for a key or an account."""
    model = failure.call.settings.model
    if failure.kind not in OF_PROVIDER:
        return {model}
    provider = failure.call.settings.provider
    return {arm.settings.model for arm in arms if arm.settings.provider == provider}


def _calls(
    arms: Sequence[Arm],
    positions: Sequence[int],
    under_way: dict[int, _Asked],
    *,
    again: bool = False,
    without: Container[str] = (),
) -> Iterator[Call]:
    """The calls that are due, or, `again`, those that were made. without: models that are left out."""
    board = arms[0].board
    plan = board.plan
    for position in positions:
        sample = plan.task.rows.sample(board.ids[position])
        board.note(position, sample)
        rendered: dict[str, tuple[Message, ...]] = {}
        for arm in arms:
            if arm.settings.model in without:
                continue
            for repeat in np.flatnonzero(arm.seen[position] == again).tolist():
                messages = rendered.get(arm.settings.prompt)
                call = make_call(plan, arm.settings, sample, repeat, messages)
                rendered[arm.settings.prompt] = call.messages
                under_way[id(call)] = _Asked(arm, position, sample)
                yield call
