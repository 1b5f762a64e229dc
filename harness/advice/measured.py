"""What has to be said beside the figures of one set of settings.

In: a trial, and the limits that it should keep. Out: caveats, a sentence each. Pure: it looks nothing up.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.findings import Trial
from harness.plan.limits import broken_limits

TRUNCATION = 0.02  # share of cut-off answers above which a caveat is due
FEW = 15  # samples below which an interval says little


def caveats(trial: Trial, limits: Mapping[str, float], chosen_by: str | None) -> list[str]:
    """What a reader of an evaluation should know. chosen_by: the run that chose the settings, if one did."""
    found: list[str] = []
    quality = trial.quality
    if quality is not None and quality.n < FEW:
        found.append(
            f"Only {quality.n} samples measure this: all they can say is {quality.low:.2f} to "
            f"{quality.high:.2f}. Use more samples before you ship."
        )
    if chosen_by is not None and trial.split != "confirm":
        found.append(
            f"Run {chosen_by} chose these settings on the search split of this experiment, which flatters "
            "them here; `--split confirm` leaves those samples out."
        )
    broken = broken_limits(trial, limits)
    if broken:
        found.append(f"It misses limits of the aim: {'; '.join(broken)}.")
    return [*found, *rate_caveats(trial)]


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
