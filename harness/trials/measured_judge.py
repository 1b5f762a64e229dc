"""Judges held against answers that people called good or bad, before anybody trusts them.

In: a plan with labelled answers, and a way to ask. Out: a report a judge, and pass rates with the judge's
errors taken out. Nothing is decided here but whether a judge knows anything at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.errors import InconclusiveError, StatsError
from harness.findings import JudgeReport, Progress, Spend
from harness.plan.labelled import FEWEST, Labelled
from harness.plan.plan import Plan
from harness.records import Call, Estimate, Outcome
from harness.scores.combined import judges_in
from harness.scores.judge import Judge
from harness.stats.clusters import clustered, standard_error
from harness.stats.intervals import mean_interval, wilson
from harness.stats.judged import (
    Effective,
    Passed,
    chance_p,
    corrected_rate,
    kappa,
    labels_needed,
    verbosity_bias,
)
from harness.trials.evidence import Arm
from harness.trials.judging import Send, ask_judge

# A judge by lot is let through once in a hundred times. In four of five runs, one that is right on 80 % of
# good and bad answers alike is told from it by some 32 labels, one that is right on 75 % by some 45.
CHANCE = 0.01
POWER = 0.8
SOME = 0.2  # kappa from which on a judge seems to know something, so that more labels are worth a word


def measure_judges(
    plan: Plan, send: Send, watch: Callable[[int, int], None] | None = None
) -> tuple[JudgeReport, ...]:
    """Every judge that has labelled answers, measured.

    send: as for `judging.judge_each`. watch: told after each verdict how many there are, of how many.
    """
    done, planned = 0, measuring_calls(plan)

    def watched(calls: Iterable[Call]) -> Iterator[Outcome]:
        nonlocal done
        for outcome in send(calls):
            done += 1
            if watch is not None:
                watch(done, planned)
            yield outcome

    return tuple(
        measure_judge(plan, judge, plan.task.labelled[judge.name], watched)
        for judge in plan.task.judges
        if judge.name in plan.task.labelled
    )


def measuring_calls(plan: Plan) -> int:
    """How many calls measuring all judges takes."""
    return sum(
        len(judge.questions(one.answer))
        for judge in plan.task.judges
        for one in plan.task.labelled.get(judge.name, ())
    )


def measuring(run: str, done: int, planned: int, spend: Spend, elapsed_s: float) -> Progress:
    """A snapshot of a run that measures its judges."""
    return Progress(
        run=run, phase="judges", trials=(), done=done, planned=planned, spend=spend, elapsed_s=elapsed_s
    )


def measure_judge(plan: Plan, judge: Judge, labelled: Sequence[Labelled], send: Send) -> JudgeReport:
    """This judge, asked about answers of known quality. Raises InconclusiveError when the budget ends it."""
    answers, level = [one.answer for one in labelled], plan.aim.confidence
    passed: list[bool | None] = []
    firsts: list[tuple[int, bool]] = []
    for place, (answer, said) in enumerate(ask_judge(plan, judge, answers, send)):
        if said.unsent:
            raise InconclusiveError(
                f"the budget, {plan.budget.words()}, does not cover the {len(labelled)} labelled answers of "
                f"judge {judge.name!r}; raise it"
            )
        replies = said.texts[judge.name]
        value = judge.score(answer, replies).value
        passed.append(None if value is None else value >= judge.pass_at)
        firsts += [(place, first) for first in judge.firsts(replies)]
    report = _report(judge, labelled, passed, level)
    if not firsts:
        return report
    share = mean_interval(
        [float(first) for _, first in firsts], level=level, groups=[place for place, _ in firsts]
    )
    return replace(report, position_bias=_moved(share, -0.5))


def require_telling(plan: Plan, reports: Iterable[JudgeReport]) -> None:
    """Raise InconclusiveError when a judge that has a say in the quality cannot be told from chance."""
    firsts = [task.scorers[0] for task in plan.task.each if task.scorers]
    quality = {judge.name for first in firsts for judge in judges_in(first)}
    for report in reports:
        if report.scorer not in quality:
            continue
        if report.good + report.bad < FEWEST or not report.good or not report.bad:
            raise InconclusiveError(
                f"judge {report.scorer!r} gave a verdict on {report.labelled - report.unscored} of "
                f"{report.labelled} labelled answers, and at least {FEWEST} of both kinds are needed to "
                "trust it: see that it can be asked and answers in the form it is told to, then run again"
            )
        if report.at_chance:
            raise InconclusiveError(
                f"judge {report.scorer!r} cannot be told from chance: {chance_words(report)}. Its scores "
                f"would say nothing of the settings, so nothing was tried; {_more_labels(report)}sharpen its "
                "criterion, take a stronger judge, or look whether the labels are right"
            )


def chance_words(report: JudgeReport) -> str:
    """What a judge passed of good and bad answers, in words."""
    return (
        f"it passed {report.good_passed} of {report.good} answers that people call good and "
        f"{report.bad_passed} of {report.bad} that they call bad (Cohen's kappa {report.kappa:.2f})"
    )


def _more_labels(report: JudgeReport) -> str:
    """How many labels would do, for a judge that seems to know something; else nothing."""
    good, bad = Passed(report.good_passed, report.good), Passed(report.bad_passed, report.bad)
    needed = labels_needed(good, bad, 1 - CHANCE, POWER)
    if report.kappa is None or report.kappa < SOME or needed is None:
        return ""
    enough = max(needed, report.good + report.bad + 1)
    return (
        f"if it is as good as it seems, some {enough} labels like these {report.good + report.bad} would "
        "tell it: label more answers, "
    )


def with_corrected(reports: Sequence[JudgeReport], arms: Iterable[Arm]) -> tuple[JudgeReport, ...]:
    """The reports, with the true pass rates of these arms that the first scorer's judge lets conclude."""
    able = [arm for arm in arms if arm.samples()]
    if not able or not reports:
        return tuple(reports)
    plan = able[0].board.plan
    firsts = [task.scorers[0] for task in plan.task.each]
    judges = {judge.name: judge for judge in firsts if isinstance(judge, Judge)}
    found: list[JudgeReport] = []
    for report in reports:
        rates: dict[int, Estimate] = {}
        if report.scorer in judges and not report.at_chance:
            estimates = {arm.number: _corrected(report, judges[report.scorer], arm) for arm in able}
            rates = {number: rate for number, rate in estimates.items() if rate is not None}
        found.append(replace(report, corrected=rates))
    return tuple(found)


