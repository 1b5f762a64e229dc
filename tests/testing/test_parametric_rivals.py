"""Searches of parametric worlds: budgets hold, runs repeat, and regret is against the true optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UsageError
from harness.testing.matrices import Cells
from harness.testing.parametric import parametric_world
from harness.testing.parametric_rivals import (
    SEARCHERS,
    SearchTask,
    open_draw,
    random_settings,
    search,
    summarise_searches,
)


def test_a_row_holds_what_the_world_says() -> None:
    """Truth, answers, prices and repeats of added settings are the world's; the best is its optimum."""
    world = parametric_world(1)
    made = open_draw(world, 5)
    rng = np.random.default_rng(0)
    for row in range(5):
        settings = random_settings(world, rng)
        assert made.add(settings) == row
        assert made.truth[row] == world.true_quality(settings)
        assert np.array_equal(made.answers[row], world.answers(settings))
        assert np.array_equal(made.prices[row], world.prices(settings))
        assert np.array_equal(made.repeats(row)[:, 2], world.answers(settings, 2))
    assert made.best == world.best >= np.max(made.truth)


@pytest.mark.parametrize("name", SEARCHERS)
def test_every_strategy_keeps_its_budgets(name) -> None:
    """No budget is overspent, regret is never negative, and the same run is the same again."""
    task = SearchTask(strategy=name, budgets=(60, 450, 20), worlds=2, seed=3)
    outcomes = search(task, 1)
    assert [0 < one.calls <= budget for one, budget in zip(outcomes, task.budgets, strict=True)] == [True] * 3
    assert all(one.regret >= 0 and one.usd > 0 for one in outcomes)
    plain = [replace(one, cpu_s=0.0) for one in outcomes]
    assert plain == [replace(one, cpu_s=0.0) for one in search(task, 1)]
    small = [replace(one, cpu_s=0.0) for one in search(replace(task, budgets=(60,)), 1)]
    assert plain[:1] == small


def test_runs_share_worlds_but_not_luck() -> None:
    """With two worlds, run 2 is in the world of run 0 and draws other answers."""
    task = SearchTask(strategy="grid", budgets=(2000,), worlds=2)
    first, other, again = (search(task, number)[0] for number in range(3))
    assert len({first.dev, other.dev, again.dev}) == 3


def test_more_money_finds_better_settings() -> None:
    """Over a few worlds, racing the defaults with 1,500 calls leaves a third of what 40 calls leave."""
    task = SearchTask(strategy="halving", budgets=(40, 1500), worlds=12)
    runs = np.array([[one.regret for one in search(task, number)] for number in range(12)])
    few, many = runs.mean(axis=0)
    assert many < few / 2


def test_only_a_parametric_world_takes_rows(matrix) -> None:
    """A recorded matrix has the rows that were recorded."""
    from harness.testing.matrices import draw

    cells = Cells(draw(matrix(), 0), 100)
    with pytest.raises(AssertionError, match="parametric"):
        SEARCHERS["random-full"].rival.play(cells, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "magic"}, "no strategy 'magic'"),
        ({"budgets": ()}, "whole numbers from 1"),
        ({"budgets": (0,)}, "whole numbers"),
    ],
)
def test_a_wrong_task_is_refused(changes, said) -> None:
    """Before anything is run."""
    with pytest.raises(UsageError, match=said):
        SearchTask(**({"strategy": "grid", "budgets": (100,)} | changes))


def test_errors_are_those_of_worlds() -> None:
    """Two runs in a world count once: the error of four runs in two worlds is that of two means."""
    task = SearchTask(strategy="grid", budgets=(100,), worlds=2)
    one = search(task, 0)[0]
    runs = [[replace(one, regret=regret)] for regret in (1.0, 5.0, 3.0, 7.0)]
    (told,) = summarise_searches(task, runs)
    assert (told.budget, told.fraction) == (100, None)
    assert (told.mean_regret, told.mean_regret_se) == (4.0, pytest.approx(2.0))
    assert told.p_within_1pt == 0.25
