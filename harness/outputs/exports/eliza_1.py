"""Settings as a character of Eliza 1.x: settings keys of each class, and a plugin for each provider.

The core reads `settings[k] || ...`: a zero would become a default of 0.7, so it is written as the text "0".
The command line passes names of models from .env, but no sampling settings: those stand in the character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from harness.errors import UsageError
from harness.outputs.exports.eliza import (
    PENALTIES,
    character_file,
    character_text,
    environment_text,
    given_character,
    place,
    refusal,
    require_embedding,
    unsendable,
    unsent_with_texts,
    with_class,
)
from harness.outputs.exports.eliza_facts import (
    EMBEDDING_ADDRESS,
    EMBEDDING_KEY,
    INSIDE,
    KEYS,
    TEXT_CLASSES,
    Plugin,
    eliza_facts,
)
from harness.outputs.exports.eliza_into import left_behind, outranked, without_plugin
from harness.outputs.exports.frameworks import of_vendor
from harness.outputs.exports.json_splice import Path
from harness.outputs.exports.manifest import Export, Fate, address_fate, lost
from harness.outputs.exports.selection import Selection, replace_class
from harness.records import JsonValue, ModelClass, Settings

DESCRIPTION = "a character of Eliza 1.x (JSON and TypeScript) and its .env"
# The lengths that the core knows; any other ends a plugin's start with an error.
OPENAI_ADDRESS = "https://api.openai.com/v1"  # what the OpenAI plugin asks by itself
LENGTHS = (384, 512, 768, 1024, 1536, 3072)


@dataclass(slots=True)
class _Draft:
    """The export as it grows: changes to the character, variables, fates, remarks, and models of no run."""

    changes: dict[Path, JsonValue] = field(default_factory=dict[Path, JsonValue])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    fates: list[Fate] = field(default_factory=list[Fate])
    remarks: list[str] = field(default_factory=list[str])
    models: list[str] = field(default_factory=list[str])

    def name(self, key: str, value: str) -> None:
        """A model's name or an address: works in the character, and from .env too."""
        self.changes["settings", key] = value
        self.variables[key] = value


def write(selection: Selection) -> Export:
    """The files for Eliza 1.x."""
    require_embedding(selection, selection.settings.provider)
    plugin = _plugin(selection, selection.settings.provider)
    draft = _Draft()
    selection = _without_medium(selection, draft)
    placed = place(selection, TEXT_CLASSES)
    draft.fates += placed.fates
    instead = {fate.model_class for fate in placed.fates}
    for model_class, settings in placed.by_class.items():
        draft.name(plugin.names[model_class], settings.model_name)
        if model_class not in instead:
            draft.fates.append(_named(settings, plugin.names[model_class], model_class))
        _sampling(draft, selection, plugin, model_class, settings)
    _address(draft, selection, plugin)
    embedding = _embedding(draft, selection, plugin)
    plugins = [plugin] if embedding in (None, plugin) else [plugin, embedding]
    packages = [one.package for one in plugins]
    _into(draft, given_character(selection), plugins)
    if selection.choice.trial.model_class == "SMALL" and "LARGE" in selection.by_class:
        draft.remarks.append("Replies are written by LARGE; the recommended SMALL decides whether to reply.")
    fresh = _fresh(selection, packages)
    text = character_text(selection, fresh, draft.changes)
    files = {character_file(selection): text, ".env": environment_text(draft.variables)}
    if selection.character is None:
        files["tuned.character.ts"] = _typescript(text)
    return Export(
        files=files, fates=tuple(draft.fates), remarks=tuple(draft.remarks), models=tuple(draft.models)
    )


def _plugin(selection: Selection, provider: str) -> Plugin:
    plugins = eliza_facts().plugins
    if provider in plugins:
        return plugins[provider]
    if provider == "together":
        raise UsageError(
            "Eliza 1.x has no plugin for Together, and its OpenAI plugin asks /v1/responses, which Together "
            "does not serve; measure at openrouter (a provider with an api_base), or export eliza-0.25"
        )
    own = selection.address(provider)
    if own is not None and own == selection.openai_address(provider):
        return plugins["openai"]
    raise UsageError(
        f"Eliza 1.x has no plugin for {provider!r}, which is not asked at an address of your own in OpenAI's "
        f"format; expected one of {', '.join(sorted(plugins))}, or a provider with such an address"
    )


