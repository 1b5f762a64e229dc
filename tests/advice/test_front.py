"""What else is worth a look: the front, and the best of each model class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.advice.finalist import Searched
from harness.advice.front import front
from harness.stats.paired import paired_difference
from harness.testing.builders import a_trial
from harness.testing.finalists import a_choice, a_finalist

N = 100


def trial(number, quality, price, latency):
    """A trial with these figures."""
    return a_trial(number, quality=quality, usd_per_1k_calls=price, latency_p50_s=latency)


def on(trials):
    """Numbers on the front, with the figures they are on it for."""
    return {one.trial.number: one.against for one in front(trials)}


# -- the front


def test_the_front_by_hand():
    """Trial 1 is beaten in price by 2 and in latency by nobody; 3 is beaten by 2 in both."""
    trials = [trial(0, 0.9, 9, 9), trial(1, 0.8, 5, 1), trial(2, 0.8, 4, 2), trial(3, 0.7, 4, 2)]
    assert on(trials) == {0: ("price", "latency"), 2: ("price",), 1: ("latency",)}
    assert [one.trial.number for one in front(trials)] == [0, 1, 2], "the best first"


def test_equals_do_not_beat_each_other():
    """Both are worth a look."""
    assert set(on([trial(0, 0.8, 1, 1), trial(1, 0.8, 1, 1)])) == {0, 1}


def test_who_lacks_a_figure_is_not_on_its_front():
    """An unknown price neither beats nor is beaten."""
    trials = [trial(0, 0.9, None, 1), trial(1, 0.8, 1, 2), trial(2, None, 1, 1), trial(3, 0.9, None, None)]
    assert on(trials) == {0: ("latency",), 1: ("price",)}


@given(
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=8), st.randoms(use_true_random=False)
)
def test_everybody_is_on_the_front_or_beaten_by_one_on_it(figures, dice):
    """Whatever the order of the trials."""
    trials = [trial(n, q / 4, p, t) for n, (q, p, t) in enumerate(figures)]
    found = on(trials)
    shuffled = [*trials]
    dice.shuffle(shuffled)
    assert on(shuffled) == found
    for number, (quality, price, _) in enumerate(figures):
        beaten = any(
            q >= quality and p <= price and (q, p) != (quality, price)
            for other, (q, p, _) in enumerate(figures)
            if "price" in found.get(other, ())
        )
        assert beaten != ("price" in found.get(number, ()))


# -- champions


def right(number, quality, right, **more):
    """A finalist that has the first so many of 100 confirm samples right."""
    return a_finalist(number, quality=quality, confirm_values=(np.arange(N) < right) * 1.0, **more)


def by_class(made):
    """The champions by class."""
    return {champion.model_class: champion for champion in made.by_class}


def test_the_choice_is_the_champion_of_its_class():
    """With its own evidence, and nothing to compare it with."""
    made = a_choice([right(0, 0.7, 70), right(1, 0.9, 90, model_class="LARGE")])
    champion = by_class(made)["LARGE"]
    assert (champion.trial, champion.versus, champion.note) == (made.trial, None, "")
    assert list(by_class(made)) == ["SMALL", "LARGE"], "in the order of the classes"


def test_a_class_has_its_best_finalist_under_the_same_policy():
    """Of the small ones the cheaper, as good as the better within the tolerance."""
    cases = (
        right(0, 0.80, 80, usd_per_1k_calls=0.1),
        right(1, 0.81, 81, usd_per_1k_calls=0.2),
        right(2, 0.95, 95, usd_per_1k_calls=9.0, model_class="LARGE"),
    )
    made = a_choice(cases, {"cheapest_within": 0.02})
    assert by_class(made)["SMALL"].trial.number == 0
    assert by_class(a_choice(cases))["SMALL"].trial.number == 1
    difference = by_class(made)["SMALL"].versus
    assert (difference.other, difference.difference.value) == (0, pytest.approx(0.15))
    assert difference in made.differences


def test_a_champion_that_breaks_a_limit_is_told_of():
    """It is the best of its class all the same, and nobody ships it by mistake."""
    cases = right(0, 0.7, 70), right(1, 0.9, 90, usd_per_1k_calls=9.0, model_class="LARGE")
    champion = by_class(a_choice(cases, limits={"usd_per_1k_calls": 2.0}))["LARGE"]
    assert champion.trial.number == 1
    assert champion.note == (
        "not sure to keep the limits: usd_per_1k_calls is 9, with 95% confidence above 2"
    )


def test_a_champion_below_the_floor_is_told_of():
    """The best of its class, with why it would not do."""
    cases = right(0, 0.7, 70), right(1, 0.9, 95, model_class="LARGE")
    champion = by_class(a_choice(cases, {"floor": 0.8}))["SMALL"]
    assert champion.trial.number == 0
    assert champion.note.startswith("no trial is sure to reach a quality of 0.8")


def searched(number, right, **changes):
    """A trial of the search that confirmed nothing."""
    values = (np.arange(N) < right) * 1.0
    made = a_finalist(number, confirm_values=values, model_class="MEDIUM").search
    return Searched(trial=replace(made, **changes), values=values)


def test_a_class_without_a_finalist_has_its_best_of_the_search():
    """With figures of the search split, said so, and a difference on that split."""
    choice = right(0, 0.8, 80)
    others = searched(3, 60), searched(4, 70), searched(5, 99, samples=16), searched(6, 98, state="failed")
    champion = by_class(a_choice([choice], searched=others))["MEDIUM"]
    assert (champion.trial, champion.trial.split) == (others[1].trial, "search")
    assert champion.note == "not among the finalists: its figures are of the search split"
    assert champion.versus.other == 4
    assert champion.versus.difference == paired_difference(
        choice.search_values, others[1].values, level=0.95, seed=1
    )


def test_a_class_that_never_answered_has_no_champion():
    """Nothing can be said of it."""
    nothing = searched(3, 60, quality=None), searched(4, 70, state="infeasible")
    assert list(by_class(a_choice([right(0, 0.8, 80)], searched=nothing))) == ["SMALL"]


# -- the best of each provider


def test_each_provider_has_its_best():
    """By name; the choice stands for its own, and one without a finalist has its best of the search."""
    right = np.arange(N) % 10

    def of(model, number, wrong, **given):
        one = a_finalist(number, confirm_values=(right >= wrong).astype(float), **given)
        settings = replace(one.search.settings, model=model)
        return replace(
            one,
            search=replace(one.search, settings=settings),
            confirm=replace(one.confirm, settings=settings),
        )

    finalists = [of("acme/a", 0, 3), of("acme/b", 1, 1), of("best/c", 2, 2)]
    alone = a_trial(7, quality=0.6, settings=replace(finalists[0].search.settings, model="calm/d"))
    searched = [Searched(trial=alone, values=(right >= 4).astype(float))]
    found = a_choice(finalists, searched=searched).by_provider
    assert [(one.provider, one.trial.number) for one in found] == [("acme", 1), ("best", 2), ("calm", 7)]
    assert found[0].versus is None
    assert found[1].versus.difference.value == pytest.approx(0.1)
    assert "not among the finalists" in found[2].note
