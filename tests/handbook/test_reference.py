"""Promises of the generated pages: they say what the code says today."""

from __future__ import annotations

import click
import pytest

from handbook.commands_page import commands_page
from handbook.pages import PAGES, REFERENCE
from handbook.spec_page import spec_page
from handbook.surroundings_page import CODES
from harness import errors
from harness.cli import cli
from harness.errors import HarnessError


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_what_the_code_says(name: str) -> None:
    """Whoever changes a key, an option, a scorer or an export writes its page anew."""
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run: make reference"


def test_every_command_has_its_section_and_every_option_its_line() -> None:
    """None is left out, those of groups included."""
    page = commands_page()

    def told(command: click.Command, path: str) -> None:
        for inside in getattr(command, "commands", {}).values():
            told(inside, f"{path} {inside.name}")
        if not isinstance(command, click.Group):
            section = page.split(f"## {path}\n")[1].split("\n## ")[0]
            options = [one for one in command.params if isinstance(one, click.Option)]
            assert all(one.opts[-1] in section for one in options)
            assert all(one.help for one in options), f"{path} has an option without help"

    told(cli, "harness")


def test_every_key_of_a_spec_has_a_meaning() -> None:
    """No cell of the last column is empty."""
    rows = [line for line in spec_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 120
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_exit_code_of_an_error_is_told() -> None:
    """The table of codes covers what errors end with."""
    known = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, HarnessError)
    }
    assert {str(code) for code in known} <= {code for code, _ in CODES}
