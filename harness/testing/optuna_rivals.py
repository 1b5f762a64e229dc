"""Optuna as people use it: its default sampler proposes, a trial is one row, and a pruner may cut it short.

In: `Cells`. Out: the row of the best trial so far. The pruners are those of Optuna by rule, computed without
its bookkeeping per answer, which would take longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from harness.testing.matrices import Cells, Draw, Floats, canonical_value, factors_of
from harness.testing.signed_rank import SignedRank

if TYPE_CHECKING:
    import optuna

P_THRESHOLD = 0.1  # of WilcoxonPruner, its default
STARTUP_STEPS = 2  # likewise
REDUCTION = 4  # of SuccessiveHalvingPruner, its default
FIRST_RUNG_SHARE = 100  # its first rung is at one hundredth of a complete trial


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trial ended. value: what Optuna is told; `None`: it was pruned at `rung` with `at_rung`."""

    value: float | None
    rung: int = 0
    at_rung: float = 0.0


Objective = Callable[[int], Ended]
Propose: TypeAlias = "Callable[[optuna.Study, Draw], Iterator[tuple[optuna.Trial, int]]]"


def tpe_full(cells: Cells, seed: int, propose: Propose | None = None) -> None:
    """Every row that is proposed answers all samples. propose: by default, rows that were recorded."""

    def objective(row: int) -> Ended:
        return Ended(float(np.mean([cells.ask_one(row, place) for place in range(cells.shape[1])])))

    _optimise(cells, seed, objective, propose)


def tpe_wilcoxon(cells: Cells, seed: int, propose: Propose | None = None) -> None:
    """With `WilcoxonPruner`: a row answers until it is probably worse than the best trial on its samples.

    As its documentation advises, each trial shuffles the samples, and a pruned one returns its mean, which
    makes it a complete one for Optuna.
    """
    _optimise(cells, seed, _Wilcoxon(cells, np.random.default_rng(seed)).objective, propose)


def tpe_asha(cells: Cells, seed: int, propose: Propose | None = None) -> None:
    """With `SuccessiveHalvingPruner`: at each rung a trial goes on if it is in the best quarter so far."""
    _optimise(cells, seed, _Halving(cells).objective, propose)


@dataclass(slots=True)
class _Wilcoxon:
    cells: Cells
    rng: np.random.Generator
    best: Floats | None = None

    def objective(self, row: int) -> Ended:
        samples = self.cells.shape[1]
        best_mean = -1.0 if self.best is None else float(self.best.mean())
        answers, total, test = np.empty(samples), 0.0, SignedRank()
        for count, place in enumerate(self.rng.permutation(samples).tolist(), start=1):
            answers[place] = answer = self.cells.ask_one(row, place)
            total += answer
            if self.best is None:
                continue
            test.add(answer - float(self.best[place]))
            # The safety of the pruner: while its mean is no lower, a trial goes on whatever the test says.
            if count >= STARTUP_STEPS and total / count < best_mean and test.p_less() < P_THRESHOLD:
                return Ended(total / count)
        if total / samples > best_mean:
            self.best = answers
        return Ended(total / samples)


@dataclass(slots=True)
class _Halving:
    cells: Cells
    first_rung: int | None = None
    rungs: list[list[float]] = field(default_factory=list[list[float]])

    def objective(self, row: int) -> Ended:
        samples, total, rung = self.cells.shape[1], 0.0, 0
        for place in range(samples):
            total += self.cells.ask_one(row, place)
            count = place + 1
            if self.first_rung is None or count < self.first_rung * REDUCTION**rung:
                continue
            if not self._promoted(rung, total / count):
                return Ended(None, count, total / count)
            rung += 1
        self.first_rung = self.first_rung or max(1, samples // FIRST_RUNG_SHARE)
        return Ended(total / samples)

    def _promoted(self, rung: int, value: float) -> bool:
        if rung == len(self.rungs):
            self.rungs.append([])
        self.rungs[rung].append(value)
        competing = sorted(self.rungs[rung], reverse=True)
        return value >= competing[max(0, len(competing) // REDUCTION - 1)]


def _optimise(cells: Cells, seed: int, objective: Objective, propose: Propose | None) -> None:
    """Ask, evaluate and tell until nothing is proposed any more."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    best: float | None = None
    for trial, row in (propose or recorded_rows)(study, cells.draw):
        if best is None:
            cells.named = row
        ended = objective(row)
        _tell(study, trial, ended)
        if ended.value is not None and (best is None or ended.value > best):
            cells.named, best = row, ended.value


def recorded_rows(study: optuna.Study, world: Draw) -> Iterator[tuple[optuna.Trial, int]]:
    """Every row of a draw once, as the sampler proposes them.

    A sampler comes back to what it knows, and proposes combinations that were never recorded; either is
    replaced by a row not tried yet, at random, so that no trial is lost on them.
    """
    import optuna

    space = _Space.of(world)
    # Rows are in random order: the first one that was not tried is a random one.
    untried = dict.fromkeys(range(world.shape[0]))
    while untried:
        trial = study.ask()
        row = space.row(trial)
        if row not in untried:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            row = next(iter(untried))
            study.enqueue_trial(space.parameters(row))
            trial = study.ask()
            assert space.row(trial) == row
        del untried[row]
        yield trial, row


def _tell(study: optuna.Study, trial: optuna.Trial, ended: Ended) -> None:
    import optuna

    if ended.value is None:
        trial.report(ended.at_rung, ended.rung)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, ended.value)


@dataclass(frozen=True, slots=True)
class _Space:
    """What a sampler chooses from: the factors of the settings, or the rows where they have none.

    values: the categories of each factor, as JSON. rows: row by categories; not every combination has one.
    """

    values: Mapping[str, Sequence[str]]
    rows: Mapping[tuple[str, ...], int]

    @classmethod
    def of(cls, world: Draw) -> _Space:
        """The space of this draw's rows."""
        configs, names = world.configs, factors_of(world.configs)
        if not names:
            names, configs = ("row",), [dict[str, Any](row=row) for row in range(len(configs))]
        keys = [tuple(canonical_value(config.get(name)) for name in names) for config in configs]
        values = {name: sorted({key[place] for key in keys}) for place, name in enumerate(names)}
        return cls(values, {key: row for row, key in enumerate(keys)})

    def row(self, trial: optuna.Trial) -> int | None:
        """The row that is proposed; `None` for a combination that was never recorded."""
        key = tuple(str(trial.suggest_categorical(name, values)) for name, values in self.values.items())
        return self.rows.get(key)

    def parameters(self, row: int) -> dict[str, str]:
        """The categories of this row, as Optuna takes them for a trial to come."""
        key = next(key for key, place in self.rows.items() if place == row)
        return dict(zip(self.values, key, strict=True))
