"""One of several processes that work on the same run: takes runs as lines on standard input.

In: a line of JSON for each run. Out: a line of JSON when it has ended: outcomes by kind, or what went wrong.
Time runs faster as on the wall, for pauses between attempts say nothing about money.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback
from collections import Counter
from typing import Any

from _caps import caps_of, read_run

from harness.calls.direct_lane import DirectProvider
from harness.calls.engine import Engine
from harness.clock import SystemClock
from harness.records import Completion, Endpoint
from harness.store.store import open_store

FASTER = 3.0
# On the fast clock. Short where some answers never come; long where a time-out would be this machine's fault.
TIMEOUT_S, LONG_TIMEOUT_S = 1.5, 100.0
_writing = threading.Lock()


class FastClock(SystemClock):
    """A clock that goes faster than the wall's."""

    def monotonic(self) -> float:
        """Seconds of the fast clock."""
        return FASTER * time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep so many seconds of the fast clock."""
        await asyncio.sleep(max(0.0, seconds) / FASTER)


def carry_out(task: dict[str, Any]) -> None:
    """Carry out this process's part of a run, and tell what came of it."""
    run, process = read_run(task["run"]), task["process"]
    kinds: Counter[str] = Counter()
    error = ""
    try:
        endpoint = Endpoint(
            provider="sim",
            wire="openai",
            litellm_prefix="openai",
            api_base=task["api_base"],
            api_key_env=None,
            concurrency=run.concurrency,
            max_retries=run.max_retries,
            timeout_s=TIMEOUT_S if run.faulty else LONG_TIMEOUT_S,
        )
        store = open_store(task["store"], {})
        try:
            with Engine(
                run=run.name,
                providers={"sim": DirectProvider(task["api_base"])},
                endpoints={"sim": endpoint},
                models=run.models(),
                store=store,
                caps=caps_of(run),
                clock=FastClock(),
                seed=process,
            ) as engine:
                for outcome in engine.run(run.questions(process)):
                    kinds["answered" if isinstance(outcome, Completion) else outcome.kind] += 1
        finally:
            store.close()
    except Exception:  # noqa: BLE001 - whatever it is, the one who asked must hear of it
        error = traceback.format_exc()
    told = {"run": run.name, "process": process, "kinds": kinds, "error": error}
    with _writing:
        print(json.dumps(told), flush=True)


def main() -> None:
    """Carry out each run in a thread of its own until standard input ends."""
    threads = []
    for line in sys.stdin:
        thread = threading.Thread(target=carry_out, args=(json.loads(line),))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
