"""A run as MLflow runs: one parent for the sweep, one child for each trial.

In: a run record and the files made from it. Out: MLflow runs, in the user's tracking store or in one of our
own. Must not decide or compute a figure, must not hold per-sample rows, and must not be needed: MLflow is a
mirror, and a mirror that breaks loses nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from harness.clock import Clock, SystemClock
from harness.errors import ProviderError
from harness.findings import RunRecord, Trial
from harness.fingerprint import file_fingerprint, fingerprint
from harness.outputs.addresses import without_secrets
from harness.outputs.files import encodable
from harness.outputs.frames import samples_table
from harness.outputs.mlflow_pages import (
    NUMBER_TAG,
    Page,
    padded,
    sweep_page,
    trial_pages,
    with_comparisons,
    with_tags,
)
from harness.outputs.mlflow_store import TRACES_TAG, MlflowStore, Written, open_mlflow, own_store
from harness.outputs.traces import read_traces, traced_files
from harness.records import JsonValue

SCORES, SAMPLES = "scores.parquet", "samples.json"
TRACES_A_REQUEST = 100  # MLflow links no more of them to a run at once
SAMPLES_TAG, PROMPTS_TAG = "harness.samples", "harness.prompts"
# By these, MLflow's pages find the tables of a run and its prompts.
TABLES = json.dumps([{"path": SAMPLES, "type": "table"}])
LINKED_TAG = "mlflow.linkedPrompts"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """A prompt for MLflow's registry. config: what its `PromptModelConfig` takes, by name."""

    name: str
    template: str
    config: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """All that MLflow is to hold of a run that is over: neither store nor spec is needed beside it.

    files: artifacts of the parent run, files or folders; of one called scores.parquet, the lines of a
    finalist go to its own run as well. prompts: the recommended one with its settings, one a task. traces: a
    folder of calls, as `traces.tracing` writes it; `None`: none are wanted.
    """

    record: RunRecord
    spec_text: str
    files: tuple[Path, ...] = ()
    prompts: tuple[PromptText, ...] = ()
    traces: Path | None = None


