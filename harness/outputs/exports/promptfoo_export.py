"""Settings as providers of promptfoo, one for each model class that was studied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.outputs.exports.frameworks import (
    ADAPTIVE,
    Named,
    google_thinking,
    named,
    put,
    samples,
    unasked,
    wire_name,
    with_effort,
)
from harness.outputs.exports.manifest import Export, Fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.outputs.exports.yaml_export import yaml_text
from harness.records import SENT_FIELDS, JsonValue, ModelClass, Settings

DESCRIPTION = "provider entries of promptfoo (providers: [file://promptfoo.yaml])"
PROVIDERS = {"openai": "openai:chat", "anthropic": "anthropic:messages", "google": "google"}
KEYS: Mapping[str, Mapping[str, str]] = {
    # Past its own settings, of which it drops and renames some by the name of the model.
    "openai:chat": {name: f"passthrough.{name}" for name in SENT_FIELDS},
    "anthropic:messages": {
        # Its own temperature falls away beside a top_p or an effort.
        "temperature": "extra_body.temperature",
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
# Parts of names from which promptfoo 0.121.20 takes it that max_tokens is refused, wherever the model runs.
LIMITLESS = ("/o1", "/o3", "/o4", "/gpt-5")
UNSET_LIMIT, UNSET_TEMPERATURE = 1024, 0  # what it sends to Anthropic where nothing was set


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
    places, effort = _places(settings, where), _effort(settings, where)
    config: dict[str, JsonValue] = {"omitDefaults": True} if where.provider == "openai:chat" else {}
    for name, value in settings.sent().items():
        if name in places:
            put(config, places[name], value)
    for key, value in effort.items():
        put(config, key, value)
    config |= _reached(where)
    name = f"{where.provider}:{where.model}"
    keys = {"model": "id"} | {setting: f"config.{key}" for setting, key in places.items()}
    reason = f"promptfoo's provider {where.provider} has no such setting"
    if "max_output_tokens" not in places:
        reason = "promptfoo takes max_tokens out for a model of this name"
    fates = plain_fates(settings, keys, reason, model_class=model_class, model=name)
    fates = (
        *with_effort(fates, effort, where.provider, within="config."),
        *(_unasked(selection, settings, model_class) if where.provider == "anthropic:messages" else ()),
        *where.fates("config.apiBaseUrl", model_class=model_class),
    )
    label = f"{selection.choice.experiment} {model_class or ''}".strip()
    return {"id": name, "label": label, "config": config}, fates


def _places(settings: Settings, where: Named) -> dict[str, str]:
    """Where each setting stands in the config of its provider."""
    places = dict(KEYS[where.provider])
    if where.provider == "google":
        return places
    if where.provider == "anthropic:messages":
        return places | {name: f"extra_body.{name}" for name in settings.extra}
    limit = wire_name("max_output_tokens", settings)
    places["max_output_tokens"] = f"passthrough.{limit}"
    if limit == "max_tokens" and any(part in f"/{where.model}" for part in LIMITLESS):
        del places["max_output_tokens"]
    return places | {name: f"passthrough.{name}" for name in settings.extra}


def _effort(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """What in the config says the effort, where the name of it alone does not."""
    effort = settings.reasoning_effort
    if where.provider == "anthropic:messages" and effort not in (None, "none"):
        return {"thinking": dict(ADAPTIVE), "effort": effort}
    found = google_thinking(where.model, effort) if where.provider == "google" else {}
    return (
        {"generationConfig.thinkingConfig": {camel(name): value for name, value in found.items()}}
        if found
        else {}
    )


def _reached(where: Named) -> dict[str, JsonValue]:
    """Address and key of a provider, where they are not those that promptfoo knows."""
    found: dict[str, JsonValue] = {} if where.address is None else {"apiBaseUrl": where.address}
    if where.reach.version is not None:
        found["apiVersion"] = where.reach.version
    if where.key is not None:
        found["apiKeyEnvar"] = where.key
    elif where.foreign:
        found["apiKey"] = "none"  # left out, the key of OpenAI would be sent there
    return found


def _unasked(selection: Selection, settings: Settings, model_class: ModelClass | None) -> Iterator[Fate]:
    """What promptfoo sends to Anthropic though nothing of it was measured."""
    known = selection.known(settings)
    thinks = settings.reasoning_effort not in (None, "none")
    if settings.max_output_tokens is None:
        yield _sent("max_output_tokens", UNSET_LIMIT, model_class)
    if samples(settings) or thinks or (known is not None and "temperature" not in known.settings):
        return
    yield _sent("temperature", UNSET_TEMPERATURE, model_class)


def _sent(setting: str, value: int, model_class: ModelClass | None) -> Fate:
    return unasked(setting, "promptfoo", str(value), exported=value, model_class=model_class)


def camel(name: str) -> str:
    """A name with underscores as Google's JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
