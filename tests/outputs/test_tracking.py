"""Promises of the MLflow mirror, read back from a real store with MLflow's own client."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from harness.errors import ProviderError
from harness.findings import RunRecord
from harness.outputs.frames import write_scores
from harness.outputs.mlflow_pages import LONGEST_PARAM
from harness.outputs.mlflow_store import ENVIRONMENT, OWN_STORE, prepare_environment
from harness.outputs.tracking import Parcel, PromptText, TrackedRun, log_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Log: TypeAlias = Callable[..., TrackedRun]
Make: TypeAlias = Any  # the builders of conftest.py, whose keywords are the fields of the records
SPEC = "experiment: ticket-triage\n"


@pytest.fixture(autouse=True)
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's environment as log_run would set it, put back after each test."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_tables: Path) -> Path:
    """A working folder whose own store has its tables already."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / OWN_STORE).parent.mkdir()
    shutil.copy(mlflow_tables, OWN_STORE)
    return tmp_path


@pytest.fixture
def log(home: Path) -> Log:
    """log_run into the own store."""

    def call(
        record: RunRecord,
        rows_file: Path | None = None,
        artifacts: Sequence[Path] = (),
    ) -> TrackedRun:
        files = (*artifacts, *(() if rows_file is None else (rows_file,)))
        return log_run(Parcel(record=record, spec_text=SPEC, files=files))

    return call


def with_file(record: RunRecord, file: str) -> RunRecord:
    """The record of a run whose rows were read from here."""
    return replace(record, data=replace(record.data, file=file))


def client_of(tracked: TrackedRun) -> MlflowClient:
    """MLflow's own client on the store that was written."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracked.tracking_uri)


def parent_of(tracked: TrackedRun) -> Run:
    """The parent run, read back."""
    return client_of(tracked).get_run(tracked.run_id)


def children_of(tracked: TrackedRun) -> dict[int, Run]:
    """The child runs by trial number, read back."""
    found = client_of(tracked).search_runs(
        [tracked.experiment_id], f"tags.`mlflow.parentRunId` = '{tracked.run_id}'"
    )
    return {int(run.data.tags["trial_number"]): run for run in found}


def all_runs(tracked: TrackedRun) -> list[Run]:
    """Every run of the experiment."""
    return client_of(tracked).search_runs([tracked.experiment_id])


def test_one_parent_and_one_child_a_trial(log: Log, make: Make) -> None:
    """A sweep is one run, named for the harness run, with one child for each trial and nothing else."""
    tracked = log(make.record())
    assert len(all_runs(tracked)) == 5
    assert parent_of(tracked).info.run_name == "r1"
    names = {number: run.info.run_name for number, run in children_of(tracked).items()}
    assert names == {0: "trial 0000", 1: "trial 0001", 2: "trial 0002", 3: "trial 0003"}
    assert tracked.children == 4
    assert tracked.notes == ()


def test_the_experiment_has_the_name_of_the_spec(log: Log, make: Make) -> None:
    """Runs of one experiment are found under its name, with files beside our store."""
    tracked = log(make.record())
    experiment = client_of(tracked).get_experiment_by_name("ticket-triage")
    assert experiment.experiment_id == tracked.experiment_id
    assert experiment.artifact_location.endswith("/.harness/mlartifacts")


def test_the_parent_says_what_the_run_rests_on(log: Log, make: Make) -> None:
    """Fingerprints, versions, commit, seed and state are tags of the parent run."""
    tags = parent_of(log(make.record())).data.tags
    assert tags["harness.run"] == "r1"
    assert tags["harness.spec"] == "5" * 64
    assert tags["harness.plan"] == "9" * 64
    assert tags["harness.data"] == "d" * 64
    assert tags["harness.version.harness"] == "0.1.0"
    assert tags["mlflow.source.git.commit"].startswith("01234567")
    assert tags["harness.seed"] == "20"
    assert tags["harness.state"] == "complete"


def test_the_parent_holds_the_recommendation(log: Log, make: Make) -> None:
    """Recommended settings are parameters of the parent run, and the best trial can be followed."""
    tracked = log(make.record())
    parent = parent_of(tracked)
    assert parent.data.params == {
        "best_model": "openai/gpt-4.1-mini",
        "best_prompt": "plain",
        "best_temperature": "0.2",
    }
    assert parent.data.tags["best_run_id"] == children_of(tracked)[2].info.run_id
    assert json.loads(parent.data.tags["harness.best_settings"])["temperature"] == 0.2
    assert parent.data.tags["harness.reason"].startswith("Trial 2 is the cheapest")


def test_the_parent_holds_figures_with_their_bounds(log: Log, make: Make) -> None:
    """Confirmed quality, price, differences and spend are metrics of the parent."""
    metrics = parent_of(log(make.record())).data.metrics
    bounds = [metrics[name] for name in ("best_quality_low", "best_quality", "best_quality_high")]
    assert bounds == [0.76, 0.84, 0.90]
    assert metrics["best_usd_per_1k_calls"] == 0.12
    assert metrics["best_latency_p50_s"] == 0.43
    assert metrics["versus_default_low"] == 0.021
    assert metrics["spent_usd"] == 0.31
    assert metrics["paid_calls"] == 812


def test_a_finalist_has_both_measurements(log: Log, make: Make) -> None:
    """Search figures chose the winner; the confirmed ones stand beside them under names of their own."""
    child = children_of(log(make.record()))[2]
    assert child.data.metrics["quality"] == 0.87
    assert child.data.metrics["confirm_quality"] == 0.84
    assert child.data.metrics["confirm_samples"] == 84
    assert child.data.tags["split"] == "search confirm"


def test_an_eliminated_trial_finished_well(log: Log, make: Make) -> None:
    """Losing a race is no failure: the run is finished, and tags say how and why it ended."""
    child = children_of(log(make.record()))[1]
    assert child.info.status == "FINISHED"
    assert child.data.tags["state"] == "eliminated"
    assert child.data.tags["reason"] == "behind trial 0 after 24 samples"
    assert child.data.tags["split"] == "search"


def test_unknown_figures_are_absent(log: Log, make: Make) -> None:
    """What was not measured is no metric: never NaN, never an infinity, never zero."""
    trial = make.trial(
        0,
        quality=None,
        usd_per_1k_calls=None,
        latency_p95_s=math.nan,
        metrics={"f1": math.inf, "kappa": 0.4},
    )
    tracked = log(make.record(trials=(trial,), finalists=(), recommendation=None))
    metrics = children_of(tracked)[0].data.metrics
    assert not metrics.keys() & {"quality", "quality_low", "usd_per_1k_calls", "latency_p95_s", "f1"}
    assert metrics["kappa"] == 0.4
    assert all(math.isfinite(value) for value in metrics.values())


def test_names_that_mlflow_refuses_are_made_plain_and_stay_apart(log: Log, make: Make) -> None:
    """Two names that differ only in forbidden characters stay two names."""
    trial = make.trial(0, metrics={"pass@1": 0.5, "pass%1": 0.6, "../up": 0.7})
    metrics = children_of(log(make.record(trials=(trial,), finalists=())))[0].data.metrics
    assert sorted(metrics[name] for name in metrics if name.startswith("pass_1-")) == [0.5, 0.6]
    assert [metrics[name] for name in metrics if name.startswith("___up-")] == [0.7]


def test_long_values_are_shortened_with_a_word(log: Log, make: Make) -> None:
    """A parameter beyond MLflow's limit keeps its beginning, its length and a hash of the whole."""
    settings = make.settings(extra={"grammar": "é" * 7000, "other": "é" * 7001})
    child = children_of(log(make.record(trials=(make.trial(0, settings=settings),), finalists=())))[0]
    grammar, other = child.data.params["grammar"], child.data.params["other"]
    assert len(grammar) == LONGEST_PARAM
    assert "[shortened: 7000 characters, sha256 " in grammar
    assert grammar[-60:] != other[-60:]


