"""Replays: the same runs for the same seed, judged against the recorded truth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from harness.errors import UsageError
from harness.testing.matrices import Cells, draw
from harness.testing.outcomes import Budgets, fresh_answers, in_parallel, judge
from harness.testing.replays import Task, replay, summarise


def standing_of(world, *, row: int, stop: int):
    """Where a strategy stands that has asked one row alone, up to this position."""
    cells = Cells(world, world.answers.size)
    cells.ask([row], 0, stop)
    cells.named = row
    return cells.finish()[-1]


def test_the_winner_is_measured_on_samples_it_has_not_seen(matrix) -> None:
    """Up to 200 of them, and none of those that chose it."""
    world = draw(matrix(4, 400), 1)
    standing = standing_of(world, row=2, stop=150)
    assert np.array_equal(fresh_answers(world, standing), world.answers[2, 150:350])
    short = standing_of(world, row=2, stop=370)
    assert np.array_equal(fresh_answers(world, short), world.answers[2, 370:])


def test_with_too_few_unseen_it_is_asked_again(matrix) -> None:
    """Repeats after the first answer, where the matrix has them; else nothing fresh is left."""
    world = draw(matrix(4, 60, repeats=4), 1)
    fresh = fresh_answers(world, standing_of(world, row=2, stop=31))
    again = world.repeats(2)[:, 1:].T.ravel()
    assert np.array_equal(fresh, again[~np.isnan(again)][:200])
    single = draw(matrix(4, 60), 1)
    outcome = judge(single, standing_of(single, row=2, stop=31))
    assert (outcome.confirm_calls, outcome.reported) == (0, outcome.dev)


def test_an_outcome_by_hand(matrix) -> None:
    """Regret, optimism and report of a known row, in points of its recorded mean."""
    recorded = matrix(2, 100)
    score = np.zeros((2, 100))
    score[0, :80], score[1, :60] = 1, 1
    world = draw(replace(recorded, score=score), 0)
    row = int(np.flatnonzero(world.row == 1)[0])
    outcome = judge(world, standing_of(world, row=row, stop=50))
    assert outcome.regret == pytest.approx(20)
    assert outcome.dev == pytest.approx(100 * world.answers[row, :50].mean() - 60)
    assert outcome.reported == pytest.approx(-outcome.dev)
    assert (outcome.calls, outcome.confirm_calls) == (50, 50)
    assert outcome.usd == pytest.approx(world.prices[row, :50].sum())


def plain(outcomes) -> list:
    """Outcomes without what the machine was doing."""
    return [[replace(outcome, cpu_s=0.0) for outcome in run] for run in outcomes]


def test_processes_change_nothing(matrix) -> None:
    """Runs are the same, and in the same order, by one process and by two."""
    task = Task(budgets=Budgets(matrix=matrix(repeats=2), fractions=(0.1, 0.05)), strategy="ucb-e")
    told = []
    alone = in_parallel(partial(replay, task), 20, jobs=1, tick=told.append)
    both = in_parallel(partial(replay, task), 20, jobs=2, tick=told.append)
    assert plain(alone) == plain(both)
    assert told == [*range(1, 21)] * 2


def test_fractions_may_come_in_any_order(matrix) -> None:
    """Each outcome belongs to its fraction, also of a strategy that is read on its way."""
    task = Task(budgets=Budgets(matrix=matrix(), fractions=(0.3, 0.1, 0.3)), strategy="grid")
    calls = [outcome.calls for outcome in replay(task, 0)]
    assert calls == [432, 144, 432]


@pytest.mark.parametrize("strategy", ["grid", "halving"])
def test_dollars_are_shares_of_the_full_grids(matrix, strategy) -> None:
    """With `in_usd` the budget is a share of what every cell costs together."""
    recorded = matrix()
    task = Task(budgets=Budgets(matrix=recorded, fractions=(0.2,), in_usd=True), strategy=strategy)
    (outcome,) = replay(task, 0)
    assert 0.15 * recorded.cost.sum() < outcome.usd <= 0.2 * recorded.cost.sum() + 1e-12


def test_a_summary_by_hand(matrix) -> None:
    """Shares, means and the standard error of three outcomes."""
    task = Task(budgets=Budgets(matrix=matrix(), fractions=(0.5,)), strategy="grid")
    world = draw(task.budgets.matrix, 0)
    one = judge(world, standing_of(world, row=0, stop=10))
    runs = [
        [
            replace(
                one,
                regret=regret,
                reported=reported,
                dev=2.0,
                calls=100,
                usd=0.5,
                confirm_calls=20,
                cpu_s=0.1,
            )
        ]
        for regret, reported in ((0.0, 1.0), (1.0, -1.0), (1.5, float("nan")))
    ]
    (summary,) = summarise(task, runs)
    assert (summary.p_within_1pt, summary.p_within_2pt) == (pytest.approx(2 / 3), 1.0)
    assert summary.mean_regret == pytest.approx(2.5 / 3)
    assert (summary.reported_minus_true, summary.reported_minus_true_se) == (0.0, pytest.approx(1.0))
    assert (summary.mean_calls, summary.mean_usd, summary.confirm_calls) == (100, pytest.approx(0.5), 20)
    assert summary.cpu_ms_per_call == pytest.approx(1.0)
    assert (summary.fraction, summary.budget) == (0.5, 720)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategy": "magic"}, "no strategy 'magic'"),
        ({"fractions": (0.0,)}, "expected shares above 0"),
        ({"fractions": (1.5,)}, "expected shares above 0"),
        ({"fractions": ()}, "expected shares above 0"),
        ({"in_usd": True}, "has no cost"),
    ],
)
def test_a_wrong_task_is_refused(matrix, changes, said) -> None:
    """Before anything is run."""
    given = {"strategy": "grid", "fractions": (0.1,)} | changes
    strategy = given.pop("strategy")
    with pytest.raises(UsageError, match=said):
        Task(budgets=Budgets(matrix=matrix(priced=False), **given), strategy=strategy)
