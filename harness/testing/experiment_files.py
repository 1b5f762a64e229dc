"""A simulated experiment on disk, so that another process can serve it: its spec and its truth.

In: a `SimulatedExperiment` whose data and prompts are files already. Out: two more files beside them, and
the experiment again from its folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.plan.planner import make_plan
from harness.records import JsonValue
from harness.store.codec import decode, encode
from harness.testing.simulator import SimulatedExperiment
from harness.testing.sources import PromptTable, WorldAnswers
from harness.testing.worlds import World

SPEC_FILE = "experiment.yaml"
WORLD_FILE = "world.json"
ROWS_FILE = "samples.jsonl"


def write_experiment(experiment: SimulatedExperiment) -> None:
    """Write spec (JSON, which is YAML) and world into the experiment's folder.

    The spec names its files from its own folder, so the folder may be moved, and
    `harness tune FOLDER/experiment.yaml` takes it.
    """
    spec = json.dumps(_renamed(experiment.spec, experiment.folder, inwards=True), indent=2)
    (experiment.folder / SPEC_FILE).write_text(spec + "\n", encoding="utf-8")
    (experiment.folder / WORLD_FILE).write_text(encode(experiment.world) + "\n", encoding="utf-8")


def read_experiment(folder: Path) -> SimulatedExperiment:
    """The experiment that `write_experiment` wrote. Raises UsageError for a folder without one."""
    try:
        spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
        text = (folder / WORLD_FILE).read_text(encoding="utf-8")
        lines = (folder / ROWS_FILE).read_text(encoding="utf-8").splitlines()
        rows = tuple(json.loads(line) for line in lines)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{folder} holds no simulated experiment ({error}); expected {SPEC_FILE}, {WORLD_FILE} and "
            f"{ROWS_FILE} as harness.testing.experiment_files.write_experiment leaves them"
        ) from error
    world = decode(World, text, file=str(folder / WORLD_FILE))
    spec = _renamed(spec, folder, inwards=False)
    return SimulatedExperiment(folder=folder, spec=spec, rows=rows, world=world)


def world_answers(experiment: SimulatedExperiment, *, pace: float = 0.0) -> WorldAnswers:
    """What a `SimulatorServer` answers this experiment with; pace: see `WorldAnswers`."""
    return WorldAnswers(experiment.world, PromptTable.of(make_plan(experiment.spec)), pace)


def served_at(experiment: SimulatedExperiment, api_base: str) -> SimulatedExperiment:
    """The experiment with a spec that asks its provider at this address, as in `server.api_base`."""
    providers = experiment.spec.get("providers")
    assert isinstance(providers, dict)
    provider = providers["sim"]
    assert isinstance(provider, dict)
    asked: JsonValue = {**providers, "sim": {**provider, "api_base": api_base}}
    return replace(experiment, spec=experiment.spec | {"providers": asked})


def _renamed(spec: Mapping[str, JsonValue], folder: Path, *, inwards: bool) -> dict[str, JsonValue]:
    """The spec with the files of its task named from the folder, or with the folder in front again."""

    def rename(name: JsonValue) -> JsonValue:
        if not isinstance(name, str):
            return name
        if not inwards:
            return str(folder / name)
        return str(Path(name).relative_to(folder)) if Path(name).is_relative_to(folder) else name

    task = spec.get("task")
    if not isinstance(task, dict):
        return dict(spec)
    prompt = task.get("prompt")
    prompts = {n: rename(p) for n, p in prompt.items()} if isinstance(prompt, dict) else rename(prompt)
    return {**spec, "task": {**task, "dataset": rename(task.get("dataset")), "prompt": prompts}}
