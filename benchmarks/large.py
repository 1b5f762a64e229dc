"""The memory of a large task: `harness plan`, and an evaluation on the simulator, each in a process of its own.

200,000 rows with two fields to slice by, as one task, and as two tasks by weight of which one is told by a
resampled metric. The limit is 600 MB for each process. Writes docs/benchmarks/large.md.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "large.md"
ROWS = 200_000
MOST_MB = 600.0
LABELS = ("billing", "bug", "how-to")
CHANNELS = ("mail", "chat", "phone", "form")
SETTINGS = {"model": "sim/small", "prompt": "default", "temperature": 0.3, "max_output_tokens": 64}


def label_of(number: int) -> str:
    """The target of a row."""
    return LABELS[number * number % 7 % 3]


class Targets(Mapping[str, str]):
    """The target of every row by the number in its id: the simulator's truth is not to count as our memory."""

    def __getitem__(self, sample_id: str) -> str:
        return label_of(int(sample_id.rpartition("-")[2]))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return ROWS


def write_rows(path: Path, first: int, count: int) -> str:
    """Tickets of 20 to 60 words, each of a channel and of one of 12 countries."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(first, first + count):
            words = " ".join(["invoice", "crash", "howto", "please"][: 1 + number % 4] * (15 + number % 3))
            row = {
                "id": f"t-{number}",
                "text": f"Ticket {number}: {words}",
                "target": label_of(number),
                "metadata": {"channel": CHANNELS[number % 4], "country": f"c{number % 12}"},
            }
            file.write(json.dumps(row) + "\n")
    return str(path)


def write_spec(folder: Path, rows: int, *, several: bool) -> Path:
    """One task of all rows, or two of which the first counts three times as much."""

    def task(name: str, first: int, count: int, metric: str) -> dict[str, Any]:
        return {
            "dataset": write_rows(folder / f"{name}.jsonl", first, count),
            "prompt": "Label this ticket: {{ text }}",
            "scorers": [{"choice": {"labels": list(LABELS)}}],
            "metric": metric,
        }

    quarter = rows // 4
    tasks = {
        "first": {"weight": 3, **task("first", 0, rows - quarter, "accuracy")},
        "second": {"weight": 1, **task("second", rows - quarter, quarter, "macro_f1")},
    }
    asked = {"tasks": tasks} if several else {"task": task("only", 0, rows, "accuracy")}
    model = {
        "class": "SMALL",
        "prices": {"input": 0.1, "output": 0.4},
        "context_tokens": 128_000,
        "max_output_tokens": 4096,
        "settings": {
            "temperature": {"low": 0.0, "high": 2.0, "default": 0.3},
            "max_output_tokens": {"low": 1, "high": 4096, "default": 64},
        },
    }
    spec = {
        "experiment": "large",
        **asked,
        "search": {"models": ["sim/small"], "temperature": {"low": 0.0, "high": 1.0}, "n_trials": 20},
        "providers": {"sim": {"api_base": "http://127.0.0.1:9/v1", "models": {"small": model}}},
        "aim": {"maximize": "quality", "policy": "best"},
        "budget": {"usd": 1000},
        "failures": "count_as_wrong",
        "seed": 20,
    }
    path = folder / "large.yaml"
    path.write_text(json.dumps(spec), encoding="utf-8")  # JSON is YAML
    return path


def evaluate(spec: Path) -> None:
    """What a measured process does: all rows, once."""
    import harness
    from harness.testing.simulator import Simulator, simulated_world
    from harness.testing.worlds import SimulatedPrompt

    world = simulated_world(Targets(), labels=LABELS, seed=20)
    object.__setattr__(world, "prompts", {"default": SimulatedPrompt()})
    result = harness.evaluate(
        spec,
        SETTINGS,
        store=f"sqlite:///{spec.parent}/store.db",
        reports=spec.parent / "reports",
        providers={"sim": Simulator(world)},
        mlflow=False,
        environ={},
    )
    slices = sum(len(one.slices) for one in result.record.breakdowns)
    print(f"{result.quality.n} samples, {slices} slices")


def measured(argv: list[str], folder: Path) -> tuple[float, float, str]:
    """Peak memory in MB and wall seconds of a process, and the last line that it wrote."""
    began = time.perf_counter()
    with (folder / "out").open("w+") as out:
        process = subprocess.Popen([sys.executable, *argv], cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().strip().splitlines() or [""]
    if process.returncode:
        sys.exit("\n".join(said[-20:]))
    return usage.ru_maxrss * 1024 / 1e6, time.perf_counter() - began, said[-1]


def main() -> int:
    """0 when every process stayed below the limit."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    lines: list[str] = []
    highest = 0.0
    for several in (False, True):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            spec = write_spec(folder, rows, several=several)
            for what, argv in (
                ("harness plan", ["-m", "harness", "plan", str(spec)]),
                ("evaluation", [str(Path(__file__).resolve()), "--evaluate", str(spec)]),
            ):
                mb, seconds, said = measured(argv, folder)
                highest = max(highest, mb)
                tasks = "two tasks by weight" if several else "one task"
                note = said if what == "evaluation" else ""
                lines.append(f"| {what} | {tasks} | {mb:.0f} | {seconds:.0f} | {note} |")
                print(lines[-1], flush=True)
    if rows == ROWS:
        PAGE.write_text(page(lines), encoding="utf-8")
    return int(highest > MOST_MB)


def page(lines: list[str]) -> str:
    """The figures as a page."""
    return "\n".join(
        [
            "# The memory of a large task",
            "",
            f"{ROWS:,} rows with two fields to slice by, 16 slices a task. Peak memory of the whole process,",
            f"which is to stay below {MOST_MB:.0f} MB.",
            "",
            "| process | tasks | peak MB | seconds | measured |",
            "| --- | --- | ---: | ---: | --- |",
            *lines,
            "",
            f"Python {platform.python_version()}, {os.cpu_count()} cores; the seconds depend on what else runs.",
            "Made by `benchmarks/large.py`.",
            "",
        ]
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--evaluate"]:
        evaluate(Path(sys.argv[2]))
        sys.exit(0)
    sys.exit(main())
