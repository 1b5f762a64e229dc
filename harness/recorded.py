"""What a run found, as the record that reports, exports and comparisons read.

In: a plan and the work that was done on it. Out: a `RunRecord` without a recommendation. It asks nobody and
writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from harness.findings import JudgeReport, RunRecord, RunState, Spend, Trial
from harness.insights import CacheReport
from harness.plan.parameters import setting_names
from harness.plan.plan import Plan
from harness.plan.provenance import provenance_of, task_cards
from harness.records import Split
from harness.stats.bounds import shared
from harness.trials.caches import cache_reports
from harness.trials.effects import setting_effects
from harness.trials.evidence import Arm
from harness.trials.measured_judge import with_corrected
from harness.trials.quality import breakdown
from harness.trials.references import references
from harness.trials.sheet import sheet_of


class Work(Protocol):
    """What a run carries out.

    arms: the settings that are asked; finalists: those that are asked again, on the confirm split.
    told: values given to a sampler, by number. notes: what a reader of the result should know.
    """

    arms: list[Arm]
    finalists: list[Arm]
    told: dict[int, float]
    notes: list[str]

    def run(self) -> None:
        """Do it. Raises InconclusiveError when budget or answers decide nothing."""
        ...

    def planned_calls(self) -> int:
        """The most answers that this can ask for."""
        ...


def begun(plan: Plan, *, run: str, started_at: datetime) -> RunRecord:
    """The record of a run under way, before anything is known."""
    return RunRecord(
        run=run,
        experiment=plan.experiment,
        description=plan.description,
        state="running",
        metric=plan.task.metric,
        aim=plan.aim.words(),
        trials=(),
        finalists=(),
        recommendation=None,
        spend=Spend(),
        data=plan.task.rows.card,
        provenance=provenance_of(plan, started_at),
        started_at=started_at,
        ended_at=None,
        failures=plan.failures,
        verb=plan.verb,
        origin="" if plan.evaluated is None else plan.evaluated.origin,
        tasks=task_cards(plan),
        setting_names=setting_names(plan.space),
        unfit="" if plan.near is None else plan.near.why_not(),
    )


def recorded(
    plan: Plan,
    work: Work,
    state: RunState,
    spend: Spend,
    judges: tuple[JudgeReport, ...],
    *,
    run: str,
    started_at: datetime,
    ended_at: datetime,
) -> RunRecord:
    """What the work found, without a recommendation."""
    level = plan.aim.confidence
    confirmed = [arm for arm in work.finalists if arm.samples()]
    record = replace(
        begun(plan, run=run, started_at=started_at),
        state=state,
        trials=trials_of(work, level),
        finalists=tuple(arm.trial(shared(level, len(confirmed))) for arm in confirmed),
        spend=spend,
        ended_at=ended_at,
        notes=(
            *work.notes,
            *_untimed(plan, (*work.arms, *work.finalists)),
            *near_notes(plan, (*work.arms, *work.finalists)),
            *_self_chosen(plan),
            *plan.notes,
        ),
        origin=_origin(plan, work),
        judges=with_corrected(judges, work.arms if plan.evaluated else confirmed),
        references=references(plan, _reported(plan)) if any(arm.samples() for arm in work.arms) else (),
        caches=_caches(plan, work, confirmed),
        breakdowns=tuple(breakdown(arm, level) for arm in _shown(plan, work) if arm.samples()),
        sheets=tuple(sheet_of(arm) for arm in _shown(plan, work) if arm.samples()),
        presets=plan.space.named({arm.number: arm.settings for arm in work.arms}),
    )
    return record if plan.evaluated else replace(record, effects=setting_effects(record, plan))


def _origin(plan: Plan, work: Work) -> str:
    """Where the settings of an evaluation come from; of a fallback, whose place it took."""
    evaluated = plan.evaluated
    if evaluated is None:
        return ""
    moved = evaluated.settings.model not in {arm.settings.model for arm in work.arms}
    return f"fallback of {evaluated.settings.model}, {evaluated.origin}" if moved else evaluated.origin


def ended_trials(work: Work, level: float, known: Collection[int]) -> list[Trial]:
    """The trials whose search is over, as the finished record will have them, but for those known by number.

    level: of their intervals.
    """
    ended = ("complete", "eliminated", "infeasible", "failed")
    return [arm.trial(level) for arm in work.arms if arm.state in ended and arm.number not in known]


def trials_of(work: Work, level: float | None = None) -> tuple[Trial, ...]:
    """The trials of the search, or of the evaluation. level: of their intervals."""
    return tuple(replace(arm.trial(level), told=work.told.get(arm.number)) for arm in work.arms)


def near_notes(plan: Plan, arms: Iterable[Arm]) -> list[str]:
    """How many answers were those of near prompts, in a development run."""
    if plan.near is None:
        return []
    counts = [(arm.near, int(arm.seen.sum())) for arm in arms]
    near, answers = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    note = (
        f"{near} of {answers} answers are those of near prompts, told at their price and not asked: see "
        "near_sample and near_cosine in scores.parquet"
    )
    return [note]


def _untimed(plan: Plan, arms: Iterable[Arm]) -> list[str]:
    """What to say of streamed providers whose answers do not all tell when their first token came."""
    untimed = sum(arm.untimed() for arm in arms if plan.endpoints[arm.settings.provider].stream)
    if not untimed:
        return []
    note = (
        f"{untimed} answers of streamed providers do not tell when their first token came, being stored "
        "before or sent in one piece; --no-cache asks them anew"
    )
    return [note]


def _self_chosen(plan: Plan) -> list[str]:
    """What to say of a threshold that was chosen on the pairs that measure it."""
    embedding, evaluated = plan.task.embedding, plan.evaluated
    if embedding is None or embedding.kind != "semantic_cache" or evaluated is None:
        return []
    if "threshold" in evaluated.settings.local:
        return []
    note = (
        "the threshold was chosen on the pairs that measure it, which flatters it: `harness tune` keeps some "
        "back, or give one with --settings"
    )
    return [note]


def _reported(plan: Plan) -> Split:
    """The split whose figures are the ones to expect."""
    return "confirm" if plan.evaluated is None else plan.evaluated.split


def _caches(plan: Plan, work: Work, confirmed: list[Arm]) -> tuple[CacheReport, ...]:
    """What is told of thresholds, in a task that chooses one."""
    if plan.task.embedding is None or plan.task.embedding.kind != "semantic_cache":
        return ()
    return cache_reports(work.arms, confirmed, plan.aim.confidence)


def _shown(plan: Plan, work: Work) -> list[Arm]:
    """The arms of which more is told than their figures."""
    return work.finalists if plan.evaluated is None else work.arms
