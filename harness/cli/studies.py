"""The verb that hands a run to Optuna's own tools: `study`."""

from __future__ import annotations

import click

from harness.cli.runs import STORE


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--storage",
    required=True,
    envvar="OPTUNA_STORAGE",
    help="URL of an Optuna storage, as in sqlite:///study.db, or a file for its journal.",
)
@click.option("--name", help="Name of the study; default that of the run.")
@STORE
def study(run: str, storage: str, name: str | None, store: str | None) -> None:
    """Write RUN (default: the latest), finished or not, as an Optuna study; nothing is sent."""
    from harness.outputs import numbers
    from harness.past import record_so_far
    from harness.trials.study import write_study

    record, plan = record_so_far(run, store=store)
    written = write_study(record, plan, storage, name)
    click.echo(f"wrote study {written} with {numbers.counted(len(record.trials), 'trial')}")
    click.echo(f"next: optuna-dashboard {storage}")


COMMANDS = (study,)
