"""What the statistics promise, measured: how often they err, how much they find, and what they cost.

Everything is simulated, seeded, and takes some two minutes. Writes docs/benchmarks/statistics.md and the
pictures of docs/explanation/statistics.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _page import table
from _stats_pictures import pairing, peeking
from numpy.typing import NDArray

from harness.stats.best import best_set, simultaneous_differences
from harness.stats.contenders import Contenders
from harness.stats.disagreements import mcnemar_p, score_limits, score_p
from harness.stats.intervals import mean_interval
from harness.stats.judged import Passed, corrected_rate
from harness.stats.multiple import holm
from harness.stats.paired import paired_difference
from harness.stats.sequential import Bets, asymptotic_bounds, sequential_mcnemar

DOCS = Path(__file__).resolve().parent.parent / "docs"
N, EVERY, ALPHA = 400, 5, 0.05
ARMS, SAMPLES = 150, 1000

Floats = NDArray[np.float64]
Rule = Callable[[Floats], "Looks"]


@dataclass(frozen=True, slots=True)
class Looks:
    """Which pairs were told apart at each look, for good: shape (pairs, looks)."""

    found: NDArray[np.bool_]

    @property
    def rate(self) -> float:
        """Share of the pairs that were told apart in the end."""
        return float(self.found[:, -1].mean())

    @property
    def samples(self) -> float:
        """Mean number of samples until then, or all of them."""
        looks = self.found.shape[1]
        first = np.where(self.found[:, -1], self.found.argmax(axis=1) + 1, looks)
        return float(first.mean()) * N / looks


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="simulated pairs for each figure")
    options = parser.parse_args()
    sections = [peeked(options.runs), many_arms(max(5, options.runs // 100)), covered(options.runs), costs()]
    text = HEAD.format(runs=options.runs) + "".join(sections) + foot()
    print(text)
    (DOCS / "benchmarks" / "statistics.md").write_text(text, encoding="utf-8")
    (DOCS / "images" / "peeking.svg").write_text(peeking(*curves(options.runs)), encoding="utf-8")
    (DOCS / "images" / "pairing.svg").write_text(pairing(*paired_case()), encoding="utf-8")


HEAD = """\
# Statistics: errors, power, cost

