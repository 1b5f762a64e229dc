"""A reader of a page: somebody who carries out its blocks, one after the other, in a folder of their own."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from ruamel.yaml import YAML
from traitlets.config import Config

from handbook.blocks import Block
from harness.errors import HarnessError
from harness.plan.planner import make_plan
from harness.plan.spec import Spec
from harness.run import evaluate, tune
from harness.scores.judges import build_judge
from harness.scores.scorer import Permission, build_scorer
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import Answered, FixedAnswers
from harness.testing.wire import Question, Refusal

ROOT = Path(__file__).resolve().parents[2]
TICKETS = (
    ("I was charged twice this month.", "billing"),
    ("The app crashes when I open the camera.", "bug"),
    ("How do I change my e-mail address?", "account"),
    ("The refund of {month} is smaller than the invoice.", "billing"),
    ("Since {month} the export button does nothing.", "bug"),
    ("Please close the second profile that I opened in {month}.", "account"),
    ("My card was charged in {month} although I had cancelled.", "billing"),
    ("The crash of {month} is back: the page stays white.", "bug"),
)
MONTHS = ("January", "February", "March", "April", "May", "June", "July")
ROWS = 50
SIGNS = {"billing": ("charged", "refund"), "bug": ("crash", "button"), "account": ("e-mail", "profile")}
SHELL = set("|><&$;`")
# Stands in for GitHub's command line: knows no comment, and takes one.
GH = '#!/bin/sh\ncase "$*" in *--jq*) ;; *) echo "$@" >> gh.log ;; esac\n'


class Agent:
    """Answers tickets by what they say, and now and then wrongly; everything else with one label."""

    def __init__(self) -> None:
        self._by_label = {label: FixedAnswers(label) for label in SIGNS}

    def models(self) -> tuple[str, ...]:
        """Any name will do."""
        return ()

    def answer(self, question: Question) -> Answered | Refusal:
        """The label whose signs stand in the last line of the prompt."""
        asked = str(question.messages[-1].content).splitlines()[-1].lower() if question.messages else ""
        right = next((label for label, signs in SIGNS.items() if any(one in asked for one in signs)), "bug")
        wrong = "march" in asked or ("april" in asked and "careful" not in asked)
        return self._by_label["account" if wrong else right].answer(question)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where a simulated provider listens."""
    with SimulatorServer(Agent()) as server:
        yield server.url


def tickets() -> list[tuple[str, str, str]]:
    """Fifty rows, of which the first ones are those that the pages show."""
    found = [
        (text.format(month=month), target)
        for place, month in enumerate(MONTHS)
        for text, target in TICKETS
        if place == 0 or "{month}" in text
    ]
    return [(f"t{number}", *row) for number, row in enumerate((found * 2)[:ROWS], 1)]


def here(spec: dict[str, Any], address: str, *, small: bool = False) -> dict[str, Any]:
    """The spec with every model at the simulated provider. small: and with less to ask."""
    text = json.dumps(spec).replace('"local/', '"openai/').replace("smollm2-135m-instruct", "gpt-4o-mini")
    moved = json.loads(text.replace("openai/minilm", "openai/EMBEDDING"))
    moved["providers"] = {"openai": {"api_base": f"{address}/v1"}}
    if small:
        moved["task"]["limit"] = 16
        moved["search"]["n_trials"] = 2
    return moved


