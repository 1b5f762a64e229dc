"""Promises of the project as a whole: its lock, its dependencies, its weight at start, its errors."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from harness import errors

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "aiohttp",
    "datasets",
    "litellm",
    "mlflow",
    "numpy",
    "optuna",
    "pandas",
    "plotly",
    "pyarrow",
    "pydantic",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "torch",
    "xllamacpp",
}
TREE_LINE = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>\w+Error)\s+(?P<code>exit code|\d)", re.MULTILINE)


def project() -> dict[str, Any]:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    """The names of distributions in requirements, normalised."""
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def normal(name: str) -> str:
    """A distribution's name as the package index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: Path) -> set[str]:
    """The top-level modules that a folder's Python files import, but for our own and the standard ones."""
    found = {name.partition(".")[0] for path in folder.rglob("*.py") for name in imports_of(path)}
    return found - set(sys.stdlib_module_names) - {"harness", "__future__"}


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


@cache
def installed() -> Mapping[str, list[str]]:
    """The distributions that bring each module; reading them all takes a second."""
    return packages_distributions()


def distributions_of(module: str) -> set[str]:
    """The distributions that bring a module, normalised."""
    return {normal(name) for name in installed().get(module, [])}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running this code."""
    report = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_lock_names_no_address() -> None:
    """The lock works against any package index, because it names none."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text


def test_every_locked_version_has_a_hash() -> None:
    """Nothing is installed that was not seen when the lock was made."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8").strip())
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_covers_every_dependency() -> None:
    """What pyproject.toml asks for, with all extras, is in the lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {normal(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    extras = project()["optional-dependencies"].values()
    asked = names([*project()["dependencies"], *(one for extra in extras for one in extra)])
    assert asked - locked == set()


def test_no_folder_of_ours_hides_hugging_face_datasets() -> None:
    """datasets/ holds data: a Python file in it would shadow the package of that name."""
    assert list((ROOT / "datasets").rglob("*.py")) == []


def test_what_is_imported_is_declared() -> None:
    """Each library that harness/ imports is a dependency or an extra of its own, not somebody else's."""
    extras = project()["optional-dependencies"]
    declared = names([*project()["dependencies"], *extras["local"], *extras["notebook"]])
    # The contract classes of harness.testing run under the pytest of whoever subclasses them.
    foreign = imported(ROOT / "harness") - {"pytest"}
    assert {module for module in foreign if not distributions_of(module) & declared} == set()


def test_what_is_declared_is_imported() -> None:
    """Each dependency is imported somewhere in harness/."""
    used = {name for module in imported(ROOT / "harness") for name in distributions_of(module)}
    assert names(project()["dependencies"]) - used == set()


def test_importing_the_package_loads_no_heavy_library() -> None:
    """`import harness` costs next to nothing."""
    assert modules_after("import harness") & HEAVY == set()


def test_help_loads_no_heavy_library() -> None:
    """`harness --help` answers at once."""
    code = (
        "import sys\n"
        "sys.argv = ['harness', '--help']\n"
        "from harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert modules_after(code) & HEAVY == set()


def drawn_errors() -> dict[str, tuple[str | None, int | None]]:
    """The tree in the docstring of harness.errors: name to parent and exit code."""
    found: dict[str, tuple[str | None, int | None]] = {}
    above: list[tuple[int, str]] = []
    for match in TREE_LINE.finditer(errors.__doc__):
        depth = len(match["branch"])
        above = [(column, name) for column, name in above if column < depth]
        code = int(match["code"]) if match["code"].isdigit() else None
        found[match["name"]] = (above[-1][1] if above else None, code)
        above.append((depth, match["name"]))
    return found


def public_errors() -> dict[str, type[errors.HarnessError]]:
    """The exception classes of harness.errors that people may catch."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.HarnessError) and not name.startswith("_")
    }


def test_every_error_is_in_the_tree() -> None:
    """The tree in the docstring draws each error class, and nothing else."""
    assert drawn_errors().keys() == public_errors().keys()


@pytest.mark.parametrize("name", sorted(public_errors()))
def test_the_tree_tells_parent_and_exit_code(name: str) -> None:
    """What the tree says of an error is so."""
    parent, code = drawn_errors()[name]
    error = public_errors()[name]
    bases = [base.__name__ for base in error.__mro__[1:] if base.__name__ in public_errors()]
    assert (bases[0] if bases else None) == parent
    assert code is None or error.exit_code == code
