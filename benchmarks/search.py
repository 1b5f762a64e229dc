"""What a budget finds: the product's race beside what a user would run instead, on data whose truth is known.

    .venv/bin/python benchmarks/search.py                 # worlds of continuous settings alone
    .venv/bin/python benchmarks/search.py FOLDER          # and every recorded matrix, FOLDER/*.npz

With a folder it writes docs/benchmarks/search.md. Ends well whether goals are met or not.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _peers import PeerMissingError, flaml_python
from _process import environment
from _search_page import BLENDSEARCH, FRACTIONS, page

from harness.errors import HarnessError
from harness.plan.parameters import suggested
from harness.plan.plan import Range, Space
from harness.plan.samplers import chosen_sampler, open_study
from harness.records import Settings
from harness.testing.claims import ClaimTask, claim, summarise_claims
from harness.testing.matrices import Matrix, load_matrix
from harness.testing.outcomes import Budgets, Outcome, in_parallel, summary
from harness.testing.parametric_rivals import SEARCHERS, SearchTask, search, summarise_searches
from harness.testing.replay import cores
from harness.testing.replays import Task, replay, summarise
from harness.testing.rivals import RIVALS
from harness.trials.proposals import Proposals

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BENCH = ROOT / ".harness" / "bench"
PAGE = ROOT / "docs" / "benchmarks" / "search.md"
IN_USD = ("race", "grid", "halving", "ucb-e", "tpe-wilcoxon")
CALLS = (500, 1000, 2000, 4000, 8000)
ALPHA, EPSILON = 0.05, 0.01
LARGE = (150, 1000)  # settings and samples of the matrix that measures overhead
PROPOSED = 100  # trials of a study that measures what a proposal costs
BLENDSEARCH_RUNS = 50  # at most; a run of it takes seconds


def main() -> None:
    """Measure, print the page, and perhaps write it."""
    options = read_options()
    results: dict[str, Any] = {"runs": options.runs, "worlds": options.worlds, "seed": options.seed}
    try:
        results["matrices"] = (
            {path.stem: matrix_results(path, options) for path in sorted(options.folder.glob("*.npz"))}
            if options.folder
            else {}
        )
        results["parametric"] = parametric_results(options)
        results["overhead"] = overhead(options)
        results["proposing"] = proposing(options)
    except HarnessError as error:
        sys.exit(f"search: {error}")
    results |= {"at": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"), "cores": os.cpu_count()}
    results["versions"] = versions()
    text = page(results)
    print("\n" + text)
    target = options.page or (PAGE if options.folder else None)
    if target is None:
        print("No folder of matrices was given: the page stays as it is.")
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(target)}")


def versions() -> dict[str, str]:
    """Versions of the libraries that took part."""
    found = {name: importlib.metadata.version(name) for name in ("optuna", "numpy", "scipy")}
    places = map(str, (BENCH / "flaml").glob("lib/python*/site-packages"))
    for package in importlib.metadata.distributions(name="flaml", path=list(places)):
        found["flaml"] = package.version
    return found


def read_options() -> argparse.Namespace:
    """What was asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="recorded matrices, *.npz with *.json beside")
    parser.add_argument("--runs", type=int, default=200, help="repetitions on each matrix")
    parser.add_argument("--worlds", type=int, default=24, help="worlds of continuous settings, two runs each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=cores(), help="processes")
    parser.add_argument("--no-peers", action="store_true", help="without FLAML, which has to be installed")
    parser.add_argument(
        "--page", type=Path, help="page to write; default: docs/benchmarks/search.md, or none"
    )
    options = parser.parse_args()
    if options.folder and not sorted(options.folder.glob("*.npz")):
        parser.error(f"{options.folder} holds no *.npz; expected recorded matrices")
    return options


def matrix_results(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What every strategy finds on one matrix, in calls and, where it has costs, in dollars."""
    matrix = load_matrix(path)
    truth = np.sort(matrix.truth)[::-1]
    found: dict[str, Any] = {
        "file": path.name,
        "shape": matrix.shape,
        "near": int((truth >= truth[0] - 0.01).sum()),
        "calls": {},
        "usd": {},
    }
    for unit in ("calls", "usd") if matrix.cost is not None else ("calls",):
        budgets = Budgets(matrix=matrix, fractions=FRACTIONS, in_usd=unit == "usd")
        for name in RIVALS if unit == "calls" else IN_USD:
            task = Task(budgets=budgets, strategy=name, seed=options.seed)
            runs = measured(f"{path.stem}, {unit}, {name}", partial(replay, task), options.runs, options)
            found[unit][name] = plain(summarise(task, runs))
    if not options.no_peers:
        found["calls"] |= blendsearch(path, Budgets(matrix=matrix, fractions=FRACTIONS), options)
    whole = Budgets(matrix=matrix, fractions=(1.0,))
    claims = ClaimTask(budgets=whole, alpha=ALPHA, epsilon=EPSILON, seed=options.seed)
    runs = measured(f"{path.stem}, for confidence", partial(claim, claims), options.runs, options)
    found["confidence"] = plain(summarise_claims(claims, runs))[0]
    return found


def blendsearch(path: Path, budgets: Budgets, options: argparse.Namespace) -> dict[str, Any]:
    """What FLAML's BlendSearch finds; empty where FLAML cannot be installed."""
    try:
        python = flaml_python(BENCH)
    except PeerMissingError as missing:
        print(missing, file=sys.stderr)
        return {}
    runs = min(options.runs, BLENDSEARCH_RUNS)
    began_s = time.monotonic()
    parts = np.array_split(np.arange(runs), min(options.jobs, runs))

    def part(numbers: Sequence[int]) -> list[list[Outcome]]:
        argv = [python, HERE / "_blendsearch.py", path, "--fractions", ",".join(map(str, FRACTIONS))]
        argv += ["--first", str(numbers[0]), "--runs", str(len(numbers)), "--seed", str(options.seed)]
        done = subprocess.run(
            list(map(str, argv)),
            capture_output=True,
            text=True,
            check=True,
            cwd=BENCH,
            env=environment({"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}),
        )
        return [[Outcome(**one) for one in json.loads(line)] for line in done.stdout.splitlines()]

    with ThreadPoolExecutor() as pool:
        outcomes = [run for found in pool.map(part, parts) for run in found]
    print(f"{path.stem}, calls, {BLENDSEARCH}: {time.monotonic() - began_s:.0f} s", flush=True)
    return {
        BLENDSEARCH: [
            dataclasses.asdict(
                summary([run[place] for run in outcomes], fraction=share, budget=budgets.of(share))
            )
            for place, share in enumerate(FRACTIONS)
        ]
    }


def parametric_results(options: argparse.Namespace) -> dict[str, Any]:
    """What every strategy finds in worlds of continuous settings."""
    found: dict[str, Any] = {}
    for name in SEARCHERS:
        task = SearchTask(strategy=name, budgets=CALLS, worlds=options.worlds, seed=options.seed)
        runs = measured(f"parametric, {name}", partial(search, task), 2 * options.worlds, options)
        found[name] = plain(summarise_searches(task, runs))
    return found


def overhead(options: argparse.Namespace) -> list[dict[str, Any]]:
    """CPU of the race on many settings and samples, at a tenth of their full grid."""
    rng = np.random.default_rng(options.seed)
    rows, samples = LARGE
    chance = rng.beta(6, 3, rows)[:, None] + rng.normal(0, 0.15, samples)
    score = (rng.random(LARGE) < chance).astype(np.float64)
    matrix = Matrix(name="large", score=score, configs=tuple({"id": str(row)} for row in range(rows)))
    task = Task(budgets=Budgets(matrix=matrix, fractions=(0.02, 0.1)), strategy="race", seed=options.seed)
    runs = measured("overhead", partial(replay, task), 5, options)
    return plain(summarise(task, runs))


def proposing(options: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds that a proposal costs: ours, and what Optuna's sampler takes for the same by itself."""
    defaults = {name: Settings(model=name, prompt="plain", temperature=0.3) for name in ("a/x", "b/y", "c/z")}
    dimensions = (
        Range("temperature", 0.0, 2.0),
        Range("top_p", 0.0, 1.0),
        Range("presence_penalty", -2.0, 2.0),
    )
    space = Space(
        models=tuple(defaults),
        prompts=("plain", "steps"),
        dimensions=dict.fromkeys(defaults, dimensions),
        defaults=defaults,
    )

    def worth(settings: Settings) -> float:
        return -abs((settings.temperature or 0.0) - 0.7)

    def ours() -> None:
        proposals = Proposals(space, seed=options.seed)
        for _ in range(PROPOSED):
            asked = proposals.ask()
            assert asked is not None, "a space of ranges never ends"
            proposals.tell(asked[0], worth(asked[1]))

    def bare() -> None:
        study = open_study(chosen_sampler("auto", None, None, ""), options.seed)
        for _ in range(PROPOSED):
            trial = study.ask()
            study.tell(trial, worth(suggested(trial, space)))

    pairs = [(_cpu_ms(ours), _cpu_ms(bare)) for _ in range(5)]
    both, alone = (statistics.median(one[place] for one in pairs) / PROPOSED for place in (0, 1))
    return {"ours_ms": both, "sampler_ms": alone}


def _cpu_ms(act: Callable[[], None]) -> float:
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000


def measured(what: str, function: Callable[[int], Any], runs: int, options: argparse.Namespace) -> list[Any]:
    """The runs, with a line that says how far they are."""
    began_s = time.monotonic()

    def tick(done: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{what}: {done} of {runs}", end="", file=sys.stderr, flush=True)

    found = in_parallel(function, runs, jobs=options.jobs, tick=tick)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(f"{what}: {time.monotonic() - began_s:.0f} s", flush=True)
    return found


def plain(summaries: Sequence[Any]) -> list[dict[str, Any]]:
    """Records as JSON has them."""
    return [dataclasses.asdict(one) for one in summaries]


if __name__ == "__main__":
    main()