Written by `benchmarks/stats.py`; every figure here was measured by it, so do not edit. {runs:,} seeded
simulations for each, unless another number is given; of 2,000, a share of 5 % has a standard error of 0.5
points, of 1,000 of 0.7.
What the functions are for: [explanation](../explanation/statistics.md).
"""


def draws(seed: int, runs: int, *, disagree: float, difference: float, finite: bool = False) -> Floats:
    """Differences of pairs, shape (runs, N); finite: the same differences in many orders."""
    rng = np.random.default_rng(seed)
    shares = [(disagree + difference) / 2, (disagree - difference) / 2, 1 - disagree]
    if not finite:
        return rng.choice([1.0, -1.0, 0.0], p=shares, size=(runs, N))
    everything = np.repeat([1.0, -1.0, 0.0], np.round(np.array(shares) * N).astype(int))
    return rng.permuted(np.tile(everything, (runs, 1)), axis=1)


def by_bets(*, finite: bool) -> Rule:
    """Refuted by `Bets`."""

    def rule(differences: Floats) -> Looks:
        bets = Bets(np.zeros(len(differences)), alpha=ALPHA, horizon=N, finite=finite)
        found = []
        for start in range(0, N, EVERY):
            bets.absorb(differences[:, start : start + EVERY])
            found.append(bets.refuted)
        return Looks(np.array(found).T)

    return rule


def by_t(*, every_look: bool) -> Rule:
    """Refuted by a paired t test that allows for one look, taken once at the end or at each."""
    from scipy.special import stdtrit

    def rule(differences: Floats) -> Looks:
        found = []
        for n in range(EVERY, N + 1, EVERY):
            seen = differences[:, :n]
            error = np.maximum(seen.std(axis=1, ddof=1), 1e-12) / math.sqrt(n)
            # From 10 samples on: of 5, all are often equal, and there is no t.
            found.append((n >= 10) & (seen.mean(axis=1) / error < stdtrit(n - 1, ALPHA)))
        looks = np.array(found).T
        return Looks(
            np.maximum.accumulate(looks, axis=1)
            if every_look
            else looks & (np.arange(N // EVERY) == N // EVERY - 1)
        )

    return rule


def by_mixture(differences: Floats) -> Looks:
    """Seven fixed bets with a seventh of the wealth each: what a few lines of numpy give."""
    paths = [np.cumsum(np.log1p(-bet * differences), axis=1) for bet in (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)]
    wealth = np.logaddexp.reduce(np.array(paths), axis=0) - math.log(7)
    found = wealth[:, EVERY - 1 :: EVERY] >= -math.log(ALPHA)
    return Looks(np.maximum.accumulate(found, axis=1))


def by_mcnemar(differences: Floats) -> Looks:
    """Refuted by `sequential_mcnemar`."""
    first, second = (np.cumsum(differences == sign, axis=1)[:, EVERY - 1 :: EVERY] for sign in (1, -1))
    found = sequential_mcnemar(first, second) >= -math.log(ALPHA)
    return Looks(np.maximum.accumulate(found, axis=1))


def by_asymptotic(differences: Floats) -> Looks:
    """Refuted by the upper end of `asymptotic_bounds`."""
    # Both ends share the error: level 0.9 leaves 0.05 for the one that is looked at.
    highs = [
        asymptotic_bounds(differences[:, :n], level=1 - 2 * ALPHA, horizon=N).high
        for n in range(EVERY, N + 1, EVERY)
    ]
    return Looks(np.maximum.accumulate(np.array(highs).T < 0, axis=1))


def peeked(runs: int) -> str:
    """The table about looking often."""
    rules: Sequence[tuple[str, Rule, bool]] = [
        ("paired t, one look at the end", by_t(every_look=False), False),
        ("paired t at every look, uncorrected", by_t(every_look=True), False),
        ("asymptotic confidence sequence", by_asymptotic, False),
        ("sequential McNemar (beta-binomial)", by_mcnemar, False),
        ("mixture of seven fixed bets", by_mixture, False),
        ("**`Bets`**", by_bets(finite=False), False),
        ("**`Bets(finite=True)`**, mean of just these 400", by_bets(finite=True), True),
    ]
    rows = []
    for name, rule, finite in rules:
        cells = [name]
        for disagree in (0.2, 0.08):
            equal = rule(draws(1, runs, disagree=disagree, difference=0.0, finite=finite))
            worse = rule(draws(2, runs, disagree=disagree, difference=-0.05, finite=finite))
            cells += [f"{equal.rate:.3f}", f"{worse.rate:.2f}", f"{worse.samples:.0f}"]
        far = rule(draws(3, runs, disagree=0.3, difference=-0.2, finite=finite))
        rows.append((*cells, f"{far.samples:.0f}"))
    head = (
        "test that one is no worse",
        "false alarm",
        "power",
        "samples",
        "false alarm",
        "power",
        "samples",
        "20 points",
    )
    return f"""
## Looking after every {EVERY} samples

One-sided, 5 %, at most {N} samples. Columns 2 to 4: the two disagree on 20 % of the samples; 5 to 7: on 8 %.
Power and mean number of samples used when one is 5 points worse; last: samples used when it is 20 points worse
(30 % disagree).

