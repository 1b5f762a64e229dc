"""What a plan could cost, before anything is spent.

In: a plan. Out: bounds and estimates, each saying what it rests on. Renders at most 200 rows; sends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.catalogue.models import worst_case_usd
from harness.plan.plan import Plan
from harness.records import Sample

SAMPLED_ROWS = 200
# English text has about 4 characters a token; 3.5 and 10 % on top cover code, names and message frames.
CHARACTERS_PER_TOKEN = 3.5
MARGIN = 1.1
BASIS = (
    "Upper bounds: every trial sees every search sample, every trial is confirmed, every answer has its full "
    "length and nothing is cached. Prompt tokens are estimated as characters / 3.5 + 10 %, from up to 200 "
    "rows. A race drops losers early, so a run usually needs a fraction."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEstimate:
    """Figures of `harness plan`.

    trials: settings tried at most. distinct: settings in the space, `None` when not countable. calls:
    logical calls at most. input_tokens: of all calls, estimated. worst_case_usd: if all of them went to the
    dearest model and prompt; the budget may stop the run before. duration_s: `None` when unknown, which it
    is unless the catalogue states how fast a model answers. basis: what the figures rest on, in words.
    """

    trials: int
    distinct: int | None
    n_search: int
    n_confirm: int
    repeats: int
    calls: int
    input_tokens: int
    worst_case_usd: float
    budget_usd: float | None
    duration_s: tuple[float, float] | None = None
    basis: str = BASIS


@dataclass(frozen=True, slots=True)
class _CallBound:
    """The mean of one call over the sampled rows, at its worst."""

    input_tokens: float
    usd: float


def estimate_plan(plan: Plan) -> PlanEstimate:
    """Bounds and estimates for this plan. Raises PromptError when a row does not fit a template."""
    card, distinct = plan.task.rows.card, plan.space.distinct
    trials = plan.n_trials if distinct is None else min(plan.n_trials, distinct)
    calls = trials * (card.n_search + card.n_confirm) * plan.task.repeats
    samples = _sampled(plan)
    bounds = [
        _worst_call(plan, model, [_characters(plan, prompt, sample) for sample in samples])
        for prompt in plan.space.prompts
        for model in plan.space.models
    ]
    return PlanEstimate(
        trials=trials,
        distinct=distinct,
        n_search=card.n_search,
        n_confirm=card.n_confirm,
        repeats=plan.task.repeats,
        calls=calls,
        input_tokens=math.ceil(calls * max(bound.input_tokens for bound in bounds)),
        worst_case_usd=calls * max(bound.usd for bound in bounds),
        budget_usd=plan.budget.usd,
    )


def estimated_tokens(characters: int) -> int:
    """Prompt tokens for this many characters: characters / 3.5, and 10 % on top, rounded up."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN * MARGIN)


def _sampled(plan: Plan) -> list[Sample]:
    rows = plan.task.rows
    # Ids are in random order, so the first ones are a fair sample.
    ids = [*rows.ids("search"), *rows.ids("confirm")][:SAMPLED_ROWS]
    return [rows.sample(one) for one in ids]


def _characters(plan: Plan, prompt: str, sample: Sample) -> int:
    return sum(len(message.content) for message in plan.task.prompts[prompt].render(sample.inputs))


def _worst_call(plan: Plan, model: str, characters: Sequence[int]) -> _CallBound:
    prices = plan.models[model].prices
    if prices is None:
        raise AssertionError("a plan holds only models with prices")
    output_tokens = plan.space.defaults[model].max_output_tokens or 0
    tokens = [estimated_tokens(count) for count in characters]
    usd = math.fsum(worst_case_usd(count, output_tokens, prices) for count in tokens)
    return _CallBound(sum(tokens) / len(tokens), usd / len(tokens))
