"""What a search of known truth is worth: outcomes of single runs, and what many say together.

In: a draw, and where a strategy stood. Out: an `Outcome`, and a `Summary` of many. The winner of a run is
measured as the product does it, on answers that did not choose it. It must not know any strategy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from harness.errors import UsageError
from harness.testing.matrices import Draw, Floats, Matrix, Standing

Result = TypeVar("Result")
CONFIRM_MOST = 200  # fresh samples that measure a winner
CONFIRM_LEAST = 30  # fewer unseen ones say too little: then it is asked again
NEAR = 1e-4  # points that count as none; recorded scores are 32-bit floats
SLICES = 8  # for each process, so that none waits long for the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What searches of a matrix may spend. fractions: of the full grid's calls, or dollars with `in_usd`."""

    matrix: Matrix
    fractions: tuple[float, ...]
    in_usd: bool = False

    def __post_init__(self) -> None:
        if not self.fractions or not all(0 < fraction <= 1 for fraction in self.fractions):
            raise UsageError(f"fractions are {self.fractions!r}; expected shares above 0, up to 1")
        if self.in_usd and self.matrix.cost is None:
            raise UsageError(f"matrix {self.matrix.name!r} has no cost; leave --cost out")

    @property
    def whole(self) -> float:
        """The full grid in the unit of the budgets: calls or USD."""
        if self.in_usd:
            assert self.matrix.cost is not None
            return float(self.matrix.cost.sum())
        return float(math.prod(self.matrix.shape))

    def of(self, fraction: float) -> float:
        """This share of the full grid: whole calls, at least one, or USD."""
        if self.in_usd:
            return fraction * self.whole
        return max(1.0, float(int(fraction * self.whole + NEAR)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run named for one budget. Points are hundredths of quality.

    regret: of the row named against the best one, in points. dev and reported: its mean where it was
    chosen, and on fresh answers, each minus its true quality, in points; NaN without any answer. calls
    and usd: of the search; usd is NaN without prices. confirm_calls: of the fresh answers. cpu_s: of the
    search, its answers included.
    """

    regret: float
    dev: float
    reported: float
    calls: int
    usd: float
    confirm_calls: int
    cpu_s: float


def judge(world: Draw, standing: Standing) -> Outcome:
    """What naming this row is worth, with the winner measured on answers that did not choose it."""
    fresh = fresh_answers(world, standing)
    truth = float(world.truth[standing.row])
    reported = float(fresh.mean()) if len(fresh) else standing.dev
    return Outcome(
        regret=100 * (world.best - truth),
        dev=100 * (standing.dev - truth),
        reported=100 * (reported - truth),
        calls=standing.calls,
        usd=math.nan if world.prices is None else standing.usd,
        confirm_calls=len(fresh),
        cpu_s=standing.cpu_s,
    )


def fresh_answers(world: Draw, standing: Standing) -> Floats:
    """Up to 200 answers of the winner that took no part in choosing it.

    To samples it has not seen; with fewer than 30 of them, repeats of those that it has. Empty when there is
    neither: then it has answered nearly the whole population, and that mean is the truth, nearly.
    """
    unseen = world.answers[standing.row][~standing.seen]
    if len(unseen) >= CONFIRM_LEAST:
        return unseen[:CONFIRM_MOST]
    again = world.repeats(standing.row)[:, 1:].T.ravel()
    return again[~np.isnan(again)][:CONFIRM_MOST]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Means over runs for one budget; points are hundredths of quality, shares go from 0 to 1.

    budget: of the search, in calls or USD; fraction: the same as a share of the full grid, `None` where there
    is no grid. Standard errors end in `_se`, `None` for a single run. reported_minus_true and
    dev_minus_true: `None` where no winner was measured. mean_usd: `None` where calls have no price.
    cpu_ms_per_call: of the search, per call of the search.
    """

    fraction: float | None
    budget: float
    p_within_1pt: float
    p_within_2pt: float
    mean_regret: float
    mean_regret_se: float | None
    mean_calls: float
    mean_usd: float | None
    reported_minus_true: float | None
    reported_minus_true_se: float | None
    dev_minus_true: float | None
    confirm_calls: float
    cpu_ms_per_call: float


def summary(
    outcomes: Sequence[Outcome], *, budget: float, fraction: float | None = None, worlds: int | None = None
) -> Summary:
    """What these runs say together. worlds: run n took place in world n % worlds; `None`: in one of its own.

    Runs of one world are alike, so that errors are those of the means of worlds.
    """
    regret = [outcome.regret for outcome in outcomes]
    near = np.array(regret)
    mean_regret, regret_error = mean_and_error(regret, worlds)
    reported, reported_error = mean_and_error([outcome.reported for outcome in outcomes], worlds)
    usd, _ = mean_and_error([outcome.usd for outcome in outcomes], worlds)
    calls = sum(outcome.calls for outcome in outcomes)
    assert mean_regret is not None
    return Summary(
        fraction=fraction,
        budget=budget,
        p_within_1pt=float((near <= 1 + NEAR).mean()),
        p_within_2pt=float((near <= 2 + NEAR).mean()),
        mean_regret=mean_regret,
        mean_regret_se=regret_error,
        mean_calls=calls / len(outcomes),
        mean_usd=usd,
        reported_minus_true=reported,
        reported_minus_true_se=reported_error,
        dev_minus_true=mean_and_error([outcome.dev for outcome in outcomes], worlds)[0],
        confirm_calls=float(np.mean([outcome.confirm_calls for outcome in outcomes])),
        cpu_ms_per_call=1000 * sum(outcome.cpu_s for outcome in outcomes) / max(1, calls),
    )


def mean_and_error(values: Sequence[float], worlds: int | None = None) -> tuple[float | None, float | None]:
    """Mean and standard error of the numbers among these; `None` where they say nothing."""
    grouped = [
        values[place :: worlds or len(values)] for place in range(min(worlds or len(values), len(values)))
    ]
    known = [[value for value in group if not math.isnan(value)] for group in grouped]
    means = np.array([np.mean(group) for group in known if group])
    if not len(means):
        return None, None
    error = float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else None
    return float(means.mean()), error


def seed_of(seed: int, *parts: int | str) -> int:
    """A seed of its own for each use, below 2^32 as samplers want it, from the one that the user gave."""
    words = [int.from_bytes(str(part).encode(), "little") for part in parts]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint32)[0])


def in_parallel(
    function: Callable[[int], Result], count: int, *, jobs: int, tick: Callable[[int], None]
) -> list[Result]:
    """The function of 0 to count - 1, in order, by several processes when jobs is above 1.

    function: of module level, or a partial of one. tick: told after each result how many there are.
    """
    if jobs <= 1 or count <= SLICES:
        return _gathered(map(function, range(count)), tick)
    # Spawned, because a fork copies the locks of threads that the caller may have.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        size = max(1, count // (SLICES * jobs))
        return _gathered(pool.map(function, range(count), chunksize=size), tick)


def _gathered(results: Iterable[Result], tick: Callable[[int], None]) -> list[Result]:
    found: list[Result] = []
    for result in results:
        found.append(result)
        tick(len(found))
    return found
