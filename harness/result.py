"""What runs hand back: their record, figures as frames, another choice, an export, a card.

In: a run record, of a sweep with the evidence of its finalists. Out: whatever a notebook or application
asks of it. Sends nothing and writes only what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.advice.choose import recommend
from harness.advice.finalist import Finalist, Goal, Searched
from harness.errors import InconclusiveError, UsageError
from harness.findings import Champion, FrontTrial, Recommendation, RunRecord, Spend, Trial
from harness.outputs import display
from harness.outputs.embeddings import false_hits, shown_caches
from harness.outputs.exports.registry import export as write_export
from harness.outputs.exports.selection import POLICIES, PolicyLabel, Selection, read_character, selection_of
from harness.outputs.exports.targets import TARGETS
from harness.outputs.report import find_report
from harness.plan.plan import Plan
from harness.plan.spec_reader import read_policy
from harness.records import Estimate, ModelClass, Settings

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    import plotly.graph_objects as go

    from harness.outputs.tracking import TrackedRun


@dataclass(slots=True, repr=False)
class RunResult:
    """What every run hands back.

    spec_text: what its spec said. folder: of its report. tracked: its place in MLflow, `None` without one.
    """

    record: RunRecord
    spec_text: str = field(repr=False)
    folder: Path
    files: tuple[Path, ...] = ()
    tracked: TrackedRun | None = None

    @property
    def run_id(self) -> str:
        """The run's name in the store."""
        return self.record.run

    @property
    def spend(self) -> Spend:
        """What the run cost."""
        return self.record.spend

    def report(self, path: str | Path | None = None) -> Path:
        """The page of the report. path: where a copy goes: a folder for all files, or a page (.html) alone.

        Raises UsageError when the report is not there any more, or the copy cannot be written.
        """
        return find_report(self.folder, None if path is None else Path(path))

    def samples_dataframe(self) -> pd.DataFrame:
        """One row per score: trial, sample, answer, target, value, label, reason, price and latency.

        Read from scores.parquet in the folder of the report. Raises UsageError when it is not there.
        """
        from harness.outputs.frames import read_scores

        return read_scores(self.folder / "scores.parquet")

    def plot_slices(self) -> go.Figure:
        """Quality by slice of the samples, with that of all; see `TuneResult.plot_front` for errors."""
        return self._plot("slices")

    def plot_latency(self) -> go.Figure:
        """From median to 95th percentile: queue, first token and whole call of each trial that is told."""
        return self._plot("latency")

    def plot_threshold(self) -> go.Figure:
        """What hits a semantic cache, and what of it is false, at every threshold."""
        return self._plot("threshold")

    def _plot(self, kind: str) -> go.Figure:
        from harness.outputs.plots import picture

        return picture(self.record, kind)

    def _repr_html_(self) -> str:
        return display.card(self.record)

    def __repr__(self) -> str:
        return display.text(self.record)


