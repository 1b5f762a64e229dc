"""The smallest difference that the data of a plan can tell, before anything is spent.

In: a plan and some of its samples. Out: differences of quality by split, and whether the policy asks for
less. Must not know money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.plan.plan import Plan
from harness.records import Sample, Split
from harness.stats.power import pairs_needed, smallest_difference

POWER = 0.8
# Of the difference between two settings on one sample, for answers that are right or wrong: on nine recorded
# result matrices of public benchmarks it lay between the outer two.
PAIRED_SD = 0.40
PAIRED_SD_RANGE = (0.35, 0.48)
GROUPED = 0.95  # clusters by sample, below which samples come in groups worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What one split can tell. n: independent samples, each group of them counted once.

    difference: of quality, from 0 to 1, that is found with 80 % power when it is really there, at the aim's
    confidence in one direction; low and high: for the smaller and the larger standard deviation of
    `PAIRED_SD_RANGE`.
    """

    split: Split
    n: int
    difference: float
    low: float
    high: float


def resolutions(plan: Plan, sampled: Sequence[Sample]) -> tuple[Resolution, Resolution]:
    """What search and confirm split can tell. sampled: rows from which groups are counted."""
    card, share = plan.task.rows.card, _share_of_clusters(sampled)
    level = plan.aim.confidence

    def of(split: Split, rows: int) -> Resolution:
        n = max(1, round(rows * share))
        low, middle, high = (
            min(1.0, smallest_difference(n, sd, level, POWER))
            for sd in (PAIRED_SD_RANGE[0], PAIRED_SD, PAIRED_SD_RANGE[1])
        )
        return Resolution(split=split, n=n, difference=middle, low=low, high=high)

    return of("search", card.n_search), of("confirm", card.n_confirm)


def too_small(plan: Plan, confirm: Resolution) -> str:
    """Plain words when the policy asks for less than the confirm split can tell; empty when it does not."""
    tolerance = plan.aim.tolerance
    if not 0 < tolerance < confirm.difference:
        return ""
    needed = pairs_needed(tolerance, PAIRED_SD, plan.aim.confidence, POWER)
    policy = plan.aim.policy.words()
    return (
        f"This data is too small for the policy ({policy}): the {confirm.n} samples that confirm tell "
        f"{points(confirm.difference)} apart; for {points(tolerance)} it takes some {needed}. What differs "
        "by less will be called a tie; add data, or give up more quality."
    )


def basis(sampled: Sequence[Sample]) -> str:
    """What these figures rest on, as a sentence."""
    low, high = PAIRED_SD_RANGE
    groups = " Samples of one group count once." if _share_of_clusters(sampled) < GROUPED else ""
    return (
        f"Resolves: found with {POWER:.0%} power where differences between two settings on one sample have a "
        f"standard deviation of {PAIRED_SD:g}, assumed from right and wrong answers of public benchmarks, in "
        f"brackets {low:g} and {high:g}.{groups}"
    )


def more_samples(number: int) -> str:
    """So many further samples, of which one is one: "about 1 more sample", "about 40 more samples"."""
    return f"about {number} more sample{'' if number == 1 else 's'}"


def points(difference: float) -> str:
    """A difference of quality in points of a hundred, with two digits: "1 point", "9.9 points"."""
    size = 100 * difference
    digits = max(0, 1 - math.floor(math.log10(size))) if size > 0 else 0
    text = f"{size:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} point{'' if text == '1' else 's'}"


def _share_of_clusters(sampled: Sequence[Sample]) -> float:
    """Clusters by sample, from 0 to 1; a sample without a group is a cluster of its own."""
    if not sampled:
        return 1.0
    alone = sum(sample.group is None for sample in sampled)
    groups = {sample.group for sample in sampled if sample.group is not None}
    return (alone + len(groups)) / len(sampled)
