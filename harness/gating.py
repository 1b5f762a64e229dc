"""The corridor of the gate: from a spec and a baseline to a verdict with its reasons. No arithmetic.

In: a spec, and the file of a baseline. Out: a verdict, and the baseline written anew where that is asked for.
What the gate can see, and whether the baseline is stale, is known before anything is spent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.advice.compare import Question
from harness.advice.compare import compare as compare_sides
from harness.advice.gate import check_floors, decide, expected_power, moved, power, stale_verdict
from harness.comparing import side_of
from harness.errors import InconclusiveError, SpecError, StatsError, UsageError
from harness.outputs import baseline as baselines
from harness.outputs import gate_words, junit
from harness.plan.gate_spec import QUALITY, Floor, Gate
from harness.plan.given import Given, settings_form
from harness.plan.limits import FALSE_HITS
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.plan.resolution import PAIRED_SD, Resolution
from harness.plan.yaml_source import read_yaml
from harness.records import Split
from harness.result import EvalResult
from harness.run import evaluate
from harness.stats.bounds import shared
from harness.trials.sheet import basis_of, quality_column
from harness.verdicts import Comparison, GateVerdict, Power, Side

OnUnclear = Literal["stop", "fail", "pass"]
EXIT_CODES = {"passed": 0, "failed": 1, "stale": 2, "unclear": 4}
NO_BASELINE = (
    "Gate: there is no baseline yet, so that differences are assumed to have a standard deviation of "
    f"{PAIRED_SD:g} as above; `harness gate SPEC --baseline FILE --update-baseline` measures one."
)
ON_UNCLEAR: Mapping[str, int] = {"stop": 4, "fail": 1, "pass": 0}


@dataclass(frozen=True, slots=True, repr=False)
class GateResult:
    """A gate's verdict, shown in words. measured: what was measured for it; `None`: nothing was asked."""

    verdict: GateVerdict
    measured: EvalResult | None = None

    @property
    def outcome(self) -> str:
        """passed, failed, unclear or stale."""
        return self.verdict.outcome

    @property
    def passed(self) -> bool:
        """Whether the settings may go on."""
        return self.verdict.outcome == "passed"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, a sentence each."""
        return self.verdict.reasons

    @property
    def comparison(self) -> Comparison | None:
        """Against the baseline; `None` without one."""
        return self.verdict.comparison

    def exit_code(self, on_unclear: OnUnclear = "stop") -> int:
        """0 passed, 1 failed, 2 stale, 4 unclear; on_unclear: "fail" makes an unclear one 1, "pass" 0."""
        return ON_UNCLEAR[on_unclear] if self.outcome == "unclear" else EXIT_CODES[self.outcome]

    def markdown(self) -> str:
        """For a comment on a pull request: it begins with a marker by which the comment is found again."""
        return gate_words.markdown(self.verdict)

    def junit(self, on_unclear: OnUnclear = "stop") -> str:
        """As JUnit XML: one test case for each metric and floor."""
        return junit.text(self.verdict, unclear_passes=on_unclear == "pass")

    def _repr_html_(self) -> str:
        return gate_words.card(self.verdict)

    def __repr__(self) -> str:
        return gate_words.text(self.verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A gate before anything is asked. base: `None` where there is no baseline yet. stale: what moved."""

    plan: Plan
    question: Question
    path: Path | None
    base: Side | None
    stale: tuple[str, ...]
    power: tuple[Power, ...]
    overrides: Mapping[str, Any]
    settings: Given | None


def gate(
    spec: str | Path | Mapping[str, Any],
    baseline: str | Path | None = None,
    *,
    settings: Given | None = None,
    tolerance: float | None = None,
    alpha: float | None = None,
    split: Split | None = None,
    update_baseline: bool = False,
    store: str | None = None,
    on_prepared: Callable[[Prepared], None] = lambda _: None,
    **means: Any,
) -> GateResult:
    """Whether these settings may take the place of the baseline's: measured on the same samples.

    baseline: its file; `None`: that of the spec's `gate.baseline`. settings: as for `evaluate`; `None`:
    those of `gate.settings`, else the untuned default. tolerance, alpha: in place of the spec's. split: of a
    first baseline; a later one has its own. update_baseline: write what was measured as the new baseline.
    on_prepared: told what the gate can see before anything is asked. means: as for `evaluate`, its overrides
    included. Raises HarnessError; a stale baseline and too few answers are verdicts, no errors.
    """
    own = ("limit", "repeat", "seed", "max_cost", "max_concurrency", "allow_code", "scorers")
    overrides = {name: means.pop(name) for name in own if name in means}
    prepared = prepare(
        spec,
        baseline,
        settings=settings,
        tolerance=tolerance,
        alpha=alpha,
        split=split,
        update_baseline=update_baseline,
        store=store,
        **overrides,
    )
    on_prepared(prepared)
    if prepared.stale and not update_baseline:
        return _stale(prepared)
    result = evaluate(spec, prepared.settings, store=store, **means, **prepared.overrides)
    return _judged(prepared, result, update_baseline=update_baseline)