@dataclass(slots=True, repr=False)
class TuneResult(RunResult):
    """What a sweep found. finalists and searched: the evidence to choose again under another policy."""

    plan: Plan = field(kw_only=True)
    finalists: tuple[Finalist, ...] = ()
    searched: tuple[Searched, ...] = ()

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

    def recommend(self, policy: str | Mapping[str, object] | None = None) -> Recommendation:
        """The choice under this policy, written as in a spec; `None`: the spec's own.

        "best", "knee", {"cheapest_within": 0.01}, {"fastest_within": 0.01}, {"floor": 0.85}, or
        {"weights": {"quality": 0.7, "price": 0.2, "latency": 0.1}}.
        Raises InconclusiveError when the evidence allows none, UsageError for an unknown policy.
        """
        if policy is None:
            return self.recommendation
        return choose(self.record, self.finalists, goal_of(self.plan, policy), searched=self.searched)

    def labelled(self) -> tuple[tuple[PolicyLabel, Recommendation], ...]:
        """The choice under each policy that exports know by a label, and under the spec's own, "own"."""
        own: tuple[PolicyLabel, Recommendation] = ("own", self.recommendation)
        return (*((label, self.recommend(policy)) for label, policy in POLICIES), own)

    def trials_dataframe(self) -> pd.DataFrame:
        """One row per trial and split; columns are named as in Optuna's own data frame."""
        from harness.outputs.frames import trials_frame

        return trials_frame(self.record)

    def plot_front(self, against: Literal["price", "latency"] = "price") -> go.Figure:
        """Quality with intervals against price or median latency, with the Pareto front of the finalists.

        All `plot_*` give a figure of plotly. Raises UsageError when the run has nothing to draw in it, and
        says which of them it has something for.
        """
        from harness.outputs.plots import FRONTS, picture

        if against not in FRONTS:
            raise UsageError(f"against is {against!r}, expected one of {', '.join(FRONTS)}")
        return picture(self.record, FRONTS[against])

    def plot_race(self) -> go.Figure:
        """How many samples each trial saw before its race was over, and how it ended."""
        return self._plot("race")

    def plot_settings(self) -> go.Figure:
        """Mean quality by value of each setting, as if every value had met every model alike."""
        return self._plot("settings")

    def plot_ties(self) -> go.Figure:
        """The choice minus each other finalist on the same samples, and which of them it ties with."""
        return self._plot("ties")

    def study(self) -> optuna.Study:
        """The run as a study of Optuna in memory, for its plots, importances and data frames.

        A trial's value is what the sampler was told; quality, price and the like are user attributes.
        """
        from harness.trials.study import make_study

        return make_study(self.record, self.plan)

    def export(
        self,
        target: str,
        path: str | Path | None = None,
        *,
        force: bool = False,
        into: str | Path | None = None,
        embedding: str | None = None,
    ) -> list[Path]:
        """Write the recommended settings for an application, and a manifest of what becomes of them there.

        target: see `harness export --list`. into: a character of Eliza, of which only the settings change.
        embedding: "provider/name" of an embedding model that was not studied. Gives the files, the manifest
        last. Raises UsageError, before anything is written, when the target cannot hold the settings or a
        file is in the way that no export wrote.
        """
        folder = Path(path) if path is not None else self.folder / "exports" / target
        choice = self.recommendation
        known = TARGETS.get(target)
        selection = selected(
            choice,
            self.plan,
            labelled=self.labelled() if known is not None and known.policies else (),
            embedding=embedding,
            character=None if into is None else read_character(Path(into)),
        )
        return list(write_export(target, selection, folder, force=force).paths)


@dataclass(slots=True, repr=False)
class EvalResult(RunResult):
    """How good, how dear and how fast one set of settings is."""

    plan: Plan = field(kw_only=True)

    @property
    def trial(self) -> Trial:
        """All figures of the settings."""
        return self.record.trials[0]

    @property
    def settings(self) -> Settings:
        """The settings that were measured."""
        return self.trial.settings

    @property
    def quality(self) -> Estimate | None:
        """The metric with its interval; `None` when fewer than two samples count."""
        return self.trial.quality

    def to_df(self) -> pd.DataFrame:
        """As `samples_dataframe`."""
        return self.samples_dataframe()


@dataclass(slots=True, repr=False)
class RebuiltResult(RunResult):
    """A finished run of which the report was written anew. lacking: why the report is not whole.

    selection: the recommended settings with their templates; `None`: nothing is recommended.
    """

    lacking: str = ""
    selection: Selection | None = None


def selected(choice: Recommendation, plan: Plan, **given: Any) -> Selection:
    """What exports of this choice are made from, with what its plan knows. given: as for `selection_of`."""
    return selection_of([choice], templates={choice.run: plan.task.templates()}, **given)


def choose(
    record: RunRecord, finalists: Sequence[Finalist], goal: Goal, *, searched: Sequence[Searched] = ()
) -> Recommendation:
    """The choice among these finalists; see `advice.choose.recommend`. A development run chooses nothing."""
    if record.unfit:
        raise InconclusiveError(record.unfit)
    choice = recommend(
        finalists,
        goal,
        experiment=record.experiment,
        run=record.run,
        provenance=record.provenance,
        notes=record.notes,
        searched=searched,
    )
    return replace(choice, caveats=(*_unconfirmed(replace(record, recommendation=choice)), *choice.caveats))


def _unconfirmed(record: RunRecord) -> list[str]:
    """What goes along with the settings of a cache, into exports too, until its limit is shown to be kept."""
    caches = shown_caches(record)
    if not caches or caches[-1].verdict == "kept":
        return []
    threshold = caches[-1].threshold
    if threshold is None:
        return [f"no threshold is recommended; leave the cache off: {caches[-1].why}"]
    told = f"the threshold {threshold:g} is not confirmed; leave the cache off until it is"
    return [f"{told}: {false_hits(caches[-1])}"]


def goal_of(plan: Plan, policy: str | Mapping[str, object] | None = None) -> Goal:
    """The goal of this plan, or with another policy. Raises UsageError for an unknown one."""
    return Goal(
        policy=plan.aim.policy if policy is None else read_policy(policy),
        limits=plan.aim.limits,
        assumed=plan.aim.assumed,
        level=plan.aim.confidence,
        seed=plan.seed,
        repeats=plan.task.repeats,
    )
