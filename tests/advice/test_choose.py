"""Choose: who may be recommended at all, and what is said about the choice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.advice.finalist import Searched
from harness.errors import InconclusiveError
from harness.stats.power import smallest_difference
from harness.testing.builders import a_settings, an_estimate
from harness.testing.finalists import a_choice, a_finalist

N = 100


def case(number, quality, price=1.0, right=80, **more):
    """A finalist in a few words. right: of 100 confirm samples, the last ones are wrong."""
    values = (np.arange(N) < right).astype(float)
    return a_finalist(number, quality=quality, usd_per_1k_calls=price, confirm_values=values, **more)


def number(recommendation):
    """Of the trial that is recommended."""
    return recommendation.trial.number


# -- who may be recommended


def test_what_is_reported_is_the_confirm_split():
    """The quality of the winner does not flatter it."""
    chosen = a_choice([case(0, 0.7), case(1, 0.9, right=85)])
    assert (chosen.trial.split, chosen.trial.quality.value) == ("confirm", 0.85)
    assert (chosen.search_trial.split, chosen.search_trial.quality.value) == ("search", 0.9)
    assert chosen.settings == a_settings(temperature=0.01)


@pytest.mark.parametrize("side", ["search", "confirm"])
@pytest.mark.parametrize(
    "change", [{"quality": None}, {"failure_rate": 1.0}, {"failure_rate": 0.4, "unscored_rate": 0.6}]
)
def test_what_never_answered_cannot_be_chosen(side, change):
    """Both splits must have brought answers."""
    mute = case(1, 0.9)
    mute = replace(mute, **{side: replace(getattr(mute, side), **change)})
    assert number(a_choice([case(0, 0.5), mute])) == 0
    with pytest.raises(InconclusiveError, match="enough scored answers on both splits"):
        a_choice([mute])


def test_where_every_call_failed_the_cause_is_told():
    """Not the number of samples is to be mended then, but what the last call failed with."""
    mute = case(1, 0.9)
    why = "every call failed, the last one with bad_request: document 'd39' is too long"
    mute = replace(mute, confirm=replace(mute.confirm, failure_rate=1.0, reason=why))
    with pytest.raises(InconclusiveError) as error:
        a_choice([mute])
    assert f"trial 1 on the confirm split: {why}; mend that" in str(error.value)
    assert "number of samples" not in str(error.value)


def test_without_finalists_there_is_no_choice():
    """Nothing was confirmed, so nothing is recommended."""
    with pytest.raises(InconclusiveError, match="raise the budget or the number of samples"):
        a_choice([])


def test_a_limit_excludes_the_best():
    """The best of those that keep the limits is taken, and the reason counts those alone."""
    cases = case(0, 0.7, 0.5), case(1, 0.9, 5.0), case(2, 0.8, 1.0)
    chosen = a_choice(cases, limits={"usd_per_1k_calls": 1.0})
    assert number(chosen) == 2
    assert chosen.reason == (
        "Trial 2 had the highest quality of 2 finalists that keep the limits on the search split."
    )


def test_the_runner_up_could_have_been_shipped():
    """What breaks a limit is no alternative; it is compared with all the same."""
    cases = case(0, 0.7, 0.5), case(1, 0.9, 5.0), case(2, 0.8, 1.0)
    chosen = a_choice(cases, limits={"usd_per_1k_calls": 1.0})
    assert chosen.runner_up == 0
    assert 1 in chosen.ties


def test_the_runner_up_went_the_whole_way():
    """Who dropped out of the search early has a mean that compares with nobody's."""
    early = case(0, 0.95, samples=16)
    assert a_choice([early, case(1, 0.85), case(2, 0.8)]).runner_up == 2
    assert a_choice([early, case(1, 0.85)]).runner_up == 0


# -- comparisons


def test_trial_0_is_not_compared_with_itself():
    """When the default wins, there is no difference to it."""
    chosen = a_choice([case(0, 0.9), case(1, 0.8)])
    assert chosen.versus_default is None
    assert chosen.versus_runner_up.other == chosen.runner_up == 1


def test_a_single_finalist_has_no_rivals():
    """No runner-up, no ties, no differences, and nothing to be sure of."""
    chosen = a_choice([case(0, 0.9)])
    assert (chosen.ties, chosen.runner_up, chosen.differences, chosen.certainty) == ((), None, (), "")
    assert (chosen.versus_default, chosen.versus_runner_up) == (None, None)
    assert "1 finalist on" in chosen.reason


# -- caveats


def test_the_caveat_on_resolution_by_hand():
    """The largest spread of a paired difference, and what 100 samples can see of it at 80 % power."""
    winner, rival = case(0, 0.85, right=80), case(1, 0.8, right=70)
    spread = float(np.std(winner.confirm_values - rival.confirm_values, ddof=1))
    gap = smallest_difference(100, spread, level=0.95, power=0.8) * 100
    assert a_choice([winner, rival]).caveats == (
        f"With 100 confirm samples a true difference below {gap:.1f} points is likely to go unseen.",
    )


