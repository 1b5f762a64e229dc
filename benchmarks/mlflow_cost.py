"""What MLflow costs a sweep: wall time with a server beside the same sweep without one, in pairs.

A sweep is a whole process, `harness tune`, against a simulated provider; MLflow's server is a real one on the
same machine, which shares its cores. Writes docs/benchmarks/mlflow.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from _page import table
from _process import Command, Run, Server, measure

from harness.testing.mlflow_server import MlflowServer

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "mlflow.md"
ROWS, LIMIT_S = 240, 600.0
GOAL = 1.05
WAYS = {
    "server": "a server that answers",
    "away": "no server at the address",
    "hangs": "a server that accepts and never answers",
    "own": "no server: the database of our own, with its tables made before",
}
SPEC = """\
experiment: cost-of-mlflow
task:
  dataset: rows.jsonl
  prompt: {plain: prompts/plain.jinja, careful: prompts/careful.jinja}
  scorers: [exact]
  metric: accuracy
search:
  models: [mine/tiny, mine/small]
  temperature: {low: 0.0, high: 1.0}
  max_output_tokens: {choices: [8, 16]}
  n_trials: N_TRIALS
providers:
  mine:
    api_base: API_BASE
    concurrency: 32
    models:
      tiny: {class: SMALL, prices: {input: 1.0, output: 4.0}}
      small: {class: MEDIUM, prices: {input: 2.0, output: 8.0}}
aim: {policy: {cheapest_within: 0.01}}
budget: {calls: N_CALLS, usd: 100.0}
failures: count_as_wrong
seed: 3
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep. run: as measured; mirrored: whether MLflow held it when the command ended."""

    run: Run
    mirrored: bool


def sweep(server: Server, options: argparse.Namespace, environment: Mapping[str, str], own: Path) -> Sweep:
    """A sweep in a fresh folder. own: a database with MLflow's tables, for one without a server."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "prompts").mkdir()
        (folder / "prompts" / "plain.jinja").write_text("Say ok.\n{{ text }}\n")
        (folder / "prompts" / "careful.jinja").write_text("Think, then say ok.\n{{ text }}\n")
        rows = [{"id": f"r{n}", "text": f"row {n}", "target": ("ok", "no")[n % 3 == 0]} for n in range(ROWS)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        named = {"API_BASE": server.url, "N_TRIALS": str(options.trials), "N_CALLS": str(options.calls)}
        text = SPEC
        for key, value in named.items():
            text = text.replace(key, value)
        (folder / "spec.yaml").write_text(text)
        (folder / ".harness").mkdir()
        (folder / ".harness" / "mlflow.db").write_bytes(own.read_bytes())
        argv = [sys.executable, "-m", "harness", "tune", "spec.yaml", "-q"]
        found = measure(
            Command(name="tune", argv=argv, folder=folder, environment=environment), server, limit_s=LIMIT_S
        )
        return Sweep(found, "\nMLflow  " in found.output)


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def free_address() -> str:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def make_tables(folder: Path) -> Path:
    """A database with MLflow's tables, made by a process of its own, so that no sweep pays for them."""
    file = folder / "mlflow.db"
    code = f"import mlflow; mlflow.MlflowClient(tracking_uri='sqlite:///{file}').search_experiments()"
    command = Command(name="tables", argv=[sys.executable, "-c", code], folder=folder, environment={})
    with Server(0.0) as server:
        measure(command, server, limit_s=LIMIT_S)
    return file


def pairs(options: argparse.Namespace) -> tuple[dict[str, list[tuple[Sweep, Sweep]]], float]:
    """For each way, sweeps with MLflow and without it, by turns first; and CPU seconds of MLflow's server."""
    found: dict[str, list[tuple[Sweep, Sweep]]] = {way: [] for way in options.ways}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Server(options.latency) as server:
        folder = Path(name)
        own = make_tables(folder)
        home = folder / "server"
        home.mkdir()
        (home / "mlflow.db").write_bytes(own.read_bytes())
        with MlflowServer(home) as mlflow, silent() as hanging:
            addresses = {"server": mlflow.url, "away": free_address(), "hangs": hanging, "own": ""}
            began_s = mlflow.cpu_s()
            for number in range(options.rounds):
                for way in options.ways:
                    ways = ({"MLFLOW_TRACKING_URI": addresses[way]}, {"HARNESS_NO_MLFLOW": "1"})
                    order = (0, 1) if number % 2 == 0 else (1, 0)
                    both = {place: sweep(server, options, ways[place], own) for place in order}
                    found[way].append((both[0], both[1]))
                    ratio = both[0].run.wall_s / both[1].run.wall_s
                    print(f"{number + 1}/{options.rounds} {way}: {ratio:.3f}", flush=True)
            return found, mlflow.cpu_s() - began_s


def page(found: Mapping[str, list[tuple[Sweep, Sweep]]], server_s: float, options: argparse.Namespace) -> str:
    """The whole page."""
    lines: list[tuple[str, ...]] = []
    for way, sweeps in found.items():
        ratios = [one.run.wall_s / other.run.wall_s for one, other in sweeps]
        middle = median(ratios)
        lines.append(
            (
                WAYS[way],
                f"{middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
                f"{median(other.run.wall_s for _, other in sweeps):.1f}",
                f"{median(one.run.cpu_s - other.run.cpu_s for one, other in sweeps):.1f}",
                f"{sum(one.mirrored for one, _ in sweeps)} of {len(sweeps)}",
                "met" if middle <= GOAL else "**missed**",
            )
        )
    shares = [one.run.foreign_share or 0.0 for sweeps in found.values() for pair in sweeps for one in pair]
    head = (
        *("MLflow", "wall time with / without: median (least to greatest)", "without, s"),
        *("CPU added, s", "mirrored when the command ended", f"at most {GOAL:g}"),
    )
    return HEAD.format(
        rows=ROWS,
        **vars(options),
        table=table(head, lines),
        server_s=server_s,
        sweeps=sum(len(one) for way, one in found.items() if way == "server"),
        busy=max(shares, default=0.0),
        cores=os.cpu_count(),
        system=platform.platform(),
        python=platform.python_version(),
        mlflow=version("mlflow"),
    )


HEAD = """\
# MLflow: what it costs a sweep

Written by `benchmarks/mlflow_cost.py`; every figure here was measured by it, so do not edit.

A sweep is a whole process, `harness tune`: {trials} trials, at most {calls:,} calls, {rows} rows, 32 calls at a time, of a provider
that answers after {latency:g} s. It runs with MLflow and without it (`--no-mlflow`), by turns first; a ratio is taken within each of
{rounds} pairs. MLflow's server runs on the same machine and shares its cores.

{table}
A run that MLflow did not hold when the command ended was told of in one line, and waits for `harness mlflow sync`.
MLflow's server used {server_s:.1f} s of CPU for {sweeps} sweeps.

## Where

{cores} cores, {system}, Python {python}, mlflow {mlflow}. Of the machine's CPU time, others than these processes used up to {busy:.0%}
during a sweep, MLflow's server among them.

## How to repeat

`.venv/bin/python benchmarks/mlflow_cost.py`; `--help` lists the numbers that can be changed.
"""


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--latency", type=float, default=0.4)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    found, server_s = pairs(options)
    options.page.write_text(page(found, server_s, options), encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
