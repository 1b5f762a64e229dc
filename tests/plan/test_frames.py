"""Rows from Python: frames and lists are written down, and are then a data set like any other."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import DataError, SpecError, UsageError
from harness.plan.frames import with_rows_written
from harness.plan.planner import make_plan
from harness.testing.simulator import simulated_experiment


def written(tmp_path, dataset):
    """The rows that a spec with this data set leaves in the cache."""
    spec = with_rows_written({"task": {"dataset": dataset}}, tmp_path)
    lines = Path(spec["task"]["dataset"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_frame_is_planned_like_its_rows_in_a_file(tmp_path):
    """The same samples, splits and order, and no word of pandas in the plan."""
    made = simulated_experiment(tmp_path / "e", n_samples=60)
    frame = pd.DataFrame(list(made.rows))
    task = {**made.spec["task"], "dataset": frame}
    plan = make_plan({**made.spec, "task": task}, cache=tmp_path / "cache")
    of_file = make_plan(made.spec, cache=tmp_path / "cache")
    assert plan.task.rows.ids("all") == of_file.task.rows.ids("all")
    first = plan.task.rows.ids("search")[0]
    assert plan.task.rows.sample(first) == of_file.task.rows.sample(first)
    assert "DataFrame" not in plan.spec_text


def test_values_of_a_frame_become_plain_ones(tmp_path):
    """Numbers stay numbers, moments become ISO texts, and what is missing is null, whatever its type."""
    frame = pd.DataFrame(
        {
            "text": pd.Series(["a", None], dtype="string"),
            "n": pd.Series([1, None], dtype="Int64"),
            "share": [0.5, float("nan")],
            "flag": np.array([True, False]),
            "at": pd.to_datetime(["2026-03-01", None]),
            "mixed": pd.Series([np.int64(3), "x"], dtype="object"),
            "tags": [["x", "y"], []],
        }
    )
    assert written(tmp_path, frame) == [
        {
            "text": "a",
            "n": 1,
            "share": 0.5,
            "flag": True,
            "at": "2026-03-01T00:00:00",
            "mixed": 3,
            "tags": ["x", "y"],
        },
        {"text": None, "n": None, "share": None, "flag": False, "at": None, "mixed": "x", "tags": []},
    ]


def test_equal_rows_have_one_file(tmp_path):
    """So that a second cell of a notebook finds the answers of the first; nothing half-written stays."""
    rows = [{"text": "a", "target": "b", "on": dt.date(2026, 1, 2)}]
    for dataset in (rows, pd.DataFrame(rows)):
        assert written(tmp_path, dataset)[0]["on"] == "2026-01-02"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("dataset", "error", "said"),
    [
        (7, UsageError, "task.dataset is int"),
        (["text"], UsageError, "expected a mapping a row"),
        ([{"text": b"x"}], DataError, "holds bytes in column 'text'"),
        ([{"text": object()}], DataError, "holds object in column 'text'"),
    ],
)
def test_what_is_no_rows_is_refused(tmp_path, dataset, error, said):
    """With what was found; no file is left behind."""
    with pytest.raises(error, match=said):
        written(tmp_path, dataset)
    assert list(tmp_path.iterdir()) == []


def test_faults_of_rows_are_told_as_those_of_a_file(tmp_path):
    """The second row of a list is line 2."""
    made = simulated_experiment(tmp_path / "e", n_samples=10)
    rows = [*made.rows[:1], {"text": "no target"}, *made.rows[2:]]
    with pytest.raises(SpecError, match=r"rows-.*\.jsonl:2: has no 'id', 'target'"):
        make_plan({**made.spec, "task": {**made.spec["task"], "dataset": rows}}, cache=tmp_path)
