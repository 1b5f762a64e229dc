"""Trials and scores as tables that other tools read."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.outputs import frames
from harness.records import Score


def test_trials_have_one_line_per_split_with_known_columns(make):
    """Search trials by number, then finalists; figures first, settings last."""
    frame = frames.trials_frame(make.record())
    assert list(frame.columns[:7]) == [
        "number",
        "state",
        "split",
        "value",
        "value_low",
        "value_high",
        "samples",
    ]
    assert list(frame.columns[-3:]) == ["params_model", "params_prompt", "params_temperature"]
    assert list(zip(frame["number"], frame["split"], strict=True))[3:5] == [(3, "search"), (0, "confirm")]
    assert frame.loc[2, "value"] == pytest.approx(0.87)


def test_unknown_figures_are_missing_not_zero(make):
    """An unknown price and a missing quality are NaN."""
    trial = make.trial(0, quality=None, usd_per_1k_calls=None, latency_p50_s=None, model_class=None)
    frame = frames.trials_frame(make.record(trials=(trial,), finalists=()))
    assert frame[["value", "usd_per_1k_calls", "latency_p50_s", "model_class"]].isna().all(axis=None)


def test_trials_frame_without_trials_keeps_its_columns(make):
    """A run that began no trial still has a table."""
    frame = frames.trials_frame(make.record(trials=(), finalists=()))
    assert frame.empty
    assert "value" in frame.columns


def test_trials_survive_parquet(make, tmp_path):
    """Whole numbers stay whole beside missing ones, lists are JSON text, mixed values too."""
    settings = [
        make.settings(max_output_tokens=64, stop=("\n", "END"), extra={"k": 1}),
        make.settings(temperature=None, extra={"k": "a"}),
        make.settings(extra={"flag": True, "big": 2**70}),
    ]
    trials = tuple(make.trial(n, settings=s) for n, s in enumerate(settings))
    record = make.record(trials=trials, finalists=())
    back = pd.read_parquet(frames.write_trials(record, tmp_path / "trials.parquet"))
    pd.testing.assert_frame_equal(back, frames.trials_frame(record))
    assert back["params_max_output_tokens"].tolist() == [64, pd.NA, pd.NA]
    assert json.loads(back.loc[0, "params_stop"]) == ["\n", "END"]
    assert [json.loads(text) for text in back["params_k"][:2]] == [1, "a"]
    assert json.loads(back.loc[2, "params_big"]) == 2**70
    assert back["params_temperature"].isna().tolist() == [False, True, False]


def test_scores_have_one_line_per_score(make, tmp_path):
    """Two scorers give two lines, a failed call one without scorer; nothing is dropped."""
    two = tuple(
        Score(sample_id="a", repeat=0, scorer=s, version=1, value=v) for s, v in (("x", 1.0), ("y", None))
    )
    rows = [
        make.row("a", scores=two, target={"label": "NA"}),
        make.row("b", text=None, failure="timeout", scores=(), price_usd=None, target=None),
    ]
    table = pq.read_table(frames.write_scores(rows, tmp_path / "scores.parquet")).to_pylist()
    assert [(line["sample_id"], line["scorer"], line["value"]) for line in table] == [
        ("a", "x", 1.0),
        ("a", "y", None),
        ("b", None, None),
    ]
    assert json.loads(table[0]["target"]) == {"label": "NA"}
    assert (table[2]["failure"], table[2]["text"], table[2]["price_usd"]) == ("timeout", None, None)


def test_scores_stream_in_batches(make, tmp_path):
    """Rows are taken as they are written: never more than one batch ahead."""
    path = tmp_path / "scores.parquet"
    total = 2 * frames.BATCH_LINES + 5
    frames.write_scores((make.row(f"s{n}") for n in range(total)), path)
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.ParquetFile(path).metadata.num_rows == total


def test_hostile_text_is_stored_as_it_is(make, tmp_path):
    """Answers such as "NA", empty text, NUL and lone surrogates come back, the last with "?"."""
    rows = [make.row(str(n), text=text) for n, text in enumerate(["NA", "", "a\0b", "x\ud800"])]
    table = pq.read_table(frames.write_scores(rows, tmp_path / "scores.parquet"))
    assert table["text"].to_pylist() == ["NA", "", "a\0b", "x?"]


def test_no_scores_give_a_readable_file(tmp_path):
    """A run without rows has a table with columns and no lines."""
    assert pq.read_table(frames.write_scores([], tmp_path / "scores.parquet")).num_rows == 0
