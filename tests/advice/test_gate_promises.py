"""What the gate promises, in small; docs/benchmarks/gate.md has the large figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.advice.compare import Question, compare
from harness.advice.gate import power
from harness.testing.sheets import a_sheet, a_side

RUNS = 300


def verdicts(draw, tolerance, *, runs=RUNS, **fields):
    """The verdicts on pairs of columns that are drawn anew each time. fields: of their sheets."""
    rng, found = np.random.default_rng(1), []
    for _ in range(runs):
        base, new = (
            a_side(a_sheet(scores={"accuracy": tuple(column.tolist())}, **fields)) for column in draw(rng)
        )
        hotter = replace(new.sheet, settings=replace(new.settings, temperature=0.9))
        found.append(compare(base, replace(new, sheet=hotter), Question(tolerance=tolerance)).verdict)
    return found


def rerun(n):
    """The same settings asked twice, each sample with a chance of its own."""

    def draw(rng):
        chance = rng.beta(3, 0.6, n)
        return [(rng.random(n) < chance).astype(float) for _ in range(2)]

    return draw


@pytest.mark.parametrize("n", [40, 120])
def test_noise_is_rarely_called_worse(n):
    """In at most 5 % of re-runs; three standard errors are allowed for so few of them."""
    share = verdicts(rerun(n), 0.0).count("worse") / RUNS
    assert share <= 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5


def test_noise_in_clusters_is_rarely_called_worse():
    """Questions on one text rise and fall together."""

    def draw(rng):
        return [np.repeat((rng.random(30) < 0.8).astype(float), 3) for _ in range(2)]

    groups = tuple(f"text-{place // 3}" for place in range(90))
    share = verdicts(draw, 0.0, groups=groups, runs=150).count("worse") / 150
    assert share <= 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_a_drop_is_seen_as_often_as_was_said_beforehand():
    """Of twice the tolerance, where differences are as spread as was assumed."""
    base = tuple(float(place % 10 > 0) for place in range(120))
    said = power(a_sheet(scores={"accuracy": base}), "accuracy", tolerance=0.1, level=0.95)
    churn = said.sd**2

    def draw(rng):
        change = rng.choice([-1, 1, 0], p=[churn / 2 + 0.2, churn / 2, 0.8 - churn], size=120)
        alike = np.where(change == 0, 1.0, 0.0)
        return [np.where(change < 0, 1.0, alike), np.where(change > 0, 1.0, alike)]

    seen = verdicts(draw, 0.1).count("worse") / RUNS
    assert seen == pytest.approx(said.twice, abs=0.03 + 2 * (0.2 * 0.8 / RUNS) ** 0.5)


TASKS = {
    "samples": tuple(f"{'chat' if place < 20 else 'code'}/{place}" for place in range(60)),
    "weights": {"chat": 0.6, "code": 0.4},
}


def test_noise_in_tasks_by_weight_is_rarely_called_worse():
    """Where most of the weight lies on a third of the samples."""
    share = verdicts(rerun(60), 0.0, runs=150, **TASKS).count("worse") / 150
    assert share <= 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_a_drop_in_tasks_by_weight_is_seen_about_as_often_as_was_said_beforehand():
    """Of twice the tolerance, in each task, where differences are as spread as was assumed."""
    base = tuple(float(place % 10 > 0) for place in range(60))
    said = power(a_sheet(scores={"accuracy": base}, **TASKS), "accuracy", tolerance=0.2, level=0.95)
    churn = 0.09

    def draw(rng):
        change = rng.choice([-1, 1, 0], p=[churn / 2 + 0.4, churn / 2, 0.6 - churn], size=60)
        alike = np.where(change == 0, 1.0, 0.0)
        return [np.where(change < 0, 1.0, alike), np.where(change > 0, 1.0, alike)]

    seen = verdicts(draw, 0.2, runs=200, **TASKS).count("worse") / 200
    assert seen == pytest.approx(said.twice, abs=0.04 + 2 * (0.2 * 0.8 / 200) ** 0.5)
