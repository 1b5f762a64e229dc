"""A finished run as MLflow runs: the door to mlflow.

In: a run record and the files made from it. Out: one parent run for the sweep and one child run for each
trial, in the user's tracking store or in one of our own. Must not decide or compute a figure, must not hold
per-sample rows, and must not be needed: MLflow is a mirror, and a mirror that breaks loses nothing.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cards import DataCard
from harness.clock import Clock, SystemClock
from harness.errors import ProviderError
from harness.findings import RunRecord
from harness.fingerprint import file_fingerprint, fingerprint
from harness.outputs.files import encodable
from harness.outputs.mlflow_pages import (
    LONGEST_TAG,
    NUMBER_TAG,
    PARENT_TAG,
    RUN_TAG,
    Page,
    milliseconds,
    sweep_page,
    trial_pages,
)
from harness.records import JsonValue

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

OWN_STORE = Path(".harness/mlflow.db")
OWN_ARTIFACTS = Path(".harness/mlartifacts")
CONTENT_TAG = "harness.content"
STALE_TAG = "harness.stale"
LONGEST_DIGEST = 36
CHILDREN_A_PAGE = 200
# MLflow reads these when it is imported or at each request. Its own defaults print to standard output, ask
# the network whether it may count users, and try a server that is down for minutes.
ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """Where a run is found in MLflow.

    run_id: of the parent run. tracking_uri: without user name and password. url: page of the parent run;
    `None` when the store is no server. children: runs for trials. notes: what could not be mirrored as it is.
    """

    run_id: str
    experiment_id: str
    tracking_uri: str
    url: str | None
    children: int
    notes: tuple[str, ...] = ()


def log_run(
    record: RunRecord,
    rows_file: Path | None,
    artifacts: Sequence[Path],
    *,
    tracking_uri: str | None,
    spec_text: str,
    data_file: str | None = None,
    clock: Clock | None = None,
) -> TrackedRun:
    """Mirror a run in MLflow and say where it is; may be called from any thread, and again for the same run.

    A second call completes the runs of the first one (found by the tag `harness.run`) and makes no others.
    rows_file: table of per-sample scores; it goes with the artifacts, files or folders, to the parent run.
    tracking_uri: `None` means MLFLOW_TRACKING_URI, and without that a store of our own under `.harness`.
    data_file: where the rows were read from: a path, an address, or "hf:owner/name"; `None`: what the data
    set states as its source. Raises ProviderError when MLflow cannot be reached or refuses.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    files = (*artifacts, *(() if rows_file is None else (rows_file,)))
    try:
        mirror = _open(uri, record, clock or SystemClock())
        return _mirror_run(mirror, record, files, spec_text=spec_text, data_file=data_file)
    except ProviderError:
        raise
    except Exception as error:
        # Not narrower: MLflow passes on whatever its database, HTTP or cloud library raises.
        raise ProviderError(
            f"MLflow at {_without_secrets(uri or str(OWN_STORE))!r} did not take run {record.run!r}: "
            f"{_without_secrets(str(error)) or type(error).__name__}; the results are safe: "
            f"fill MLflow in later with `harness report {record.run} --mlflow`"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What an earlier call left in one MLflow run."""

    run_id: str
    status: str = "RUNNING"
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: frozenset[str] = frozenset()
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mirror:
    """An open MLflow store and the experiment in it. now_ms: time of writing, the same for all values."""

    client: MlflowClient
    uri: str
    experiment_id: str
    now_ms: int


def tracking_target(environ: Mapping[str, str]) -> str:
    """Where runs are mirrored: MLFLOW_TRACKING_URI, without its password, or the store of our own."""
    return _without_secrets(environ.get("MLFLOW_TRACKING_URI") or _own_store())


def _own_store() -> str:
    # Absolute: MLflow keeps stores by address, and a notebook may change its folder between two runs.
    return f"sqlite:///{OWN_STORE.resolve().as_posix()}"


def prepare_environment() -> None:
    """Set MLflow's environment variables where nobody did: quiet, no telemetry, soon done with retries."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _open(uri: str | None, record: RunRecord, clock: Clock) -> _Mirror:
    prepare_environment()
    # MLflow 3.17 builds its tables with a loader strategy that SQLAlchemy 2.1 deprecates. A filter that stays
    # is safe beside other threads; `catch_warnings` is not.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy", category=DeprecationWarning)
    from mlflow import MlflowClient

    uri_or_own = uri or _own_store()
    client = MlflowClient(tracking_uri=uri_or_own, registry_uri=uri_or_own)
    place = None if uri else OWN_ARTIFACTS.resolve().as_uri()
    return _Mirror(
        client=client,
        uri=uri_or_own,
        experiment_id=_experiment_id(client, record.experiment, place),
        now_ms=milliseconds(clock.now()),
    )


def _experiment_id(client: MlflowClient, name: str, artifact_location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location)
        except MlflowException as error:
            # Two runs of one experiment may begin together: the one that comes second takes the other's.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage == "deleted":
        raise ProviderError(
            f"MLflow experiment {name!r} is deleted, expected an active one; restore it with "
            f"`mlflow experiments restore`, then fill it in with `harness report RUN --mlflow`"
        )
    return found.experiment_id


def _mirror_run(
    mirror: _Mirror, record: RunRecord, files: Sequence[Path], *, spec_text: str, data_file: str | None
) -> TrackedRun:
    parent = _find_parent(mirror, record)
    children = _find_children(mirror, parent.run_id)
    notes: list[str] = []
    for page in trial_pages(record, parent.run_id):
        number = page.identity[NUMBER_TAG]
        written = children.get(number) or _create(mirror, page)
        children[number] = written
        notes += _write(mirror, page, written)
    run_ids = {number: written.run_id for number, written in children.items()}
    page, present = sweep_page(record, run_ids), [path for path in files if path.exists()]
    notes += [f"artifact {str(path)!r} does not exist" for path in files if path not in present]
    page = replace(page, tags={**page.tags, "harness.files": _files_fingerprint(present, spec_text)})
    if not _is_complete(page, parent):
        _log_data(mirror, parent, record.data, data_file)
        _log_files(mirror, parent.run_id, present, spec_text)
        notes += _write(mirror, page, parent)
    uri = _without_secrets(mirror.uri)
    address = f"{uri.rstrip('/')}/#/experiments/{mirror.experiment_id}/runs/{parent.run_id}"
    return TrackedRun(
        run_id=parent.run_id,
        experiment_id=mirror.experiment_id,
        tracking_uri=uri,
        url=address if uri.startswith(("http://", "https://")) else None,
        children=len(children),
        notes=tuple(notes),
    )


def _find_parent(mirror: _Mirror, record: RunRecord) -> _Written:
    runs = mirror.client.search_runs(
        [mirror.experiment_id],
        f"tags.`{RUN_TAG}` = '{record.run}'",
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    return _written(runs[0]) if runs else _create(mirror, sweep_page(record, {}))


def _find_children(mirror: _Mirror, parent_id: str) -> dict[str, _Written]:
    children: dict[str, _Written] = {}
    token: str | None = None
    while True:
        page = mirror.client.search_runs(
            [mirror.experiment_id],
            f"tags.`{PARENT_TAG}` = '{parent_id}'",
            max_results=CHILDREN_A_PAGE,
            page_token=token,
        )
        for run in page:
            if number := run.data.tags.get(NUMBER_TAG):
                children.setdefault(number, _written(run))
        token = page.token
        if not token:
            return children


def _written(run: Run) -> _Written:
    return _Written(
        run_id=run.info.run_id,
        status=run.info.status,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=frozenset(run.data.metrics),
        datasets=tuple(i.dataset.digest for i in run.inputs.dataset_inputs) if run.inputs else (),
    )


def _create(mirror: _Mirror, page: Page) -> _Written:
    run = mirror.client.create_run(
        mirror.experiment_id, start_time=page.extent[0], tags=dict(page.identity), run_name=page.name
    )
    return _Written(run_id=run.info.run_id)


def _is_complete(page: Page, written: _Written) -> bool:
    return written.tags.get(CONTENT_TAG) == page.content() and written.status == (page.status or "RUNNING")


def _write(mirror: _Mirror, page: Page, written: _Written) -> list[str]:
    """Bring one MLflow run up to date in one batch; gives what could not be, in words."""
    from mlflow.entities import Metric, Param, RunTag

    if _is_complete(page, written):
        return []
    # MLflow neither overwrites a parameter nor forgets a metric: where advice has changed, a tag says so.
    stale = [name for name, value in written.params.items() if page.params.get(name) != value]
    stale = sorted({*stale, *(written.metrics - page.metrics.keys())})
    emptied = {name: "" for name in written.tags if _is_ours(name) and name not in page.identity}
    tags = {**emptied, **page.tags, CONTENT_TAG: page.content()}
    if stale:
        tags[STALE_TAG] = " ".join(stale)[:LONGEST_TAG]
    mirror.client.log_batch(
        written.run_id,
        metrics=[Metric(name, value, mirror.now_ms, 0) for name, value in page.metrics.items()],
        params=[Param(name, value) for name, value in page.params.items() if name not in written.params],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    if page.status:
        mirror.client.set_terminated(written.run_id, page.status, end_time=page.extent[1])
    elif written.status != "RUNNING":
        mirror.client.update_run(written.run_id, status="RUNNING")
    if not stale:
        return []
    return [
        f"MLflow run {page.name!r} keeps outdated values of {', '.join(stale)}: MLflow cannot replace them"
    ]


def _is_ours(tag: str) -> bool:
    return tag.startswith("harness.") or tag in (
        "reason",
        "model_class",
        "best_run_id",
        "mlflow.note.content",
    )


def _log_data(mirror: _Mirror, parent: _Written, data: DataCard, data_file: str | None) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    digest = data.sha256[:LONGEST_DIGEST]
    if not digest or digest in parent.datasets:
        return
    kind, source = _data_source(data_file or data.source)
    rows = {"num_rows": data.n_search + data.n_confirm, "search": data.n_search, "confirm": data.n_confirm}
    dataset = Dataset(data.name, digest, kind, json.dumps(source), profile=json.dumps(rows))
    context = InputTag("mlflow.data.context", "evaluation")
    mirror.client.log_inputs(parent.run_id, datasets=[DatasetInput(dataset, [context])])


def _data_source(source: str) -> tuple[str, dict[str, JsonValue]]:
    """MLflow's type of a data source and its description, in the form in which MLflow reads it back."""
    if source.startswith(("http://", "https://")):
        return "http", {"url": _without_secrets(source)}
    if hub := re.fullmatch(r"hf:([\w.-]+/[\w.-]+)", source):
        return "hugging_face", {"path": hub[1]}
    # The description of a data set is a sentence, and a path is none.
    if source and not re.search(r"\s", source):
        return "local", {"uri": source}
    return "code", {"tags": {"mlflow.source.name": source or "harness"}}


def _log_files(mirror: _Mirror, run_id: str, files: Sequence[Path], spec_text: str) -> None:
    if all(path.name != "spec.yaml" for path in files):
        mirror.client.log_text(run_id, encodable(spec_text), "spec.yaml")
    for path in files:
        if path.is_dir():
            mirror.client.log_artifacts(run_id, str(path), path.name)
        else:
            mirror.client.log_artifact(run_id, str(path))


def _files_fingerprint(files: Iterable[Path], spec_text: str) -> str:
    parts = [encodable(spec_text)]
    for path in files:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        parts += [f"{file.relative_to(path.parent).as_posix()} {file_fingerprint(file)}" for file in inside]
    return fingerprint(parts)


def _without_secrets(text: str) -> str:
    """The text without user names and passwords in addresses, and without MLflow's own credentials."""
    for name in SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    return re.sub(r"://[^/@\s]+@", "://***@", text)
