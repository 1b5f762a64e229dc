"""Rows that come from Python, a data frame of pandas or a list, written down so that a run can be resumed.

In: a spec as a mapping. Out: the same with a path in place of the rows. A frame is known by what it can do:
pandas is not imported here.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from harness.errors import UsageError
from harness.fingerprint import file_fingerprint
from harness.plan.hub import plain_rows
from harness.records import JsonValue

NAME_DIGITS = 12
FROM_PYTHON = "rows-"  # how the names of such files begin: faults of their lines are those of `task.dataset`
Changed: TypeAlias = Callable[[Mapping[str, object]], Mapping[str, object]]
MISSING = ("NAType", "NaTType")  # of pandas: no value, whatever the column's type
AS_TEXT = ("Timedelta", "Period", "Interval")  # of pandas: what JSON does not know, as pandas writes it


def with_rows_written(spec: Mapping[str, object], cache: Path) -> Mapping[str, object]:
    """The spec with the path of a file where `task.dataset` holds rows; any other spec as it is.

    Equal rows have the same file. Raises UsageError for rows that cannot be written as JSON objects.
    """

    def written(task: Mapping[str, object]) -> Mapping[str, object]:
        dataset = task.get("dataset")
        if dataset is None or isinstance(dataset, str):
            return task
        return {**task, "dataset": str(_written(_records(dataset), cache).resolve())}

    return each_task(spec, written)


def each_task(spec: Mapping[str, object], change: Changed) -> Mapping[str, object]:
    """The spec with its task, or each of its tasks, changed; what is no mapping of keys stays as it is."""
    task, tasks = spec.get("task"), spec.get("tasks")
    changed = dict(spec)
    if isinstance(task, Mapping):
        changed["task"] = change(cast("Mapping[str, object]", task))
    if isinstance(tasks, Mapping):
        named = cast("Mapping[str, object]", tasks)
        changed["tasks"] = {
            name: change(cast("Mapping[str, object]", one)) if isinstance(one, Mapping) else one
            for name, one in named.items()
        }
    return changed


def _records(dataset: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(dataset, Sequence):
        for row in cast("Sequence[object]", dataset):
            if not isinstance(row, Mapping):
                raise UsageError(
                    f"task.dataset holds {type(row).__name__} {row!r:.40}; expected a mapping a row, as in "
                    '{"text": ..., "target": ...}'
                )
            yield cast("Mapping[str, Any]", row)
        return
    frame = cast("Any", dataset)
    if hasattr(frame, "column_names") and hasattr(frame, "features") and not isinstance(dataset, Mapping):
        yield from frame  # a split of the Hugging Face library
        return
    if not hasattr(frame, "itertuples") or not hasattr(frame, "columns"):
        raise UsageError(
            f"task.dataset is {type(dataset).__name__}; expected a name or path, a list of rows, a data "
            "frame of pandas, or one split of a Hugging Face data set"
        )
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"task.dataset has several columns called {', '.join(map(repr, twice))}; give each its own name"
        )
    for values in cast("Iterable[tuple[Any, ...]]", frame.itertuples(index=False, name=None)):
        yield dict(zip(names, map(_known, values), strict=True))


def _known(value: Any) -> Any:
    if type(value).__name__ in MISSING:
        return None
    if type(value).__name__ in AS_TEXT:
        return str(value)
    # Arrays of numpy, and scalars, which a column of mixed types keeps.
    return value.tolist() if hasattr(value, "tolist") else value


def _written(records: Iterable[Mapping[str, Any]], cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=cache, prefix="rows", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            for _, row in plain_rows(records, "task.dataset"):
                stream.write(json.dumps(cast("JsonValue", row), allow_nan=False) + "\n")
        return part.replace(cache / f"{FROM_PYTHON}{file_fingerprint(part)[:NAME_DIGITS]}.jsonl")
    except BaseException:
        part.unlink(missing_ok=True)
        raise
