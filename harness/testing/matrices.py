"""Recorded scores of many settings on many samples, and what a strategy may see of them for its money.

In: a file FILE.npz with the .json beside it. Out: the `Matrix`, one run's `Draw` of it, and `Cells`, which
count every call that a strategy makes. It must not decide what to ask: strategies do.

The truth of a row is always the mean of its recorded `score` over all samples.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError

Floats = NDArray[np.float64]
Rows = Sequence[int] | NDArray[np.intp]
MISSING = 2.0  # beyond every random key of a repeat, so that a missing one comes last
HAIR = 1e-9  # of a dollar or a call: rounding is no overspending


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Scores of K settings on N samples. Arrays are read, never written.

    score: (K, N), from 0 to 1. reps: (K, N, R) single answers, 0 or 1, -1 where there is none; `None`: only
    `score` is known. cost: (K, N), USD of one call; `None`: unknown. configs: K mappings with an "id" each
    and the factors of the settings (model, prompt, temperature, ...), in the order of the rows.
    """

    name: str
    score: Floats
    configs: tuple[Mapping[str, Any], ...]
    reps: NDArray[np.int8] | None = None
    cost: Floats | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(K, N): settings and samples."""
        return self.score.shape[0], self.score.shape[1]

    @property
    def truth(self) -> Floats:
        """True quality of each row, (K,): the mean of its recorded scores."""
        return self.score.mean(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One run's world: an answer to each sample for each row, in the order in which strategies see them.

    configs: K mappings, as in `Matrix`. truth: (K,), true quality. best: that of the best settings there are.
    answers: (K, N), the first answer of each cell. prices: (K, N), USD of one call, or `None`.
    """

    name: str
    configs: Sequence[Mapping[str, Any]]
    truth: Floats
    best: float
    answers: Floats
    prices: Floats | None

    @property
    def shape(self) -> tuple[int, int]:
        """(K, N): settings and samples."""
        return self.answers.shape[0], self.answers.shape[1]

    def repeats(self, row: int) -> Floats:
        """Every answer of one row, (N, R): the first column is `answers[row]`, NaN is after the last one."""
        return self.answers[row][:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixDraw(Draw):
    """A matrix with rows and samples in random order. row: (K,), the matrix's row of each row here.

    column: (N,), likewise. keys: (K, N, R) in the matrix's order, by which repeats of a cell are sorted.
    """

    matrix: Matrix
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    keys: NDArray[np.float32] | None = field(repr=False)

    def repeats(self, row: int) -> Floats:
        """The repeats of the matrix in this run's order of them; without any, the first answer alone."""
        if self.keys is None or self.matrix.reps is None:
            return self.answers[row][:, None]
        keys = self.keys[self.row[row]][self.column]
        recorded = self.matrix.reps[self.row[row]][self.column]
        order = np.argsort(keys, axis=1)
        answers = np.take_along_axis(recorded, order, axis=1).astype(np.float64)
        answers[np.take_along_axis(keys, order, axis=1) >= MISSING] = np.nan
        answers[:, 0] = self.answers[row]
        return answers


class OverBudgetError(UsageError):
    """A strategy asked for more than its budget still pays; nothing of it was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a strategy would name, and what it has used up, when its budget reached a mark.

    row: of the draw. seen: (N,), the samples that this row has answered. dev: its mean on them, NaN for
    none. calls and usd: spent until then. cpu_s: of the process since the cells were made.
    """

    row: int
    seen: NDArray[np.bool_]
    dev: float
    calls: int
    usd: float
    cpu_s: float


class Cells:
    """Answers of a draw, paid one by one: all that a strategy sees. A cell asked twice is paid once.

    budget: in calls, or in USD with `in_usd`. marks: smaller budgets at which to note what the strategy
    would name; it has to keep `named` up to date for that.
    """

    def __init__(
        self, draw: Draw, budget: float, *, in_usd: bool = False, marks: Sequence[float] = ()
    ) -> None:
        if in_usd and draw.prices is None:
            raise UsageError(f"{draw.name!r} has no cost; a budget has to be in calls")
        self.draw = draw
        self.in_usd = in_usd
        self.budget = budget
        self.seen = np.zeros(draw.shape, np.bool_)
        self.named = 0
        self.calls = 0
        self.usd = 0.0
        self.standings: list[Standing] = []
        self._answers = draw.answers
        self._prices = draw.prices
        self._marks = sorted(marks)
        self._began_s = time.process_time()

    @property
    def shape(self) -> tuple[int, int]:
        """(K, N): settings and samples."""
        return self.draw.shape

    @property
    def spent(self) -> float:
        """In the unit of the budget."""
        return self.usd if self.in_usd else self.calls

    @property
    def left(self) -> float:
        """What may still be spent, in the unit of the budget: calls or USD."""
        return self.budget - self.spent

    def ask(self, rows: Rows, start: int, stop: int) -> Floats:
        """Answers of these rows to the samples at positions start to stop, (rows, stop - start).

        Raises OverBudgetError when that costs more than is left; then nothing is paid.
        """
        block = (np.asarray(rows, np.intp)[:, None], np.arange(start, stop)[None, :])
        fresh = ~self.seen[block]
        usd = 0.0 if self._prices is None else float(self._prices[block][fresh].sum())
        self._pay(int(fresh.sum()), usd)
        self.seen[block] = True
        return self._answers[block]

    def ask_one(self, row: int, position: int) -> float:
        """The answer of one row to one sample: as `ask`, and quick."""
        if not self.seen[row, position]:
            self._pay(1, 0.0 if self._prices is None else float(self._prices[row, position]))
            self.seen[row, position] = True
        return float(self._answers[row, position])

    def price_of(self, row: int) -> float:
        """Mean USD of the row's calls so far; NaN before the first one, or when prices are unknown."""
        seen = self.seen[row]
        if self._prices is None or not seen.any():
            return float("nan")
        return float(self._prices[row][seen].mean())

    def finish(self) -> list[Standing]:
        """The standings at all marks and, last, at the end; a mark never reached stands as the end does."""
        end = self._standing()
        return [*self.standings, *[end] * (len(self._marks) - len(self.standings)), end]

    def _pay(self, calls: int, usd: float) -> None:
        cost = usd if self.in_usd else calls
        after = self.spent + cost
        while (passed := len(self.standings)) < len(self._marks) and after > self._marks[passed] + HAIR:
            self.standings.append(self._standing())
        if after > self.budget + HAIR:
            raise OverBudgetError(
                f"{cost:g} {'USD' if self.in_usd else 'calls'} were asked for, but of {self.budget:g} only "
                f"{self.left:g} are left"
            )
        self.calls += calls
        self.usd += usd

    def _standing(self) -> Standing:
        seen = self.seen[self.named].copy()
        return Standing(
            row=self.named,
            seen=seen,
            dev=float(self._answers[self.named][seen].mean()) if seen.any() else float("nan"),
            calls=self.calls,
            usd=self.usd,
            cpu_s=time.process_time() - self._began_s,
        )


def load_matrix(path: Path) -> Matrix:
    """The matrix in FILE.npz, with its settings from FILE.json beside it, if that is there.

    Raises UsageError that names the file, what was found and what was expected.
    """
    arrays = _arrays(path)
    if "score" not in arrays:
        raise UsageError(f"{path}: holds {_listed(arrays)}; expected an array 'score' of shape (K, N)")
    score = _numbers(path, "score", arrays["score"])
    if score.ndim != 2 or 0 in score.shape:
        raise UsageError(f"{path}: score has shape {score.shape}; expected (K, N), settings by samples")
    wrong = score[~((score >= 0) & (score <= 1))]
    if len(wrong):
        raise UsageError(
            f"{path}: {len(wrong)} values of score are missing or outside 0 to 1, as {wrong[0]:g}; "
            "expected a number for each cell"
        )
    name, configs = _described(path.with_suffix(".json"), path.stem, len(score))
    return Matrix(
        name=name,
        score=score,
        configs=configs,
        reps=_reps(path, arrays.get("reps"), score.shape),
        cost=_cost(path, arrays.get("cost"), score.shape),
    )


def draw(matrix: Matrix, seed: int) -> MatrixDraw:
    """One run's world of this matrix: the same for the same seed, whatever asks for it.

    Rows and samples are permuted, so that ties by position favour nobody. With repeats, a cell's answers
    are its repeats in a random order, missing ones skipped; a cell without any answers with its score.
    """
    rng = np.random.default_rng(seed)
    row, column = (rng.permutation(size) for size in matrix.shape)
    answers, keys = matrix.score, None
    if matrix.reps is not None:
        keys = rng.random(matrix.reps.shape, dtype=np.float32)
        keys[matrix.reps < 0] = MISSING
        first = keys.argmin(axis=2)[..., None]
        drawn = np.take_along_axis(matrix.reps, first, axis=2)[..., 0]
        answers = np.where(drawn < 0, matrix.score, drawn)
    places = np.ix_(row, column)
    truth = matrix.truth
    return MatrixDraw(
        name=matrix.name,
        configs=[matrix.configs[place] for place in row],
        matrix=matrix,
        truth=truth[row],
        best=float(truth.max()),
        answers=answers[places],
        prices=None if matrix.cost is None else matrix.cost[places],
        row=row,
        column=column,
        keys=keys,
    )


def factors_of(configs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the columns, but for "id", in which settings differ.

    Empty where the columns together do not name a row: then a row is nothing but its place.
    """
    names = {name: None for config in configs for name in config if name != "id"}
    values = {name: {canonical_value(config.get(name)) for config in configs} for name in names}
    columns = tuple(name for name in names if len(values[name]) > 1)
    rows = {tuple(canonical_value(config.get(name)) for name in columns) for config in configs}
    return columns if len(rows) == len(configs) else ()


def canonical_value(value: object) -> str:
    """A value of a factor as text: equal values are the same category."""
    return json.dumps(value, sort_keys=True)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected a matrix, FILE.npz")
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise UsageError(f"{path}: holds one bare array; expected FILE.npz with an array 'score'")
        with stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: cannot be read as FILE.npz: {error}") from error


def _numbers(path: Path, name: str, array: NDArray[Any]) -> Floats:
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{path}: {name} holds {array.dtype} values; expected numbers")
    return array.astype(np.float64)


def _reps(path: Path, array: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[np.int8] | None:
    if array is None:
        return None
    if array.ndim != 3 or array.shape[:2] != shape or array.shape[2] == 0:
        raise UsageError(f"{path}: reps has shape {array.shape}; expected {(*shape, 'R')} as score has")
    if array.dtype.kind not in "iub" or not np.isin(array, (-1, 0, 1)).all():
        raise UsageError(f"{path}: reps holds other values than -1, 0 and 1 ({array.dtype})")
    return array.astype(np.int8)


def _cost(path: Path, array: NDArray[Any] | None, shape: tuple[int, ...]) -> Floats | None:
    if array is None:
        return None
    cost = _numbers(path, "cost", array)
    if cost.shape != shape:
        raise UsageError(f"{path}: cost has shape {cost.shape}; expected {shape} as score has")
    if not (np.isfinite(cost).all() and cost.min() >= 0):
        raise UsageError(f"{path}: cost holds missing or negative values; expected USD per call, from 0 up")
    return cost


def _described(path: Path, stem: str, count: int) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """Name and settings as the file says; without a file, the rows are numbered."""
    if not path.exists():
        return stem, tuple({"id": f"row {number}"} for number in range(count))
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as JSON: {error}") from error
    listed = cast("dict[str, Any]", told).get("configs") if isinstance(told, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in cast("list[Any]", listed)):
        raise UsageError(f"{path}: expected a mapping with a list 'configs' of mappings, one for each row")
    configs = cast("list[dict[str, Any]]", listed)
    if len(configs) != count:
        raise UsageError(f"{path}: lists {len(configs)} configs; expected {count}, the rows of score")
    name = str(cast("dict[str, Any]", told).get("name", stem))
    return name, tuple({"id": str(number), **config} for number, config in enumerate(configs))


def _listed(arrays: Mapping[str, object]) -> str:
    return ", ".join(map(repr, arrays)) or "nothing"