{table(head, rows).rstrip()}
"""


def world(rng: np.random.Generator, qualities: Floats) -> Floats:
    """Right and wrong answers of arms with these qualities, alike in what they find hard."""
    from scipy.special import ndtri

    hard = rng.normal(size=SAMPLES) + rng.normal(size=(len(qualities), SAMPLES))
    return (hard < math.sqrt(2) * ndtri(qualities)[:, None]).astype(float)


def together(scores: Floats) -> tuple[float, bool]:
    """Share of the cells until one is known to be within a point of the best, and whether it is."""
    contenders = Contenders(len(scores), level=1 - ALPHA, tolerance=0.01, horizon=SAMPLES, finite=True)
    cells = 0
    for start in range(0, SAMPLES, 8):
        cells += len(contenders.left) * min(8, SAMPLES - start)
        contenders.absorb(scores[:, start : start + 8])
        if contenders.good_enough is not None:
            break
    means = scores.mean(axis=1)
    named = contenders.good_enough
    return cells / scores.size, named is None or bool(means[named] >= means.max() - 0.01 - 1e-9)


def apart(scores: Floats) -> float:
    """The same by a test of each arm against the one that is best, as if that were known."""
    means = scores.mean(axis=1)
    best = int(np.argmax(means))
    rivals = np.delete(np.arange(len(scores)), best)
    margins = np.repeat([0.0, 0.01], len(rivals))
    bets = Bets(margins, alpha=ALPHA / len(rivals), horizon=SAMPLES, finite=True)
    cells = 0
    for start in range(0, SAMPLES, 8):
        behind, near = np.split(bets.refuted, 2)
        if near.all():
            break
        cells += (1 + np.count_nonzero(~behind)) * min(8, SAMPLES - start)
        differences = scores[rivals, start : start + 8] - scores[best, start : start + 8]
        bets.absorb(np.tile(differences, (2, 1)))
    return cells / scores.size


def many_arms(runs: int) -> str:
    """The table about arms that are put out."""
    rows = []
    for arms, gap in ((20, 0.03), (ARMS, 0.03), (20, 0.01)):
        rng = np.random.default_rng(4)
        ours, theirs, right = [], [], 0
        for _ in range(runs):
            qualities = np.concatenate(
                [[0.8], 0.8 - gap - (0.4 if gap > 0.01 else 0.1) * rng.random(arms - 1)]
            )
            scores = world(rng, qualities)
            share, good = together(scores)
            ours.append(share)
            theirs.append(apart(scores))
            right += good
        rows.append(
            (
                f"{arms}",
                f"{gap * 100:.0f}",
                f"{np.mean(ours):.1%}",
                f"{np.mean(theirs):.1%}",
                f"{right / runs:.2f}",
            )
        )
    head = (
        "arms",
        "points to the second at least",
        "`Contenders`",
        "each against the best, error / (arms - 1)",
        "within a point",
    )
    return f"""
## Many arms

{runs} worlds of {SAMPLES:,} samples each: share of all cells that are asked until one arm is known to be within
a point of the best on these samples, at 95 %. The rival method is told which arm is the best.

{table(head, rows).rstrip()}
"""


def counts(seed: int, runs: int, n: int, *, disagree: float, difference: float) -> NDArray[np.int64]:
    """How many samples only the first, only the second, and both or none answer rightly."""
    shares = [(disagree + difference) / 2, (disagree - difference) / 2, 1 - disagree]
    return np.random.default_rng(seed).multinomial(n, shares, size=runs)


def covered(runs: int) -> str:
    """The table about single looks."""
    rows = [
        ("mean of 40 right and wrong answers, 90 % right", _mean_binary(runs), "95 % hold"),
        ("mean of 30 graded scores", _mean_graded(runs), "95 % hold"),
        ("mean of 15 clusters of 8", _mean_clustered(runs), "95 % hold"),
        ("difference, 100 samples, 5 % disagree", _score(runs, 100, 0.05), "95 % hold"),
        ("difference, 300 samples, 20 % disagree", _score(runs, 300, 0.2), "95 % hold"),
        ("difference of graded scores, 100 samples (300 runs)", _graded(300), "95 % hold"),
        (
            "gate passes one worse by the margin, 300 samples, 10 % disagree, 3 points",
            _gate(runs, 0.03),
            "at most 5 %",
        ),
        ("the same, 5 points, 5 % disagree, by t instead", _gate_by_t(runs), "at most 5 %"),
        ("the same, by the score test", _gate(runs, 0.05, disagree=0.05), "at most 5 %"),
        ("best of 4 equals left out, 100 samples (1,000 runs)", _best(1000), "at most 5 %"),
        ("the same by Holm over exact McNemar tests", _best_by_holm(1000), "at most 5 %"),
        ("three differences to a reference, all together (1,000 runs)", _together(1000), "95 % hold"),
        ("judge's rate, 200 answers, 40 labels of each kind", _judged(runs), "95 % hold"),
    ]
    return f"""
