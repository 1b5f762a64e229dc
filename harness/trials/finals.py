"""Who is still worth a look at the end: contenders for the last race, and finalists to confirm.

In: arms with what they have shown on the search split. Out: some of them, the best first. Asks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.plan.limits import broken_limits
from harness.plan.plan import Aim
from harness.trials.duel import verdict
from harness.trials.evidence import Arm

MOST = 3  # finalists besides the default: the best, its nearest rival, and the cheapest that the aim allows
FEWEST = 2  # finalists that are confirmed however little is left: the choice and the default
ENOUGH = 30  # samples that each finalist should confirm; with fewer of them, fewer finalists are asked
CONTENDERS = 6  # arms in the last race
HOPE = 0.1  # chance to beat the champion below which an arm is no contender
DEFAULT = 0  # number of the untuned default
OUT = ("failed", "infeasible", "eliminated")


def contenders(arms: Sequence[Arm], champion: Arm) -> list[Arm]:
    """The champion, and the few that may still be better than it."""
    able = [arm for arm in arms if arm is not champion and arm.state not in OUT and arm.samples() > 1]
    able = [arm for arm in able if chance(arm, champion) >= HOPE]
    able.sort(key=lambda arm: (-chance(arm, champion), arm.number))
    return [champion, *able[: CONTENDERS - 1]]


def finalists(arms: Sequence[Arm], champion: Arm, aim: Aim) -> list[Arm]:
    """The champion, rivals that may be as good, the lightest that the aim allows, and the default, in order.

    The lightest is the cheapest, or the fastest where the policy asks for speed. A rival that has lost is not
    confirmed: what the search knows need not be paid for twice.
    """

    def keeps(arm: Arm) -> bool:
        return not broken_limits(arm.trial(), aim.steering)

    level = [arm for arm in arms if arm.samples() >= champion.samples() and arm.state != "failed"]
    level.sort(key=lambda arm: (arm is not champion, not keeps(arm), -mean(arm), arm.number))
    may_win = [arm for arm in level if chance(arm, champion) >= HOPE or (keeps(arm) and not keeps(champion))]
    best = [champion, *(arm for arm in may_win if arm is not champion)][:MOST]
    least = aim.policy.amount if aim.policy.name == "floor" else mean(champion) - aim.tolerance
    near = [arm for arm in level if keeps(arm) and mean(arm) >= least]
    lightest = min(
        near, key=lambda arm: (burden(arm, aim), arm is not champion, arm.number), default=champion
    )
    if lightest not in best:
        best = [*best[: MOST - 1], lightest]
    return best if arms[0] in best else [*best, arms[0]]


def without_last(chosen: Sequence[Arm]) -> list[Arm]:
    """One finalist fewer, the last one that is neither the champion, which is first, nor the default."""
    spare = [arm for arm in chosen[1:] if arm.number != DEFAULT]
    return [arm for arm in chosen if arm is not spare[-1]] if spare else list(chosen)


def chance(arm: Arm, champion: Arm) -> float:
    """The chance that an arm is better than the champion, by the samples that both answered."""
    return verdict(arm.quality_values(), champion.quality_values()).p_loses


def mean(arm: Arm) -> float:
    """Mean quality of what it answered; 0 when nothing could be counted."""
    values = arm.quality_values()
    return 0.0 if np.isnan(values).all() else float(np.nanmean(values))


def burden(arm: Arm, aim: Aim) -> float:
    """What the policy gives up quality for: median seconds of a call for `fastest_within`, else its price."""
    if aim.policy.name != "fastest_within":
        return price(arm)
    return math.inf if np.isnan(arm.latency).all() else float(np.nanmedian(arm.latency))


def price(arm: Arm) -> float:
    """USD for a thousand calls; infinite while it is unknown."""
    usd = arm.usd_per_1k_calls()
    return math.inf if usd is None else usd
