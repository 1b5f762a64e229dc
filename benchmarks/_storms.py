"""The same questions to a calm provider and to one in a storm, and what must be equal.

In: numbers. Out: what the engine made of each, and how it compares with the provider's own journal. Run as a
program, it is the provider: it prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from harness.calls.budget import Caps
from harness.calls.direct_lane import DirectProvider
from harness.calls.engine import Engine
from harness.catalogue.models import Model, Prices
from harness.records import Call, CallFailure, Completion, Endpoint, Message, Reply, Settings, Usage
from harness.store.store import open_store
from harness.testing.delays import parse_timing
from harness.testing.faults import parse_faults
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import Answered
from harness.testing.wire import Question

FAULTS = "429:0.2,500:0.1,reset:0.05,badjson:0.05,hang:0.02,retry-after-wrong:0.5,retry-after-s:0.3"
PRICES = Prices(input=1.0, output=4.0)
LABELS = ("billing", "bug", "how-to", "other")
EARLY_S = 0.001  # two readings of the wall clock may disagree by so much


class LabelAnswers:
    """The provider: it picks a label by the question alone."""

    def models(self) -> Sequence[str]:
        """Any name will do."""
        return ()

    def answer(self, question: Question) -> Answered:
        """A label."""
        told = "".join(message.content for message in question.messages)
        label = LABELS[hashlib.sha256(f"{question.model}:{told}".encode()).digest()[0] % len(LABELS)]
        usage = Usage(input_tokens=12, cached_input_tokens=0, output_tokens=1, reasoning_tokens=0)
        reply = Reply(text=label, finish_reason="stop", usage=usage, served_by=question.model)
        return Answered(reply, (12 * PRICES.input + PRICES.output) / 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is asked. concurrency: calls in flight over all models together, which share them evenly."""

    samples: int = 5000
    models: int = 8
    concurrency: int = 64
    timeout_s: float = 1.0
    max_retries: int = 6

    def calls(self) -> Iterator[Call]:
        """The questions, in turn to each model."""
        for number in range(self.samples):
            settings = Settings(model=f"sim/m{number % self.models}", prompt="plain", max_output_tokens=8)
            text = f"Question {number}: which label fits?"
            yield Call(settings=settings, sample_id=f"s{number}", messages=(Message("user", text),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What came of the questions at one provider. answers: by sample. failed: by kind of cause.

    recorded: failures in the store, with cause. early: requests that came before the Retry-After they had
    been sent; waits: those that had been sent one. reported_s, true_s: medians of the latency that we report
    and of what the provider took, from the arrival of a request to the last byte of its answer.
    """

    answers: Mapping[str, str | None]
    failed: Counter[str]
    recorded: int
    wall_s: float
    requests: int
    peak_in_flight: int
    faults: Mapping[str, int]
    early: int
    waits: int
    reported_s: float
    true_s: float

    @property
    def latency_error(self) -> float:
        """By how much the reported median latency is off, as a share of the true one."""
        return abs(self.reported_s - self.true_s) / self.true_s


def weather(work: Work, api_base: str, ask_server: Any) -> Passage:
    """Ask everything at this provider. ask_server: gives what is found at a path of it."""
    with tempfile.TemporaryDirectory(prefix="harness-storm-") as folder:
        store = open_store(f"sqlite:///{folder}/harness.db", {})
        try:
            began = time.monotonic()
            outcomes = list(_engine(work, api_base, store))
            wall_s = time.monotonic() - began
            recorded = _failures(store)
        finally:
            store.close()
    done = [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
    log, stats = ask_server("/log")["entries"], ask_server("/stats")
    early, waits = _patience(log)
    true = [
        one["finished_at"] - one["arrived_at"]
        for one in log
        if one["status"] == 200 and one["fault"] is None and one["finished_at"] is not None
    ]
    return Passage(
        answers={one.call.sample_id: one.reply.text for one in done},
        failed=Counter(one.kind for one in lost),
        recorded=recorded,
        wall_s=wall_s,
        requests=stats["requests"],
        peak_in_flight=stats["peak_in_flight"],
        faults=stats["faults"],
        early=early,
        waits=waits,
        reported_s=median(one.latency.total_s for one in done),
        true_s=median(true),
    )


def _engine(work: Work, api_base: str, store: Any) -> Iterator[Completion | CallFailure]:
    endpoint = Endpoint(
        provider="sim",
        wire="openai",
        litellm_prefix="openai",
        api_base=api_base,
        api_key_env=None,
        concurrency=work.concurrency // work.models,
        timeout_s=work.timeout_s,
        max_retries=work.max_retries,
    )
    models = {
        f"sim/m{n}": Model(provider="sim", name=f"m{n}", model_class="SMALL", prices=PRICES)
        for n in range(work.models)
    }
    with Engine(
        run="storm",
        providers={"sim": DirectProvider(api_base)},
        endpoints={"sim": endpoint},
        models=models,
        store=store,
        caps=Caps(usd=1000.0),
    ) as engine:
        yield from engine.run(work.calls())


def _failures(store: Any) -> int:
    with store.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT kind, message FROM failures").all()
    return sum(bool(kind and message) for kind, message in rows)


def _patience(log: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Requests that came too early after a Retry-After, and all that came after one."""
    by_body: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in log:
        by_body[entry["body"]].append(entry)
    early = waits = 0
    for entries in by_body.values():
        for before, after in pairwise(entries):
            if before["retry_after_s"] is not None:
                waits += 1
                gap_s = after["arrived_at"] - before["finished_at"]
                early += gap_s < before["retry_after_s"] - EARLY_S
    return early, waits


def compared(storm: Passage, calm: Passage, work: Work) -> list[str]:
    """What is wrong: nothing is lost, nothing differs, nobody was impatient."""
    wrong = []
    for name, passage in (("storm", storm), ("calm", calm)):
        if len(passage.answers) + passage.failed.total() != work.samples:
            wrong.append(f"{name}: {len(passage.answers)} answers and {passage.failed.total()} failures")
        if passage.recorded != passage.failed.total():
            wrong.append(f"{name}: {passage.recorded} of {passage.failed.total()} failures have a cause")
        if passage.peak_in_flight > work.concurrency:
            wrong.append(f"{name}: {passage.peak_in_flight} in flight, asked {work.concurrency}")
    if calm.failed:
        wrong.append(f"calm: {dict(calm.failed)} failed")
    different = [one for one, text in storm.answers.items() if calm.answers.get(one, text) != text]
    if different:
        wrong.append(f"{len(different)} answers differ, as that to {different[0]}")
    if storm.early:
        wrong.append(f"{storm.early} of {storm.waits} requests came before their Retry-After")
    return wrong


@contextmanager
def provider(faults: str, latency: str) -> Iterator[str]:
    """A provider in a process of its own; gives its address."""
    argv = [sys.executable, str(Path(__file__).resolve()), faults, latency]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def asker(url: str) -> Any:
    """Asks a provider for its counts and its journal."""

    def ask(path: str) -> Any:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    return ask


def main() -> None:
    """Be the provider."""
    faults, latency = sys.argv[1:]
    schedule = parse_faults(faults, seed=1) if faults else None
    delay = parse_timing(latency).delay
    with SimulatorServer(LabelAnswers(), delay=delay, faults=schedule, seed=1) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
