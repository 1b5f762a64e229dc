"""A plan in words: what a run would do, cost, take and be able to tell; as text and as a card.

In: a plan and its estimate. Out: text in its final wording. Must not estimate anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.outputs import numbers
from harness.outputs.pages import render
from harness.plan.estimate import PlanEstimate
from harness.plan.plan import Budget, NearAnswers, Plan, Space
from harness.plan.resolution import points


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanData:
    """Everything that is shown, as strings. warning: empty when the data can tell what the policy asks for.

    basis: what the figures rest on, a sentence or two each.
    """

    experiment: str
    description: str
    verdict: str
    lines: tuple[tuple[str, str], ...]
    warning: str
    basis: tuple[str, ...]
    notes: tuple[str, ...]


def plan_data(made: Plan, estimate: PlanEstimate, gate: Sequence[str] = (), gate_basis: str = "") -> PlanData:
    """The whole plan in words. gate: what a gate can see of each metric; gate_basis: what that rests on."""
    return PlanData(
        experiment=made.experiment,
        description=made.description,
        verdict=_verdict(made, estimate),
        lines=(*_lines(made, estimate), *(("gate", sentence) for sentence in gate)),
        warning=estimate.too_small,
        basis=(*estimate.basis.splitlines(), *([gate_basis] if gate_basis else [])),
        notes=made.notes,
    )


def text(data: PlanData) -> str:
    """The plan as plain lines."""
    lines = [f"{name:<11} {value}" for name, value in data.lines]
    lines += ["", data.warning] if data.warning else []
    return "\n".join([*lines, "", *data.basis, *(f"note: {note}" for note in data.notes)])


def card(data: PlanData) -> str:
    """The plan as HTML for `_repr_html_`: no script, readable on light and dark pages."""
    return render("plan_card.html.jinja", it=data, clip=numbers.clipped)


def _verdict(made: Plan, estimate: PlanEstimate) -> str:
    """The plan in one sentence: what is tried on what, for how much, for how long."""
    samples = numbers.counted(estimate.n_search + estimate.n_confirm, "sample")
    tried = f"{numbers.counted(estimate.trials, 'set')} of settings" if made.evaluated is None else "One set"
    calls = _span(*(numbers.count(one) for one in estimate.likely_calls))
    time = "" if estimate.duration_s is None else f", {_duration(estimate.duration_s)}"
    bill = "free" if estimate.bill_usd[1] == 0 else _bill(estimate)
    return f"{tried} at most on {samples}: {calls} calls, {bill}{time}."


def _lines(made: Plan, estimate: PlanEstimate) -> list[tuple[str, str]]:
    fewest, most = estimate.likely_calls
    answers = numbers.counted(estimate.repeats, "answer")
    return [
        ("experiment", made.experiment),
        ("models", ", ".join(made.space.models)),
        ("prompts", ", ".join(made.space.prompts)),
        ("searched", ", ".join(sorted(_searched(made.space))) or "nothing"),
        ("trials", f"{numbers.count(estimate.trials)} at most, of {_distinct(estimate.distinct)}"),
        (
            "samples",
            (
                f"{numbers.count(estimate.n_search)} search + {numbers.count(estimate.n_confirm)} confirm, "
                f"{answers} each"
            ),
        ),
        ("calls", f"{_span(numbers.count(fewest), numbers.count(most))}, as races go"),
        *([("judges", _judges(made, estimate))] if made.task.judges else []),
        *([("near", _near(made.near, estimate))] if made.near is not None else []),
        ("budget", _caps(made.budget)),
        ("bill", _bill(estimate)),
        ("full grid", _grid(estimate)),
        ("resolves", _resolution(estimate)),
        ("time", _duration(estimate.duration_s)),
    ]


def _judges(made: Plan, estimate: PlanEstimate) -> str:
    """Who judges, and what part of calls and bill that is."""
    return f"{', '.join(made.judge_models)}; {_part(estimate.judge_calls, estimate.judge_usd)}"


def _near(near: NearAnswers, estimate: PlanEstimate) -> str:
    """Who tells near prompts, and what part of calls and bill that is."""
    return f"{near.model.full_name} embeds prompts; {_part(estimate.near_calls, estimate.near_usd)}"


def _part(calls: tuple[int, int], usd: tuple[float, float]) -> str:
    """What is taken of calls and bill, low and high."""
    (fewest, most), (low, high) = calls, usd
    price = "free" if high == 0 else _span(numbers.money(low), numbers.money(high))
    return f"{_span(numbers.count(fewest), numbers.count(most))} of the calls, {price} of the bill"


def _caps(budget: Budget) -> str:
    caps = [
        *([numbers.money(budget.usd)] if budget.usd is not None else []),
        *([numbers.counted(budget.calls, "call")] if budget.calls is not None else []),
        *([numbers.counted(budget.tokens, "token")] if budget.tokens is not None else []),
        *([f"{budget.minutes:g} minute{'' if budget.minutes == 1 else 's'}"] if budget.minutes else []),
    ]
    return " and ".join(caps)


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _bill(estimate: PlanEstimate) -> str:
    """The expected interval, and whether the budget ends it."""
    low, high = estimate.bill_usd
    if high == 0:
        return "nothing: these models are free"
    end = ", where the budget stops" if high == estimate.budget_usd else ""
    return f"{_span(numbers.money(low), numbers.money(high))}{end}"


def _grid(estimate: PlanEstimate) -> str:
    """What trying everything on everything would take, and what the budget is of it."""
    calls = f"{numbers.count(estimate.calls)} calls"
    if estimate.worst_case_usd == 0:
        price = "free"
    else:
        usd, worst = numbers.money(estimate.estimated_usd), numbers.money(estimate.worst_case_usd)
        price = f"about {usd} and at most {worst}"
    share = estimate.budget_share
    if share is None:
        return f"{calls}, {price}"
    part = "covers it" if share >= 1 else f"is {100 * share:.2g} % of it"
    return f"{calls}, {price}; the budget {part}"


def _resolution(estimate: PlanEstimate) -> str:
    """The smallest differences that the splits can tell."""
    return ", ".join(
        f"{points(one.difference)} [{points(one.low).split()[0]}, {points(one.high).split()[0]}] on the "
        f"{one.split} split"
        for one in estimate.resolution
    )


def _searched(space: Space) -> set[str]:
    """Names of what the search may vary; a fixed setting is none of it."""
    settings = {d.name for ds in space.dimensions.values() for d in ds if d.distinct != 1}
    several = {"model": len(space.models) > 1, "prompt": len(space.prompts) > 1}
    return settings | {name for name, searched in several.items() if searched}


def _distinct(distinct: int | None) -> str:
    return "endlessly many" if distinct is None else numbers.count(distinct)


def _duration(range_s: tuple[float, float] | None) -> str:
    if range_s is None:
        return "unknown"
    return f"about {_span(numbers.seconds(range_s[0]), numbers.seconds(range_s[1]))}"
