"""Presets: settings that are measured in any case, and told by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import harness
from harness.errors import SpecError
from harness.plan.planner import make_plan
from harness.testing.simulator import SimulatedExperiment, simulated_experiment

SEARCH = {
    "presence_penalty": {"low": 0.0, "high": 0.6},
    "max_output_tokens": {"choices": [16, 2048]},
    "presets": ["chat", "enhanced"],
    "models": ["sim/small"],
    "n_trials": 4,
}


def an_experiment(folder: Path, **search: Any) -> SimulatedExperiment:
    """Two presets in a space that holds them, and as many trials as they take with two prompts."""
    return simulated_experiment(folder / "experiment", n_samples=60, search={**SEARCH, **search})


def test_presets_come_right_after_the_default(tmp_path):
    """However many other combinations there are: they are tried before those."""
    made = an_experiment(tmp_path)
    result = harness.tune(
        made.spec,
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": made.simulator()},
        mlflow=False,
        environ={},
    )
    trials = {trial.number: trial for trial in result.record.trials}
    assert result.record.presets == {1: "chat", 2: "enhanced"}
    chat = trials[1].settings
    assert (chat.temperature, chat.max_output_tokens, chat.presence_penalty) == (0.7, 2048, 0.6)
    assert (trials[2].settings.temperature, trials[2].settings.presence_penalty) == (0.4, 0.2)
    assert all(trials[number].samples >= 4 for number in (0, 1, 2))
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "preset chat" in page
    assert "(preset enhanced)" in (result.folder / "report.md").read_text(encoding="utf-8")
    frame = pd.read_parquet(result.folder / "trials.parquet").query("split == 'search'")
    assert frame["preset"].fillna("").tolist()[:3] == ["", "chat", "enhanced"]


def test_values_that_the_space_does_not_hold_are_left_out_and_told(tmp_path):
    """A limit on the output that is not searched stays at its default."""
    made = an_experiment(tmp_path, max_output_tokens=64)
    plan = make_plan(made.spec)
    (chat,) = plan.space.presets["chat"]
    assert (chat.temperature, chat.max_output_tokens) == (0.7, 64)
    assert any(note.startswith("preset chat: max_output_tokens 2048 (64 is searched)") for note in plan.notes)


def test_a_plan_without_presets_keeps_its_name(tmp_path):
    """Plans made before there were presets are found again; presets are part of the name."""
    without = make_plan(an_experiment(tmp_path, presets=[]).spec).fingerprint()
    assert without != make_plan(an_experiment(tmp_path).spec).fingerprint()


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ({"presets": ["chats"]}, "search.presets[0]: is 'chats', and there is no such preset; did you mean"),
        ({"n_trials": 2}, "search.n_trials: is 2, but the default and 2 settings of presets are tried"),
        (
            {"temperature": 0.0, "presence_penalty": None, "max_output_tokens": 64, "presets": ["enhanced"]},
            "is 'enhanced', and the space holds none of its values",
        ),
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_is_sent(tmp_path, search, says):
    """A name that is none, fewer trials than presets, and a space that holds nothing of one."""
    with pytest.raises(SpecError) as told:
        make_plan(an_experiment(tmp_path, **search).spec)
    assert says in str(told.value)


def test_a_budget_that_does_not_reach_for_all_presets_is_told(tmp_path):
    """Nothing that was asked for is dropped without a word."""
    made = an_experiment(tmp_path, models=["sim/small", "sim/medium", "sim/large"], n_trials=12)
    result = harness.tune(
        {**made.spec, "budget": {"calls": 30}},
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": made.simulator()},
        mlflow=False,
        environ={},
    )
    assert result.record.state == "inconclusive"
    assert any("6 settings of presets" in note for note in result.record.notes)


def test_starting_points_that_were_not_tried_are_counted_together(tmp_path):
    """Two prompts and two presets are four, of which three trials leave one out."""
    made = an_experiment(tmp_path, n_trials=3)
    result = harness.tune(
        made.spec,
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": made.simulator()},
        mlflow=False,
        environ={},
    )
    said = "3 of 4 starting points (2 combinations of model and prompt, 2 sets of settings) were tried: "
    assert any(note.startswith(f"{said}n_trials is 3") for note in result.record.notes)
