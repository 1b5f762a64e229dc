"""Promises of the reference page of scorers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from harness.scores.metrics import METRICS
from harness.scores.reference import INTRODUCTION, scorers_page
from harness.scores.scorer import BUILT_IN, Permission, build_scorer

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "scorers.md"
WRITE = "from harness.scores.reference import scorers_page; print(scorers_page(), end='')"


def test_the_page_is_what_the_code_says():
    """Whoever changes a scorer writes its page anew, with the command in the message."""
    assert PAGE.read_text(encoding="utf-8") == scorers_page(), f'python -c "{WRITE}" > {PAGE}'


def test_every_scorer_tells_its_range_or_values():
    """The first sentence of each says what comes out, and each has arguments, a version and a section."""
    page = scorers_page()
    for scorer in BUILT_IN:
        section = page.split(f"\n### {scorer.name}\n")[1].split("\n### ")[0]
        assert re.search(r"\b[01]\b|score|mean", section.strip().splitlines()[0])
        assert f"Version {scorer.version}." in section
        assert "| `name` | text |" in section
    assert all(f"| `{name}` |" in page for name in METRICS)


def test_the_example_of_an_own_scorer_runs(answer, monkeypatch):
    """As it stands on the page."""
    (code,) = re.findall(r"```python\n(.*?)```", INTRODUCTION, re.DOTALL)
    module = type(sys)("my_team_of_the_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "page", "exec"), vars(module))
    allowed = Permission(allow_code=True)
    polite = build_scorer({"my_team_of_the_page:Politeness": ["bitte"]}, permission=allowed)
    assert [polite.score(answer(text)).value for text in ("Bitte sehr", "No")] == [1, 0]
    assert build_scorer("my_team_of_the_page:short", permission=allowed).score(answer("x")).value == 1
