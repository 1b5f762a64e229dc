"""Streamed runs: from `stream: true` in the spec to the time of the first token in every output."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.findings import RunRecord
from harness.run import tune
from harness.testing.experiment_files import served_at, world_answers
from harness.testing.http_server import SimulatorServer
from harness.testing.simulator import simulated_experiment


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Runs a small search against a server; `stream` is what the spec says of its provider."""

    def act(server: SimulatorServer, *, stream: bool, **options: Any) -> RunRecord:
        served = served_at(experiment, server.api_base)
        served.spec["providers"]["sim"]["stream"] = stream
        store = f"sqlite:///{tmp_path}/store.db"
        given = {"store": store, "reports": tmp_path / "reports", "mlflow": False, "environ": {}}
        return tune(served.spec, **given, **options).record

    experiment = simulated_experiment(tmp_path / "experiment", n_samples=24, search={"n_trials": 6})
    act.answers = world_answers(experiment)
    return act


def test_a_streamed_run_times_first_tokens(run: Any) -> None:
    """Every trial has the figure, and streamed answers score as whole ones do."""
    with SimulatorServer(run.answers) as server:
        whole = run(server, stream=False, use_cache=False)
        streamed = run(server, stream=True, use_cache=False)
    trials = (*streamed.trials, *streamed.finalists)
    assert all(0 < trial.first_token_p50_s <= trial.latency_p95_s for trial in trials)
    assert all(trial.first_token_p50_s is None for trial in whole.trials)
    assert [trial.quality for trial in streamed.trials] == [trial.quality for trial in whole.trials]
    assert streamed.notes == whole.notes


def test_answers_from_before_streaming_are_counted(run: Any) -> None:
    """They are not paid again for a figure; a note says that it is missing, and how to get it."""
    with SimulatorServer(run.answers) as server:
        before = run(server, stream=False)
        again = run(server, stream=True)
    assert again.spend.calls == 0
    answers = before.spend.calls
    (note,) = set(again.notes) - set(before.notes)
    assert note.startswith(f"{answers} answers of streamed providers do not tell when their first token came")
    assert "--no-cache" in note
    assert replace(again.trials[0], spent_usd=0, cached_rate=0) == replace(
        before.trials[0], spent_usd=0, cached_rate=0
    )
