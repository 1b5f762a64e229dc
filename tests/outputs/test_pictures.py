"""Pictures: what is drawn, where, and what is said about it."""

from __future__ import annotations

import json
from dataclasses import replace

from harness.outputs import pictures


def drawn(picture):
    """Trial number by its place, over all traces."""
    return {
        int(text): (x, y)
        for trace in picture.figure["data"]
        for text, x, y in zip(trace["text"], trace["x"], trace["y"], strict=True)
    }


def test_each_trial_stands_once_at_its_confirm_value(make):
    """A finalist is drawn where the confirm split put it, others where the search did."""
    points = drawn(pictures.quality_picture(make.record()))
    assert points[2] == (0.12, 0.84)
    assert points[1] == (0.12, 0.5)
    assert sorted(points) == [0, 1, 2, 3]


def test_equal_prices_give_way_to_latency(make):
    """With nothing to tell prices apart, quality is drawn against latency."""
    record = make.record(trials=(make.trial(0), make.trial(1, latency_p50_s=0.9)), finalists=())
    picture = pictures.quality_picture(record)
    assert "latency" in picture.title
    assert drawn(picture)[1][0] == 0.9


def test_unknown_price_is_told_not_drawn(make):
    """A trial without a price is not put at zero; the text says that it is missing."""
    trials = (make.trial(0), make.trial(1, usd_per_1k_calls=0.9), make.trial(2, usd_per_1k_calls=None))
    picture = pictures.quality_picture(make.record(trials=trials, finalists=(), recommendation=None))
    assert sorted(drawn(picture)) == [0, 1]
    assert "1 trial of the table" in picture.alt


def test_nothing_measured_draws_nothing(make):
    """Without any quality there is no picture."""
    record = make.record(trials=(make.trial(0, quality=None),), finalists=())
    assert pictures.quality_picture(record) is None
    assert pictures.race_picture(make.record(trials=())) is None


def test_wide_prices_get_a_logarithmic_axis_with_money_on_it(make):
    """Ticks are written as prices."""
    trials = (make.trial(0, usd_per_1k_calls=0.02), make.trial(1, usd_per_1k_calls=3.0))
    axis = pictures.quality_picture(make.record(trials=trials, finalists=())).figure["layout"]["xaxis"]
    assert axis["type"] == "log"
    assert "$0.05" in axis["ticktext"]


def test_free_beside_paid_keeps_a_linear_axis(make):
    """Zero has no logarithm."""
    trials = (make.trial(0, usd_per_1k_calls=0.0), make.trial(1, usd_per_1k_calls=3.0))
    picture = pictures.quality_picture(make.record(trials=trials, finalists=()))
    assert picture.figure["layout"]["xaxis"]["type"] == "linear"
    assert "free" in picture.alt


def test_the_recommended_trial_is_marked_in_both_pictures(make):
    """A star in the picture, in the legend, and a word in the text."""
    quality, race = pictures.quality_picture(make.record()), pictures.race_picture(make.record())
    assert [trace["marker"]["symbol"] for trace in quality.figure["data"]].count("star") == 1
    assert quality.legend[0].label == race.legend[-1].label == "recommended"
    assert "Recommended: trial 2" in quality.alt


def test_race_groups_bars_by_state(make):
    """One colour a state, and the height is what the trial saw."""
    race = pictures.race_picture(make.record())
    bars = {trace["marker"]["color"]: (list(trace["x"]), list(trace["y"])) for trace in race.figure["data"]}
    assert bars["var(--eliminated)"] == ([1], [24])
    assert "3 complete, 1 eliminated early" in race.alt


def test_hover_text_is_escaped_and_figures_are_json(make):
    """Hover texts may hold HTML; a model's name must not become markup there."""
    hostile = make.settings(model="openai/<b>x</b>")
    record = make.record(trials=(make.trial(0, settings=hostile),), finalists=())
    for picture in (pictures.quality_picture(record), pictures.race_picture(record)):
        text = json.dumps(picture.figure, allow_nan=False)
        assert "&lt;b&gt;x" in text
        assert "<b>" not in text


def test_many_trials_lose_their_labels_but_not_the_finalists(make):
    """Numbers that would cover each other are left to the hover text."""
    many = tuple(make.trial(n, usd_per_1k_calls=0.1 + n) for n in range(pictures.MOST_LABELS + 5))
    finalist = replace(many[4], split="confirm")
    picture = pictures.quality_picture(make.record(trials=many, finalists=(finalist,), recommendation=None))
    modes = {trace["marker"]["symbol"]: trace["mode"] for trace in picture.figure["data"]}
    assert modes == {"circle-open": "markers", "circle": "markers+text"}
