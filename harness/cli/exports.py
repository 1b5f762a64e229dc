"""Verbs that hand settings on: `export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("target", required=False)
@click.argument("run", default="latest")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder; default reports/RUN/exports.")
@click.option(
    "--policy",
    help="Choose anew: best, knee, cheapest_within:0.01, fastest_within:0.01, floor:0.85, or "
    "weights:quality=0.7,price=0.2,latency=0.1.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--list", "list_targets", is_flag=True, help="List the targets.")
@click.option("--store", help="Database URL; default HARNESS_STORE, else one under .harness.")
def export(
    target: str | None,
    run: str,
    output: Path | None,
    policy: str | None,
    force: bool,
    list_targets: bool,
    store: str | None,
) -> None:
    """Write RUN's recommended settings for TARGET (json, yaml, openai, ...)."""
    from harness.errors import UsageError
    from harness.outputs.exports.registry import TARGETS
    from harness.outputs.exports.registry import export as write_export
    from harness.past import REPORTS, chosen
    from harness.plan.policy import form_of

    if list_targets:
        for name, known in sorted(TARGETS.items()):
            click.echo(f"{name:<10} {known.description}")
        return
    if target is None:
        raise UsageError(f"no target given; expected one of {', '.join(sorted(TARGETS))}")
    found = chosen(run, None if policy is None else form_of(policy), store=store)
    folder = output or REPORTS / found.recommendation.run / "exports"
    paths = write_export(target, found.recommendation, folder, force=force, prompt_text=found.prompt_text)
    for path in paths:
        click.echo(f"wrote {path}")


COMMANDS = (export,)