## One look

{table(("what", "measured", "stated"), rows).rstrip()}
"""


def _hold(estimates: Sequence[tuple[float, float]], truth: float) -> str:
    ends = np.array(estimates)
    return f"{np.mean((ends[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= ends[:, 1])):.1%}"


def _mean_binary(runs: int) -> str:
    rng = np.random.default_rng(5)
    found = [mean_interval((rng.random(40) < 0.9).astype(float), level=0.95) for _ in range(runs)]
    return _hold([(e.low, e.high) for e in found], 0.9)


def _mean_graded(runs: int) -> str:
    rng = np.random.default_rng(6)
    found = [mean_interval(rng.beta(4, 2, 30), level=0.95) for _ in range(runs)]
    return _hold([(e.low, e.high) for e in found], 2 / 3)


def _mean_clustered(runs: int) -> str:
    rng = np.random.default_rng(7)
    groups = [i // 8 for i in range(120)]
    found = []
    for _ in range(runs):
        ease = np.repeat(rng.beta(2, 2, 15), 8)
        found.append(mean_interval((rng.random(120) < ease).astype(float), level=0.95, groups=groups))
    return _hold([(e.low, e.high) for e in found], 0.5)


def _score(runs: int, n: int, disagree: float) -> str:
    seen = counts(8, runs, n, disagree=disagree, difference=0.03)
    return _hold([score_limits(int(a), int(b), n=n, level=0.95) for a, b, _ in seen], 0.03)


def _graded(runs: int) -> str:
    rng = np.random.default_rng(9)
    found = []
    for run in range(runs):
        base = rng.random(100)
        a, b = (np.clip(base + rng.normal(0, 0.2, 100), 0, 1) for _ in range(2))
        found.append(paired_difference(a, b, level=0.95, seed=run))
    return _hold([(e.low, e.high) for e in found], 0.0)


def _gate(runs: int, margin: float, *, disagree: float = 0.1) -> str:
    seen = counts(10, runs, 300, disagree=disagree, difference=-margin)
    return f"{np.mean([score_p(int(a), int(b), n=300, threshold=-margin) < 0.05 for a, b, _ in seen]):.1%}"


def _gate_by_t(runs: int) -> str:
    from scipy.special import stdtr

    seen = counts(10, runs, 300, disagree=0.05, difference=-0.05).astype(float)
    means = (seen[:, 0] - seen[:, 1]) / 300
    errors = np.sqrt(((seen[:, 0] + seen[:, 1]) / 300 - means**2) / 299)
    return f"{np.mean(stdtr(299, -(means + 0.05) / np.maximum(errors, 1e-12)) < 0.05):.1%}"


def _equals(rng: np.random.Generator) -> Floats:
    return world(rng, np.full(4, 0.8))[:, :100]


def _best(runs: int) -> str:
    rng = np.random.default_rng(11)
    return f"{np.mean([~best_set(_equals(rng), level=0.95, seed=run).members[0] for run in range(runs)]):.1%}"


def _best_by_holm(runs: int) -> str:
    rng = np.random.default_rng(11)
    out = 0
    for _ in range(runs):
        scores = _equals(rng)
        leads = [
            mcnemar_p(int((other > scores[0]).sum()), int((other < scores[0]).sum()), sides=1)
            for other in scores[1:]
        ]
        out += bool((holm(leads) <= ALPHA).any())
    return f"{out / runs:.1%}"


def _together(runs: int) -> str:
    rng = np.random.default_rng(12)
    truth = np.array([0, 0, -0.05, -0.1])
    held = 0
    for run in range(runs):
        found = simultaneous_differences(world(rng, 0.8 + truth)[:, :200], 0, level=0.95, seed=run)
        held += bool(((found.low <= truth + 1e-9) & (truth - 1e-9 <= found.high)).all())
    return f"{held / runs:.1%}"


def _judged(runs: int) -> str:
    rng = np.random.default_rng(13)
    passing = 0.6 * 0.9 + 0.4 * 0.15
    found = [
        corrected_rate(
            Passed(int(rng.binomial(200, passing)), 200),
            Passed(int(rng.binomial(40, 0.9)), 40),
            Passed(int(rng.binomial(40, 0.15)), 40),
            0.95,
        )
        for _ in range(runs)
    ]
    return _hold([(e.low, e.high) for e in found], 0.6)


def costs() -> str:
    """The table about processor time."""
    rng = np.random.default_rng(14)
    differences = rng.choice([1.0, -1.0, 0.0], p=[0.1, 0.15, 0.75], size=(ARMS, SAMPLES))
    scores = world(rng, rng.uniform(0.4, 0.8, ARMS))
    five = world(rng, np.full(5, 0.8))

    def bets() -> None:
        state = Bets(np.zeros(ARMS), alpha=ALPHA / ARMS, horizon=SAMPLES)
        for start in range(0, SAMPLES, 8):
            state.absorb(differences[:, start : start + 8])

    per_cell = timed(bets) / differences.size
    race = timed(lambda: together(scores))
    share, _ = together(scores)
    rows = [
        (f"`Bets`, {ARMS} arms, blocks of 8, per cell", f"{per_cell * 1e6:.1f} µs"),
        (f"`Contenders`, {ARMS} arms, per cell asked", f"{race / (share * scores.size) * 1e6:.1f} µs"),
        (
            "`best_set`, 5 arms, 1,000 samples",
            f"{timed(lambda: best_set(five, level=0.95, seed=1)) * 1e3:.1f} ms",
        ),
        (
            "`paired_difference`, 1,000 right and wrong answers",
            f"{timed(lambda: paired_difference(five[0], five[1], level=0.95, seed=1)) * 1e3:.1f} ms",
        ),
        (
            "`paired_difference`, 1,000 graded scores",
            f"{timed(lambda: paired_difference(five[0] / 2, five[1], level=0.95, seed=1)) * 1e3:.0f} ms",
        ),
    ]
    return f"""
