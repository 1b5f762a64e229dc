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
            "took": pd.to_timedelta(["90s", None]),
            "month": pd.PeriodIndex(["2026-03", "2026-04"], freq="M"),
            "scores": [np.array([1, 2]), np.array([0.5])],
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
            "took": "0 days 00:01:30",
            "month": "2026-03",
            "scores": [1, 2],
        },
        {
            **dict.fromkeys(["text", "n", "share", "at", "took"]),
            "flag": False,
            "mixed": "x",
            "tags": [],
            "month": "2026-04",
            "scores": [0.5],
        },
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
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), UsageError, "several columns called 'a'"),
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
    with pytest.raises(SpecError, match=r"task\.dataset:2: has no 'id'; its columns are 'text'"):
        make_plan({**made.spec, "task": {**made.spec["task"], "dataset": rows}}, cache=tmp_path)


def test_columns_of_a_frame_are_named_in_the_task(tmp_path):
    """Without a definition file: target, and metadata to slice by."""
    made = simulated_experiment(tmp_path / "e", n_samples=40)
    frame = pd.DataFrame(made.rows).rename(columns={"target": "label"})
    frame["lang"] = ["de", "en"] * 20
    task = {**made.spec["task"], "dataset": frame, "slices": ["lang"]}
    with pytest.raises(SpecError, match=r"slices\[0\].*under `columns.metadata`"):
        make_plan({**made.spec, "task": {**task, "columns": {"target": "label"}}}, cache=tmp_path / "c")
    columns = {"target": "label", "metadata": ["lang"]}
    rows = make_plan({**made.spec, "task": {**task, "columns": columns}}, cache=tmp_path / "c").task.rows
    sample = rows.sample(rows.ids("all")[0])
    assert sample.target in set(frame["label"])
    assert set(sample.metadata) == {"lang"}


def test_a_split_of_the_hugging_face_library_is_a_list_of_rows(tmp_path):
    """As it comes from `load_dataset`."""
    datasets = pytest.importorskip("datasets")
    rows = [{"text": "a", "target": "b"}, {"text": "c", "target": "d"}]
    assert written(tmp_path, datasets.Dataset.from_list(rows)) == rows
