"""What each setting did to quality, in words."""

from __future__ import annotations

import pytest

from harness.insights import SettingEffect, SettingLevel
from harness.outputs import report
from harness.outputs.effects import effect_data


@pytest.fixture
def heat(make):
    """A setting with a value that is not sent, a single one, and a range."""
    levels = (
        SettingLevel(value=None, trials=2, quality=None),
        SettingLevel(value=0.0, upto=0.0, trials=4, quality=make.estimate(0.8, 0.7, 0.9)),
        SettingLevel(value=0.2, upto=0.55, trials=5, quality=make.estimate(0.7, 0.6, 0.8)),
    )
    return SettingEffect(name="max_output_tokens", levels=levels, importance={"fANOVA": 0.625})


def test_values_and_figures_in_words(make, heat):
    """A range by its ends, a missing value as not sent, and too few trials as what they are."""
    (lines,) = effect_data(make.record(effects=(heat,))).settings
    assert lines.name == "max output tokens"
    assert [(line.value, line.quality.text) for line in lines.levels] == [
        ("not sent", "not enough data"),
        ("0.0", "0.80 [0.70, 0.90]"),
        ("0.2 to 0.55", "0.70 [0.60, 0.80]"),
    ]
    none, cool, hot = (line.span for line in lines.levels)
    assert none is None
    assert hot.value < cool.value


def test_importance_is_a_share_or_a_reason(make, heat):
    """A setting that some trial lacks has none."""
    partly = SettingEffect(name="stop", levels=heat.levels)
    first, second = effect_data(make.record(effects=(heat, partly))).settings
    assert [cell.text for cell in (*first.importance, *second.importance)] == ["62.5%", "not in every trial"]


def test_too_few_trials_are_said_to_be_too_few(make, heat):
    """In place of a table of importances."""
    plain = SettingEffect(name=heat.name, levels=heat.levels)
    told = tuple(make.trial(n, told=0.5) for n in range(3))
    record = make.record(effects=(plain,), trials=told, finalists=(), recommendation=None)
    assert effect_data(record).without == "Importances by Optuna: not enough data, 3 trials."
    assert "not enough data, 3 trials" in report.html(record)


def test_a_run_that_searched_nothing_has_no_such_part(make):
    """Nor a link to it."""
    assert effect_data(make.record()) is None
    assert "What each setting did" not in report.html(make.record())
