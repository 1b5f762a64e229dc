"""The shipped data, prompts and specs: what their cards say is true, and everything they name is there."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from jinja2 import meta
from ruamel.yaml import YAML

from harness.errors import SpecError
from harness.plan.planner import make_plan

ROOT = Path(__file__).resolve().parent.parent
CARDS = sorted((ROOT / "datasets").glob("*.yaml"))
# Whether the solution of each row, and one that gives nothing, passes its tests.
CHECKED = """
import json, re, sys
def passes(code, tests):
    names = {}
    try:
        for text in (code, *tests):
            exec(text, names)
    except Exception:
        return False
    return True
print(json.dumps([
    [passes(row["metadata"]["solution"], row["target"]),
     passes("def " + re.search(r"`(\\w+)", row["text"])[1] + "(*_): pass", row["target"])]
    for row in json.load(sys.stdin)
]))
"""
SPECS = sorted((ROOT / "experiments").glob("*.yaml"))
NOTEBOOKS = sorted((ROOT / "experiments/notebooks").glob("*.ipynb"))
CARD_KEYS = {"file", "sha256", "columns", "source", "licence", "attribution", "description"}
TASK_KEYS = {
    "dataset",
    "prompt",
    "scorers",
    "metric",
    "repeats",
    "slices",
    "stratify",
    "limit",
    "output",
    "weight",
}


def read_yaml(path: Path) -> dict[str, Any]:
    """What a YAML file holds."""
    return YAML(typ="safe").load(path)


def tasks_of(spec_file: Path) -> dict[str, dict[str, Any]]:
    """The task of a spec, or each of its tasks, by the name of the spec and of the task."""
    spec = read_yaml(spec_file)
    named = {"": spec["task"]} if "task" in spec else spec["tasks"]
    return {f"{spec_file.stem} {name}".strip(): task for name, task in named.items()}


# Of texts: those of embedding models have neither scorers nor files of prompts.
TASKS = {name: task for path in SPECS for name, task in tasks_of(path).items() if "kind" not in task}
each_card = pytest.mark.parametrize("card_file", CARDS, ids=lambda path: path.stem)
each_spec = pytest.mark.parametrize("spec_file", SPECS, ids=lambda path: path.stem)
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
each_notebook = pytest.mark.parametrize("notebook_file", NOTEBOOKS, ids=lambda path: path.stem)


def rows_of(card_file: Path) -> list[dict[str, Any]]:
    """The rows that a card describes, in file order."""
    data = card_file.parent / read_yaml(card_file)["file"]
    return [json.loads(line) for line in data.read_bytes().splitlines()]


def card_of(task: Mapping[str, Any]) -> Path:
    """The card of the data set that a task names."""
    return ROOT / "datasets" / f"{task['dataset']}.yaml"


def prompts_of(task: Mapping[str, Any]) -> dict[str, Path]:
    """The prompt files that a task names, by variant."""
    named = task["prompt"] if isinstance(task["prompt"], Mapping) else {"prompt": task["prompt"]}
    return {name: ROOT / "experiments" / path for name, path in named.items()}


def labels_of(task: Mapping[str, Any]) -> Iterator[list[str]]:
    """The labels of each choice scorer of a task."""
    for scorer in task["scorers"]:
        if isinstance(scorer, Mapping) and "choice" in scorer:
            yield scorer["choice"]["labels"]


def test_the_shipped_content_is_found() -> None:
    """The checks below have something to check."""
    assert {path.stem for path in CARDS} >= {"reviews", "support-tickets", "simple", "general", "complex"}
    assert {path.stem for path in SPECS} >= {"quickstart", "support-triage", "simple", "general", "complex"}
    assert NOTEBOOKS


@each_card
def test_a_card_has_the_known_keys_and_tells_where_its_rows_come_from(card_file: Path) -> None:
    """A data set without source, licence or attribution is not shipped."""
    card = read_yaml(card_file)
    assert set(card) == CARD_KEYS
    assert all(card[key] for key in CARD_KEYS)


@each_card
def test_a_card_pins_the_bytes_of_its_file(card_file: Path) -> None:
    """The sha256 on the card is that of the file beside it."""
    card = read_yaml(card_file)
    assert hashlib.sha256((card_file.parent / card["file"]).read_bytes()).hexdigest() == card["sha256"]


@each_card
def test_every_row_has_the_columns_of_its_card(card_file: Path) -> None:
    """Id and inputs are texts with something in them, in every row, and so is what targets there are."""
    columns = read_yaml(card_file)["columns"]
    texts = {columns["id"], *columns["inputs"]}
    wanted = {*texts, *([columns["target"]] if "target" in columns else [])}
    for row in rows_of(card_file):
        assert wanted <= set(row) <= wanted | {"metadata", "group"}, row
        assert all(isinstance(row[name], str) and row[name].strip() for name in texts), row
        assert all(row[name] not in ("", None) for name in wanted), row


@each_card
def test_no_row_occurs_twice(card_file: Path) -> None:
    """Ids are unique, and so are inputs, whatever their case."""
    columns, rows = read_yaml(card_file)["columns"], rows_of(card_file)
    for names in ([columns["id"]], columns["inputs"]):
        counts = Counter(tuple(row[name].casefold() for name in names) for row in rows)
        assert [value for value, count in counts.items() if count > 1] == []


def test_the_reviews_are_balanced_by_source_and_label() -> None:
    """50 positive and 50 negative sentences of each source, none over 200 characters."""
    rows = rows_of(ROOT / "datasets/reviews.yaml")
    counts = Counter((row["metadata"]["source"], row["target"]) for row in rows)
    sources, labels = ("amazon", "imdb", "yelp"), ("positive", "negative")
    assert counts == {(source, label): 50 for source in sources for label in labels}
    assert max(len(row["text"]) for row in rows) <= 200


def test_the_support_tickets_are_balanced() -> None:
    """22 tickets of each label."""
    counts = Counter(row["target"] for row in rows_of(ROOT / "datasets/support-tickets.yaml"))
    assert counts == dict.fromkeys(("billing", "bug", "how-to", "account"), 22)


@pytest.mark.parametrize(
    ("name", "cycle", "columns"),
    [
        ("reviews", 6, ("metadata", "target")),
        ("support-tickets", 4, ("target",)),
        ("simple", 6, ("target",)),
        ("general", 7, ("metadata",)),
    ],
)
def test_the_first_rows_are_balanced_too(name: str, cycle: int, columns: tuple[str, ...]) -> None:
    """Every cycle of rows holds each kind once, so that a `limit` keeps the balance."""
    kinds = [
        json.dumps([row[column] for column in columns]) for row in rows_of(ROOT / f"datasets/{name}.yaml")
    ]
    cycles = [kinds[first : first + cycle] for first in range(0, len(kinds), cycle)]
    assert all(len(set(some)) == cycle for some in cycles)


def test_the_ready_task_sets_are_large_and_varied() -> None:
    """40 rows or more each; the targets of `complex` are numbers, and its programs print them."""
    for name in ("simple", "general", "complex"):
        assert len(rows_of(ROOT / f"datasets/{name}.yaml")) >= 40
    for row in rows_of(ROOT / "datasets/complex.yaml"):
        target = float(row["target"])
        if row["metadata"]["kind"] == "code":
            program = row["text"].partition("\n\n")[2]
            printed = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True
            )
            assert float(printed.stdout) == target, program


def test_the_functions_can_be_written_and_their_tests_tell() -> None:
    """The solution of each row passes its tests, and a function that does nothing does not."""
    rows = rows_of(ROOT / "datasets/functions.yaml")
    assert Counter(row["metadata"]["topic"] for row in rows) == dict.fromkeys(
        ("text", "numbers", "lists", "dates"), 4
    )
    assert all("solution" not in row["text"] for row in rows)
    checked = subprocess.run(
        [sys.executable, "-c", CHECKED], input=json.dumps(rows), capture_output=True, text=True, check=True
    )
    assert json.loads(checked.stdout) == [[True, False]] * 16


def test_code_is_run_only_with_permission() -> None:
    """The spec that has models write code plans with it, and says how to give it."""
    with pytest.raises(SpecError, match="--allow-code"):
        make_plan(ROOT / "experiments/code.yaml")
    plan = make_plan(ROOT / "experiments/code.yaml", allow_code=True)
    assert [len(part.rows.ids("all")) for part in plan.task.parts] == [16, 44]


def test_the_labelled_answers_are_half_good_and_none_is_among_the_tasks() -> None:
    """A judge is not measured with what it will judge."""
    lines = (ROOT / "datasets/general-labelled.jsonl").read_text(encoding="utf-8").splitlines()
    labelled = [json.loads(line) for line in lines]
    assert Counter(row["good"] for row in labelled) == {True: 20, False: 20}
    tasks = {row["text"] for row in rows_of(ROOT / "datasets/general.yaml")}
    assert not tasks & {row["text"] for row in labelled}


@pytest.mark.parametrize("name", ["simple", "general", "complex"])
def test_the_presets_are_fixed_trials_of_the_ready_task_sets(name: str) -> None:
    """Chat, analysis and enhanced stand in the space with their values, where a model takes them."""
    plan = make_plan(ROOT / f"experiments/{name}.yaml")
    assert list(plan.space.presets) == ["chat", "analysis", "enhanced"]
    tried = {(s.temperature, s.max_output_tokens, s.presence_penalty) for s in plan.space.fixed}
    largest = max(s.max_output_tokens or 0 for s in plan.space.fixed)
    assert {(0.7, 2048, 0.6), (0.2, 8192, 0.0)} <= tried
    assert (0.4, largest, 0.2) in tried


@pytest.mark.parametrize("folder", ["datasets", "experiments", "reports"])
def test_content_folders_hold_no_python(folder: str) -> None:
    """A module in one of these folders could shadow a package of the same name."""
    assert list((ROOT / folder).rglob("*.py")) == []


def test_the_folder_datasets_shadows_nothing() -> None:
    """`import datasets` still means the Hugging Face package."""
    found = importlib.util.find_spec("datasets")
    assert found is not None
    assert found.origin is not None
    assert "site-packages" in Path(found.origin).parts


@each_spec
def test_a_spec_offers_its_schema_to_editors(spec_file: Path) -> None:
    """The first line ties the file to the schema that completes and checks it."""
    first_line = spec_file.read_text(encoding="utf-8").splitlines()[0]
    assert first_line == "# yaml-language-server: $schema=experiment.schema.json"


@each_task
def test_a_task_names_things_that_exist(task: dict[str, Any]) -> None:
    """Data set and prompt files of a shipped spec are in their places, and its tasks have known keys."""
    assert set(task) <= TASK_KEYS
    assert card_of(task).is_file()
    assert [str(path) for path in prompts_of(task).values() if not path.is_file()] == []


@each_task
def test_the_labels_of_a_task_are_those_of_its_data(task: dict[str, Any]) -> None:
    """A label that no row has, or a row whose label the scorer does not know, would be scored in vain."""
    for labels in labels_of(task):
        targets = {row["target"] for row in rows_of(card_of(task))}
        assert set(labels) == targets
        assert len(labels) == len(targets)


@each_task
def test_the_prompts_of_a_task_ask_for_columns_that_its_data_has(task: dict[str, Any]) -> None:
    """Each template uses every input column of the data set and no other."""
    inputs = set(read_yaml(card_of(task))["columns"]["inputs"])
    for path in prompts_of(task).values():
        parsed = jinja2.Environment(autoescape=False).parse(path.read_text(encoding="utf-8"))
        assert meta.find_undeclared_variables(parsed) == inputs, path.name


@each_task
def test_the_variable_part_of_a_prompt_comes_last(task: dict[str, Any]) -> None:
    """All that is the same for every row comes first, so that providers can cache it."""
    for path in prompts_of(task).values():
        text = path.read_text(encoding="utf-8")
        assert text.count("{{") == 1, path.name
        assert text.rstrip().endswith("{{ text }}"), path.name


def test_no_prompt_lies_about_unused() -> None:
    """Every file in prompts/ belongs to a spec."""
    used = {path for task in TASKS.values() for path in prompts_of(task).values()}
    assert set((ROOT / "experiments/prompts").iterdir()) == used


@each_notebook
def test_a_notebook_is_valid_and_was_run_in_order(notebook_file: Path) -> None:
    """What it shows is what its cells give, from top to bottom, in a fresh kernel."""
    notebook = nbformat.read(notebook_file, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        compile(TransformerManager().transform_cell(cell.source), str(notebook_file), "exec")