def _address(draft: _Draft, selection: Selection, plugin: Plugin) -> None:
    """Where the texts' provider is asked, when that is not where the plugin asks it by itself."""
    provider = selection.settings.provider
    address = selection.address(provider)
    if plugin.address is not None:
        draft.changes["settings", plugin.address] = None
    if address is None:
        return
    if plugin.address is None:
        why = f"{plugin.package} asks its provider at its own address, whatever is said"
        draft.fates.append(lost("address", address, why))
        return
    exported = _ended(of_vendor(provider, address).address or address, plugin.address_end)
    draft.name(plugin.address, exported)
    why = "" if exported == address else "as the plugin wants it: it adds the rest"
    draft.fates.append(address_fate(address, f"settings.{plugin.address}", exported=exported, reason=why))
    if plugin == eliza_facts().plugins["openai"]:
        draft.remarks.append(
            f"Eliza 1.x asks {exported.rstrip('/')}/responses, and measured was /chat/completions: the "
            "server has to know both."
        )
        if provider != "openai":
            draft.remarks.append(f"{provider} is asked as OpenAI: its key goes into OPENAI_API_KEY.")


def _ended(address: str, end: str) -> str:
    plain = address.rstrip("/") if end else address
    return plain if plain.endswith(end) else plain + end


def _without_medium(selection: Selection, draft: _Draft) -> Selection:
    """MEDIUM is LARGE in 1.x: it stands there when recommended, or where LARGE was not studied."""
    medium, large = selection.by_class.get("MEDIUM"), selection.by_class.get("LARGE")
    if medium is None:
        return selection
    recommended = medium == selection.settings
    if large is None or recommended:
        if large is not None:
            why = "MEDIUM is another name of LARGE in Eliza 1.x, and the recommended MEDIUM stands there"
            draft.fates.append(lost("model", large.model, why, model_class="LARGE"))
        draft.remarks.append("MEDIUM is another name of LARGE in Eliza 1.x: its settings stand under LARGE.")
        return replace_class(selection, "LARGE", medium)
    if medium != large:
        why = "MEDIUM is another name of LARGE in Eliza 1.x, and the settings of LARGE stand there"
        draft.fates.append(lost("model", medium.model, why, model_class="MEDIUM"))
    return selection


def _named(settings: Settings, key: str, model_class: ModelClass) -> Fate:
    return Fate(
        setting="model",
        requested=settings.model,
        exported=settings.model_name,
        key=f"settings.{key}",
        model_class=model_class,
    )


def _sampling(
    draft: _Draft, selection: Selection, plugin: Plugin, model_class: ModelClass, settings: Settings
) -> None:
    """The settings keys of one class. What the plugin does not send has none: it would only look as if."""
    values, dropped = settings.sent(), _dropped(plugin, settings)
    sends = [name for name in plugin.sends[model_class] if name not in dropped]
    fixed = plugin.fixed.get(model_class, {})
    for name, key in KEYS.items():
        path = ("settings", f"TEXT_{model_class}_{key}")
        draft.changes[path] = None
        if name in sends:
            fate = _sent(draft, path, name, values.get(name), plugin.fills[name])
            if fate.requested is None and (refused := refusal(selection, settings, name)):
                fate = replace(fate, reason=fate.reason + refused, changes=True)
            draft.fates += with_class([fate], model_class)
    draft.fates += with_class([_fixed(name, values.get(name), fixed[name]) for name in fixed], model_class)
    why = "the plugin's library leaves it out for this model"
    draft.fates += [
        lost(name, values[name], why, effect="not sent by provider", model_class=model_class)
        for name in dropped
        if name in values
    ]
    known = {*sends, *fixed, *dropped}
    draft.fates += unsendable(settings, known, plugin.unsent, KEYS, model_class=model_class)


def _dropped(plugin: Plugin, settings: Settings) -> list[str]:
    """What the plugin's library leaves out of requests to this model."""
    return [
        name
        for pattern, names in plugin.drops.items()
        if re.search(pattern, settings.model_name)
        for name in names
    ]


