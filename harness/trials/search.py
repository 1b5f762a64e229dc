"""The search: defaults race first, then proposals challenge the champion, then finalists are confirmed.

In: a plan and a way to ask. Out: arms with their evidence on both splits. Work is allotted by logical calls
at list price, cached or not: a warm cache changes what a run pays, never what it does, and the same seed
and answers always lead to the same result, in whatever order the answers come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from harness.errors import InconclusiveError, ProviderError
from harness.plan.limits import broken_limits, excess
from harness.plan.plan import Plan
from harness.trials import finals
from harness.trials.allowance import Allowance, answers_within
from harness.trials.board import Board
from harness.trials.confidence import ConfidenceRace
from harness.trials.doubt import surely_broken
from harness.trials.duel import FIRST_BLOCK, Verdict, checkpoints, shrunk, unpromising, verdict, wins
from harness.trials.evaluate import NOTHING, Ask, Due
from harness.trials.evidence import Arm
from harness.trials.proposals import Proposals
from harness.trials.race import ROUNDING, Race
from harness.trials.vector_quality import OF_THE_WHOLE, finalist

POOL_SHARE = 0.5  # of the search's allowance that the pool of defaults may use where there is more to try
POOL_DEPTH = 12  # samples of each of them that it may use in any case: defaults are worth more than search
REFINED_SHARE = 0.85  # of it that pool and challengers may use; the rest decides among the best
POOL_MOST = 256  # combinations of model and prompt raced at their defaults
POOL_LOOK = 4  # samples that each of them can answer, or fewer are raced
ROUND = 4  # proposals asked together, so that their calls fill the line
CHEAPER = 0.9  # of the leader's price or time: for a smaller saving nobody gives up quality


@dataclass(slots=True)
class Search:
    """A search under way.

    ask: lets arms answer samples, see `evaluate.Pipeline.ask`. on_block: called when there is new evidence.
    told: values given to the sampler, by number. first: number of the first arm. waiting: proposed, and too
    dear so far.
    """

    plan: Plan
    ask: Ask
    on_block: Callable[[Search], None] = lambda _: None
    arms: list[Arm] = field(default_factory=list[Arm])
    finalists: list[Arm] = field(default_factory=list[Arm])
    told: dict[int, float] = field(default_factory=dict[int, float])
    notes: list[str] = field(default_factory=list[str])
    stopped: bool = False
    first: int = 0
    waiting: list[Arm] = field(default_factory=list[Arm])

    def run(self) -> None:
        """Search, then confirm.

        Raises InconclusiveError when the budget does not even cover a start, and ProviderError when no
        model can be asked.
        """
        plan = self.plan
        board = Board.of(plan, "search")
        if board.of_the_whole:
            by = "how they stand among the others" if board.metric.reads in OF_THE_WHOLE else "their scores"
            self.notes.append(
                f"race, ties and differences compare single samples by {by}: "
                f"{plan.task.metric} has no value for one sample"
            )
        allowance = Allowance.of(plan, finalists=min(finals.MOST + 1, plan.n_trials))
        proposals = Proposals(plan.space, seed=plan.seed, sampler=plan.sampler)
        pool = self._pool(proposals, board, allowance)
        share = self._pool_share(pool, allowance) if self._more_to_try() else 1.0
        champion = self._race(self._new_race(pool), pool, allowance, share)
        self._tell(proposals, pool, champion)
        following = self._propose(proposals, champion, allowance)
        while following:
            # The next round is proposed before this one is over: its first look fills the line meanwhile.
            round_of, following = following, self._propose(proposals, champion, allowance, beside=following)
            leader = self._challenge(round_of, champion, allowance, following)
            self._tell(proposals, round_of, champion)
            champion = leader
            following = following or self._propose(proposals, champion, allowance)
        if (distinct := plan.space.distinct) is not None and len(self.arms) == distinct < plan.n_trials:
            self.notes.append("every setting of the space was tried")
        if plan.mode == "budget" or len(self.arms) > len(pool):
            champion = self._decide(champion, allowance)
        self._close()
        self._confirm(champion, allowance)

    def planned_calls(self) -> int:
        """The most answers that this search can ask for."""
        task, finalists = self.plan.task, min(finals.MOST + 1, self.plan.n_trials)
        everything = task.repeats * (
            self.plan.n_trials * len(task.rows.ids("search")) + finalists * len(task.rows.ids("confirm"))
        )
        return min(everything, answers_within(self.plan))

    # -- the pool

    def _pool(self, proposals: Proposals, board: Board, allowance: Allowance) -> list[Arm]:
        """Models and prompts at their defaults: all of them, or as many as can be looked at."""
        space = self.plan.space
        all_of_them = len(space.models) * len(space.prompts)
        room = allowance.samples([], [Arm.of(0, space.fixed[0], board)])
        most = min(self.plan.n_trials, POOL_MOST, max(2, room // POOL_LOOK))
        if most <= (fixed := len(space.fixed) - 1) or room < FIRST_BLOCK * min(2, most, all_of_them):
            presets = f"and {fixed} settings of presets " if fixed else ""
            raise InconclusiveError(
                f"the budget does not cover a first look at {all_of_them} combinations of model and prompt "
                f"{presets}beside the {allowance.reserve_calls} calls that confirm {allowance.finalists} "
                f"finalists: it is {self.plan.budget.words()}; raise it, or search fewer models or prompts"
            )
        if all_of_them + (warm := len(space.warm) + fixed) > most:
            what = f"{all_of_them} combinations of model and prompt"
            if warm:
                what = f"{all_of_them + warm} starting points ({what}, {warm} sets of settings)"
            self.notes.append(
                f"{most} of {what} were tried: n_trials is {self.plan.n_trials} and the budget "
                f"{self.plan.budget.words()}"
            )
        # A space that fits into one race needs no proposals.
        pool = proposals.whole(most) or proposals.defaults(most)
        self.arms += [Arm.of(self.first + number, settings, board) for number, settings in pool]
        return list(self.arms)

    def _pool_share(self, pool: Sequence[Arm], allowance: Allowance) -> float:
        needed = POOL_DEPTH * math.fsum(allowance.costs(self.arms, pool))
        return min(1.0, max(POOL_SHARE, needed))

    def _more_to_try(self) -> bool:
        return len(self.arms) < self.plan.most_trials

    # -- races

    def _new_race(self, arms: Sequence[Arm]) -> Race:
        rows, samples, aim = len(arms), len(arms[0].board.ids), self.plan.aim
        if self.plan.mode == "budget":
            return Race(rows, samples)
        return ConfidenceRace(rows, samples, alpha=1 - aim.confidence, epsilon=aim.indifference)

    def _race(self, race: Race, arms: Sequence[Arm], allowance: Allowance, share: float) -> Arm:
        """Let these arms, by row, race until it is over or its share is used up; gives the champion."""
        if len(arms) == 1:
            return self._alone(arms[0], allowance)
        while (block := race.next(1.0, allowance.costs(self.arms, arms, share=share))) is not None:
            self._mark_exits(race, arms)
            ahead = Due([arms[row] for row in block.safe], range(block.stop, block.until))
            whole = self._answer([arms[row] for row in block.rows], range(block.start, block.stop), ahead)
            if not whole:
                self.stopped = True
                self._note_budget()
                break
            scored = [arms[row].quality_values(block.start, block.stop) for row in block.rows]
            race.take(block, np.stack(scored))
            self._judge(race, arms)
        self._mark_exits(race, arms)
        if isinstance(race, ConfidenceRace):
            self.notes.append(race.words([arm.number for arm in arms]))
        if not any(arm.samples() for arm in arms):
            raise InconclusiveError(
                f"the budget did not cover a first look at {len(arms)} settings: it is "
                f"{self.plan.budget.words()}; raise it, or search fewer models or prompts"
            )
        return self._leader([arms[row] for row in race.ranked(edge=False)])

    def _alone(self, arm: Arm, allowance: Allowance) -> Arm:
        """What has nobody to race answers all that can be paid."""
        whole, done = len(arm.board.ids), arm.samples()
        if not self._answer([arm], range(done, min(whole, done + allowance.samples(self.arms, [arm])))):
            self._note_budget()
        return arm

    def _judge(self, race: Race, arms: Sequence[Arm]) -> None:
        """Take out what failed or breaks a limit, but not everybody; say what a low price makes up for."""
        for row in reversed(race.ranked()):
            if len(race.alive) > 1 and self._is_out(arms[row]):
                race.remove(row)
        leader = arms[race.leader]
        for row in race.alive:
            race.edge[row] = self._allowed_gap(arms[row], leader)

    def _is_out(self, arm: Arm) -> bool:
        """Whether an arm is out whatever its quality; it is told so."""
        if arm.state == "failed":
            return True
        if broken := surely_broken(arm, self.plan.aim.limits):
            arm.state, arm.reason = "infeasible", "; ".join(broken)
        elif arm.samples() >= FIRST_BLOCK and np.isnan(arm.quality_values()).all():
            arm.state, arm.reason = "failed", f"none of its {arm.samples()} samples could be scored"
        return arm.state in ("infeasible", "failed")

    def _mark_exits(self, race: Race, arms: Sequence[Arm]) -> None:
        for row, exit_ in race.exits.items():
            if arms[row].state == "running":
                self._eliminate(arms[row], exit_.after, exit_.behind, arms[exit_.leader], exit_.why)

    def _eliminate(self, arm: Arm, n: int, behind: float, leader: Arm, why: str) -> None:
        points = f"{abs(behind) * 100:.1f} points {'behind' if behind >= 0 else 'ahead of'}"
        arm.state = "eliminated"
        arm.reason = f"after {n} samples {points} trial {leader.number} on the same samples, {why}"

    def _allowed_gap(self, arm: Arm, leader: Arm) -> float:
        """Quality that the aim gives up for the price or speed of this arm; 0 for the policy "best"."""
        aim = self.plan.aim
        lighter = finals.burden(arm, aim) < CHEAPER * finals.burden(leader, aim)
        return aim.tolerance if lighter else 0.0

    # -- challengers

    def _propose(
        self, proposals: Proposals, champion: Arm, allowance: Allowance, *, beside: Sequence[Arm] = ()
    ) -> list[Arm]:
        """New challengers; none when all was tried, or a first look at them cannot be paid.

        beside: challengers whose first look is to be paid as well. What cannot be paid waits.
        """
        if self.stopped or not self._more_to_try():
            return []
        if not self.waiting:
            asked = [proposals.ask() for _ in range(min(ROUND, self.plan.n_trials - len(self.arms)))]
            self.waiting = [Arm.of(self.first + one[0], one[1], champion.board) for one in asked if one]
            if not self.waiting:
                self.notes.append("the sampler proposed nothing new")
        room = allowance.samples(self.arms, self.waiting, share=REFINED_SHARE, owed=_owed(beside))
        if room < _first_look(champion):
            if not beside:
                self._note_budget()
            return []
        made, self.waiting = self.waiting, []
        self.arms += made
        return made

    def _challenge(
        self, challengers: Sequence[Arm], champion: Arm, allowance: Allowance, following: Sequence[Arm]
    ) -> Arm:
        """Race challengers against the champion, look by look; gives who leads now.

        All answer the same first samples. Who is unlikely to win gives way, who has likely won is through.
        following: the challengers after these, whose first look is asked in any case.
        """
        alive, won, done = list(challengers), list[Arm](), 0
        first_look = _first_look(champion)
        for goal in checkpoints(len(champion.board.ids)):
            racing = [champion, *alive]
            payers = [arm for arm in racing if arm.samples() <= done]
            room = allowance.samples(self.arms, payers, share=REFINED_SHARE, owed=_owed(following))
            mark = min(goal, max(done + room, min(arm.samples() for arm in racing)))
            ahead = Due(following, range(first_look))
            if mark <= done or not self._answer(racing, range(done, mark), ahead):
                self.stopped = mark > done
                self._note_budget()
                break
            done = mark
            alive = [arm for arm in alive if not self._gives_way(arm, champion)]
            won += [arm for arm in alive if wins(self._standing(arm, champion))]
            alive = [arm for arm in alive if arm not in won]
            if not alive:
                break
        ahead = [arm for arm in (*won, *alive) if self._standing(arm, champion).difference > 0]
        return max(ahead, key=lambda arm: self._lead(arm, champion), default=champion)

    def _gives_way(self, arm: Arm, champion: Arm) -> bool:
        if self._is_out(arm):
            return True
        if self._keeps(arm) and not self._keeps(champion):
            return False
        values, best = arm.quality_values(), champion.quality_values()
        if not unpromising(verdict(values + self._allowed_gap(arm, champion), best)):
            return False
        standing = verdict(values, best)
        self._eliminate(arm, standing.n, -standing.difference, champion, "unlikely to catch up")
        return True

    def _standing(self, arm: Arm, champion: Arm) -> Verdict:
        return verdict(arm.quality_values(), champion.quality_values())

    def _lead(self, arm: Arm, champion: Arm) -> tuple[bool, float, int]:
        """How a challenger ranks among those ahead of the champion."""
        return self._keeps(arm), shrunk(self._standing(arm, champion)), -arm.number

    # -- the end

    def _decide(self, champion: Arm, allowance: Allowance) -> Arm:
        """Race the best of all that was tried on the samples that are left; gives the champion."""
        depth, best = champion.samples(), [champion]
        rivals = self._affordable(finals.contenders(self.arms, champion)[1:], depth, allowance)
        for arm, later in zip_longest(rivals, rivals[1:]):
            ahead = Due([later], range(later.samples(), depth)) if later else NOTHING
            if not self._answer([arm], range(arm.samples(), depth), ahead):
                self._note_budget()
                break
            best.append(arm)
        race = Race.resumed(np.stack([arm.quality_values() for arm in best]), depth)
        return self._race(race, best, allowance, 1.0)

    def _affordable(self, arms: Sequence[Arm], depth: int, allowance: Allowance) -> list[Arm]:
        """The first of these arms, as many as can be paid up to this depth."""
        costs = allowance.costs(self.arms, arms)
        needed = np.cumsum(
            [cost * max(0, depth - arm.samples()) for arm, cost in zip(arms, costs, strict=True)]
        )
        count = int(np.searchsorted(needed, 1 + ROUNDING, side="right"))
        if count < len(arms):
            self._note_budget()
        return list(arms[:count])

    def _close(self) -> None:
        """Say of each arm that is still running how far it came."""
        for arm in self.arms:
            whole = len(arm.board.ids)
            if arm.state == "running":
                arm.state = "complete" if arm.samples() == whole else "stopped"
                if arm.state == "stopped":
                    arm.reason = f"its race was over after {arm.samples()} of {whole} samples"

    def _confirm(self, champion: Arm, allowance: Allowance) -> None:
        board = Board.of(self.plan, "confirm")
        chosen = finals.finalists(self.arms, champion, self.plan.aim)
        count = min(len(board.ids), allowance.samples(self.arms, chosen, reserve=False))
        while len(chosen) > finals.FEWEST and count < min(len(board.ids), finals.ENOUGH):
            chosen = finals.without_last(chosen)
            count = min(len(board.ids), allowance.samples(self.arms, chosen, reserve=False))
        if count < len(board.ids):
            self.notes.append(
                f"the budget covered {count} of {len(board.ids)} samples of the confirm split for "
                f"{len(chosen)} finalists"
            )
        self.finalists = [finalist(arm, board) for arm in chosen]
        if not self._answer(self.finalists, range(count)):
            self._note_budget()
        for arm in self.finalists:
            if arm.state == "running":
                arm.state = "complete" if arm.samples() == len(board.ids) else "stopped"

    # -- what all of them share

    def _answer(self, arms: Sequence[Arm], positions: Sequence[int], ahead: Due = NOTHING) -> bool:
        """Whether nothing was refused for want of budget. Raises ProviderError when no model is left.

        ahead: what will be asked next whatever these answers are.
        """
        answered = self.ask(arms, positions, ahead)
        for arm in (*self.arms, *self.finalists):
            if arm.state == "running" and (cause := answered.gone.get(arm.settings.model)):
                arm.state, arm.reason = "failed", f"{arm.settings.model} {cause}"
        if answered.gone and all(arm.state == "failed" for arm in arms):
            raise ProviderError(
                f"{arms[0].reason}; mend it and resume the run: nothing that was answered is lost"
            )
        self.on_block(self)
        return answered.complete

    def _leader(self, arms: Sequence[Arm]) -> Arm:
        """The best mean among those that keep the limits, else of all; of equals the cheaper one."""
        able = [arm for arm in arms if arm.state != "failed"] or arms
        able = [arm for arm in able if self._keeps(arm)] or able
        return min(able, key=lambda arm: (-finals.mean(arm), finals.price(arm), arm.number))

    def _keeps(self, arm: Arm) -> bool:
        limits = self.plan.aim.steering
        return not limits or not broken_limits(arm.trial(), limits)

    def _tell(self, proposals: Proposals, arms: Sequence[Arm], champion: Arm) -> None:
        """Tell the sampler what these arms are worth beside the champion of their race.

        Values hang together through champions: each is told on the scale of the one it was compared with.
        """
        level = self.told.setdefault(champion.number, finals.mean(champion))
        for arm in arms:
            standing = self._standing(arm, champion)
            if arm.state == "failed" or (arm is not champion and standing.n < 2):
                proposals.tell(arm.number - self.first, None)
                continue
            value = level if arm is champion else level + shrunk(standing)
            self.told[arm.number] = value
            broken = excess(arm.trial(), self.plan.aim.limits)
            number = arm.number - self.first
            proposals.tell(number, value, usd_per_1k_calls=arm.usd_per_1k_calls(), broken=broken)
        self.on_block(self)

    def _note_budget(self) -> None:
        note = "the budget ended the search before every trial was through"
        if note not in self.notes:
            self.notes.append(note)


def _first_look(arm: Arm) -> int:
    """Samples that every challenger answers."""
    return min(FIRST_BLOCK, len(arm.board.ids))


def _owed(challengers: Sequence[Arm]) -> list[tuple[Arm, int]]:
    """What each of them has yet to answer of its first look."""
    return [(arm, _first_look(arm) - arm.samples()) for arm in challengers]
