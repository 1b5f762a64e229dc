"""Figures for notebooks: what plotly is given, and what a saved notebook shows in its place."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.advice.compare import Question, compare
from harness.errors import UsageError
from harness.findings import Breakdown, Slice
from harness.outputs.plots import KINDS, comparison_picture, picture
from harness.testing.finished import a_finished_run
from harness.testing.insight_builders import a_cache_report
from harness.testing.sheets import a_sheet, a_side


@pytest.fixture(scope="module")
def record():
    """The record of a search of 24 trials."""
    return a_finished_run().record


def drawn(figure):
    """Trial number by its place, over all traces that are points."""
    return {
        int(text): (x, y)
        for trace in figure.data
        if trace.text is not None
        for text, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }


def rows(figure):
    """Value by row, over all traces."""
    return {name: value for trace in figure.data for name, value in zip(trace.y, trace.x, strict=True)}


def test_each_trial_stands_once_at_its_confirm_value(make):
    """A finalist is drawn where the confirm split put it, others where the search did."""
    points = drawn(picture(make.record(), "prices"))
    assert points[2] == (0.12, 0.84)
    assert points[1] == (0.12, 0.5)
    assert sorted(points) == [0, 1, 2, 3]


def test_latency_takes_the_place_of_the_price(make):
    """When it is asked for."""
    record = make.record(trials=(make.trial(0), make.trial(1, latency_p50_s=0.9)), finalists=())
    assert drawn(picture(record, "latencies"))[1][0] == 0.9


def test_an_unknown_price_is_not_drawn(make):
    """A trial without a price is not put at zero."""
    trials = (make.trial(0), make.trial(1, usd_per_1k_calls=None))
    assert sorted(
        drawn(picture(make.record(trials=trials, finalists=(), recommendation=None), "prices"))
    ) == [0]


def test_prices_far_apart_get_a_logarithmic_axis(make):
    """And free ones do not: zero has no logarithm."""
    for cheap, kind in ((0.02, "log"), (0.0, None)):
        trials = (make.trial(0, usd_per_1k_calls=cheap), make.trial(1, usd_per_1k_calls=3.0))
        figure = picture(make.record(trials=trials, finalists=(), recommendation=None), "prices")
        assert figure.layout.xaxis.type == kind


def test_the_front_is_the_line_of_the_report(record):
    """Through the finalists that none beats, from the cheapest up, in steps."""
    (line,) = (trace for trace in picture(record, "prices").data if trace.mode == "lines")
    front = [one.trial for one in record.recommendation.pareto if "price" in one.against]
    assert line.x == tuple(sorted(trial.usd_per_1k_calls for trial in front))
    assert line.line.shape == "hv"


def test_the_race_has_a_colour_a_state(make):
    """The height of a bar is what the trial saw; the recommended one has a star."""
    bars = {trace.name: (list(trace.x), list(trace.y)) for trace in picture(make.record(), "race").data}
    assert bars["eliminated early"] == ([1], [24])
    assert bars["complete"][0] == [0, 2, 3]
    assert bars["recommended"] == ([2], [196])


def test_settings_have_a_row_a_value(record):
    """With the mean that the report's table has."""
    temperature = next(effect for effect in record.effects if effect.name == "temperature")
    found = rows(picture(record, "settings"))
    assert found["temperature: 0.2"] == temperature.levels[1].quality.value


def test_ties_are_the_choice_minus_each_other_finalist(record):
    """In points of a hundred."""
    found = rows(picture(record, "ties"))
    assert len(found) == len(record.recommendation.differences)
    nearest = min(record.recommendation.differences, key=lambda pair: (pair.difference.value, pair.other))
    assert next(iter(found.values())) == pytest.approx(100 * nearest.difference.value)


def test_slices_stand_beside_the_quality_of_all(record):
    """A line marks it."""
    figure = picture(record, "slices")
    assert rows(figure)["language: de"] == pytest.approx(22 / 30)
    assert figure.layout.shapes[0].x0 == record.recommendation.trial.quality.value


def test_latency_goes_from_the_median_to_the_95th_percentile(record):
    """Of each finalist, and of each part that was timed."""
    trial = record.finalists[0]
    figure = picture(record, "latency")
    total = next(trace for trace in figure.data if trace.name == "total")
    assert total.x[0] == trial.latency_p50_s
    assert total.error_x.array[0] == pytest.approx(trial.latency_p95_s - trial.latency_p50_s)
    assert {trace.name for trace in figure.data} == {"total", "first token", "queue"}


def test_a_threshold_is_drawn_with_those_of_others(record):
    """The curves of the report, and a line for each threshold."""
    figure = picture(
        replace(record, caches=(a_cache_report(trial=record.recommendation.trial.number),)), "threshold"
    )
    assert [trace.name for trace in figure.data][:2] == ["same texts that hit", "different texts that hit"]
    assert len(figure.layout.shapes) == len(figure.layout.annotations) > 0


def test_a_comparison_has_a_row_a_metric():
    """New minus base, in points, beside what may be lost."""
    columns = [tuple(float(place >= wrong) for place in range(200)) for wrong in (10, 30)]
    base, new = (a_side(a_sheet(scores={"accuracy": column})) for column in columns)
    figure = comparison_picture(compare(base, new, Question()))
    assert rows(figure)["accuracy"] == pytest.approx(-10.0)
    assert {shape.x0 for shape in figure.layout.shapes} == {0.0, -1.0}


def test_what_a_run_has_not_is_one_message_that_names_what_it_has(make):
    """Nobody guesses methods."""
    with pytest.raises(UsageError) as caught:
        picture(make.record(breakdowns=()), "threshold")
    message = str(caught.value)
    assert (
        "has nothing for plot_threshold() to draw: it is not about a semantic cache; it has something"
        in message
    )
    assert 'plot_front(), plot_front("latency"), plot_race(), plot_ties(), plot_latency()' in message


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "threshold"])
def test_a_saved_notebook_keeps_little_and_shows_it_without_scripts(kind):
    """Of 200 trials: the JSON that a notebook's front end draws, and the same picture as HTML."""
    figure = picture(a_finished_run(trials=200).record, kind)
    assert len(json.dumps(figure.to_plotly_json(), default=list)) < 200_000
    assert len(figure._static.encode()) < 200_000
    assert "<script" not in figure._static
    assert "http" not in figure._static.replace("http://www.w3.org", "")
    assert figure._alt


def test_texts_from_outside_are_escaped(make):
    """Hover texts may hold HTML; a model's name must not become markup there, nor in the saved picture."""
    hostile = make.settings(model="openai/<b>x</b>")
    slices = (Slice(field="<b>x</b>", value="<b>x</b>", samples=9, quality=make.estimate()),)
    record = make.record(
        trials=(make.trial(0, settings=hostile),),
        finalists=(),
        recommendation=None,
        breakdowns=(Breakdown(trial=0, split="search", slices=slices),),
    )
    for kind in ("prices", "race", "slices", "latency"):
        figure = picture(record, kind)
        assert "&lt;b&gt;x" in figure.data[0].hovertext[0]
        assert "<b>" not in json.dumps(figure.to_plotly_json(), default=list)
        assert "<b>" not in figure._static
