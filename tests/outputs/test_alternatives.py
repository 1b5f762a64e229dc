"""What else could be shipped, in words: the same in every form of the report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.findings import PairedDifference, ProviderChampion
from harness.outputs import alternatives, display, mlflow_pages, numbers, report
from harness.outputs.exports.document import document
from harness.outputs.exports.selection import selection_of
from harness.records import Bounds
from harness.testing.builders import a_recommendation


def test_a_champion_has_its_figures_and_the_lead_over_it(make):
    """The choice has no lead over itself; what is to be said of the other stands beside it."""
    own, other = alternatives.champions(make.recommendation())
    assert (own.kind, own.difference, own.note) == ("SMALL", "-", "the choice")
    assert (other.kind, other.number, other.split) == ("LARGE", 3, "confirm")
    assert other.difference == "+1.0 points [-2.0, +4.0] (no clear difference)"
    assert other.note.startswith("not sure to keep the limits")


def test_each_provider_has_its_best(make):
    """As for classes: the choice itself, and others with what the choice leads by."""
    best = make.recommendation().by_class
    choice = make.recommendation(
        by_provider=tuple(
            ProviderChampion(provider=name, trial=one.trial, versus=one.versus, note=one.note)
            for name, one in zip(("openai", "anthropic"), best, strict=True)
        )
    )
    own, other = alternatives.providers(choice)
    assert (own.kind, own.note) == ("openai", "the choice")
    assert (other.kind, other.difference) == ("anthropic", "+1.0 points [-2.0, +4.0] (no clear difference)")
    assert "The best of each provider" in report.html(replace(make.record(), recommendation=choice))


def test_rivals_come_nearest_first_and_ties_are_named(make):
    """Every other finalist with its difference, on one line around zero."""
    far = PairedDifference(other=0, difference=make.estimate(0.06, 0.02, 0.1))
    choice = make.recommendation(differences=(far, *make.recommendation().differences))
    tied, beaten = alternatives.rivals(choice, make.record().finalists)
    assert (tied.number, tied.reading) == (3, "a tie: cannot be told apart")
    assert (beaten.number, beaten.reading) == (0, "the choice is better")
    assert tied.span.low < tied.span.zero < tied.span.high
    assert beaten.span.zero == tied.span.zero < beaten.span.low


def test_the_front_says_in_what_a_trial_leads(make):
    """Quality and price, or latency, or either."""
    (line,) = alternatives.front(make.recommendation())
    assert line.kind == "quality and price or latency"


def test_figures_have_their_bounds_in_their_own_unit():
    """As an interval, where both ends are known."""
    bounds = Bounds(low=0.1, high=0.14, level=0.9875, n=60, method="t")
    assert numbers.between(numbers.price, 0.12, bounds) == "$0.12 [$0.10, $0.14]"
    assert numbers.between(numbers.price, 0.12, replace(bounds, low=None)) == "$0.12"
    assert numbers.between(numbers.seconds, None, bounds) == "unknown"


def test_what_a_separation_costs_is_a_sentence(make):
    """With samples, and dollars where the price is known."""
    choice = make.recommendation()
    (words,) = alternatives.separations(choice)
    assert words == (
        "To tell it from trial 3, a true difference of 1.0 points takes about 2\u202f900 confirm samples for "
        "a chance of 80%: 2\u202f816 more, $1.40 at the measured prices."
    )
    unpriced = replace(choice.separations[0], usd=None, other=0)
    (words,) = alternatives.separations(replace(choice, separations=(unpriced,)))
    assert words.startswith("To tell it from the untuned default")
    assert words.endswith("2\u202f816 more.")
    enough = replace(unpriced, more=0)
    (words,) = alternatives.separations(replace(choice, separations=(enough,)))
    assert words.startswith("More samples than there are would hardly be needed to tell it from the untuned")


@pytest.mark.parametrize("show", [report.html, report.markdown, display.card, display.text])
def test_every_form_says_how_sure_the_choice_is(make, show):
    """The sentence of the advice, word for word."""
    assert "cannot be told apart from trial 3, with 95% confidence" in show(make.record())


@pytest.mark.parametrize("show", [report.html, report.markdown, display.card])
def test_every_page_shows_the_best_of_each_class(make, show):
    """Class and lead of the choice."""
    page = show(make.record())
    assert "LARGE" in page
    assert "+1.0 points" in page


def test_the_export_holds_the_alternatives(make):
    """Settings and figures with their bounds, for applications that choose for themselves."""
    bounds = {"latency_p95_s": Bounds(low=None, high=1.5, level=0.9875, n=60, method="order statistics")}
    choice = make.recommendation()
    evidence = document(selection_of([replace(choice, trial=replace(choice.trial, bounds=bounds))]))[
        "evidence"
    ]
    assert evidence["confirm"]["bounds"] == {
        "latency_p95_s": {"high": 1.5, "level": 0.9875, "n": 60, "method": "order statistics"}
    }
    assert evidence["certainty"] == choice.certainty
    assert evidence["by_class"]["LARGE"]["trial"] == 3
    assert evidence["by_class"]["LARGE"]["choice_minus_this"]["difference"]["value"] == 0.01
    assert evidence["pareto"][0]["against"] == ["price", "latency"]
    assert evidence["separations"][0]["more_samples"] == 2816


def test_a_recommendation_without_alternatives_exports_empty_lists():
    """Nothing is made up."""
    evidence = document(selection_of([a_recommendation()]))["evidence"]
    assert (evidence["by_class"], evidence["pareto"], evidence["separations"]) == ({}, [], [])
    assert "certainty" not in evidence


def test_mlflow_has_a_champion_a_class(make):
    """Its settings as a tag, its figures with their bounds and the lead over it as metrics."""
    record = make.record()
    bounds = {"usd_per_1k_calls": Bounds(low=0.1, high=0.2, level=0.975, n=84, method="t")}
    large = record.recommendation.by_class[1]
    large = replace(large, trial=replace(large.trial, bounds=bounds))
    choice = replace(record.recommendation, by_class=(record.recommendation.by_class[0], large))
    page = mlflow_pages.sweep_page(replace(record, recommendation=choice), {})
    assert page.tags["harness.champion.LARGE"].startswith("trial 3 on the confirm split: {")
    assert page.tags["harness.champion.LARGE"].endswith("(not sure to keep the limits: latency_p95_s is 4)")
    assert page.tags["harness.certainty"] == choice.certainty
    assert page.tags["harness.pareto"] == "2"
    assert page.metrics["versus_large"] == 0.01
    assert page.metrics["large_usd_per_1k_calls_low"] == 0.1
    assert page.metrics["large_usd_per_1k_calls_high"] == 0.2
