"""Model classes are tried from the smallest on, and no further than the target asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import SpecError
from harness.plan.planner import make_plan
from harness.run import tune
from harness.testing.simulator import simulated_experiment
from harness.trials.escalate import classes_of, stage_of


@pytest.fixture
def escalated(tmp_path: Path) -> Any:
    """Runs a simulated experiment that starts small, with this target; gives result and models asked."""

    def run(floor: float | None, resume: str | None = None, **sections: Any) -> tuple[Any, set[str]]:
        given = {"aim": {"policy": {"floor": floor or 0.5}, "confirm": 0.5}, "budget": {"calls": 3000}}
        given |= sections
        search = {"escalate": True, "n_trials": 9, "max_output_tokens": {"choices": [256]}}
        made = simulated_experiment(tmp_path / "made", n_samples=240, search=search, **given)
        provider = made.simulator()
        result = tune(
            made.spec if resume is None else None,
            resume=resume,
            store=f"sqlite:///{tmp_path}/store.db",
            reports=tmp_path / "reports",
            providers={"sim": provider},
            mlflow=False,
            environ={},
        )
        return result, {trial.settings.model for trial in result.record.trials}

    return run


def test_a_small_model_that_reaches_the_target_is_the_only_one_asked(escalated: Any) -> None:
    """The seed's best practice: start small, upgrade as needed."""
    result, asked = escalated(0.4)
    assert asked == {"sim/small"}
    assert result.recommendation.settings.model == "sim/small"
    assert any(
        "SMALL is sure to reach 0.4: MEDIUM and LARGE were never asked" in n for n in result.record.notes
    )


def test_a_small_model_that_misses_the_target_calls_for_a_larger_one(escalated: Any) -> None:
    """What is not sure after one class is looked for in the next, and trials go on counting."""
    result, asked = escalated(0.999)
    assert asked == {"sim/small", "sim/medium", "sim/large"}
    assert [trial.number for trial in result.record.trials] == list(range(len(result.record.trials)))
    assert any("SMALL is not sure to reach 0.999: MEDIUM was tried" in note for note in result.record.notes)
    assert result.record.state == "inconclusive"


def test_no_class_spends_what_belongs_to_the_others(escalated: Any) -> None:
    """Each has an equal part of what is left, and all keep the cap."""
    result, asked = escalated(0.999, budget={"calls": 900})
    calls = dict.fromkeys(asked, 0)
    for trial in (*result.record.trials, *result.record.finalists):
        calls[trial.settings.model] += trial.samples
    assert calls["sim/small"] <= 300
    assert sum(calls.values()) <= 900
    assert min(calls.values()) > 100


def test_the_parts_of_a_plan_hold_one_class_each(tmp_path: Path) -> None:
    """A third of the calls, then a half, then all that is left; and the trials likewise."""
    made = simulated_experiment(tmp_path, aim={"policy": {"floor": 0.5}}, budget={"calls": 900})
    plan = make_plan(made.spec)
    assert classes_of(plan) == ("SMALL", "MEDIUM", "LARGE")
    small = stage_of(plan, "SMALL", (), (), 3)
    assert (small.space.models, small.budget.calls, small.n_trials) == (("sim/small",), 300, 7)
    assert stage_of(plan, "LARGE", (), (), 1).budget.calls == 900


def test_without_a_target_there_is_nothing_to_stop_at(tmp_path: Path) -> None:
    """The best policy has no "good enough"."""
    made = simulated_experiment(tmp_path, search={"escalate": True})
    with pytest.raises(SpecError, match=r"search.escalate.*nothing says what is good enough.*floor: 0.85"):
        make_plan(made.spec)


def test_a_run_that_goes_on_comes_to_the_same_classes_and_pays_nothing_twice(escalated: Any) -> None:
    """Resumed, it asks for the same answers in the same order, and all of them are there."""
    first, _ = escalated(0.999)
    again, _ = escalated(None, resume=first.record.run)
    assert [t.settings for t in again.record.trials] == [t.settings for t in first.record.trials]
    assert again.record.spend.calls == first.record.spend.calls
