"""Promises of the reference page of scorers."""

from __future__ import annotations

import re

from harness.scores.judges import JUDGES
from harness.scores.metrics import METRICS
from harness.scores.reference import scorers_page
from harness.scores.scorer import BUILT_IN


def test_every_scorer_tells_its_range_or_values():
    """The first sentence of each says what comes out, and each has arguments, a version and a section."""
    page = scorers_page()
    for scorer in (*BUILT_IN, *JUDGES.values()):
        section = page.split(f"\n### {scorer.name}\n")[1].split("\n### ")[0]
        assert re.search(r"\b[01]\b|score|mean|criterion", section.strip().splitlines()[0])
        assert f"Version {scorer.version}." in section
        assert "| `name` | text |" in section
    assert all(f"| `{name}` |" in page for name in METRICS)
