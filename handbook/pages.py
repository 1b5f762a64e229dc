"""The pages that are generated, by their names in docs/reference/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from handbook.commands_page import commands_page
from handbook.exports_page import exports_page
from handbook.python_page import python_page
from handbook.spec_page import spec_page
from handbook.surroundings_page import surroundings_page
from harness.scores.reference import scorers_page

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "commands.md": commands_page,
        "exports.md": exports_page,
        "python.md": python_page,
        "scorers.md": scorers_page,
        "spec.md": spec_page,
        "surroundings.md": surroundings_page,
    }
)
