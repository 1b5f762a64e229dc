"""Settings as the model configuration of a prompt in MLflow's registry, and a script that registers it."""

from __future__ import annotations

import json

from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

DESCRIPTION = "PromptModelConfig of a prompt in MLflow's registry, and a script that registers both"
KEYS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop_sequences",
}

SCRIPT = '''"""Register the prompt with its model and settings: python mlflow_register.py [NAME]

Needs `mlflow` and, for a server, MLFLOW_TRACKING_URI. A prompt of that name gets a new version.
"""

import json
import sys
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import PromptModelConfig

EXPORTED = json.loads(Path(__file__).with_name("mlflow.json").read_text(encoding="utf-8"))


def register(name):
    """The new version of the prompt; of several tasks, of the prompt NAME-TASK of each."""
    config = PromptModelConfig(**EXPORTED["model_config"])
    of_tasks = {f"{name}-{task}": text for task, text in EXPORTED.get("task_templates", {}).items()}
    return [
        mlflow.genai.register_prompt(name=one, template=text, model_config=config)
        for one, text in (of_tasks or {name: EXPORTED["template"]}).items()
    ]


if __name__ == "__main__":
    for made in register(sys.argv[1] if len(sys.argv) > 1 else EXPORTED["name"]):
        print(f"{made.name} version {made.version}")
'''


def write(selection: Selection) -> Export:
    """Two files: mlflow.json with template and configuration, mlflow_register.py which registers them."""
    settings = selection.settings
    content: dict[str, JsonValue] = {
        "name": selection.choice.experiment,
        "template": selection.prompt_text or "",
        "model_config": model_config(settings),
    }
    if selection.task_templates:
        content["task_templates"] = dict[str, JsonValue](selection.task_templates)
    keys = {"model": "model_config.model_name"} | {name: f"model_config.{key}" for name, key in KEYS.items()}
    keys |= {name: f"model_config.extra_params.{name}" for name in settings.sent() if name not in KEYS}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return Export(
        files={"mlflow.json": text + "\n", "mlflow_register.py": SCRIPT}, fates=plain_fates(settings, keys)
    )


def model_config(settings: Settings) -> dict[str, JsonValue]:
    """The arguments of `PromptModelConfig`; what it has no field for stands under extra_params."""
    sent = settings.sent()
    config: dict[str, JsonValue] = {"provider": settings.provider, "model_name": settings.model_name}
    config |= {KEYS[name]: value for name, value in sent.items() if name in KEYS}
    extra: dict[str, JsonValue] = {name: value for name, value in sent.items() if name not in KEYS}
    if extra:
        config["extra_params"] = extra
    return config
