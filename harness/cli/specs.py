"""Verbs about specs, which spend nothing: `init`, `validate`, `plan`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.runs import ALLOW_CODE, STORE

if TYPE_CHECKING:
    from harness.planning import PlanResult

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
def plan(as_json: bool, **options: Any) -> None:
    """Say what SPEC would do, cost and be able to tell; spends nothing."""
    it = planned(**options)
    if as_json:
        from dataclasses import asdict

        gate = {"gate": [asdict(one) for one in it.gate]} if it.gate else {}
        click.echo(json.dumps(asdict(it.estimate) | gate, indent=2))
        return
    click.echo(repr(it))


def planned(spec: Path | Mapping[str, Any], *, as_json: bool = False, **options: Any) -> PlanResult:
    """What `plan` shows, from the values of its options. as_json: is of no account here."""
    from harness.planning import make_plan

    del as_json
    return make_plan(spec, **options)


COMMANDS = (init, validate, plan)