def test_files_are_artifacts_of_the_parent(log: Log, make: Make, tmp_path: Path) -> None:
    """The spec, the reports, the table of scores and whole folders go with the parent run."""
    folder = tmp_path / "reports" / "exports"
    folder.mkdir(parents=True)
    (folder / "eliza.json").write_text("{}")
    report, scores = folder.parent / "report.html", folder.parent / "scores.parquet"
    report.write_text("<p>")
    write_scores([], scores)
    tracked = log(make.record(), scores, [report, folder])
    client = client_of(tracked)
    logged = {file.path for file in client.list_artifacts(tracked.run_id)}
    assert logged == {"spec.yaml", "report.html", "scores.parquet", "exports"}
    assert [f.path for f in client.list_artifacts(tracked.run_id, "exports")] == ["exports/eliza.json"]
    assert client.list_artifacts(children_of(tracked)[0].info.run_id) == []


def test_a_missing_file_is_told(log: Log, make: Make, tmp_path: Path) -> None:
    """A file that is not there stops nothing and is named in the notes."""
    tracked = log(make.record(), tmp_path / "scores.parquet")
    assert len(tracked.notes) == 1
    assert "scores.parquet" in tracked.notes[0]


@pytest.mark.parametrize(
    ("data_file", "kind", "source"),
    [
        ("datasets/support-tickets.jsonl", "local", {"uri": "datasets/support-tickets.jsonl"}),
        ("https://u:p@example.org/rows.csv", "http", {"url": "https://***@example.org/rows.csv"}),
        ("hf:owner/name", "hugging_face", {"path": "owner/name"}),
        ("", "code", {"tags": {"mlflow.source.name": "harness"}}),
    ],
)
def test_the_data_set_is_an_input(
    log: Log, make: Make, data_file: str, kind: str, source: dict[str, object]
) -> None:
    """The parent run names its data set, by our fingerprint, and where the rows came from."""
    (given,) = parent_of(log(with_file(make.record(), data_file))).inputs.dataset_inputs
    assert given.dataset.name == "support-tickets"
    assert given.dataset.digest == "d" * 36
    assert given.dataset.source_type == kind
    assert json.loads(given.dataset.source) == source
    assert json.loads(given.dataset.profile)["num_rows"] == 280
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "evaluation")]


