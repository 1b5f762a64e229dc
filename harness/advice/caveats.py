"""What has to be said beside a choice.

In: the choice and its rivals. Out: caveats, a sentence each.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.advice.finalist import Finalist, paired_sd, points
from harness.records import Trial
from harness.stats.power import smallest_difference

POWER = 0.8  # chance of seeing a difference of the size that a caveat names
TRUNCATION = 0.02  # share of cut-off answers above which a caveat is due
FEW = 15  # confirm samples below which an interval says little


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


def rate_caveats(trial: Trial) -> list[str]:
    """What to say of answers that were cut off, did not come, or could not be judged."""
    found: list[str] = []
    if trial.truncation_rate > TRUNCATION:
        found.append(
            f"{trial.truncation_rate:.0%} of the answers were cut off at max_output_tokens; "
            "what came after the cut was not judged."
        )
    if trial.failure_rate > 0:
        found.append(f"{trial.failure_rate:.1%} of the calls failed.")
    if trial.unscored_rate > 0:
        found.append(f"{trial.unscored_rate:.1%} of the answers could not be judged.")
    return found
