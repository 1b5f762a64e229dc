"""The export for MLflow: its own registry takes prompt and configuration, and gives them back."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness.records import Settings

SETTINGS = Settings(
    model="openai/gpt-4.1-mini",
    prompt="plain",
    temperature=0.0,
    top_p=0.9,
    max_output_tokens=64,
    frequency_penalty=0.25,
    presence_penalty=0.0,
    stop=("END",),
    seed=7,
    extra={"custom_param": {"depth": 2}},
)
READ = """\
import json, sys
import mlflow
prompt = mlflow.genai.load_prompt("prompts:/ticket-triage/1")
print(json.dumps([prompt.template, prompt.model_config]))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_registry_gives_back_what_was_exported(write, study, tmp_path):
    """The script registers a version; what is loaded again has each value, zeros included."""
    written = write("mlflow", study(LARGE=SETTINGS), prompt_text="Label {{ text }}")
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/registry.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    said = [
        subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
        )
        for command in ([sys.executable, written.paths[1]], [sys.executable, "-c", READ])
    ]
    assert [done.returncode for done in said] == [0, 0], said[0].stderr[-1500:] + said[1].stderr[-1500:]
    assert "ticket-triage version 1" in said[0].stdout
    template, config = json.loads(said[1].stdout.splitlines()[-1])
    assert template == "Label {{ text }}"
    assert config == {
        "provider": "openai",
        "model_name": "gpt-4.1-mini",
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 64,
        "frequency_penalty": 0.25,
        "presence_penalty": 0.0,
        "stop_sequences": ["END"],
        # MLflow keeps extra_params beside the others.
        "seed": 7,
        "custom_param": {"depth": 2},
    }
    assert all(fate.effect == "effective" for fate in written.export.fates)
