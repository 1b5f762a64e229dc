"""The outcome of a run in one sentence, and what may be said of a difference.

In: a run record. Out: plain text, the same on page, card, terminal and in pull requests. Must not compute
figures: it reads intervals that are there.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.findings import Recommendation, RunRecord, RunState, Trial
from harness.outputs import numbers
from harness.outputs.embeddings import false_hits, shown_caches
from harness.records import Estimate

SAME = "no clear difference"
WITHOUT_CHOICE: Mapping[RunState, str] = {
    "running": "No recommendation yet: the run is still going.",
    "complete": "No recommendation: no settings qualified.",
    "stopped": "No recommendation: the run was stopped before the confirm split could decide.",
    "inconclusive": "No recommendation: the evidence does not decide.",
    "failed": "No recommendation: the run failed.",
}


def verdict(record: RunRecord) -> str:
    """The outcome of a run in one sentence."""
    if record.verb == "eval":
        # Nothing was to be chosen, so nothing is missing.
        (only,) = record.trials
        told = [_figures(only, record.metric), *(false_hits(one) for one in shown_caches(record)[-1:])]
        return f"Measured {numbers.settings_line(only.settings)}: {'; '.join(told)}."
    choice = record.recommendation
    if choice is None:
        return WITHOUT_CHOICE[record.state]
    caches = shown_caches(record)
    if caches and caches[-1].threshold is None:
        return f"Leave the cache off: no threshold is recommended; {caches[-1].why}."
    return chosen(choice, record.metric, *(false_hits(one) for one in caches[-1:]))


def chosen(choice: Recommendation, metric: str, *more: str) -> str:
    """What to ship, in one sentence. more: said of it beside quality, price and latency."""
    figures = "; ".join([_figures(choice.trial, metric), *more])
    if choice.trial.number == 0:
        return f"Keep the untuned default, {numbers.settings_line(choice.settings)}: {figures}."
    against = ""
    if choice.versus_default is not None:
        found = reading(choice.versus_default.difference)
        against = f"; {found} {'to' if found == SAME else 'than'} the untuned default"
    return f"Ship {numbers.settings_line(choice.settings)}: {figures}{against}."


def reading(difference: Estimate) -> str:
    """What may be said of a difference: "better" or "worse" only when the interval leaves zero out."""
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else SAME


def _figures(trial: Trial, metric: str) -> str:
    cost = numbers.price_phrase(trial.usd_per_1k_calls)
    known = trial.latency_p50_s is not None
    latency = f", median latency {numbers.seconds(trial.latency_p50_s)}" if known else ""
    return f"{metric} {numbers.quality(trial.quality)}, {cost}{latency}"
