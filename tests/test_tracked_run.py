"""A run and its MLflow: nothing waits for it, and nothing is lost, whatever happens to the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.outputs.mlflow_store import ENVIRONMENT
from harness.testing.mlflow_server import DATABASE, MlflowServer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WAIT_S = 120.0
SECRET = "canary-in-the-address-7f1c"
# What two runs of one experiment cannot have in common: times, and what rests on them.
TIMES = re.compile(r"latency|first_token|queue")
MOST_TRACES = 500  # that MLflow gives at once
DIGITS = 9  # money is added up in the order in which answers come
OF_TIMES = {
    "harness.content",
    "harness.files",
    "harness.samples",
    "harness.traces.confirm",
    "harness.pareto",
}  # the front is of latency too

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture
def mirrored(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The desk, whose runs are mirrored in MLflow."""
    monkeypatch.delenv("HARNESS_NO_MLFLOW")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return desk


def client_at(uri: str) -> MlflowClient:
    """MLflow's own client."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def content(uri: str, name: str) -> dict[str, Any]:
    """All that MLflow holds of the only sweep of an experiment, without ids and times."""
    client = client_at(uri)
    experiment = client.get_experiment_by_name(name)
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    (parent,) = (run for run in runs.values() if "mlflow.parentRunId" not in run.data.tags)
    names = {parent.info.run_name: "SWEEP", parent.info.run_id: "SWEEP"}
    names |= {run_id: run.info.run_name for run_id, run in runs.items() if run is not parent}
    names |= {run_id[:8]: run.info.run_name for run_id, run in runs.items() if run is not parent}
    found = {named(run.info.run_name, names): run_content(client, run, names) for run in runs.values()}
    assert len(found) == len(runs), "two runs of one name"
    return found | {
        f"prompt {prompt.name}": prompt_content(client, prompt.name, names)
        for prompt in client.search_prompts()
    }


def run_content(client: MlflowClient, run: Run, names: dict[str, str]) -> dict[str, Any]:
    """What one run holds. names: what stands for its ids, wherever one appears."""
    run_id, tags = run.info.run_id, run.data.tags
    histories = {name: client.get_metric_history(run_id, name) for name in run.data.metrics}
    files = [file.path for file in client.list_artifacts(run_id)]
    return {
        "status": run.info.status,
        "params": run.data.params,
        "metrics": {
            named(name, names): [
                (one.step, None if TIMES.search(name) else round(one.value, DIGITS)) for one in points
            ]
            for name, points in histories.items()
        },
        "tags": {name: named(value, names) for name, value in tags.items() if name not in OF_TIMES},
        "files": files,
        "samples": samples_of(client, run_id) if "samples.json" in files else None,
        "inputs": [one.to_dictionary() for one in run.inputs.dataset_inputs],
        "traces": traces_of(client, run),
    }


def samples_of(client: MlflowClient, run_id: str) -> list[Any]:
    """The table of samples, without times."""
    table = json.loads(Path(client.download_artifacts(run_id, "samples.json")).read_text())
    kept = [place for place, column in enumerate(table["columns"]) if not TIMES.search(column)]
    return [[row[place] for place in kept] for row in table["data"]]


def traces_of(client: MlflowClient, run: Run) -> dict[str, Any]:
    """Traces of the calls that are linked to a run, by sample and repeat, without ids and times."""
    found = client.search_traces(
        locations=[run.info.experiment_id], run_id=run.info.run_id, max_results=MOST_TRACES
    )
    return {
        f"{one.info.tags['sample']} {one.info.tags['repeat']}": (
            one.data.spans[0].inputs,
            one.data.spans[0].outputs,
            one.info.token_usage,
            one.data.spans[0].get_attribute("scores"),
            one.data.spans[0].get_attribute("settings"),
        )
        for one in found
    }


def prompt_content(client: MlflowClient, name: str, names: dict[str, str]) -> dict[str, Any]:
    """The newest version of a registered prompt."""
    newest = client.get_prompt_version_by_alias(name, "latest")
    tags = {key: named(value, names) for key, value in newest.tags.items()}
    return {
        "version": newest.version,
        "template": newest.template,
        "settings": newest.model_config,
        "tags": tags,
    }


def named(text: str, names: dict[str, str]) -> str:
    """The text with names in place of ids."""
    for found, name in names.items():
        text = text.replace(found, name)
    return text


@contextmanager
def under_way(desk: Any, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the desk as a process; it does not outlive the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=desk.folder,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def until(holds: Callable[[], object]) -> None:
    """Return when this holds; what is waited for has no event to wait on."""
    done = threading.Event()
    for _ in range(int(WAIT_S / 0.1)):
        if holds():
            return
        done.wait(0.1)
    pytest.fail(f"never held: {holds}")


@pytest.mark.slow
def test_a_server_killed_in_mid_sweep_and_started_again_loses_nothing(
    mirrored: Any, answers: Any, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL of the server while trials are raced: in the end it holds what it holds of a quiet sweep."""
    mirrored.spec(api_base=answers.url)
    quiet, home = mirrored.folder / "quiet.db", mirrored.folder / "server"
    home.mkdir()
    shutil.copy(mlflow_tables, quiet)
    shutil.copy(mlflow_tables, home / DATABASE)
    with MlflowServer(home) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        answers.hold_after(150)
        with under_way(mirrored, "tune", "words.yaml", "-q", "--traces", "finalists") as sweep:
            answers.await_held(4)
            experiment = client_at(server.url).get_experiment_by_name
            until(
                lambda: (
                    (found := experiment("words"))
                    and len(client_at(server.url).search_runs([found.experiment_id])) > 2
                )
            )
            server.kill()
            answers.hold_after(230)  # trials end meanwhile, and nobody takes them
            answers.await_held(4)
            server.start()
            answers.release()
            out, err = sweep.communicate(timeout=WAIT_S)
        assert (sweep.returncode, err) == (0, "")
        assert server.url in out
        disturbed = content(server.url, "words")
    shutil.rmtree(mirrored.folder / ".harness")  # or the second sweep would ask nobody
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{quiet}")
    assert mirrored.harness("tune", "words.yaml", "-q", "--traces", "finalists").code == 0
    undisturbed = content(f"sqlite:///{quiet}", "words")
    assert disturbed.keys() == undisturbed.keys()
    for name, held in undisturbed.items():
        for part, values in held.items():
            assert disturbed[name][part] == values, (name, part)
    assert len(disturbed) == 1 + 8 + 1  # the sweep, its trials, its prompt
    assert sum(len(held.get("traces", ())) for held in disturbed.values()) > 0


