"""What embedding a text costs: ours beside plain loops, whole processes against one local server.

Writes docs/benchmarks/embedding-calls.md from what was measured. Ends well whether goals are met or not.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from _page import Goal, ratio_goal, spread, table
from _process import ClientFailedError, Command, Server, measure
from calls import machine, now

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "embedding-calls.md"
BATCH, IN_FLIGHT, LENGTH, LATENCY_S = 100, 16, 1536, 0.05
WORDS = tuple(f"word{number}" for number in range(500))
CLIENTS = {
    "loop": "plain loop over aiohttp: numbers, as services send them unasked; into a list",
    "loop_base64": "the same in base64, into an array of float32; nothing kept",
    "ours": "**ours**: key, look-up, ledger, limits, batches of its own, durable vector",
    "replay": "**ours, replay**: all vectors from the store",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a client is asked to do. url: of the API, with its version."""

    url: str
    n: int
    folder: Path


def texts(n: int) -> Iterator[str]:
    """N distinct texts of some twelve words."""
    return (f"{n} " + " ".join(WORDS[(n * step) % 499] for step in range(1, 12)) for n in range(n))


def main() -> None:
    """Measure, print the page, and write it unless the run was a trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every client once")
    parser.add_argument("--n", type=int, default=10_000, help="texts for each client")
    parser.add_argument("--quick", action="store_true", help="small and once: does the script run?")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    n, count = (2000, 1) if options.quick else (options.n, options.rounds)
    rounds = carry_out(n, count)
    text = page(n, rounds)
    print("\n" + text)
    if not options.quick:
        PAGE.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(PAGE)}")


def carry_out(n: int, count: int) -> list[dict[str, dict[str, Any]]]:
    """The figures of each client, by round; each round begins with another client."""
    rounds: list[dict[str, dict[str, Any]]] = []
    names = list(CLIENTS)
    with Server(LATENCY_S) as server, tempfile.TemporaryDirectory(prefix="bench-") as filled:
        run_client("replay", Work(server.url, n, Path(filled)), server)  # fills the store
        for number in range(count):
            turn = number % len(names)
            rounds.append({})
            for name in names[turn:] + names[:turn]:
                with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                    work = Work(server.url, n, Path(filled if name == "replay" else folder))
                    found = rounds[-1][name] = run_client(name, work, server)
                print(
                    f"round {number + 1}/{count} {name:12} {found['cpu_s']:6.2f} CPU s "
                    f"{found['wall_s']:6.2f} s wall, {found['requests']} requests",
                    flush=True,
                )
    return rounds


def run_client(name: str, work: Work, server: Server) -> dict[str, Any]:
    """One process, its vectors counted. Raises ClientFailedError."""
    argv = [sys.executable, __file__, "--client", name, work.url, str(work.n), str(work.folder)]
    run = measure(Command(name=name, argv=argv, folder=work.folder, environment={}), server, limit_s=600)
    found = run.found()
    if found.get("vectors") != work.n:
        raise ClientFailedError(f"{name} had {found.get('vectors')} vectors, expected {work.n}: {run.output}")
    # Without what it takes to start: a corpus is larger than this one.
    return {**found, "requests": run.requests, "peak_mb": run.peak_mb, "foreign_share": run.foreign_share}


# -- clients, each in a process of its own


def plain_loop(work: Work, form: str) -> int:
    """Workers over one aiohttp session, batches of texts in order, nothing kept."""
    import aiohttp
    import numpy as np

    every_text = texts(work.n)
    todo = iter(lambda: list(islice(every_text, BATCH)), [])
    kept: list[Any] = []

    async def ask(session: aiohttp.ClientSession) -> None:
        for batch in todo:
            body = {"model": "m", "input": batch, "dimensions": LENGTH, "encoding_format": form}
            async with session.post(work.url + "/embeddings", json=body) as response:
                answer = await response.json()
            for one in answer["data"]:
                vector = one["embedding"]
                kept.append(np.frombuffer(base64.b64decode(vector), "<f4") if form == "base64" else vector)

    async def every() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(ask(session) for _ in range(IN_FLIGHT)))

    asyncio.run(every())
    return len(kept)


def ours(work: Work) -> int:
    """What a run does with a text, over a store in the folder."""
    from harness.calls.budget import Caps
    from harness.calls.direct_lane import DirectProvider
    from harness.calls.engine import Engine
    from harness.catalogue.models import Model, Prices
    from harness.records import Call, Endpoint, Settings
    from harness.store.store import open_store

    settings = Settings(model="bench/m", prompt="plain", extra={"dimensions": LENGTH})
    calls = (
        Call(settings=settings, sample_id=str(place), texts=(text,), purpose="embed")
        for place, text in enumerate(texts(work.n))
    )
    model = Model(
        provider="bench",
        name="m",
        model_class="EMBEDDING",
        prices=Prices(input=0.02, output=0.0),
        texts_per_request=BATCH,
        tokens_per_request=300_000,
    )
    endpoint = Endpoint(
        provider="bench",
        wire="openai",
        litellm_prefix="openai",
        api_base=work.url,
        api_key_env=None,
        concurrency=IN_FLIGHT,
    )
    store = open_store(f"sqlite:///{work.folder}/harness.db")
    with Engine(
        run="bench",
        providers={"bench": DirectProvider(work.url)},
        endpoints={"bench": endpoint},
        models={model.full_name: model},
        store=store,
        caps=Caps(usd=100.0),
    ) as engine:
        kept = [outcome.reply.vectors[0] for outcome in engine.run(calls)]
    store.close()
    return len(kept)


RUNS: dict[str, Callable[[Work], int]] = {
    "loop": lambda work: plain_loop(work, "float"),
    "loop_base64": lambda work: plain_loop(work, "base64"),
    "ours": ours,
    "replay": ours,
}


def client(name: str, url: str, n: str, folder: str) -> None:
    """Run one client twice, the first time briefly so that its libraries are loaded; print what it found."""
    with tempfile.TemporaryDirectory(prefix="bench-") as aside:
        RUNS[name](Work(url, BATCH, Path(aside)))
    began, began_cpu = time.perf_counter(), time.process_time()
    vectors = RUNS[name](Work(url, int(n), Path(folder)))
    found = {"cpu_s": time.process_time() - began_cpu, "wall_s": time.perf_counter() - began}
    print(json.dumps({"vectors": vectors, **found}))


# -- the page


def page(n: int, rounds: list[dict[str, dict[str, Any]]]) -> str:
    """The whole page."""
    goals = [
        ratio_goal("CPU: ours / plain loop", rounds, ("ours", "loop", "cpu_s"), at_most=1.0),
        _replay(n, rounds),
    ]
    told = [
        (g.what, g.asked, g.measured, {True: "met", False: "**missed**", None: "-"}[g.met]) for g in goals
    ]
    rows = [
        (
            what,
            spread([1000 / n * one[name]["cpu_s"] for one in rounds]),
            spread([one[name]["wall_s"] for one in rounds]),
            f"{rounds[-1][name]['requests']}",
            f"{max(one[name]['peak_mb'] for one in rounds):.0f}",
        )
        for name, what in CLIENTS.items()
    ]
    shares = [one[name]["foreign_share"] for one in rounds for name in CLIENTS]
    others = max((share for share in shares if share is not None), default=0.0)
    about = machine()
    where = (
        f"{about['cores']} cores ({about['cpu']}), {about['system']}, {now()}. Others used up to "
        f"{100 * others:.0f} % of this machine's CPU time in a run: above some 10 %, CPU seconds grow.\n"
    )
    return "\n".join(
        [
            HEAD.format(n=n, batch=BATCH, in_flight=IN_FLIGHT, length=LENGTH, latency_s=LATENCY_S),
            table(("goal", "asked", "measured: median (least to greatest)", ""), told),
            "## Figures\n",
            table(("client", "CPU s for 1,000 texts", "wall s", "requests", "peak MB"), rows),
            where,
            "`.venv/bin/python benchmarks/embedding_calls.py` repeats it; `--quick` is a trial.\n",
        ]
    )


def _replay(n: int, rounds: list[dict[str, dict[str, Any]]]) -> Goal:
    rates = [n / one["replay"]["cpu_s"] for one in rounds]
    requests = sum(one["replay"]["requests"] for one in rounds) - len(rounds)  # one each to load libraries
    met = min(rates) >= 10_000 and not requests
    return Goal(
        f"replay of {n:,}: vectors a CPU second; requests",
        ">= 10,000; 0",
        f"{spread(rates)}; {requests}",
        met,
    )


HEAD = """\
# Embedding calls: what a text costs

Written by `benchmarks/embedding_calls.py`; every figure here was measured by it, so do not edit.

Each client is a process that has {n:,} distinct texts of some twelve words embedded by a local server
(`harness simulate`, a process of its own): {batch} texts a request, {in_flight} requests in flight, vectors of
{length} numbers; the server answers after {latency_s:g} s. CPU seconds are user and system time of the process
once its libraries are loaded. A ratio is taken within each round.

## Goals
"""


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        client(*sys.argv[2:])
    else:
        main()