def prepare(
    spec: str | Path | Mapping[str, Any],
    baseline: str | Path | None = None,
    *,
    settings: Given | None = None,
    tolerance: float | None = None,
    alpha: float | None = None,
    split: Split | None = None,
    update_baseline: bool = False,
    store: str | None = None,
    **overrides: Any,
) -> Prepared:
    """All that a gate knows before it asks; see `gate`. Reads files only."""
    first = make_plan(spec, store=store, split=split or "all", **overrides)
    if first.near is not None:
        raise UsageError(f"a gate needs answers of the settings' own: {first.near.why_not()}")
    asked = first.gate
    path = asked.baseline if baseline is None else Path(baseline)
    given = asked.settings if settings is None else settings
    there = path is not None and path.is_file()
    if path is not None and not there and not update_baseline:
        raise UsageError(
            f"there is no baseline {str(path)!r}; measure the settings that are in use and write it with "
            f"`harness gate SPEC --baseline {path} --update-baseline`, then commit it"
        )
    if path is None and update_baseline:
        raise UsageError(
            "no file is named for the baseline; say --baseline FILE, or gate.baseline in the spec"
        )
    if path is None and not floors_of(first):
        raise UsageError(
            "the gate has nothing to hold the settings against; say --baseline FILE, or gate.baseline or "
            "gate.require in the spec"
        )
    base = baselines.read(path) if path is not None and there else None
    if base is not None and split not in (None, base.sheet.split):
        raise UsageError(
            f"split is {split!r}, but the baseline was measured on {base.sheet.split!r}; leave it out"
        )
    where = split or (base.sheet.split if base is not None else "all")
    question = _question(asked, first, tolerance=tolerance, alpha=alpha)
    level = shared(1 - question.alpha, len(floors_of(first)))
    kept: dict[str, Any] = {**overrides, "split": where, "confidence": level}
    plan = make_plan(spec, store=store, settings=given, **kept)
    stale = () if base is None else tuple(_moved(base, plan, spec, overrides))
    return Prepared(
        plan=plan,
        question=question,
        path=path,
        base=base,
        stale=stale,
        power=() if base is None else tuple(_power(base, question)),
        overrides=kept,
        settings=given,
    )


def floors_of(plan: Plan) -> tuple[Floor, ...]:
    """What has to hold whatever was before: as written, and of a cache that its false hits keep their limit.

    A lower threshold always hits more often: without this floor, any would pass as better.
    """
    embedding, written = plan.task.embedding, plan.gate.floors
    if embedding is None or embedding.kind != "semantic_cache" or FALSE_HITS in {f.figure for f in written}:
        return written
    return (*written, Floor(figure=FALSE_HITS, sign="<=", bound=embedding.false_hit_rate))


def experiment_of(spec: Path) -> str:
    """The name of the experiment as far as a spec can be read that may be broken; else that of its file."""
    source = read_yaml(spec)
    named = source.value.get("experiment") if isinstance(source.value, dict) else None
    if isinstance(named, str) and named:
        return named
    line = re.search(r"^experiment: *([\w.-]+)", source.text, re.MULTILINE)
    return line[1] if line else spec.stem


def foretell(plan: Plan, resolution: tuple[Resolution, Resolution]) -> tuple[tuple[Power, ...], str]:
    """What the gate of this plan can see, and in a sentence what that rests on; nothing without a gate.

    resolution: of the plan's splits, for the number of independent samples. Raises UsageError for a baseline
    that cannot be read.
    """
    asked = plan.gate
    if asked == Gate():
        return (), ""
    question = _question(asked, plan, tolerance=None, alpha=None)
    if asked.baseline is not None and asked.baseline.is_file():
        base = baselines.read(asked.baseline)
        return tuple(_power(base, question)), f"Gate: from the scores of the baseline {asked.baseline.name}."
    card = plan.task.rows.card
    n, alone = card.n_search + card.n_confirm, sum(one.n for one in resolution)
    names = question.metrics or ()
    found: list[Power] = []
    for name in names:
        try:
            one = expected_power(
                name,
                n=n,
                clusters=min(n, alone),
                # Of so many single samples with the standard error of the independent ones.
                sd=PAIRED_SD * math.sqrt(n / max(1, min(n, alone))),
                tolerance=question.tolerance_of(name),
                level=shared(1 - question.alpha, len(names)),
            )
        except StatsError:  # fewer than two samples
            continue
        found.append(one)
    return tuple(found), NO_BASELINE


