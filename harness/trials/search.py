"""The search: defaults race first, then proposals challenge the champion, then finalists are confirmed.

In: a plan and an engine. Out: arms with their evidence on both splits. Work is allotted by logical calls
at list price, cached or not: a warm cache changes what a run pays, never what it does, and the same seed
and answers always lead to the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.calls.engine import Engine
from harness.errors import InconclusiveError
from harness.plan.limits import broken_limits
from harness.plan.plan import Plan
from harness.records import Settings
from harness.trials.allowance import Allowance
from harness.trials.doubt import surely_broken
from harness.trials.evaluate import ask
from harness.trials.evidence import Arm, Board
from harness.trials.proposals import Proposals
from harness.trials.race import (
    FIRST_BLOCK,
    Verdict,
    checkpoints,
    clearly_lost,
    leader_of,
    told_value,
    unpromising,
    verdict,
)

POOL_SHARE = 0.6  # of the search's allowance that the pool of defaults may use
POOL_MOST = 64  # combinations of model and prompt raced at their defaults
ROUND = 4  # proposals asked together, so that their calls fill the line
FINALISTS = 3  # besides the default
CHEAPER = 0.9  # of the leader's price: for a smaller saving nobody gives up quality
PENALTY = 1.0  # off the told value of what breaks a limit: worse than anything that keeps it


@dataclass(slots=True)
class Search:
    """A search under way. told: values given to the sampler, by trial number."""

    plan: Plan
    engine: Engine
    on_block: Callable[[Search], None] = lambda _: None
    on_answer: Callable[[Search], None] = lambda _: None
    arms: list[Arm] = field(default_factory=list[Arm])
    finalists: list[Arm] = field(default_factory=list[Arm])
    told: dict[int, float] = field(default_factory=dict[int, float])
    notes: list[str] = field(default_factory=list[str])
    stopped: bool = False

    def run(self) -> None:
        """Search, then confirm. Raises InconclusiveError when the budget does not even cover a start."""
        plan = self.plan
        board = Board.of(plan, "search")
        if board.over_labels:
            self.notes.append(
                "race, ties and differences compare single samples by their scores: "
                f"{plan.task.metric} has no value for one sample"
            )
        allowance = Allowance.of(plan, finalists=min(FINALISTS + 1, plan.n_trials))
        proposals = Proposals(plan.space, seed=plan.seed, sampler=plan.sampler)
        pool = [self._arm(n, s, board) for n, s in proposals.defaults(min(plan.n_trials, POOL_MOST))]
        champion = self._race_pool(pool, allowance)
        self._tell(proposals, pool, champion)
        while len(self.arms) < plan.n_trials and not self.stopped:
            if not (round_of := self._propose(proposals, board)):
                self.notes.append("every setting of the space was tried")
                break
            champion = self._race_round(round_of, champion, allowance)
            self._tell(proposals, round_of, champion)
        self._confirm(champion, allowance)

    def planned_calls(self) -> int:
        """The most logical calls that this search can make."""
        task, caps = self.plan.task, self.plan.budget
        finalists = min(FINALISTS + 1, self.plan.n_trials)
        everything = task.repeats * (
            self.plan.n_trials * len(task.rows.ids("search")) + finalists * len(task.rows.ids("confirm"))
        )
        return everything if caps.calls is None else min(everything, caps.calls)

    # -- the pool

    def _race_pool(self, pool: Sequence[Arm], allowance: Allowance) -> Arm:
        alive, done = list(pool), 0
        for goal in checkpoints(len(pool[0].board.ids)):
            mark = min(goal, done + allowance.samples(self.arms, alive, share=POOL_SHARE))
            if mark <= done:
                break
            if not self._answer(alive, range(done, mark)):
                self._note_budget()
                break
            done = mark
            leader = self._leader(alive)
            alive = [arm for arm in alive if arm is leader or not self._drop(arm, leader, clearly_lost)]
            if len(alive) == 1:
                break
        if done == 0:
            raise InconclusiveError(
                f"the budget does not cover a first look at {len(pool)} combinations of model and prompt "
                f"beside the {allowance.reserve_calls} calls that confirm {allowance.finalists} finalists: "
                f"it is {self.plan.budget.words()}; raise it, or search fewer models or prompts"
            )
        leader = self._leader(alive)
        # The champion answers everything: challengers are compared with it on every sample they see.
        rest = min(len(leader.board.ids) - done, allowance.samples(self.arms, [leader]))
        self._answer([leader], range(done, done + rest))
        for arm in alive:
            self._close(arm)
        return leader

    # -- challengers

    def _propose(self, proposals: Proposals, board: Board) -> list[Arm]:
        asked = [proposals.ask() for _ in range(min(ROUND, self.plan.n_trials - len(self.arms)))]
        return [self._arm(number, settings, board) for number, settings in filter(None, asked)]

    def _race_round(self, challengers: Sequence[Arm], champion: Arm, allowance: Allowance) -> Arm:
        alive, done = list(challengers), 0
        for goal in checkpoints(champion.samples()):
            mark = min(goal, done + allowance.samples(self.arms, alive))
            if mark <= done or not self._answer(alive, range(done, mark)):
                self.stopped = True
                self._note_budget()
                break
            done = mark
            alive = [arm for arm in alive if not self._drop(arm, champion, unpromising)]
            if not alive:
                break
        for arm in alive:
            self._close(arm)
        contenders = [champion, *(arm for arm in alive if arm.samples() == champion.samples())]
        return self._leader(contenders)

    # -- finalists

    def _confirm(self, champion: Arm, allowance: Allowance) -> None:
        board = Board.of(self.plan, "confirm")
        chosen = self._finalists(champion)
        self.finalists = [Arm.of(arm.number, arm.settings, board) for arm in chosen]
        affordable = allowance.samples(self.arms, chosen, reserve=False)
        count = min(len(board.ids), affordable)
        if count < len(board.ids):
            self.notes.append(
                f"the budget covered {count} of {len(board.ids)} samples of the confirm split for "
                f"{len(chosen)} finalists"
            )
        if not self._answer(self.finalists, range(count)):
            self._note_budget()
        for arm in self.finalists:
            arm.state = "complete" if arm.samples() == len(board.ids) else "stopped"

    def _finalists(self, champion: Arm) -> list[Arm]:
        full = [arm for arm in self.arms if arm.samples() >= champion.samples()]
        full.sort(key=lambda arm: (arm is not champion, not self._keeps(arm), -self._mean(arm), arm.number))
        best = full[:FINALISTS]
        cheapest = self._cheapest_near(champion, full)
        if cheapest not in best:
            best[-1] = cheapest
        default = self.arms[0]
        return best if default in best else [*best, default]

    def _cheapest_near(self, champion: Arm, full: Sequence[Arm]) -> Arm:
        """What the aim may prefer to the champion: the cheapest one within the tolerance."""
        least = self._mean(champion) - self.plan.aim.tolerance
        near = [arm for arm in full if self._keeps(arm) and self._mean(arm) >= least]
        return min(near, key=lambda arm: (_price(arm), arm is not champion, arm.number), default=champion)

    # -- what all of them share

    def _arm(self, number: int, settings: Settings, board: Board) -> Arm:
        arm = Arm.of(number, settings, board)
        self.arms.append(arm)
        return arm

    def _answer(self, arms: Sequence[Arm], positions: Sequence[int]) -> bool:
        complete = ask(arms, positions, self.engine, lambda: self.on_answer(self))
        self.on_block(self)
        return complete

    def _leader(self, arms: Sequence[Arm]) -> Arm:
        able = [arm for arm in arms if self._keeps(arm)] or arms
        row = leader_of([arm.quality_values() for arm in able], [_price(arm) for arm in able])
        return able[row]

    def _keeps(self, arm: Arm) -> bool:
        limits = self.plan.aim.limits
        return not limits or not broken_limits(arm.trial(), limits)

    def _drop(self, arm: Arm, leader: Arm, rule: Callable[[Verdict], bool]) -> bool:
        values = arm.quality_values()
        broken = surely_broken(arm, self.plan.aim.limits)
        if broken:
            arm.state, arm.reason = "infeasible", "; ".join(broken)
            return True
        if np.isnan(values).all() and arm.samples() >= FIRST_BLOCK:
            arm.state, arm.reason = "failed", f"none of its {arm.samples()} samples could be scored"
            return True
        if self._keeps(arm) and not self._keeps(leader):
            return False
        if not rule(verdict(values + self._allowed_gap(arm, leader), leader.quality_values())):
            return False
        standing = verdict(values, leader.quality_values())
        arm.state = "eliminated"
        arm.reason = (
            f"after {standing.n} samples {abs(standing.difference) * 100:.1f} points "
            f"{'behind' if standing.difference < 0 else 'ahead of'} trial {leader.number} on the same samples"
        )
        return True

    def _allowed_gap(self, arm: Arm, leader: Arm) -> float:
        """Quality that the aim gives up for the price of this arm; 0 for the policy "best"."""
        return self.plan.aim.tolerance if _price(arm) < CHEAPER * _price(leader) else 0.0

    def _close(self, arm: Arm) -> None:
        whole = len(arm.board.ids)
        arm.state = "complete" if arm.samples() == whole else "stopped"
        if arm.state == "stopped":
            arm.reason = f"its race was over after {arm.samples()} of {whole} samples"

    def _tell(self, proposals: Proposals, arms: Sequence[Arm], champion: Arm) -> None:
        mean = self._mean(champion)
        for arm in arms:
            standing = verdict(arm.quality_values(), champion.quality_values())
            if arm is not champion and standing.n < 2:
                arm.state = "failed" if arm.samples() else "stopped"
                proposals.tell(arm.number, None)
                continue
            value = mean if arm is champion else told_value(mean, standing)
            if arm.state == "infeasible" or (arm.state == "complete" and not self._keeps(arm)):
                value -= PENALTY
            self.told[arm.number] = value
            proposals.tell(arm.number, value)
        self.on_block(self)

    def _mean(self, arm: Arm) -> float:
        values = arm.quality_values()
        return 0.0 if np.isnan(values).all() else float(np.nanmean(values))

    def _note_budget(self) -> None:
        note = "the budget ended the search before every trial was through"
        if note not in self.notes:
            self.notes.append(note)


def _price(arm: Arm) -> float:
    price = arm.usd_per_1k_calls()
    return math.inf if price is None else price
