"""Who proposes in a run, and from where it starts: the same again when the run goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from harness.errors import UsageError
from harness.findings import Progress
from harness.past import load_run
from harness.plan.planner import make_plan
from harness.records import Settings
from harness.result import TuneResult
from harness.run import evaluate, tune
from harness.testing.simulator import SimulatedExperiment, simulated_experiment


@dataclass(frozen=True)
class Site:
    """A simulated experiment and a store of its own."""

    folder: Path
    experiment: SimulatedExperiment

    def tune(self, spec: Any = None, **options: Any) -> TuneResult:
        given = self.experiment.spec if spec is None and "resume" not in options else spec
        return tune(
            given,
            store=f"sqlite:///{self.folder}/store.db",
            reports=self.folder,
            providers={"sim": self.experiment.simulator()},
            mlflow=False,
            environ={},
            **options,
        )

    def stopped(self, trials: int, **options: Any) -> TuneResult:
        """A run that its user stops when it has more trials than this."""

        def watch(progress: Progress) -> None:
            if len(progress.trials) > trials:
                raise KeyboardInterrupt

        return self.tune(on_progress=watch, **options)

    def spec(self, **search: Any) -> dict[str, Any]:
        """The spec with another search."""
        spec = self.experiment.spec
        return {**spec, "search": {**spec["search"], **search}}


@pytest.fixture
def site(tmp_path: Path) -> Callable[[], Site]:
    """Makes sites side by side over the same small search of one model."""
    numbers = itertools.count()
    experiment = simulated_experiment(
        tmp_path / "experiment", n_samples=60, search={"n_trials": 9, "models": ["sim/small"]}
    )

    def make() -> Site:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return Site(folder, experiment)

    return make


def settings_of(result: TuneResult) -> list[Settings]:
    """The settings of all trials, by number."""
    return [trial.settings for trial in result.record.trials]


def test_a_sampler_of_ones_own_proposes_again_when_the_run_goes_on(site):
    """The run remembers what could be told of it: another one is refused, and so is none."""
    made = site()
    expected = site().tune(sampler=optuna.samplers.NSGAIISampler(seed=4, population_size=4))
    sampler = optuna.samplers.NSGAIISampler(seed=4, population_size=4)
    cut = made.stopped(4, sampler=sampler)
    with pytest.raises(UsageError, match=r"given in Python.*NSGAIISampler"):
        made.tune(resume=cut.run_id)
    with pytest.raises(UsageError, match="has changed since it began"):
        made.tune(resume=cut.run_id, sampler=optuna.samplers.NSGAIISampler(seed=5, population_size=4))
    result = made.tune(resume=cut.run_id, sampler=sampler)
    assert settings_of(result) == settings_of(expected)
    loaded = load_run(result.run_id, store=f"sqlite:///{made.folder}/store.db", reports=made.folder)
    assert loaded.record == result.record


def test_another_sampler_may_be_named_in_the_call(site):
    """In place of the spec's, and remembered with the run."""
    made = site()
    assert made.tune().plan.sampler.name == "auto"
    cut = made.stopped(4, sampler="random")
    assert made.tune(resume=cut.run_id).plan.sampler.name == "random"


def test_a_sampler_that_cannot_be_had_is_refused_at_once(site):
    """By the name of the argument, before a run is begun."""
    with pytest.raises(UsageError, match="sampler is 'magic', which is no sampler"):
        site().tune(sampler="magic")


def test_a_run_starts_from_the_finalists_of_the_latest(site):
    """And goes on from the same ones, although it is the latest itself by then."""
    made = site()
    found = {str(trial.settings) for trial in made.tune().record.finalists if trial.number > 1}
    assert found
    spec = made.spec(warm_start=["latest"])
    cut = made.stopped(3, spec={**spec, "seed": 9})
    assert {str(settings) for settings in cut.plan.space.warm} == found
    result = made.tune(resume=cut.run_id)
    assert result.plan.space.warm == cut.plan.space.warm
    assert found <= {str(settings) for settings in settings_of(result)}


def test_a_run_that_found_nothing_to_start_from_goes_on_so(site):
    """What `latest` meant when the run began counts, not what it means when it is resumed."""
    made = site()
    cut = made.stopped(3, spec=made.spec(warm_start=["latest"]))
    assert made.tune().record.finalists
    assert made.tune(resume=cut.run_id).plan.space.warm == ()


# -- as a study of Optuna


def test_a_result_is_a_study(site):
    """In memory, with Optuna's own importances; the recommended trial is marked."""
    result = site().tune()
    study = result.study()
    assert [trial.number for trial in study.trials] == [trial.number for trial in result.record.trials]
    assert [trial.value for trial in study.trials] == [trial.told for trial in result.record.trials]
    (marked,) = [trial.number for trial in study.trials if trial.user_attrs.get("recommended")]
    assert marked == result.recommendation.trial.number
    names = ["temperature", "prompt"]
    assert set(optuna.importance.get_param_importances(study, params=names)) == set(names)


def test_a_run_is_mirrored_in_the_storage_that_its_spec_names(site):
    """When it ends, the study there is the one that the result gives."""
    made = site()
    log = str(made.folder / "live.log")
    result = made.tune(made.spec(optuna_storage=log))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(log))
    mirrored = optuna.load_study(study_name=result.run_id, storage=storage)
    assert mirrored.trials_dataframe().equals(result.study().trials_dataframe())


def test_a_mirror_that_fails_is_a_note_and_the_run_goes_on(site):
    """Told once; the recommendation is that of a run without a mirror."""
    plain, made = site(), site()
    expected = plain.tune()
    result = made.tune(made.spec(optuna_storage="/nowhere/at/all/live.log"))
    assert result.record.state == "complete"
    assert settings_of(result) == settings_of(expected)
    (note,) = [note for note in result.record.notes if "Optuna storage" in note]
    assert f"harness study {result.run_id}" in note


def test_where_a_run_is_mirrored_is_no_part_of_what_it_is(site):
    """A resumed run may be watched elsewhere."""
    made = site()
    plans = [make_plan(made.spec(optuna_storage=name)).fingerprint() for name in ("a.log", "b.log")]
    assert plans[0] == plans[1]


def test_an_evaluation_is_no_study_and_starts_from_nothing(site):
    """What the spec says of the search does not concern one set of settings."""
    made = site()
    log = made.folder / "live.log"
    spec = made.spec(optuna_storage=str(log), warm_start=["preset:chat"], sampler="nsga2")
    result = evaluate(
        spec,
        store=f"sqlite:///{made.folder}/store.db",
        reports=made.folder,
        providers={"sim": made.experiment.simulator()},
        mlflow=False,
        environ={},
    )
    assert (result.record.state, log.exists()) == ("complete", False)
    assert not any("warm_start" in note for note in result.plan.notes)


def test_what_a_warm_start_left_out_is_told_with_the_result(site):
    """A run's notes hold those of its plan: whoever reads the report did not see the plan."""
    made = site()
    result = made.tune(made.spec(warm_start=["preset:chat"]))
    assert any(
        note.startswith("warm_start preset:chat: max_output_tokens 2048") for note in result.plan.notes
    )
    assert set(result.plan.notes) <= set(result.record.notes)
