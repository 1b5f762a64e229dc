"""Figures for notebooks: what plotly is given."""

from __future__ import annotations

from harness.outputs.plots import front_figure, race_figure


def drawn(figure):
    """Trial number by its place, over all traces."""
    return {
        int(text): (x, y)
        for trace in figure.data
        for text, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }


def test_each_trial_stands_once_at_its_confirm_value(make):
    """A finalist is drawn where the confirm split put it, others where the search did."""
    points = drawn(front_figure(make.record()))
    assert points[2] == (0.12, 0.84)
    assert points[1] == (0.12, 0.5)
    assert sorted(points) == [0, 1, 2, 3]


def test_latency_takes_the_place_of_the_price(make):
    """When it is asked for."""
    record = make.record(trials=(make.trial(0), make.trial(1, latency_p50_s=0.9)), finalists=())
    assert drawn(front_figure(record, against="latency"))[1][0] == 0.9


def test_an_unknown_price_is_not_drawn(make):
    """A trial without a price is not put at zero."""
    trials = (make.trial(0), make.trial(1, usd_per_1k_calls=None))
    assert sorted(drawn(front_figure(make.record(trials=trials, finalists=(), recommendation=None)))) == [0]


def test_prices_far_apart_get_a_logarithmic_axis(make):
    """And free ones do not: zero has no logarithm."""
    for cheap, kind in ((0.02, "log"), (0.0, None)):
        trials = (make.trial(0, usd_per_1k_calls=cheap), make.trial(1, usd_per_1k_calls=3.0))
        figure = front_figure(make.record(trials=trials, finalists=(), recommendation=None))
        assert figure.layout.xaxis.type == kind


def test_the_race_has_a_colour_a_state(make):
    """The height of a bar is what the trial saw."""
    bars = {trace.name: (list(trace.x), list(trace.y)) for trace in race_figure(make.record()).data}
    assert bars["eliminated early"] == ([1], [24])
    assert bars["complete"][0] == [0, 2, 3]


def test_hover_text_is_escaped(make):
    """Hover texts may hold HTML; a model's name must not become markup there."""
    hostile = make.settings(model="openai/<b>x</b>")
    record = make.record(trials=(make.trial(0, settings=hostile),), finalists=(), recommendation=None)
    for figure in (front_figure(record), race_figure(record)):
        assert "&lt;b&gt;x" in figure.data[0].hovertext[0]
        assert "<b>" not in figure.data[0].hovertext[0]
