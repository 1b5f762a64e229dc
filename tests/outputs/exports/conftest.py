"""Real packages of the targets, installed into a folder that is kept, and what they make of an export."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.outputs.exports import registry
from harness.outputs.exports.registry import Written
from harness.outputs.exports.selection import selection_of
from harness.records import Champion, ModelClass, Recommendation, Settings

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("HARNESS_TEST_PACKAGES") or HERE.parents[2] / ".harness" / "packages")
TYPESCRIPT = "typescript@5.7.3"
# Versions of what these packages depend on were last seen to work together on this day.
BEFORE = "2026-11-25"
ELIZA: Mapping[str, Sequence[str]] = {
    # 0.1.9 imports sharp without asking for it.
    "eliza-0.1": ("@elizaos/core@0.1.9", "sharp@0.33.5", TYPESCRIPT),
    "eliza-0.25": ("@elizaos/core@0.25.9", TYPESCRIPT),
    "eliza-1": (
        "@elizaos/core@1.7.2",
        "@elizaos/plugin-openai@1.6.0",
        "@elizaos/plugin-anthropic@1.5.12",
        "@elizaos/plugin-google-genai@1.1.0",
        "@elizaos/plugin-ollama@1.2.4",
        "@elizaos/plugin-openrouter@1.5.17",
        TYPESCRIPT,
    ),
}
INSTALL_S = 300.0
RUN_S = 120.0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time works on this folder: tests run in several."""
    fcntl = pytest.importorskip("fcntl", reason="file locks are those of POSIX")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(name: str, packages: Sequence[str], *commands: Sequence[str]) -> Path:
    """The folder in which these commands installed these packages, now or in an earlier run.

    Without network the test is skipped, but not in continuous integration: there it fails.
    """
    digest = hashlib.sha256(json.dumps([packages, commands]).encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    with _alone(folder):
        done = folder / ".installed"
        if not done.exists():
            for command in commands:
                _install(command, folder, name)
            done.touch()
    return folder


def _install(command: Sequence[str], folder: Path, name: str) -> None:
    try:
        made = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
        failed = made.returncode != 0
        said = (made.stderr or made.stdout)[-600:]
    except subprocess.TimeoutExpired:
        failed, said = True, f"no end after {INSTALL_S:.0f} s"
    if failed:
        why = f"the packages of {name} cannot be installed here: {said}"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)


@pytest.fixture(scope="session")
def eliza_packages() -> Callable[[str], Path]:
    """Gives the folder with the real packages of an Eliza target."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Eliza's packages cannot be loaded")

    def find(target: str) -> Path:
        packages = ELIZA[target]
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--before", BEFORE)
        return installed(target, packages, ("npm", "init", "-y"), ("npm", "install", *quiet, *packages))

    return find


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the real packages made of an export: `requests` by class, each with its address and body."""

    findings: Mapping[str, Any]

    @property
    def requests(self) -> Mapping[str, Any]:
        """By class, what was asked."""
        return self.findings["requests"]

    def sent(self, model_class: str, setting: str) -> Any:
        """The value of a setting in the request of this class, whatever its name there; `None`: absent."""
        return sent(self.requests[model_class], setting)


NAMES: Mapping[str, Sequence[str]] = {
    "temperature": ("temperature",),
    "max_output_tokens": (
        "max_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "maxOutputTokens",
        "num_predict",
    ),
    "frequency_penalty": ("frequency_penalty", "frequencyPenalty"),
    "presence_penalty": ("presence_penalty", "presencePenalty"),
    "top_p": ("top_p", "topP"),
    "seed": ("seed",),
    "stop": ("stop", "stop_sequences", "stopSequences"),
}


def sent(request: Mapping[str, Any], setting: str) -> Any:
    """The value of a setting in a captured request; `None`: absent."""
    body = request["body"]
    if setting == "model":
        return body.get("model") or request["to"].partition("/models/")[2].partition(":")[0]
    places = (body, body.get("options", {}), body.get("generationConfig", {}))
    found = [place[name] for place in places for name in NAMES[setting] if name in place]
    assert len(found) <= 1, found
    return found[0] if found else None


@pytest.fixture
def load_eliza(eliza_packages: Callable[[str], Path]) -> Callable[..., Loaded]:
    """Loads the export in a folder with the real packages of its target."""

    def load(target: str, folder: Path, character: str = "tuned.character.json", **lengths: int) -> Loaded:
        script = "generation_1.mjs" if target == "eliza-1" else "generation_0.mjs"
        command = ["node", str(HERE / "eliza" / script), str(eliza_packages(target)), character]
        done = subprocess.run(
            [*command, json.dumps(lengths)],
            cwd=folder,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        (found,) = [line for line in done.stdout.splitlines() if line.startswith("FINDINGS ")]
        return Loaded(json.loads(found.removeprefix("FINDINGS ")))

    return load


@pytest.fixture
def study(make: Any) -> Callable[..., Recommendation]:
    """A recommendation of these settings by class; the one of `chosen` is the choice."""

    def recommend(chosen: ModelClass = "LARGE", **by_class: Settings) -> Recommendation:
        champions = tuple(
            Champion(
                model_class=model_class,
                trial=make.trial(n, settings=settings, model_class=model_class, split="confirm"),
                versus=None,
            )
            for n, (model_class, settings) in enumerate(by_class.items())
        )
        settings = by_class[chosen]
        trial = make.trial(2, settings=settings, model_class=chosen, split="confirm")
        return make.recommendation(settings=settings, trial=trial, by_class=champions)

    return recommend


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Written]:
    """Exports a recommendation into a folder named for its target."""

    def export(target: str, *choices: Recommendation, force: bool = False, **given: Any) -> Written:
        return registry.export(target, selection_of(choices, **given), tmp_path / target, force=force)

    return export
