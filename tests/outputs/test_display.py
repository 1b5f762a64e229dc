"""Cards, plain text and the progress bar."""

from __future__ import annotations

import io

from harness.findings import Progress, Spend
from harness.outputs import display

HOSTILE = "<script>alert(1)</script>"


def progress(make, done, **fields):
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


def test_card_shows_verdict_settings_and_best_trials(make):
    """The card answers what to ship, how good it is, and what else was tried."""
    html = display.card(make.record())
    assert "Ship openai/gpt-4.1-mini" in html
    assert "7 ★" not in html
    assert "2 ★" in html
    assert "0.84 [0.76, 0.90], n=84" in html


def test_card_has_no_script_and_names_no_resource(make):
    """Notebooks strip scripts; names from outside are text."""
    html = display.card(make.record(experiment=HOSTILE, metric=HOSTILE, aim=HOSTILE, notes=(HOSTILE,)))
    assert "<script" not in html
    assert "src=" not in html
    assert "http" not in html


def test_card_stays_small_whatever_it_is_given(make):
    """Long texts are cut: a notebook keeps every output for ever."""
    long = "x<&" * 2_000
    settings = make.settings(model=long, prompt=long, extra={f"{long}{n}": long for n in range(60)})
    trials = tuple(make.trial(n, settings=settings) for n in range(30))
    choice = make.recommendation(
        settings=settings, trial=trials[9], reason=long, caveats=(long,) * 90, ties=tuple(range(300))
    )
    record = make.record(
        experiment=long, run=long, aim=long, metric=long, notes=(long,), trials=trials, recommendation=choice
    )
    assert len(display.card(record).encode()) < 100_000


def test_every_kind_of_run_has_a_card(make):
    """No recommendation, no trials: still a card."""
    record = make.record(state="failed", recommendation=None, trials=(), finalists=())
    assert "No recommendation: the run failed." in display.card(record)
    assert "No recommendation: the run failed." in display.text(record)


def test_plain_text_says_the_same(make):
    """Where no HTML is shown, verdict, ties and differences are read as lines."""
    text = display.text(make.record())
    assert "Ship openai/gpt-4.1-mini" in text
    assert "It cannot be told apart from trial 3, with 95% confidence" in text
    assert "takes about 2\u202f900 confirm samples" in text
    assert "+1.0 points [-2.0, +4.0], n=84 (no clear difference)" in text
    assert "<" not in text


def test_progress_bar_follows_the_snapshots(make):
    """Calls done and planned, the best quality with its interval, and the money against the cap."""
    stream = io.StringIO()
    bar = display.NotebookProgress(stream=stream)
    bar(progress(make, 10))
    bar(progress(make, 130, planned=120, phase="confirm", note="resumed"))
    bar.close()
    last = stream.getvalue()
    assert "confirm" in last
    assert "130/130" in last
    assert "best 0.87 [0.82, 0.91], n=196 (trial 2)" in last
    assert "$0.50 of $5.00" in last


def test_progress_bar_follows_judges_that_are_measured(make):
    """Verdicts of how many, and money: there is no trial yet."""
    stream = io.StringIO()
    bar = display.NotebookProgress(stream=stream)
    bar(progress(make, 20, planned=40, phase="judges", trials=()))
    bar.close()
    last = stream.getvalue()
    assert "judges" in last
    assert "20/40" in last
    assert "$0.50 of $5.00" in last
    assert "trial" not in last


def test_progress_bar_of_an_evaluation_shows_its_quality(make):
    """There is one set of settings: neither a number of trials nor a best one."""
    stream = io.StringIO()
    bar = display.NotebookProgress(stream=stream)
    bar(progress(make, 40, phase="eval", trials=(make.trial(0),)))
    bar.close()
    last = stream.getvalue()
    assert "eval" in last
    assert "0.84 [0.76, 0.90], n=84, $0.50 of $5.00" in last
    assert "trial" not in last


def test_closing_twice_or_early_is_harmless(make):
    """A run that ends before its first snapshot leaves no bar and no error."""
    bar = display.NotebookProgress(stream=io.StringIO())
    bar.close()
    bar(progress(make, 1, trials=()))
    bar.close()
    bar.close()
