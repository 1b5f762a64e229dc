"""LLaMA Local behind an address: llama.cpp's server, Ollama, vLLM, LM Studio, and any server of one's own.

Each is asked in a run of its own, at an address of the spec, without a key and for nothing. The server is the
simulator, which speaks the format that each of them does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.run import tune
from harness.testing.http_server import SimulatorServer
from harness.testing.simulator import simulated_experiment
from harness.testing.sources import FixedAnswers

pytestmark = [
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
OWN: dict[str, Any] = {"class": "SMALL"}
# By server: the model of the spec, the path of its address, what else is said of it, and where it is asked.
SERVERS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "llama.cpp": ("local/hermes-3-llama-3.2-3b", "/v1", {}, "/v1/chat/completions"),
    "Ollama": ("ollama/llama3.2", "", {}, "/api/chat"),
    "Ollama, a model of one's own": (
        "ollama/my-own:7b",
        "",
        {"models": {"my-own:7b": OWN}},
        "/api/chat",
    ),
    "Ollama, in OpenAI's format": (
        "mine/llama3.2",
        "/v1",
        {"free": True, "models": {"llama3.2": OWN}},
        "/v1/chat/completions",
    ),
    "vLLM": ("vllm/my-own-8b", "/v1", {"models": {"my-own-8b": OWN}}, "/v1/chat/completions"),
    "LM Studio": ("lmstudio/hermes-3-llama-3.1-8b", "/v1", {}, "/v1/chat/completions"),
    "any other": ("mine/tiny", "/v1", {"free": True, "models": {"tiny": OWN}}, "/v1/chat/completions"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_local_server_is_searched_for_nothing(server: str, tmp_path: Path) -> None:
    """No key, no price, no other address: the settings go where the spec says."""
    model, path, more, asked_at = SERVERS[server]
    provider, _, name = model.partition("/")
    experiment = simulated_experiment(
        tmp_path / "experiment",
        n_samples=16,
        search={"models": [model], "frequency_penalty": None, "n_trials": 3},
    )
    del experiment.spec["search"]["frequency_penalty"]  # Ollama's own format has none
    with SimulatorServer(FixedAnswers("yes"), keep=True) as served:
        spec = {**experiment.spec, "providers": {provider: {"api_base": served.url + path, **more}}}
        given = {"store": f"sqlite:///{tmp_path}/store.db", "reports": tmp_path / "reports", "environ": {}}
        result = tune(spec, mlflow=False, **given)
        stats, kept = served.stats(), served.kept()
    assert result.record.state == "complete"
    assert (result.spend.usd, result.spend.failed) == (0.0, 0)
    assert {one.path for one in kept} - {"/api/show"} == {asked_at}
    assert set(stats.requests_by_model) == {name}
