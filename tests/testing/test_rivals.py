"""Rivals: each names a row for its budget, from answers that it paid for."""

from __future__ import annotations

import numpy as np
import pytest

from harness.testing.matrices import Cells, draw
from harness.testing.rivals import RIVALS

ANYTIME = [name for name, rival in RIVALS.items() if rival.anytime]


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("in_usd", [False, True])
@pytest.mark.parametrize("share", [0.004, 0.05, 0.3, 1.0])
def test_no_strategy_spends_more_than_it_may(matrix, name, in_usd, share) -> None:
    """Whatever the budget and its unit, a row is named and the budget holds."""
    world = draw(matrix(repeats=2), 3)
    whole = world.prices.sum() if in_usd else world.answers.size
    cells = Cells(world, share * whole, in_usd=in_usd)
    assert 0 <= RIVALS[name].name_row(cells, 1) < 12
    assert 0 < cells.spent <= cells.budget + 1e-9


@pytest.mark.parametrize("name", ["grid", "random-full", "ucb-e", "halving", "tpe-full"])
def test_a_full_budget_names_the_best_row(matrix, name) -> None:
    """Who may ask for everything names a row of the highest mean."""
    world = draw(matrix(8, 60), 5)
    cells = Cells(world, world.answers.size)
    assert world.truth[RIVALS[name].name_row(cells, 2)] == world.truth.max()


@pytest.mark.parametrize("name", ANYTIME)
def test_an_anytime_strategy_stands_where_a_smaller_budget_ends(matrix, name) -> None:
    """Read at a mark, it has named and seen what it would have with that mark as its budget."""
    world, marks = draw(matrix(), 9), [5, 60, 200, 700]
    cells = Cells(world, 1000, marks=marks)
    RIVALS[name].name_row(cells, 4)
    for mark, standing in zip(marks, cells.finish(), strict=False):
        alone = Cells(world, mark)
        alone.named = RIVALS[name].name_row(alone, 4)
        (end,) = alone.finish()
        assert (standing.row, standing.calls) == (end.row, end.calls)
        assert np.array_equal(standing.seen, end.seen)


@pytest.mark.parametrize("name", ["grid", "halving"])
def test_paired_strategies_ask_the_same_samples(matrix, name) -> None:
    """What a row has seen is the beginning of the order, the same for all; survivors have seen more."""
    cells = Cells(draw(matrix(), 6), 300)
    named = RIVALS[name].name_row(cells, 0)
    counts = cells.seen.sum(axis=1)
    assert all(seen[:count].all() for seen, count in zip(cells.seen, counts, strict=True))
    assert counts[named] == counts.max()


def test_halving_drops_half_in_each_round(matrix) -> None:
    """Twelve rows, four rounds of a quarter of the budget: 12, 6, 3 and 2 rows share theirs."""
    cells = Cells(draw(matrix(12, 1000), 6), 480)
    RIVALS["halving"].name_row(cells, 0)
    assert sorted(cells.seen.sum(axis=1)) == [10] * 6 + [30] * 3 + [70] + [130] * 2


def test_ucb_e_pulls_as_worked_by_hand(matrix) -> None:
    """Each row once, then always the highest mean + sqrt(1 / n), as counted by a second program."""
    world = draw(matrix(4, 60), 2)
    cells = Cells(world, 40)
    RIVALS["ucb-e"].name_row(cells, 11)
    order = np.random.default_rng(11).permuted(np.tile(np.arange(60), (4, 1)), axis=1)
    seen = [[float(world.answers[row, order[row, 0]])] for row in range(4)]
    for _ in range(36):
        row = max(range(4), key=lambda r: (np.mean(seen[r]) + len(seen[r]) ** -0.5, -r))
        seen[row].append(float(world.answers[row, order[row, len(seen[row])]]))
    assert cells.seen.sum(axis=1).tolist() == [len(answers) for answers in seen]
