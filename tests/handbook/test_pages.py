"""The code on every page is carried out, in the order of the page, in one folder a page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from handbook.blocks import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# What is not carried out, and why. A command stands for all that begin like it.
COMMANDS: Mapping[str, str] = {
    "make quickstart": "fetches weights and takes minutes; a notebook's test runs the same spec",
    "make test": "these tests",
    "make install": "what the tests run in",
    "python -m pip install": "fetches packages",
    "pip install": "fetches packages",
    "optuna-dashboard": "a server of Optuna's, not installed here; a test of the mirror reads the file",
    "mlflow ui": "a server of MLflow's, which waits for a browser",
    "export HARNESS_STORE=postgresql": "a server that is not there; tests/store runs on a real one",
    "harness models pull": "fetches weights; tests/calls/test_weights.py does it from a server of its own",
}
# Printed by what no block does.
PRINTED: Mapping[str, str] = {
    "how-to/embeddings.md": "two runs of two real models",
    "how-to/models.md": "a spec with a fault, in tests/plan/test_conditions.py",
}


def pages() -> list[str]:
    """All pages with code, but for the README, which has a test of its own."""
    return sorted(
        str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "```" in path.read_text("utf-8")
    )


def is_excepted(line: str) -> bool:
    """Whether a command is one of those that are not carried out; a target of make has to be there."""
    if line.startswith("make "):
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(shlex.split(line, comments=True)[1:]) <= set(targets), line
    return line.startswith(tuple(COMMANDS))


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_runs(page: str, reader: Any) -> None:
    """Commands end well, Python raises nothing, parts of specs can be planned, what is shown was printed."""
    for block in blocks(DOCS / page):
        if not is_printed(page, block):
            reader.read(block, is_excepted)


def is_printed(page: str, block: Block) -> bool:
    """Whether a block shows what something else than the page printed."""
    return block.language in {"", "text"} and (page in PRINTED or page.startswith("reference/"))


def test_every_exception_is_needed() -> None:
    """One whose command is on no page any more is taken out."""
    code = "\n".join(block.text for page in ("../README.md", *pages()) for block in blocks(DOCS / page))
    assert [line for line in COMMANDS if f"\n{line}" not in f"\n{code}"] == []


def test_nobody_is_told_to_install_a_stranger() -> None:
    """On the public index the name of our distribution is another project's."""
    told = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *DOCS.rglob("*.md"),
        *ROOT.glob("experiments/**/*.ipynb"),
    ]
    told += ROOT.glob("harness/**/*.py")
    installs = re.compile(r"pip install [^\n`]*llm-harness")
    found = {str(path) for path in told if installs.search(path.read_text("utf-8"))}
    assert found - {str(DOCS / "decisions.md")} == set()
