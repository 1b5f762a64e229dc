"""A finished search that nobody ran: records and answers that agree with each other, of any size.

In: how many trials and samples, and a seed. Out: the record of a run and its rows, for tests and benchmarks
of reports. Figures follow from the answers by the house's own arithmetic; the models behind them are made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from harness.advice.choose import recommend
from harness.advice.finalist import Finalist, Goal, Searched
from harness.findings import AnswerRow, Breakdown, Paid, RunRecord, Slice, Trial
from harness.insights import SettingEffect, SettingLevel
from harness.plan.spec_reader import read_policy
from harness.records import Bounds, ModelClass, Score, Settings, Split
from harness.stats.bounds import mean_bounds, percentile_bounds
from harness.stats.effects import adjusted_means
from harness.stats.intervals import mean_interval
from harness.testing.builders import AT, a_data_card, a_provenance, a_run_record, a_spend

Floats = NDArray[np.float64]
LABELS = ("billing", "bug", "how-to", "account")
LEVEL = 0.95
FINALISTS = 5
FIRST_LOOK = 24
TEMPERATURES = (0.0, 0.2, 0.4, 0.7, 1.0, 1.3)
SENTENCE = (
    "customer invoice charged twice refund export button crashes page login reset password after update the "
    "card declined and support says cannot find setting where change plan month since yesterday error shows "
    "message team member invite email never arrives please help urgent again still not working thanks order"
)
WORDS = tuple(SENTENCE.split())


@dataclass(frozen=True, slots=True)
class Model:
    """A made-up model: its quality at temperature 0, USD per 1,000 calls, and its median latency."""

    name: str
    model_class: ModelClass
    quality: float
    usd: float
    latency_s: float


MODELS = (
    Model("openai/gpt-4.1-mini", "SMALL", 0.86, 0.11, 0.41),
    Model("google/gemini-2.5-flash-lite", "SMALL", 0.80, 0.035, 0.29),
    Model("anthropic/claude-haiku-4-5", "MEDIUM", 0.88, 0.42, 0.55),
    Model("openai/gpt-4.1", "LARGE", 0.90, 0.61, 0.72),
    Model("google/gemini-2.5-pro", "LARGE", 0.91, 1.35, 1.9),
)


@dataclass(slots=True)
class FinishedRun:
    """A run and its answers.

    values: by split, quality of each trial on each sample, NaN where it was not asked. settings: by trial.
    hostile: text that stands in for what models and users wrote, in turns; empty: realistic text.
    """

    record: RunRecord
    values: dict[Split, Floats]
    settings: Sequence[Settings]
    seed: int
    hostile: Sequence[str] = ()

    def rows(self) -> Iterator[AnswerRow]:
        """The per-sample table: trials on the search split, then finalists on the confirm split."""
        for split, values in self.values.items():
            samples = [self._sample(split, place) for place in range(values.shape[1])]
            for number in range(len(values)):
                yield from self._of_trial(split, number, values[number], samples)

    def _sample(self, split: Split, place: int) -> tuple[str, str, str]:
        """Its id, its text and its target."""
        draw = np.random.default_rng([self.seed, place, split == "confirm"])
        words = " ".join(draw.choice(WORDS, size=int(draw.integers(8, 40))))
        told = self.hostile[place % len(self.hostile)] if self.hostile else ""
        return f"{told}{split[0]}{place}", told or f"{words.capitalize()}.", LABELS[place % len(LABELS)]

    def _of_trial(
        self, split: Split, number: int, values: Floats, samples: Sequence[tuple[str, str, str]]
    ) -> Iterator[AnswerRow]:
        draw = np.random.default_rng([self.seed, number, split == "confirm", 1])
        starts, spans = draw.integers(0, len(WORDS), len(values)), draw.integers(4, 30, len(values))
        latencies = draw.lognormal(-0.7, 0.5, len(values))
        text_of = WORDS * 2
        for place in np.flatnonzero(~np.isnan(values)).tolist():
            sample_id, asked, target = samples[place]
            right, kind = values[place] == 1.0, int(starts[place]) % 50
            label = target if right else LABELS[(place + 1) % len(LABELS)]
            why = " ".join(text_of[starts[place] : starts[place] + spans[place]])
            failed = not right and kind == 0
            told = self.hostile[(place + number) % len(self.hostile)] if self.hostile else ""
            score = Score(
                sample_id=sample_id,
                repeat=0,
                scorer="choice",
                version=1,
                value=float(values[place]),
                label=label,
                reason=told or ("" if right else f"expected {target}"),
            )
            yield AnswerRow(
                trial=number,
                split=split,
                sample_id=sample_id,
                repeat=0,
                text=None if failed else told or f"{label}: the ticket {place} says {why}.",
                finish_reason=None if failed else "length" if kind == 1 else "stop",
                failure="timeout" if failed else None,
                price_usd=None if failed else 0.0001,
                latency_s=None if failed else float(latencies[place]),
                cached=False,
                scores=() if failed else (score,),
                target=target,
                inputs={"text": asked},
            )


def a_finished_run(
    *,
    trials: int = 24,
    search: int = 180,
    confirm: int = 90,
    seed: int = 7,
    race: bool = True,
    hostile: Sequence[str] = (),
) -> FinishedRun:
    """A search for the cheapest settings within a point of the best. race: losers are eliminated early.

    hostile: texts for models, names, answers and reasons, as an attacker would write them.
    """
    draw = np.random.default_rng(seed)
    settings = [_settings(number, draw, hostile) for number in range(trials)]
    easy = draw.beta(4, 1.2, search), draw.beta(4, 1.2, confirm)
    able = [_able(one) for one in settings]
    searched = np.stack([_answers(p, easy[0], draw) for p in able])
    if race:
        _eliminate(searched, draw)
    found = [_trial(n, settings[n], searched[n], draw) for n in range(trials)]
    best = sorted(range(trials), key=lambda n: (found[n].samples < search, -_mean(searched[n])))[:FINALISTS]
    numbers = sorted({0, *best})
    confirmed = np.full((trials, confirm), np.nan)
    for number in numbers:
        confirmed[number] = _answers(able[number], easy[1], draw)
    finalists = [_finalist(found[n], searched[n], confirmed[n], len(numbers), draw) for n in numbers]
    record = _record(found, finalists, searched, hostile)
    values: dict[Split, Floats] = {"search": searched, "confirm": confirmed}
    return FinishedRun(record, values, settings, seed, hostile)


def _settings(number: int, draw: np.random.Generator, hostile: Sequence[str]) -> Settings:
    model = MODELS[number % len(MODELS)].name
    prompt = ("plain", "reasoned")[int(draw.integers(2))] if number else "plain"
    told = hostile[number % len(hostile)] if hostile else ""
    return Settings(
        model=f"{model}{told}",
        prompt=f"{prompt}{told}",
        temperature=float(draw.choice(TEMPERATURES)) if number else 0.7,
        frequency_penalty=round(float(draw.uniform(0, 1)), 2) if number else 0.0,
        max_output_tokens=int(draw.choice([64, 256])) if number else 256,
    )


def _model(settings: Settings) -> Model:
    return next(model for model in MODELS if settings.model.startswith(model.name))


def _able(settings: Settings) -> float:
    heat = settings.temperature or 0.0
    return (
        _model(settings).quality - 0.06 * heat**2 + (0.02 if settings.prompt.startswith("reasoned") else 0.0)
    )


def _answers(able: float, easy: Floats, draw: np.random.Generator) -> Floats:
    """1 for right and 0 for wrong; samples are easy or hard for all trials alike."""
    chance = np.clip(able + 0.6 * (easy - easy.mean()), 0.02, 0.995)
    return (draw.random(len(easy)) < chance).astype(np.float64)


def _eliminate(values: Floats, draw: np.random.Generator) -> None:
    """Take away what trials that are behind would not have been asked."""
    means = values.mean(axis=1)
    for number in range(1, len(values)):
        behind = means.max() - means[number]
        if behind > 0.05:
            seen = int(min(values.shape[1], FIRST_LOOK + draw.integers(0, 1 + int(1.2 / behind))))
            values[number, seen:] = np.nan


def _mean(values: Floats) -> float:
    return float(np.nanmean(values))


def _trial(number: int, settings: Settings, values: Floats, draw: np.random.Generator) -> Trial:
    model, seen = _model(settings), int((~np.isnan(values)).sum())
    whole = seen == len(values)
    slow = float(draw.uniform(0.9, 1.2)) * (1 + (settings.max_output_tokens or 0) / 900)
    failures = seen // 90
    return Trial(
        number=number,
        settings=settings,
        model_class=model.model_class,
        split="search",
        state="complete" if whole else "eliminated",
        samples=seen,
        quality=mean_interval(values[~np.isnan(values)], level=LEVEL),
        usd_per_1k_calls=model.usd * (1 + (settings.max_output_tokens or 0) / 2000),
        latency_p50_s=model.latency_s * slow,
        latency_p95_s=model.latency_s * slow * 2.3,
        first_token_p50_s=model.latency_s * 0.4,
        first_token_p95_s=model.latency_s * 0.9,
        queue_p50_s=0.004,
        queue_p95_s=0.12,
        failure_rate=failures / seen,
        truncation_rate=0.02,
        spent_usd=model.usd * seen / 1000,
        reason="" if whole else f"after {seen} samples unlikely to catch up",
        told=_mean(values),
        endings={
            "stop": seen - failures,
            "length": seen // 50,
            **({"timeout": failures} if failures else {}),
        },
    )


def _finalist(
    trial: Trial, searched: Floats, confirmed: Floats, among: int, draw: np.random.Generator
) -> Finalist:
    price, p50 = trial.usd_per_1k_calls or 0.0, trial.latency_p50_s or 0.0
    level = 1 - (1 - LEVEL) / among
    prices = price * draw.lognormal(0, 0.2, len(confirmed))
    times = p50 * draw.lognormal(0, 0.5, len(confirmed))
    quality = mean_interval(confirmed, level=LEVEL)
    bounds = {
        "usd_per_1k_calls": mean_bounds(prices, level=level),
        "latency_p50_s": percentile_bounds(times, 0.5, level=level),
        "quality": Bounds(low=quality.low, high=quality.high, level=level, n=len(confirmed), method="Wilson"),
    }
    confirm = replace(
        trial,
        split="confirm",
        state="complete",
        reason="",
        samples=len(confirmed),
        quality=quality,
        usd_per_1k_calls=float(prices.mean()),
        latency_p50_s=float(np.median(times)),
        latency_p95_s=float(np.percentile(times, 95)),
        bounds=bounds,
        endings={"stop": len(confirmed)},
    )
    return Finalist(search=trial, confirm=confirm, search_values=searched, confirm_values=confirmed)


def _record(
    trials: Sequence[Trial], finalists: Sequence[Finalist], searched: Floats, hostile: Sequence[str]
) -> RunRecord:
    goal = Goal(policy=read_policy({"cheapest_within": 0.01}), level=LEVEL, seed=1)
    among = [Searched(trial=trial, values=values) for trial, values in zip(trials, searched, strict=True)]
    told = hostile[0] if hostile else ""
    chosen = recommend(
        finalists,
        goal,
        experiment="ticket-triage",
        run="ticket-triage-20260101-120000-5eed",
        provenance=a_provenance(),
        notes=(told,) if told else (),
        searched=among,
    )
    paid = sum(trial.spent_usd for trial in trials)
    calls = sum(trial.samples for trial in trials) + sum(f.confirm.samples for f in finalists)
    return a_run_record(
        run=chosen.run,
        experiment=f"ticket-triage{told}",
        description=told or "Which settings label support tickets well enough, at the lowest price?",
        aim=f"the cheapest within 1 point of the highest quality{told}",
        trials=tuple(trials),
        finalists=tuple(one.confirm for one in finalists),
        recommendation=chosen,
        spend=a_spend(
            by_purpose={"answer": Paid(usd=paid, calls=calls, input_tokens=51_500, output_tokens=5_150)},
            usd=paid,
            calls=calls,
            retries=14,
            failed=3,
            cap_calls=2 * calls,
        ),
        data=a_data_card(n_search=searched.shape[1], n_confirm=finalists[0].confirm.samples),
        ended_at=AT + timedelta(minutes=6, seconds=20),
        breakdowns=(_breakdown(chosen.trial),),
        effects=_effects(trials),
        notes=(told,) if told else (),
    )


def _breakdown(trial: Trial) -> Breakdown:
    values = {"en": (28, 30), "de": (22, 30), "fr": (25, 30)}
    slices = tuple(
        Slice(
            field="language",
            value=name,
            samples=n,
            quality=mean_interval([1.0] * right + [0.0] * (n - right), level=0.983),
        )
        for name, (right, n) in values.items()
    )
    return Breakdown(trial=trial.number, split="confirm", slices=slices)


def _effects(trials: Sequence[Trial]) -> tuple[SettingEffect, ...]:
    told = [trial.told or 0.0 for trial in trials]
    blocks = [trial.number % len(MODELS) for trial in trials]
    shares = {"model": 0.55, "temperature": 0.31, "prompt": 0.14}
    made: list[SettingEffect] = []
    for name, share in shares.items():
        values = [getattr(trial.settings, name) for trial in trials]
        order = sorted(set(values))
        factor = [order.index(value) for value in values]
        means = adjusted_means(told, factor, [0] * len(told) if name == "model" else blocks, level=0.99)
        levels = tuple(
            SettingLevel(value=value, trials=values.count(value), quality=mean)
            for value, mean in zip(order, means, strict=True)
        )
        made.append(
            SettingEffect(name=name, levels=levels, importance={"fANOVA": share, "PED-ANOVA": share**2})
        )
    return tuple(made)
