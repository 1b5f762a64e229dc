"""What it costs to tell near prompts, in a development run with `semantic_cache`, before anything is spent.

In: a plan and a few of its samples. Out: calls and dollars of embedding prompts. Sends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.catalogue.bounds import most_embedded_tokens
from harness.catalogue.models import TOKENS_PER_PRICE
from harness.plan.beside import estimated_tokens
from harness.plan.plan import Plan
from harness.records import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCost:
    """Embedding the prompts of a run: each text once, whatever settings it is asked with.

    calls, usd: where one prompt variant is tried, the shortest, and where all are. most_usd: from above.
    """

    calls: tuple[int, int] = (0, 0)
    usd: tuple[float, float] = (0.0, 0.0)
    most_usd: float = 0.0


def near_cost(plan: Plan, samples: Sequence[Sample]) -> NearCost:
    """What embedding the prompts of this plan costs; nothing without `semantic_cache`.

    The other samples are taken to be like these. What near prompts save is not foreseen.
    """
    if plan.near is None:
        return NearCost()
    assert plan.near.model.prices is not None, "a plan holds only models with prices"
    each = plan.task.each_piece
    usd_per_token = plan.near.model.prices.input / TOKENS_PER_PRICE
    texts = [
        ["\n".join(one.content for one in piece) for sample in samples for piece in each(name, sample)]
        for name in plan.space.prompts
    ]
    share = len(plan.task.rows) / len(samples)
    calls = [math.ceil(share * len(of_prompt)) for of_prompt in texts]
    usd = [share * usd_per_token * sum(estimated_tokens(len(one)) for one in some) for some in texts]
    tried = min(len(texts), plan.most_trials)
    return NearCost(
        calls=(min(calls), sum(sorted(calls)[-tried:])),
        usd=(min(usd), math.fsum(sorted(usd)[-tried:])),
        most_usd=share * usd_per_token * sum(most_embedded_tokens(some, plan.near.sent) for some in texts),
    )
