"""Policies: who wins under each, why, and what holds for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.errors import InconclusiveError
from harness.stats.paired import paired_difference
from harness.stats.power import pairs_needed
from harness.testing.finalists import a_choice, a_finalist

N = 100


def case(number, quality, price=1.0, right=80, **more):
    """A finalist in a few words. right: of 100 confirm samples, the last ones are wrong."""
    values = (np.arange(N) < right).astype(float)
    return a_finalist(number, quality=quality, usd_per_1k_calls=price, confirm_values=values, **more)


def winner(finalists, policy="best", **more):
    """Number of the trial that is recommended."""
    return a_choice(finalists, policy, **more).trial.number


def answers(wrong, n=2000):
    """Of n samples, those in this range are wrong."""
    return 1.0 - np.isin(np.arange(n), list(wrong))


# -- best


def test_best_takes_the_highest_search_quality():
    """The search split chooses, even where the confirm split would have said otherwise."""
    made = a_choice([case(0, 0.7, right=95), case(1, 0.9, right=60), case(2, 0.8)])
    assert (made.trial.number, made.policy) == (1, "best")
    assert made.reason == "Trial 1 had the highest quality of 3 finalists on the search split."


def test_equal_quality_goes_to_the_cheaper_then_the_earlier():
    """Ties are decided, and always in the same way: not by latency, which differs from run to run."""
    assert winner([case(0, 0.8, 2.0), case(1, 0.8, 1.0), case(2, 0.8, 1.0)]) == 1
    assert winner([case(0, 0.8), case(1, 0.8, latencies_s=[0.2])]) == 0


def test_a_mean_over_fewer_samples_cannot_win():
    """A trial that dropped out after some easy samples is no match for one that met all of them."""
    made = a_choice([case(0, 0.95, samples=16), case(1, 0.85), case(2, 0.8)])
    assert made.trial.number == 1
    assert "of 2 finalists" in made.reason


# -- cheapest_within, fastest_within


def test_cheapest_within_takes_the_cheapest_near_the_best():
    """3 points below the best is within 0.05; 6 points is not, however cheap."""
    cases = (
        case(0, 0.84, 0.1, right=75),
        case(1, 0.90, 5.0, right=86),
        case(2, 0.87, 1.0, right=84),
        case(3, 0.86, 2.0, right=84),
    )
    made = a_choice(cases, {"cheapest_within": 0.05})
    assert (made.trial.number, made.policy) == (2, "cheapest_within: 0.05")
    assert made.reason == (
        "Trial 2 was the cheapest of 4 finalists within 5.0 points of the best, trial 1; "
        "it was 3.0 points behind on the search split."
    )


def test_what_rests_on_the_search_alone_is_a_caveat():
    """With the samples that could show it: 149 by the rule of three where the answers are alike."""
    made = a_choice([case(0, 0.9, 2.0), case(1, 0.88, 1.0)], {"cheapest_within": 0.02})
    assert made.caveats[0] == (
        "That it gives up no more than 2.0 points rests on the means of the search split alone: "
        "100 confirm samples cannot show it, about 149 could."
    )
    spread = np.array([0.0] * 10 + [1.0] * 10 + [0.5] * 80)
    varied = a_finalist(1, quality=0.87, usd_per_1k_calls=0.5, confirm_values=spread)
    rival = a_finalist(0, quality=0.9, confirm_values=spread[::-1])
    needed = pairs_needed(0.03, float(np.std(spread - spread[::-1], ddof=1)), 0.95, 0.8)
    assert f"about {needed} could" in a_choice([varied, rival], {"cheapest_within": 0.03}).caveats[0]


@pytest.mark.parametrize(("best", "near"), [(0.58, 0.57), (0.81, 0.80), (0.29, 0.28), (1.0, 0.99)])
def test_the_tolerance_itself_is_allowed(best, near):
    """Exactly one point below is within 0.01, whatever binary floating point makes of it."""
    assert winner([case(0, best, 2.0), case(1, near, 1.0)], {"cheapest_within": 0.01}) == 1


def test_an_unknown_price_is_not_cheap():
    """What nobody can price is the last choice among equals."""
    cases = case(0, 0.8, None), case(1, 0.8, 9.0)
    assert winner(cases, {"cheapest_within": 0.01}) == winner(cases) == 1


def test_fastest_within_goes_by_the_median():
    """A slow tail is the business of the limits."""
    steady, tailed = [0.5], [0.4] * 9 + [30.0]
    cases = case(0, 0.9, 0.1, latencies_s=steady), case(1, 0.89, latencies_s=tailed)
    made = a_choice(cases, {"fastest_within": 0.02})
    assert made.trial.number == 1
    assert made.reason.startswith("Trial 1 was the fastest of 2 finalists within 2.0 points of the best")


def test_without_anything_cheaper_near_the_reason_says_so():
    """The best is the cheapest within the tolerance, too."""
    made = a_choice([case(0, 0.7, 0.1), case(1, 0.9, 1.0)], {"cheapest_within": 0.02})
    assert made.reason == (
        "Trial 1 had the highest quality of 2 finalists on the search split, "
        "and no cheaper one came within 2.0 points."
    )


def test_what_is_shown_to_be_near_is_chosen_whatever_the_search_said():
    """2,000 samples with 1 point of difference show that it is no more than 5."""
    dear = a_finalist(0, quality=0.9, usd_per_1k_calls=2.0, confirm_values=answers(range(200)))
    cheap = a_finalist(1, quality=0.8, confirm_values=answers(range(220)), samples=16)
    shown = paired_difference(cheap.confirm_values, dear.confirm_values, level=0.9, seed=1)
    assert shown.low > -0.05, "the example has to be one that can be shown"
    made = a_choice([dear, cheap], {"cheapest_within": 0.05})
    assert made.trial.number == 1
    assert made.reason == (
        "Trial 1 is the cheapest of 2 finalists that is shown on the confirm split to give up less than "
        "5.0 points against each other one (95% confidence)."
    )
    assert not any("rests on" in caveat for caveat in made.caveats)


def test_who_is_near_one_has_to_be_near_all():
    """Nobody knows which of the others is the best: 1 point behind the leader, 8 behind another one."""
    leader = a_finalist(0, quality=0.9, usd_per_1k_calls=2.0, confirm_values=answers(range(300)))
    better = a_finalist(1, quality=0.8, usd_per_1k_calls=3.0, confirm_values=answers(range(160)))
    cheap = a_finalist(2, quality=0.8, confirm_values=answers(range(320)))
    assert winner([leader, cheap], {"cheapest_within": 0.05}) == 2
    assert winner([leader, better, cheap], {"cheapest_within": 0.05}) == 0


def test_with_samples_enough_near_has_to_be_shown():
    """The search calls it equal; 2,000 samples can show 5 points, and do not."""
    dear = a_finalist(0, quality=0.9, usd_per_1k_calls=2.0, confirm_values=answers(range(200)))
    cheap = a_finalist(1, quality=0.9, confirm_values=answers(range(290)))
    made = a_choice([dear, cheap], {"cheapest_within": 0.05})
    assert winner([cheap, dear], "best") == 1, "of equals the cheaper"
    behind = replace(cheap, search=replace(cheap.search, quality=replace(dear.search.quality, value=0.89)))
    made = a_choice([dear, behind], {"cheapest_within": 0.05})
    assert made.trial.number == 0
    assert made.reason.endswith("and no cheaper one is shown to be within 5.0 points.")


def test_who_is_shown_to_be_far_is_not_near():
    """Equal on the search split, 40 points behind on the confirm split."""
    cases = case(0, 0.9, 2.0, right=90), case(1, 0.9 - 1e-12, 1.0, right=50)
    assert winner(cases, {"cheapest_within": 0.01}) == 0
    assert winner(cases[1:], {"cheapest_within": 0.01}) == 1


# -- floor


def test_the_floor_takes_the_cheapest_that_is_sure_to_reach_it():
    """By the lower bound of the confirm split: 85 of 100 is no sure 0.8, 92 is."""
    cases = case(0, 0.9, 0.1, right=85), case(1, 0.7, 2.0, right=92), case(2, 0.8, 1.0, right=95)
    made = a_choice(cases, {"floor": 0.8})
    assert (made.trial.number, made.policy) == (2, "floor: 0.8")
    low = cases[2].confirm.bounds["quality"].low
    assert made.reason == (
        "Trial 2 was the cheapest of the 2 of 3 finalists whose quality is sure to reach 0.8: at least "
        f"{low:.4f} with 95% confidence on the confirm split."
    )
    assert "Trial 2 was the only one of 2 finalists" in a_choice([cases[0], cases[2]], {"floor": 0.8}).reason


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (70, "the nearest, trial 1, has 0.7, at least"),
        (85, "more confirm samples would settle it"),
    ],
)
def test_a_floor_that_nobody_reaches_decides_nothing(right, words):
    """The nearest is named; whether more samples would help depends on where it lies."""
    with pytest.raises(InconclusiveError) as caught:
        a_choice([case(0, 0.95, right=60), case(1, 0.7, right=right)], {"floor": 0.8})
    assert str(caught.value).startswith("no trial is sure to reach a quality of 0.8; the nearest, trial 1")
    assert words in str(caught.value)
    assert ("search for better settings" in str(caught.value)) == (right == 70)


def test_a_floor_needs_bounds():
    """Without them nobody is sure of anything."""
    made = case(0, 0.95)
    bare = replace(made, confirm=replace(made.confirm, bounds={}))
    with pytest.raises(InconclusiveError, match="too few confirm samples to tell"):
        a_choice([bare], {"floor": 0.1})


# -- knee, weights


def test_the_knee_lies_farthest_above_the_line_from_the_cheapest_to_the_best():
    """By hand: (0, 0), (0.1, 0.8), (1, 1) on scales from worst to best: 0.7 above the line."""
    cases = case(0, 0.5, 1.0), case(1, 0.9, 2.0), case(2, 1.0, 11.0)
    made = a_choice(cases, "knee")
    assert (made.trial.number, made.policy) == (1, "knee")
    assert made.reason == (
        "Trial 1 stands at the knee of 3 finalists on the search split: none gains as much quality for its "
        "price, both measured from the worst of them to the best."
    )


def test_without_a_bend_the_knee_is_the_best():
    """All on one line: quality decides."""
    assert winner([case(0, 0.5, 1.0), case(1, 0.75, 6.0), case(2, 1.0, 11.0)], "knee") == 2


def test_weights_by_hand():
    """Worst 0 and best 1 in each figure: of 0.9, 0.5 x 0.5 + 0.2 x 0.75 + 0.2 x 1 = 0.6."""
    cases = (
        case(0, 0.6, 1.0, latencies_s=[2.0]),
        case(1, 0.8, 2.0, latencies_s=[1.0]),
        case(2, 1.0, 5.0, latencies_s=[3.0]),
    )
    weights = {"weights": {"quality": 0.7, "price": 0.2, "latency": 0.1}}
    made = a_choice(cases, weights)
    assert made.trial.number == 2, "0.7 for its quality alone"
    assert made.policy == "weights: quality=0.7, price=0.2, latency=0.1"
    assert made.reason == (
        "Trial 2 has the highest sum of quality by 0.7, price by 0.2 and latency by 0.1 of 3 finalists on "
        "the search split, 0.70 of 1; each figure counts from 0, the worst of them, to 1, the best."
    )
    other = a_choice(cases, {"weights": {"quality": 0.5, "price": 0.2, "latency": 0.2}})
    assert other.trial.number == 1
    assert "0.67 of 1" in other.reason
    assert winner(cases, {"weights": {"price": 1}}) == 0


def test_an_unknown_figure_weighs_as_the_worst():
    """And where it is unknown for all, it says nothing."""
    cases = case(0, 0.8, None), case(1, 0.7, 9.0)
    assert winner(cases, {"weights": {"price": 1}}) == 1
    assert winner([case(0, 0.7, None), case(1, 0.8, None)], {"weights": {"price": 1}}) == 1


# -- properties


@dataclass(frozen=True)
class Row:
    """A finalist to be: its figures on the search split, and its answers on the confirm split."""

    quality: int
    price: int
    latency: int
    right: tuple[bool, ...]

    def better(self, dice):
        """The same, improved in one figure or another, or in several."""
        right = list(self.right)
        for place in dice.sample(range(len(right)), dice.randint(0, 8)):
            right[place] = True
        return Row(
            min(20, self.quality + dice.randint(0, 6)),
            max(1, self.price - dice.randint(0, 4)),
            max(1, self.latency - dice.randint(0, 4)),
            tuple(right),
        )

    def beats(self, other):
        """Whether it is at least as good in everything, and not the same."""
        return (
            self != other
            and self.quality >= other.quality
            and self.price <= other.price
            and self.latency <= other.latency
            and all(mine or not theirs for mine, theirs in zip(self.right, other.right, strict=True))
        )


SAMPLES = 24
rows = st.lists(
    st.builds(
        Row,
        quality=st.integers(8, 20),
        price=st.integers(1, 9),
        latency=st.integers(1, 9),
        right=st.tuples(*[st.sampled_from([True, True, True, False])] * SAMPLES),
    ),
    min_size=1,
    max_size=5,
)
policies = st.sampled_from(
    [
        "best",
        "knee",
        {"cheapest_within": 0.01},
        {"cheapest_within": 0.2},
        {"cheapest_within": 0.6},
        {"fastest_within": 0.2},
        {"floor": 0.4},
        {"floor": 0.6},
        {"weights": {"quality": 0.7, "price": 0.2, "latency": 0.1}},
        {"weights": {"price": 1, "latency": 1}},
    ]
)
# 6 answers to each of the 24 samples: enough to show a difference of 60 points, too few for 20.
many = settings(deadline=None, max_examples=150)


def made_of(drawn, *, price=1.0, time=1.0):
    """Finalists of these rows, in these units."""
    return [
        a_finalist(
            number,
            quality=row.quality / 20,
            usd_per_1k_calls=row.price * price,
            latencies_s=[row.latency * time],
            confirm_values=np.array(row.right, dtype=float),
            among=len(drawn),
        )
        for number, row in enumerate(drawn)
    ]


def picked(finalists, policy):
    """Number of the choice, and what is said of it; nobody when nobody reaches the floor."""
    try:
        made = a_choice(finalists, policy)
    except InconclusiveError:
        return None, ""
    return made.trial.number, made.reason


@many
@given(rows, policies, st.randoms(use_true_random=False))
def test_the_order_of_finalists_does_not_matter(drawn, policy, dice):
    """A choice is a function of a set."""
    shuffled = made_of(drawn)
    dice.shuffle(shuffled)
    assert picked(made_of(drawn), policy) == picked(shuffled, policy)


@many
@given(rows, policies, st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_units_do_not_matter(drawn, policy, price, time):
    """Cents or dollars, seconds or milliseconds: the same choice for the same reason."""
    assert picked(made_of(drawn), policy) == picked(made_of(drawn, price=price, time=time), policy)


@many
@given(rows, policies, st.randoms(use_true_random=False))
def test_who_is_chosen_stays_chosen_when_it_becomes_better(drawn, policy, dice):
    """Better in quality, price, latency or answers, or in several of them."""
    chosen, _ = picked(made_of(drawn), policy)
    assume(chosen is not None)
    improved = [row.better(dice) if number == chosen else row for number, row in enumerate(drawn)]
    assert picked(made_of(improved), policy)[0] == chosen


@many
@given(rows, policies, st.randoms(use_true_random=False))
def test_what_is_worse_in_everything_is_never_chosen(drawn, policy, dice):
    """Not even when it is worse by a hair, in quality or price alone; latency breaks no tie."""
    drawn = [*drawn, dice.choice(drawn).better(dice)]
    chosen, _ = picked(made_of(drawn), policy)
    assume(chosen is not None)
    mine = drawn[chosen]
    level = [row for row in drawn if (row.quality, row.price) == (mine.quality, mine.price)]
    assert not any(row.beats(mine) for row in drawn if row not in level)


@many
@given(rows)
def test_no_tolerance_is_the_best_or_one_shown_to_be_better(drawn):
    """`cheapest_within: 0` never gives anything up."""
    made = made_of(drawn)
    best, cheap = picked(made, "best")[0], picked(made, {"cheapest_within": 0.0})[0]
    if cheap != best and drawn[cheap].quality < drawn[best].quality:
        lead = paired_difference(made[cheap].confirm_values, made[best].confirm_values, level=0.9, seed=1)
        assert lead.low > 0
