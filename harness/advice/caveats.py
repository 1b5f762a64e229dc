"""What has to be said beside a choice.

In: the choice, its rivals and all that was tried. Out: caveats, a sentence each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from harness.advice.finalist import Finalist, paired_sd, points
from harness.advice.measured import FEW, rate_caveats
from harness.findings import Trial
from harness.records import FailureKind
from harness.stats.power import smallest_difference

POWER = 0.8  # chance of seeing a difference of the size that a caveat names
UNHEARD = 0.05  # share of a model's calls without an answer above which it may have lost by them
# Failures by which providers show nothing of a model; the others are answers to its settings or its prompt.
OF_PROVIDERS: frozenset[FailureKind] = frozenset(
    (
        *("rate_limit", "overloaded", "connection", "timeout", "malformed"),
        *("quota", "credentials", "not_found", "down"),
    )
)


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


def unheard(trials: Iterable[Trial]) -> list[str]:
    """Models that may have lost because their provider did not answer. trials: all but the choice."""
    calls: Counter[str] = Counter()
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    causes: dict[str, str] = {}
    for trial in trials:
        model = trial.settings.model
        calls[model] += sum(trial.endings.values())
        kinds[model].update({kind: n for kind, n in trial.endings.items() if kind in OF_PROVIDERS})
        if trial.state == "failed" and trial.reason:
            causes[model] = f"; {trial.reason}"
    found: list[str] = []
    for model, lost in kinds.items():
        count, cause = lost.total(), causes.get(model, "")
        if count > UNHEARD * calls[model] or (cause and not calls[model]):
            named = ", ".join(f"{kind} {n}" for kind, n in lost.most_common())
            told = f"{count} of {calls[model]} calls had no answer{f' ({named})' if named else ''}{cause}"
            found.append(f"{model} may be better than it looks: {told}")
    return found
