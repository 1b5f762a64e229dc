"""What the gate promises, measured: how often it calls worse what is not, and how often it sees what is.

Everything is simulated and seeded. Writes docs/benchmarks/gate.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _page import table
from numpy.typing import NDArray

from harness.advice.compare import Question, compare
from harness.stats.margins import margin_p, margin_power
from harness.stats.paired import exceeds_p
from harness.stats.power import disagreement_sd
from harness.testing.sheets import a_sheet, a_side

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "gate.md"
ALPHA, POWER = 0.05, 0.8
Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, float], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class World:
    """A kind of data. draw: scores of base and new with a true drop. sd: of differences at a drop.

    groups: cluster of each sample; clusters: how many there are, `None`: every sample stands alone.
    """

    name: str
    n: int
    draw: Draw
    sd: Callable[[float], float]
    groups: list[str] | None = None
    clusters: int | None = None

    @property
    def right_or_wrong(self) -> bool:
        """Whether the exact test is used."""
        return self.name.startswith("right")

    def worse(self, base: Floats, new: Floats, tolerance: float, seed: int) -> bool:
        """Whether the gate calls it worse. The bootstrap is only asked where t does not say no already."""
        if not self.right_or_wrong:
            by_t = exceeds_p(base, new, tolerance, seed=seed, groups=self.groups, method="t")
            if by_t >= ALPHA:
                return False
        return margin_p(base, new, tolerance, seed=seed, groups=self.groups) < ALPHA

    def power(self, drop: float, tolerance: float) -> float:
        """How likely the gate says it calls this drop worse."""
        return margin_power(
            drop,
            tolerance,
            n=self.n,
            sd=self.sd(drop),
            level=1 - ALPHA,
            clusters=self.clusters,
            right_or_wrong=self.right_or_wrong,
        )

    def tolerance(self) -> float:
        """The tolerance of which a drop of twice the size is called worse with 80 %."""
        low, high = 0.0, 0.3
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(2 * middle, middle) >= POWER else (middle, high)
        return high


def right_or_wrong(n: int, churn: float) -> World:
    """Independent answers: a share changes either way without a drop; a drop loses further ones."""

    def draw(rng: np.random.Generator, drop: float) -> tuple[Floats, Floats]:
        shares = [churn / 2 + drop, churn / 2, 1 - churn - drop]
        change = rng.choice([-1, 1, 0], p=shares, size=n)
        both = (rng.random(n) < 0.8).astype(float)
        base = np.where(change == 0, both, (change < 0).astype(float))
        return base, np.where(change == 0, both, (change > 0).astype(float))

    return World(
        f"right or wrong, {churn:.0%} change either way",
        n,
        draw,
        lambda drop: disagreement_sd(churn + drop, drop),
    )


def clustered(n: int, size: int = 4) -> World:
    """Questions on one text are hard together: a text decides half of what becomes of its questions."""
    count = n // size
    groups = [f"text-{place // size}" for place in range(count * size)]

    def draw(rng: np.random.Generator, drop: float) -> tuple[Floats, Floats]:
        def answers(share: float) -> Floats:
            shared = np.repeat(rng.random(count), size)
            own = rng.random(count * size)
            from_text = rng.random(count * size) < 0.5
            return (np.where(from_text, shared, own) < share).astype(float)

        hard = np.repeat(rng.random(count) < 0.5, size)
        base, new = answers(0.9), answers(0.9 - 2 * drop)
        # Easy texts are answered alike by both; hard ones are where they differ.
        return np.where(hard, base, 1.0), np.where(hard, new, 1.0)

    def sd(drop: float) -> float:
        # Of as many independent samples with the same error, from many draws.
        rng = np.random.default_rng(99)
        means = [float(np.subtract(*draw(rng, drop)).mean()) for _ in range(4000)]
        return float(np.std(means)) * math.sqrt(count * size)

    return World(f"texts of {size} questions, right or wrong", count * size, draw, sd, groups, count)


def graded(n: int) -> World:
    """Scores of a judge from 0 to 1, of which many are full marks."""

    def draw(rng: np.random.Generator, drop: float) -> tuple[Floats, Floats]:
        quality = rng.beta(6, 2, n)
        base, new = (np.clip(quality + rng.normal(0, 0.15, n), 0, 1) for _ in range(2))
        return base, np.clip(new - drop, 0, 1)

    return World("graded", n, draw, lambda drop: _sd_of(draw, drop))


def _sd_of(draw: Draw, drop: float) -> float:
    rng = np.random.default_rng(98)
    return float(np.std(np.concatenate([np.subtract(*draw(rng, drop)) for _ in range(400)])))


def true_drop(world: World, drop: float) -> float:
    """What a drop that is asked for comes to, where scores are cut at 0 and 1."""
    rng = np.random.default_rng(97)
    return float(np.mean([np.subtract(*world.draw(rng, drop)).mean() for _ in range(4000)]))


def rate(world: World, drop: float, tolerance: float, runs: int, seed: int) -> float:
    """How often the gate calls worse."""
    rng = np.random.default_rng(seed)
    return sum(world.worse(*world.draw(rng, drop), tolerance, run) for run in range(runs)) / runs


def worlds() -> list[World]:
    """Those that are measured."""
    return [
        *(right_or_wrong(n, churn) for churn in (0.06, 0.16) for n in (40, 120, 250, 500)),
        *(clustered(n) for n in (120, 500)),
        *(graded(n) for n in (40, 120, 500)),
    ]


def false_alarms(runs: int) -> list[tuple[str, ...]]:
    """Shares of "worse" without a drop, with a tolerance of a point and of none, and at the margin itself."""
    rows = []
    for world in worlds():
        margin = true_drop(world, 0.03) if world.name == "graded" else 0.03
        shares = [
            rate(world, 0.0, 0.01, runs, 1),
            rate(world, 0.0, 0.0, runs, 2),
            rate(world, 0.03, margin, runs, 3),
        ]
        rows.append((world.name, str(world.n), *(f"{share:.1%}" for share in shares)))
        print(rows[-1], flush=True)
    return rows


def seen(runs: int) -> list[tuple[str, ...]]:
    """What is said of drops of twice the tolerance, and how often they are seen."""
    rows = []
    for world in worlds():
        if world.name == "graded":
            asked = _graded_drop(world)
            drop = true_drop(world, asked)
        else:
            asked = drop = 2 * world.tolerance()
        said = world.power(drop if world.name != "graded" else asked, drop / 2)
        if world.name == "graded":
            said = margin_power(drop, drop / 2, n=world.n, sd=world.sd(asked), level=1 - ALPHA)
        found = rate(world, asked, drop / 2, runs, 4)
        rows.append(
            (
                world.name,
                str(world.n),
                f"{100 * drop / 2:.1f}",
                f"{100 * drop:.1f}",
                f"{said:.1%}",
                f"{found:.1%}",
                f"{100 * (found - said):+.1f}",
            )
        )
        print(rows[-1], flush=True)
    return rows


def _graded_drop(world: World) -> float:
    """The drop asked for, so that half of what it comes to is a tolerance with 80 % power."""
    low, high = 0.0, 0.4
    for _ in range(10):
        middle = (low + high) / 2
        drop = true_drop(world, middle)
        chance = margin_power(drop, drop / 2, n=world.n, sd=world.sd(middle), level=1 - ALPHA)
        low, high = (low, middle) if chance >= POWER else (middle, high)
    return high


def again(runs: int) -> list[tuple[str, ...]]:
    """The same settings asked twice at a temperature: verdicts of the whole comparison, as the gate makes it."""
    rows = []
    for n in (40, 120, 500):
        rng = np.random.default_rng(n)
        counts = {"worse": 0, "unclear": 0, "same": 0, "better": 0}
        for _ in range(runs):
            # Each sample has its own chance of a right answer: most are sure, some are not.
            chance = rng.beta(3, 0.6, n)
            first, second = ((rng.random(n) < chance).astype(float) for _ in range(2))
            base, new = (a_side(a_sheet(scores={"accuracy": tuple(one.tolist())})) for one in (first, second))
            base = replace(base, sheet=replace(base.sheet, usd=(None,) * n, latency_s=(None,) * n))
            counts[compare(base, new, Question(alpha=ALPHA, tolerance=0.01)).verdict] += 1
        rows.append((str(n), *(f"{count / runs:.1%}" for count in counts.values())))
        print(rows[-1], flush=True)
    return rows


def score_test(n: int = 120) -> str:
    """How often the usual score test errs at the margin, at worst, beside the exact one that is used."""
    from harness.stats.unconditional import _tail, _worst_chance

    worst = max(_worst_chance(_tail(n, margin, 1.6449), n, margin) for margin in (0.01, 0.03, 0.05))
    return f"{worst:.1%}"


HEAD = """\
# The gate: false alarms and power

