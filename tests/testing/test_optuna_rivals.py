"""Optuna as a rival: its own pruners, asked after every answer, would have stopped at the same ones."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import optuna
import pytest

from harness.testing.matrices import Cells, draw
from harness.testing.rivals import RIVALS


class Witness(Cells):
    """Cells that remember in which order they were asked."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.asked: list[tuple[int, int]] = []

    def ask_one(self, row: int, position: int) -> float:
        answer = super().ask_one(row, position)
        self.asked.append((row, position))
        return answer

    def trials(self) -> dict[int, list[int]]:
        """The positions that each row answered, in order; rows in the order of their first answer."""
        found: dict[int, list[int]] = {}
        for row, position in self.asked:
            found.setdefault(row, []).append(position)
        return found


def witnessed(world, name: str) -> Witness:
    """The cells after a strategy had all the money it wanted."""
    cells = Witness(world, world.answers.size)
    RIVALS[name].name_row(cells, 3)
    return cells


def graded(matrix):
    """A matrix with scores of many values, for which the ranks of a signed-rank test all differ."""
    recorded = matrix(10, 90)
    noise = np.random.default_rng(2).normal(0, 0.2, recorded.shape)
    return replace(recorded, score=np.clip(0.3 + 0.4 * recorded.score + noise, 0, 1))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["binary", "graded"])
def test_the_wilcoxon_rule_is_optunas(matrix, kind) -> None:
    """Its WilcoxonPruner, told the same answers, prunes each trial after the same one."""
    # Few rows with ties: SciPy counts all signs of up to 13 of them, anew after each answer.
    world = draw(graded(matrix) if kind == "graded" else matrix(4, 60), 4)
    trials, samples = witnessed(world, "tpe-wilcoxon").trials(), world.shape[1]
    optuna.logging.set_verbosity(logging.WARNING)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.WilcoxonPruner())
    for row, positions in trials.items():
        trial, answers, pruned = study.ask(), [], False
        for position in positions:
            assert not pruned
            answers.append(float(world.answers[row, position]))
            trial.report(answers[-1], position)
            pruned = trial.should_prune()
        assert pruned or len(answers) == samples
        study.tell(trial, sum(answers) / len(answers))
    assert any(len(positions) < samples for positions in trials.values())


def test_the_halving_rule_is_optunas(matrix) -> None:
    """Its SuccessiveHalvingPruner, told running means, prunes each trial after the same answer."""
    world = draw(matrix(30, 300), 4)
    trials = witnessed(world, "tpe-asha").trials()
    optuna.logging.set_verbosity(logging.WARNING)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.SuccessiveHalvingPruner())
    for row, positions in trials.items():
        trial, pruned = study.ask(), False
        for count in range(1, len(positions) + 1):
            assert not pruned
            trial.report(float(world.answers[row, :count].mean()), count)
            pruned = trial.should_prune()
        assert pruned or len(positions) == 300
        state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE
        study.tell(trial, None if pruned else float(world.answers[row].mean()), state=state)
    assert any(len(positions) < 300 for positions in trials.values())


@pytest.mark.parametrize("name", ["tpe-full", "tpe-wilcoxon", "tpe-asha"])
@pytest.mark.parametrize("factored", [True, False])
def test_every_row_is_tried_once(matrix, name, factored) -> None:
    """Whether rows have factors or not, and also where not every combination was recorded."""
    recorded = matrix(11, 30)
    if not factored:
        recorded = replace(recorded, configs=tuple({"id": str(row)} for row in range(11)))
    trials = witnessed(draw(recorded, 5), name).trials()
    assert sorted(trials) == list(range(11))


def test_all_samples_make_a_full_trial(matrix) -> None:
    """Without a pruner the best mean of all is named, and everything is paid."""
    world = draw(matrix(), 5)
    cells = witnessed(world, "tpe-full")
    assert cells.calls == world.answers.size
    assert world.truth[cells.named] == world.truth.max()
