"""The table of the guide's rows: none is missing, and what each of them names exists."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest

from harness.cli import cli

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "seed-rows.md"
ROWS = [
    *(
        f"{letter}{n + 1}"
        for letter, last in zip("PSCGB", (9, 6, 4, 5, 12), strict=True)
        for n in range(last)
    ),
    *("I1", "I2", "A1", "A2", "A3"),
]


@dataclass(frozen=True)
class Row:
    """One row. shown_by: tests as `file::name`, and commands, as they are written."""

    name: str
    shown_by: tuple[str, ...]


def rows() -> list[Row]:
    """The rows of all tables of the page, in order."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\| ([A-Z]\d+) \| .+ \| .+ \| (.+) \|$", text, re.MULTILINE)
    return [Row(name, tuple(re.findall(r"`([^`]+)`", shown))) for name, shown in found]


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the tests of a file; none when there is no such file."""
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_every_row_of_the_guide_is_there_once():
    """In the guide's order."""
    assert [row.name for row in rows()] == ROWS


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_a_row_is_shown_by_tests_that_exist(row):
    """At least one."""
    tests = [one for one in row.shown_by if not one.startswith("harness ")]
    assert tests
    for one in tests:
        file, _, name = one.partition("::")
        assert name in names_in(file), one


COMMANDS = sorted({one for row in rows() for one in row.shown_by if one.startswith("harness ")})


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_exists_with_its_options_and_files(line):
    """Verbs and options are those of the command line, and a spec that is named is there."""
    command: click.Command = cli
    for word in shlex.split(line)[1:]:
        if word.isupper():
            continue  # stands for a value
        if isinstance(command, click.Group) and not word.startswith("-"):
            assert word in command.commands, f"{line}: {word} is no command"
            command = command.commands[word]
        elif word.startswith("-"):
            known = [name for one in command.params for name in one.opts]
            assert word in known, f"{line}: {word} is no option"
        elif "/" in word:
            assert (ROOT / word).is_file(), f"{line}: {word} is no file"