def test_mlflow_reads_the_data_source_back(log: Log, make: Make) -> None:
    """A source that we describe is one that MLflow can open."""
    import mlflow.data

    (given,) = parent_of(log(with_file(make.record(), "hf:owner/name"))).inputs.dataset_inputs
    assert mlflow.data.get_source(given).path == "owner/name"


def test_a_finalist_has_its_samples_as_a_table(log: Log, make: Make, tmp_path: Path) -> None:
    """MLflow's pages show the answers of a finalist, one line a score, and those of nobody else."""
    rows = [make.row(trial=number, split="confirm", sample_id=f"s{number}") for number in (0, 2)]
    tracked = log(make.record(), write_scores(rows, tmp_path / "scores.parquet"))
    child, client = children_of(tracked)[2], client_of(tracked)
    table = json.loads(Path(client.download_artifacts(child.info.run_id, "samples.json")).read_text())
    assert table["columns"][:3] == ["sample_id", "repeat", "text"]
    assert [line[:3] for line in table["data"]] == [["s2", 0, "bug"]]
    assert json.loads(child.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "samples.json", "type": "table"}
    ]
    assert client.list_artifacts(children_of(tracked)[1].info.run_id) == []


def test_the_recommended_prompt_is_registered_with_its_settings(home: Path, make: Make) -> None:
    """One version a recommendation: mirrored twice, and recommended again by another run, it stays one."""
    config = {
        "provider": "openai",
        "model_name": "gpt-4.1-mini",
        "temperature": 0.2,
        "extra_params": {"x": 1},
    }
    prompts = (PromptText(name="ticket triage", template="Label: {{ text }}", config=config),)
    parcels = [
        Parcel(record=make.record(run=run), spec_text=SPEC, prompts=prompts) for run in ("r1", "r1", "r2")
    ]
    tracked = [log_run(parcel) for parcel in parcels]
    client = client_of(tracked[0])
    newest = client.get_prompt_version_by_alias("ticket-triage", "latest")
    assert (newest.version, newest.template) == (1, "Label: {{ text }}")
    assert newest.model_config == {
        "provider": "openai",
        "model_name": "gpt-4.1-mini",
        "temperature": 0.2,
        "x": 1,
    }
    linked = [json.loads(parent_of(one).data.tags["mlflow.linkedPrompts"]) for one in tracked]
    assert linked == [[{"name": "ticket-triage", "version": "1"}]] * 3


def test_a_prompt_that_the_registry_refuses_is_told(home: Path, make: Make) -> None:
    """A name that a registered model has already stops nothing: the run is there, and the note says why."""
    tracked = log_run(Parcel(record=make.record(), spec_text=SPEC))
    client_of(tracked).create_registered_model("taken")
    prompts = (PromptText(name="taken", template="Label", config={"model_name": "m"}),)
    again = log_run(Parcel(record=make.record(), spec_text=SPEC, prompts=prompts))
    assert again.run_id == tracked.run_id
    assert "registry did not take the prompt 'taken'" in again.notes[0]


def test_a_run_that_was_made_twice_is_one_again(log: Log, make: Make) -> None:
    """An answer that was lost leaves a second run behind; the next mirror deletes what is too many."""
    tracked = log(make.record())
    client = client_of(tracked)
    client.create_run(tracked.experiment_id, tags={"harness.run": "r1"})
    tags = {"mlflow.parentRunId": tracked.run_id, "trial_number": "0002"}
    client.create_run(tracked.experiment_id, tags=tags)
    assert log(make.record()) == tracked
    assert len(all_runs(tracked)) == 5


def test_logging_again_changes_nothing(log: Log, make: Make) -> None:
    """A second mirror of the same run finds the first and adds no run and no value."""
    first = log(make.record())
    before = {run.info.run_id: run.to_dictionary() for run in all_runs(first)}
    again = log(make.record())
    assert again == first
    assert {run.info.run_id: run.to_dictionary() for run in all_runs(again)} == before
    history = client_of(again).get_metric_history(again.run_id, "best_quality")
    assert len(history) == 1


