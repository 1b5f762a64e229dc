"""Ask arms the same samples and score what comes back. Nothing is decided here.

In: arms and positions of samples. Out: the arms, with evidence added. Calls are interleaved by sample,
so that time of day and prompt caches meet all settings alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.calls.engine import Engine
from harness.errors import ProviderError
from harness.fingerprint import share
from harness.plan.plan import Plan
from harness.records import AnswerRow, Call, CallFailure, Message, Outcome, Sample, Score, Settings
from harness.scores.scorer import Answer
from harness.trials.evidence import Arm

SEEDS = 2**31  # providers take seeds of 31 bits
UNSENT = ("budget", "cancelled")
DOWN = ("connection", "overloaded")
SILENCE = 8  # calls in a row that nobody took, each after all its attempts, until a run ends


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a call under way was made for. The sample is read from disk once for all arms that meet it."""

    arm: Arm
    position: int
    sample: Sample


def ask(
    arms: Sequence[Arm],
    positions: Sequence[int],
    engine: Engine,
    watch: Callable[[], None] | None = None,
) -> bool:
    """Let all these arms answer the samples at these positions, except what they answered before.

    Returns False when the budget refused calls, or the run was stopped. `watch` is called after each
    outcome. Raises ProviderError when credentials or
    credit end the run for a provider, or when nobody is there to answer.
    """
    under_way: dict[int, _Asked] = {}
    complete, silent = True, 0
    for outcome in engine.run(_calls(arms, positions, under_way)):
        asked = under_way.pop(id(outcome.call))
        if isinstance(outcome, CallFailure) and outcome.kind in UNSENT:
            complete = False
            continue
        refuse_hopeless(outcome)
        silent = silent + 1 if _down(outcome) else 0
        if silent == SILENCE:
            raise _gone(outcome)
        plan = asked.arm.board.plan
        asked.arm.take(asked.position, outcome, score_all(plan, outcome, asked.sample))
        if watch:
            watch()
    return complete


def remember(arm: Arm, seen: str, engine: Engine) -> None:
    """Fill an empty arm with the answers that it saw in an earlier process; nothing is sent.

    seen: as `Arm.seen_text` wrote it.
    """
    under_way: dict[int, _Asked] = {}
    arm.seen[:] = arm.seen_of(seen)
    positions = np.flatnonzero(arm.seen.any(axis=1)).tolist()
    for outcome in engine.recall(_calls([arm], positions, under_way, again=True)):
        asked = under_way.pop(id(outcome.call))
        arm.take(asked.position, outcome, score_all(arm.board.plan, outcome, asked.sample))


def score_all(plan: Plan, outcome: Outcome, sample: Sample) -> tuple[Score, ...]:
    """One score per scorer of the task; none for a failed call."""
    if isinstance(outcome, CallFailure):
        return ()
    answer = Answer(
        sample=sample,
        text=outcome.reply.text or "",
        repeat=outcome.call.repeat,
        finish_reason=outcome.reply.finish_reason,
    )
    return tuple(scorer.score(answer) for scorer in plan.task.scorers)


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
        messages=messages or plan.task.prompts[settings.prompt].render(sample.inputs),
        sample_id=sample.id,
        task=plan.task.name,
        repeat=repeat,
    )


def answer_rows(arm: Arm, engine: Engine) -> Iterator[AnswerRow]:
    """The per-sample table of one arm, read back from the store; nothing is sent for it."""
    under_way: dict[int, _Asked] = {}
    plan, seen = arm.board.plan, np.flatnonzero(arm.seen.any(axis=1)).tolist()
    for outcome in engine.recall(_calls([arm], seen, under_way, again=True)):
        sample = under_way.pop(id(outcome.call)).sample
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
            scores=score_all(plan, outcome, sample),
            target=sample.target,
        )


def refuse_hopeless(outcome: Outcome) -> None:
    """Raise ProviderError for a failure that would meet every further call as well."""
    if isinstance(outcome, CallFailure) and outcome.kind in ("credentials", "quota", "not_found"):
        raise ProviderError(
            f"{outcome.call.settings.model} cannot be asked ({outcome.kind}): {outcome.message}; mend it and "
            "resume the run: nothing that was answered is lost"
        )


def _down(outcome: Outcome) -> bool:
    return isinstance(outcome, CallFailure) and outcome.kind in DOWN


def _gone(outcome: Outcome) -> ProviderError:
    assert isinstance(outcome, CallFailure)
    return ProviderError(
        f"{outcome.call.settings.model} does not answer: {SILENCE} calls in a row failed after all attempts, "
        f"the last with {outcome.kind}: {outcome.message}; resume the run when it is back: nothing that was "
        "answered is lost"
    )


def _calls(
    arms: Sequence[Arm],
    positions: Sequence[int],
    under_way: dict[int, _Asked],
    *,
    again: bool = False,
) -> Iterator[Call]:
    board = arms[0].board
    plan = board.plan
    for position in positions:
        sample = plan.task.rows.sample(board.ids[position])
        board.note(position, sample)
        rendered: dict[str, tuple[Message, ...]] = {}
        for arm in arms:
            for repeat in np.flatnonzero(arm.seen[position] == again).tolist():
                messages = rendered.get(arm.settings.prompt)
                call = make_call(plan, arm.settings, sample, repeat, messages)
                rendered[arm.settings.prompt] = call.messages
                under_way[id(call)] = _Asked(arm, position, sample)
                yield call
