"""Ask arms the same samples and score what comes back. Nothing is decided here.

In: arms and positions of samples. Out: the arms, with evidence added. Calls are interleaved by sample,
so that time of day and prompt caches meet all settings alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from harness.calls.engine import Engine
from harness.errors import ProviderError
from harness.fingerprint import share
from harness.plan.plan import Plan
from harness.records import AnswerRow, Call, CallFailure, Outcome, Sample, Score, Settings
from harness.scores.scorer import Answer
from harness.trials.evidence import Arm

SEEDS = 2**31  # providers take seeds of 31 bits
UNSENT = ("budget", "cancelled")


def ask(
    arms: Sequence[Arm],
    positions: Sequence[int],
    engine: Engine,
    watch: Callable[[], None] | None = None,
    *,
    recall: bool = False,
) -> bool:
    """Let all these arms answer the samples at these positions, except what they answered before.

    Returns False when the budget refused calls, or the run was stopped. `watch` is called after each
    outcome. recall: read what the store knows, send nothing. Raises ProviderError when credentials or
    credit end the run for a provider.
    """
    under_way: dict[int, tuple[Arm, int]] = {}
    complete = True
    answer = engine.recall if recall else engine.run
    for outcome in answer(_calls(arms, positions, under_way)):
        arm, position = under_way.pop(id(outcome.call))
        if isinstance(outcome, CallFailure) and outcome.kind in UNSENT:
            complete = False
            continue
        if not recall:
            refuse_hopeless(outcome)
        arm.take(position, outcome, score_all(arm.board.plan, outcome, arm.board.ids[position]))
        if watch:
            watch()
    return complete


def score_all(plan: Plan, outcome: Outcome, sample_id: str) -> tuple[Score, ...]:
    """One score per scorer of the task; none for a failed call."""
    if isinstance(outcome, CallFailure):
        return ()
    answer = Answer(
        sample=plan.task.rows.sample(sample_id),
        text=outcome.reply.text or "",
        repeat=outcome.call.repeat,
        finish_reason=outcome.reply.finish_reason,
    )
    return tuple(scorer.score(answer) for scorer in plan.task.scorers)


def make_call(plan: Plan, settings: Settings, sample: Sample, repeat: int) -> Call:
    """The call that asks this sample under these settings.

    Its seed comes from the plan's seed, the sample and the repeat, equal for all settings: one seed for
    all samples would correlate their noise. Greedy answers (temperature 0) and models that take no seed
    are asked without.
    """
    takes_seed = "seed" in plan.models[settings.model].settings and settings.temperature != 0
    if takes_seed and settings.seed is None:
        settings = replace(settings, seed=int(share(plan.seed, sample.id, repeat) * SEEDS))
    return Call(
        settings=settings,
        messages=plan.task.prompts[settings.prompt].render(sample.inputs),
        sample_id=sample.id,
        task=plan.task.name,
        repeat=repeat,
    )


def answer_rows(arm: Arm, engine: Engine) -> Iterator[AnswerRow]:
    """The per-sample table of one arm, read back from the store; nothing is sent for it."""
    under_way: dict[int, tuple[Arm, int]] = {}
    plan = arm.board.plan
    for outcome in engine.recall(_calls([arm], range(len(arm.board.ids)), under_way, again=True)):
        _, position = under_way.pop(id(outcome.call))
        sample_id = arm.board.ids[position]
        failed = isinstance(outcome, CallFailure)
        yield AnswerRow(
            trial=arm.number,
            split=arm.board.split,
            sample_id=sample_id,
            repeat=outcome.call.repeat,
            text=None if failed else outcome.reply.text,
            finish_reason=None if failed else outcome.reply.finish_reason,
            failure=outcome.kind if failed else None,
            price_usd=None if failed else outcome.price_usd,
            latency_s=None if failed else outcome.latency.total_s,
            cached=not failed and outcome.cached,
            scores=score_all(plan, outcome, sample_id),
            target=plan.task.rows.sample(sample_id).target,
        )


def refuse_hopeless(outcome: Outcome) -> None:
    """Raise ProviderError for a failure that would meet every further call as well."""
    if isinstance(outcome, CallFailure) and outcome.kind in ("credentials", "quota", "not_found"):
        raise ProviderError(
            f"{outcome.call.settings.model} cannot be asked ({outcome.kind}): {outcome.message}; mend it and "
            "resume the run: nothing that was answered is lost"
        )


def _calls(
    arms: Sequence[Arm],
    positions: Sequence[int],
    under_way: dict[int, tuple[Arm, int]],
    *,
    again: bool = False,
) -> Iterator[Call]:
    for position in positions:
        board = arms[0].board
        board.note(position)
        sample = board.plan.task.rows.sample(board.ids[position])
        for arm in arms:
            for repeat in range(board.plan.task.repeats):
                if bool(arm.seen[position, repeat]) is not again:
                    continue
                call = make_call(board.plan, arm.settings, sample, repeat)
                under_way[id(call)] = (arm, position)
                yield call
