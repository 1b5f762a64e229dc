"""The documentation as a site: built without a warning, and looked at in a browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: a broken link or anchor, or a page in no menu, ends the build."""
    folder = tmp_path_factory.mktemp("site")
    # Not quietly: warnings that are not told are not counted.
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_ask_nobody_and_fit_a_phone(site: Path, visit: Callable[..., Any]) -> None:
    """No page sends a request anywhere, complains in the console, or is wider than a phone."""
    pages = [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
    assert len(pages) > 30
    seen = visit(site / "index.html", width=390)
    for page in pages:
        seen.page.goto(page.as_uri())
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390, page
    assert [one for one in seen.asked if not one.startswith(("file:", "data:", "blob:"))] == []
    assert seen.said == []


@pytest.mark.packages
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_barrier(site: Path, visit: Callable[..., Any], axe: Path, scheme: str) -> None:
    """A page of each kind: prose with code, and a long reference."""
    seen = visit(site / "tutorial" / "first-recommendation.html", color_scheme=scheme)
    for page in ("tutorial/first-recommendation.html", "reference/spec.html"):
        seen.page.goto((site / page).as_uri())
        seen.page.evaluate(axe.read_text(encoding="utf-8"))
        found = seen.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_the_search_finds_a_page_without_a_server(site: Path, visit: Callable[..., Any]) -> None:
    """Opened from a folder, too."""
    seen = visit(site / "index.html")
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("cheapest_within")
    seen.page.wait_for_selector(".md-search-result__item")
    assert "spec.html" in seen.page.inner_html(".md-search-result__list")
