"""Runs whose best model is held back by its provider: nobody wins because another was not heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.calls.provider import ProviderFault
from harness.result import TuneResult
from harness.run import tune
from harness.testing.fake_clock import FakeClock
from harness.testing.simulator import simulated_experiment


@pytest.fixture
def tuned(tmp_path: Path) -> Any:
    """Runs one search, by a clock of its own: `tuned("calm", faults=...)`."""
    experiment = simulated_experiment(tmp_path / "experiment", n_samples=40, search={"n_trials": 5})

    def run(name: str, clock: FakeClock, faults: Any = None) -> TuneResult:
        return tune(
            experiment.spec,
            store=f"sqlite:///{tmp_path}/{name}.db",
            reports=tmp_path / name,
            providers={"sim": experiment.simulator(faults=faults)},
            mlflow=False,
            environ={},
            clock=clock,
        )

    return run


def held_back(model: str, clock: FakeClock, until_s: float, asked_s: float) -> Any:
    """Faults that one model meets until a moment: it asks to wait for so long."""

    def faults(call: Any, attempt: int) -> ProviderFault | None:
        if call.settings.model != model or clock.elapsed_s >= until_s:
            return None
        return ProviderFault("rate_limit", "slow down", retry_after_s=asked_s)

    return faults


def test_a_limit_of_a_minute_and_a_half_changes_no_recommendation(tuned):
    """The best model was busy for its first three seconds, and asked to wait for longer than a call does."""
    calm = tuned("calm", FakeClock()).recommendation
    clock = FakeClock()
    late = tuned("late", clock, held_back(calm.settings.model, clock, 3.0, 90.0)).recommendation
    assert (late.settings, late.reason) == (calm.settings, calm.reason)
    assert late.trial.failure_rate == 0.0
    assert clock.elapsed_s >= 90.0


def test_a_choice_among_others_says_who_was_not_heard(tuned):
    """The best model asks to wait for an hour: its trials end as failed, the others go on, with the cause."""
    best = tuned("calm", FakeClock()).recommendation.settings.model
    clock = FakeClock()
    found = tuned("without", clock, held_back(best, clock, 1e9, 3600.0))
    trials = [trial for trial in found.record.trials if trial.settings.model == best]
    assert {trial.state for trial in trials} == {"failed"}
    cause = f"{best} cannot be asked (down): asked to wait 3600 s, and a run waits 600 s at most: slow down"
    assert {trial.reason for trial in trials} == {cause}
    (caveat,) = [one for one in found.recommendation.caveats if one.startswith(f"{best} may be better")]
    assert caveat.endswith(f"; {cause}")
    assert found.recommendation.settings.model != best
