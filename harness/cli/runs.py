"""Verbs that run or show runs: `tune`, `report`, `list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from harness.result import TuneResult

INCONCLUSIVE = 4
STORE = click.option("--store", help="Database URL; default HARNESS_STORE, else one under .harness.")
REPORTS = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    envvar="HARNESS_OUTPUT",
    help="Folder that gets one folder per run.",
)


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option("--resume", metavar="RUN", help="Go on with this run ('latest': the one begun last).")
@click.option("-j", "--max-concurrency", type=int, envvar="HARNESS_MAX_CONCURRENCY", help="Calls in flight.")
@click.option("-n", "--limit", type=int, envvar="HARNESS_LIMIT", help="Use only this many samples.")
@click.option("--repeat", type=int, envvar="HARNESS_REPEAT", help="Answers per sample.")
@click.option("--n-trials", type=int, envvar="HARNESS_N_TRIALS", help="Settings tried at most.")
@click.option("--max-cost", type=float, envvar="HARNESS_MAX_COST", help="Cap in US dollars.")
@click.option("--seed", type=int, envvar="HARNESS_SEED", help="Seed of order, search and sampling.")
@click.option("--no-cache", is_flag=True, envvar="HARNESS_NO_CACHE", help="Ask everything anew.")
@click.option(
    "--no-mlflow", is_flag=True, envvar="HARNESS_NO_MLFLOW", help="Do not mirror the run in MLflow."
)
@click.option("--json", "as_json", is_flag=True, help="Print the recommendation as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@STORE
@REPORTS
def tune(
    spec: Path | None,
    resume: str | None,
    store: str | None,
    output: Path,
    no_cache: bool,
    no_mlflow: bool,
    as_json: bool,
    quiet: bool,
    **overrides: Any,
) -> int:
    """Search SPEC's space and recommend settings."""
    from harness.cli.interrupts import stop_on_second_interrupt
    from harness.cli.live import LiveView
    from harness.run import tune as run_tune

    with stop_on_second_interrupt(quiet=quiet), LiveView(shown=not quiet) as view:
        result = run_tune(
            spec,
            resume=resume,
            store=store,
            reports=output,
            on_progress=view,
            use_cache=not no_cache,
            mlflow=not no_mlflow,
            **{name: value for name, value in overrides.items() if value is not None},
        )
    return _show(result, as_json=as_json)


@click.command()
@click.argument("run", default="latest")
@click.option("--mlflow", is_flag=True, help="Fill in MLflow as well.")
@STORE
@REPORTS
def report(run: str, mlflow: bool, store: str | None, output: Path) -> int:
    """Write the report of RUN (default: the latest) anew from the store; nothing is sent."""
    from harness.past import rebuild_report
    from harness.run import mirror

    result = rebuild_report(run, store=store, reports=output)
    if mlflow:
        mirror(result)
    return _show(result, as_json=False)


@click.command("list")
@STORE
def list_runs(store: str | None) -> None:
    """List the runs of the store, newest first."""
    from harness.store.store import open_store

    database = open_store(store)
    try:
        rows = database.runs()
    finally:
        database.close()
    for row in rows:
        click.echo(f"{row.run:<44} {row.state:<12} {row.started_at:%Y-%m-%d %H:%M}")
    if not rows:
        click.echo("no runs yet; begin with `harness tune SPEC`")


def _show(result: TuneResult, *, as_json: bool) -> int:
    from harness.cli.live import show_result
    from harness.store.codec import encode

    choice = result.record.recommendation
    if as_json:
        click.echo(encode(choice, indent=2) if choice else "null")
    show_result(result, sys.stderr if as_json else sys.stdout)
    return 0 if choice else INCONCLUSIVE


COMMANDS = (tune, report, list_runs)
