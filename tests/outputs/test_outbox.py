"""Promises of the outbox: what MLflow did not take waits, for that MLflow alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from harness.outputs import outbox
from harness.outputs.mlflow_store import ENVIRONMENT
from harness.outputs.outbox import Pending
from harness.outputs.tracking import Parcel, PromptText

HERE, THERE = "http://127.0.0.1:9", "http://mlflow.example.org"


def pending(make: Any, run: str, target: str = HERE, **fields: Any) -> Pending:
    """A run that waits."""
    return Pending(target=target, parcel=Parcel(record=make.record(run=run), spec_text="a: 1\n", **fields))


def test_what_was_put_comes_back_whole(desk: Any, make: Any) -> None:
    """The record, the spec, files and prompts are what they were."""
    prompts = (PromptText(name="triage", template="{{ text }}", config={"temperature": 0.2}),)
    put = pending(make, "r1", files=(Path("/a/report.html"),), prompts=prompts)
    outbox.put(put)
    assert list(outbox.waiting()) == [put]


def test_the_oldest_run_comes_first(desk: Any, make: Any) -> None:
    """Runs are filled in in the order in which they were made."""
    late = pending(make, "a")
    early = pending(make, "b")
    record = early.parcel.record
    started = record.started_at - timedelta(hours=1)
    early = replace(early, parcel=replace(early.parcel, record=replace(record, started_at=started)))
    outbox.put(late)
    outbox.put(early)
    assert [one.run for one in outbox.waiting()] == ["b", "a"]


def test_a_file_that_cannot_be_read_is_passed_over(desk: Any, make: Any) -> None:
    """A damaged file does not keep others from MLflow."""
    outbox.put(pending(make, "r1"))
    (outbox.OUTBOX / "r0.json").write_text("{")
    assert [one.run for one in outbox.waiting()] == ["r1"]


def test_what_is_dropped_waits_no_more(desk: Any, make: Any) -> None:
    """A run that MLflow holds is forgotten; forgetting it twice is no fault."""
    outbox.put(pending(make, "r1"))
    outbox.drop("r1")
    outbox.drop("r1")
    assert list(outbox.waiting()) == []


def test_sync_waits_for_mlflow_and_fills_in(
    desk: Any, make: Any, mlflow_tables: Path, monkeypatch: Any
) -> None:
    """While MLflow is away, sync says so and keeps what waits; once it is there, nothing waits any more."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    home = desk.folder / "home"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    outbox.put(pending(make, "r1", f"sqlite:///{home}/mlflow.db"))
    home.touch()  # a file where a folder is expected: nothing can be made there
    assert desk.cli("mlflow", "sync").code == 3
    home.unlink()
    home.mkdir()
    shutil.copy(mlflow_tables, home / "mlflow.db")
    told = desk.cli("mlflow", "sync")
    assert told.code == 0
    assert told.out.startswith("filled in r1: run ")
    assert list(outbox.waiting()) == []


def test_a_run_for_another_mlflow_waits_on(desk: Any, make: Any, monkeypatch: Any) -> None:
    """What was made for one MLflow is not written to another, and sync says for which."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", HERE)
    outbox.put(pending(make, "r1", THERE))
    told = desk.cli("mlflow", "sync")
    assert told.code == 4
    assert told.out == f"r1 waits for {THERE}; set MLFLOW_TRACKING_URI to it (here: {HERE})\n"
    assert [one.run for one in outbox.waiting()] == ["r1"]


def test_a_run_that_does_not_wait_is_told(desk: Any) -> None:
    """A name that is not in the outbox is a mistake, with the command that does it."""
    told = desk.cli("mlflow", "sync", "r7")
    assert told.code == 2
    assert "r7 does not wait for MLflow" in told.err
    assert "harness report RUN --mlflow" in told.err
