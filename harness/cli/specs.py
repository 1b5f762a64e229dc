"""Verbs about specs, which spend nothing: `init`, `validate`, `plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.runs import ALLOW_CODE, STORE

if TYPE_CHECKING:
    from harness.plan.estimate import PlanEstimate
    from harness.plan.plan import Budget, NearAnswers, Plan, Space

SPEC = click.argument("spec", type=click.Path(path_type=Path))


@click.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("experiments"),
    show_default=True,
    help="Folder that gets the files.",
)
def init(name: str, output: Path) -> None:
    """Write a commented spec NAME with a small data file, a prompt, and the schema editors use."""
    from harness.plan.starter import write_starter

    paths = write_starter(name, output)
    for path in paths:
        click.echo(f"wrote {path}")
    spec = next(path for path in paths if path.suffix == ".yaml")
    click.echo(f"next: harness plan {spec}")


@click.command()
@SPEC
@STORE
@ALLOW_CODE
def validate(spec: Path, store: str | None, allow_code: bool | None) -> None:
    """Check SPEC, its prompts and its data; tell every fault with file and line."""
    from harness.outputs import numbers
    from harness.plan.planner import make_plan

    plan = make_plan(spec, store=store, allow_code=allow_code)
    card = plan.task.rows.card
    click.echo(
        f"{spec}: fine ({numbers.counted(len(plan.space.models), 'model')}, "
        f"{numbers.counted(len(plan.space.prompts), 'prompt')}, "
        f"{numbers.count(card.n_search)} search and {numbers.count(card.n_confirm)} confirm samples)"
    )
    for note in plan.notes:
        click.echo(f"note: {note}")


@click.command()
@SPEC
@click.option("-n", "--limit", type=int, help="Use only this many samples.")
@click.option("--repeat", type=int, help="Answers per sample.")
@click.option("--n-trials", type=int, help="Settings tried at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@STORE
@ALLOW_CODE
def plan(spec: Path, store: str | None, as_json: bool, **overrides: Any) -> None:
    """Say what SPEC would do, cost and be able to tell; spends nothing."""
    from harness.gating import foretell
    from harness.plan.estimate import estimate_plan
    from harness.plan.planner import make_plan

    made = make_plan(spec, store=store, **overrides)
    estimate = estimate_plan(made)
    seen, rests_on = foretell(made, estimate.resolution)
    if as_json:
        from dataclasses import asdict

        gate = {"gate": [asdict(one) for one in seen]} if seen else {}
        click.echo(json.dumps(asdict(estimate) | gate, indent=2))
        return
    for name, text in (*_lines(made, estimate), *(("gate", one.sentence) for one in seen)):
        click.echo(f"{name:<11} {text}")
    if estimate.too_small:
        click.echo(f"\n{estimate.too_small}")
    click.echo(f"\n{estimate.basis}")
    if rests_on:
        click.echo(rests_on)
    for note in made.notes:
        click.echo(f"note: {note}")


def _lines(made: Plan, estimate: PlanEstimate) -> list[tuple[str, str]]:
    from harness.outputs import numbers

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
    from harness.outputs import numbers

    (fewest, most), (low, high) = calls, usd
    price = "free" if high == 0 else _span(numbers.money(low), numbers.money(high))
    return f"{_span(numbers.count(fewest), numbers.count(most))} of the calls, {price} of the bill"


def _caps(budget: Budget) -> str:
    from harness.outputs import numbers

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
    from harness.outputs import numbers

    low, high = estimate.bill_usd
    if high == 0:
        return "nothing: these models are free"
    end = ", where the budget stops" if high == estimate.budget_usd else ""
    return f"{_span(numbers.money(low), numbers.money(high))}{end}"


def _grid(estimate: PlanEstimate) -> str:
    """What trying everything on everything would take, and what the budget is of it."""
    from harness.outputs import numbers

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
    from harness.plan.resolution import points

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
    from harness.outputs import numbers

    return "endlessly many" if distinct is None else numbers.count(distinct)


def _duration(range_s: tuple[float, float] | None) -> str:
    from harness.outputs import numbers

    if range_s is None:
        return "unknown"
    return f"about {_span(numbers.seconds(range_s[0]), numbers.seconds(range_s[1]))}"


COMMANDS = (init, validate, plan)
