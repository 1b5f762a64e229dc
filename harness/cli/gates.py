"""The verb that stops a regression: `gate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.runs import ALLOW_CODE, REPORTS, STORE, option
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.gating import GateResult, Prepared

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@option("--baseline", type=FILE, help="The baseline's file; default: gate.baseline of SPEC.")
@option("--settings", type=FILE, help="What is tested, as for eval; default: gate.settings of SPEC.")
@option("--tolerance", type=float, help="Drop that does not matter, 0 to 1; default: that of SPEC, or 0.01.")
@option("--alpha", type=float, help="Chance of failing what is as good; default: that of SPEC, or 0.05.")
@option("--split", type=click.Choice(["all", "search", "confirm"]), help="Samples of a first baseline.")
@click.option("--update-baseline", is_flag=True, help="Write what is measured as the new baseline.")
@option(
    "--on-unclear",
    type=click.Choice(["stop", "fail", "pass"]),
    default="stop",
    show_default=True,
    help="Exit code of an unclear verdict: 4, 1 or 0.",
)
@option("--offline", is_flag=True, help="Ask the store alone, without keys; a missing answer is an error.")
@click.option("--dry-run", is_flag=True, help="Say what the gate can see, and whether the baseline is stale.")
@option("--junit", type=FILE, help="Write JUnit XML here.")
@option("--markdown", type=FILE, help="Write the comment for a pull request here.")
@option("-j", "--max-concurrency", type=int, help="Calls in flight.")
@option("-n", "--limit", type=int, help="Use only this many samples.")
@option("--repeat", type=int, help="Answers per sample.")
@option("--max-cost", type=float, help="Cap in US dollars.")
@option("--seed", type=int, help="Seed of order and sampling.")
@option("--no-cache", is_flag=True, help="Ask everything anew.")
@option("--no-mlflow", is_flag=True, help="Do not mirror the run in MLflow.")
@ALLOW_CODE
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@STORE
@REPORTS
def gate(
    spec: Path,
    output: Path,
    junit: Path | None,
    markdown: Path | None,
    on_unclear: Any,
    *,
    dry_run: bool,
    no_cache: bool,
    no_mlflow: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Test settings against a baseline and floors, for CI: may they take its place?

    Ends with 0 when they passed, 1 when they failed, 2 for a stale baseline or a bad spec, 3 when a provider
    failed, 4 when the evidence decides nothing.
    """
    from harness.cli.interrupts import stop_on_second_interrupt
    from harness.cli.live import LiveView
    from harness.gating import gate as run_gate
    from harness.gating import prepare
    from harness.outputs.gate_words import workflow_commands

    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if dry_run:
        given.pop("offline", None)
        return _foretell(prepare(spec, given.pop("baseline", None), **given))
    try:
        with stop_on_second_interrupt("eval", quiet=quiet), LiveView(shown=not quiet) as view:
            result = run_gate(
                spec,
                given.pop("baseline", None),
                reports=output,
                on_progress=view,
                on_prepared=lambda prepared: None if quiet else _show_power(prepared),
                use_cache=not no_cache,
                mlflow=not no_mlflow,
                **given,
            )
    except HarnessError as error:
        _tell_fault(spec, error, junit, markdown, os.environ)
        raise
    _write((junit, result.junit(on_unclear)), (markdown, result.markdown()))
    _tell_github(workflow_commands(result.verdict), result.markdown(), os.environ)
    _show(result, as_json=as_json)
    return result.exit_code(on_unclear)


def _foretell(prepared: Prepared) -> int:
    for one in prepared.power:
        click.echo(f"Power        {one.sentence}")
    for floor in prepared.plan.gate.floors:
        click.echo(f"Floor        {floor}")
    for reason in prepared.stale:
        click.echo(f"Stale        {reason}")
    if not prepared.power and not prepared.stale:
        click.echo("Baseline     none yet; --update-baseline measures and writes one")
    return 2 if prepared.stale else 0


def _show_power(prepared: Prepared) -> None:
    for one in prepared.power:
        click.echo(f"power: {one.sentence}", err=True)


def _show(result: GateResult, *, as_json: bool) -> None:
    from harness.outputs import gate_words

    if as_json:
        click.echo(gate_words.json_text(result.verdict), nl=False)
    click.echo(repr(result), err=as_json)


def _tell_fault(
    spec: Path, error: HarnessError, junit: Path | None, markdown: Path | None, environ: Mapping[str, str]
) -> None:
    """A gate without a verdict says so wherever one would stand: an older one there must not be believed."""
    from harness.gating import experiment_of
    from harness.outputs import gate_faults

    fault = gate_faults.GateFault(experiment_of(spec), type(error).__name__, str(error), error.exit_code)
    page = gate_faults.markdown(fault)
    _tell_github([gate_faults.workflow_command(fault)], page, environ)
    # Why there is no verdict matters more than that a file cannot be written.
    with suppress(UsageError):
        _write((junit, gate_faults.junit_text(fault)), (markdown, page))


def _write(*files: tuple[Path | None, str]) -> None:
    from harness.outputs.files import write_text

    for path, text in files:
        if path is not None:
            write_text(path, text)


def _tell_github(commands: Sequence[str], page: str, environ: Mapping[str, str]) -> None:
    """Annotations and the summary of the step, where GitHub runs this."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    for line in commands:
        click.echo(line, err=True)
    summary = environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(page + "\n")


COMMANDS = (gate,)
