"""Settings as providers of promptfoo, one for each model class that was studied."""

from __future__ import annotations

from collections.abc import Mapping

from harness.outputs.exports.frameworks import named
from harness.outputs.exports.manifest import Export, Fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.outputs.exports.yaml_export import yaml_text
from harness.records import JsonValue, ModelClass, Settings

DESCRIPTION = "provider entries of promptfoo (providers: [file://promptfoo.yaml])"
PROVIDERS = {"openai": "openai:chat", "anthropic": "anthropic:messages", "google": "google"}
OPENAI = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop",
    "seed": "passthrough.seed",
    "reasoning_effort": "reasoning_effort",
}
KEYS: Mapping[str, Mapping[str, str]] = {
    "openai:chat": OPENAI,
    "anthropic:messages": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_output_tokens": "max_tokens",
        "stop": "stop_sequences",
    },
    "google": {
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "max_output_tokens": "generationConfig.maxOutputTokens",
        "stop": "generationConfig.stopSequences",
        "seed": "generationConfig.seed",
    },
}


def write(selection: Selection) -> Export:
    """One file, promptfoo.yaml: a list of providers, the recommended one first."""
    choice = selection.choice.trial.model_class
    ordered: dict[ModelClass | None, Settings] = {choice: selection.settings}
    ordered |= {name: one for name, one in selection.by_class.items() if name not in (choice, "EMBEDDING")}
    entries: list[JsonValue] = []
    fates: list[Fate] = []
    for model_class, settings in ordered.items():
        entry, own = _entry(selection, settings, model_class)
        entries.append(entry)
        fates += own
    return Export(files={"promptfoo.yaml": yaml_text(entries)}, fates=tuple(fates))


def _entry(
    selection: Selection, settings: Settings, model_class: ModelClass | None
) -> tuple[dict[str, JsonValue], tuple[Fate, ...]]:
    where = named(selection, settings, PROVIDERS, "openai:chat")
    known = KEYS[where.provider]
    config: dict[str, JsonValue] = {}
    for name, value in settings.sent().items():
        if name in known and name not in settings.extra:
            _put(config, known[name], value)
    openai = where.provider == "openai:chat"
    for name, value in settings.extra.items() if openai else ():
        _put(config, f"passthrough.{name}", value)
    if where.address is not None:
        config["apiBaseUrl"] = where.address
    if where.reach.version is not None:
        config["apiVersion"] = where.reach.version
    if where.key is not None:
        config["apiKeyEnvar"] = where.key
    elif where.foreign:
        config["apiKey"] = "none"  # left out, the key of OpenAI would be sent there
    keys = {"model": "id"} | {name: f"config.{key}" for name, key in known.items()}
    keys |= {name: f"config.passthrough.{name}" for name in settings.extra} if openai else {}
    reason = f"promptfoo's provider {where.provider} has no such setting"
    fates = (
        *plain_fates(settings, keys, reason, model_class=model_class),
        *where.fates("config.apiBaseUrl", model_class=model_class),
    )
    label = f"{selection.choice.experiment} {model_class or ''}".strip()
    return {"id": f"{where.provider}:{where.model}", "label": label, "config": config}, fates


def _put(config: dict[str, JsonValue], key: str, value: JsonValue) -> None:
    outer, _, inner = key.partition(".")
    if not inner:
        config[outer] = value
        return
    nested = config.setdefault(outer, {})
    assert isinstance(nested, dict), "keys of one name are all nested, or none is"
    nested[inner] = value
