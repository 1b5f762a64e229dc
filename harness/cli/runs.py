"""Verbs that make runs, and write their reports: `tune`, `eval`, `report`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from harness.records import Verb
    from harness.result import EvalResult, RunResult, TuneResult

Command = TypeVar("Command", bound=Callable[..., Any])
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

TRACES = click.Choice(["none", "finalists", "all"])

ALLOW_CODE = click.option(
    "--allow-code",
    is_flag=True,
    default=None,
    envvar="HARNESS_ALLOW_CODE",
    help="Let SPEC run code: scorers of your own, and python_tests.",
)


def run_options(command: Command) -> Command:
    """The options of every verb that makes a run, in the order in which help shows them."""
    options = (
        click.option("--resume", metavar="RUN", help="Go on with this run ('latest': the one begun last)."),
        option("-j", "--max-concurrency", type=int, help="Calls in flight."),
        option("-n", "--limit", type=int, help="Use only this many samples."),
        option("--repeat", type=int, help="Answers per sample."),
        option("--max-cost", type=float, help="Cap in US dollars."),
        option("--seed", type=int, help="Seed of order, search and sampling."),
        option("--no-cache", is_flag=True, help="Ask everything anew."),
        option("--no-mlflow", is_flag=True, help="Do not mirror the run in MLflow."),
        option("--traces", type=TRACES, help="Calls that MLflow gets as traces; default: none."),
        ALLOW_CODE,
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="Show no progress."),
        STORE,
        REPORTS,
    )
    for one in reversed(options):
        command = one(command)
    return command


def option(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option with its twin in the environment: HARNESS_MAX_COST for --max-cost."""
    twin = "HARNESS_" + names[-1].removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=twin, **attributes)


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@option("--n-trials", type=int, help="Settings tried at most.")
@run_options
def tune(**options: Any) -> int:
    """Search SPEC's space and recommend settings."""
    return _carry_out(tuned, "tune", **options)


@click.command("eval")
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@option(
    "--settings",
    type=click.Path(path_type=Path),
    help="JSON or YAML: a recommendation, an export, or settings by name; default: the untuned default.",
)
@option(
    "--split", type=click.Choice(["all", "search", "confirm"]), help="The samples that answer; default: all."
)
@option("--offline", is_flag=True, help="Ask the store alone, without keys; a missing answer is an error.")
@run_options
def evaluate(**options: Any) -> int:
    """Measure one set of settings on SPEC's task: quality, price and latency."""
    return _carry_out(evaluated, "eval", **options)


def tuned(**options: Any) -> TuneResult:
    """What `tune` found, from the values of its options, and perhaps `on_progress`."""
    from harness.run import tune as run_tune

    return run_tune(**_given(**options))


def evaluated(**options: Any) -> EvalResult:
    """What `eval` measured, from the values of its options, and perhaps `on_progress`."""
    from harness.run import evaluate as run_evaluate

    return run_evaluate(**_given(**options))


def _given(
    *, output: Path, no_cache: bool, no_mlflow: bool, as_json: bool = False, quiet: bool = False, **more: Any
) -> dict[str, Any]:
    """The options as Python takes them; those of how a terminal shows a result are of no account."""
    del as_json, quiet
    means = {"reports": output, "use_cache": not no_cache, "mlflow": not no_mlflow}
    return means | {name: value for name, value in more.items() if value is not None}


def _carry_out(
    act: Callable[..., RunResult], verb: Verb, *, as_json: bool, quiet: bool, **options: Any
) -> int:
    from harness.cli.interrupts import stop_on_second_interrupt
    from harness.cli.live import LiveView

    with stop_on_second_interrupt(verb, quiet=quiet), LiveView(shown=not quiet) as view:
        result = act(on_progress=view, **options)
    return _show(result, as_json=as_json)


@click.command()
@click.argument("run", default="latest")
@click.option("--mlflow", is_flag=True, help="Fill in MLflow as well.")
@click.option("--traces", type=TRACES, help="With --mlflow: calls that it gets as traces; default: none.")
@STORE
@REPORTS
def report(run: str, mlflow: bool, traces: Any, store: str | None, output: Path) -> int:
    """Write the report of RUN (default: the latest) anew from the store; nothing is sent."""
    from harness.rebuilding import rebuild_report
    from harness.run import track

    result = rebuild_report(run, store=store, reports=output, traces=(mlflow and traces) or "none")
    if result.lacking:
        click.echo(f"note: {result.lacking}", err=True)
        click.echo("note: the report is that of the record alone, without answers and samples", err=True)
    if mlflow:
        track(result)
    return _show(result, as_json=False)


def _show(result: RunResult, *, as_json: bool) -> int:
    from harness.cli.live import show_evaluation, show_recommendation
    from harness.outputs import evaluation
    from harness.store.codec import encode

    people = sys.stderr if as_json else sys.stdout
    if result.record.verb == "tune":
        choice = result.record.recommendation
        if as_json:
            click.echo(encode(choice, indent=2) if choice else "null")
        show_recommendation(result, people)
        return 0 if choice else INCONCLUSIVE
    if as_json:
        click.echo(evaluation.text(result.record), nl=False)
    show_evaluation(result, people)
    return 0 if result.record.state == "complete" else INCONCLUSIVE


COMMANDS = (tune, evaluate, report)