def _report(
    judge: Judge, labelled: Sequence[Labelled], passed: Sequence[bool | None], level: float
) -> JudgeReport:
    judged = [
        (one, bool(verdict)) for one, verdict in zip(labelled, passed, strict=True) if verdict is not None
    ]
    good = Passed(sum(ok for one, ok in judged if one.good), sum(one.good for one, _ in judged))
    bad = Passed(sum(ok for one, ok in judged if not one.good), len(judged) - good.n)
    report = JudgeReport(
        scorer=judge.name,
        models=judge.asks,
        labelled=len(labelled),
        unscored=len(labelled) - len(judged),
        good=good.n,
        bad=bad.n,
        good_passed=good.passed,
        bad_passed=bad.passed,
        at_chance=True,
    )
    if not good.n or not bad.n:
        return report
    p = chance_p(good, bad)
    return replace(
        report,
        at_chance=p >= CHANCE,
        kappa=kappa(good, bad),
        sensitivity=wilson(good.passed, good.n, level),
        specificity=wilson(bad.n - bad.passed, bad.n, level),
        chance_p=p,
        verbosity_bias=_verbosity(judged, level),
    )


def _verbosity(judged: Sequence[tuple[Labelled, bool]], level: float) -> Estimate | None:
    try:
        return verbosity_bias(
            [ok for _, ok in judged],
            [one.good for one, _ in judged],
            [len(one.answer.text) for one, _ in judged],
            level,
        )
    except StatsError:  # all answers are of one length
        return None


def _corrected(report: JudgeReport, judge: Judge, arm: Arm) -> Estimate | None:
    """The share of this arm's answers that people would call good.

    Samples that are alike count as fewer: as many as would give the standard error of their clusters.
    """
    own = [part.marks for part in arm.board.parts if part.task.scorers[0].name == judge.name]
    known = ~np.isnan(arm.value) & np.any(own, axis=0)[:, np.newaxis]
    places = np.flatnonzero(known.any(axis=1))
    if not len(places):
        return None
    passes = np.where(known, arm.value >= judge.pass_at, 0).sum(axis=1)[places] / known.sum(axis=1)[places]
    share, n = float(passes.mean()), float(len(places))
    groups = arm.groups()
    if groups is not None and 0 < share < 1:
        of_groups = clustered(passes, [groups[place] for place in places])
        error = standard_error(of_groups) if of_groups.count > 1 else 0.0
        n = n if error <= 0 else max(1.0, min(n, share * (1 - share) / error**2))
    level = arm.board.plan.aim.confidence
    good, bad = Passed(report.good_passed, report.good), Passed(report.bad_passed, report.bad)
    try:
        rate = corrected_rate(Effective(share * n, n), good, bad, level)
    except StatsError:  # few labels, and a judge that hardly tells them apart
        return None
    return replace(rate, n=len(places), clusters=round(n))


def _moved(estimate: Estimate, by: float) -> Estimate:
    return replace(estimate, value=estimate.value + by, low=estimate.low + by, high=estimate.high + by)
