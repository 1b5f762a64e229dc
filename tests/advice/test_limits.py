"""Limits: who keeps them for sure, who breaks them, and what would settle the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.advice.limits import breaks, check, keeps, nobody_keeps
from harness.errors import InconclusiveError
from harness.stats.bounds import share_bounds
from harness.testing.builders import a_trial
from harness.testing.finalists import a_choice, a_finalist

N = 100
LIMITS = {"latency_p95_s": 1.0}


def finalist(number=0, *, quality=0.8, slow=0.5, spread=0.2, **more):
    """A finalist whose latencies lie evenly around `slow` seconds."""
    times = slow * np.exp(np.linspace(-spread, spread, N))
    values = (np.arange(N) < 100 * quality) * 1.0
    return a_finalist(number, latencies_s=times, confirm_values=values, **more)


def one(finalist, limits=None):
    """How it stands against the first limit."""
    return check(finalist.confirm, limits or LIMITS)[0]


def test_a_limit_is_kept_when_the_upper_bound_is_at_or_below_it():
    """The bound itself is allowed."""
    made = finalist()
    high = made.confirm.bounds["latency_p95_s"].high
    assert made.confirm.latency_p95_s < high
    assert one(made, {"latency_p95_s": high}).standing == "keeps"
    assert one(made, {"latency_p95_s": high * 0.999}).standing == "unclear"


def test_a_limit_is_broken_when_the_lower_bound_is_above_it():
    """Measured above it is not enough: half of those that lie a hair below it are."""
    made = finalist()
    low = made.confirm.bounds["latency_p95_s"].low
    assert low < made.confirm.latency_p95_s
    assert one(made, {"latency_p95_s": low}).standing == "unclear"
    assert one(made, {"latency_p95_s": low * 0.999}).standing == "breaks"
    (words,) = breaks(made.confirm, {"latency_p95_s": 0.4})
    assert words == "latency_p95_s is 0.5986, with 95% confidence above 0.4"


def test_a_price_that_never_varies_may_be_the_limit():
    """The mean of equal figures lies a rounding error above them, and breaks nothing."""
    made = a_finalist(confirm_values=np.ones(N), usd_per_1k_calls=0.1 + 0.2)
    assert one(made, {"usd_per_1k_calls": 0.3}).standing == "keeps"


@pytest.mark.parametrize("figure", ["first_token_p50_s", "usd_per_1k_calls"])
def test_an_unknown_figure_keeps_no_limit(figure):
    """Nobody knows that it is small enough, and more calls will not tell."""
    made = a_finalist(confirm_values=np.ones(N), usd_per_1k_calls=None)
    found = one(made, {figure: 1.0})
    assert (found.standing, found.words()) == ("unclear", f"{figure} is unknown, the limit is 1")
    with pytest.raises(InconclusiveError, match="more calls would not tell"):
        a_choice([made], limits={figure: 1.0})


def test_a_figure_without_bounds_keeps_no_limit():
    """A record of a run under way has none."""
    (found,) = check(a_trial(), LIMITS)
    assert found.words() == "latency_p95_s is 0.9 on too few calls to bound it, the limit is 1"
    assert not keeps([found])


# -- rates


def test_a_rate_without_an_event_counts_as_kept():
    """100 calls cannot show 2 %, whatever they do: 149 could."""
    made = finalist()
    (found,) = check(made.confirm, {"failure_rate": 0.02})
    assert (found.standing, found.unshown) == ("keeps", True)
    caveats = a_choice([made], limits={"failure_rate": 0.02}).caveats
    assert caveats[0] == (
        "failure_rate was 0 in 100 calls, which leaves up to 0.02951 possible (95% confidence): it counts as "
        "at most 0.02, but 149 calls without an event would show it."
    )


def test_that_something_never_happens_cannot_be_shown():
    """A limit of 0 counts as kept without an event, and no number of calls is promised."""
    caveats = a_choice([finalist()], limits={"truncation_rate": 0.0}).caveats
    assert caveats[0].endswith("it counts as at most 0, but no number of calls can show it.")


def test_a_single_event_has_to_be_bounded_like_any_figure():
    """1 of 100 calls may well be 4 %."""
    made = finalist(hits={"failure_rate": 1})
    assert one(made, {"failure_rate": 0.02}).standing == "unclear"
    assert one(made, {"failure_rate": 0.05}).standing == "keeps"
    assert one(made, {"failure_rate": 0.0}).standing == "breaks"


def test_a_rate_that_is_shown_is_no_caveat():
    """Nothing in 100 calls shows 5 %."""
    assert a_choice([finalist()], limits={"failure_rate": 0.05}).caveats == ()


# -- who is recommended


def test_only_who_keeps_all_limits_is_recommended():
    """The best may be too slow for all one knows."""
    unsure, sure = finalist(1, quality=0.9, slow=0.9), finalist(0, quality=0.7)
    assert unsure.confirm.latency_p95_s > 1.0 > unsure.confirm.bounds["latency_p95_s"].low * 0.9
    made = a_choice([unsure, sure], limits={"latency_p95_s": 1.05})
    assert made.trial.number == 0
    assert made.reason.startswith("Trial 0 had the highest quality of 1 finalist that keep the limits")


def test_the_error_is_shared_among_the_finalists():
    """More of them to choose from means wider bounds: 86 calls for the 95th percentile, not 59."""
    alone, among = finalist(), finalist(among=4)
    assert alone.confirm.bounds["latency_p95_s"].level == 0.95
    assert among.confirm.bounds["latency_p95_s"].level == pytest.approx(0.9875)
    assert among.confirm.bounds["latency_p95_s"].high > alone.confirm.bounds["latency_p95_s"].high


def test_when_all_break_a_limit_the_best_is_told():
    """The error names the best trial, its figures and the limits, and what to do."""
    cases = finalist(0, quality=0.7, slow=2.0), finalist(1, quality=0.9, slow=3.0)
    with pytest.raises(InconclusiveError) as caught:
        a_choice(cases, limits=LIMITS)
    assert str(caught.value) == (
        "no trial meets the limits; the best one, trial 1, misses them: latency_p95_s is 3.592, with 95% "
        "confidence above 1; relax aim.within or widen the search"
    )
    assert caught.value.exit_code == 4


def test_when_some_are_unclear_the_nearest_is_told():
    """Its figures, and how many more calls would settle it; those measured above the limit are farther."""
    far, near = finalist(1, quality=0.9, slow=0.825), finalist(2, quality=0.7, slow=0.82)
    above = finalist(3, quality=0.95, slow=0.84)
    cases = finalist(0, slow=3.0), above, far, near
    limits = {"latency_p95_s": 0.99, "usd_per_1k_calls": 2.0}
    assert above.confirm.latency_p95_s > 0.99 > far.confirm.latency_p95_s
    with pytest.raises(InconclusiveError) as caught:
        a_choice(cases, limits=limits)
    told = str(caught.value)
    more = int(one(near, limits).more_calls())
    assert 0 < more < one(far, limits).more_calls()
    assert told.startswith("no trial is sure to meet the limits; the nearest is trial 2: latency_p95_s is")
    assert f"about {more} more calls on the confirm split would settle it" in told
    assert "usd_per_1k_calls" not in told, "that one is kept"


@pytest.mark.parametrize(("hits", "n", "limit"), [(2, 60, 0.05), (20, 100, 0.25), (40, 200, 0.17)])
def test_so_many_more_calls_do_settle_it(hits, n, limit):
    """With the same share of hits, and so many more calls, the bound is about at the limit."""
    trial = replace(a_trial(), failure_rate=hits / n)
    bounds = {"failure_rate": share_bounds(hits, n, level=0.95)}
    (found,) = check(replace(trial, bounds=bounds), {"failure_rate": limit})
    assert found.standing == "unclear"
    whole = n + int(found.more_calls())
    settled = share_bounds(round(hits / n * whole), whole, level=0.95)
    near = settled.high if hits / n < limit else settled.low
    assert near == pytest.approx(limit, rel=0.12)


def test_a_figure_at_its_limit_is_never_settled():
    """No number of calls separates what is equal."""
    trial = replace(a_trial(), failure_rate=0.02, bounds={"failure_rate": share_bounds(2, 100, level=0.95)})
    assert check(trial, {"failure_rate": 0.02})[0].more_calls() == float("inf")
    assert "more calls would not tell" in nobody_keeps([trial], {"failure_rate": 0.02})


# -- limits that nobody wrote


def cut(number, *, rate, quality):
    """A finalist that cut off this share of its answers."""
    made = finalist(number, quality=quality)
    return replace(made, confirm=replace(made.confirm, truncation_rate=rate))


def test_what_cuts_off_too_many_answers_is_not_recommended():
    """5 % cut off loses against a worse one that cuts off 1 %, without any limit in the spec."""
    made = [cut(0, rate=0.01, quality=0.7), cut(1, rate=0.05, quality=0.9)]
    assert a_choice(made).trial.number == 1
    assert a_choice(made, assumed={"truncation_rate": 0.02}).trial.number == 0


def test_where_all_cut_off_too_many_answers_the_way_out_is_told():
    """No recommendation, but what to change."""
    with pytest.raises(
        InconclusiveError,
        match=r"trial, 0, is not recommended: its truncation_rate is 0.3.*max_output_tokens 64",
    ):
        a_choice([cut(0, rate=0.3, quality=0.7)], assumed={"truncation_rate": 0.02})
