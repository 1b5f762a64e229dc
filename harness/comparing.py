"""Two sets of settings, held against each other: finds both, and lets `advice` compare them.

In: names of runs, results, files of settings or baselines. Out: a comparison. What is not measured yet is
measured, where a spec says on what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.advice.compare import Question
from harness.advice.compare import compare as compare_sides
from harness.errors import UsageError
from harness.findings import RunRecord, Trial
from harness.outputs import baseline, comparison
from harness.past import REPORTS, record_of
from harness.plan.limits import FIGURES
from harness.records import Settings
from harness.result import RunResult
from harness.run import evaluate
from harness.verdicts import Comparison, Side

if TYPE_CHECKING:
    import plotly.graph_objects as go

Comparable: TypeAlias = "str | Path | RunResult | Settings | Mapping[str, object]"
FILES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True, repr=False)
class CompareResult:
    """A comparison, shown in words: as text, as a card in a notebook, as Markdown and JSON."""

    comparison: Comparison

    @property
    def verdict(self) -> str:
        """better, worse, same or unclear: of new against base, all metrics together."""
        return self.comparison.verdict

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        return self.comparison.reason

    def markdown(self) -> str:
        """For a pull request."""
        return comparison.markdown(self.comparison)

    def plot_difference(self) -> go.Figure:
        """New minus base by metric and slice, with intervals, as a figure of plotly."""
        from harness.outputs.plots import comparison_picture

        return comparison_picture(self.comparison)

    def _repr_html_(self) -> str:
        return comparison.card(self.comparison)

    def __repr__(self) -> str:
        return comparison.text(self.comparison)


def compare(
    base: Comparable,
    new: Comparable,
    *,
    spec: str | Path | Mapping[str, Any] | None = None,
    tolerance: float = 0.01,
    alpha: float = 0.05,
    metrics: Sequence[str] | None = None,
    store: str | None = None,
    reports: str | Path = REPORTS,
    seed: int = 0,
    **means: Any,
) -> CompareResult:
    """New against base on the samples that both answered: a verdict with its reason, flips, slices, price.

    base, new: the name of a run, "RUN:NUMBER" for a finalist of a search, a result, or the file of a
    baseline; with a spec, also settings, or a file of them, which are measured on it first: answers that the
    store has are not paid again. tolerance: by how much a metric may drop, from 0 to 1. alpha: the chance of
    calling something worse, or better, that is not. metrics: those that decide; `None`: all. means: as for
    `evaluate`. Raises UsageError when one of them is not there, InconclusiveError when too few samples are
    in both.
    """
    given = {"store": store, "reports": reports, **means}
    before, after = (_side(one, spec, given) for one in (base, new))
    question = Question(alpha=alpha, tolerance=tolerance, metrics=metrics, seed=seed)
    return CompareResult(compare_sides(before, after, question))


def side_of(record: RunRecord, number: int | None = None) -> Side:
    """What a finished run knows of one trial, sample by sample.

    number: of a finalist; `None`: the recommended one, or the only one of an evaluation. Raises UsageError
    when the run does not have it, or is a development run.
    """
    if record.unfit:
        raise UsageError(f"run {record.run!r} cannot be compared: {record.unfit}")
    wanted = number
    if wanted is None and record.verb == "tune":
        if record.recommendation is None:
            raise UsageError(f"run {record.run!r} recommends nothing; name a finalist, as in {record.run}:0")
        wanted = record.recommendation.trial.number
    sheets = {sheet.trial: sheet for sheet in record.sheets}
    if not sheets:
        raise UsageError(
            f"run {record.run!r} holds no scores by sample: it was made by an older version, or answered "
            "nothing; run it again (answers in the store are not paid again)"
        )
    if wanted is not None and wanted not in sheets:
        raise UsageError(
            f"trial {wanted} of run {record.run!r} has no scores on the confirm split; expected one of "
            f"{', '.join(map(str, sorted(sheets)))}"
        )
    sheet = sheets[wanted if wanted is not None else next(iter(sheets))]
    trials = record.trials if record.verb == "eval" else record.finalists
    trial = next(one for one in trials if one.number == sheet.trial)
    return Side(
        name=record.run if record.verb == "eval" else f"{record.run}:{sheet.trial}",
        experiment=record.experiment,
        metric=record.metric,
        sheet=sheet,
        figures=_figures(trial),
    )


def _figures(trial: Trial) -> dict[str, float]:
    found = {name: figure(trial) for name, figure in FIGURES.items()}
    return {name: float(f"{value:.6g}") for name, value in found.items() if value is not None}


def _side(one: Comparable, spec: str | Path | Mapping[str, Any] | None, means: Mapping[str, Any]) -> Side:
    if isinstance(one, RunResult):
        return side_of(one.record)
    path = Path(one) if isinstance(one, str | Path) else None
    if path is not None and path.suffix in FILES and baseline.is_baseline(path):
        return baseline.read(path)
    is_file = path is not None and (path.suffix in FILES or path.is_file())
    if not isinstance(one, str) or is_file:
        if spec is None:
            raise UsageError(
                f"{str(one)!r:.80} are settings, which have to be measured: say on what with a spec "
                "(--spec SPEC), or name two runs"
            )
        given: dict[str, Any] = {"mlflow": False, **means}
        return side_of(evaluate(spec, one, **given).record)
    run, _, number = one.partition(":")
    if number and not number.isdecimal():
        raise UsageError(f"{one!r} names no trial; expected RUN:NUMBER, as in {run}:3")
    return side_of(record_of(run, store=means["store"]), int(number) if number else None)