def test_very_few_samples_are_told_of_instead():
    """With a dozen samples the interval says all there is to say."""
    made, rival = case(0, 0.8), case(1, 0.7)
    few = replace(made, confirm=replace(made.confirm, quality=an_estimate(0.75, half_width=0.2, n=12)))
    first = a_choice([few, rival]).caveats[0]
    assert first.startswith("Only 12 samples confirm this: all they can say is 0.55 to 0.95")


def test_a_winner_that_was_flattered_is_told_of():
    """When the confirm interval lies below the search quality, the search overrated its choice."""
    assert any("flattered" in caveat for caveat in a_choice([case(0, 0.99, right=70)]).caveats)
    assert not any("flattered" in caveat for caveat in a_choice([case(0, 0.8)]).caveats)


def test_cut_off_answers_and_failures_are_told_of():
    """With their shares; two percent of cut answers are forgiven."""
    made = case(0, 0.8)
    rates = {"truncation_rate": 0.25, "failure_rate": 0.015, "unscored_rate": 0.004}
    assert a_choice([replace(made, confirm=replace(made.confirm, **rates))]).caveats == (
        "25% of the answers were cut off at max_output_tokens; what came after the cut was not judged.",
        "1.5% of the calls failed.",
        "0.4% of the answers could not be judged.",
    )
    assert a_choice([replace(made, confirm=replace(made.confirm, truncation_rate=0.02))]).caveats == ()


def lost(trial, endings, **more):
    """A trial whose calls ended in these ways."""
    return replace(trial, settings=a_settings(model="sim/large"), endings=endings, **more)


def test_a_model_that_lost_to_its_provider_is_told_of():
    """Its calls of all trials on both splits together; what the settings brought about counts as measured."""
    rival = case(1, 0.6)
    rival = replace(
        rival,
        search=lost(rival.search, {"stop": 100, "rate_limit": 40, "timeout": 8, "bad_request": 10}),
        confirm=lost(rival.confirm, {"stop": 40, "down": 2}),
    )
    tried = lost(case(2, 0.1).search, {"rate_limit": 100})
    searched = [Searched(trial=trial, values=np.zeros(3)) for trial in (rival.search, tried)]
    told = "150 of 300 calls had no answer (rate_limit 140, timeout 8, down 2)"
    found = a_choice([case(0, 0.8), rival], searched=searched).caveats
    assert f"sim/large may be better than it looks: {told}" in found
    alone = "50 of 200 calls had no answer (rate_limit 40, timeout 8, down 2)"
    assert f"sim/large may be better than it looks: {alone}" in a_choice([case(0, 0.8), rival]).caveats


@pytest.mark.parametrize("endings", [{"stop": 95, "timeout": 5}, {"stop": 1, "bad_request": 99}, {}])
def test_a_model_that_was_heard_is_not(endings):
    """One call in twenty may be lost; refused settings are the model's own; none has no share."""
    rival = case(1, 0.6)
    rival = replace(rival, confirm=lost(rival.confirm, endings))
    assert not any("may be better" in caveat for caveat in a_choice([case(0, 0.8), rival]).caveats)


@pytest.mark.parametrize(
    ("endings", "told"),
    [({"down": 12}, "12 of 12 calls had no answer (down 12)"), ({}, "0 of 0 calls had no answer")],
)
def test_a_model_that_could_not_be_asked_is_told_of_with_the_cause(endings, told):
    """Also one that was not asked at all, since another model of its provider had met the same."""
    cause = "sim/large cannot be asked (down): asked to wait 3600 s, and a run waits 600 s at most: slow down"
    gone = lost(case(1, 0.0).search, endings, state="failed", reason=cause)
    searched = [Searched(trial=gone, values=np.zeros(3))]
    found = a_choice([case(0, 0.8)], searched=searched).caveats
    assert f"sim/large may be better than it looks: {told}; {cause}" in found


def test_what_the_choice_lost_is_in_its_rates():
    """It won all the same, so nothing is to be said of it here."""
    made = case(0, 0.8)
    made = replace(made, search=lost(made.search, {"down": 9}), confirm=lost(made.confirm, {"down": 9}))
    searched = [Searched(trial=made.search, values=np.zeros(3))]
    assert not any("may be better" in caveat for caveat in a_choice([made], searched=searched).caveats)


def test_notes_of_the_run_come_last():
    """What happened on the way is part of what the reader should know."""
    assert a_choice([case(0, 0.8)], notes=("the budget ended the search",)).caveats == (
        "the budget ended the search",
    )


def test_missing_answers_make_no_difference():
    """A sample that one of them did not answer is left out of the pair."""
    one, other = case(0, 0.9), case(1, 0.8, right=60)
    holes = other.confirm_values.copy()
    holes[:50] = math.nan
    paired = a_choice([one, replace(other, confirm_values=holes)]).versus_runner_up.difference
    assert paired.n == 50
    assert paired.value == pytest.approx(20 / 50)
