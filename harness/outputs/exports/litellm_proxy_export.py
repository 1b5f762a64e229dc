"""Settings as the configuration of a litellm proxy: one model name for each class that was studied."""

from __future__ import annotations

from harness.catalogue.models import VECTOR_SETTINGS
from harness.outputs.exports.frameworks import wire_name, without_address
from harness.outputs.exports.manifest import Export, Fate, address_fate, plain_fates
from harness.outputs.exports.selection import OLLAMA, Selection
from harness.outputs.exports.yaml_export import yaml_text
from harness.records import SENT_FIELDS, JsonValue, ModelClass, Settings

DESCRIPTION = "config.yaml of a litellm proxy, with a model name for each class"


def write(selection: Selection) -> Export:
    """One file, config.yaml: start it with `litellm --config config.yaml`.

    The names are recommended, small, medium, large and embedding, as far as there are settings for them.
    """
    entries: list[JsonValue] = _entries(selection, "recommended", selection.settings)
    fates = list(_fates(selection, selection.settings, selection.choice.trial.model_class))
    for model_class, settings in selection.by_class.items():
        entries += _entries(selection, model_class.lower(), settings)
        if settings != selection.settings:
            fates += _fates(selection, settings, model_class)
    config: dict[str, JsonValue] = {"model_list": entries, "litellm_settings": {"drop_params": False}}
    remark = "The proxy starts only with a key of its own in the environment, LITELLM_MASTER_KEY."
    return Export(files={"config.yaml": yaml_text(config)}, fates=tuple(fates), remarks=(remark,))


def _entries(selection: Selection, name: str, settings: Settings) -> list[JsonValue]:
    """The entry of this name, and of embeddings that differ by side one more, for documents."""
    embeds = _embeds(selection, settings)
    found: list[JsonValue] = [_entry(selection, name, settings.of_side("query"), embeds=embeds)]
    if settings.sided:
        found.append(_entry(selection, f"{name}-document", settings.of_side("document"), embeds=embeds))
    return found


def _entry(selection: Selection, name: str, settings: Settings, *, embeds: bool) -> dict[str, JsonValue]:
    facts = selection.catalogue.providers.get(settings.provider)
    address = selection.address(settings.provider) or (None if facts is None else facts.api_base)
    if facts is not None and facts.wire == "embedded" and address is None:
        raise without_address(selection, settings)
    key = selection.key_variable(settings.provider)
    parameters: dict[str, JsonValue] = {"model": _model(selection, settings, embeds=embeds)}
    parameters |= {
        wire_name(one, settings): value for one, value in settings.sent().items() if one in SENT_FIELDS
    }
    plain = _plain(selection, settings, embeds=embeds)
    custom = {name: value for name, value in settings.extra.items() if name not in plain}
    parameters |= {name: value for name, value in settings.extra.items() if name in plain}
    if custom:
        parameters["extra_body"] = custom
    if address is not None:
        parameters["api_base"] = address
    # An endpoint of one's own may want no key, but litellm sends none without a value.
    parameters["api_key"] = f"os.environ/{key}" if key is not None else "none"
    entry: dict[str, JsonValue] = {"model_name": name, "litellm_params": parameters}
    if embeds:
        entry["model_info"] = {"mode": "embedding"}
    return entry


def _model(selection: Selection, settings: Settings, *, embeds: bool) -> str:
    """The model as litellm calls it."""
    facts = selection.catalogue.providers.get(settings.provider)
    prefix = "openai" if facts is None else facts.litellm_prefix
    if prefix == OLLAMA and embeds:
        prefix = "ollama"  # litellm's name of the same server, asked for vectors
    return f"{prefix}/{settings.model_name}"


def _embeds(selection: Selection, settings: Settings) -> bool:
    return settings == selection.by_class.get("EMBEDDING") or (
        settings == selection.settings and selection.is_embedding
    )


def _plain(selection: Selection, settings: Settings, *, embeds: bool) -> tuple[str, ...]:
    """The custom parameters that litellm itself knows, and writes as the provider wants them."""
    if not embeds:
        return ()
    facts = selection.catalogue.providers.get(settings.provider)
    return VECTOR_SETTINGS if facts is not None and facts.wire == "litellm" else ("dimensions",)


def _fates(selection: Selection, settings: Settings, model_class: ModelClass | None) -> tuple[Fate, ...]:
    embeds = _embeds(selection, settings)
    plain = _plain(selection, settings, embeds=embeds)
    keys = {name: f"litellm_params.{wire_name(name, settings)}" for name in ("model", *SENT_FIELDS)}
    keys |= {
        name: f"litellm_params.{name}" if name in plain else f"litellm_params.extra_body.{name}"
        for name in settings.extra
    }
    address = selection.address(settings.provider)
    own = [address_fate(address, "litellm_params.api_base", model_class=model_class)] if address else []
    fates = plain_fates(
        settings, keys, model_class=model_class, model=_model(selection, settings, embeds=embeds)
    )
    return (*fates, *own)
