"""The cap against the provider's own bill, with several real processes on one store."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.calls.budget import Caps, worst_case
from harness.store.leases import Amount, Pool
from harness.store.owners import Owners
from harness.store.schema import tables
from harness.testing.scripted import ScriptedProvider

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RUNS = 16


@pytest.fixture
def caps(monkeypatch):
    """The part of the benchmark that makes runs and carries them out."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_caps")


@pytest.mark.slow
def test_the_bill_never_exceeds_the_cap(caps):
    """Random prices, retries, judges and faults that are charged; when work remains, the cap was used up."""
    runs = [caps.random_run(f"test{number}", 7) for number in range(RUNS)]
    verdicts = list(caps.carry_out(runs))
    assert [(one.run.name, one.wrong) for one in verdicts if one.wrong] == []
    assert sum(len(run.calls) == caps.PROCESSES for run in runs) >= RUNS / 3
    assert sum(one.remained > 0 for one in verdicts) >= RUNS / 2
    assert sum(one.run.faulty and one.bill.calls > one.answered for one in verdicts) > 0


def test_a_run_is_the_same_in_every_process(caps):
    """Parent and workers agree on what is asked and at which price, without which nothing is proved."""
    run = caps.random_run("same", 3)
    read = caps.read_run(json.loads(json.dumps(asdict(run))))
    assert read == run
    assert list(read.questions(0)) == list(run.questions(0))


def test_nobody_waits_for_the_lease_of_a_dead_process(make_engine, ask, store, models):
    """All the money is in the lease of a process that died: others neither wait for it nor spend it again."""
    calls = ask(5)
    need = worst_case(calls[0], models["sim/small"]).usd
    cap = Caps(usd=6 * need)
    killed = Owners(store.database)
    killed.join()
    assert Pool(store.database, "run-1", killed.name, cap.amount()).lease(Amount(6 * need, 1, 1))
    engine = make_engine(ScriptedProvider("billing"), caps=cap)
    outcomes = engine.run(calls)
    # It dies after the other one has joined, so that joining cannot have freed its lease.
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    engine._owners.join()
    owners = tables().owners
    with store.database.begin() as connection:
        connection.execute(owners.update().where(owners.c.owner == killed.name).values(pid=process.pid))
    assert [outcome.kind for outcome in outcomes] == ["budget"] * 5
