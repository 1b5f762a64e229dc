"""Promises of traced calls: what is wanted is kept, once and within bounds, and always the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.findings import AnswerRow, RunRecord
from harness.outputs.traces import LONGEST_TEXT, TracedCall, Traces, read_traces, traced_files, tracing
from harness.records import Call, CallFailure, Completion, Latency, Message, Outcome, Reply, Settings, Usage
from harness.run import tune
from harness.testing.builders import an_answer_row

CALL = Call(
    settings=Settings(model="openai/small", prompt="plain", temperature=0.2, seed=7),
    sample_id="s1",
    messages=(Message("system", "Name the team."), Message("user", "My invoice is wrong.")),
)
ANSWER = Completion(
    call=CALL,
    reply=Reply(text="billing", usage=Usage(input_tokens=40, output_tokens=2)),
    price_usd=0.000014,
    latency=Latency(queue_s=0.1, total_s=0.25),
    cached=False,
    at=datetime(2026, 5, 4, 12, 0, 1, tzinfo=UTC),
)
REFUSED = CallFailure(call=CALL, kind="filtered", message="not this one", attempts=1, retryable=False)


def row(trial: int = 0, split: Any = "search", outcome: Outcome = ANSWER, **fields: Any) -> AnswerRow:
    """An answered row."""
    return an_answer_row(trial=trial, split=split, outcome=outcome, **fields)


def kept(
    folder: Path, record: RunRecord, rows: Iterable[AnswerRow], traces: Traces = "all"
) -> dict[str, list[TracedCall]]:
    """What is kept of these rows, by trial and split."""
    list(tracing(rows, record, traces, folder))
    return {f"{number} {split}": list(read_traces(path)) for number, split, path in traced_files(folder)}


def test_a_call_is_told_whole(tmp_path: Path, make: Any) -> None:
    """What was asked with which settings, what was said, paid and scored, and when."""
    (call,) = kept(tmp_path, make.record(), [row()])["0 search"]
    said = call.attributes
    assert said["mlflow.spanInputs"] == {
        "messages": [
            {"role": "system", "content": "Name the team."},
            {"role": "user", "content": "My invoice is wrong."},
        ]
    }
    message = {"role": "assistant", "content": "billing"}
    assert said["mlflow.spanOutputs"] == {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert said["mlflow.chat.tokenUsage"] == {"input_tokens": 40, "output_tokens": 2, "total_tokens": 42}
    assert said["mlflow.llm.cost"] == {"total_cost": 0.000014}
    assert (said["mlflow.llm.provider"], said["mlflow.llm.model"]) == ("openai", "small")
    assert said["settings"] == {"temperature": 0.2, "seed": 7}
    assert call.end_ns == int(ANSWER.at.timestamp()) * 10**9
    assert call.end_ns - call.start_ns == 250_000_000
    assert call.failure == ""
    assert call.tags["trial"] == "0"
    assert call.tags["sample"] == "s1"


def test_only_finalists_are_kept_where_they_are_wanted(tmp_path: Path, make: Any) -> None:
    """Of finalists the calls that confirm them; the rows pass by all the same."""
    record = make.record()
    finalist = record.finalists[0].number
    rows = [row(9), row(finalist), row(finalist, "confirm")]
    assert list(tracing(rows, record, "finalists", tmp_path)) == rows
    assert [(number, split) for number, split, _ in traced_files(tmp_path)] == [(finalist, "confirm")]


def test_no_file_is_made_where_none_is_wanted(tmp_path: Path, make: Any) -> None:
    """Nothing of a call is written down by default."""
    assert kept(tmp_path / "traces", make.record(), [row()], "none") == {}
    assert not (tmp_path / "traces").exists()


def test_all_samples_of_an_evaluation_are_of_one_run(tmp_path: Path, make: Any) -> None:
    """Samples of both splits, in no order of them, lose no call."""
    record = make.record()
    trial = replace(record.trials[0], split="all")
    record = replace(record, verb="eval", trials=(trial,), finalists=())
    rows = [row(split=split, sample_id=f"s{n}") for n, split in enumerate(["search", "confirm", "search"])]
    calls = kept(tmp_path, record, rows, "finalists")
    assert [call.tags["sample"] for call in calls["0 all"]] == ["s0", "s1", "s2"]


def test_the_same_calls_are_the_same_file(tmp_path: Path, make: Any) -> None:
    """What was sent is told by the file's fingerprint, and a call is known by its id."""
    rows = [row(repeat=number) for number in range(2)]
    first, again = tmp_path / "first", tmp_path / "again"
    calls = kept(first, make.record(), rows)["0 search"]
    kept(again, make.record(), rows)
    assert len({call.id for call in calls}) == 2
    assert (first / "0-search.jsonl.gz").read_bytes() == (again / "0-search.jsonl.gz").read_bytes()


def test_a_failed_call_is_a_trace_with_its_cause(tmp_path: Path, make: Any) -> None:
    """A failure is there, without an answer or a bill."""
    (call,) = kept(tmp_path, make.record(), [row(outcome=REFUSED, text=None, scores=())])["0 search"]
    assert call.failure == "filtered: not this one"
    assert "mlflow.spanOutputs" not in call.attributes
    assert call.start_ns == call.end_ns


def test_long_and_broken_texts_are_bounded(tmp_path: Path, make: Any) -> None:
    """A text is cut where it is too long for a page, and half a character does not stop the run."""
    long = replace(CALL, messages=(Message("user", "x" * (LONGEST_TEXT + 1)),))
    (call,) = kept(tmp_path, make.record(), [row(outcome=replace(ANSWER, call=long), text="a\ud800")])[
        "0 search"
    ]
    asked: Any = call.attributes["mlflow.spanInputs"]
    assert asked["messages"][0]["content"] == "x" * (LONGEST_TEXT - 1) + "…"
    said: Any = call.attributes["mlflow.spanOutputs"]
    assert said["choices"][0]["message"]["content"] == "a?"


def test_another_choice_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """A typing mistake costs nothing, and is told with the choices."""
    choice: Any = "finalist"
    with pytest.raises(UsageError, match="traces is 'finalist', expected 'none', 'finalists' or 'all'"):
        tune(tmp_path / "no.yaml", traces=choice)