@dataclass(slots=True)
class Reader:
    """Carries out blocks. names: what stands for what on the page. printed: all that commands said."""

    desk: Any
    patch: pytest.MonkeyPatch
    address: str
    names: Mapping[str, str] = field(default_factory=dict)
    space: dict[str, Any] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)
    background: list[subprocess.Popen[str]] = field(default_factory=list)

    def read(self, block: Block, excepted: Callable[[str], bool]) -> None:
        """Carry out one block. excepted: which commands are left out."""
        if block.title:
            self.keep(block, excepted)
        elif block.language == "sh":
            for line in commands(block.text):
                if not excepted(line):
                    self.run(self.named(line))
        elif block.language == "python":
            code = compile(self.named(block.text), f"the block in line {block.line}", "exec")
            with warnings.catch_warnings():
                warnings.simplefilter("default")  # as for a reader
                exec(code, self.space)
        elif block.language == "ipython":
            self.cell(block.text)
        elif block.language == "yaml":
            self.plan(block)
        elif block.language == "json":
            assert all(json.loads(line) for line in block.text.splitlines())
        else:
            self.expect(block.text)

    def cell(self, text: str) -> None:
        """In a notebook: lines, or a whole cell, that begin with the signs of magics."""
        shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        shell.user_ns.update(self.space)
        shell.run_cell(text).raise_error()

    def keep(self, block: Block, excepted: Callable[[str], bool]) -> None:
        """Write the file that a block is.

        A spec is planned as it stands, then asked at the simulator; the commands of a job are carried out.
        """
        path = Path(block.title)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            shown = list(csv.reader(block.text.splitlines()))
            assert [tuple(row) for row in shown[1:]] == tickets()[: len(shown) - 1]
            with path.open("w", newline="") as stream:
                csv.writer(stream).writerows([shown[0], *tickets()])
            return
        path.write_text(block.text, encoding="utf-8")
        if path.name == ".gitlab-ci.yml":
            (job,) = YAML(typ="safe").load(block.text).values()
            self.read(replace(block, language="sh", title="", text="\n".join(job["script"])), excepted)
        if path.suffix == ".yaml" and "\nsearch:" in block.text:
            make_plan(path)
            write_yaml(path, here(YAML(typ="safe").load(path), self.address))

    def run(self, line: str) -> None:
        """One command: in this process where it is one of harness and needs no shell."""
        if line.startswith("harness simulate"):
            self.background.append(started(line))
        elif (words := shlex.split(line, comments=True))[0] == "harness" and not SHELL & set("".join(words)):
            done = self.desk.cli(*words[1:])
            self.printed.append(done.out)
            assert done.code == 0, f"{line}\n{done.out}{done.err}"
        else:
            self.shell(line)

    def shell(self, line: str) -> None:
        """In a shell, whose folder and variables the next command finds."""
        state = self.desk.folder / "state"
        script = f"set -eo pipefail\n{line}\n{{ pwd; env -0; }} > {shlex.quote(str(state))}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        self.printed.append(done.stdout)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        folder, _, environ = state.read_text(encoding="utf-8").partition("\n")
        self.patch.chdir(folder)
        for name, value in (one.split("=", 1) for one in environ.split("\0") if "=" in one):
            if os.environ.get(name) != value and name not in {"_", "PWD", "OLDPWD", "SHLVL"}:
                self.patch.setenv(name, value)

    def plan(self, block: Block) -> None:
        """A part of a spec, put into whole ones: at least one of them can be planned with it."""
        part = YAML(typ="safe").load(self.named(block.text))
        part = {"task": {"scorers": part}} if isinstance(part, list) else part
        assert set(part) <= set(Spec.model_fields), f"line {block.line}: {sorted(part)}"
        if set(part) == {"task"} and set(part["task"]) == {"scorers"}:
            # No row suits all that a page lists: each is made, and judges nothing.
            for form in part["task"]["scorers"]:
                assert build_judge(form) or build_scorer(form, permission=Permission(allow_code=True))
            return
        faults = []
        for whole in (WORDS, VECTORS):
            try:
                make_plan(joined(whole, part), base=Path(), allow_code=True)
            except HarnessError as error:
                faults.append(str(error))
        assert len(faults) < 2, f"the block in line {block.line}:\n" + "\n".join(faults)

    def expect(self, text: str) -> None:
        """What a page shows as printed was printed; three dots stand for anything."""
        said = [" ".join(line.split()) for one in self.printed for line in one.splitlines()]
        for line in (" ".join(one.split()) for one in text.splitlines()):
            pattern = re.compile(".*".join(map(re.escape, line.split("..."))))
            assert any(pattern.fullmatch(one) for one in said), f"{line!r} is not in\n" + "\n".join(said)

    def named(self, text: str) -> str:
        """The text with the names of what is here."""
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text