## Processor time

{table(("what", "CPU"), rows).rstrip()}
"""


def timed(call: Callable[[], object]) -> float:
    """CPU seconds, the least of three."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


def curves(runs: int) -> tuple[list[float], list[float]]:
    """Share of equal pairs called different by each look: by t at every look, and by bets."""
    equal = draws(1, runs, disagree=0.2, difference=0.0)
    return tuple(
        [float(share) for share in rule(equal).found.mean(axis=0)]
        for rule in (by_t(every_look=True), by_bets(finite=False))
    )


def paired_case() -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """Low, value and high of two settings and of their difference: 300 samples, 30 and 12 one way each."""
    a = np.repeat([1.0, 1.0, 0.0, 0.0], [180, 30, 12, 78])
    b = np.repeat([1.0, 0.0, 1.0, 0.0], [180, 30, 12, 78])
    found = [
        mean_interval(a, level=0.95),
        mean_interval(b, level=0.95),
        paired_difference(a, b, level=0.95, seed=1),
    ]
    return tuple((one.low, one.value, one.high) for one in found)


def foot() -> str:
    """How to repeat it, and where it was."""
    return f"""
## How to repeat

`make bench`, or `.venv/bin/python benchmarks/stats.py`; `--runs 200` is quick. Python {platform.python_version()},
numpy {np.__version__}, {os.cpu_count()} cores.
"""


if __name__ == "__main__":
    main()
