"""Which settings to ship, why, and how sure that is.

The search split proposes, the confirm split reports, holds the limits, and may refuse. In: finalists with
their evidence on both splits, and the aim. Out: a recommendation, or an InconclusiveError that says what is
missing. Pure: it looks nothing up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.advice.caveats import caveats, unheard
from harness.advice.classes import class_gain
from harness.advice.finalist import DEFAULT, Finalist, Goal, Searched
from harness.advice.front import champions, front, provider_champions
from harness.advice.limits import check, cut_off, keeps, nobody_keeps, unshown_caveats
from harness.advice.policies import by_quality, comparable, pick
from harness.advice.ties import certainty, differences, separations, ties
from harness.errors import InconclusiveError
from harness.findings import PairedDifference, Provenance, Recommendation, Trial
from harness.plan.limits import broken_limits


def recommend(
    finalists: Sequence[Finalist],
    goal: Goal,
    *,
    experiment: str,
    run: str,
    provenance: Provenance,
    notes: Sequence[str],
    searched: Sequence[Searched] = (),
) -> Recommendation:
    """The settings to ship under this goal.

    searched: all trials as the search split saw them, for the best of model classes without a finalist.
    Raises InconclusiveError when no finalist has quality on both splits, none is sure to keep the limits, or
    the policy asks for what none is sure to have.
    """
    able = [f for f in finalists if _answered(f.search) and _answered(f.confirm)]
    if not able:
        raise InconclusiveError(_nobody_answered(finalists))
    keeping = [f for f in able if keeps(check(f.confirm, goal.limits))]
    if not keeping:
        raise InconclusiveError(nobody_keeps([f.confirm for f in able], goal.limits))
    feasible = [f for f in keeping if not broken_limits(f.confirm, goal.assumed)]
    if not feasible:
        raise InconclusiveError(cut_off([f.confirm for f in keeping], goal.assumed))
    picked = pick(feasible, goal)
    chosen = picked.finalist
    rivals = [f for f in able if f is not chosen]
    runner_up = _runner_up(chosen, feasible)
    found = differences(chosen, rivals, goal)
    tied = ties(rivals, found)
    best = champions(chosen, able, searched, found, goal)
    near = [f for f in rivals if f.number in tied and f.number in (DEFAULT, runner_up and runner_up.number)]
    return Recommendation(
        experiment=experiment,
        run=run,
        policy=goal.policy.text(),
        settings=chosen.confirm.settings,
        trial=chosen.confirm,
        search_trial=chosen.search,
        ties=tied,
        runner_up=runner_up.number if runner_up else None,
        versus_runner_up=_to(runner_up.number if runner_up else None, found),
        versus_default=_to(DEFAULT, found),
        reason=picked.reason,
        caveats=(
            *picked.caveats,
            *unshown_caveats(check(chosen.confirm, goal.limits)),
            *caveats(chosen, rivals, goal.level),
            *unheard(_others(chosen, finalists, searched)),
            *notes,
        ),
        provenance=provenance,
        certainty=certainty(rivals, tied, goal.level),
        differences=found,
        separations=separations(chosen, near, found, goal),
        by_class=best,
        class_gain=class_gain(best, able, searched, goal),
        pareto=front([f.confirm for f in able]),
        by_provider=provider_champions(chosen, able, searched, found, goal),
    )


def _others(chosen: Finalist, finalists: Sequence[Finalist], searched: Sequence[Searched]) -> Iterator[Trial]:
    """Every trial on either split, but for the choice."""
    yield from (one.trial for one in searched if one.trial.number != chosen.number)
    seen = {one.trial.number for one in searched}
    for rival in finalists:
        if rival is not chosen:
            yield from ((rival.confirm,) if rival.number in seen else (rival.search, rival.confirm))


def _answered(trial: Trial) -> bool:
    # Where failures count as wrong, silence has a quality too: 0, which nobody would ship.
    return trial.quality is not None and trial.failure_rate + trial.unscored_rate < 1


def _nobody_answered(finalists: Sequence[Finalist]) -> str:
    """That there is nothing to choose from, and the cause where calls failed throughout."""
    told = "no trial has enough scored answers on both splits"
    sides = (side for f in finalists for side in (f.search, f.confirm))
    silent = next((side for side in sides if side.failure_rate == 1 and side.reason), None)
    if silent is None:
        return f"{told}; look at the failure rates, then raise the budget or the number of samples"
    cause = f"trial {silent.number} on the {silent.split} split: {silent.reason}"
    return f"{told}: {cause}; mend that and run again, for what was answered is kept"


def _runner_up(chosen: Finalist, feasible: Sequence[Finalist]) -> Finalist | None:
    """The best of the others that could have been shipped."""
    others = [f for f in feasible if f is not chosen]
    racing = [f for f in others if f in comparable(feasible)] or others
    return min(racing, key=by_quality, default=None)


def _to(number: int | None, found: Sequence[PairedDifference]) -> PairedDifference | None:
    return next((one for one in found if one.other == number), None)
