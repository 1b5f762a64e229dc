"""The command `python -m harness.testing.replay`: how well a strategy searches what is known.

In: arguments. Out: figures for each budget, as a table for people or as JSON. It computes nothing itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.errors import HarnessError, UsageError
from harness.testing.claims import ClaimTask, claim, summarise_claims
from harness.testing.matrices import load_matrix
from harness.testing.outcomes import Budgets, in_parallel
from harness.testing.parametric_rivals import SEARCHERS, SearchTask, search, summarise_searches
from harness.testing.replay_tables import table
from harness.testing.replays import Task, replay, summarise
from harness.testing.rivals import RIVALS

PATIENCE_S = 2.0  # before progress is shown
PROGRAM = "python -m harness.testing.replay"
FRACTIONS: Mapping[str, tuple[float, ...]] = {"budget": (0.02, 0.05, 0.1, 0.2), "confidence": (1.0,)}
CALLS = (500, 1000, 2000, 4000)
RUNS, RUNS_IN_WORLD, WORLDS = 200, 2, 24


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the options say; `None`: the default of what is replayed."""

    strategy: str
    mode: str
    seed: int
    jobs: int
    runs: int | None
    fractions: tuple[float, ...] | None
    cost: bool
    alpha: float
    epsilon: float
    calls: tuple[float, ...] | None
    worlds: int


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE.npz]", required=False)
@click.option("--parametric", is_flag=True, help="Search worlds of continuous settings instead of a matrix.")
@click.option(
    "--strategy",
    type=click.Choice(list(dict.fromkeys([*RIVALS, *SEARCHERS]))),
    default="race",
    show_default=True,
    help="race: the product's own.",
)
@click.option(
    "--mode",
    type=click.Choice(["budget", "confidence"]),
    default="budget",
    show_default=True,
    help="Spend a budget, or stop when the answer is known.",
)
@click.option(
    "--fractions",
    type=_Numbers(),
    help="Budgets as shares of the full grid.  [default: 0.02,0.05,0.1,0.2; 1 for confidence]",
)
@click.option("--cost", is_flag=True, help="Shares of the full grid's dollars, not of its calls.")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Confidence: the error that is stated.",
)
@click.option(
    "--epsilon",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Confidence: how far behind the best is good enough, from 0 to 1.",
)
@click.option("--calls", type=_Numbers(), help="Parametric: budgets in calls.  [default: 500,1000,2000,4000]")
@click.option("--worlds", type=click.IntRange(min=1), default=WORLDS, show_default=True, help="Parametric.")
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    help=f"Repetitions, of each world with --parametric.  [default: {RUNS}; {RUNS_IN_WORLD}]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, file: Path | None, parametric: bool, as_json: bool, jobs: int | None, **options: Any) -> None:
    """Replay a search on the recorded matrix FILE.npz, and compare what it names with the truth.

    The winner is measured again on answers that did not choose it: "reported".
    """
    asked = _Asked(jobs=jobs or cores(), **options)
    if (file is None) != parametric:
        raise UsageError("give a recorded matrix, FILE.npz, or --parametric: one of them, and not both")
    if file is None:
        told = _searched(asked)
    else:
        told = _claimed(asked, file) if asked.mode == "confidence" else _replayed(asked, file)
    click.echo(json.dumps(told, indent=2) if as_json else table(told))


def _replayed(asked: _Asked, file: Path) -> dict[str, Any]:
    budgets = _budgets(asked, file)
    task = Task(budgets=budgets, strategy=asked.strategy, seed=asked.seed)
    runs = asked.runs or RUNS
    found = _run(partial(replay, task), runs, asked.jobs)
    return _of_matrix(asked, budgets, runs) | {"results": _plain(summarise(task, found))}


def _claimed(asked: _Asked, file: Path) -> dict[str, Any]:
    if asked.strategy != "race":
        raise UsageError(
            f"{asked.strategy} states no confidence; expected --strategy race with --mode confidence"
        )
    budgets = _budgets(asked, file)
    task = ClaimTask(budgets=budgets, alpha=asked.alpha, epsilon=asked.epsilon, seed=asked.seed)
    runs = asked.runs or RUNS
    found = _run(partial(claim, task), runs, asked.jobs)
    stated = {"alpha": asked.alpha, "epsilon": asked.epsilon}
    return _of_matrix(asked, budgets, runs) | stated | {"results": _plain(summarise_claims(task, found))}


def _searched(asked: _Asked) -> dict[str, Any]:
    if asked.mode == "confidence" or asked.cost or asked.fractions:
        raise UsageError("--parametric takes --calls; --mode, --cost and --fractions need a matrix")
    calls = asked.calls or CALLS
    if any(number != int(number) for number in calls):
        raise UsageError(f"calls are {calls!r}; expected whole numbers")
    budgets = tuple(int(number) for number in calls)
    task = SearchTask(strategy=asked.strategy, budgets=budgets, worlds=asked.worlds, seed=asked.seed)
    runs = asked.worlds * (asked.runs or RUNS_IN_WORLD)
    found = _run(partial(search, task), runs, asked.jobs)
    return {
        "matrix": "parametric",
        "mode": "budget",
        "strategy": asked.strategy,
        "unit": "calls",
        "worlds": asked.worlds,
        "runs": runs,
        "seed": asked.seed,
        "results": _plain(summarise_searches(task, found)),
    }


def _budgets(asked: _Asked, file: Path) -> Budgets:
    if asked.calls:
        raise UsageError("--calls is for --parametric; a matrix takes --fractions")
    fractions = asked.fractions or FRACTIONS[asked.mode]
    return Budgets(matrix=load_matrix(file), fractions=fractions, in_usd=asked.cost)


def _of_matrix(asked: _Asked, budgets: Budgets, runs: int) -> dict[str, Any]:
    settings, samples = budgets.matrix.shape
    return {
        "matrix": budgets.matrix.name,
        "settings": settings,
        "samples": samples,
        "mode": asked.mode,
        "strategy": asked.strategy,
        "unit": "usd" if asked.cost else "calls",
        "runs": runs,
        "seed": asked.seed,
    }


def _plain(summaries: Sequence[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(summary) for summary in summaries]


def _run(function: Callable[[int], Any], runs: int, jobs: int) -> list[Any]:
    with _Progress(runs) as progress:
        return in_parallel(function, runs, jobs=jobs, tick=progress)


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
