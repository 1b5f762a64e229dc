"""From whom the choice can be told apart, and what it would take to tell it from the others.

In: the choice and its rivals on the confirm split. Out: their differences with intervals that hold all
together, and a sentence. That two settings cannot be told apart is a result: it says what may be shipped for
its price alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.advice.finalist import DEFAULT, Finalist, Goal, difference, paired_sd, percent
from harness.findings import PairedDifference, Separation
from harness.stats.bounds import shared
from harness.stats.disagreements import mcnemar_p
from harness.stats.power import pairs_needed

POWER = 0.8  # chance of finding the difference that a separation names
SCORE = "paired score"  # method of intervals for right and wrong answers
NOTICEABLE = 0.01  # quality: nobody changes settings for a smaller difference


def differences(chosen: Finalist, rivals: Sequence[Finalist], goal: Goal) -> tuple[PairedDifference, ...]:
    """Quality of the choice minus that of each rival, by number, on the confirm samples that both answered.

    The intervals hold all together at the goal's level: the error is divided among them. For right and wrong
    answers the score interval is as wide as stated on average, so that equals would be told apart a little
    too often for some numbers of samples; where the exact test, which never errs more often than stated,
    does not tell them apart, the interval reaches to zero. A rival with fewer than two independent samples
    in common has none.
    """
    level = shared(goal.level, len(rivals))
    found: list[PairedDifference] = []
    for rival in sorted(rivals, key=lambda rival: rival.number):
        one, other = chosen.confirm_values, rival.confirm_values
        estimate = difference(one, other, chosen.groups, chosen.strata, level=level, seed=goal.seed)
        if estimate is None:
            continue
        # Comparing with NaN is False, so that only samples of both are counted.
        ahead, behind = int((one > other).sum()), int((one < other).sum())
        if estimate.method == SCORE and mcnemar_p(ahead, behind) >= 1 - level:
            estimate = replace(estimate, low=min(estimate.low, 0.0), high=max(estimate.high, 0.0))
        found.append(PairedDifference(other=rival.number, difference=estimate))
    return tuple(found)


def ties(rivals: Sequence[Finalist], found: Sequence[PairedDifference]) -> tuple[int, ...]:
    """Numbers of the rivals that cannot be told from the choice: their interval holds 0, or there is none."""
    apart = {one.other for one in found if not one.difference.low <= 0 <= one.difference.high}
    return tuple(sorted(rival.number for rival in rivals if rival.number not in apart))


def certainty(rivals: Sequence[Finalist], tied: Sequence[int], level: float) -> str:
    """Whether the choice can be told from its rivals, as a sentence; empty without rivals."""
    if not rivals:
        return ""
    together = f"with {percent(level)} confidence for all comparisons together"
    if not tied:
        each = "the one other finalist" if len(rivals) == 1 else f"each of the {len(rivals)} other finalists"
        return f"It can be told apart from {each}, {together}."
    named = [_named(number) for number in sorted(tied, key=lambda number: (number == DEFAULT, number))]
    listed = " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
    rest = "" if len(tied) < len(rivals) else ": no difference in quality is shown"
    return f"It cannot be told apart from {listed}{rest}, {together}."


def separations(
    chosen: Finalist, others: Sequence[Finalist], found: Sequence[PairedDifference], goal: Goal
) -> tuple[Separation, ...]:
    """What it would take to tell the choice from these others, by number.

    found: all differences that are looked at, whose intervals the error is shared among.
    """
    level = shared(goal.level, len(found))
    in_order = sorted(others, key=lambda other: other.number)
    return tuple(_separation(chosen, other, goal, level=level) for other in in_order)


def _separation(chosen: Finalist, other: Finalist, goal: Goal, *, level: float) -> Separation:
    values = (chosen.confirm_values, other.confirm_values)
    seen = difference(*values, chosen.groups, chosen.strata, level=level, seed=goal.seed)
    have = seen.n if seen else 0
    wanted = max(NOTICEABLE, abs(seen.value)) if seen else NOTICEABLE
    # Where all answers were equally good there is no spread to go by: as if one of them had differed.
    spread = paired_sd(chosen, other) or max(1, have) ** -0.5
    samples = max(have, pairs_needed(wanted, spread, level, POWER, sides=2))
    prices = (chosen.confirm.usd_per_1k_calls, other.confirm.usd_per_1k_calls)
    known = [price for price in prices if price is not None]
    calls = (samples - have) * goal.repeats
    return Separation(
        other=other.number,
        difference=wanted,
        samples=samples,
        more=samples - have,
        usd=sum(known) / 1000 * calls if len(known) == len(prices) else None,
        power=POWER,
    )


def _named(number: int) -> str:
    return "the untuned default" if number == DEFAULT else f"trial {number}"
