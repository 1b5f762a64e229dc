"""Builders: valid records by short calls, which agree with each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import pytest

from harness import cards, findings, insights, records, sheets
from harness.fingerprint import fingerprint
from harness.testing import builders, insight_builders

SIMPLE = [
    function
    for module in (builders, insight_builders)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if name.startswith(("a_", "an_")) and function.__module__ == module.__name__
]


@pytest.mark.parametrize("build", SIMPLE, ids=lambda f: f.__name__)
def test_every_builder_works_without_arguments(build: Callable[..., Any]) -> None:
    """A builder gives a frozen record, the same each time."""
    record = build()
    assert is_dataclass(record)
    assert record == build()
    with pytest.raises(FrozenInstanceError):
        setattr(record, fields(record)[0].name, None)


@pytest.mark.parametrize("build", SIMPLE, ids=lambda f: f.__name__)
def test_a_misspelt_field_is_refused(build: Callable[..., Any]) -> None:
    """A typing error in a test is an error, not a default."""
    with pytest.raises(TypeError, match="no_such_field"):
        build(no_such_field=1)


def test_every_kind_of_record_that_travels_has_a_builder() -> None:
    """Nobody has to fill in a record by hand."""
    built = {type(build()) for build in SIMPLE}
    alone = {records.Message, records.Latency, findings.Paid}  # few fields, or a default for each
    homes = (records, findings, insights, sheets, cards)
    known = [member for home in homes for member in inspect.getmembers(home, is_dataclass)]
    kinds = {kind for _, kind in known if isinstance(kind, type)}
    assert kinds - built == alone


def test_changes_replace_fields() -> None:
    """The fields named are as told, the others stay."""
    trial = builders.a_trial(3, quality=0.5, state="failed")
    assert (trial.number, trial.quality.value, trial.state) == (3, 0.5, "failed")
    assert builders.a_trial(quality=None).quality is None
    assert builders.an_estimate(0.99).high == 1.0


def test_the_parts_of_a_run_agree() -> None:
    """A recommendation is among the trials and the finalists of its run."""
    run = builders.a_run_record()
    choice = run.recommendation
    assert choice.search_trial in run.trials
    assert choice.trial in run.finalists
    assert choice.settings == choice.trial.settings
    assert [trial.number for trial in run.trials] == [0, 1, 2]
    assert {t.split for t in run.finalists} == {"confirm"}


def test_answer_rows_have_right_and_wrong_answers_on_the_same_samples() -> None:
    """Trials are paired by sample, and differ in which samples they miss."""
    rows = builders.answer_rows(8, trials=(0, 1), cached=True)
    by_trial = [[row for row in rows if row.trial == t] for t in (0, 1)]
    assert [r.sample_id for r in by_trial[0]] == [r.sample_id for r in by_trial[1]]
    values = [[r.scores[0].value for r in part] for part in by_trial]
    assert values[0] != values[1]
    assert all(set(v) == {0.0, 1.0} for v in values)
    assert all(row.cached and row.scores[0].sample_id == row.sample_id for row in rows)


def test_records_have_fingerprints() -> None:
    """Everything built is JSON-like, but for moments in time."""
    for build in (builders.a_call, builders.a_trial, builders.a_score, builders.an_answer_row):
        assert len(fingerprint(build())) == 64
