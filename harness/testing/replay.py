"""The command `python -m harness.testing.replay`: how well a strategy searches recorded matrices.

In: arguments. Out: figures for each budget, as a table for people or as JSON. It computes nothing itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from harness.errors import HarnessError
from harness.outputs import numbers
from harness.testing.matrices import load_matrix
from harness.testing.replays import Summary, Task, in_parallel, replay, summarise
from harness.testing.rivals import RIVALS

PATIENCE_S = 2.0  # before progress is shown
PROGRAM = "python -m harness.testing.replay"


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 0.02,0.05", param, ctx)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.npz")
@click.option(
    "--fractions",
    type=_Numbers(),
    default="0.02,0.05,0.1,0.2",
    show_default=True,
    help="Budgets of the search, as shares of the full grid.",
)
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True, help="Repetitions.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--cost", is_flag=True, help="Budgets are shares of the full grid's dollars, not of its calls.")
@click.option("--strategy", type=click.Choice(list(RIVALS)), default="halving", show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; default: as many as there are cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    file: Path,
    fractions: tuple[float, ...],
    runs: int,
    seed: int,
    cost: bool,
    strategy: str,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Replay a search on the recorded matrix FILE.npz, and compare what it names with the truth."""
    task = Task(matrix=load_matrix(file), strategy=strategy, fractions=fractions, in_usd=cost, seed=seed)
    with _Progress(runs) as progress:
        found = in_parallel(partial(replay, task), runs, jobs=jobs or cores(), tick=progress)
    summaries = summarise(task, found)
    rows, samples = task.matrix.shape
    told = {
        "matrix": task.matrix.name,
        "settings": rows,
        "samples": samples,
        "mode": "budget",
        "strategy": strategy,
        "unit": "usd" if cost else "calls",
        "runs": runs,
        "seed": seed,
        "results": [dataclasses.asdict(summary) for summary in summaries],
    }
    click.echo(json.dumps(told, indent=2) if as_json else _table(task, runs, summaries))


class _Progress:
    """How many runs are done, on a terminal, once it takes longer than a moment."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._began_s = time.monotonic()
        self._shown = False

    def __enter__(self) -> Callable[[int], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)

    def _show(self, done: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._began_s > PATIENCE_S:
            self._shown = True
            click.echo(f"\r{done} of {self._whole} runs", nl=False, err=True)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _table(task: Task, runs: int, summaries: Sequence[Summary]) -> str:
    rows, samples = task.matrix.shape
    counted = numbers.counted(runs, "run")
    names = ("budget", "within 1pt", "within 2pt", "regret pt", "calls", "spent")
    names = (*names, "reported-true (se)", "confirm", "CPU ms/call")
    widths = (7, 10, 10, 9, 8, 8, 18, 8, 11)
    cells = [names, *map(_cells, summaries)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in cells]
    return "\n".join([f"{task.matrix.name}: {rows} x {samples}, {task.strategy}, {counted}", *lines])


def _cells(summary: Summary) -> tuple[str, ...]:
    bias, error = summary.reported_minus_true, summary.reported_minus_true_se
    measured = numbers.NOT_MEASURED if bias is None else f"{bias:+.2f}"
    return (
        numbers.share(summary.fraction),
        f"{summary.p_within_1pt:.3f}",
        f"{summary.p_within_2pt:.3f}",
        f"{summary.mean_regret:.2f}",
        f"{summary.mean_calls:.0f}",
        numbers.money(summary.mean_usd),
        measured if error is None else f"{measured} ({error:.2f})",
        f"{summary.confirm_calls:.0f}",
        f"{summary.cpu_ms_per_call:.4f}",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a fault is told in one message. Always ends by SystemExit.

    arguments: those of the process when `None`.
    """
    try:
        command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except HarnessError as error:
        click.echo(f"replay: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("replay: stopped", err=True)
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
