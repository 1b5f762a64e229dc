"""What a sample costs a race, as a share of what may still be spent: logical calls at list price.

In: the caps of the plan and what the arms have used, cached or not. Out: costs by arm, and how many samples
they leave room for. What stands in reserve is the confirmation of the finalists, without which a winner is a
rumour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.plan.estimate import call_usd, calls_per_answer, judging_cost
from harness.plan.plan import Plan
from harness.trials.evidence import Arm

UNLIMITED = 10**9
OUT = ("eliminated", "infeasible", "failed")
MOST_RESERVED = 0.35  # of a cap: a winner that was hardly searched for needs no proof
ROUNDING = 1e-9  # samples


@dataclass(frozen=True, slots=True)
class Allowance:
    """The caps of a run, and the calls kept back for its finalists, which never take most of a cap.

    guesses: USD of a call by model and prompt, which hold until an arm has seen a price of its own.
    per_answer: calls for each answer, those of judges included, on average; judge_usd: what these are guessed
    to cost.
    """

    calls: int | None
    usd: float | None
    repeats: int
    finalists: int
    reserve_calls: int
    guesses: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    per_answer: float = 1
    judge_usd: float = 0.0

    @classmethod
    def of(cls, plan: Plan, *, finalists: int) -> Allowance:
        """The allowance of this plan, with the confirmation of so many finalists kept back."""
        repeats = plan.task.repeats
        per_answer = calls_per_answer(plan)
        reserve = math.ceil(finalists * len(plan.task.rows.ids("confirm")) * repeats * per_answer)
        if plan.budget.calls is not None:
            reserve = min(reserve, int(plan.budget.calls * MOST_RESERVED))
        # Judges are measured before anything is searched.
        judging, capped = judging_cost(plan), plan.budget.usd is not None
        calls = None if plan.budget.calls is None else max(0, plan.budget.calls - judging.measured_calls)
        return cls(
            calls,
            None if plan.budget.usd is None else max(0.0, plan.budget.usd - judging.measured_usd),
            repeats,
            finalists,
            reserve,
            call_usd(plan) if capped else {},
            per_answer,
            judging.usd,
        )

    def costs(
        self, used: Sequence[Arm], asked: Sequence[Arm], *, share: float = 1.0, reserve: bool = True
    ) -> list[float]:
        """What one more sample costs each of `asked`, as a share of what is left; `inf` when nothing is.

        Where calls and money are both capped, each arm counts in the currency that it uses up sooner, so
        that costs may be added up. 0 where neither is: caps on tokens and minutes are the engine's to keep.
        used: all arms so far, whose calls and prices count. share: of what the search may use. reserve:
        whether the confirmation is kept back.
        """
        calls, usd = self._left(used, share=share, reserve=reserve)
        prices = [self.repeats * self._price(arm, used) for arm in asked]
        each = self.repeats * self.per_answer
        return [max(_of(each, calls), _of(price, usd)) for price in prices]

    def samples(
        self,
        used: Sequence[Arm],
        asked: Sequence[Arm],
        *,
        share: float = 1.0,
        reserve: bool = True,
        owed: Sequence[tuple[Arm, int]] = (),
    ) -> int:
        """How many further samples all of `asked` can answer; see `costs`.

        owed: arms that have to be asked first, with how many samples each.
        """
        costs = self.costs(used, [*asked, *(arm for arm, _ in owed)], share=share, reserve=reserve)
        of_all = math.fsum(costs[: len(asked)])
        first = math.fsum(
            cost * count for cost, (_, count) in zip(costs[len(asked) :], owed, strict=True) if count > 0
        )
        if of_all == 0:
            return UNLIMITED
        return max(0, math.floor((1 - first) / of_all + ROUNDING)) if math.isfinite(of_all) else 0

    def _price(self, arm: Arm, used: Sequence[Arm]) -> float:
        """USD of a call and of judging its answer: as seen, else as seen of its kin, else as guessed."""
        judging = self.judge_usd
        if answers := sum(other.answers() for other in used):
            judging = math.fsum(other.judge_usd for other in used) / answers
        return self._answer_price(arm, used) + judging

    def _answer_price(self, arm: Arm, used: Sequence[Arm]) -> float:
        seen = _mean_price([arm])
        if seen is not None:
            return seen
        kin = [other for other in used if _kind(other) == _kind(arm)]
        typical = _mean_price(kin)
        return self.guesses.get(_kind(arm), 0.0) if typical is None else typical

    def _left(self, used: Sequence[Arm], *, share: float, reserve: bool) -> tuple[float, float]:
        """Calls and US dollars that may still be used."""
        calls = usd = math.inf
        if self.calls is not None:
            kept = self.reserve_calls if reserve else 0
            made = self.per_answer * sum(int(arm.seen.sum()) for arm in used)
            calls = int((self.calls - kept) * share) - made
        if self.usd is not None:
            answers = self.reserve_calls / self.per_answer
            needed = answers * self._price_of_finalists(used) if reserve else 0.0
            kept = min(needed, self.usd * MOST_RESERVED)
            spent = math.fsum(float(np.nansum(arm.price)) + arm.judge_usd for arm in used)
            usd = (self.usd - kept) * share - spent
        return calls, usd

    def _price_of_finalists(self, used: Sequence[Arm]) -> float:
        # Good settings are the dear ones more often than not: the reserve must do for the dearest.
        prices = sorted(self._price(arm, used) for arm in used if arm.state not in OUT)[-self.finalists :]
        return sum(prices) / len(prices) if prices else 0.0


def _of(cost: float, left: float) -> float:
    if cost == 0:
        return 0.0
    return cost / left if left > 0 else math.inf


def _kind(arm: Arm) -> tuple[str, str]:
    return arm.settings.model, arm.settings.prompt


def _mean_price(arms: Sequence[Arm]) -> float | None:
    """USD of a call on average; `None` where no price was seen."""
    prices = [arm.price[~np.isnan(arm.price)] for arm in arms]
    known = np.concatenate(prices) if prices else np.empty(0)
    return float(known.mean()) if len(known) else None


def answers_within(plan: Plan) -> int:
    """How many answers the cap on calls has room for, those of judges and chunks counted; else no limit."""
    most = plan.budget.calls
    return UNLIMITED if most is None else int(most / calls_per_answer(plan))