def _fixed(name: str, value: JsonValue, always: float) -> Fate:
    """The fate of a setting for which the plugin has one value, whatever the character says."""
    same = value == always
    return Fate(
        setting=name,
        requested=value,
        effect="effective" if same else "not expressible",
        reason=f"the plugin always sends {always:g} for this class",
        changes=not same,
    )


def _sent(draft: _Draft, path: Path, name: str, value: JsonValue, default: float) -> Fate:
    """One setting that the plugin sends on, and its fate. default: what it sends without a key."""
    exported, why = value, ""
    if value is None and name not in PENALTIES:
        why = f"not sent when it was measured, but the plugin then sends its own {default:g}"
        return Fate(setting=name, requested=None, effect="not expressible", reason=why, changes=True)
    if value is None:
        exported, why = "0", f"not sent when it was measured; left out, the plugin would send {default:g}"
    elif value == 0:
        exported, why = "0", f"Eliza takes the number 0 for nothing and would send {default:g}"
    draft.changes[path] = exported
    return Fate(setting=name, requested=value, exported=exported, reason=why, key=".".join(path))


def _embedding(draft: _Draft, selection: Selection, text_plugin: Plugin) -> Plugin | None:
    """The embedding's settings, else the text provider's own; gives the plugin where a model was chosen."""
    settings = selection.by_class.get("EMBEDDING")
    inside = settings is not None and selection.ran_inside(settings.provider)
    if settings is None or inside:
        if settings is not None:
            draft.fates.append(lost("model", settings.model, INSIDE, model_class="EMBEDDING"))
        _own_embedding(draft, selection, text_plugin)
        return None
    plugin = _plugin(selection, settings.provider)
    key = plugin.names.get("EMBEDDING")
    if key is None:
        raise UsageError(f"{plugin.package} has no embeddings; choose an embedding model of another provider")
    if plugin != text_plugin and "EMBEDDING" in text_plugin.names:
        why = f"{text_plugin.package} answers embeddings too, and the first plugin is the one that is asked"
        draft.fates.append(lost("model", settings.model, why, model_class="EMBEDDING"))
        _own_embedding(draft, selection, text_plugin)
        return None
    _embedding_address(draft, selection, settings.provider, plugin)
    draft.name(key, settings.model_name)
    draft.fates.append(_named(settings, key, "EMBEDDING"))
    model = selection.known(settings)
    native = None if model is None else model.dimensions
    wanted = settings.extra.get("dimensions")
    if wanted is not None and wanted != native:
        why = f"{plugin.package} asks for no other length than the model's own"
        draft.fates.append(lost("dimensions", wanted, why, model_class="EMBEDDING"))
    draft.fates += unsent_with_texts(settings)
    _length(draft, plugin, native, settings.model)
    if wanted is not None and wanted == native and all(fate.setting != "dimensions" for fate in draft.fates):
        why = "the model's own length, which it gives unasked"
        fate = Fate(setting="dimensions", requested=wanted, reason=why, model_class="EMBEDDING")
        draft.fates.append(fate)
    return plugin


def _embedding_address(draft: _Draft, selection: Selection, provider: str, plugin: Plugin) -> None:
    """Where embeddings are asked for, when that is not where the plugin asks for texts."""
    text_provider = selection.settings.provider
    same = _plugin(selection, text_provider) == plugin
    here, there = selection.address(provider), selection.address(text_provider) if same else None
    key = plugin.address
    if key is not None and not same:
        draft.changes["settings", key] = None
    if plugin == eliza_facts().plugins["openai"]:
        _embedding_key(draft, selection, provider, same=same)
        draft.changes["settings", EMBEDDING_ADDRESS] = None
        key, here, there = EMBEDDING_ADDRESS, here or OPENAI_ADDRESS, there or OPENAI_ADDRESS
    if here is None or here == there:
        return
    if key is None:
        why = f"{plugin.package} asks its provider at its own address, whatever is said"
        draft.fates.append(lost("address", here, why, model_class="EMBEDDING"))
        return
    draft.name(key, here)
    draft.fates.append(address_fate(here, f"settings.{key}", model_class="EMBEDDING"))


