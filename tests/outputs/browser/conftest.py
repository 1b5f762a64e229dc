"""Pages of reports in a headless Chromium that watches what they do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.outputs.exports.selection import selection_of
from harness.outputs.report import write_report
from harness.testing.finished import a_finished_run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROMPT = "Which label fits? Answer with one word.\n{{ text }}\n"


@dataclass(slots=True)
class Visit:
    """One page that is open, and what it did. said: errors and warnings of its console; asked: requests."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """The visible text of the first match, in one line."""
        return " ".join(self.page.inner_text(selector).split())

    def column(self, table: str, column: int) -> list[str]:
        """What a column of a table shows, top to bottom, without hidden rows."""
        rows = self.page.locator(f"{table} tbody tr:visible")
        return [rows.nth(n).locator("th, td").nth(column).inner_text() for n in range(rows.count())]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser for the tests of a file: as long as it is open, no other test can run an event loop."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no Chromium is installed here (looked for {', '.join(NAMES)})")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        # Chromium refuses to be sandboxed for root, who runs the tests in containers.
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=alone)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a file; options are those of a context of playwright, such as `color_scheme`."""
    contexts: list[Any] = []

    def go(path: Path, *, width: int = 1280, address: str = "", **options: Any) -> Visit:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        made = Visit(page)
        page.on("console", lambda told: made.said.append(f"{told.type}: {told.text}"))
        page.on("pageerror", lambda error: made.said.append(f"error: {error}"))
        page.on("request", lambda request: made.asked.append(request.url))
        page.goto(path.as_uri() + address)
        return made

    yield go
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def axe(install_npm: Callable[..., Path]) -> Path:
    """The script of axe-core."""
    return install_npm("axe", ("axe-core@4.10.2",)) / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def write_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the report of a run that was made up, with all that keywords say; gives its page."""

    def write(**given: Any) -> Path:
        folder = tmp_path_factory.mktemp("report")
        run = a_finished_run(**given)
        choice = run.record.recommendation
        assert choice is not None
        write_report(run.record, run.rows(), folder, selection_of([choice], prompt_text=PROMPT))
        return folder / "report.html"

    return write


@pytest.fixture(scope="session")
def written(write_page: Callable[..., Path]) -> Path:
    """The page of a search with every part of a report; look, but do not touch."""
    return write_page()