def test_a_resumed_run_is_completed(log: Log, make: Make) -> None:
    """What a stopped run left in MLflow is brought up to date: no second parent, only the missing child."""
    whole = make.record()
    part = replace(
        whole, state="stopped", trials=whole.trials[:2], finalists=(), recommendation=None, notes=("stopped",)
    )
    first = log(part)
    tracked = log(whole)
    assert tracked.run_id == first.run_id
    assert sorted(children_of(tracked)) == [0, 1, 2, 3]
    assert len(all_runs(tracked)) == 5
    assert parent_of(tracked).info.status == "FINISHED"
    assert parent_of(tracked).data.tags["harness.state"] == "complete"
    assert children_of(tracked)[0].data.metrics["confirm_quality"] == 0.78
    assert "stopped" not in parent_of(tracked).data.tags["mlflow.note.content"]


def test_a_changed_figure_is_the_latest(log: Log, make: Make) -> None:
    """When a run is evaluated anew, MLflow shows the new figure."""
    log(make.record(trials=(make.trial(0, usd_per_1k_calls=0.9),), finalists=()))
    tracked = log(make.record(trials=(make.trial(0, usd_per_1k_calls=0.3),), finalists=()))
    assert children_of(tracked)[0].data.metrics["usd_per_1k_calls"] == 0.3


def test_advice_that_changed_says_so(log: Log, make: Make) -> None:
    """MLflow keeps the first value of a parameter; new settings are a tag, old ones are marked."""
    log(make.record())
    other = make.recommendation(settings=make.settings(temperature=0.7), caveats=())
    tracked = log(make.record(recommendation=other))
    tags = parent_of(tracked).data.tags
    assert json.loads(tags["harness.best_settings"])["temperature"] == 0.7
    assert tags["harness.stale"] == "best_temperature"
    assert tags["harness.caveats"] == ""
    assert any("best_temperature" in note for note in tracked.notes)


def test_a_run_that_goes_on_stays_open(log: Log, make: Make) -> None:
    """A mirror of a run in progress is RUNNING, and finished by a later one."""
    going = make.record(state="running", ended_at=None, recommendation=None, finalists=())
    assert parent_of(log(going)).info.status == "RUNNING"
    assert parent_of(log(make.record())).info.status == "FINISHED"


def test_runs_span_the_sweep(log: Log, make: Make) -> None:
    """MLflow's table lists trials in their order, over the time in which the sweep ran."""
    record = make.record()
    tracked = log(record)
    starts = [run.info.start_time for _, run in sorted(children_of(tracked).items())]
    assert starts == sorted(starts)
    assert parent_of(tracked).info.start_time == round(record.started_at.timestamp() * 1000)
    assert parent_of(tracked).info.end_time == round(record.ended_at.timestamp() * 1000)


def test_logging_works_from_a_thread(log: Log, make: Make) -> None:
    """The mirror is written beside the run, in a thread of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(log(make.record())))
    thread.start()
    thread.join()
    assert len(children_of(found[0])) == 4


def test_nothing_is_printed(log: Log, make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """A run with --json has nothing but JSON on standard output."""
    log(make.record())
    assert capfd.readouterr().out == ""


def test_the_environment_names_the_store(home: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_TRACKING_URI is respected, and our own store is left alone."""
    shutil.copy(OWN_STORE, home / "team.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/team.db")
    tracked = log_run(Parcel(record=make.record(), spec_text=SPEC))
    assert tracked.tracking_uri.endswith("/team.db")
    assert len(all_runs(tracked)) == 5
    assert tracked.url is None


def test_an_argument_goes_before_the_environment(
    home: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that is given wins."""
    shutil.copy(OWN_STORE, home / "mine.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/team.db")
    tracked = log_run(Parcel(record=make.record(), spec_text=SPEC), tracking_uri=f"sqlite:///{home}/mine.db")
    assert tracked.tracking_uri.endswith("/mine.db")


def test_a_server_that_is_down_is_told_with_the_next_step(
    home: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreachable server is one clear error: that nothing is lost, what to do, no password."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ProviderError) as error:
            log_run(Parcel(record=make.record(), spec_text=SPEC), tracking_uri=uri)
    assert "harness mlflow sync" in str(error.value)
    assert "the results are safe" in str(error.value)
    assert "127.0.0.1" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_deleted_experiment_is_told(log: Log, make: Make) -> None:
    """An experiment in MLflow's bin is not written to, and the message says how to restore it."""
    tracked = log(make.record())
    client_of(tracked).delete_experiment(tracked.experiment_id)
    with pytest.raises(ProviderError, match="mlflow experiments restore"):
        log(make.record())


def test_defaults_are_set_where_nobody_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user set stays; the rest makes MLflow quiet and its retries short."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")
    prepare_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "9"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 60
