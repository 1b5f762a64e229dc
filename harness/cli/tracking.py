"""The verbs about MLflow: `mlflow sync`."""

from __future__ import annotations

import click

REMAINING = 4


@click.group()
def mlflow() -> None:
    """Look after the mirror of runs in MLflow."""


@mlflow.command()
@click.argument("runs", nargs=-1)
def sync(runs: tuple[str, ...]) -> int:
    """Fill in what MLflow has not taken yet, because it was away or slow; of all runs, or of these.

    They wait under .harness/mlflow-pending, each for the MLFLOW_TRACKING_URI that it was made with. A run
    that does not wait is filled in by `harness report RUN --mlflow`.
    """
    from harness.errors import UsageError
    from harness.outputs import outbox
    from harness.outputs.tracking import target_of

    waiting = [one for one in outbox.waiting() if not runs or one.run in runs]
    if missing := set(runs).difference(one.run for one in waiting):
        raise UsageError(
            f"{', '.join(sorted(missing))} does not wait for MLflow; `harness report RUN --mlflow` fills in "
            "any run of the store"
        )
    here = target_of()
    elsewhere = [one for one in waiting if one.target != here]
    for one in waiting:
        if one.target == here:
            filled = outbox.send(one.parcel)
            click.echo(f"filled in {one.run}: run {filled.run_id} at {filled.tracking_uri}")
    for one in elsewhere:
        click.echo(f"{one.run} waits for {one.target}; set MLFLOW_TRACKING_URI to it (here: {here})")
    if not waiting:
        click.echo("no run waits for MLflow")
    return REMAINING if elsewhere else 0


COMMANDS = (mlflow,)
