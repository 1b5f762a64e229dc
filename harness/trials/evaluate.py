"""Ask arms the same samples and score what comes back. Nothing is decided here.

In: arms and positions of samples. Out: the arms, with evidence added. Calls are interleaved by sample,
so that time of day and prompt caches meet all settings alike, but for the few that are asked ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from harness.calls.engine import Engine
from harness.findings import AnswerRow
from harness.fingerprint import share
from harness.plan.plan import Plan
from harness.records import UNSENT, Call, CallFailure, Completion, Message, Outcome, Sample, Score, Settings
from harness.scores.combined import Replied, part_score
from harness.trials.evidence import Arm
from harness.trials.judging import NOTHING_SAID, Arrived, Judged, answer_of, judge_each
from harness.trials.long_inputs import Asks
from harness.trials.near import in_front

SEEDS = 2**31  # providers take seeds of 31 bits
MOST_AHEAD = 256  # calls asked ahead at once: more than any line holds, and little memory
OF_PROVIDER = ("credentials", "quota")  # what meets every model of a provider alike
HOPELESS = (*OF_PROVIDER, "not_found", "down")  # what every further call would meet as well


@dataclass(frozen=True, slots=True)
class Asked:
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


class Due(NamedTuple):
    """All these arms are to answer the samples at these positions, except what they answered before."""

    arms: Sequence[Arm]
    positions: Sequence[int]


NOTHING = Due((), ())


class Ask(Protocol):
    """Lets arms answer samples; see `Pipeline.ask`."""

    def __call__(self, arms: Sequence[Arm], positions: Sequence[int], ahead: Due = NOTHING, /) -> Answered:
        """Let them."""
        ...


@dataclass(slots=True)
class _Early:
    """What was asked ahead. places: arm, by its identity, position and repeat of each call."""

    outcomes: Generator[Outcome]
    under_way: dict[int, Asked]
    arms: Sequence[Arm]
    places: set[tuple[int, int, int]]


class Pipeline:
    """Asks arms through an engine, one block after the other. `watch` is called after each outcome.

    While the last answers of a block are waited for, calls of the next one fill the line. Nobody sees their
    answers before the next block is asked: what a race decides never depends on how fast answers come, nor on
    how many of them were known before.
    """

    def __init__(self, engine: Engine, watch: Callable[[], None] | None = None) -> None:
        self._engine = engine
        self._watch = watch
        self._front: Asks | None = None
        self._early: _Early | None = None

    def ask(self, arms: Sequence[Arm], positions: Sequence[int], ahead: Due = NOTHING) -> Answered:
        """Let all these arms answer the samples at these positions, except what they answered before.

        ahead: what the next block asks in any case; its answers are noted there. A model without
        credentials, credit or anybody who answers is gone for these arms; the others go on.
        """
        plan = arms[0].board.plan
        engine = self._front = self._front or in_front(plan, self._engine)
        answered, under_way = Answered(), dict[int, Asked]()
        # Which prompts are near depends on their order, which calls ahead would change.
        ahead = ahead if plan.near is None else NOTHING
        early, self._early = self._early, None
        places = early.places if early else ()
        calls = calls_of(Due(arms, positions), under_way, without=answered.gone, asked=places)
        waiting = _Waiting(calls)

        def outcomes() -> Iterator[tuple[Outcome, dict[int, Asked]]]:
            for outcome in engine.run(waiting):
                if waiting.over and self._early is None:
                    self._early = self._begin(engine, ahead, answered.gone, places)
                yield outcome, under_way
            if self._early is None:
                self._early = self._begin(engine, ahead, answered.gone, places)
            if early is not None:
                yield from ((outcome, early.under_way) for outcome in early.outcomes)

        arrived = _arrived(outcomes(), answered, (*arms, *(early.arms if early else ())))
        try:
            for judged in judge_each(plan, arrived, self._engine.run, stops=True):
                if judged.replies.unsent:
                    answered.complete = False
                    continue
                take(judged)
                if self._watch:
                    self._watch()
        except BaseException:
            for begun in (early, self._early):
                if begun is not None:
                    begun.outcomes.close()
            raise
        return answered

    def _begin(
        self, engine: Asks, ahead: Due, gone: Mapping[str, str], begun: Container[tuple[int, int, int]]
    ) -> _Early:
        under_way: dict[int, Asked] = {}
        calls = list(islice(calls_of(ahead, under_way, without=gone, asked=begun), MOST_AHEAD))
        asked = [(under_way[id(call)], call.repeat) for call in calls]
        places = {(id(one.arm), one.position, repeat) for one, repeat in asked}
        return _Early(engine.ahead(calls), under_way, ahead.arms, places)


class _Waiting:
    """Calls that wait to be sent. over: whether all of them were taken."""

    def __init__(self, calls: Iterator[Call]) -> None:
        self._calls = calls
        self.over = False

    def __iter__(self) -> Iterator[Call]:
        yield from self._calls
        self.over = True


def _arrived(
    outcomes: Iterable[tuple[Outcome, dict[int, Asked]]], answered: Answered, arms: Sequence[Arm]
) -> Iterator[Arrived[Asked]]:
    """The outcomes that tell something; what others mean for those to come is noted."""
    for outcome, under_way in outcomes:
        asked = under_way.pop(id(outcome.call))
        if isinstance(outcome, CallFailure) and outcome.kind in UNSENT:
            answered.complete = False
            continue
        if isinstance(outcome, CallFailure) and outcome.kind in HOPELESS:
            cause = f"cannot be asked ({outcome.kind}): {outcome.message}"
            answered.gone.update(dict.fromkeys(affected(outcome, arms), cause))
        yield Arrived(asked, outcome, asked.sample)


def _again(arm: Arm, positions: Sequence[int], engine: Engine) -> Iterator[Judged[Asked]]:
    """What this arm saw at these positions, and what judges said of it, read back from the store."""
    under_way: dict[int, Asked] = {}
    calls = calls_of(Due([arm], positions), under_way, again=True)
    outcomes = in_front(arm.board.plan, engine).recall(calls)
    known = (
        Arrived(asked := under_way.pop(id(one.call)), arm.as_seen(asked.position, one), asked.sample)
        for one in outcomes
    )
    return judge_each(arm.board.plan, known, engine.recall)


def remember(arm: Arm, seen: str, engine: Engine) -> None:
    """Fill an empty arm with the answers that it saw in an earlier process; nothing is sent.

    seen: as `Arm.seen_text` wrote it.
    """
    arm.mark_seen(seen)
    positions = np.flatnonzero(arm.seen.any(axis=1)).tolist()
    for judged in _again(arm, positions, engine):
        take(judged)


def score_all(
    plan: Plan,
    outcome: Outcome,
    sample: Sample,
    replies: Replied = NOTHING_SAID.texts,
) -> tuple[Score, ...]:
    """One score per scorer of the task; none for a failed call. replies: of each judge, by its name."""
    if isinstance(outcome, CallFailure):
        return ()
    answer = answer_of(outcome, sample)
    return tuple(part_score(scorer, answer, replies) for scorer in plan.task.of(sample.id).scorers)


def score_repeats(plan: Plan, outcomes: Sequence[Outcome], sample: Sample) -> tuple[Score, ...]:
    """One score per scorer that judges repeats; none unless all repeats are there and one has an answer."""
    answered = [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    if len(outcomes) < plan.task.repeats or not answered:
        return ()
    answers = sorted((answer_of(one, sample) for one in answered), key=lambda answer: answer.repeat)
    return tuple(scorer.score_repeats(answers) for scorer in plan.task.of(sample.id).repeat_scorers)


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
        task=plan.task.of(sample.id).name,
        repeat=repeat,
    )


def answer_rows(arm: Arm, engine: Engine) -> Iterator[AnswerRow]:
    """The per-sample table of one arm, read back from the store; nothing is sent for it.

    Scores of all repeats together stand in the row of the last one.
    """
    plan, seen = arm.board.plan, np.flatnonzero(arm.seen.any(axis=1)).tolist()
    of_sample: list[Outcome] = []
    for judged in _again(arm, seen, engine):
        outcome, sample = judged.outcome, judged.sample
        long = plan.task.of(sample.id).long_inputs
        of_sample = [one for one in of_sample if one.call.sample_id == sample.id] + [outcome]
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
            near_cosine=None if failed else outcome.near_cosine,
            near_sample=None if failed else outcome.near_sample or None,
            scores=score_all(plan, outcome, sample, judged.replies.texts)
            + score_repeats(plan, of_sample, sample),
            target=sample.target,
            inputs=sample.inputs,
            chunks=1 if long is None else len(long.pieces(sample.inputs)),
            lost_tokens=0 if long is None else long.lost_tokens(sample.inputs),
            outcome=outcome,
        )


def take(judged: Judged[Asked]) -> None:
    """Score an outcome and add it to its arm; with the last repeat of a sample, the repeats as well."""
    asked, outcome = judged.asked, judged.outcome
    arm, plan = asked.arm, asked.arm.board.plan
    arm.take(asked.position, outcome, score_all(plan, outcome, asked.sample, judged.replies.texts))
    arm.judge_usd += judged.replies.usd
    long = plan.task.of(asked.sample.id).long_inputs
    arm.cut += long is not None and long.cuts(asked.sample.inputs)
    if plan.task.of(asked.sample.id).repeat_scorers:
        outcomes = arm.waiting.setdefault(asked.position, [])
        outcomes.append(outcome)
        if len(outcomes) == plan.task.repeats:
            del arm.waiting[asked.position]
            arm.take_repeats(asked.position, score_repeats(plan, outcomes, asked.sample))


def affected(failure: CallFailure, arms: Sequence[Arm]) -> set[str]:
    """The models that share the cause: all of the provider, for a key or an account."""
    model = failure.call.settings.model
    if failure.kind not in OF_PROVIDER:
        return {model}
    provider = failure.call.settings.provider
    return {model, *(arm.settings.model for arm in arms if arm.settings.provider == provider)}


def calls_of(
    due: Due,
    under_way: dict[int, Asked],
    *,
    again: bool = False,
    without: Container[str] = (),
    asked: Container[tuple[int, int, int]] = (),
) -> Iterator[Call]:
    """The calls that are due, or, `again`, those that were made.

    without: models that are left out. asked: places, see `_Early`, that are left out as well.
    """
    for position in due.positions if due.arms else ():
        board = due.arms[0].board
        sample = board.plan.task.rows.sample(board.ids[position])
        board.note(position, sample)
        rendered: dict[str, tuple[Message, ...]] = {}
        for arm in due.arms:
            if arm.settings.model in without:
                continue
            for repeat in np.flatnonzero(arm.seen[position] == again).tolist():
                if (id(arm), position, repeat) in asked:
                    continue
                messages = rendered.get(arm.settings.prompt)
                call = make_call(board.plan, arm.settings, sample, repeat, messages)
                rendered[arm.settings.prompt] = call.messages
                under_way[id(call)] = Asked(arm, position, sample)
                yield call
