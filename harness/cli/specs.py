"""Verbs about specs, which spend nothing: `init`, `validate`, `plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.plan.plan import Space

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
    from harness.plan.planner import make_plan

    plan = make_plan(spec)
    card = plan.task.rows.card
    click.echo(
        f"{spec}: fine ({len(plan.space.models)} models, {len(plan.space.prompts)} prompts, "
        f"{card.n_search} search and {card.n_confirm} confirm samples)"
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
    from harness.outputs import numbers
    from harness.plan.estimate import estimate_plan
    from harness.plan.planner import make_plan

    made = make_plan(spec, limit=limit, repeat=repeat, n_trials=n_trials)
    estimate = estimate_plan(made)
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps(asdict(estimate), indent=2))
        return
    budget = made.budget
    caps = [
        *([f"{numbers.money(budget.usd)}"] if budget.usd is not None else []),
        *([f"{numbers.count(budget.calls)} calls"] if budget.calls is not None else []),
        *([f"{numbers.count(budget.tokens)} tokens"] if budget.tokens is not None else []),
        *([f"{budget.minutes:g} minutes"] if budget.minutes is not None else []),
    ]
    rows = [
        ("experiment", made.experiment),
        ("models", ", ".join(made.space.models)),
        ("prompts", ", ".join(made.space.prompts)),
        (
            "searched",
            ", ".join(sorted(_searched(made.space))) or "nothing",
        ),
        ("trials", f"{estimate.trials} at most, of {_distinct(estimate.distinct)}"),
        (
            "samples",
            f"{estimate.n_search} search + {estimate.n_confirm} confirm, {estimate.repeats} answer(s) each",
        ),
        ("calls", f"{numbers.count(estimate.calls)} at most"),
        ("worst case", numbers.money(estimate.worst_case_usd)),
        ("time", _duration(estimate.duration_s)),
        ("budget", " and ".join(caps)),
    ]
    for name, text in rows:
        click.echo(f"{name:<11} {text}")
    click.echo(f"\n{estimate.basis}")
    for note in made.notes:
        click.echo(f"note: {note}")


def _searched(space: Space) -> set[str]:
    """Names of what the search may vary; a fixed setting is none of it."""
    settings = {d.name for ds in space.dimensions.values() for d in ds if d.distinct != 1}
    several = {"model": len(space.models) > 1, "prompt": len(space.prompts) > 1}
    return settings | {name for name, searched in several.items() if searched}


def _distinct(distinct: int | None) -> str:
    return "endlessly many" if distinct is None else f"{distinct}"


def _duration(range_s: tuple[float, float] | None) -> str:
    if range_s is None:
        return "unknown: the catalogue does not say how fast these models answer"
    return f"{range_s[0] / 60:.0f} to {range_s[1] / 60:.0f} minutes"


COMMANDS = (init, validate, plan)
