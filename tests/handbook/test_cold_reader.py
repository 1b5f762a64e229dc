"""README.md as a cold reader takes it: its blocks, copied as they stand, from a table to a gate in CI."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from handbook.blocks import blocks

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GATE_PAGE = ROOT / "docs" / "how-to" / "ci.md"
ACTION = (ROOT / "action.yml").read_text(encoding="utf-8")
MAKE = ("make quickstart", "make test", "make install")


@pytest.fixture
def followed(newcomer: Any) -> Any:
    """Somebody who did all that the README says, in a folder that has nothing of ours."""
    for block in blocks(README):
        newcomer.read(block, lambda line: line.startswith(MAKE))
    return newcomer


def steps(page: Path) -> Iterator[Mapping[str, Any]]:
    """Steps of a page's workflow that use the action."""
    for block in blocks(page):
        if block.title.startswith(".github/"):
            asked = YAML(typ="safe").load(block.text)["jobs"]["gate"]["steps"]
            yield from (one for one in asked if one.get("uses", "").startswith("OWNER/harness"))


def in_ci() -> subprocess.CompletedProcess[str]:
    """What the README's job runs, in the folder at hand: the action's own step with the job's inputs."""
    (step,) = steps(README)
    action = YAML(typ="safe").load(ACTION)
    (gate,) = (one for one in action["runs"]["steps"] if one.get("id") == "gate")
    inputs = {key: one.get("default", "") for key, one in action["inputs"].items()} | step["with"]
    environ = {
        key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: str(inputs[found[1]]), value)
        for key, value in gate["env"].items()
    }
    places = {"RUNNER_TEMP": str(Path("runner").resolve()), "GITHUB_OUTPUT": str(Path("outputs").resolve())}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", gate["run"]]
    environ = {**os.environ, **environ, **places}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_from_a_table_of_50_rows_to_a_gate_in_ci(followed: Any) -> None:
    """Every command of the README ends well; the job that it leaves passes, and stops a worse prompt."""
    assert Path.cwd().name == "my-tickets"
    assert len(json.loads(Path("baseline.json").read_text())["scores"]) == 50
    assert "triage: passed" in followed.printed[-1]
    tracked = followed.desk.program("git", "-C", str(Path.cwd()), "ls-files").out.split()
    assert {"baseline.json", "settings/settings.json", ".github/workflows/gate.yml"} <= set(tracked)
    assert not followed.desk.program("git", "-C", str(Path.cwd()), "status", "--short").out

    passed = in_ci()
    assert passed.returncode == 0, passed.stderr
    assert Path("outputs").read_text() == "outcome=passed\n"

    spec = json.loads(Path("triage.yaml").read_text())
    spec["task"]["prompt"] = dict.fromkeys(spec["task"]["prompt"], "{{ text }}\nIn March, which team?\n")
    Path("triage.yaml").write_text(json.dumps(spec))
    stopped = in_ci()
    assert stopped.returncode == 1, stopped.stderr
    assert "failed" in Path("runner/harness-gate/gate.md").read_text()


@pytest.mark.parametrize("page", [README, GATE_PAGE], ids=lambda page: page.name)
def test_a_workflow_gives_the_action_what_it_takes(page: Path) -> None:
    """Every input is one of the action's, and none that it needs is missing."""
    inputs = YAML(typ="safe").load(ACTION)["inputs"]
    needed = {name for name, one in inputs.items() if one.get("required")}
    (step,) = steps(page)
    assert needed <= set(step["with"]) <= set(inputs)


def test_the_action_names_options_that_there_are(desk: Any) -> None:
    """A renamed flag would break every workflow."""
    known = set(re.findall(r"--[a-z-]+", desk.cli("gate", "--help").out))
    (call,) = re.findall(r"harness gate (.*?)> ", ACTION, re.DOTALL)
    flags = set(re.findall(r"--[a-z-]+", call)) | set(re.findall(r"more\+=\((--[a-z]+)", ACTION))
    assert flags <= known
    assert {"--junit", "--markdown", "--json", "--offline"} <= flags


def test_a_fork_finds_the_answers_that_the_main_branch_has_paid() -> None:
    """GitHub shows a pull request the caches of its base branch alone: the workflow runs there as well."""
    (block,) = (one for one in blocks(GATE_PAGE) if one.title.startswith(".github/"))
    asked = YAML(typ="safe").load(block.text)
    assert asked["on"] == {"pull_request": None, "push": {"branches": ["main"]}}
    listed = asked["jobs"]["gate"]["steps"]
    used = [one["uses"].partition("@")[0] for one in listed]
    read, ask, save = (
        used.index(name) for name in ("actions/cache/restore", "OWNER/harness", "actions/cache/save")
    )
    assert read < ask < save
    # Without this, what a failed gate paid for is thrown away.
    assert listed[save]["if"] == "always()"
    assert listed[save]["with"].items() <= listed[read]["with"].items()
