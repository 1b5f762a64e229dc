"""One sweep across all five providers of the seed: wire formats on loopback, and a model that runs here.

OpenAI and Together are spoken to in OpenAI's format by the direct lane; Anthropic and Google in their own
through litellm, and so is a server of Ollama: all of them one simulator, whose truth and bill are known. The
local model is a real one. The space is conditional: each model is searched over what it takes.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.models import Prices, load_catalogue
from harness.catalogue.weights import models_folder
from harness.outputs.report_parts import paid_by_class
from harness.plan.planner import make_plan
from harness.run import tune
from harness.testing.http_server import SimulatorServer
from harness.testing.simulator import SimulatedExperiment, simulated_experiment
from harness.testing.sources import PromptTable, WorldAnswers
from harness.testing.worlds import SimulatedModel, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.local_model,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
KEYS = {
    name: f"sk-simulated-{name.lower()}-0123456789"
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "TOGETHER_API_KEY")
}
LOCAL = "local/smollm2-135m-instruct"
OLLAMA = "ollama/llama3.2"
HOSTED = ("openai", "anthropic", "google", "together")
CLASSES = ("SMALL", "MEDIUM", "LARGE")
LABELS = ("billing", "delivery")
# Logits: what the simulated models of a class are able to, before what sets providers apart.
ABILITIES = {"SMALL": 0.9, "MEDIUM": 1.8, "LARGE": 2.6}
OFFSETS = {"openai": 0.2, "anthropic": 0.3, "google": 0.0, "together": -0.4}


def the_world(experiment: SimulatedExperiment) -> World:
    """Twelve hosted models at their list prices and a free one of Ollama, with known abilities."""
    catalogue = load_catalogue()
    models: dict[str, SimulatedModel] = {}
    for provider in HOSTED:
        for model_class in CLASSES:
            model = catalogue.of_class(provider, model_class)
            assert model.prices is not None
            ability = ABILITIES[model_class] + OFFSETS[provider]
            models[model.full_name] = SimulatedModel(ability=ability, prices=model.prices)
    models[OLLAMA] = SimulatedModel(ability=0.6, prices=Prices(input=0.0, output=0.0))
    prompts = {name: replace(prompt, by_model={}) for name, prompt in experiment.world.prompts.items()}
    return replace(experiment.world, models=models, prompts=prompts)


def the_spec(experiment: SimulatedExperiment, url: str) -> dict[str, Any]:
    """The experiment's spec, asking all five."""
    addresses = {"openai": "/v1", "anthropic": "", "google": "/v1beta", "together": "/v1", "ollama": ""}
    hosted = [f"{provider}/{model_class}" for provider in HOSTED for model_class in CLASSES]
    search = {
        "models": [*hosted, OLLAMA, LOCAL],
        "on_unsupported": "condition",
        "temperature": {"low": 0.0, "high": 1.0},
        "frequency_penalty": {"low": 0.0, "high": 1.0},
        "reasoning_effort": {"choices": ["low", "medium"]},
        "max_output_tokens": {"choices": [16, 64]},
        "n_trials": 32,
    }
    task: Any = experiment.spec["task"]
    return {
        **experiment.spec,
        "task": {**task, "prompt": {"plain": task["prompt"]["plain"]}},
        "search": search,
        "providers": {name: {"api_base": url + path} for name, path in addresses.items()},
        "aim": {"maximize": "quality", "policy": {"cheapest_within": 0.02}, "confirm": 0.4},
        "budget": {"usd": 5.0, "calls": 1500},
    }


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: Any) -> Any:
    """The sweep, once for all tests: its result, the simulator's last counts, and MLflow's runs."""
    folder: Path = tmp_path_factory.mktemp("five")
    experiment = simulated_experiment(folder / "experiment", n_samples=60, labels=LABELS, seed=5)
    experiment = replace(experiment, world=the_world(experiment))
    plan = make_plan(the_spec(experiment, "http://127.0.0.1:9"))
    answers = WorldAnswers(experiment.world, PromptTable.of(plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        with SimulatorServer(answers, keep=True) as server:
            result = tune(
                the_spec(experiment, server.url),
                store=f"sqlite:///{folder}/harness.db",
                reports=folder / "reports",
                environ={**KEYS, "HARNESS_MODELS": str(models_folder(os.environ).resolve())},
            )
            return result, server.stats(), {kept.path for kept in server.kept()}


def test_every_provider_is_asked_in_its_own_format(sweep):
    """Four formats on one port, and the local model beside them."""
    result, stats, paths = sweep
    trials = result.record.trials
    assert {trial.settings.provider for trial in trials} == {*HOSTED, "ollama", "local"}
    assert paths >= {"/v1/chat/completions", "/v1/messages", "/api/chat"}
    assert any(":generateContent" in path for path in paths)
    assert stats.answered.keys() == {200}
    assert all(trial.failure_rate == 0 for trial in trials)


def test_the_bill_is_the_simulator_s_own(sweep):
    """To the cent and far below it; the local model is free."""
    result, stats, _ = sweep
    assert result.spend.usd == pytest.approx(stats.bill_usd, rel=1e-9)
    assert stats.bill_usd > 0.01
    local = [trial for trial in result.record.trials if trial.settings.provider == "local"]
    free = [trial for trial in result.record.trials if trial.settings.provider in ("local", "ollama")]
    assert [trial.spent_usd for trial in free] == [0.0] * len(free)
    asked_here = result.spend.calls - stats.charged
    assert asked_here == sum(trial.samples for trial in local)


def test_the_bill_by_class_is_the_whole_bill(sweep):
    """Tokens and money of SMALL, MEDIUM and LARGE add up; what is free has tokens all the same."""
    result, _, _ = sweep
    parts, spend = paid_by_class(result.record), result.spend
    assert set(parts) == set(CLASSES)
    assert sum(part.usd for part in parts.values()) == pytest.approx(spend.usd, rel=1e-9)
    for figure in ("calls", "input_tokens", "output_tokens"):
        assert sum(getattr(part, figure) for part in parts.values()) == getattr(spend, figure)
    assert result.record.spend.by_model[OLLAMA].usd == 0
    assert result.record.spend.by_model[OLLAMA].input_tokens > 0


def test_each_model_is_searched_over_what_it_takes(sweep):
    """Nothing is sent to a model that does not take it, and nothing that it takes is left out."""
    result, _, _ = sweep
    accepted = {model.full_name: model.settings for model in load_catalogue().models}
    for trial in result.record.trials:
        sent = trial.settings.sent().keys()
        searched = {"temperature", "frequency_penalty", "reasoning_effort", "max_output_tokens"}
        assert sent == searched & accepted[trial.settings.model].keys(), trial.settings


def test_it_ends_with_a_recommendation_for_each_class(sweep):
    """And one for all; a class that sent no finalist says that its figures chose it."""
    result, _, _ = sweep
    assert result.record.state == "complete"
    assert set(result.by_class) == set(CLASSES)
    for model_class, champion in result.by_class.items():
        assert champion.trial.model_class == model_class
        assert (champion.trial.split == "confirm") == (champion.note == "")
    assert result.recommendation.trial.split == "confirm"
    assert result.recommendation.settings.provider in HOSTED


def test_it_is_an_mlflow_run(sweep):
    """One for the sweep, and one for each trial, with the settings that were sent."""
    from mlflow import MlflowClient

    result, _, _ = sweep
    client = MlflowClient(result.tracked.tracking_uri)
    run = client.get_run(result.tracked.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["best_model"] == result.recommendation.settings.model
    assert result.tracked.children == len(result.record.trials)
    assert not any(key in str(run.data) for key in KEYS.values())
