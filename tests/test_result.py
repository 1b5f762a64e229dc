"""Result: what a notebook or application asks of a sweep."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import InconclusiveError, UsageError
from harness.past import load_run
from harness.plan.policy import Policy
from harness.rebuilding import rebuild_report
from harness.result import TuneResult, goal_of
from harness.run import tune
from harness.testing.simulator import Simulator, simulated_experiment


@dataclass(frozen=True)
class Sweep:
    """A finished sweep, where it lies, and the provider that answered it."""

    result: TuneResult
    folder: Path
    provider: Simulator

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/store.db"

    def load(self, run: str = "latest") -> TuneResult:
        return load_run(run, store=self.store, reports=self.folder / "reports")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """One sweep for all; look, but do not change it."""
    folder = tmp_path_factory.mktemp("result")
    experiment = simulated_experiment(folder / "experiment", n_samples=150, search={"n_trials": 10})
    provider = experiment.simulator()
    result = tune(
        experiment.spec,
        store=f"sqlite:///{folder}/store.db",
        reports=folder / "reports",
        providers={"sim": provider},
        mlflow=False,
        environ={},
    )
    return Sweep(result, folder, provider)


@pytest.fixture
def result(sweep: Sweep) -> TuneResult:
    """The result of the sweep."""
    return sweep.result


def test_best_params_are_the_settings_that_are_sent(result):
    """Model and prompt, and what goes out with a request; nothing that is not set."""
    settings = result.recommendation.settings
    assert result.best_params == {
        "model": settings.model,
        "prompt": settings.prompt,
        "temperature": settings.temperature,
        "max_output_tokens": settings.max_output_tokens,
        "frequency_penalty": settings.frequency_penalty,
    }


def test_best_trial_is_measured_on_the_confirm_split(result):
    """The figure that one would quote does not flatter."""
    assert result.best_trial.split == "confirm"
    assert result.best_trial == result.recommendation.trial
    assert result.ties == result.recommendation.ties
    assert result.spend == result.record.spend
    assert result.run_id == result.record.run


def test_the_data_frame_has_a_line_for_each_trial_and_split(result):
    """Named as in Optuna's own data frame."""
    frame = result.trials_dataframe()
    assert len(frame) == len(result.record.trials) + len(result.record.finalists)
    assert {"number", "value", "state", "params_temperature", "params_model"} <= set(frame.columns)
    searched = frame[frame["split"] == "search"]
    assert searched["number"].tolist() == list(range(len(result.record.trials)))


def test_no_policy_means_that_of_the_spec(result):
    """Asking again gives the recommendation of the run."""
    assert result.recommend() == result.recommendation == result.recommend("best")


def test_another_policy_chooses_from_the_same_evidence(result):
    """With half of the quality to give away the cheapest is shown to be near enough, here the default."""
    chosen = result.recommend({"cheapest_within": 0.5})
    assert chosen.search_trial.usd_per_1k_calls == min(f.search.usd_per_1k_calls for f in result.finalists)
    assert "shown on the confirm split to give up less than 50.0 points" in chosen.reason
    assert chosen.policy == "cheapest_within: 0.5"
    assert result.recommendation.policy == "best"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("cheapest", "policy: found 'cheapest', expected"),
        ({"slowest_within": 0.1}, "policy.slowest_within: is not a known key; did you mean"),
        ({}, "policy: found none of them, expected exactly one of"),
        ({"cheapest_within": 0.1, "best": 0.0}, "policy.best: is not a known key"),
        ({"cheapest_within": -0.1}, "found -0.1, expected at least 0"),
        ({"cheapest_within": 1.0}, "found 1.0, expected less than 1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(result, policy, message):
    """The message shows one that would."""
    with pytest.raises(UsageError) as caught:
        result.recommend(policy)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "policy",
    ["best", "knee", {"fastest_within": 0.1}, {"floor": 0.1}, {"weights": {"quality": 1, "latency": 2}}],
)
def test_every_policy_can_be_asked_for_afterwards(result, policy):
    """On the same evidence, and with a reason of its own."""
    chosen = result.recommend(policy)
    assert chosen.trial.number in {finalist.number for finalist in result.finalists}
    assert f"Trial {chosen.trial.number} " in chosen.reason
    assert chosen.policy.partition(":")[0] == (policy if isinstance(policy, str) else next(iter(policy)))


