"""What stands behind a quality, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.findings import Breakdown
from harness.outputs.breakdowns import breakdown_data, breakdown_document, scorer_lines
from harness.outputs.frames import write_slices
from harness.testing.builders import a_label_line, a_run_record, a_slice, a_trial, an_estimate

TRIAL = a_trial(0, quality=0.8)


def recorded(**parts):
    """A record whose only trial has this breakdown."""
    breakdown = Breakdown(trial=0, split="search", **parts)
    return replace(
        a_run_record(), trials=(TRIAL,), finalists=(), recommendation=None, breakdowns=(breakdown,)
    )


@pytest.mark.parametrize(
    ("quality", "reading"),
    [
        (an_estimate(0.7, half_width=0.05), "below the whole"),
        (an_estimate(0.9, half_width=0.05), "above the whole"),
        (an_estimate(0.7, half_width=0.15), "no clear difference"),
        (None, "too few samples"),
    ],
)
def test_a_slice_is_read_by_its_interval(quality, reading):
    """Only what lies beside the whole is said to."""
    (line,) = breakdown_data(recorded(slices=(a_slice(quality=quality),))).slices
    assert line.reading == reading
    assert line.quality.order == (None if quality is None else quality.value)


def test_confusions_are_named_most_first():
    """Three of them at most; an answer without a label is one."""
    confused = {"bug": 9, "": 3, "billing": 2, "how-to": 1, "other": 1}
    figures = a_label_line(label="bug", precision=None, confused=confused)
    (line,) = breakdown_data(recorded(labels=(figures,))).labels
    assert line.confused == "no label 3, billing 2, how-to 1, ..."
    assert line.precision.text == "not measured"


def test_nothing_to_break_down_shows_nothing(tmp_path):
    """No table, no file; one of an earlier report goes."""
    assert breakdown_data(replace(a_run_record(), breakdowns=())) is None
    assert breakdown_data(recorded()) is None
    assert breakdown_document(replace(a_run_record(), breakdowns=())) == {}
    stale = tmp_path / "slices.parquet"
    stale.write_text("old")
    assert write_slices(recorded(), stale) == []
    assert not stale.exists()


def test_a_further_scorer_is_shown_with_its_interval_where_there_is_one():
    """Else its mean alone."""
    record = recorded(scorers={"rouge": an_estimate(0.5, half_width=0.1, n=30)})
    trial = replace(TRIAL, metrics={"rouge": 0.5, "length": 1.0})
    assert scorer_lines(record, trial) == (
        ("Mean of rouge", "0.50 [0.40, 0.60], n=30"),
        ("Mean of length", "1.00"),
    )