def test_mlflow_that_is_away_is_filled_in_by_the_next_run(
    mirrored: Any, answers: Any, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends well with one warning, and the next one that finds MLflow there brings it along."""
    mirrored.spec(api_base=answers.url)
    home = mirrored.folder / "home"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    home.touch()  # a file where a folder is expected: nothing can be made there
    missed = mirrored.harness("tune", "words.yaml", "-q")
    assert missed.code == 0
    assert missed.err.count("harness mlflow sync") == len(missed.err.splitlines()) == 1
    home.unlink()
    home.mkdir()
    shutil.copy(mlflow_tables, home / "mlflow.db")
    assert mirrored.harness("eval", "words.yaml", "-q").err == ""
    client = client_at(f"sqlite:///{home}/mlflow.db")
    (experiment,) = (one for one in client.search_experiments() if one.name == "words")
    runs = client.search_runs([experiment.experiment_id], "tags.`harness.verb` != ''")
    assert sorted(run.data.tags["harness.run"] for run in runs) == sorted(mirrored.runs())
    assert mirrored.cli("mlflow", "sync").out == "no run waits for MLflow\n"


def test_calls_are_traced_once_each(
    mirrored: Any, answers: Any, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call of a run can be had as a trace of its trial's run, later too, and never twice."""
    mirrored.spec(("n_trials: 8", "n_trials: 3"), api_base=answers.url)
    uri = f"sqlite:///{mirrored.folder}/mlflow.db"
    shutil.copy(mlflow_tables, mirrored.folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert mirrored.cli("tune", "words.yaml", "-q", "--traces", "finalists").err == ""
    client = client_at(uri)
    (experiment,) = (one.experiment_id for one in client.search_experiments() if one.name == "words")

    def traced() -> list[tuple[str, ...]]:
        """Place of each call that is linked to the run of its own trial."""
        return [
            tuple(one.info.tags[name] for name in ("trial", "split", "sample", "repeat"))
            for run in client.search_runs([experiment], "tags.trial_number != ''")
            for one in client.search_traces(
                locations=[experiment], run_id=run.info.run_id, max_results=MOST_TRACES
            )
            if int(one.info.tags["trial"]) == int(run.data.tags["trial_number"])
        ]

    assert {split for _, split, *_ in traced()} == {"confirm"}
    for _ in range(2):
        assert mirrored.cli("report", "latest", "--mlflow", "--traces", "all").code == 0
    every = traced()
    assert len(every) == len(set(every)) == mirrored.answered()
    assert list((mirrored.folder / ".harness" / "mlflow-pending").iterdir()) == []


def test_a_server_that_hangs_is_not_waited_for(
    mirrored: Any, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts and never answers: the run ends well, with one warning and without its password."""
    mirrored.spec(api_base=answers.url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:{port}")
        ended = mirrored.harness("tune", "words.yaml", "-q")
    assert ended.code == 0
    assert ended.err.count("harness mlflow sync") == len(ended.err.splitlines()) == 1
    kept = "".join(path.read_text() for path in (mirrored.folder / ".harness").rglob("*.json"))
    assert f"127.0.0.1:{port}" in kept
    assert SECRET not in ended.out + ended.err + kept


@pytest.mark.slow
def test_a_run_that_is_interrupted_by_a_fault_is_failed_in_mlflow(
    mirrored: Any, answers: Any, mlflow_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run stays RUNNING in MLflow when its provider refuses in the middle."""
    mirrored.spec(api_base=answers.url)
    uri = f"sqlite:///{mirrored.folder}/mlflow.db"
    shutil.copy(mlflow_tables, mirrored.folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    answers.hold_after(150)
    with under_way(mirrored, "tune", "words.yaml", "-q") as sweep:
        answers.await_held(4)
        client = client_at(uri)
        until(lambda: client.search_runs([one.experiment_id for one in client.search_experiments()]))
        answers.status = 401
        answers.release()
        sweep.communicate(timeout=WAIT_S)
    assert sweep.returncode == 3
    assert content(uri, "words")["SWEEP"]["status"] == "FAILED"
