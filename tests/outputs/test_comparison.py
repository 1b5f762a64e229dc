"""A comparison in words: the same figures as text, Markdown, card and JSON; nothing in them executes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.advice.compare import Question, compare
from harness.outputs import comparison, pages
from harness.testing.builders import a_settings
from harness.testing.sheets import a_sheet, a_side

HOSTILE = "<script>alert(1)</script>|`[x](http://evil.example)`"


def compared(lost=20, n=200, **fields):
    """A comparison in which the new settings lose so many of the samples."""
    column = tuple(float(place >= 10) for place in range(n))
    fewer = tuple(float(place >= 10 + lost) for place in range(n))
    base = a_side(a_sheet(scores={"accuracy": column}, **fields), name="before")
    new = a_sheet(scores={"accuracy": fewer}, **fields)
    hotter = replace(new, settings=replace(new.settings, temperature=0.9), usd=(0.00002,) * n)
    figures = {"usd_per_1k_calls": 0.02, "latency_p50_s": 0.6, "failure_rate": 0.01}
    return compare(base, a_side(hotter, name="after", figures=figures), Question())


def test_text_tells_verdict_figures_and_flips():
    """What a terminal shows."""
    lines = comparison.text(compared()).splitlines()
    assert lines[0].startswith("Worse. accuracy went from 0.950 to 0.850 (-10.0 points)")
    assert lines[1].startswith("  base: before (sim/small, prompt plain, temperature 0.3")
    assert any(line.startswith("  accuracy: 0.950 to 0.850, -10.0 points [") for line in lines)
    assert "  price per 1,000 calls: $0.014 to $0.02" in "\n".join(lines)
    assert "  failed calls: 0% to 1%" in lines
    assert "20 samples dropped and 0 gained in accuracy" in lines
    assert "  s10: 1 to 0" in lines


def test_many_flips_are_cut_for_people():
    """Half of what is shown are drops, half gains, when there are many of both; JSON has all."""
    base = tuple(float(place % 2) for place in range(100))
    sides = [
        a_side(a_sheet(scores={"accuracy": scores}), name=name)
        for name, scores in (("a", base), ("b", tuple(1 - score for score in base)))
    ]
    found = compare(*sides, Question())
    shown = comparison.shown_flips(found)
    assert (len(found.flips), len(shown)) == (100, comparison.MOST_FLIPS)
    assert sum(flip.new < flip.base for flip in shown) == comparison.MOST_FLIPS // 2
    assert "20 of them here" in comparison.text(found)
    assert len(json.loads(comparison.json_text(found))["flips"]) == 100


def test_markdown_is_a_table_that_renders():
    """Every row has as many cells as the head, with a blank line before each table."""
    text = comparison.markdown(
        compared(slices={"language": tuple("de" if n % 2 else "en" for n in range(200))})
    )
    tables = [block.splitlines() for block in text.split("\n\n") if block.lstrip().startswith("|")]
    assert len(tables) == 4
    for table in tables:
        assert len({row.replace("\\|", "").count("|") for row in table}) == 1
        assert set(table[1]) <= set("|- ")


@pytest.mark.parametrize("write", [comparison.markdown, comparison.card])
def test_names_from_outside_are_text(write):
    """Ids of samples, slices and runs are somebody's data."""
    found = compared(slices={HOSTILE: tuple(HOSTILE if n % 2 else "en" for n in range(200))})
    flips = tuple(replace(flip, sample_id=HOSTILE) for flip in found.flips)
    page = write(replace(found, flips=flips, notes=(HOSTILE,), base=replace(found.base, name=HOSTILE)))
    assert "<script" not in page
    assert write is comparison.card or "[x](" not in page


def test_card_is_small_and_names_no_resource():
    """A notebook keeps every output for ever."""
    page = comparison.card(compared(lost=150, n=2000))
    assert len(page.encode()) < 100_000
    assert "src=" not in page


def test_a_comparison_without_single_prices_shows_the_figures():
    """As that with a baseline file."""
    found = replace(compared(), price=None, latency=None)
    assert "  latency p50: 0.50 s to 0.60 s" in comparison.text(found).splitlines()


def a_pair(new_settings, digest):
    """Two sides whose prompts are texts of these digests."""
    base = a_sheet()
    new = replace(base, settings=new_settings, basis=replace(base.basis, prompt=digest * 64))
    return compare(a_side(base, name="before"), a_side(new, name="after"), Question())


@pytest.mark.parametrize(
    ("changes", "digest", "told"),
    [
        ({}, "e", "nothing in settings and prompt"),
        ({}, "a", "the text of prompt plain (eeeeeee to aaaaaaa)"),
        ({"prompt": "careful"}, "a", "prompt plain to careful"),
        (
            {"temperature": 0.7, "extra": {"min_p": 0.05}},
            "a",
            "temperature 0.3 to 0.7; min_p not set to 0.05; the text of prompt plain (eeeeeee to aaaaaaa)",
        ),
    ],
)
def test_what_is_asked_otherwise_is_told(changes, digest, told):
    """A prompt that kept its name and not its words too: in text, Markdown and card."""
    found = a_pair(a_settings(**changes), digest)
    assert f"Changed: {told}" in comparison.text(found).splitlines()
    assert f"Changed: {pages.markdown(told)}" in comparison.markdown(found).splitlines()
    assert f"Changed: {told}<" in comparison.card(found)
    assert json.loads(comparison.json_text(found))["new"]["prompt_sha256"] == digest * 64
