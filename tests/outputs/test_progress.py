"""How far a run is, as a notebook shows it: one line in one place."""

from __future__ import annotations

import pytest

from harness.findings import Progress, Spend
from harness.outputs.progress import SHOWN_S, NotebookProgress, line
from harness.testing.fake_clock import FakeClock


class Cell:
    """The output of a cell: what it shows now, and how often that was replaced."""

    def __init__(self) -> None:
        self.html = self.text = ""
        self.times = 0

    def __call__(self, html: str, text: str) -> None:
        self.html, self.text = html, text
        self.times += 1


def snapshot(make, done, **fields):
    """A snapshot after this many calls."""
    given = {
        "run": "r1",
        "phase": "search",
        "trials": make.record().trials,
        "done": done,
        "planned": 100,
        "spend": Spend(usd=0.5, cap_usd=5.0),
        "elapsed_s": 3.0,
    }
    return Progress(**(given | fields))


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until it is told otherwise."""
    return FakeClock()


def test_the_line_tells_answers_quality_and_money(make):
    """Answers of how many, the best quality with its interval, and the money against the cap."""
    assert line(snapshot(make, 10, note="resumed")) == (
        "Searching: 10 of at most 100 answers, 4 trials, best 0.87 [0.82, 0.91], n=196 (trial 2), "
        "$0.50 of $5.00 spent, 3.00 s. resumed"
    )


def test_judges_that_are_measured_have_verdicts_and_no_trial(make):
    """There is nothing else yet."""
    told = line(snapshot(make, 20, planned=40, phase="judges", trials=()))
    assert told == "Measuring judges: 20 of at most 40 verdicts, $0.50 of $5.00 spent, 3.00 s"


def test_an_evaluation_shows_its_quality(make):
    """There is one set of settings: neither a number of trials nor a best one."""
    told = line(snapshot(make, 40, phase="eval", trials=(make.trial(0),), spend=Spend(usd=0.5, cached=12)))
    assert told.startswith(
        "Measuring: 40 of at most 100 answers, 0.84 [0.76, 0.90], n=84, $0.50 spent, 12 answers"
    )
    assert "trial" not in told


def test_what_comes_too_fast_is_left_out_and_the_last_is_kept(make, clock):
    """A run from the store must not flood the browser, and its end must be seen."""
    cell = Cell()
    shown = NotebookProgress(show=cell, clock=clock)
    for done in (1, 2, 3):
        shown(snapshot(make, done))
    assert (cell.times, cell.text[:15]) == (1, "Searching: 1 of")
    clock.advance(SHOWN_S)
    shown(snapshot(make, 4))
    shown(snapshot(make, 5))
    assert (cell.times, cell.text[:15]) == (2, "Searching: 4 of")
    shown.close()
    shown.close()
    assert (cell.times, cell.text[:15]) == (3, "Searching: 5 of")


def test_the_html_says_the_same_and_holds_no_markup_from_outside(make):
    """A note may repeat what a provider said."""
    cell = Cell()
    NotebookProgress(show=cell)(snapshot(make, 50, note="<script>alert(1)</script>"))
    assert "width:50.0%" in cell.html
    assert "50 of at most 100 answers" in cell.html
    assert "<script" not in cell.html


def test_a_run_that_ends_before_its_first_snapshot_shows_nothing():
    """Closing is harmless."""
    cell = Cell()
    NotebookProgress(show=cell).close()
    assert cell.times == 0