def commands(text: str) -> list[str]:
    """The commands of a block; a line that ends with a backslash goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if shlex.split(line, comments=True)]


def started(line: str) -> subprocess.Popen[str]:
    """A program that serves until it is stopped; its first line says that it is ready."""
    words = shlex.split(line, comments=True)
    child = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().startswith("http://")
    return child


def write_yaml(path: Path, spec: Mapping[str, Any]) -> None:
    """JSON is YAML."""
    path.write_text(json.dumps(spec, indent=1), encoding="utf-8")


WORDS: dict[str, Any] = {
    "experiment": "words",
    "task": {
        "dataset": "rows.jsonl",
        "prompt": "Which?\n{{ text }}",
        "scorers": [{"choice": {"labels": ["positive", "negative"]}}],
        "metric": "accuracy",
    },
    "search": {"models": ["mine/tiny"], "n_trials": 4},
    "providers": {
        "mine": {"api_base": "http://127.0.0.1:9/v1", "free": True, "models": {"tiny": {"class": "SMALL"}}}
    },
    "budget": {"calls": 400},
    "failures": "count_as_wrong",
}
VECTORS: dict[str, Any] = {
    **WORDS,
    "task": {"kind": "retrieval", "dataset": "help-desk-queries", "corpus": "help-desk-articles"},
    "search": {"models": ["openai/EMBEDDING"], "n_trials": 4},
}


def joined(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with a part of another in it: keys of a block one by one, a task with data as a whole."""
    made = {**whole}
    for key, value in part.items():
        old = whole.get(key)
        keeps = isinstance(value, dict) and isinstance(old, dict) and "dataset" not in value
        made[key] = {**old, **value} if keeps else value
    return made


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, address: str) -> tuple[Path, Mapping[str, str]]:
    """A folder after some runs, and the names of these runs on the pages; only to be copied."""
    folder = tmp_path_factory.mktemp("workshop")
    for name in ("experiments", "datasets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("notebooks", ".*"))
    yaml = YAML(typ="safe")
    for path in (folder / "experiments").glob("*.yaml"):
        small = "search" in (spec := yaml.load(path)) and "task" in spec
        write_yaml(path, here(spec, address, small=True) if small else spec)
    write_yaml(folder / "experiments" / "tickets.yaml", ticket_spec(address))
    write_yaml(folder / "experiments" / "triage.yaml", ticket_spec(address))
    (folder / "tickets.csv").write_text(
        "id,text,target\n" + "".join(f"{id_},{text},{target}\n" for id_, text, target in tickets())
    )
    shutil.copytree(folder / "experiments" / "prompts", folder / "prompts")
    with (folder / "rows.jsonl").open("w") as stream:
        for id_, text, target in tickets():
            label = "positive" if target == "billing" else "negative"
            row = {"id": id_, "text": text, "target": label, "current_reply": "We are on it."}
            stream.write(json.dumps(row) + "\n")
    (folder / "characters").mkdir()
    write_yaml(folder / "characters" / "ada.character.json", {"name": "Ada", "settings": {"secrets": {}}})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OPENAI_API_KEY", "sk-none")
        facts = tune("experiments/embeddings.yaml", mlflow=False).run_id
        first, second = (
            evaluate(
                "experiments/tickets.yaml", {"model": "openai/SMALL", "prompt": prompt}, mlflow=False
            ).run_id
            for prompt in ("plain", "careful")
        )
        chat = tune("experiments/tickets.yaml", mlflow=False).run_id
    shutil.copytree(folder / "reports" / chat, folder / "reports" / "old")
    return folder, {
        "chat-run": chat,
        "facts-run": facts,
        "triage-eval-1": first,
        "triage-eval-2": second,
        "triage-20261120-101500-ab12": chat,
        '"budget": {"usd"': f'"providers": {{"openai": {{"api_base": "{address}/v1"}}}}, "budget": {{"usd"',
    }


def ticket_spec(address: str) -> dict[str, Any]:
    """A small search over tickets."""
    return {
        "experiment": "tickets",
        "task": {
            "dataset": "../tickets.csv",
            "prompt": {"plain": "Which team?\n{{ text }}", "careful": "Be careful. Which team?\n{{ text }}"},
            "scorers": [{"choice": {"labels": ["billing", "bug", "account"]}}],
            "metric": "accuracy",
            "limit": 24,
        },
        "search": {"models": ["openai/SMALL"], "temperature": {"low": 0.0, "high": 1.0}, "n_trials": 8},
        "providers": {"openai": {"api_base": f"{address}/v1"}},
        "budget": {"usd": 1.0},
        "failures": "count_as_wrong",
    }


@pytest.fixture
def newcomer(desk: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Somebody with a key and the programs of this environment, in a folder that has nothing of ours."""
    folder = desk.folder / "clone"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "gh").write_text(GH)
    (folder / "bin" / "gh").chmod(0o755)
    programs = (folder / "bin", Path(sys.executable).parent, os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, programs)))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/tickets")
    monkeypatch.setenv("NUMBER", "7")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    made = Reader(desk, monkeypatch, address)
    yield made
    for child in made.background:
        child.terminate()
        child.communicate()


@pytest.fixture
def reader(newcomer: Reader, workshop: tuple[Path, Mapping[str, str]]) -> Reader:
    """Somebody who has made runs before."""
    folder, newcomer.names = workshop
    shutil.copytree(folder, Path.cwd(), dirs_exist_ok=True)
    return newcomer