def test_a_goal_carries_what_the_spec_aims_at(result):
    """Limits, confidence and seed are the plan's, whatever the policy."""
    goal = goal_of(result.plan, {"cheapest_within": 0.05})
    assert goal.policy == Policy(name="cheapest_within", amount=0.05)
    assert (goal.level, goal.seed) == (result.plan.aim.confidence, result.plan.seed)
    assert (goal.limits, goal.repeats) == (result.plan.aim.limits, result.plan.task.repeats)
    assert goal_of(result.plan).policy == result.plan.aim.policy


def test_the_front_and_the_champions_are_those_of_the_recommendation(result):
    """Each is a trial with its evidence; the choice is the champion of its own class."""
    assert result.pareto == result.recommendation.pareto
    best = result.by_class[result.best_trial.model_class]
    assert (best.trial, best.versus) == (result.best_trial, None)
    assert set(result.by_class) == {trial.model_class for trial in result.record.trials}


def test_a_result_without_a_recommendation_says_why(result):
    """The notes of the run are the reason."""
    record = replace(result.record, recommendation=None, notes=("the budget was too small",))
    bare = replace(result, record=record)
    for ask in (lambda: bare.best_params, lambda: bare.best_trial, bare.recommend):
        with pytest.raises(InconclusiveError, match="recommends nothing: the budget was too small"):
            ask()


def test_the_recommendation_is_exported(result, tmp_path):
    """Where it is asked for, with the settings in it; what somebody changed is kept unless forced."""
    files = result.export("json", tmp_path / "out")
    assert files
    assert all(path.is_relative_to(tmp_path / "out") for path in files)
    assert result.recommendation.settings.model_name in files[0].read_text(encoding="utf-8")
    assert result.export("json", tmp_path / "out") == files
    files[0].write_text("mine")
    with pytest.raises(UsageError, match="not as an export of json left it"):
        result.export("json", tmp_path / "out")
    assert result.export("json", tmp_path / "out", force=True) == files


def test_an_export_holds_the_template_of_the_recommended_prompt(result, tmp_path):
    """An application needs the words, not their name in the spec."""
    path, _ = result.export("json", tmp_path / "out")
    prompt = json.loads(path.read_text(encoding="utf-8"))["prompt"]
    assert prompt["variant"] == result.recommendation.settings.prompt
    assert prompt["template"] == result.plan.task.prompts[prompt["variant"]].source


def test_an_unknown_target_is_refused(result, tmp_path):
    """Nothing is written for it."""
    with pytest.raises(UsageError, match="fax"):
        result.export("fax", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_card_is_small_and_well_formed(result):
    """A notebook keeps it for ever: under 100 kB, without scripts."""
    page = result._repr_html_()
    assert len(page.encode("utf-8")) < 100_000
    assert "<script" not in page
    assert result.recommendation.settings.model in page
    HTMLParser().feed(page)


def test_the_text_names_run_and_choice(result):
    """Where no HTML can be shown."""
    text = repr(result)
    assert result.run_id in text
    assert result.recommendation.settings.model in text


def test_recommendation_json_is_the_recommendation(result):
    """What applications read from the report is what the result holds."""
    read = json.loads((result.folder / "recommendation.json").read_text(encoding="utf-8"))
    assert read["settings"]["model"] == result.recommendation.settings.model
    assert read["trial"]["quality"]["value"] == result.best_trial.quality.value


# -- loaded again


@pytest.mark.parametrize("policy", [None, "best", {"cheapest_within": 0.03}, {"cheapest_within": 0.4}])
def test_a_loaded_run_decides_as_the_original(sweep, policy):
    """Record, plan and the choice under every policy are the same, and nothing is sent for it."""
    before = sweep.provider.requests
    loaded = sweep.load(sweep.result.run_id)
    assert loaded.record == sweep.result.record
    assert loaded.plan.fingerprint() == sweep.result.plan.fingerprint()
    assert loaded.recommend(policy) == sweep.result.recommend(policy)
    assert sweep.provider.requests == before


def test_an_unknown_run_names_those_there_are(sweep):
    """A typo is mended by reading the message."""
    with pytest.raises(
        UsageError, match=rf"no run 'nope' in this store; the newest are: {sweep.result.run_id}"
    ):
        sweep.load("nope")


def test_a_report_is_built_anew_from_the_store(sweep, tmp_path):
    """The same words and tables, in another folder, without a request."""
    original, before = sweep.result, sweep.provider.requests
    again = rebuild_report(original.run_id, store=sweep.store, reports=tmp_path)
    assert sweep.provider.requests == before
    assert again.folder == tmp_path / original.run_id
    assert [path.name for path in again.files] == [path.name for path in original.files]
    for one, other in zip(original.files, again.files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
