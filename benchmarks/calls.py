"""What a call costs: ours beside bare libraries and other tools, whole processes against one local server.

`make bench` runs all of it (about half an hour); see --help for parts. Writes docs/benchmarks/calls.md from
what was measured, kept in .harness/bench/calls.json. Ends well whether goals are met or not.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from _clients import CLIENTS, Work, harness_file, promptfoo_file
from _page import NAMES, page
from _peers import PROMPTFOO_QUIET, PeerMissingError, inspect_python, peer_versions, promptfoo_command
from _process import ClientFailedError, Command, Run, Server, environment, measure, resident_mb

HERE = Path(__file__).resolve().parent
BENCH = HERE.parent / ".harness" / "bench"
RESULTS = BENCH / "calls.json"
PAGE = HERE.parent / "docs" / "benchmarks" / "calls.md"
PEERS = ("inspect_ai", "promptfoo")
UNASKED = ("ours_cached", "ours_eval")  # need not ask for every prompt
COUNTED = ("aiohttp_loop", "litellm_bare", "ours_direct", "ours_litellm")
TRIAL_CALLS = 20  # shows that a client runs at all, and leaves its byte code compiled
COUNTED_CALLS = 2000
MEMORY_CALLS, MEMORY_CALLS_QUICK = 100_000, 20_000
PACKAGES = ("harness", "aiohttp", "litellm", "openai", "httpx", "uvloop", "mlflow")

Starter = Callable[[Work], Command]


def read_options() -> argparse.Namespace:
    """What was asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="rounds of every client once")
    parser.add_argument("--peer-rounds", type=int, default=6, help="rounds that have the other tools in them")
    parser.add_argument("--n", type=int, default=5000, help="prompts for each client")
    parser.add_argument("--concurrency", type=int, default=100, help="calls in flight")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds until the server answers")
    parser.add_argument("--only", metavar="NAMES", help=f"compare only these, by comma: {', '.join(NAMES)}")
    parser.add_argument("--no-peers", action="store_true", help="compare without the other tools")
    parser.add_argument("--memory", action="store_true", help="only the long run, for memory and steadiness")
    parser.add_argument("--quick", action="store_true", help="small and once: does the script run?")
    parser.add_argument("--page", type=Path, help="page to write; default: docs/benchmarks/calls.md, or none")
    options = parser.parse_args()
    options.names = options.only.split(",") if options.only else list(NAMES)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"--only names {sorted(unknown)}; expected some of {', '.join(NAMES)}")
    if options.no_peers:
        options.names = [name for name in options.names if name not in PEERS]
    if options.quick:
        options.n, options.rounds = 1000, 1
    return options


def main() -> None:
    """Measure what was asked, print the page, and write it unless the run was a trial."""
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that server and client are ended as well
    BENCH.mkdir(parents=True, exist_ok=True)
    trial = options.quick or options.only is not None
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() and not trial else {}
    long_runs = {"memory": partial(long_run, options.latency), "at_once": partial(long_run, 0.0)}
    parts = {"compare": compare, "counts": count, **long_runs}
    if options.memory:
        parts = long_runs
    elif options.only:
        parts = {name: part for name, part in parts.items() if name not in long_runs}
    for name, part in parts.items():
        try:
            results[name] = part(options)
        except ClientFailedError as error:
            print(f"{name}: not measured: {error}", flush=True)
            results.pop(name, None)
        results |= {"machine": machine(), "versions": versions()}
        if not trial:
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = page(results)
    print("\n" + text)
    target = options.page or (None if trial else PAGE)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(target)}")


# -- clients


def starters(names: list[str], filled: Path) -> tuple[dict[str, Starter], dict[str, str]]:
    """How to start each client, and why some cannot be. filled: a folder with stored answers."""

    def ours(name: str, python: str = sys.executable, mode: str = "") -> Starter:
        return lambda work: client_command(mode + name, work, python=python)

    found: dict[str, Starter] = {name: ours(name) for name in CLIENTS}
    found["ours_cached"] = lambda work: client_command("ours_direct", replace(work, folder=filled))
    missing: dict[str, str] = {}
    if "ours_eval" in names:
        if has_eval():
            found["ours_eval"] = eval_command
        else:
            missing["ours_eval"] = "this version of harness has no verb `eval`"
    try:
        if "inspect_ai" in names:
            found["inspect_ai"] = ours("inspect_ai", str(inspect_python(BENCH)))
    except PeerMissingError as error:
        missing["inspect_ai"] = str(error)
    try:
        if "promptfoo" in names:
            argv = promptfoo_command(BENCH)
            found["promptfoo"] = lambda work: promptfoo_start(argv, work)
    except PeerMissingError as error:
        missing["promptfoo"] = str(error)
    return {name: found[name] for name in names if name not in missing}, missing


def client_command(name: str, work: Work, python: str = sys.executable) -> Command:
    """A function of `_clients` as a process."""
    file = str(HERE / "_clients.py")
    argv = [python, file, name, work.url, str(work.n), str(work.concurrency), str(work.folder)]
    return Command(name=name, argv=argv, folder=work.folder, environment={})


def eval_command(work: Work) -> Command:
    """The whole verb with everything it does: MLflow and the report too, all of it in the folder."""
    argv = [sys.executable, "-m", "harness", "eval", harness_file(work).name, "--quiet"]
    return Command(name="ours_eval", argv=argv, folder=work.folder, environment={})


def has_eval() -> bool:
    """Whether this version of harness has the verb."""
    argv = [sys.executable, "-m", "harness", "eval", "--help"]
    return subprocess.run(argv, capture_output=True, check=False, env=environment({})).returncode == 0


