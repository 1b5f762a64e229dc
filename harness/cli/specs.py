"""Verbs about specs, which spend nothing: `init`, `validate`, `plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.plan.estimate import PlanEstimate
    from harness.plan.plan import Budget, Plan, Space

SPEC = click.argument("spec", type=click.Path(path_type=Path))


@click.command()
@click.argument("name")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("experiments"), show_default=True
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
def validate(spec: Path) -> None:
    """Check SPEC, its prompts and its data; tell every fault with file and line."""
    from harness.outputs import numbers
    from harness.plan.planner import make_plan

    plan = make_plan(spec)
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
def plan(spec: Path, limit: int | None, repeat: int | None, n_trials: int | None, as_json: bool) -> None:
    """Say what SPEC would do and what it could cost at most; spends nothing."""
    from harness.plan.estimate import estimate_plan
    from harness.plan.planner import make_plan

    made = make_plan(spec, limit=limit, repeat=repeat, n_trials=n_trials)
    estimate = estimate_plan(made)
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps(asdict(estimate), indent=2))
        return
    for name, text in _lines(made, estimate):
        click.echo(f"{name:<11} {text}")
    click.echo(f"\n{estimate.basis}")
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
        ("calls", _span(numbers.count(fewest), numbers.count(most)) + _capped_calls(estimate)),
        ("budget", _caps(made.budget)),
        ("bill", _bill(estimate)),
        ("time", _duration(estimate.duration_s)),
    ]


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


def _capped_calls(estimate: PlanEstimate) -> str:
    from harness.outputs import numbers

    most = estimate.likely_calls[1]
    return (
        f", where the budget stops ({numbers.count(estimate.calls)} without it)"
        if most < estimate.calls
        else ""
    )


def _bill(estimate: PlanEstimate) -> str:
    """The predicted interval, which of bound and budget ends it, and the estimate of all calls."""
    from harness.outputs import numbers

    low, high = estimate.bill_usd
    if high == 0:
        return "nothing: these models are free"
    if high < estimate.worst_case_usd:
        end = f"where the budget stops; worst case without it {numbers.money(estimate.worst_case_usd)}"
    else:
        end = "the worst case" + ("" if estimate.budget_usd is None else ", below the budget")
    bill = _span(numbers.money(low), numbers.money(high))
    return f"{bill}, {end}; all calls are estimated at {numbers.money(estimate.estimated_usd)}"


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
