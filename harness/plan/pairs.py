"""What the rows of a task of vectors cannot show, told before anything is spent.

In: a plan. Out: notes for its readers. Must not send anything, and chooses no threshold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.plan.embedding import Embedding, alike, same

if TYPE_CHECKING:
    from harness.plan.plan import Plan
    from harness.records import Split

LIKELY = 0.75  # a chance to confirm from which on nothing is said of it
WORTH = 0.1  # by how much another split has to raise it to be proposed
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the confirm split that are proposed


def pair_notes(plan: Plan) -> list[str]:
    """What the splits of a search cannot show: of a threshold, or where all targets of one are alike."""
    embedding = plan.task.embedding
    if embedding is None or plan.evaluated is not None:
        return []
    names: tuple[Split, ...] = ("search", "confirm")
    if embedding.kind != "semantic_cache":
        return [note for one in names if (note := _alike(plan, embedding, one))]
    splits = {one: _Split(plan, embedding, one) for one in names}
    if any("threshold" in settings.local for settings in plan.space.defaults.values()):
        names = ("confirm",)  # the spec says the threshold, and no pairs choose one
    notes = [_few(plan, embedding, one, splits[one].different) for one in names if splits[one].pairs]
    if not any(notes) and "search" in names:
        notes.append(_unsure(plan, embedding, splits["search"].different, splits["confirm"].different))
    return [*(note for note in notes if note), *_repeated(splits["search"].texts, splits["confirm"].texts)]


def _alike(plan: Plan, embedding: Embedding, split: Split) -> str:
    target = alike(embedding, plan.task.rows, split)
    if target is None:
        return ""
    return (
        f"all samples of the {split} split have the target {target}: nothing is told apart there; add rows, "
        "or another seed divides them otherwise"
    )


class _Split:
    """The pairs of a split. different: how many are so labelled. texts: all that stand in pairs."""

    def __init__(self, plan: Plan, embedding: Embedding, split: Split) -> None:
        self.pairs = self.different = 0
        self.texts: set[str] = set()
        for one in plan.task.rows.ids(split):
            sample = plan.task.rows.sample(one)
            self.pairs += 1
            self.different += same(sample.target) is False
            self.texts |= {str(sample.inputs[name]).strip().casefold() for name in embedding.texts}


def _few(plan: Plan, embedding: Embedding, split: Split, there: int) -> str:
    """Too few different pairs, in words; "" for enough.

    Without a single false hit, n different pairs show a limit p at a level when (1 - p)^n <= 1 - level.
    Source: Clopper and Pearson 1934, Biometrika 26(4), for no event.
    """
    if embedding.false_hits_of != "different":
        return ""
    trials, level, limit = (
        plan.most_trials if split == "search" else 1,
        plan.aim.confidence,
        embedding.false_hit_rate,
    )
    needed = math.ceil(math.log((1 - level) / trials) / math.log1p(-limit))
    if there >= needed:
        return ""
    most = f"{limit:g} with {level:.0%} confidence"
    what = (
        f"no threshold can be shown to keep false hits at {most}"
        if split == "search"
        else f"the confirm split cannot show that a threshold keeps false hits at {most}"
    )
    each = "" if trials == 1 else f" for any of {trials} settings to be taken"
    return (
        f"{what}: that takes {needed} different pairs on the {split} split{each}, and there are {there}; "
        "label more pairs, or raise task.false_hit_rate"
    )


def _unsure(plan: Plan, embedding: Embedding, choosing: int, confirming: int) -> str:
    """How often such a threshold is not confirmed, and what would help; "" where it mostly is."""
    from harness.stats.threshold import chance_to_confirm

    if embedding.false_hits_of != "different":
        return ""

    def chance(first: int, second: int) -> float:
        return chance_to_confirm(
            first,
            second,
            limit=embedding.false_hit_rate,
            level=plan.aim.confidence,
            among=plan.most_trials,
        )

    found, total = chance(choosing, confirming), choosing + confirming
    if found >= LIKELY:
        return ""
    best = max(SHARES, key=lambda share: chance(total - round(share * total), round(share * total)))
    better = chance(total - round(best * total), round(best * total))
    instead = f"write aim.confirm: {best:g} (it is then {better:.0%}), or " if better > found + WORTH else ""
    return (
        f"beforehand, {confirming} different pairs of the confirm split have a chance of {found:.0%} to "
        f"confirm a threshold that {choosing} of the search split choose, if pairs are independent: what "
        "just keeps its limit where it was chosen leaves the check no room for error; "
        f"{instead}label more pairs"
    )


def _repeated(searched: set[str], confirmed: set[str]) -> list[str]:
    shared = len(searched & confirmed)
    told = (
        f"{shared} of {len(confirmed)} texts of the confirm split stand in pairs of the search split too: it "
        "confirms the threshold for these texts, and less for new ones; keep them together with columns: "
        "{group: [text_a, text_b]} in the definition of the data set, or label pairs of other texts"
    )
    return [told] if shared else []
