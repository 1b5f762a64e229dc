"""What a sweep hands back: its record, figures as frames, another choice, an export, a card.

In: a run record with the evidence of its finalists. Out: whatever a notebook or application asks of it.
Sends nothing and writes only what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.advice.choose import recommend
from harness.advice.finalist import Finalist, Goal, Searched
from harness.errors import InconclusiveError
from harness.outputs import display
from harness.outputs.exports.registry import export as write_export
from harness.plan.plan import Plan
from harness.plan.spec_reader import read_policy
from harness.records import Champion, FrontTrial, ModelClass, Recommendation, RunRecord, Spend, Trial

if TYPE_CHECKING:
    import pandas as pd

    from harness.outputs.tracking import TrackedRun


@dataclass(slots=True)
class TuneResult:
    """What a sweep found: its record, and the evidence to choose again under another policy.

    run_id: name of the run in the store. folder: of its report. tracked: its place in MLflow, `None`
    when it was not mirrored. searched: all trials as the search split saw them.
    """

    record: RunRecord
    plan: Plan
    finalists: tuple[Finalist, ...]
    folder: Path
    files: tuple[Path, ...] = ()
    tracked: TrackedRun | None = None
    searched: tuple[Searched, ...] = ()

    @property
    def run_id(self) -> str:
        """The run's name in the store."""
        return self.record.run

    @property
    def recommendation(self) -> Recommendation:
        """The choice under the spec's policy. Raises InconclusiveError when there is none."""
        if self.record.recommendation is None:
            why = "; ".join(self.record.notes) or "the run ended before a decision"
            raise InconclusiveError(f"run {self.run_id!r} recommends nothing: {why}")
        return self.record.recommendation

    @property
    def best_trial(self) -> Trial:
        """The recommended trial, as measured on the confirm split."""
        return self.recommendation.trial

    @property
    def best_params(self) -> dict[str, Any]:
        """The recommended settings by name, set ones only."""
        settings = self.recommendation.settings
        return {"model": settings.model, "prompt": settings.prompt, **settings.sent()}

    @property
    def ties(self) -> tuple[int, ...]:
        """Numbers of the trials that cannot be told apart from the recommended one."""
        return self.recommendation.ties

    @property
    def pareto(self) -> tuple[FrontTrial, ...]:
        """Finalists that none beats in quality and price, or in quality and latency; best quality first."""
        return self.recommendation.pareto

    @property
    def by_class(self) -> Mapping[ModelClass, Champion]:
        """The best of each model class that was tried, under the policy of the recommendation."""
        return {champion.model_class: champion for champion in self.recommendation.by_class}

    @property
    def spend(self) -> Spend:
        """What the run cost."""
        return self.record.spend

    def recommend(self, policy: str | Mapping[str, object] | None = None) -> Recommendation:
        """The choice under this policy, written as in a spec; `None`: the spec's own.

        "best", "knee", {"cheapest_within": 0.01}, {"fastest_within": 0.01}, {"floor": 0.85}, or
        {"weights": {"quality": 0.7, "price": 0.2, "latency": 0.1}}.
        Raises InconclusiveError when the evidence allows none, UsageError for an unknown policy.
        """
        if policy is None:
            return self.recommendation
        return choose(self.record, self.finalists, goal_of(self.plan, policy), searched=self.searched)

    def trials_dataframe(self) -> pd.DataFrame:
        """One row per trial and split; columns are named as in Optuna's own data frame."""
        from harness.outputs.frames import trials_frame

        return trials_frame(self.record)

    def export(self, target: str, path: str | Path | None = None, *, force: bool = False) -> list[Path]:
        """Write the recommended settings for an application; see `harness export --list` for targets."""
        folder = Path(path) if path is not None else self.folder / "exports"
        return write_export(target, self.recommendation, folder, force=force)

    def _repr_html_(self) -> str:
        return display.card(self.record)

    def __repr__(self) -> str:
        return display.text(self.record)


def choose(
    record: RunRecord, finalists: Sequence[Finalist], goal: Goal, *, searched: Sequence[Searched] = ()
) -> Recommendation:
    """The choice among these finalists; see `advice.choose.recommend`."""
    return recommend(
        finalists,
        goal,
        experiment=record.experiment,
        run=record.run,
        provenance=record.provenance,
        notes=record.notes,
        searched=searched,
    )


def goal_of(plan: Plan, policy: str | Mapping[str, object] | None = None) -> Goal:
    """The goal of this plan, or with another policy. Raises UsageError for an unknown one."""
    return Goal(
        policy=plan.aim.policy if policy is None else read_policy(policy),
        limits=plan.aim.limits,
        level=plan.aim.confidence,
        seed=plan.seed,
        repeats=plan.task.repeats,
    )
