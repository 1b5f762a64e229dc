"""Whether a larger model class is better than a smaller one, and what that costs, in sentences.

In: the best of each class, with their answers sample by sample. Out: a sentence for the largest class beside
the smallest. Chooses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.advice.finalist import Finalist, Goal, Searched, difference, percent, points
from harness.findings import Champion, Trial
from harness.plan.limits import digits
from harness.records import Estimate


def class_gain(
    champions: Sequence[Champion], able: Sequence[Finalist], searched: Sequence[Searched], goal: Goal
) -> str:
    """Does the largest class beat the smallest beyond noise, and what does the gain cost, as a sentence.

    Empty for one class. champions: the best of each class, smallest class first. Both are compared on the
    confirm split where both got there, else on the search split, which flatters.
    """
    texts = [champion for champion in champions if champion.model_class != "EMBEDDING"]
    if len(texts) < 2:
        return ""
    small, large = texts[0], texts[-1]
    found, split = _difference(large.trial, small.trial, able, searched, goal)
    pair = f"{_named(large)} and {_named(small)}"
    if found is None:
        return f"{pair} have too few samples in common to say which is better."
    gap = f"{points(found.value)} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    basis = f"on {found.n} samples of the {split} split, {percent(goal.level)} interval"
    if found.low > 0:
        verdict = f"{_named(large)} beats {_named(small)} beyond noise, by {gap} {basis}"
    elif found.high < 0:
        verdict = f"{_named(large)} is worse than {_named(small)} beyond noise: {gap} {basis}"
    else:
        verdict = f"{_named(large)} does not beat {_named(small)} beyond noise: {gap} {basis}"
    return f"{verdict}; {_cost(large.trial, small.trial, found)}."


def _cost(large: Trial, small: Trial, gap: Estimate) -> str:
    dear, cheap = large.usd_per_1k_calls, small.usd_per_1k_calls
    if dear is None or cheap is None:
        return "what that costs is unknown, since a price is"
    more = dear - cheap
    if more == 0:
        return f"both cost {digits(dear)} USD per 1,000 calls"
    told = f"it costs {digits(dear)} USD per 1,000 calls, against {digits(cheap)}"
    if cheap > 0:
        told += f": {digits(dear / cheap)} times as much"
    if gap.low > 0 and more > 0:
        told += f", {digits(more / (100 * gap.value))} USD a point"
    return told


def _difference(
    one: Trial, other: Trial, able: Sequence[Finalist], searched: Sequence[Searched], goal: Goal
) -> tuple[Estimate | None, str]:
    confirmed = {finalist.number: finalist for finalist in able}
    first, second = confirmed.get(one.number), confirmed.get(other.number)
    if first is not None and second is not None:
        values = (first.confirm_values, second.confirm_values)
        found = difference(*values, first.groups, first.strata, level=goal.level, seed=goal.seed)
        return found, "confirm"
    known = {each.trial.number: each for each in searched}
    left, right = known.get(one.number), known.get(other.number)
    if left is None or right is None:
        return None, "search"
    found = difference(left.values, right.values, left.groups, left.strata, level=goal.level, seed=goal.seed)
    return found, "search"


def _named(champion: Champion) -> str:
    return f"{champion.model_class} (trial {champion.trial.number}, {champion.trial.settings.model})"