Written by `benchmarks/gate.py`; every figure here was measured by it, so do not edit. {runs:,} seeded simulations for
each figure: a share of 5 % has a standard error of {error:.1f} points, one of 80 % of {error80:.1f}. Error rate 5 %.
What the verdicts mean: [the gate in CI](../how-to/ci.md); which test is used, and why: [statistics](../explanation/statistics.md).
"""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="simulations for each figure")
    options = parser.parse_args()
    runs, began = options.runs, time.time()
    text = HEAD.format(
        runs=runs, error=100 * math.sqrt(0.05 * 0.95 / runs), error80=100 * math.sqrt(0.8 * 0.2 / runs)
    )
    text += '\n## "Worse" that is not so\n\nStated: at most 5 %. The last column has a true drop of just the tolerance.\n\n'
    text += table(
        (
            "data",
            "samples",
            "no drop, tolerance 1 point",
            "no drop, no tolerance",
            "drop as large as the tolerance",
        ),
        false_alarms(runs),
    )
    text += (
        f"\nThe usual score test of right and wrong answers errs in up to {score_test()} at the margin with 120 "
        "samples; the exact test that is used here in at most 5 %, for every share of disagreement.\n"
    )
    text += (
        "\n## Drops of twice the tolerance\n\nThe tolerance is that at which the gate says 80 %. Difference in points of "
        "a hundred.\n\n"
    )
    text += table(
        ("data", "samples", "tolerance, points", "drop, points", "said", "seen", "difference"), seen(runs)
    )
    text += (
        "\n## The same settings, asked twice\n\nTolerance 1 point; each sample has a chance of its own.\n\n"
    )
    text += table(("samples", "worse", "unclear", "same", "better"), again(runs))
    text += (
        f"\n## How to repeat\n\n`make bench`, or `.venv/bin/python benchmarks/gate.py`; `--runs 200` is quick. Python "
        f"{platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores, {time.time() - began:.0f} s.\n"
    )
    print(text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
