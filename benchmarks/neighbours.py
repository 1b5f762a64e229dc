"""Exact neighbours among a million vectors: ours beside plain numpy, each in processes of its own.

Some minutes; --rows for fewer. Writes docs/benchmarks/neighbours.md when all were searched. Ends with 1 when
the two disagree or the peak is above the goal.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from _page import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "neighbours.md"
ROWS, DIMENSIONS, QUERIES, K = 1_000_000, 384, 1_000, 10
ROUNDS = 3
PEAK_GB = 2.5
TOGETHER = 100  # queries of plain numpy at a time: all at once would take 12 GB
WRITTEN_ROWS = 50_000
SEED = 20
NAMES = {"ours": "`harness.stats.neighbours.nearest`", "numpy": f"plain numpy, {TOGETHER} queries at a time"}
HEAD = """\
# Exact neighbours among a million vectors

Written by `benchmarks/neighbours.py`; every figure here was measured by it, so do not edit.

{rows:,} vectors of {dimensions} numbers (float32, {size_gb:.2f} GB, drawn at random, length 1), {queries:,} queries,
the {k} nearest of each, all rows looked at. Each process loads the vectors and searches once; {rounds} rounds, in
turns, load of the machine at the start {load:.1f} on {cores} cores.

"""
FOOT = """
Peak is the largest memory of the whole process, the vectors ({size_gb:.2f} GB) included; goal: below {goal:g} GB.
Times are of the search alone: median, least and greatest. Same: {same}.

Plain numpy is `queries @ corpus.T` for {together} queries, then `argpartition` and a sort of {k}; it takes vectors
to have length 1 and leaves ties to chance. Ours divides by lengths, and compares again in float64 whatever
float32 cannot tell apart, so that equal vectors are equally near.

{cores} cores, {when}. `.venv/bin/python benchmarks/neighbours.py` repeats it; `--rows 50000` is quick.
"""


def main() -> None:
    """Draw vectors, search them in both ways in turns, print and perhaps write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, help=f"vectors; default: {ROWS:,}, with the page")
    parser.add_argument(
        "--page", type=Path, help="page to write; default: docs/benchmarks/neighbours.md, or none"
    )
    options = parser.parse_args()
    load, rows = os.getloadavg()[0], options.rows or ROWS
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as folder:
        run("draw", str(rows), folder)
        for at in range(ROUNDS):
            for name in NAMES:
                found[name].append(run("search", name, folder))
                print(f"round {at + 1}, {name}: {found[name][-1]}", flush=True)
        different = compared(Path(folder))
    text = page(rows, load, found, different)
    print("\n" + text)
    target = options.page or (PAGE if options.rows is None else None)
    if target is not None:
        target.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(target)}")
    sys.exit(bool(different) or max(one["peak_gb"] for one in found["ours"]) >= PEAK_GB)


def run(what: str, *arguments: str) -> Mapping[str, float]:
    """This script again, in a process of its own: memory is counted by process."""
    code = f"import neighbours; neighbours.{what}(*{list(arguments)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout) if done.stdout.strip() else {}


def draw(rows: str, folder: str) -> None:
    """Write the vectors, a part at a time."""
    import numpy as np

    random = np.random.default_rng(SEED)
    for name, n in (("corpus", int(rows)), ("queries", QUERIES)):
        path = Path(folder) / f"{name}.npy"
        file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, DIMENSIONS))
        for first in range(0, n, WRITTEN_ROWS):
            part = random.standard_normal((min(WRITTEN_ROWS, n - first), DIMENSIONS), dtype=np.float32)
            file[first : first + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
        file.flush()


def search(who: str, folder: str | Path) -> None:
    """Load the vectors, search them once, keep what was found, and print the figures."""
    import numpy as np

    corpus, queries = (np.load(Path(folder) / f"{name}.npy") for name in ("corpus", "queries"))
    find = searchers()[who]
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    places = find(queries, corpus)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    np.save(Path(folder) / f"{who}.npy", places)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "peak_gb": peak_gb}))


def searchers() -> dict[str, Callable]:
    """Both ways to search, by name; each gives places of shape (queries, K)."""
    import numpy as np

    from harness.stats.neighbours import nearest

    def plainly(queries, corpus):
        found = []
        for first in range(0, len(queries), TOGETHER):
            cosines = queries[first : first + TOGETHER] @ corpus.T
            near = np.argpartition(cosines, -K, axis=1)[:, -K:]
            order = np.argsort(-np.take_along_axis(cosines, near, axis=1), axis=1)
            found.append(np.take_along_axis(near, order, axis=1))
        return np.concatenate(found)

    return {"ours": lambda queries, corpus: nearest(queries, corpus, K).places, "numpy": plainly}


def compared(folder: Path) -> int:
    """How many of the neighbours of the two are different; equal float32 cosines may change places."""
    import numpy as np

    ours, theirs = (np.load(folder / f"{name}.npy") for name in NAMES)
    return sum(len(set(a) ^ set(b)) // 2 for a, b in zip(ours.tolist(), theirs.tolist(), strict=True))


def page(rows: int, load: float, found: Mapping[str, Sequence[Mapping[str, float]]], different: int) -> str:
    """What was found, in Markdown."""
    size_gb = rows * DIMENSIONS * 4 / 1e9
    lines = []
    for name, what in NAMES.items():
        runs = found[name]
        times = [
            f"{median(one[figure] for one in runs):.1f} ({min(one[figure] for one in runs):.1f} to "
            f"{max(one[figure] for one in runs):.1f})"
            for figure in ("wall_s", "cpu_s")
        ]
        lines.append((what, *times, f"{max(one['peak_gb'] for one in runs):.2f}"))
    head = HEAD.format(
        rows=rows,
        dimensions=DIMENSIONS,
        size_gb=size_gb,
        queries=QUERIES,
        k=K,
        rounds=ROUNDS,
        load=load,
        cores=os.cpu_count(),
    )
    foot = FOOT.format(
        size_gb=size_gb,
        goal=PEAK_GB,
        same=f"all {QUERIES * K:,} neighbours" if not different else f"all neighbours but {different}",
        together=TOGETHER,
        k=K,
        cores=os.cpu_count(),
        when=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
    )
    return head + table(("", "wall s", "CPU s", "peak GB"), lines) + foot


if __name__ == "__main__":
    main()
