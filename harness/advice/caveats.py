"""What has to be said beside a choice.

In: the choice and its rivals. Out: caveats, a sentence each.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.advice.finalist import Finalist, paired_sd, points
from harness.advice.measured import FEW, rate_caveats
from harness.stats.power import smallest_difference

POWER = 0.8  # chance of seeing a difference of the size that a caveat names


def caveats(chosen: Finalist, rivals: Sequence[Finalist], level: float) -> list[str]:
    """What a reader of the recommendation should know besides its reason."""
    quality, searched = chosen.confirm.quality, chosen.search.quality
    assert quality is not None
    found: list[str] = []
    spread = max((paired_sd(chosen, rival) for rival in rivals), default=0.0)
    if quality.n < FEW:
        found.append(
            f"Only {quality.n} samples confirm this: all they can say is {quality.low:.2f} to "
            f"{quality.high:.2f}. Use more samples before you ship."
        )
    elif spread > 0:
        gap = smallest_difference(quality.n, spread, level=level, power=POWER)
        found.append(
            f"With {quality.n} confirm samples a true difference below {points(gap)} is likely to go unseen."
        )
    if searched and quality.high < searched.value:
        found.append(
            "Quality on the confirm split is well below that on the search split: "
            "the search flattered its winner."
        )
    return [*found, *rate_caveats(chosen.confirm)]
