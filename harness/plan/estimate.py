"""What a plan could cost and how long it could take, before anything is spent.

In: a plan. Out: bounds and estimates, each saying what it rests on. Renders at most 1,000 rows;
sends nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.catalogue.bounds import most_input_tokens, most_output_tokens, most_tokens_beside, unbounded
from harness.catalogue.models import Model, Prices, price_usd, worst_case_usd
from harness.errors import UsageError
from harness.plan.beside import estimated_beside, estimated_tokens, longest_beside
from harness.plan.judge_cost import PRICED_ROWS, JudgeCost, judge_cost
from harness.plan.near_cost import NearCost, near_cost
from harness.plan.plan import Plan
from harness.plan.resolution import Resolution, basis, resolutions, too_small
from harness.records import Sample, Usage

SAMPLED_ROWS = 1000
# As the search does: a clear loser is out after so many samples, and so many are confirmed, the default among
# them.
FIRST_LOOK = 16
FINALISTS = 4
# Of a budget that does not cover everything: a race ends when its next look cannot be paid as a whole.
LEAST_USED = 0.6
EMBEDDED = (
    "A call is one text; texts travel many in a request. Calls and prices include the corpus, where there is "
    "one, for every model, what is sent to it, and every way of cutting texts."
)

NEAR = (
    "semantic_cache embeds each prompt once, whatever settings it is asked with; the answers that it saves "
    "are not foreseen, so that calls and prices are those without them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEstimate:
    """Figures of `harness plan`.

    trials: settings tried at most. distinct: settings in the space, `None` when not countable.
    calls: of the full grid, every trial on every sample of both splits, whatever the budget; input_tokens and
    estimated_usd: its tokens and price, estimated at the mean of models and prompts; worst_case_usd: an upper
    bound of its price at the dearest. Calls and prices include those of judges (but input_tokens);
    judge_calls and judge_usd: what they take of likely_calls and bill_usd, before a budget ends it, low and
    high; near_calls and near_usd: the same of prompts that are embedded to tell near ones. budget_share: what
    the budget is of it, from 0 up, the smaller share of money and calls; `None` when neither is capped, or it
    is free. likely_calls: expected of the race, from losers that are all clear at
    once to none that is before the data or the budget ends; bill_usd: the same in money, from a cheapest
    winner with answers as short as the targets to a dearest one with full answers. duration_s: low and high;
    `None` when the catalogue does not say how fast a model answers. resolution: what search and confirm split
    can tell. too_small: plain words when that is more than the policy asks for, else empty. basis: what the
    figures rest on, a sentence or two a line.
    """

    trials: int
    distinct: int | None
    n_search: int
    n_confirm: int
    repeats: int
    calls: int
    likely_calls: tuple[int, int]
    input_tokens: int
    worst_case_usd: float
    estimated_usd: float
    bill_usd: tuple[float, float]
    budget_usd: float | None
    budget_share: float | None
    duration_s: tuple[float, float] | None
    resolution: tuple[Resolution, Resolution]
    too_small: str
    basis: str
    judge_calls: tuple[int, int] = (0, 0)
    judge_usd: tuple[float, float] = (0.0, 0.0)
    near_calls: tuple[int, int] = (0, 0)
    near_usd: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _CallSize:
    """The calls for one answer: an upper bound and an estimate of their prompts, and a shortest good answer.

    calls: how many, more than one where a long input is asked about in chunks. reread: how many answers are
    put into a last prompt.
    """

    most_tokens: int
    tokens: int
    answer_tokens: int
    calls: int = 1
    reread: int = 0


@dataclass(frozen=True, slots=True)
class _CallCost:
    """The mean of the calls for one answer of one model and prompt over the sampled rows.

    most_usd: an upper bound. usd: with estimated tokens and a full answer. short_usd: with a short one.
    """

    input_tokens: float
    most_usd: float
    usd: float
    short_usd: float


def estimate_plan(plan: Plan) -> PlanEstimate:
    """Bounds and estimates for this plan. Raises PromptError when a row does not fit a template."""
    card, distinct = plan.task.rows.card, plan.space.distinct
    trials = plan.n_trials if distinct is None else min(plan.n_trials, distinct)
    answers = trials * (card.n_search + card.n_confirm) * plan.task.repeats
    samples = _sampled(plan)
    judging, near = judge_cost(plan, samples), near_cost(plan, samples)
    sizes = [[_size(plan, prompt, sample) for sample in samples] for prompt in plan.space.prompts]
    costs = [_cost(plan, model, of_prompt) for of_prompt in sizes for model in plan.models]
    each = _mean([size.calls for of_prompt in sizes for size in of_prompt])
    calls = math.ceil(answers * (each + judging.calls)) + judging.measured_calls + near.calls[1]
    estimated_usd = answers * (_mean([cost.usd for cost in costs]) + judging.usd)
    estimated_usd += judging.measured_usd + near.usd[1]
    race = _expected(plan, trials, costs, judging, near, each=each)
    search, confirm = resolutions(plan, samples)
    return PlanEstimate(
        trials=trials,
        distinct=distinct,
        n_search=card.n_search,
        n_confirm=card.n_confirm,
        repeats=plan.task.repeats,
        calls=calls,
        likely_calls=race.calls,
        input_tokens=math.ceil(answers * max(cost.input_tokens for cost in costs)),
        worst_case_usd=answers * (max(cost.most_usd for cost in costs) + judging.most_usd)
        + judging.measured_usd
        + near.most_usd,
        estimated_usd=estimated_usd,
        bill_usd=race.usd,
        budget_usd=plan.budget.usd,
        budget_share=_budget_share(plan, calls, estimated_usd),
        duration_s=_duration(plan, *race.calls),
        resolution=(search, confirm),
        too_small=too_small(plan, confirm),
        basis="\n".join([*_basis(plan, len(samples)), basis(samples), _time_basis(plan)]),
        judge_calls=race.judge_calls,
        judge_usd=race.judge_usd,
        near_calls=near.calls,
        near_usd=near.usd,
    )


class _Race(NamedTuple):
    """What a race takes, low and high, and what part of it is for judges."""

    calls: tuple[int, int]
    usd: tuple[float, float]
    judge_calls: tuple[int, int]
    judge_usd: tuple[float, float]


def _expected(
    plan: Plan, trials: int, costs: Sequence[_CallCost], judging: JudgeCost, near: NearCost, *, each: float
) -> _Race:
    """Calls and dollars of the race, low and high. each: calls for one answer.

    Low: the champion answers everything, finalists the confirm split, and all others are out at a first look;
    high: nobody is out, and the champion is the dearest.
    """
    card, repeats, budget = plan.task.rows.card, plan.task.repeats, plan.budget
    confirmed = min(FINALISTS, trials) * card.n_confirm
    looks = repeats * (trials - 1) * min(FIRST_LOOK, card.n_search)
    deep = repeats * (card.n_search + confirmed)
    fewest, most = looks + deep, repeats * (trials * card.n_search + confirmed)
    low_usd = looks * _mean([cost.short_usd for cost in costs]) + deep * min(cost.short_usd for cost in costs)
    high_usd = (most - deep) * _mean([cost.usd for cost in costs]) + deep * max(cost.usd for cost in costs)
    judge_calls = tuple(
        math.ceil(judging.calls * answers) + judging.measured_calls for answers in (fewest, most)
    )
    judge_low_usd = judging.short_usd * fewest + judging.measured_usd
    judge_high_usd = judging.usd * most + judging.measured_usd
    fewest = math.ceil(each * fewest) + judge_calls[0] + near.calls[0]
    most = math.ceil(each * most) + judge_calls[1] + near.calls[1]
    low_usd, high_usd = low_usd + judge_low_usd + near.usd[0], high_usd + judge_high_usd + near.usd[1]
    # What is left of a budget depends on the race: the next look at all survivors may not be affordable.
    calls_left = min(1.0, (budget.calls or most) / most)
    usd_left = min(1.0, budget.usd / high_usd) if budget.usd and high_usd else 1.0
    left = min(calls_left, usd_left)
    least = 1.0 if left == 1.0 else min(1.0, LEAST_USED * left * most / fewest)
    return _Race(
        calls=(math.ceil(least * fewest), round(calls_left * most)),
        usd=(least * low_usd, left * high_usd),
        judge_calls=(math.ceil(least * judge_calls[0]), round(calls_left * judge_calls[1])),
        judge_usd=(least * judge_low_usd, left * judge_high_usd),
    )


def _budget_share(plan: Plan, calls: int, usd: float) -> float | None:
    shares = [
        cap / all_of_it
        for cap, all_of_it in ((plan.budget.usd, usd), (plan.budget.calls, calls))
        if cap and all_of_it
    ]
    return min(shares, default=None)


def call_usd(plan: Plan) -> dict[tuple[str, str], float]:
    """What a call is likely to cost in USD, by model and prompt: estimated tokens, and the longest answer.

    On the high side, as a race needs it that plans its first look before it has seen a bill.
    """
    samples = _sampled(plan)[:PRICED_ROWS]
    sizes = {name: [_size(plan, name, sample) for sample in samples] for name in plan.space.prompts}
    return {
        (model, prompt): _cost(plan, model, of_prompt).usd
        for model in plan.space.models
        for prompt, of_prompt in sizes.items()
    }


def calls_per_answer(plan: Plan) -> float:
    """How many calls an answer takes at most, with those of judges; a mean where chunks are asked."""
    each = 1 if plan.near is None else 2  # one more to embed the prompt
    if not any(one.long_inputs is not None and one.long_inputs.combine for one in plan.task.each):
        return each + plan.task.judge_calls
    prompt = plan.space.prompts[0]
    return each * _mean([_size(plan, prompt, one).calls for one in _sampled(plan)]) + plan.task.judge_calls


def judging_cost(plan: Plan) -> JudgeCost:
    """What judging is likely to cost, on the high side; nothing in a task without judges."""
    return judge_cost(plan, _sampled(plan)[:PRICED_ROWS] if plan.task.judges else ())


def _sampled(plan: Plan) -> list[Sample]:
    rows = plan.task.rows
    # Ids are in random order, so the first ones are a fair sample.
    ids = [*rows.ids("search"), *rows.ids("confirm")][:SAMPLED_ROWS]
    return [rows.sample(one) for one in ids]


def _size(plan: Plan, prompt: str, sample: Sample) -> _CallSize:
    pieces = list(plan.task.each_piece(prompt, sample))
    long, chunks = plan.task.of(sample.id).long_inputs, len(pieces)
    reread = chunks if chunks > 1 and long is not None and long.reduce is not None else 0
    if reread and long is not None and long.reduce is not None:
        pieces.append(long.reduce.render(long.reduce_inputs(sample.inputs, ["an answer"])))
    texts = [[message.content for message in piece] for piece in pieces]
    return _CallSize(
        most_tokens=sum(most_input_tokens(piece) for piece in texts),
        tokens=sum(estimated_tokens(sum(len(text) for text in piece)) for piece in texts),
        answer_tokens=max(1, estimated_tokens(_target_characters(sample))),
        calls=len(pieces),
        reread=reread,
    )


def _cost(plan: Plan, model_name: str, sizes: Sequence[_CallSize]) -> _CallCost:
    model = plan.models[model_name]
    prices = model.prices
    if prices is None:
        raise AssertionError("a plan holds only models with prices")
    longest = most_output_tokens(plan.space.defaults[model_name].max_output_tokens, model)
    sent = longest_beside(plan.space, model_name)
    most_beside, beside = most_tokens_beside(sent), estimated_beside(sent)

    def most_usd(size: _CallSize) -> float:
        tokens = size.most_tokens + size.calls * most_beside + size.reread * longest
        return worst_case_usd(tokens, size.calls * longest, prices)

    def usd(size: _CallSize, answer_tokens: int) -> float:
        tokens = size.tokens + size.calls * beside + size.reread * answer_tokens
        return _usd(tokens, size.calls * answer_tokens, prices)

    return _CallCost(
        input_tokens=_mean([size.tokens + size.calls * beside for size in sizes]),
        most_usd=_mean([most_usd(size) for size in sizes]),
        usd=_mean([usd(size, longest) for size in sizes]),
        short_usd=_mean([usd(size, min(longest, size.answer_tokens)) for size in sizes]),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _usd(input_tokens: int, output_tokens: int, prices: Prices) -> float:
    return price_usd(Usage(input_tokens=input_tokens, output_tokens=output_tokens), prices)


def _target_characters(sample: Sample) -> int:
    """The length of the shortest text that the target holds."""
    options = sample.target if isinstance(sample.target, list) and sample.target else [sample.target]
    return min(len(one if isinstance(one, str) else json.dumps(one)) for one in options)


def _duration(plan: Plan, fewest: int, most: int) -> tuple[float, float] | None:
    """Seconds for so many calls: answer time over calls in flight, or the pace of a limit on requests."""
    ranges = [_pace_s(plan, model) for model in plan.models.values()]
    known = [one for one in ranges if one is not None]
    if len(known) < len(ranges):
        return None
    capped_s = math.inf if plan.budget.minutes is None else 60 * plan.budget.minutes
    low, high = fewest * min(low for low, _ in known), most * max(high for _, high in known)
    return min(low, capped_s), min(high, capped_s)


def _pace_s(plan: Plan, model: Model) -> tuple[float, float] | None:
    """Seconds from one answer of this model to the next, low and high; `None` when unknown."""
    if model.answer_s is None:
        return None
    endpoint = plan.endpoints[model.provider]
    at_least = 60 / endpoint.rpm if endpoint.rpm else 0.0
    low, high = (max(seconds / endpoint.concurrency, at_least) for seconds in model.answer_s)
    return low, high


def require_bounds(plan: Plan) -> None:
    """Raise UsageError when a cap of this plan could not be held: nobody says how long answers may get."""
    if plan.task.embedding is not None:
        return
    for name, model in plan.models.items():
        asked = plan.space.defaults[name].max_output_tokens
        if why := unbounded(asked, model, usd=plan.budget.usd, tokens=plan.budget.tokens):
            raise UsageError(why)


def _basis(plan: Plan, n_sampled: int) -> list[str]:
    n = len(plan.task.rows)
    rows = "all rows" if n_sampled == n else f"{n_sampled} of {n} rows, the others taken to be like them"
    judged = [
        (
            f"Judges add {plan.task.judge_calls:.3g} to each call for an answer, counted in all figures, at "
            "the price of answers as long as the settings allow, and of short ones at the low end."
        )
    ]
    parts = [
        *(judged if plan.task.judges else ()),
        *((EMBEDDED,) if plan.task.embedding is not None else ()),
        *((NEAR,) if plan.near is not None else ()),
        (
            "Full grid: every trial answers every sample of both splits, at the mean of models and prompts, "
            "with full answers and characters / 3.5 + 10 % as tokens, schemas too. Its worst case: at the "
            f"dearest, with a token per byte of the prompt, and nothing cached; from {rows}."
        ),
        (
            f"Bill: low, where every loser is clear after {FIRST_LOOK} samples and the cheapest wins with "
            "answers as short as the targets; high, where none is before data or budget end and the dearest "
            "wins with full ones."
        ),
    ]
    endless = [
        name
        for name, model in plan.models.items()
        if plan.task.embedding is None
        and not most_output_tokens(plan.space.defaults[name].max_output_tokens, model)
    ]
    if endless:
        parts.append(
            f"No limit on the answers of {', '.join(endless)} is known: their output is not counted."
        )
    return parts


def _time_basis(plan: Plan) -> str:
    unknown = [name for name, model in plan.models.items() if model.answer_s is None]
    if unknown:
        return (
            f"Time is unknown: nothing states how fast {', '.join(unknown)} answers; state it as "
            "providers.<provider>.models.<name>.answer_s: {low: SECONDS, high: SECONDS}."
        )
    alike: dict[str, list[str]] = {}
    for name, model in plan.models.items():
        if model.answer_s is not None:
            fact = f"{model.answer_s[0]:g} to {model.answer_s[1]:g} s, {model.answer_s_source}"
            alike.setdefault(fact, []).append(name)
    facts = [f"{', '.join(names)}: {fact}" for fact, names in alike.items()]
    return f"Time: calls x seconds an answer / calls in flight; {'; '.join(facts)}."
