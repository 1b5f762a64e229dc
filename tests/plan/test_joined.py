"""Joined rows: several tasks as one, with the shares of their weights at every depth."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, UsageError
from harness.fingerprint import file_fingerprint
from harness.plan.joined import JoinedRows, prefix_of, shares, task_of
from harness.plan.rows import Rows, RowSource, Selection, open_rows


def rows_of(folder: Path, name: str, count: int, *, prefix: bool = True) -> Rows:
    """So many rows, four to a group."""
    path = folder / f"{name}.jsonl"
    lines = [
        {"id": f"r{number}", "text": f"{name} {number}", "target": "x", "group": f"g{number // 4}"}
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    source = RowSource(path=path, shown=path.name, name=name, sha256=file_fingerprint(path))
    return open_rows(source, Selection(confirm=0.4, seed=5, prefix=prefix_of(name) if prefix else ""))


def joined(folder: Path, weights: dict[str, float], count: int = 60) -> JoinedRows:
    """So many rows of each of these tasks, as one."""
    return JoinedRows({name: rows_of(folder, name, count) for name in weights}, weights)


def test_hand_worked_shares() -> None:
    """48, 42 and 44 rows at 0.5, 0.3 and 0.2: the first is used up, and gives half of 96."""
    assert shares([48, 42, 44], [0.5, 0.3, 0.2]) == [48, 29, 19]
    assert shares([10, 1000], [0.5, 0.5]) == [10, 10]
    assert shares([30, 30], [0.8, 0.2]) == [30, 7]


@given(st.lists(st.tuples(st.integers(2, 300), st.floats(0.05, 20)), min_size=2, max_size=5))
def test_shares_are_the_weights_but_for_a_sample(tasks: list[tuple[int, float]]) -> None:
    """No task gives more rows than it has, or is a whole sample off its share of all."""
    sizes, weights = [size for size, _ in tasks], [weight for _, weight in tasks]
    parts = [weight / sum(weights) for weight in weights]
    counts = shares(sizes, parts)
    assert all(0 <= count <= size for count, size in zip(counts, sizes, strict=True))
    for count, part in zip(counts, parts, strict=True):
        assert abs(count - part * sum(counts)) < 1 + 1e-6


def test_every_beginning_holds_each_tasks_share(tmp_path: Path) -> None:
    """After any number of samples, no task is more than a sample off its share of them."""
    rows = joined(tmp_path, {"a": 0.6, "b": 0.3, "c": 0.1})
    for split in ("search", "confirm"):
        ids = rows.ids(split)
        whole = Counter(map(task_of, ids))
        for depth in range(1, len(ids) + 1):
            so_far = Counter(map(task_of, ids[:depth]))
            assert all(abs(so_far[name] - depth * whole[name] / len(ids)) <= 1 for name in whole)


def test_a_row_keeps_side_and_place_of_its_own_task(tmp_path: Path) -> None:
    """What another task adds moves no row to the other split, nor before another row of its task."""
    alone = rows_of(tmp_path, "a", 60, prefix=False)
    rows = joined(tmp_path, {"a": 0.5, "b": 0.5})
    for split in ("search", "confirm"):
        own = [one.removeprefix("a/") for one in rows.ids(split) if task_of(one) == "a"]
        assert own == list(alone.ids(split))[: len(own)]


def test_samples_and_groups_carry_their_task(tmp_path: Path) -> None:
    """Equal ids and groups of two tasks stay apart."""
    rows = joined(tmp_path, {"a": 0.5, "b": 0.5})
    sample_id = next(one for one in rows.ids("search") if task_of(one) == "b")
    sample = rows.sample(sample_id)
    assert (sample.id, sample.split) == (sample_id, "search")
    assert (sample.group or "").startswith("b/g")
    assert str(sample.inputs["text"]).startswith("b ")
    assert sorted(rows.ids("all")) == sorted([*rows.ids("search"), *rows.ids("confirm")])
    assert len(rows) == len(rows.ids("all"))


def test_rows_that_a_weight_leaves_out_are_told(tmp_path: Path) -> None:
    """With 60 rows each, a task that counts a fifth is asked 15 of its rows."""
    rows = joined(tmp_path, {"a": 0.8, "b": 0.2})
    assert rows.left_out().keys() == {"b"}
    assert rows.card.n_search + rows.card.n_confirm == len(rows)


def test_weights_are_part_of_the_name(tmp_path: Path) -> None:
    """Other weights make other rows."""
    first, second = joined(tmp_path, {"a": 0.5, "b": 0.5}), joined(tmp_path, {"a": 0.6, "b": 0.4})
    assert first.fingerprint() == joined(tmp_path, {"a": 0.5, "b": 0.5}).fingerprint()
    assert first.fingerprint() != second.fingerprint()


def test_a_weight_that_leaves_one_sample_is_refused(tmp_path: Path) -> None:
    """One sample has no standard error; the message says what to do."""
    with pytest.raises(UsageError, match="raise its weight"):
        joined(tmp_path, {"a": 0.98, "b": 0.02})


def test_an_unknown_id_is_refused(tmp_path: Path) -> None:
    """A sample of no task, and none of a task."""
    rows = joined(tmp_path, {"a": 0.5, "b": 0.5})
    for sample_id in ("c/r1", "r1", "a/r999"):
        with pytest.raises(DataError, match="no sample has the id"):
            rows.sample(sample_id)
