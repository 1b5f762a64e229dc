"""Processes that embed: killed, doubled and capped, over HTTP, with the server's own journal as the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.models import Prices
from harness.findings import Spend
from harness.store.contents import verify
from harness.store.store import open_store
from harness.testing.delays import constant
from harness.testing.faults import parse_faults
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers
from harness.testing.vectors import DIMENSIONS

ASK = Path(__file__).parent / "drivers" / "ask.py"
COUNT = 1000
TEXTS_PER_REQUEST = 50  # as the driver's model says
PRICES = Prices(input=1.0, output=0.0)
PATIENCE_S = 120.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """A service that takes 20 ms a request, and keeps what it was asked."""
    with SimulatorServer(FixedAnswers(prices=PRICES), delay=constant(0.02), keep=True) as serving:
        yield serving


def embedding(store_url: str, server: SimulatorServer, run: str, *options: str) -> subprocess.Popen[str]:
    """A process that has COUNT texts embedded."""
    return subprocess.Popen(
        [sys.executable, ASK, store_url, server.api_base, run, str(COUNT), "--texts", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> list[list[Any]]:
    """The outcomes that a process was told, by key; it must have ended well."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return sorted(json.loads(line) for line in out.splitlines() if line.startswith("["))


def asked(server: SimulatorServer) -> list[list[str]]:
    """The texts of each request so far, in the order in which they came."""
    return [json.loads(kept.body)["input"] for kept in server.kept()]


def spent(store_url: str, run: str) -> Spend:
    """What this run has on its bill."""
    with closing(open_store(store_url, {})) as store:
        return store.spent(run)


@pytest.fixture
def slow() -> Iterator[SimulatorServer]:
    """One that takes 0.1 s a request: what it answers is in the store before much more is."""
    with SimulatorServer(FixedAnswers(prices=PRICES), delay=constant(0.1), keep=True) as serving:
        yield serving


def test_a_killed_process_pays_for_nothing_twice(each_url, slow):
    """What it had been told is in the store and never asked again; only what was in flight is."""
    url, server = each_url, slow
    doomed = embedding(url, server, "run-1", "--concurrency", "1")
    assert doomed.stdout is not None
    told = []
    while len(told) < 300:
        line = doomed.stdout.readline()
        told += [json.loads(line)[1]] if line.startswith("[") else []
    doomed.kill()
    told += [json.loads(line)[1] for line in doomed.communicate()[0].splitlines() if line.startswith("[")]
    before = len(asked(server))
    outcomes = ended(embedding(url, server, "run-1", "--concurrency", "1"))
    assert len({key for key, *_ in outcomes}) == COUNT
    assert not any(outcome[2] == "failed" for outcome in outcomes)
    later = {text for texts in asked(server)[before:] for text in texts}
    numbers = {text.partition(":")[0].removeprefix("Text ") for text in later}
    assert not numbers & set(told)
    every = Counter(text for texts in asked(server) for text in texts)
    assert set(every.values()) <= {1, 2}
    # At most the requests that were in flight, or answered and not yet in the store.
    assert sum(times - 1 for times in every.values()) <= 4 * TEXTS_PER_REQUEST
    assert spent(url, "run-1").calls == COUNT
    with closing(open_store(url, {})) as store:
        assert verify(store).faults == 0


def test_two_processes_have_each_text_embedded_once(each_url, server):
    """Two runs of the same texts, started together in an empty store: one vector for both."""
    url = each_url
    both = [embedding(url, server, run) for run in ("run-1", "run-2")]
    first, second = (ended(process) for process in both)
    assert first == second
    assert len(first) == COUNT
    assert not any(outcome[2] == "failed" for outcome in first)
    every = Counter(text for texts in asked(server) for text in texts)
    assert sorted(every.values()) == [1] * COUNT
    assert spent(url, "run-1").calls + spent(url, "run-2").calls == COUNT


@pytest.mark.parametrize("cap_usd", [0.002, 0.008, 0.02])
def test_the_bill_of_two_processes_stays_below_their_cap(url, cap_usd):
    """Also when requests are charged and lost, when nobody states their tokens, and when some are refused."""
    faults = parse_faults("half:0.1,nousage:0.1,429:0.1,retry-after-s:0.01", seed=3)
    with SimulatorServer(FixedAnswers(prices=PRICES), faults=faults, delay=constant(0.005)) as server:
        both = [embedding(url, server, "run-1", "--cap-usd", str(cap_usd)) for _ in range(2)]
        outcomes = [outcome for process in both for outcome in ended(process)]
        bill = server.stats().bill_usd
    booked = spent(url, "run-1")
    rounding = 1 + 1e-9  # sums of floats, in another order on each side
    assert bill <= booked.usd * rounding
    assert booked.usd <= cap_usd * rounding
    assert {outcome[3] for outcome in outcomes if outcome[2] == "failed"} <= {"budget"}
    assert booked.usd > 0.5 * cap_usd or not any(outcome[2] == "failed" for outcome in outcomes)


@pytest.mark.parametrize(
    ("kind", "told"), [("short", "dimensions"), ("zeros", "malformed"), ("fewer", "malformed")]
)
def test_vectors_that_are_none_are_never_stored(url, kind, told):
    """Half as long, zeros or one too few: such texts fail, or are asked again; what is stored is right."""
    faults = parse_faults(f"{kind}:0.3,attempts:2", seed=1)
    with SimulatorServer(FixedAnswers(prices=PRICES), faults=faults) as server:
        # One request after the other: the first one, which decides how long vectors are, is right.
        outcomes = ended(embedding(url, server, "run-1", "--concurrency", "1"))
        stats = server.stats()
    failed = [outcome for outcome in outcomes if outcome[2] == "failed"]
    vectors = [
        bytes.fromhex(vector) for outcome in outcomes if outcome[2] != "failed" for vector in outcome[2]
    ]
    assert {len(vector) for vector in vectors} == {4 * DIMENSIONS}
    assert all(any(vector) for vector in vectors)
    assert len(vectors) == COUNT - len(failed) > 0
    assert stats.faults[kind] > 0
    assert {outcome[3] for outcome in failed} <= {told}
    # A wrong length is not asked again: that would pay again for the same.
    assert bool(failed) == (kind == "short")
    assert stats.bill_usd <= spent(url, "run-1").usd * (1 + 1e-9)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'harness.db'}"
