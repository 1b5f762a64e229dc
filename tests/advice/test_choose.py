"""Choose: which finalist is recommended, and what is said about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.advice.choose import Finalist, Goal, recommend, versus
from harness.errors import InconclusiveError
from harness.stats.intervals import mean_interval
from harness.stats.paired import paired_difference
from harness.stats.power import smallest_difference
from harness.testing.builders import a_provenance, a_settings, a_trial, an_estimate

N = 100


@dataclass(frozen=True)
class Case:
    """A finalist in a few words. right: of 100 confirm samples, the last ones are wrong."""

    number: int
    quality: float
    price: float | None = 1.0
    right: int = 80
    samples: int = 200

    def finalist(self, **search):
        """The finalist; `search` replaces fields of its search trial."""
        settings = a_settings(temperature=self.number / 10)
        trial = a_trial(
            self.number,
            quality=an_estimate(self.quality),
            settings=settings,
            usd_per_1k_calls=self.price,
            samples=self.samples,
        )
        values = (np.arange(N) < self.right).astype(float)
        quality = mean_interval(values, level=0.95)
        confirm = replace(trial, split="confirm", samples=N, quality=quality)
        return Finalist(
            search=replace(trial, **search), confirm=confirm, search_values=values, confirm_values=values
        )


def a_goal(policy="best", tolerance=0.0, **limits):
    """A goal at 95 %."""
    return Goal(policy=policy, tolerance=tolerance, limits=limits, level=0.95, seed=1)


def choose(*finalists, goal=None, notes=()):
    """The recommendation among these."""
    made = [f.finalist() if isinstance(f, Case) else f for f in finalists]
    return recommend(made, goal or a_goal(), experiment="e", run="r", provenance=a_provenance(), notes=notes)


def number(recommendation):
    """Of the trial that is recommended."""
    return recommendation.trial.number


def differing(number, *, right, quality, seed):
    """A finalist whose confirm answers are right by chance, so that pairs differ."""
    values = (np.random.default_rng(seed).random(N) < right).astype(float)
    made = Case(number, quality).finalist()
    confirm = replace(made.confirm, quality=mean_interval(values, level=0.95))
    return replace(made, confirm=confirm, confirm_values=values)


# -- who wins


def test_best_takes_the_highest_search_quality():
    """The search split chooses, even where the confirm split would have said otherwise."""
    chosen = choose(Case(0, 0.7, right=95), Case(1, 0.9, right=60), Case(2, 0.8))
    assert number(chosen) == 1
    assert chosen.policy == "best"
    assert chosen.settings == a_settings(temperature=0.1)


def test_what_is_reported_is_the_confirm_split():
    """The quality of the winner does not flatter it."""
    chosen = choose(Case(0, 0.7), Case(1, 0.9, right=85))
    assert (chosen.trial.split, chosen.trial.quality.value) == ("confirm", 0.85)
    assert (chosen.search_trial.split, chosen.search_trial.quality.value) == ("search", 0.9)


def test_equal_quality_goes_to_the_cheaper_then_to_the_earlier():
    """Ties are decided, and always in the same way."""
    assert number(choose(Case(0, 0.8, 2.0), Case(1, 0.8, 1.0), Case(2, 0.8, 1.0))) == 1


def test_a_mean_over_fewer_samples_cannot_win():
    """A trial that dropped out after some easy samples is no match for one that met all of them."""
    chosen = choose(Case(0, 0.95, samples=16), Case(1, 0.85), Case(2, 0.8))
    assert number(chosen) == 1
    assert chosen.runner_up == 2
    assert chosen.versus_default.other == 0
    assert "of 2 finalists" in chosen.reason


def test_cheapest_within_takes_the_cheapest_near_the_best():
    """3 points below the best is within 0.05; 6 points is not, however cheap."""
    cases = Case(0, 0.84, 0.1), Case(1, 0.90, 5.0), Case(2, 0.87, 1.0), Case(3, 0.86, 2.0)
    chosen = choose(*cases, goal=a_goal("cheapest_within", 0.05))
    assert number(chosen) == 2
    assert chosen.policy == "cheapest_within: 0.05"
    assert chosen.reason == (
        "Trial 2 was the cheapest of 4 finalists within 5.0 points of the best, trial 1; "
        "it was 3.0 points behind on the search split."
    )


@pytest.mark.parametrize(("best", "near"), [(0.58, 0.57), (0.81, 0.80), (0.29, 0.28), (1.0, 0.99)])
def test_the_tolerance_itself_is_allowed(best, near):
    """Exactly one point below is within 0.01, whatever binary floating point makes of it."""
    chosen = choose(Case(0, best, 2.0), Case(1, near, 1.0), goal=a_goal("cheapest_within", 0.01))
    assert number(chosen) == 1


def test_an_unknown_price_is_not_cheap():
    """What nobody can price is the last choice among equals."""
    cases = Case(0, 0.8, None), Case(1, 0.8, 9.0)
    assert number(choose(*cases, goal=a_goal("cheapest_within", 0.01))) == 1
    assert number(choose(*cases)) == 1


def test_without_anything_cheaper_near_the_reason_says_so():
    """The best is the cheapest within the tolerance, too."""
    chosen = choose(Case(0, 0.7, 0.1), Case(1, 0.9, 1.0), goal=a_goal("cheapest_within", 0.02))
    assert chosen.reason == (
        "Trial 1 had the highest quality of 2 finalists on the search split, "
        "and no cheaper finalist came within 2.0 points."
    )


# -- limits


def test_a_limit_excludes_the_best():
    """The best of those that keep the limits is taken, and the reason counts those alone."""
    cases = Case(0, 0.7, 0.5), Case(1, 0.9, 5.0), Case(2, 0.8, 1.0)
    chosen = choose(*cases, goal=a_goal(usd_per_1k_calls=1.0))
    assert number(chosen) == 2
    assert chosen.reason == (
        "Trial 2 had the highest quality of 2 finalists that meet the limits on the search split."
    )


def test_the_runner_up_could_have_been_shipped():
    """What breaks a limit is no alternative; it is compared with all the same."""
    cases = Case(0, 0.7, 0.5), Case(1, 0.9, 5.0), Case(2, 0.8, 1.0)
    chosen = choose(*cases, goal=a_goal(usd_per_1k_calls=1.0))
    assert chosen.runner_up == 0
    assert 1 in chosen.ties


def test_when_nothing_keeps_the_limits_the_nearest_is_told():
    """The error names the best trial, its figures and the limits, and what to do."""
    cases = Case(0, 0.7, 2.0), Case(1, 0.9, 5.0)
    with pytest.raises(InconclusiveError) as caught:
        choose(*cases, goal=a_goal(usd_per_1k_calls=1.0, latency_p95_s=0.5))
    assert str(caught.value) == (
        "no trial meets the limits; the best one, trial 1, misses them: usd_per_1k_calls is 5, above 1; "
        "latency_p95_s is 0.9, above 0.5; relax aim.within or widen the search"
    )
    assert caught.value.exit_code == 4


def test_a_limit_missed_on_the_confirm_split_is_a_caveat():
    """The choice stands, and whoever ships it is warned."""
    made = Case(0, 0.8).finalist()
    slow = replace(made, confirm=replace(made.confirm, latency_p95_s=2.0))
    chosen = choose(slow, goal=a_goal(latency_p95_s=1.0))
    assert (
        "On the confirm split it misses limits that it met in the search: latency_p95_s is 2, above 1."
        in chosen.caveats
    )


@pytest.mark.parametrize("side", ["search", "confirm"])
@pytest.mark.parametrize(
    "change", [{"quality": None}, {"failure_rate": 1.0}, {"failure_rate": 0.4, "unscored_rate": 0.6}]
)
def test_what_never_answered_cannot_be_chosen(side, change):
    """Both splits must have brought answers."""
    mute = Case(1, 0.9).finalist()
    mute = replace(mute, **{side: replace(getattr(mute, side), **change)})
    assert number(choose(Case(0, 0.5), mute)) == 0
    with pytest.raises(InconclusiveError, match="enough scored answers on both splits"):
        choose(mute)


def test_without_finalists_there_is_no_choice():
    """Nothing was confirmed, so nothing is recommended."""
    with pytest.raises(InconclusiveError, match="raise the budget or the number of samples"):
        choose()


# -- comparisons


def test_trial_0_is_not_compared_with_itself():
    """When the default wins, there is no difference to it."""
    chosen = choose(Case(0, 0.9), Case(1, 0.8))
    assert chosen.versus_default is None
    assert chosen.versus_runner_up.other == chosen.runner_up == 1


def test_a_single_finalist_has_no_rivals():
    """No runner-up, no ties, no differences."""
    chosen = choose(Case(0, 0.9))
    assert (chosen.ties, chosen.runner_up) == ((), None)
    assert (chosen.versus_default, chosen.versus_runner_up) == (None, None)
    assert "1 finalist on" in chosen.reason


def test_differences_are_paired_and_of_the_confirm_split():
    """Chosen minus other, with the interval of `stats.paired`."""
    one, other = (differing(n, right=0.8, quality=0.9 - n / 10, seed=n) for n in (1, 2))
    chosen = choose(one, other)
    expected = paired_difference(one.confirm_values, other.confirm_values, level=0.95, seed=1)
    assert chosen.versus_runner_up.difference == expected


def test_only_common_samples_are_compared():
    """A sample that one of them did not answer is left out of the pair."""
    one, other = Case(0, 0.9).finalist(), Case(1, 0.8, right=60).finalist()
    holes = other.confirm_values.copy()
    holes[:50] = math.nan
    paired = versus(one, replace(other, confirm_values=holes), level=0.95, seed=1)
    assert paired.difference.n == 50
    assert paired.difference.value == pytest.approx(20 / 50)


def test_groups_of_the_common_samples_count():
    """Whole groups are the independent units."""
    one, other = (differing(n, right=0.7, quality=0.8, seed=n) for n in (1, 2))
    groups = [f"g{place // 10}" for place in range(N)]
    paired = versus(replace(one, groups=groups), other, level=0.95, seed=1)
    assert paired.difference.clusters == 10


def test_one_common_sample_is_no_comparison():
    """It cannot be told apart, and nothing is claimed."""
    one, other = Case(0, 0.9).finalist(), Case(1, 0.8).finalist()
    lonely = np.full(N, math.nan)
    lonely[0] = 1.0
    chosen = choose(one, replace(other, confirm_values=lonely))
    assert chosen.versus_runner_up is None
    assert chosen.ties == (1,)


def test_ties_are_those_whose_difference_may_be_zero():
    """Equal answers tie; 40 points behind do not."""
    chosen = choose(Case(0, 0.9, right=80), Case(1, 0.8, right=80), Case(2, 0.7, right=40))
    assert chosen.ties == (1,)


def test_many_rivals_widen_what_counts_as_a_tie():
    """All statements "it differs" hold together: the error is divided among the rivals."""
    winner, rival = Case(0, 0.9).finalist(), Case(1, 0.8).finalist()
    # 20 samples that only the winner has right, 7 that only the rival has: 2.6 standard errors.
    place = np.arange(N)
    winner = replace(winner, confirm_values=(place < 80).astype(float))
    rival = replace(rival, confirm_values=((place >= 20) & (place < 87)).astype(float))
    alone = versus(winner, rival, level=0.95, seed=1).difference
    level = 1 - 0.05 / 20
    among = versus(winner, rival, level=level, seed=1).difference
    assert alone.low > 0 >= among.low, "the example has to lie between the two levels"
    crowd = [Case(n, 0.5, right=5).finalist() for n in range(2, 21)]
    assert choose(winner, rival).ties == ()
    assert choose(winner, rival, *crowd).ties == (1,)


# -- caveats


def test_the_caveat_on_resolution_by_hand():
    """The largest spread of a paired difference, and what 100 samples can see of it at 80 % power."""
    winner, rival = Case(0, 0.85, right=80).finalist(), Case(1, 0.8, right=70).finalist()
    spread = float(np.std(winner.confirm_values - rival.confirm_values, ddof=1))
    gap = smallest_difference(100, spread, level=0.95, power=0.8) * 100
    assert choose(winner, rival).caveats == (
        f"With 100 confirm samples a true difference below {gap:.1f} points is likely to go unseen.",
    )


def test_very_few_samples_are_told_of_instead():
    """With a dozen samples the interval says all there is to say."""
    made, rival = Case(0, 0.8).finalist(), Case(1, 0.7).finalist()
    few = replace(made, confirm=replace(made.confirm, quality=an_estimate(0.75, half_width=0.2, n=12)))
    assert (
        choose(few, rival)
        .caveats[0]
        .startswith("Only 12 samples confirm this: all they can say is 0.55 to 0.95")
    )


def test_a_winner_that_was_flattered_is_told_of():
    """When the confirm interval lies below the search quality, the search overrated its choice."""
    caveats = choose(Case(0, 0.99, right=70)).caveats
    assert any("flattered" in caveat for caveat in caveats)
    assert not any("flattered" in caveat for caveat in choose(Case(0, 0.8)).caveats)


def test_cut_off_answers_and_failures_are_told_of():
    """With their shares; two percent of cut answers are forgiven."""
    made = Case(0, 0.8).finalist()
    rates = {"truncation_rate": 0.25, "failure_rate": 0.015, "unscored_rate": 0.004}
    bad = replace(made, confirm=replace(made.confirm, **rates))
    assert choose(bad).caveats == (
        "25% of the answers were cut off at max_output_tokens; what came after the cut was not judged.",
        "1.5% of the calls failed.",
        "0.4% of the answers could not be judged.",
    )
    fine = replace(made, confirm=replace(made.confirm, truncation_rate=0.02))
    assert choose(fine).caveats == ()


def test_notes_of_the_run_come_last():
    """What happened on the way is part of what the reader should know."""
    assert choose(Case(0, 0.8), notes=("the budget ended the search",)).caveats == (
        "the budget ended the search",
    )


# -- properties

cases = st.lists(
    st.tuples(
        st.integers(0, 20).map(lambda n: n / 20),
        st.integers(1, 8).map(lambda n: n / 4),
        st.integers(0, N),
    ),
    min_size=1,
    max_size=6,
)
goals = st.one_of(
    st.just(a_goal()), st.sampled_from([0.0, 0.05, 0.3]).map(lambda t: a_goal("cheapest_within", t))
)


def made_of(rows, scale=1.0):
    """Finalists of these qualities, prices and right answers."""
    return [Case(n, quality, price * scale, right) for n, (quality, price, right) in enumerate(rows)]


@settings(deadline=None, max_examples=40)
@given(cases, goals, st.randoms(use_true_random=False))
def test_the_order_of_finalists_does_not_matter(rows, goal, dice):
    """A choice is a function of a set."""
    shuffled = made_of(rows)
    dice.shuffle(shuffled)
    one, other = choose(*made_of(rows), goal=goal), choose(*shuffled, goal=goal)
    assert replace(one, provenance=other.provenance) == other


@settings(deadline=None, max_examples=40)
@given(cases, goals, st.integers(-6, 6).map(lambda power: 2.0**power))
def test_the_currency_does_not_matter(rows, goal, scale):
    """Prices are compared with each other only, so that any unit gives the same choice."""
    one, other = choose(*made_of(rows), goal=goal), choose(*made_of(rows, scale), goal=goal)
    assert number(one) == number(other)
    assert (one.ties, one.runner_up, one.reason) == (other.ties, other.runner_up, other.reason)


@settings(deadline=None, max_examples=40)
@given(cases, st.floats(0, 0.99))
def test_the_choice_is_within_the_tolerance_and_nothing_near_is_cheaper(rows, tolerance):
    """The definition of the policy, read off the result."""
    made = made_of(rows)
    chosen = made[number(choose(*made, goal=a_goal("cheapest_within", tolerance)))]
    near = [case for case in made if case.quality >= max(c.quality for c in made) - tolerance - 1e-9]
    assert chosen in near
    assert chosen.price == min(case.price for case in near)


@settings(deadline=None, max_examples=40)
@given(cases)
def test_no_tolerance_is_the_best(rows):
    """`cheapest_within: 0` and `best` are one policy."""
    made = made_of(rows)
    assert number(choose(*made)) == number(choose(*made, goal=a_goal("cheapest_within", 0.0)))