def _embedding_key(draft: _Draft, selection: Selection, provider: str, *, same: bool) -> None:
    """Say where the key goes: the plugin sends that of the texts where embeddings have none of their own."""
    texts = selection.settings.provider
    own = selection.key_variable(provider)
    if same and own != selection.key_variable(texts):
        put = f"put the value of {own}" if own else "it wants no key: put any word"
        draft.remarks.append(
            f"{provider} is asked for embeddings, and would be sent the key of {texts} (OPENAI_API_KEY); "
            f"{put} into {EMBEDDING_KEY}."
        )
    elif not same and provider != "openai":
        draft.remarks.append(f"{provider} is asked as OpenAI: its key goes into OPENAI_API_KEY.")


def _own_embedding(draft: _Draft, selection: Selection, plugin: Plugin) -> None:
    """Name the catalogue's embedding model: the plugins' defaults are partly retired."""
    provider, key = selection.settings.provider, plugin.names.get("EMBEDDING")
    model = next(
        (
            model
            for model in selection.catalogue.models
            if (model.provider, model.model_class) == (provider, "EMBEDDING") and model.default_of_class
        ),
        None,
    )
    if model is None or key is None:
        draft.remarks.append(f"No embedding model was chosen: {plugin.package} takes its own default.")
        return
    if plugin == eliza_facts().plugins["openai"]:
        draft.changes["settings", EMBEDDING_ADDRESS] = None
    draft.name(key, model.name)
    draft.models.append(model.full_name)
    why = "no embedding model was studied: the catalogue's, so that none is taken that is retired"
    draft.fates.append(
        Fate(
            setting="model",
            requested=None,
            exported=model.name,
            reason=why,
            key=f"settings.{key}",
            model_class="EMBEDDING",
        )
    )
    _length(draft, plugin, model.dimensions, model.full_name)


def _length(draft: _Draft, plugin: Plugin, length: int | None, model: str) -> None:
    """Tell the plugin how long a vector is: with a wrong length it gives every text the same vector."""
    if plugin.dimensions_key is None:
        return
    if length is None:
        draft.remarks.append(
            f"How long a vector of {model} is, is not known here: unless it is {plugin.dimensions}, set "
            f"{plugin.dimensions_key} to it."
        )
        return
    if length not in LENGTHS:
        raise UsageError(
            f"{model} gives vectors of {length} numbers, and Eliza 1.x takes {', '.join(map(str, LENGTHS))}; "
            "choose another embedding model"
        )
    path = ("settings", plugin.dimensions_key)
    draft.changes[path] = None if length == plugin.dimensions else str(length)
    if length != plugin.dimensions:
        draft.fates.append(
            Fate(
                setting="dimensions",
                requested=length,
                exported=str(length),
                key=".".join(path),
                model_class="EMBEDDING",
            )
        )


def _into(draft: _Draft, given: Mapping[str, JsonValue], plugins: Sequence[Plugin]) -> None:
    """What of the given character would otherwise be sent in the place of what was measured."""
    draft.changes |= left_behind(draft.changes, plugins)
    if not given:
        return
    said = outranked(given, draft.changes, draft.fates)
    missing = without_plugin(given, [plugin.package for plugin in plugins])
    keys = [fate.key for fate, old in zip_longest(said, draft.fates) if fate != old]
    draft.fates = [*said, *missing]
    if keys:
        draft.remarks.append(
            f"The character's {', '.join(dict.fromkeys(keys))} outrank settings; take them out there."
        )
    draft.remarks += [
        f"{fate.requested} is not among the character's plugins; add it, or all this does nothing."
        for fate in missing
    ]


def _fresh(selection: Selection, plugins: Sequence[str]) -> dict[str, JsonValue]:
    choice = selection.choice
    return {
        "name": "Tuned",
        "bio": [f"Runs the settings that harness recommends for {choice.experiment} (run {choice.run})."],
        "plugins": list(plugins),
        "settings": {},
    }


def _typescript(character: str) -> str:
    body = character.rstrip("\n")
    head = 'import type { Character } from "@elizaos/core";\n\n'
    return f"{head}export const character: Character = {body};\n\nexport default character;\n"
