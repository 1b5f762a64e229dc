"""Pictures of the report: what is drawn, where, and what is said about it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.outputs.axes import Box, Labels, Scale, scale, steps
from harness.outputs.charts import race, scatters
from harness.outputs.spans import WIDTH, spans
from harness.testing.finished import a_finished_run

FIGURES = st.floats(1e-6, 1e6)


def points(record, number=0):
    """Points of one picture by trial."""
    return {point.number: point for point in scatters(record)[number].points}


@given(st.lists(FIGURES, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_figures_keep_their_order_inside_the_picture(values, zero, log):
    """Larger figures stand further on, none beyond the ends, and ticks are round figures in between."""
    line = scale(values, 10, 110, zero=zero, log=log)
    places = [line.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(10 <= place <= 110 for place in places)
    ticks = line.ticks(6)
    assert ticks == sorted(set(ticks))
    assert all(line.low <= tick * (1 + 1e-6) and tick <= line.high * (1 + 1e-6) for tick in ticks)


def test_ticks_by_hand():
    """1, 2, 2.5 and 5 times a power of ten; on a logarithmic axis 1, 2 and 5 of each decade."""
    assert Scale(0, 1, 0, 100).ticks(5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert Scale(0.61, 0.97, 0, 100).ticks(4) == [0.7, 0.8, 0.9]
    assert Scale(0.04, 3, 0, 100, log=True).ticks(9) == [0.05, 0.1, 0.2, 0.5, 1, 2]


def test_labels_cover_neither_points_nor_each_other():
    """Beside a point, else on its other side, else nowhere."""
    labels = Labels(Box(0, 0, 100, 20))
    for x in (50, 58):
        labels.mark(x, 10, 4)
    left = labels.place(50, 10, width=14, height=12, gap=6)
    right = labels.place(58, 10, width=14, height=12, gap=6)
    assert left[0] < 50
    assert right[0] > 58
    assert labels.place(54, 10, width=60, height=12, gap=6) is None


def test_a_front_goes_level_and_then_up():
    """From left to right; between two trials nobody does better than the cheaper one."""
    assert steps([(30, 10), (10, 50), (20, 40)]) == "M10 50H20V40H30V10"


def test_each_trial_stands_once_at_its_confirm_value(make):
    """A finalist is filled and stands where the confirm split put it, others are hollow."""
    found = points(make.record(), -1)
    assert sorted(found) == [0, 1, 2, 3]
    assert {number: point.shape for number, point in found.items()} == {
        0: "filled",
        1: "hollow",
        2: "star",
        3: "filled",
    }
    assert found[2].y < found[0].y, "0.84 is above 0.78"
    assert found[2].top < found[2].y < found[2].bottom


def test_an_axis_on_which_nothing_differs_is_left_out(make):
    """With one price for all there is one picture, against latency; with none at all, none."""
    trials = (make.trial(0), make.trial(1, latency_p50_s=0.9))
    record = make.record(trials=trials, finalists=(), recommendation=None)
    assert [shown.title for shown in scatters(record)] == ["Accuracy against median latency"]
    nothing = replace(record, trials=(make.trial(0, quality=None),))
    assert scatters(nothing) == ()
    assert race(make.record(trials=())) is None


def test_an_unknown_price_is_told_not_drawn(make):
    """A trial without a price is not put at zero; the text says that it is missing."""
    trials = (make.trial(0), make.trial(1, usd_per_1k_calls=0.9), make.trial(2, usd_per_1k_calls=None))
    record = make.record(trials=trials, finalists=(), recommendation=None)
    assert sorted(points(record)) == [0, 1]
    assert "1 trial of the table" in scatters(record)[0].alt


def test_prices_far_apart_get_a_logarithmic_axis_with_money_on_it(make):
    """And free ones beside paid ones do not: zero has no logarithm."""
    for cheap, words in ((0.02, "(logarithmic)"), (0.0, "1,000 calls")):
        trials = (make.trial(0, usd_per_1k_calls=cheap), make.trial(1, usd_per_1k_calls=3.0))
        shown = scatters(make.record(trials=trials, finalists=(), recommendation=None))[0]
        assert shown.x_title.endswith(words)
    assert {tick.text for tick in shown.x_ticks} >= {"free", "$1.00"}


def test_the_front_is_the_one_that_advice_found(make):
    """Marked by a line through its trials, named in the legend and in the text."""
    shown = scatters(a_finished_run().record)[0]
    assert re.fullmatch(r"M[\d.]+ [\d.]+(H[\d.]+V[\d.]+)+", shown.front)
    assert shown.legend[-1].shape == "line"
    assert "On the front: trial " in shown.alt
    assert scatters(make.record())[0].front == "", "one trial alone is no line"


def test_among_many_trials_only_finalists_show_their_intervals():
    """The others show theirs when they are selected; important points lie on top."""
    shown = scatters(a_finished_run(trials=60).record)[0]
    assert {point.quiet for point in shown.points if point.shape == "hollow"} == {True}
    assert {point.quiet for point in shown.points if point.shape != "hollow"} == {False}
    assert shown.points[-1].shape == "star"


def test_race_bars_are_as_high_as_what_was_seen(make):
    """One bar a trial, coloured by how it ended; the text says what early stopping saved."""
    shown = race(make.record())
    bars = {bar.number: bar for bar in shown.bars}
    assert bars[1].colour == "eliminated"
    assert bars[1].height / bars[0].height == pytest.approx(24 / 196, abs=0.01)
    assert [bar.number for bar in shown.bars if bar.chosen] == [2]
    assert "3 complete, 1 eliminated early. Together they saw 612 samples; without early" in shown.alt


def test_spans_share_one_line_around_zero(make):
    """Intervals of one column are drawn on one scale; unknown ones have no picture."""
    low, none, high = spans(
        [make.estimate(-0.1, -0.2, 0), None, make.estimate(0.1, 0, 0.2)], differences=True
    )
    assert none is None
    assert low.high == low.zero == high.low == pytest.approx(WIDTH / 2, abs=0.1)
    assert low.low < low.value < low.high