def _question(asked: Gate, plan: Plan, *, tolerance: float | None, alpha: float | None) -> Question:
    column = quality_column(plan.task)
    tolerances = {
        column if name in (QUALITY, plan.task.metric) else name: drop
        for name, drop in asked.tolerances.items()
    }
    return Question(
        alpha=asked.alpha if alpha is None else alpha,
        tolerance=asked.tolerance if tolerance is None else tolerance,
        tolerances={} if tolerance is not None else tolerances,
        metrics=tuple(tolerances) or (column,),
        seed=plan.seed,
    )


def _moved(base: Side, plan: Plan, spec: Any, overrides: Mapping[str, Any]) -> list[str]:
    evaluated = plan.evaluated
    assert evaluated is not None, "the plan of a gate says what is measured"
    basis = basis_of(plan, evaluated.settings.model, evaluated.settings.prompt)
    return moved(base.sheet, basis, plan.task.rows.ids(evaluated.split), _prices(base, spec, overrides))


def _prices(base: Side, spec: Any, overrides: Mapping[str, Any]) -> Mapping[str, float] | None:
    """Today's prices of the baseline's model; `None` when it can no longer be planned."""
    form = settings_form(base.settings)
    try:
        plan = make_plan(spec, settings=form, **overrides)
    except (SpecError, UsageError):  # its prompt or model is gone, which is what changes are for
        return None
    return basis_of(plan, base.settings.model, base.settings.prompt).prices


def _power(base: Side, question: Question) -> list[Power]:
    names = [name for name in question.metrics or () if name in base.sheet.scores]
    level = shared(1 - question.alpha, len(names))
    found: list[Power] = []
    for name in names:
        try:
            tolerance = question.tolerance_of(name)
            found.append(power(base.sheet, name, tolerance=tolerance, level=level))
        except StatsError:  # fewer than two samples: the comparison says so
            continue
    return found


def _stale(prepared: Prepared) -> GateResult:
    verdict = _verdict(prepared, "stale")
    return GateResult(replace(verdict, reasons=(stale_verdict(verdict),)))


def _judged(prepared: Prepared, result: EvalResult, *, update_baseline: bool) -> GateResult:
    record, trial = result.record, result.trial
    asked = floors_of(prepared.plan)
    level = shared(1 - prepared.question.alpha, len(asked))
    ended = "" if record.state == "complete" else "; ".join(record.notes) or "the measurement did not end"
    if not record.sheets:
        verdict = replace(
            _verdict(prepared, "unclear"), run=record.run, reasons=(ended or "no answers came",)
        )
        return GateResult(verdict, result)
    side = side_of(record)
    floors = check_floors(asked, trial, side.sheet, record.metric, level)
    comparison, trouble = None, ended
    if prepared.base is not None and not prepared.stale:
        try:
            comparison = compare_sides(prepared.base, side, prepared.question)
        except InconclusiveError as error:
            trouble = ended or str(error)
    accepted = comparison if not update_baseline else None
    outcome, reasons = decide(comparison=accepted, floors=floors, ended=trouble)
    updated = ""
    if update_baseline:
        updated, reasons = _updated(prepared, side, comparison, reasons, ended=ended)
    verdict = replace(
        _verdict(prepared, outcome),
        run=record.run,
        reasons=reasons,
        comparison=comparison,
        floors=tuple(floors),
        stale=prepared.stale,
        updated=updated,
        spent_usd=record.spend.usd,
        notes=record.notes,
    )
    return GateResult(verdict, result)


def _updated(
    prepared: Prepared, side: Side, comparison: Comparison | None, reasons: tuple[str, ...], *, ended: str
) -> tuple[str, tuple[str, ...]]:
    """The file that was written, and what to say of it."""
    assert prepared.path is not None, "a baseline is written where a file is named"
    if ended:
        raise InconclusiveError(f"no baseline was written: {ended}")
    written = str(baselines.write(side, prepared.path))
    said = f"Wrote the baseline {written}; commit it."
    before = () if comparison is None else (f"Against the one before: {comparison.reason}",)
    return written, (said, *before, *reasons)


def _verdict(prepared: Prepared, outcome: Any) -> GateVerdict:
    evaluated = prepared.plan.evaluated
    assert evaluated is not None, "the plan of a gate says what is measured"
    return GateVerdict(
        experiment=prepared.plan.experiment,
        run="",
        outcome=outcome,
        reasons=(),
        settings=evaluated.settings,
        alpha=prepared.question.alpha,
        power=prepared.power,
        stale=prepared.stale,
        baseline="" if prepared.path is None or prepared.base is None else str(prepared.path),
    )
