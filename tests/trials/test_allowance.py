"""Allowance: what a race can still afford, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.plan.plan import Budget
from harness.testing.builders import a_settings
from harness.trials.allowance import UNLIMITED, Allowance
from harness.trials.board import Board
from harness.trials.evidence import Arm


@pytest.fixture
def plan(lab):
    """40 samples, some 12 of them to confirm."""
    return lab.plan(lab.experiment(40))


@pytest.fixture
def an_arm(plan):
    """Makes arms with so many answers at a price each."""
    board = Board.of(plan, "search")

    def make(answers: int = 0, price_usd: float | None = None, state="running") -> Arm:
        arm = Arm.of(0, a_settings(), board)
        arm.seen[:answers, 0] = True
        if price_usd is not None:
            arm.price[:answers, 0] = price_usd
        arm.state = state
        return arm

    return make


def test_without_caps_on_calls_or_money_there_is_no_end(an_arm):
    """Caps on tokens and minutes are the engine's to keep."""
    free = Allowance(None, None, 1, 3, 30)
    assert free.samples([], [an_arm()]) == UNLIMITED


def test_calls_by_hand(an_arm):
    """(100 - 30 reserved) - 20 used = 50 calls; for 2 arms 25 samples, 12 with two repeats."""
    used, asked = [an_arm(10), an_arm(10)], [an_arm(), an_arm()]
    assert Allowance(100, None, 1, 3, 30).samples(used, asked) == 25
    assert Allowance(100, None, 2, 3, 30).samples(used, asked) == 12


def test_a_share_is_taken_of_what_the_search_may_use(an_arm):
    """60 % of 70 are 42, less 20 used: 22 calls."""
    used = [an_arm(20)]
    assert Allowance(100, None, 1, 3, 30).samples(used, [an_arm()], share=0.6) == 22


def test_the_reserve_is_there_for_the_confirmation(an_arm):
    """Without the reserve, all that is left counts."""
    used = [an_arm(20), an_arm(20), an_arm(25)]
    allowance = Allowance(100, None, 1, 3, 30)
    assert allowance.samples(used, [an_arm()]) == 5
    assert allowance.samples(used, [an_arm()], reserve=False) == 35


@pytest.mark.parametrize("calls", [0, 1, 29, 30])
def test_nothing_is_left_beside_the_reserve(an_arm, calls):
    """An allowance is never negative."""
    assert Allowance(calls, None, 1, 3, 30).samples([], [an_arm()]) == 0


def test_money_by_hand(an_arm):
    """1 USD less 10 reserved calls at 0.02 less 0.3 spent is 0.5; at 0.01 + 0.02 a sample: 16 samples."""
    cheap, dear = an_arm(10, 0.01), an_arm(10, 0.02)
    allowance = Allowance(None, 1.0, 1, 1, 10)
    assert allowance.samples([cheap, dear], [cheap, dear]) == 16


def test_the_reserve_does_for_the_dearest_that_may_be_finalists(an_arm):
    """Two finalists: the mean of the two dearest prices; what is out cannot become one."""
    arms = [an_arm(1, 0.01), an_arm(1, 0.02), an_arm(1, 0.04), an_arm(1, 0.9, "eliminated")]
    # 2 - 20 * 0.03 - 0.97 = 0.43
    assert Allowance(None, 2.0, 1, 2, 20).samples(arms, [arms[0]]) == 43


def test_an_unknown_price_is_taken_to_be_typical(an_arm):
    """A new arm is expected to cost what the others do on average."""
    known = an_arm(10, 0.01)
    assert Allowance(None, 1.0, 1, 1, 0).samples([known], [an_arm()]) == 90


def test_without_any_price_money_says_nothing(an_arm):
    """Before the first answer the engine's cap alone holds; a free model never ends it."""
    allowance = Allowance(None, 0.001, 1, 1, 10)
    assert allowance.samples([], [an_arm()]) == UNLIMITED
    assert allowance.samples([an_arm(10, 0.0)], [an_arm()]) == UNLIMITED


def test_the_tighter_cap_counts(an_arm):
    """Calls and money both hold."""
    used = [an_arm(10, 0.01)]
    assert Allowance(20, 10.0, 1, 1, 0).samples(used, used) == 10
    assert Allowance(1000, 0.2, 1, 1, 0).samples(used, used) == 10


def test_an_allowance_of_a_plan(plan):
    """Caps and repeats are the plan's; each finalist answers the confirm split."""
    capped = replace(plan, budget=Budget(usd=2.0, calls=500), task=replace(plan.task, repeats=3))
    n_confirm = plan.task.rows.card.n_confirm
    made = Allowance.of(capped, finalists=4)
    assert replace(made, guesses={}) == Allowance(500, 2.0, 3, 4, min(4 * n_confirm * 3, 175))
    assert set(made.guesses) == {(m, p) for m in plan.space.models for p in plan.space.prompts}
    assert all(usd > 0 for usd in made.guesses.values())


def test_a_price_that_nobody_has_seen_is_guessed(plan, an_arm):
    """A first look is planned in money too: 1 USD at a guess of 0.1 a call is ten samples for one arm."""
    arm = an_arm()
    guess = {(arm.settings.model, arm.settings.prompt): 0.1}
    assert Allowance(None, 1.0, 1, 1, 0, guess).samples([], [arm]) == 10
    assert Allowance(None, 1.0, 1, 1, 0, guess).samples([], [an_arm(4, 0.0625)]) == 16


def test_costs_are_shares_of_what_is_left(an_arm):
    """100 calls left and 1 USD: an arm at 0.1 a call uses up the money sooner, one at 0.001 the calls."""
    dear, cheap = an_arm(0), an_arm(0)
    dear.price[0, 0], cheap.price[0, 0] = 0.1, 0.001
    assert Allowance(100, 1.0, 1, 1, 0).costs([], [dear, cheap]) == pytest.approx([0.1, 0.01])
    assert Allowance(0, None, 1, 1, 0).costs([], [cheap]) == [math.inf]