def promptfoo_start(argv: list[str], work: Work) -> Command:
    """Promptfoo without cache, progress and table, its database in the folder."""
    options = ["eval", "-c", str(promptfoo_file(work)), "--no-cache", "--no-progress-bar", "--no-table"]
    added = {**PROMPTFOO_QUIET, "PROMPTFOO_CONFIG_DIR": str(work.folder)}
    return Command(name="promptfoo", argv=[*argv, *options], folder=work.folder, environment=added)


# -- measurements


@contextlib.contextmanager
def new_work(server: Server, options: argparse.Namespace, n: int) -> Iterator[Work]:
    """The work of one process, in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        yield Work(url=server.url, n=n, concurrency=options.concurrency, folder=Path(folder))


def run_client(name: str, start: Starter, work: Work, server: Server) -> Run:
    """One whole process, its answers checked. Raises ClientFailedError."""
    run = measure(start(work), server, limit_s=60 + 0.2 * work.n)
    if run.requests < work.n and name not in UNASKED:
        raise ClientFailedError(f"{name} sent {run.requests} requests, expected {work.n}")
    right = run.found().get("right", work.n)
    passed = f"{work.n} passed" if name == "promptfoo" else ""
    if right != work.n or passed not in run.output.replace(",", ""):
        raise ClientFailedError(f"{name} had {right} right answers, expected {work.n}: {run.output[-500:]}")
    return run


def compare(options: argparse.Namespace) -> dict[str, object]:
    """Every client once a round, each round beginning with another one."""
    at = now()
    rounds: list[dict[str, dict[str, object]]] = []
    with Server(options.latency) as server, new_work(server, options, options.n) as filled:
        clients, missing = starters(options.names, filled.folder)
        missing |= try_out(clients, server, options)
        clients = {name: start for name, start in clients.items() if name not in missing}
        for number in range(options.rounds):
            taking = [name for name in clients if name not in PEERS or number < options.peer_rounds]
            turn = number % max(1, len(taking))
            rounds.append({})
            for name in taking[turn:] + taking[:turn]:
                with new_work(server, options, options.n) as work:
                    rounds[-1] |= one_run(f"{number + 1}/{options.rounds}", name, clients[name], work, server)
    settings = {"n": options.n, "concurrency": options.concurrency, "latency_s": options.latency}
    return {"at": at, **settings, "rounds": rounds, "missing": missing}


def try_out(clients: dict[str, Starter], server: Server, options: argparse.Namespace) -> dict[str, str]:
    """Each client with a few calls; why those that do not run do not."""
    failed: dict[str, str] = {}
    for name, start in clients.items():
        print(f"trying {name}", flush=True)
        # The replay's first run is the one that fills its store.
        n = options.n if name == "ours_cached" else TRIAL_CALLS
        try:
            with new_work(server, options, n) as work:
                run_client(name, start, work, server)
        except ClientFailedError as error:
            print(f"  left out: {error}", flush=True)
            failed[name] = str(error)
    return failed


def one_run(
    place: str, name: str, start: Starter, work: Work, server: Server
) -> dict[str, dict[str, object]]:
    """The figures of one run by its name, told as they come; nothing when it failed."""
    try:
        run = run_client(name, start, work, server)
    except ClientFailedError as error:
        print(f"round {place} {name}: not counted: {error}", flush=True)
        return {}
    print(
        f"round {place} {name:13} {run.cpu_s:7.2f} CPU s {run.wall_s:7.2f} s wall {run.peak_mb:5.0f} MB, "
        f"{run.requests} requests, {run.peak_in_flight} in flight, "
        f"others {100 * (run.foreign_share or 0):.0f} %",
        flush=True,
    )
    figures = asdict(run)
    del figures["output"]
    return {name: figures | run.found()}


def count(options: argparse.Namespace) -> dict[str, object]:
    """Function calls for each call to the server, by client."""
    n = min(options.n, COUNTED_CALLS)
    counts: dict[str, object] = {}
    with Server(options.latency) as server:
        for name in COUNTED:
            if name not in options.names:
                continue
            with new_work(server, options, n) as work:
                try:
                    run = measure(client_command(f"count:{name}", work), server, limit_s=60 + 0.4 * n)
                except ClientFailedError as error:
                    print(f"function calls of {name}: not counted: {error}", flush=True)
                    continue
            counts[name] = run.found()["function_calls"]
            print(f"function calls of {name}: {counts[name]:.0f} a call", flush=True)
    return counts


def long_run(latency_s: float, options: argparse.Namespace) -> dict[str, object]:
    """Many calls to a server that takes so long: memory and pace at every ten thousandth answer."""
    n = MEMORY_CALLS_QUICK if options.quick else MEMORY_CALLS
    at, marks = now(), list[dict[str, float | None]]()

    def on_line(pid: int, line: str) -> None:
        mark = json.loads(line)
        if "answered" in mark:
            marks.append({**mark, "resident_mb": resident_mb(pid)})
            print(f"{mark['answered']} answered, {marks[-1]['resident_mb'] or 0:.0f} MB", flush=True)

    with Server(latency_s) as server, new_work(server, options, n) as work:
        run = measure(client_command("mark:ours_direct", work), server, limit_s=0.02 * n, on_line=on_line)
    settings = {"n": n, "concurrency": options.concurrency, "latency_s": latency_s}
    return {"at": at, **settings, "peak_mb": run.peak_mb, "foreign_share": run.foreign_share, "marks": marks}


# -- where and when


def now() -> str:
    """The date, in UTC."""
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"


def versions() -> dict[str, str]:
    """Versions of what is compared, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found | peer_versions(BENCH)


def machine() -> dict[str, object]:
    """The machine, without its name."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return {"cpu": model, "cores": os.cpu_count(), "memory_gb": memory_gb, "system": system}


if __name__ == "__main__":
    main()
