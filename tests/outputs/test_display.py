"""Cards and plain text: what a notebook keeps of a run, and what a terminal shows."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from harness.outputs import display, plan_words
from harness.plan.estimate import estimate_plan
from harness.plan.planner import make_plan
from harness.testing.finished import a_finished_run
from harness.testing.naughty import naughty_texts
from harness.testing.simulator import simulated_experiment

HOSTILE = "<script>alert(1)</script>"
MOST_BYTES = 100_000
# What a card is made of; a host that strips styles and pictures still has tables, lists and bold text.
OURS = {
    *("div", "strong", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary", "svg", "line", "circle"),
}


class Elements(HTMLParser):
    """The names of all elements of a page, and of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each card of a search of 200 trials whose models, prompts and notes attackers named."""
    run = a_finished_run(trials=200, hostile=naughty_texts())
    choice = run.record.recommendation
    experiment = simulated_experiment(tmp_path_factory.mktemp("plan"), description=HOSTILE)
    plan = make_plan(experiment.spec)
    return {
        "run": display.card(run.record),
        "choice": display.choice_card(choice),
        "plan": plan_words.card(plan_words.plan_data(plan, estimate_plan(plan))),
    }


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


@pytest.mark.parametrize("kind", ["run", "choice", "plan"])
def test_cards_hold_nothing_but_text_in_our_own_elements(cards, kind):
    """Whatever models and users wrote: no script, no handler, no address, and colours of the host."""
    found = Elements(cards[kind])
    assert found.tags <= OURS
    assert not {
        name for name in found.attributes if name.startswith("on") or name in ("src", "href", "class")
    }
    assert "<style" not in cards[kind]


@pytest.mark.parametrize("kind", ["run", "choice", "plan"])
def test_cards_of_a_large_search_are_small(cards, kind):
    """A notebook keeps every output for ever."""
    assert len(cards[kind].encode()) < MOST_BYTES


def test_the_best_trials_have_their_intervals_drawn(make):
    """Each with its place on one scale, so that a look tells which overlap."""
    assert display.card(make.record()).count("<svg") == 4


def test_a_choice_alone_has_a_card_and_a_text(make):
    """As another policy makes it: what to ship, why, and by which policy."""
    choice = make.recommendation(policy="best")
    for shown in (display.choice_card(choice), display.choice_text(choice)):
        assert "Ship openai/gpt-4.1-mini" in shown
        assert "the cheapest of two that cannot be told apart" in shown
        assert "Policy: best" in shown


def test_a_plan_says_in_a_sentence_what_it_takes(cards):
    """How much is tried on how many samples, and the bill as an interval."""
    assert "20 sets of settings at most on 200 samples:" in cards["plan"]
    assert "nothing is spent yet" in cards["plan"]


def test_a_figure_of_a_narrow_card_keeps_room_for_its_interval():
    """Cells that may break have a width of their own: else a narrow notebook puts one word on a line."""
    choice = a_finished_run().record.recommendation
    assert choice is not None
    html = display.choice_card(choice)
    (row,) = (row for row in html.split("<tr") if "LARGE</td>" in row)
    assert [("nowrap" in cell, "min-width" in cell) for cell in row.split("<td")[1:]] == [
        (True, False),  # class
        (False, True),  # settings
        (True, False),  # split
        *[(False, True)] * 4,  # quality, the choice's lead, price, latency
    ]