@dataclass(slots=True)
class RunMirror:
    """One run in an open store of MLflow, as far as it is known to be there.

    It is of no use any more once MLflow has failed: a new one looks at what has arrived.
    """

    store: MlflowStore
    parent: Written
    children: dict[str, Written]
    notes: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, store: MlflowStore, record: RunRecord) -> RunMirror:
        """The mirror of this run, with a parent made where there is none."""
        parent = store.parent(sweep_page(record, {}))
        return cls(store, parent, store.children(parent.run_id))

    def trials(self, record: RunRecord) -> None:
        """Bring the runs of trials of a run under way up to date."""
        for page in trial_pages(record, self.parent.run_id):
            self._write(page)

    def fail(self, record: RunRecord) -> None:
        """Say that the run broke off, before anything is known of it as a whole."""
        page = sweep_page(replace(record, state="running"), {})
        tags = {**page.tags, "harness.state": "failed"}
        self.store.write(replace(page, tags=tags, status="FAILED"), self.parent)

    def whole(self, parcel: Parcel) -> TrackedRun:
        """Bring all of it up to date, files too, and say where it is."""
        record, self.notes = parcel.record, []
        present = [path for path in parcel.files if path.exists()]
        self.notes += [
            f"artifact {str(path)!r} does not exist" for path in parcel.files if path not in present
        ]
        scores = next((path for path in present if path.name == SCORES), None)
        self._all_trials(record, scores)
        page = with_tags(
            sweep_page(record, self.run_ids), {"harness.files": _fingerprint_of(present, parcel.spec_text)}
        )
        page = with_tags(page, self._registered(parcel.prompts, record.run))
        if record.verb == "eval" and record.trials:
            page = self._with_samples(page, self.parent, record.trials[0], scores)
        if not self.parent.holds(page):
            self.store.log_data(self.parent, [task.data for task in record.tasks] or [record.data])
            self._keep(present, parcel.spec_text)
            self.notes += self.store.write(page, self.parent)
        if parcel.traces is not None:
            self._trace(parcel.traces, record)
        return self._place()

    @property
    def run_ids(self) -> dict[str, str]:
        """The MLflow run of each trial, by its number as text."""
        return {number: written.run_id for number, written in self.children.items()}

    def _run_of(self, page: Page) -> Written:
        number = page.identity[NUMBER_TAG]
        if number not in self.children:
            self.children[number] = self.store.create(page)
        return self.children[number]

    def _write(self, page: Page) -> None:
        self.notes += self.store.write(page, self._run_of(page))

    def _all_trials(self, record: RunRecord, scores: Path | None) -> None:
        """The recommended one comes last: the others, with which it is compared, have their runs then."""
        chosen = record.recommendation
        best = None if chosen is None else padded(chosen.trial.number)
        finalists = {padded(trial.number): trial for trial in record.finalists}
        pages = {page.identity[NUMBER_TAG]: page for page in trial_pages(record, self.parent.run_id)}
        for number in sorted(pages, key=lambda one: (one == best, one)):
            page = pages[number]
            if number in finalists:
                page = self._with_samples(page, self._run_of(page), finalists[number], scores)
            if chosen is not None and number == best:
                page = with_comparisons(page, chosen, record.metric, self.run_ids)
            self._write(page)

    def _with_samples(self, page: Page, written: Written, trial: Trial, scores: Path | None) -> Page:
        """The page with the tags of the trial's table by samples, which is in its run then."""
        table = None if scores is None else samples_table(scores, trial.number, trial.split)
        if table is None:
            return page
        tags = {SAMPLES_TAG: fingerprint(table), "mlflow.loggedArtifacts": TABLES}
        if written.tags.get(SAMPLES_TAG) != tags[SAMPLES_TAG]:
            self.store.log_text(written.run_id, table, SAMPLES)
        return with_tags(page, tags)

    def _trace(self, folder: Path, record: RunRecord) -> None:
        """Trace calls, those of each trial for its run; a tag says which ones are there."""
        for number, split, path in traced_files(folder):
            written = self.parent if record.verb == "eval" else self.children[padded(number)]
            tag, mark = f"{TRACES_TAG}.{split}", file_fingerprint(path)
            if written.tags.get(tag) == mark:
                continue
            calls = read_traces(path)
            while batch := list(islice(calls, TRACES_A_REQUEST)):
                if trouble := self.store.log_traces(written.run_id, batch):
                    self.notes.append(trouble)
                    return
            self.store.set_tag(written, tag, mark)

    def _registered(self, prompts: Sequence[PromptText], run: str) -> dict[str, str]:
        """The tags of the parent that tell versions of these prompts, registered where they were not."""
        if not prompts:
            return {}
        wanted = fingerprint([[one.name, one.template, one.config] for one in prompts])
        linked = self.parent.tags.get(LINKED_TAG)
        if linked is None or self.parent.tags.get(PROMPTS_TAG) != wanted:
            versions: list[dict[str, str]] = []
            for one in prompts:
                made = self.store.register(one.name, one.template, one.config, run)
                versions += [] if made.version is None else [{"name": made.name, "version": made.version}]
                self.notes += [made.trouble] if made.trouble else []
            linked = json.dumps(versions)
        return {PROMPTS_TAG: wanted, LINKED_TAG: linked}

    def _keep(self, files: Sequence[Path], spec_text: str) -> None:
        if all(path.name != "spec.yaml" for path in files):
            self.store.log_text(self.parent.run_id, encodable(spec_text), "spec.yaml")
        for path in files:
            self.store.log_file(self.parent.run_id, path)

    def _place(self) -> TrackedRun:
        uri, store = without_secrets(self.store.uri), self.store
        address = f"{uri.rstrip('/')}/#/experiments/{store.experiment_id}/runs/{self.parent.run_id}"
        return TrackedRun(
            run_id=self.parent.run_id,
            experiment_id=store.experiment_id,
            tracking_uri=uri,
            url=address if uri.startswith(("http://", "https://")) else None,
            children=len(self.children),
            notes=tuple(self.notes),
        )


def log_run(
    parcel: Parcel,
    *,
    tracking_uri: str | None = None,
    clock: Clock | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> TrackedRun:
    """Mirror a run in MLflow and say where it is; may be called from any thread, and again for the same run.

    A second call completes the runs of the first one (found by the tag `harness.run`) and makes no others.
    tracking_uri: `None` means MLFLOW_TRACKING_URI, and without that a store of our own under `.harness`.
    on_step: called after each thing done. Raises ProviderError when MLflow cannot be reached or refuses.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    try:
        store = open_mlflow(uri, parcel.record.experiment, clock or SystemClock(), on_step)
        return RunMirror.of(store, parcel.record).whole(parcel)
    except ProviderError:
        raise
    except Exception as error:
        # Not narrower: MLflow passes on whatever its database, HTTP or cloud library raises.
        raise refusal(parcel.record.run, uri, error) from error


def refusal(run: str, uri: str | None, error: Exception) -> ProviderError:
    """What to say when MLflow cannot be reached or refuses."""
    place = without_secrets(uri or own_store())
    cause = (without_secrets(str(error)).splitlines() or [""])[0] or type(error).__name__
    return ProviderError(
        f"MLflow at {place!r} did not take run {run!r}: {cause}; the results are safe: "
        "fill MLflow in later with `harness mlflow sync`"
    )


def target_of(uri: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Where runs are mirrored, without credentials: this address, else MLFLOW_TRACKING_URI, else our own."""
    return without_secrets(uri or environ.get("MLFLOW_TRACKING_URI") or own_store())


def _fingerprint_of(files: Iterable[Path], spec_text: str) -> str:
    parts = [encodable(spec_text)]
    for path in files:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        parts += [f"{file.relative_to(path.parent).as_posix()} {file_fingerprint(file)}" for file in inside]
    return fingerprint(parts)
