"""docs/ci.md as a cold reader takes it: its files and commands, copied as they stand into an empty folder."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML

from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<mark>[^\n]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TICKETS = (
    ("I was charged twice in {month}.", "billing"),
    ("The refund of {month} is smaller than the invoice.", "billing"),
    ("The app crashes when I open the camera, since {month}.", "bug"),
    ("Since {month} the export button does nothing.", "bug"),
    ("Please change the e-mail address that I gave in {month}.", "account"),
)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


def files() -> dict[str, str]:
    """The files of the page, by their names."""
    marked = {match["mark"] or "": match["text"] for match in BLOCK.finditer(PAGE)}
    return {mark.removeprefix("file="): text for mark, text in marked.items() if mark.startswith("file=")}


def commands() -> list[list[str]]:
    """The commands of the page that are marked to be run, in order."""
    return [shlex.split(match["text"]) for match in BLOCK.finditer(PAGE) if match["mark"] == "run"]


@pytest.fixture
def reader(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with a table of 50 rows and the page's spec, at a provider that answers on this machine."""
    for name in ("words.yaml", "words.jsonl"):
        (desk.folder / name).unlink()
    rows = [(text.format(month=month), target) for month in MONTHS for text, target in TICKETS]
    with (desk.folder / "tickets.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("id", "text", "target"))
        table.writerows((f"t{number}", *row) for number, row in enumerate(rows, 1))
    with SimulatorServer(FixedAnswers("billing")) as server:
        # All that differs from the page: where openai is, and a floor that one word for everything keeps.
        spec = files()["experiments/triage.yaml"].replace("accuracy >= 0.5 ", "accuracy >= 0.2 ")
        address = f'providers: {{openai: {{api_base: "{server.url}/v1"}}}}\n'
        desk.write("experiments/triage.yaml", spec + address)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield desk


def test_from_a_table_to_a_gate_in_the_documented_steps(reader: Any) -> None:
    """Validate, baseline, what the data can tell, gate: each command ends with 0, and the last one passes."""
    done = [reader.program(*command) for command in commands()]
    assert [one.code for one in done] == [0, 0, 0, 0], [one.err for one in done]
    assert len(commands()) == 4
    assert "50 rows" not in done[0].out
    assert "Wrote the baseline" in done[1].out
    assert done[2].out.startswith(
        "Power        accuracy: with 50 samples and a tolerance of 5 points, a drop of "
    )
    assert "triage: passed" in done[3].out
    held = json.loads((reader.folder / "reports/baselines/triage.json").read_text())
    assert len(held["scores"]) == 50
    assert ET.parse(reader.folder / "reports/gate.xml").getroot().get("tests") == "3"


def test_the_pages_spec_is_sound_as_it_stands(reader: Any) -> None:
    """Word for word, with the provider it names."""
    reader.write("experiments/triage.yaml", files()["experiments/triage.yaml"])
    checked = reader.cli("validate", "experiments/triage.yaml")
    assert (checked.code, checked.err) == (0, "")


def test_a_changed_prompt_is_gated(reader: Any) -> None:
    """What the gate is for: other answers, held against the baseline."""
    assert all(reader.program(*command).code == 0 for command in commands())
    path = reader.folder / "experiments/triage.yaml"
    path.write_text(path.read_text().replace("Answer with one word.", "Answer briefly."))
    again = reader.program(*commands()[3])
    assert again.code in {0, 4}
    assert "accuracy went from" in again.out


@pytest.mark.parametrize("name", [".github/workflows/gate.yml", ".gitlab-ci.yml"])
def test_workflows_are_yaml_and_name_options_that_there_are(name: str, desk: Any) -> None:
    """Their commands are the page's, and every input is one of the action."""
    held = YAML(typ="safe").load(files()[name])
    known = desk.cli("gate", "--help").out
    assert set(re.findall(r"--[a-z-]+", files()[name])) <= set(re.findall(r"--[a-z-]+", known))
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps = held["jobs"]["gate"]["steps"] if "jobs" in held else []
    given = [step["with"] for step in steps if step.get("uses", "").startswith("OWNER/harness")]
    assert all(set(one) <= set(action["inputs"]) for one in given)
    assert bool(given) == ("jobs" in held)


def test_the_action_names_options_that_there_are(desk: Any) -> None:
    """A renamed flag would break every workflow."""
    known = set(re.findall(r"--[a-z-]+", desk.cli("gate", "--help").out))
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    (call,) = re.findall(r"harness gate (.*?)> ", action, re.DOTALL)
    flags = set(re.findall(r"--[a-z-]+", call)) | set(re.findall(r"more\+=\((--[a-z]+)", action))
    assert flags <= known
    assert {"--junit", "--markdown", "--json", "--offline"} <= flags
