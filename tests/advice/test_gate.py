"""The gate: what makes a baseline stale, what it can see, where floors stand, and the outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.advice.compare import Question, compare
from harness.advice.gate import check_floors, decide, moved, power
from harness.errors import StatsError
from harness.plan.gate_spec import read_floor
from harness.records import Bounds
from harness.testing.builders import a_bounds, a_trial, an_estimate
from harness.testing.sheets import a_sheet, a_side

SHEET = a_sheet()


def standing(floor, *, sheet=SHEET, **trial):
    """Where one floor stands for such a trial."""
    (found,) = check_floors([read_floor(floor)], a_trial(**trial), sheet, "accuracy", 0.95)
    return found


def bounds(low, high, n=100):
    """Bounds of a figure."""
    return a_bounds(low=low, high=high, n=n)


def test_nothing_moved():
    """The same samples, scorers and prices."""
    assert moved(SHEET, SHEET.basis, SHEET.samples, SHEET.basis.prices) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": "f" * 64}, "the samples have the same ids, and other contents"),
        ({"scorers": {"choice": 2}}, "scorers moved: choice from version 1 to 2"),
        ({"scorers": {"exact": 1}}, "choice from version 1 to none, exact from version none to 1"),
        ({"scoring": "f" * 64}, "the scoring moved"),
    ],
)
def test_what_scores_rest_on_makes_a_baseline_stale(change, told):
    """Each in words."""
    (reason,) = moved(SHEET, replace(SHEET.basis, **change), SHEET.samples, None)
    assert told in reason


def test_samples_that_came_and_went_are_named():
    """The first of them."""
    (reason,) = moved(SHEET, SHEET.basis, ("s0", "s1", "t1", "t2"), None)
    assert reason == "the data moved: 2 samples (s2, s3) gone from the baseline, 2 samples (t1, t2) new"


def test_prices_that_moved_are_named_and_unknown_ones_are_not():
    """Of the baseline's own model."""
    (reason,) = moved(SHEET, SHEET.basis, SHEET.samples, {"input": 0.2, "output": 0.4})
    assert reason == "prices of sim/small moved, USD per million tokens: input from 0.1 to 0.2"


def test_a_new_prompt_and_a_new_model_are_no_staleness():
    """They are what a gate is for."""
    basis = replace(SHEET.basis, prompt="f" * 64, prices={"input": 5.0})
    assert moved(SHEET, basis, SHEET.samples, SHEET.basis.prices) == []


