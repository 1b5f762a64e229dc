"""A matrix as a provider: answers and bills as recorded, alone and under `harness.tune`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.calls.provider import Provider, ProviderFault
from harness.records import Call
from harness.run import tune
from harness.testing.builders import a_call, a_settings
from harness.testing.contracts import ProviderContract
from harness.testing.delays import constant
from harness.testing.fake_clock import FakeClock
from harness.testing.matrices import Matrix, draw
from harness.testing.matrix_provider import (
    USD_PER_MTOK,
    MatrixProvider,
    matrix_experiment,
    model_of,
    sample_of,
)

WORLD = draw(
    Matrix(
        name="small",
        score=np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        configs=({"id": "a"}, {"id": "b"}),
        reps=np.array([[[1] * 250, [0] * 250, [1] * 250], [[0, -1] * 125, [0] * 250, [0] * 250]], np.int8),
    ),
    seed=1,
)


def call(world, row: int, column: int, *, repeat: int = 0, **changes: Any) -> Call:
    """The call of a cell of the draw."""
    settings = a_settings(model=changes.pop("model", model_of(world, row)))
    given = {"sample_id": sample_of(world, column), "repeat": repeat} | changes
    return a_call(settings=settings, **given)


def ask(provider: MatrixProvider, *calls: Call) -> list[Any]:
    """Outcomes of these calls, all sent at once; faults are returned."""

    async def run() -> list[Any]:
        return await asyncio.gather(*map(provider.complete, calls), return_exceptions=True)

    return asyncio.run(run())


class TestMatrixProviderKeepsTheContract(ProviderContract):
    """It is a provider like any other."""

    def make_provider(self) -> Provider:
        """A fresh one."""
        return MatrixProvider(WORLD)

    def make_call(self, number: int) -> Call:
        """The last sample, of which many answers were recorded."""
        return call(WORLD, list(WORLD.row).index(0), list(WORLD.column).index(2), repeat=number)

    def make_faulty_provider(self) -> Provider:
        """One that has only the first sample."""
        whole = WORLD.matrix
        return MatrixProvider(draw(replace(whole, score=whole.score[:, :1], reps=whole.reps[:, :1]), 3))

    def requests_sent(self, provider: Any) -> int:
        """It counts by itself."""
        return provider.requests


def test_answers_are_those_of_the_draw(matrix) -> None:
    """Every cell and repeat is answered as recorded, in this run's order of repeats."""
    world = draw(matrix(4, 30, repeats=3), 7)
    provider = MatrixProvider(world)
    for row in range(4):
        for repeat, recorded in enumerate(world.repeats(row).T):
            outcomes = ask(provider, *(call(world, row, column, repeat=repeat) for column in range(30)))
            for outcome, value in zip(outcomes, recorded, strict=True):
                if np.isnan(value):
                    assert outcome.kind == "bad_request"
                else:
                    assert outcome.text == ("right" if value == 1 else "wrong")


def test_the_bill_is_the_recorded_cost(matrix) -> None:
    """Tokens at the stated price are what the cell cost, to a billionth of a dollar."""
    world = draw(matrix(4, 30), 7)
    provider = MatrixProvider(world)
    calls = [call(world, row, column) for row in range(4) for column in range(30)]
    billed = [reply.usage.output_tokens * USD_PER_MTOK / 1e6 for reply in ask(provider, *calls)]
    assert billed == pytest.approx(world.prices.ravel(), abs=1e-9)
    assert provider.bill_usd == pytest.approx(world.prices.sum(), abs=1e-7)


def test_a_score_between_is_a_chance(matrix) -> None:
    """A cell of score 0.25 is right for about a quarter of samples, and always the same for the same call."""
    world = draw(replace(matrix(2, 4000), score=np.full((2, 4000), 0.25)), 0)
    provider = MatrixProvider(world)
    calls = [call(world, 0, column) for column in range(4000)]
    first, again = ([reply.text for reply in ask(provider, *calls)] for _ in range(2))
    assert first == again
    assert first.count("right") / 4000 == pytest.approx(0.25, abs=4.5 * (0.25 * 0.75 / 4000) ** 0.5)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"model": "matrix/row-9999"}, "not_found"),
        ({"sample_id": "s99999"}, "bad_request"),
        ({"purpose": "judge"}, "bad_request"),
        ({"repeat": 300}, "bad_request"),
    ],
)
def test_what_was_not_recorded_is_a_fault(changes, kind) -> None:
    """Unknown rows are not found; the rest is a bad request. Each is one request."""
    provider = MatrixProvider(WORLD)
    (fault,) = ask(provider, call(WORLD, 0, 0, **changes))
    assert isinstance(fault, ProviderFault)
    assert (fault.kind, provider.requests, provider.bill_usd) == (kind, 1, 0.0)


def test_it_takes_its_time_on_a_clock() -> None:
    """Calls that overlap sleep for as long as the delay says."""
    clock = FakeClock()
    provider = MatrixProvider(WORLD, clock=clock, delay=constant(2.5))
    ask(provider, *(call(WORLD, row, column) for row in range(2) for column in range(3)))
    assert clock.monotonic() == 2.5


def test_tune_searches_a_matrix(matrix, tmp_path) -> None:
    """End to end: the best row by far is recommended, and every cent is a recorded one."""
    recorded = matrix(5, 100)
    score = recorded.score.copy()
    score[:4, 30:] = 0
    score[4, 5:] = 1
    experiment = matrix_experiment(
        tmp_path / "m", replace(recorded, score=score), seed=3, budget={"calls": 450}
    )
    provider = experiment.provider()
    result = tune(
        experiment.spec,
        providers={"matrix": provider},
        store=f"sqlite:///{tmp_path}/s.db",
        reports=tmp_path / "reports",
        mlflow=False,
        environ={},
    )
    assert result.recommendation.settings.model == "matrix/row-0004"
    assert experiment.truth["matrix/row-0004"] == max(experiment.truth.values())
    assert result.spend.usd == pytest.approx(provider.bill_usd)
    assert result.spend.calls == provider.requests <= 450


def test_a_matrix_without_costs_is_free(matrix, tmp_path) -> None:
    """Its models are stated with prices of zero; sections replace parts of the spec."""
    experiment = matrix_experiment(
        tmp_path, matrix(2, 10, priced=False), search={"n_trials": 1}, failures=None
    )
    (entry, _) = experiment.spec["providers"]["matrix"]["models"].values()
    assert entry["prices"] == {"input": 0.0, "output": 0.0}
    assert experiment.spec["search"] == {"models": list(experiment.truth), "n_trials": 1}
    assert "failures" not in experiment.spec
