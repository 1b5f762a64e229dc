"""How many more samples a race can afford, in logical calls at list price, cached or not.

In: the caps of the plan and what the arms have used. Out: a number of samples. What stands in reserve is
the confirmation of the finalists, without which a winner is a rumour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.plan.plan import Plan
from harness.trials.evidence import Arm

UNLIMITED = 10**9
OUT = ("eliminated", "infeasible", "failed")


@dataclass(frozen=True, slots=True)
class Allowance:
    """The caps of a run, and the calls kept back for its finalists."""

    calls: int | None
    usd: float | None
    repeats: int
    finalists: int
    reserve_calls: int

    @classmethod
    def of(cls, plan: Plan, *, finalists: int) -> Allowance:
        """The allowance of this plan, with the confirmation of so many finalists kept back."""
        repeats = plan.task.repeats
        reserve = finalists * len(plan.task.rows.ids("confirm")) * repeats
        return cls(plan.budget.calls, plan.budget.usd, repeats, finalists, reserve)

    def samples(
        self, used: Sequence[Arm], asked: Sequence[Arm], *, share: float = 1.0, reserve: bool = True
    ) -> int:
        """How many further samples all of `asked` can answer.

        used: all arms so far, whose calls and prices count. share: of what the search may use.
        reserve: whether the confirmation is kept back.
        """
        kept = self.reserve_calls if reserve else 0
        return min(self._by_calls(used, asked, share, kept), self._by_usd(used, asked, share, kept))

    def _by_calls(self, used: Sequence[Arm], asked: Sequence[Arm], share: float, kept: int) -> int:
        if self.calls is None:
            return UNLIMITED
        spent = sum(int(arm.seen.sum()) for arm in used)
        return max(0, int((self.calls - kept) * share) - spent) // (len(asked) * self.repeats)

    def _by_usd(self, used: Sequence[Arm], asked: Sequence[Arm], share: float, kept: int) -> int:
        if self.usd is None:
            return UNLIMITED
        spent = sum(float(np.nansum(arm.price)) for arm in used)
        typical = _mean_price(used)
        per_sample = sum(self.repeats * (_mean_price([arm]) or typical) for arm in asked)
        left = (self.usd - kept * self._price_of_finalists(used)) * share - spent
        if per_sample == 0:
            return UNLIMITED
        return max(0, math.floor(left / per_sample))

    def _price_of_finalists(self, used: Sequence[Arm]) -> float:
        # Good settings are the dear ones more often than not: the reserve must do for the dearest.
        prices = sorted(_mean_price([arm]) for arm in used if arm.state not in OUT)[-self.finalists :]
        return sum(prices) / len(prices) if prices else 0.0


def _mean_price(arms: Sequence[Arm]) -> float:
    prices = [arm.price[~np.isnan(arm.price)] for arm in arms]
    known = np.concatenate(prices) if prices else np.empty(0)
    return float(known.mean()) if len(known) else 0.0
