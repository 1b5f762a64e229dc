"""Recorded matrices: read with care, drawn alike for a seed, and answered for money only."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.testing.matrices import Cells, OverBudgetError, draw, factors_of, load_matrix


def test_a_file_is_read_whole(matrix, stored) -> None:
    """Scores, repeats, costs and settings come back as they were written."""
    written = matrix(repeats=3)
    read = load_matrix(stored(written))
    assert np.array_equal(read.score, written.score)
    assert np.array_equal(read.reps, written.reps)
    assert np.array_equal(read.cost, written.cost)
    assert (read.name, read.configs) == (written.name, written.configs)


def test_optional_parts_may_be_missing(matrix, stored) -> None:
    """Without repeats, costs and the file of settings, rows are numbered and cost nothing known."""
    path = stored(matrix(priced=False))
    path.with_suffix(".json").unlink()
    read = load_matrix(path)
    assert (read.reps, read.cost, read.name) == (None, None, "made-up")
    assert [config["id"] for config in read.configs][:2] == ["row 0", "row 1"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"score": None}, "expected an array 'score'"),
        ({"score": np.zeros(3)}, "shape (3,)"),
        ({"score": np.full((12, 120), 2.0)}, "outside 0 to 1, as 2"),
        ({"score": np.full((12, 120), np.nan)}, "1440 values of score are missing"),
        ({"score": np.full((12, 120), "a")}, "expected numbers"),
        ({"reps": np.zeros((12, 3, 2), np.int8)}, "reps has shape (12, 3, 2)"),
        ({"reps": np.full((12, 120, 2), 7, np.int8)}, "other values than -1, 0 and 1"),
        ({"cost": np.zeros((2, 2))}, "cost has shape (2, 2)"),
        ({"cost": np.full((12, 120), -1.0)}, "negative"),
        ({"score": np.zeros((3, 4)), "cost": np.zeros((3, 4))}, "lists 12 configs; expected 3"),
    ],
)
def test_a_wrong_array_is_named(matrix, stored, changes, said) -> None:
    """The message names the file, what was found and what was expected."""
    path = stored(matrix(), **changes)
    with pytest.raises(UsageError) as caught:
        load_matrix(path)
    assert said in str(caught.value)
    assert "made-up" in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"configs": 3}', '{"configs": [1]}'])
def test_a_wrong_description_is_named(matrix, stored, text) -> None:
    """So is a file of settings that holds none."""
    path = stored(matrix())
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"made-up\.json"):
        load_matrix(path)


def test_what_is_no_matrix_is_refused(tmp_path) -> None:
    """No file, a text, a bare array and objects to unpickle: each is one clear message."""
    text, bare, objects = tmp_path / "t.npz", tmp_path / "b.npy", tmp_path / "o.npz"
    text.write_text("hello", encoding="utf-8")
    np.save(bare, np.zeros(3))
    np.savez(objects, score=np.array([{}], dtype=object))
    for path in (tmp_path / "none.npz", tmp_path, text, bare, objects):
        with pytest.raises(UsageError, match=str(path)):
            load_matrix(path)


def test_a_draw_is_the_matrix_in_another_order(matrix) -> None:
    """Without repeats nothing is drawn: rows and columns are exchanged, truth and prices with them."""
    recorded = matrix()
    world = draw(recorded, 3)
    places = np.ix_(world.row, world.column)
    assert np.array_equal(world.answers, recorded.score[places])
    assert np.array_equal(world.prices, recorded.cost[places])
    assert world.truth == pytest.approx(recorded.score.mean(axis=1)[world.row])
    assert sorted(world.row) == list(range(12))


def test_the_seed_decides_the_draw(matrix) -> None:
    """The same seed gives the same world; another one gives another."""
    recorded = matrix(repeats=4)
    one, same, other = (draw(recorded, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.answers, same.answers)
    assert np.array_equal(one.row, same.row)
    assert not np.array_equal(one.answers, other.answers)


def test_answers_are_the_repeats_in_random_order(matrix) -> None:
    """Every repeat of a cell comes once, missing ones last; the first column is the first answer."""
    recorded = matrix(repeats=5)
    world = draw(recorded, 8)
    for row in range(3):
        repeats = world.repeats(row)
        originals = recorded.reps[world.row[row]][world.column]
        assert np.array_equal(repeats[:, 0], world.answers[row])
        for mine, original in zip(repeats, originals, strict=True):
            present = sorted(original[original >= 0])
            assert sorted(mine[: len(present)]) == present
            assert np.isnan(mine[len(present) :]).all()


def test_first_answers_are_right_as_often_as_recorded(matrix) -> None:
    """Over many worlds the first answer of a cell averages to the mean of its repeats."""
    recorded = matrix(3, 40, repeats=5)
    total = np.zeros(recorded.shape)
    for seed in range(400):
        world = draw(recorded, seed)
        total[np.ix_(world.row, world.column)] += world.answers
    # 400 draws of a right answer are off by less than 4.5 standard errors of at most 0.025.
    assert np.abs(total / 400 - recorded.score).max() < 4.5 * 0.025


def test_a_cell_without_repeats_answers_with_its_score(matrix) -> None:
    """What was never sampled again still has its recorded score."""
    recorded = matrix(3, 20, repeats=2)
    reps = recorded.reps.copy()
    reps[1, 4] = -1
    score = recorded.score.copy()
    score[1, 4] = 0.25
    world = draw(replace(recorded, reps=reps, score=score), 0)
    at = (int(np.flatnonzero(world.row == 1)[0]), int(np.flatnonzero(world.column == 4)[0]))
    assert world.answers[at] == 0.25
    assert world.repeats(at[0])[at[1]].tolist() == [0.25, pytest.approx(np.nan, nan_ok=True)]


def test_factors_are_what_settings_differ_in(matrix) -> None:
    """Columns that never change tell nothing; where they do not name the row, there are none."""
    recorded = matrix()
    assert factors_of(recorded.configs) == ("model", "prompt")
    fixed = tuple(config | {"top_p": 1.0} for config in recorded.configs)
    assert factors_of(fixed) == ("model", "prompt")
    alike = tuple({"id": config["id"], "model": config["model"]} for config in recorded.configs)
    assert factors_of(alike) == ()


def test_a_cell_is_paid_once(matrix) -> None:
    """Overlapping blocks cost their new cells alone, in calls and in dollars."""
    world = draw(matrix(), 1)
    cells = Cells(world, 100)
    assert np.array_equal(cells.ask([2, 5], 0, 10), world.answers[[2, 5], :10])
    assert (cells.calls, cells.left) == (20, 80)
    cells.ask([5, 7], 5, 15)
    assert cells.calls == 35
    assert cells.ask_one(7, 14) == world.answers[7, 14]
    assert cells.ask_one(7, 15) == world.answers[7, 15]
    assert cells.calls == 36
    assert cells.usd == pytest.approx(world.prices[cells.seen].sum())
    assert cells.price_of(5) == pytest.approx(world.prices[5, :15].mean())
    assert np.isnan(cells.price_of(0))


def test_beyond_the_budget_nothing_is_answered(matrix) -> None:
    """A block that costs too much is refused whole, and what is left stays left."""
    cells = Cells(draw(matrix(), 1), 25)
    cells.ask([0], 0, 20)
    for refused in (lambda: cells.ask([0, 1], 18, 22), lambda: cells.ask([1], 0, 6)):
        with pytest.raises(OverBudgetError, match="of 25 only 5 are left"):
            refused()
    assert (cells.calls, cells.seen.sum()) == (20, 20)
    cells.ask([0], 0, 25)
    with pytest.raises(OverBudgetError):
        cells.ask_one(3, 3)


def test_a_budget_in_dollars_counts_dollars(matrix) -> None:
    """With `in_usd` prices decide; without prices there is no such budget."""
    world = draw(matrix(), 4)
    cells = Cells(world, float(world.prices[3, :7].sum()), in_usd=True)
    cells.ask([3], 0, 7)
    assert cells.left == pytest.approx(0)
    with pytest.raises(OverBudgetError, match="USD"):
        cells.ask_one(3, 7)
    with pytest.raises(UsageError, match="has no cost"):
        Cells(draw(matrix(priced=False), 4), 1.0, in_usd=True)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    marks=st.lists(st.integers(0, 60), max_size=5),
)
def test_marks_show_what_was_named_before_they_were_passed(matrix, sizes, marks) -> None:
    """At each mark stands the last row named while no more than the mark was spent."""
    world = draw(matrix(12, 20), 0)
    cells = Cells(world, 1000, marks=marks)
    history = [(0, 0)]
    for turn, size in enumerate(sizes):
        cells.ask([turn], 0, size)
        cells.named = turn
        history.append((cells.calls, turn))
    standings = cells.finish()
    assert [s.row for s in standings[:-1]] == [
        [row for calls, row in history if calls <= mark][-1] for mark in sorted(marks)
    ]
    assert all(before.calls <= after.calls for before, after in pairwise(standings))
    assert standings[-1].row == history[-1][1]


def test_the_description_may_say_more(matrix, stored) -> None:
    """Other keys, and settings without an id, are fine."""
    path = stored(matrix(2, 3))
    path.with_suffix(".json").write_text(
        json.dumps({"licence": "MIT", "configs": [{"model": "a"}, {"id": "b"}]}), encoding="utf-8"
    )
    read = load_matrix(path)
    assert [config["id"] for config in read.configs] == ["0", "b"]