def test_power_names_the_drop_that_is_seen():
    """In words, with the number of samples; more samples see smaller drops."""
    found = [
        power(
            a_sheet(scores={"accuracy": (1.0, 1.0, 1.0, 1.0, 0.0) * (n // 5)}),
            "accuracy",
            tolerance=0.03,
            level=0.95,
        )
        for n in (40, 120, 400)
    ]
    drops = [one.drop for one in found]
    assert drops == sorted(drops, reverse=True)
    assert all(drop > 0.03 for drop in drops)
    assert found[1].sentence.startswith("accuracy: with 120 samples and a tolerance of 3 points, a drop of ")
    assert 0 < found[0].twice < found[2].twice < 1
    assert 0 < found[0].unchanged < found[2].unchanged < 1


def test_power_knows_clusters():
    """Copies of a sample see no more than the sample."""
    scores = tuple(np.repeat(np.random.default_rng(1).random(30), 4).tolist())
    groups = tuple(f"g{place // 4}" for place in range(120))
    alone = power(a_sheet(scores={"mean": scores}), "mean", tolerance=0.02, level=0.95)
    grouped = power(a_sheet(scores={"mean": scores}, groups=groups), "mean", tolerance=0.02, level=0.95)
    assert grouped.drop > 1.5 * alone.drop


def test_power_of_tasks_is_by_weight():
    """By hand: variances over sizes, squared weights; samples of a task that counts little see little."""
    scores = tuple(np.random.default_rng(1).random(100).tolist())
    names = tuple(f"{'chat' if place < 20 else 'code'}/{place}" for place in range(100))
    found = {
        weight: power(
            a_sheet(scores={"mean": scores}, samples=names, weights={"chat": weight, "code": 1 - weight}),
            "mean",
            tolerance=0.02,
            level=0.95,
        )
        for weight in (0.2, 0.8)
    }
    variance = 0.64 * np.var(scores[:20], ddof=1) / 20 + 0.04 * np.var(scores[20:], ddof=1) / 80
    assert found[0.8].sd == pytest.approx((100 * variance) ** 0.5)
    assert found[0.8].drop > 1.5 * found[0.2].drop


def test_power_of_a_perfect_baseline_is_not_certain():
    """No wrong answer was seen, which is not that there is none."""
    found = power(a_sheet(scores={"accuracy": (1.0,) * 50}), "accuracy", tolerance=0.01, level=0.95)
    assert found.sd > 0
    assert found.drop > 0.02


def test_power_of_one_sample_is_refused():
    """There is nothing to tell."""
    with pytest.raises(StatsError):
        power(a_sheet(scores={"accuracy": (1.0,)}), "accuracy", tolerance=0.01, level=0.95)


@pytest.mark.parametrize(
    ("floor", "low", "high", "where"),
    [
        ("accuracy >= 0.8", 0.81, 0.93, "keeps"),
        ("accuracy >= 0.8", 0.7, 0.79, "breaks"),
        ("quality >= 0.8", 0.75, 0.93, "unclear"),
    ],
)
def test_a_quality_has_to_reach_its_floor_for_sure(floor, low, high, where):
    """The bounds decide, not the figure."""
    found = standing(floor, quality=an_estimate((low + high) / 2), bounds={"quality": bounds(low, high)})
    assert found.standing == where
    assert "with 95% confidence at" in found.reason


@pytest.mark.parametrize(
    ("low", "high", "where"),
    [(0.5, 1.9, "keeps"), (2.1, 3.0, "breaks"), (1.5, 2.5, "unclear"), (None, None, "unclear")],
)
def test_a_latency_has_to_stay_below_its_limit_for_sure(low, high, where):
    """And so do prices and rates."""
    found = standing("latency_p95_s <= 2", latency_p95_s=1.8, bounds={"latency_p95_s": bounds(low, high)})
    assert found.standing == where


def test_an_unclear_floor_says_how_many_samples_would_settle_it():
    """The distance of a bound shrinks with the root of their number: half of it takes three times more."""
    found = standing("accuracy >= 0.8", quality=0.85, bounds={"quality": bounds(0.75, 0.93)})
    assert found.more == 300
    assert found.reason.endswith("about 300 more samples would settle it, if it stays")


def test_a_rate_of_zero_counts_as_kept():
    """Though so few calls cannot show it, which is said."""
    found = standing("failure_rate <= 0.01", failure_rate=0.0, bounds={"failure_rate": bounds(0.0, 0.03)})
    assert found.standing == "keeps"
    assert "which leaves up to 0.03 possible: it counts as kept" in found.reason


def test_further_scorers_have_floors_too():
    """From their scores by sample, with bounds at the level asked for."""
    sheet = a_sheet(scores={"accuracy": (1.0,) * 40, "polite": (1.0, 0.9, 0.8, 0.9) * 10})
    found = standing("polite >= 0.8", sheet=sheet)
    assert (found.standing, found.value) == ("keeps", pytest.approx(0.9))
    assert standing("polite <= 0.8", sheet=sheet).standing == "breaks"


def test_what_was_not_measured_keeps_no_floor():
    """Unknown is never good enough."""
    assert standing("first_token_p50_s <= 1").standing == "unclear"
    assert standing("polite >= 0.5").reason == "the figure is unknown"


def compared(lost, n=200, **question):
    """A comparison in which so many of the samples are lost."""
    columns = [tuple(float(place >= wrong) for place in range(n)) for wrong in (10, 10 + lost)]
    base, new = (a_side(a_sheet(scores={"accuracy": column})) for column in columns)
    hotter = replace(new.sheet, settings=replace(new.settings, temperature=0.9))
    return compare(base, replace(new, sheet=hotter), Question(**question))


KEPT, BROKEN, UNSURE = (
    standing("accuracy >= 0.8", quality=0.85, bounds={"quality": bounds(*ends)})
    for ends in ((0.82, 0.9), (0.7, 0.79), (0.75, 0.93))
)


@pytest.mark.parametrize(
    ("lost", "floors", "ended", "outcome"),
    [
        (0, (KEPT,), "", "passed"),
        (40, (KEPT,), "", "failed"),
        (0, (KEPT, BROKEN), "", "failed"),
        (0, (UNSURE,), "", "unclear"),
        (4, (KEPT,), "", "unclear"),
        (4, (BROKEN,), "", "failed"),
        (0, (KEPT,), "the budget ended it", "unclear"),
        (40, (), "the budget ended it", "failed"),
    ],
)
def test_the_outcome_is_that_of_the_weakest_part(lost, floors, ended, outcome):
    """Failed before unclear before passed; each outcome has its reason."""
    found, reasons = decide(comparison=compared(lost, tolerance=0.03), floors=floors, ended=ended)
    assert found == outcome
    assert reasons


def test_floors_alone_decide_without_a_baseline():
    """And nothing but a measurement that ended passes without floors."""
    assert decide(comparison=None, floors=[KEPT], ended="")[0] == "passed"
    assert decide(comparison=None, floors=[], ended="")[0] == "passed"
    assert decide(comparison=None, floors=[], ended="no answers")[0] == "unclear"


def test_bounds_of_an_open_end_are_told_as_far_as_they_go():
    """Only a lower end is known."""
    found = standing(
        "latency_p95_s <= 2",
        latency_p95_s=2.5,
        bounds={"latency_p95_s": Bounds(low=2.2, high=None, level=0.95, n=30, method="order statistics")},
    )
    assert found.standing == "breaks"
    assert found.reason == "it is 2.5, with 95% confidence at least 2.2"
