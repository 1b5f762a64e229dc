"""What a command does not need it does not load; see also tests/test_project.py for `import harness`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import harness

FOR_RUNS = {"litellm", "mlflow", "optuna", "datasets", "plotly", "pandas", "sqlalchemy", "dask"}
FOR_FIGURES = {"sklearn", "scipy"}
MODULES_AFTER = """
import json, sys
from harness.cli import main
try:
    main(sys.argv[2:])
except SystemExit as ended:
    assert not ended.code, ended.code
names = sorted({name.partition(".")[0] for name in sys.modules})
with open(sys.argv[1], "w") as file:
    json.dump(names, file)
"""


def modules_after(folder: Path, *arguments: str) -> set[str]:
    """The top-level modules that a command has loaded in a fresh interpreter."""
    report = folder / "modules.json"
    program = [sys.executable, "-c", MODULES_AFTER, str(report), *arguments]
    done = subprocess.run(program, capture_output=True, text=True, cwd=folder, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(report.read_text()))


def test_validate_loads_no_library_of_runs(desk: Any) -> None:
    """A spec is checked without what runs and figures need."""
    assert modules_after(desk.folder, "validate", "words.yaml") & (FOR_RUNS | FOR_FIGURES) == set()


def test_plan_loads_no_library_of_runs(desk: Any) -> None:
    """A plan is made without what runs and figures need."""
    assert modules_after(desk.folder, "plan", "words.yaml") & (FOR_RUNS | FOR_FIGURES) == set()


def test_help_of_a_verb_loads_as_little_as_help(desk: Any) -> None:
    """Help is there at once, also that of `tune`."""
    heavy = FOR_RUNS | FOR_FIGURES | {"numpy", "pydantic", "aiohttp", "rich", "ruamel"}
    assert modules_after(desk.folder, "tune", "--help") & heavy == set()


def test_listing_runs_loads_the_database_alone(desk: Any, finished: str) -> None:
    """`list` reads the store, and needs neither Optuna nor MLflow nor a data frame for it."""
    assert modules_after(desk.folder, "list") & (FOR_RUNS - {"sqlalchemy"} | FOR_FIGURES) == set()


def test_a_checkup_loads_the_database_alone(desk: Any) -> None:
    """`doctor` reads versions from metadata: litellm takes seconds to load, only to be asked its number."""
    desk.spec(("    models:\n", "    free: true\n    models:\n"))
    loaded = modules_after(desk.folder, "doctor", "words.yaml")
    assert loaded & ((FOR_RUNS - {"sqlalchemy"}) | FOR_FIGURES | {"aiohttp"}) == set()


def test_a_run_from_the_store_loads_no_provider(desk: Any, answers: Any) -> None:
    """Where every answer is in the store, nothing loads that would ask a provider."""
    desk.spec(api_base=answers.url)
    assert desk.cli("tune", "words.yaml", "-q").code == 0
    loaded = modules_after(desk.folder, "tune", "words.yaml", "-q")
    assert loaded & {"litellm", "aiohttp", "mlflow", "datasets", "dask"} == set()
    assert "optuna" in loaded


def test_public_names_are_listed_in_order() -> None:
    """`__all__` is sorted, and each of its names can be had."""
    assert list(harness.__all__) == sorted(harness.__all__)
    assert [name for name in harness.__all__ if getattr(harness, name, None) is None] == []


def test_no_public_name_is_left_out() -> None:
    """What loads on first use, what type checkers see and `__all__` are the same names."""
    tree = ast.parse(Path(harness.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name for node in block.body for alias in node.names}
    assert set(harness.__all__) == set(harness._HOMES) == typed
    assert set(dir(harness)) == {*harness.__all__, "__version__"}


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    assert not hasattr(harness, "tuen")
