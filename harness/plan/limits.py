"""The limits of an aim, held against the figures of a trial.

In: a trial and upper bounds by figure name. Out: those that it does not keep, in words. Whether a figure
is sure enough to act upon is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from harness.findings import Trial
from harness.plan.problems import written

FALSE_HITS = "false_hit_rate"  # of a semantic cache at its threshold
FIGURES: Mapping[str, Callable[[Trial], float | None]] = {
    "usd_per_1k_calls": lambda trial: trial.usd_per_1k_calls,
    "latency_p50_s": lambda trial: trial.latency_p50_s,
    "latency_p95_s": lambda trial: trial.latency_p95_s,
    "first_token_p50_s": lambda trial: trial.first_token_p50_s,
    "failure_rate": lambda trial: trial.failure_rate,
    "unscored_rate": lambda trial: trial.unscored_rate,
    "truncation_rate": lambda trial: trial.truncation_rate,
    "bytes_per_vector": lambda trial: trial.facts.get("bytes_per_vector"),
    "usd_per_million_tokens": lambda trial: trial.facts.get("usd_per_million_tokens"),
    FALSE_HITS: lambda trial: trial.facts.get(FALSE_HITS),
}


# Figures that are known as they stand: no call measures them, and no further one makes them surer.
FACTS = ("bytes_per_vector", "usd_per_million_tokens")


def broken_limits(trial: Trial, limits: Mapping[str, float]) -> list[str]:
    """The limits that this trial does not keep, as texts; an unknown figure keeps no limit."""
    broken: list[str] = []
    for name, most in limits.items():
        figure = FIGURES[name](trial)
        if figure is None:
            broken.append(f"{name} is unknown, the limit is {written(most)}")
        elif figure > most:
            broken.append(f"{name} is {digits(figure)}, above {written(most)}")
    return broken


def excess(trial: Trial, limits: Mapping[str, float]) -> dict[str, float]:
    """By limit: how far it is broken, as a share of it; 0 or less where it is kept. Optuna's constraints.

    A figure that is unknown keeps no limit. Nothing for a trial that has seen nothing.
    """
    if not trial.samples:
        return {}
    broken: dict[str, float] = {}
    for name, most in limits.items():
        figure = FIGURES[name](trial)
        broken[name] = 1.0 if figure is None else (figure - most) / (most or 1.0)
    return broken


def digits(figure: float) -> str:
    """The figure in four digits, without an exponent."""
    return f"{Decimal(f'{figure:.4g}'):f}"
