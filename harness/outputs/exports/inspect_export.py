"""Settings as a generate config of Inspect AI, and the model in a .env that Inspect reads by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.outputs.exports.frameworks import named
from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.outputs.exports.yaml_export import yaml_text
from harness.records import JsonValue, Settings

DESCRIPTION = "generate config of Inspect AI (inspect eval TASK --generate-config inspect.yaml), and its .env"
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "google", "together": "together"}
KEYS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop_seqs",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
}
# What Inspect 0.3.285 accepts for every provider, and leaves out of the requests of these.
UNSENT: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"),
    "google": ("seed",),
}


def write(selection: Selection) -> Export:
    """Two files: inspect.yaml with the generate config, .env with the model and its address."""
    settings = selection.settings
    where = named(selection, settings, PROVIDERS, f"openai-api/{settings.provider}")
    variables = [f"INSPECT_EVAL_MODEL={where.provider}/{where.model}"]
    if where.address is not None:
        variables.append(f"INSPECT_EVAL_MODEL_BASE_URL={where.address}")
    if where.reach.version is not None:
        variables.append(f"GOOGLE_GENAI_API_VERSION={where.reach.version}")
    unsent = UNSENT.get(where.provider, ())
    keys = {"model": ".env INSPECT_EVAL_MODEL"} | {
        name: key for name, key in KEYS.items() if name not in unsent
    }
    if where.provider not in UNSENT:
        keys |= {name: f"extra_body.{name}" for name in settings.extra}
    reason = f"Inspect reads it, and sends none to {where.provider}"
    fates = tuple(
        replace(fate, effect="not sent by provider") if fate.effect == "not expressible" else fate
        for fate in plain_fates(settings, keys, reason)
    )
    fates = (*fates, *where.fates(".env INSPECT_EVAL_MODEL_BASE_URL"))
    files = {"inspect.yaml": yaml_text(generate_config(settings)), ".env": "\n".join(variables) + "\n"}
    return Export(files=files, fates=fates)


def generate_config(settings: Settings) -> dict[str, JsonValue]:
    """The fields of Inspect's GenerateConfig."""
    sent = settings.sent()
    config: dict[str, JsonValue] = {
        KEYS[name]: value for name, value in sent.items() if name in KEYS and name not in settings.extra
    }
    if settings.extra:
        config["extra_body"] = dict(settings.extra)
    return config
