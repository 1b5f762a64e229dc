"""Runs in a tracking store of MLflow: found, made, and brought up to date. A door to mlflow.

In: pages, files, calls, the card of a data set. Out: MLflow runs. Must not compute a figure. Whatever was
written before is found again, so that a call that was cut off anywhere is simply made once more.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.cards import DataCard
from harness.clock import Clock
from harness.errors import ProviderError
from harness.outputs.addresses import without_secrets
from harness.outputs.mlflow_pages import LONGEST_TAG, NUMBER_TAG, PARENT_TAG, RUN_TAG, Page, milliseconds
from harness.outputs.mlflow_spans import log_spans, trace_id
from harness.outputs.traces import TracedCall
from harness.records import JsonValue

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import PromptVersion

OWN_STORE = Path(".harness/mlflow.db")
OWN_ARTIFACTS = Path(".harness/mlartifacts")
CONTENT_TAG = "harness.content"
STALE_TAG = "harness.stale"
TRACES_TAG = "harness.traces"  # of what a page does not tell: a later one without traces leaves them
OUR_TAGS = ("reason", "preset", "recommended", "model_class", "best_run_id", "mlflow.note.content")
# By this, MLflow lists a prompt beside the runs of an experiment.
EXPERIMENTS_TAG = "_mlflow_experiment_ids"
# What a registry answers that has no prompts, or does not want this one.
REFUSALS = (
    *("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "ENDPOINT_NOT_FOUND"),
    *("PERMISSION_DENIED", "FEATURE_DISABLED"),
)
LONGEST_DIGEST = 36
RUNS_A_PAGE = 200
# MLflow reads these when it is imported or at each request. Its own defaults print to standard output, ask
# the network whether it may count users, and send a request that was lost again, which makes a second run of
# one that arrived: whoever calls us looks first at what is there.
ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


@dataclass(slots=True, kw_only=True)
class Written:
    """What is known to be in one MLflow run; kept up to date by who writes to it."""

    run_id: str
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict[str, str])
    params: dict[str, str] = field(default_factory=dict[str, str])
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    datasets: tuple[str, ...] = ()

    def holds(self, page: Page) -> bool:
        """Whether nothing of the page is missing."""
        return self.tags.get(CONTENT_TAG) == page.content() and self.status == (page.status or "RUNNING")


class Registered(NamedTuple):
    """A prompt in the registry. version: `None` where it was refused; trouble says why then."""

    name: str
    version: str | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowStore:
    """An open tracking store and the experiment in it. clock: the time of values that replace others.

    on_step: called after each thing done, so that a watcher tells slow from hanging.
    """

    client: MlflowClient
    uri: str
    experiment_id: str
    clock: Clock
    on_step: Callable[[], None]

    def parent(self, page: Page) -> Written:
        """The parent run of this page, made where there is none; see `children` for those too many."""
        found = list(self._search(f"tags.`{RUN_TAG}` = '{page.identity[RUN_TAG]}'"))
        for run in found[1:]:
            self.client.delete_run(run.info.run_id)
        return _written(found[0]) if found else self.create(page)

    def children(self, parent_id: str) -> dict[str, Written]:
        """The runs of trials by their number as text.

        Of two of one number, which a lost answer or a second writer leaves behind, one is deleted.
        """
        found: dict[str, Written] = {}
        for run in self._search(f"tags.`{PARENT_TAG}` = '{parent_id}'"):
            number = run.data.tags.get(NUMBER_TAG)
            if number is None:
                continue
            if found.setdefault(number, _written(run)).run_id != run.info.run_id:
                self.client.delete_run(run.info.run_id)
        return found

    def create(self, page: Page) -> Written:
        """A new run with nothing but what it is found by."""
        run = self.client.create_run(
            self.experiment_id, start_time=page.extent[0], tags=dict(page.identity), run_name=page.name
        )
        self.on_step()
        return Written(run_id=run.info.run_id)

    def write(self, page: Page, written: Written) -> list[str]:
        """Bring one run up to date in one batch; gives what could not be, in words."""
        if written.holds(page):
            return []
        stale = self._log(page, written)
        if page.status and page.status != written.status:
            self.client.set_terminated(written.run_id, page.status, end_time=page.extent[1])
        elif not page.status and written.status != "RUNNING":
            self.client.update_run(written.run_id, status="RUNNING")
        written.status = page.status or "RUNNING"
        self.on_step()
        if not stale:
            return []
        outdated = ", ".join(stale)
        return [f"MLflow run {page.name!r} keeps outdated values of {outdated}: MLflow cannot replace them"]

    def _log(self, page: Page, written: Written) -> list[str]:
        """Log what is new of a page; gives names of parameters and metrics that cannot be as it says."""
        from mlflow.entities import Metric, Param, RunTag

        # MLflow neither overwrites a parameter nor forgets a metric: where advice has changed, a tag says so.
        stale = {name for name, value in written.params.items() if page.params.get(name) != value}
        metrics = page.metrics
        stale |= written.metrics.keys() - metrics.keys()
        emptied = {name: "" for name in written.tags if _is_ours(name) and name not in page.identity}
        tags = {**emptied, **page.tags, CONTENT_TAG: page.content()}
        if stale:
            tags[STALE_TAG] = " ".join(sorted(stale))[:LONGEST_TAG]
        new = [point for point in page.points if written.metrics.get(point.name) != metrics[point.name]]
        # At one moment MLflow takes a value only once, so that a batch which is sent again adds nothing; and
        # of two at the same step, it shows the later one.
        times = dict.fromkeys(written.metrics, milliseconds(self.clock.now()))
        self.client.log_batch(
            written.run_id,
            metrics=[Metric(p.name, p.value, times.get(p.name, page.extent[0]), p.step) for p in new],
            params=[Param(name, value) for name, value in page.params.items() if name not in written.params],
            tags=[RunTag(name, value) for name, value in tags.items() if written.tags.get(name) != value],
        )
        self.on_step()
        written.tags.update(tags)
        written.params = {**page.params, **written.params}
        written.metrics.update(metrics)
        return sorted(stale)

    def log_data(self, parent: Written, cards: Iterable[DataCard]) -> None:
        """Name data sets as inputs of the parent run, by our fingerprints and without their rows."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs: dict[str, DatasetInput] = {}
        for data in cards:
            digest = data.sha256[:LONGEST_DIGEST]
            if not digest or digest in parent.datasets:
                continue
            kind, source = _data_source(data.file or data.source)
            search, confirm = data.n_search, data.n_confirm
            rows = {"num_rows": search + confirm, "search": search, "confirm": confirm}
            dataset = Dataset(data.name, digest, kind, json.dumps(source), profile=json.dumps(rows))
            inputs[digest] = DatasetInput(dataset, [InputTag("mlflow.data.context", "evaluation")])
        if inputs:
            self.client.log_inputs(parent.run_id, datasets=list(inputs.values()))
            self.on_step()

    def log_file(self, run_id: str, path: Path) -> None:
        """Keep a file, or a folder under its own name."""
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), path.name)
        else:
            self.client.log_artifact(run_id, str(path))
        self.on_step()

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Keep a text as a file."""
        self.client.log_text(run_id, text, name)
        self.on_step()

    def log_traces(self, run_id: str, calls: Sequence[TracedCall]) -> str:
        """Trace these calls, of which those that are there stay one, and link them to the run.

        Gives why MLflow does not take them, or "": a server may be too old.
        """
        from mlflow.exceptions import MlflowException

        try:
            log_spans(self.uri, self.experiment_id, calls)
            self.on_step()
            self.client.link_traces_to_run([trace_id(one) for one in calls], run_id)
        except (NotImplementedError, MlflowException) as error:
            if isinstance(error, MlflowException) and error.error_code not in REFUSALS:
                raise
            return f"MLflow took no traces: {without_secrets(str(error)).splitlines()[0]}"
        self.on_step()
        return ""

    def set_tag(self, written: Written, name: str, value: str) -> None:
        """Keep a tag beside those of the run's page."""
        self.client.set_tag(written.run_id, name, value)
        written.tags[name] = value
        self.on_step()

    def register(self, name: str, template: str, config: Mapping[str, JsonValue], run: str) -> Registered:
        """The newest version of this prompt with its model and settings, made where it says anything else.

        A registry that refuses, or has none, is told and no fault.
        """
        from mlflow.exceptions import MlflowException

        name = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)
        try:
            version = self._version(name, template, dict(config), run)
        except MlflowException as error:
            if error.error_code not in REFUSALS:
                raise
            cause = without_secrets(str(error)).partition("\n")[0]
            return Registered(name, None, f"MLflow's registry did not take the prompt {name!r}: {cause}")
        self.on_step()
        return Registered(name, str(version))

    def _version(self, name: str, template: str, config: dict[str, Any], run: str) -> int:
        from mlflow.entities.model_registry import PromptModelConfig

        model_config, known = PromptModelConfig(**config), self.client.get_prompt(name)
        experiments = "" if known is None else known.tags.get(EXPERIMENTS_TAG, "")
        if known is None:
            self.client.create_prompt(name, tags={RUN_TAG: run, EXPERIMENTS_TAG: f",{self.experiment_id},"})
        elif f",{self.experiment_id}," not in experiments:
            added = f"{experiments or ','}{self.experiment_id},"
            self.client.set_prompt_tag(name, EXPERIMENTS_TAG, added)
        newest = None if known is None else self._newest(name)
        if (
            newest is not None
            and newest.template == template
            and newest.model_config == model_config.to_dict()
        ):
            return int(newest.version)
        made = self.client.create_prompt_version(
            name,
            template,
            f"recommended by harness run {run}",
            tags={RUN_TAG: run},
            model_config=model_config,
        )
        return int(made.version)

    def _newest(self, name: str) -> PromptVersion | None:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_prompt_version_by_alias(name, "latest")
        except MlflowException as error:
            # A prompt whose first version was cut off.
            if error.error_code not in REFUSALS and error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _search(self, wanted: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                wanted,
                max_results=RUNS_A_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            self.on_step()
            yield from page
            token = page.token
            if not token:
                return


def open_mlflow(
    uri: str | None, experiment: str, clock: Clock, on_step: Callable[[], None] = lambda: None
) -> MlflowStore:
    """The tracking store at this address with this experiment, made where it is missing.

    uri: `None` for a store of our own. Raises ProviderError for an experiment in MLflow's bin, and whatever
    MLflow passes on when it cannot be reached.
    """
    prepare_environment()
    # MLflow 3.17 builds its tables with a loader strategy that SQLAlchemy 2.1 deprecates. A filter that stays
    # is safe beside other threads; `catch_warnings` is not.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy", category=DeprecationWarning)
    from mlflow import MlflowClient

    on_step()
    uri_or_own = uri or own_store()
    client = MlflowClient(tracking_uri=uri_or_own, registry_uri=uri_or_own)
    place = None if uri else OWN_ARTIFACTS.resolve().as_uri()
    found = _experiment_id(client, experiment, place)
    on_step()
    return MlflowStore(client=client, uri=uri_or_own, experiment_id=found, clock=clock, on_step=on_step)


def own_store() -> str:
    """The address of the store of our own, under the folder at hand."""
    # Absolute: MLflow keeps stores by address, and a notebook may change its folder between two runs.
    return f"sqlite:///{OWN_STORE.resolve().as_posix()}"


def prepare_environment() -> None:
    """Set MLflow's environment variables where nobody did: quiet, no telemetry, nothing sent twice."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


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
            f"`mlflow experiments restore`, then fill it in with `harness mlflow sync`"
        )
    return found.experiment_id


def _written(run: Run) -> Written:
    inputs: Any = run.inputs
    return Written(
        run_id=run.info.run_id,
        status=run.info.status,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        datasets=tuple(one.dataset.digest for one in inputs.dataset_inputs) if inputs else (),
    )


def _is_ours(tag: str) -> bool:
    return (tag.startswith("harness.") and not tag.startswith(TRACES_TAG)) or tag in OUR_TAGS


def _data_source(source: str) -> tuple[str, dict[str, JsonValue]]:
    """MLflow's type of a data source and its description, in the form in which MLflow reads it back."""
    if source.startswith(("http://", "https://")):
        return "http", {"url": without_secrets(source)}
    if hub := re.fullmatch(r"hf:([\w.-]+/[\w.-]+)", source):
        return "hugging_face", {"path": hub[1]}
    # The description of a data set is a sentence, and a path is none.
    if source and not re.search(r"\s", source):
        return "local", {"uri": source}
    return "code", {"tags": {"mlflow.source.name": source or "harness"}}
