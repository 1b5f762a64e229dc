"""Trials and scores as tables: the door to pandas and pyarrow.

In: a run record, or a stream of per-sample rows. Out: a data frame, or Parquet files. Must not hold all
rows of a run in memory, and must not compute figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UsageError
from harness.findings import AnswerRow, Breakdown, RunRecord, Trial
from harness.outputs.files import encodable, replacing
from harness.records import SENT_FIELDS, JsonValue, Score, Split

if TYPE_CHECKING:
    import pandas as pd

BATCH_LINES = 4096
LARGEST_INT64 = 2**63 - 1


def trials_frame(record: RunRecord) -> pd.DataFrame:
    """One line per trial and split: search trials by number, then finalists on the confirm split.

    `value` is the quality with `value_low` and `value_high`, and of several tasks `value_TASK` likewise;
    figures that are unknown are missing (NaN).
    Settings are columns named `params_*`, only those that some trial sends; a list is JSON text.
    """
    import pandas as pd

    trials = (*record.trials, *record.finalists)
    figures = [_figures(trial) for trial in trials]
    frame = {name: _series([line[name] for line in figures], dtype) for name, dtype in FIGURES.items()}
    if record.presets:
        frame["preset"] = _series([record.presets.get(trial.number) for trial in trials], "str")
    for task in dict.fromkeys(name for trial in trials for name in trial.by_task):
        found = [trial.by_task.get(task) for trial in trials]
        for suffix, end in (("", "value"), ("_low", "low"), ("_high", "high")):
            values = [None if one is None else getattr(one, end) for one in found]
            frame[f"value_{task}{suffix}"] = _series(values, "float64")
    for name in _parameter_names(trials):
        values = [_parameters(trial).get(name) for trial in trials]
        frame[f"params_{name}"] = _series(values, None)
    return pd.DataFrame(frame)


def write_trials(record: RunRecord, path: Path) -> Path:
    """Write `trials_frame(record)` as Parquet; raises UsageError when the file cannot be written."""
    with replacing(path) as partial:
        trials_frame(record).to_parquet(partial, index=False, engine="pyarrow")
    return path


def write_scores(rows: Iterable[AnswerRow], path: Path) -> Path:
    """Write one line per score as Parquet, in the order given; rows pass through in batches.

    An answer that no scorer judged, and a call that failed, have one line without scorer. `target` is JSON
    text. Raises UsageError when the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _scores_schema()
    lines = (line for row in rows for line in _score_lines(row))
    with replacing(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        while batch := list(islice(lines, BATCH_LINES)):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
    return path


def write_slices(record: RunRecord, path: Path) -> list[Path]:
    """Write one line per trial and slice as Parquet; gives the path, or nothing where there are no slices.

    Without slices, a table of an earlier report goes: it would contradict the page beside it. Raises
    UsageError when the file cannot be written.
    """
    lines = [line for one in record.breakdowns for line in _slice_lines(one)]
    if not lines:
        path.unlink(missing_ok=True)
        return []
    import pandas as pd

    with replacing(path) as partial:
        pd.DataFrame(lines).to_parquet(partial, index=False, engine="pyarrow")
    return [path]


def read_scores(path: Path) -> pd.DataFrame:
    """The table that `write_scores` wrote. Raises UsageError when it is not there."""
    import pandas as pd

    if not path.is_file():
        raise UsageError(f"{str(path)!r} is not there; `harness report {path.parent.name}` writes it anew")
    return pd.read_parquet(path, engine="pyarrow")


def samples_table(path: Path, trial: int, split: Split) -> str | None:
    """The lines of one trial on one split of the table that `write_scores` wrote, as MLflow reads tables.

    JSON text of columns and data. `None`: there are none, or more than `MOST_LINES`.
    """
    import pandas as pd

    wanted = [("trial", "==", trial), ("split", "==", split)]
    lines = pd.read_parquet(path, engine="pyarrow", columns=list(SHOWN_COLUMNS), filters=wanted)
    if not 0 < len(lines) <= MOST_LINES:
        return None
    return lines.to_json(orient="split", index=False, force_ascii=False, double_precision=6)


# Of a table that people look at: what was asked and answered, what was made of it, what it cost.
SHOWN_COLUMNS = (
    *("sample_id", "repeat", "text", "target", "scorer", "value", "label", "reason"),
    *("failure", "finish_reason", "price_usd", "latency_s"),
)
MOST_LINES = 10_000  # a page of MLflow holds all of them; scores.parquet has them without a limit
FIGURES: Mapping[str, str] = {
    "number": "int64",
    "state": "str",
    "split": "str",
    "value": "float64",
    "value_low": "float64",
    "value_high": "float64",
    "samples": "int64",
    "usd_per_1k_calls": "float64",
    "latency_p50_s": "float64",
    "latency_p95_s": "float64",
    "first_token_p50_s": "float64",
    "failure_rate": "float64",
    "unscored_rate": "float64",
    "truncation_rate": "float64",
    "cached_rate": "float64",
    "input_truncation_rate": "float64",
    "spent_usd": "float64",
    "model_class": "str",
    "reason": "str",
}


def _figures(trial: Trial) -> dict[str, Any]:
    measured = trial.quality
    named = {name: getattr(trial, name) for name in FIGURES if not name.startswith("value")}
    return named | {
        "value": None if measured is None else measured.value,
        "value_low": None if measured is None else measured.low,
        "value_high": None if measured is None else measured.high,
    }


def _parameters(trial: Trial) -> dict[str, JsonValue]:
    settings = trial.settings
    return {"model": settings.model, "prompt": settings.prompt} | settings.held()


def _parameter_names(trials: Sequence[Trial]) -> list[str]:
    """Model and prompt, then known settings in the order of the record, then custom ones by name."""
    present = {name for trial in trials for name in _parameters(trial)}
    known = ("model", "prompt", *SENT_FIELDS)
    return [name for name in known if name in present] + sorted(present.difference(known))


def _series(values: Sequence[object], dtype: str | None) -> pd.Series[Any]:
    import pandas as pd

    dtype = dtype or _dtype(values)
    if dtype != "json":
        clean = [encodable(value) if isinstance(value, str) else value for value in values]
        return pd.Series(clean, dtype=cast("Any", dtype))
    texts = [None if value is None else encodable(json.dumps(value, ensure_ascii=False)) for value in values]
    return pd.Series(texts, dtype="str")


def _dtype(values: Sequence[object]) -> str:
    """The column type that holds all these values unchanged; "json" where only text can."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return "str"
    if kinds == {bool}:
        return "boolean"
    if kinds == {int} and all(value is None or _fits(value) for value in values):
        return "Int64"
    return "float64" if float in kinds and kinds <= {int, float} else "json"


def _fits(value: object) -> bool:
    return isinstance(value, int) and abs(value) <= LARGEST_INT64


def _scores_schema() -> Any:
    import pyarrow as pa

    text, real, whole, flag = pa.string(), pa.float64(), pa.int32(), pa.bool_()
    columns: list[tuple[str, Any]] = [
        ("trial", whole),
        ("split", text),
        ("sample_id", text),
        ("repeat", whole),
        ("scorer", text),
        ("scorer_version", whole),
        ("value", real),
        ("label", text),
        ("reason", text),
        ("text", text),
        ("target", text),
        ("finish_reason", text),
        ("failure", text),
        ("price_usd", real),
        ("latency_s", real),
        ("cached", flag),
        ("reused", flag),
        ("chunks", whole),
        ("lost_tokens", whole),
        ("near_cosine", real),
        ("near_sample", text),
    ]
    return pa.schema(columns)


def _slice_lines(breakdown: Breakdown) -> Iterator[dict[str, object]]:
    for one in breakdown.slices:
        measured = one.quality
        yield {
            "trial": breakdown.trial,
            "split": breakdown.split,
            "field": encodable(one.field),
            "slice": encodable(one.value),
            "samples": one.samples,
            "value": None if measured is None else measured.value,
            "value_low": None if measured is None else measured.low,
            "value_high": None if measured is None else measured.high,
            "level": None if measured is None else measured.level,
            "method": None if measured is None else measured.method,
        }


def _score_lines(row: AnswerRow) -> Iterator[dict[str, object]]:
    known: dict[str, object] = {
        "trial": row.trial,
        "split": row.split,
        "sample_id": encodable(row.sample_id),
        "repeat": row.repeat,
        "text": None if row.text is None else encodable(row.text),
        "target": None if row.target is None else encodable(json.dumps(row.target, ensure_ascii=False)),
        "finish_reason": row.finish_reason,
        "failure": row.failure,
        "price_usd": row.price_usd,
        "latency_s": row.latency_s,
        "cached": row.cached,
        "reused": row.reused,
        "chunks": row.chunks,
        "lost_tokens": row.lost_tokens,
        "near_cosine": row.near_cosine,
        "near_sample": None if row.near_sample is None else encodable(row.near_sample),
    }
    for score in row.scores:
        yield known | _score(score)
    if not row.scores:
        yield known


def _score(score: Score) -> dict[str, object]:
    return {
        "scorer": score.scorer,
        "scorer_version": score.version,
        "value": score.value,
        "label": None if score.label is None else encodable(score.label),
        "reason": encodable(score.reason),
    }
