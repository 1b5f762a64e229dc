"""Settings as a character of Eliza 0.x: one modelConfig for all classes, names of models in the environment.

The core reads `modelConfig.x || default`: a zero would become a default of 0.4 to 0.7, so it is written as a
tiny number, or left out where the default is 0. 0.1.x and 0.25.x differ in the name of the output limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.errors import UsageError
from harness.outputs.exports.eliza import (
    PENALTIES,
    SAMPLING,
    Placed,
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
from harness.outputs.exports.eliza_facts import Switch, Table, eliza_facts
from harness.outputs.exports.eliza_into import nested_secrets, overruled
from harness.outputs.exports.json_splice import Path
from harness.outputs.exports.manifest import Export, Fate, address_fate, lost
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, ModelClass, Settings

DESCRIPTIONS = {
    "0.1": "a character of Eliza 0.1.8 and 0.1.9 (JSON and TypeScript) and its .env",
    "0.25": "a character of Eliza 0.25.x (JSON and TypeScript) and its .env",
}
TOKEN_KEYS = {"0.1": "max_response_length", "0.25": "maxOutputTokens"}
TEXT_CLASSES: tuple[ModelClass, ...] = ("SMALL", "MEDIUM", "LARGE")
LOCAL = "local"  # models inside harness, or served at an address
TINY = 1e-6  # sent as it is, and no sampler can tell it from 0
TABLE_INPUT_TOKENS = 128_000  # where every table of a hosted provider cuts the input
OVERRIDE = "modelEndpointOverride"
OPENAI_ADDRESS = "https://api.openai.com/v1"  # what the core asks by itself


@dataclass(slots=True)
class _Draft:
    """The export as it grows: changes to the character, variables, fates, remarks."""

    changes: dict[Path, JsonValue] = field(default_factory=dict[Path, JsonValue])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    fates: list[Fate] = field(default_factory=list[Fate])
    remarks: list[str] = field(default_factory=list[str])


def write_0_1(selection: Selection) -> Export:
    """The files for Eliza 0.1.x."""
    return _write(selection, "0.1")


def write_0_25(selection: Selection) -> Export:
    """The files for Eliza 0.25.x."""
    return _write(selection, "0.25")


def _write(selection: Selection, release: str) -> Export:
    table = _table(selection)
    require_embedding(selection, selection.settings.provider)
    placed = place(selection, [c for c in TEXT_CLASSES if c in table.names or c in selection.by_class])
    draft = _Draft()
    _provider(draft, selection, table)
    _models(draft, placed, table, nested_secrets(given_character(selection)))
    _sampling(draft, selection, table, TOKEN_KEYS[release])
    _input_limit(draft, selection, placed)
    _differences(draft, selection.settings, placed, table)
    _embedding(draft, selection)
    draft.remarks.append(
        "Objects (generateObject) are asked for with Eliza's own settings, whatever stands here."
    )
    files = {
        character_file(selection): character_text(selection, _fresh(selection, table, release), draft.changes)
    }
    if selection.character is None:
        files["tuned.character.ts"] = _typescript(files[character_file(selection)], table)
    if draft.variables:
        files[".env"] = environment_text(draft.variables)
    return Export(files=files, fates=tuple(draft.fates), remarks=tuple(draft.remarks))


def _table(selection: Selection) -> Table:
    provider = selection.settings.provider
    tables = eliza_facts().tables
    served = provider == LOCAL and selection.address(provider) is not None
    if provider in tables and not served:
        return tables[provider]
    if selection.openai_address(provider) is not None:
        return tables["openai"]
    raise UsageError(
        f"Eliza 0.x does not know the provider {provider!r}, which is not asked in OpenAI's format; expected "
        f"one of {', '.join(sorted(tables))}, or a provider with an address in OpenAI's format"
    )


def _fresh(selection: Selection, table: Table, release: str) -> dict[str, JsonValue]:
    choice = selection.choice
    character: dict[str, JsonValue] = {
        "name": "Tuned",
        **({"clients": []} if release == "0.1" else {}),
        "modelProvider": table.provider,
        "bio": [f"Runs the settings that harness recommends for {choice.experiment} (run {choice.run})."],
        "lore": [],
        "messageExamples": [],
        "postExamples": [],
        "topics": [],
        "adjectives": [],
        "plugins": [],
        "style": {"all": [], "chat": [], "post": []},
        "settings": {},
    }
    return character


def _provider(draft: _Draft, selection: Selection, table: Table) -> None:
    given = given_character(selection)
    if given.get("modelProvider") != table.provider:
        draft.changes["modelProvider",] = table.provider
    if given and given.get("modelProvider") != table.provider:
        draft.remarks.append(
            f"modelProvider was {given.get('modelProvider')!r}; recommended is {table.provider!r}."
        )
    _address(draft, selection, table)


def _address(draft: _Draft, selection: Selection, table: Table) -> None:
    """Where the texts' provider is asked, when that is not where the core asks it by itself."""
    provider = selection.settings.provider
    foreign = table != eliza_facts().tables.get(provider)
    address = selection.openai_address(provider) if foreign else selection.address(provider)
    if table.address == OVERRIDE:
        draft.changes[OVERRIDE,] = address
    if address is None:
        return
    if table.address is None:
        why = f"the core asks {table.provider} at its own address, whatever is said"
        draft.fates.append(lost("address", address, why))
        return
    if table.address != OVERRIDE:
        draft.variables[table.address] = address
    draft.fates.append(address_fate(address, table.address))
    if foreign:
        draft.remarks.append(f"{provider} is asked as OpenAI: its key goes into OPENAI_API_KEY.")


def _models(draft: _Draft, placed: Placed, table: Table, secrets: Mapping[str, JsonValue]) -> None:
    """The name of the model of each class, in the environment or among the character's secrets.

    secrets: what a given character holds already.
    """
    draft.fates += placed.fates
    instead = {fate.model_class for fate in placed.fates}
    for model_class, settings in placed.by_class.items():
        name = table.names.get(model_class)
        if name is None:
            draft.fates.append(lost("model", settings.model, table.no_name, model_class=model_class))
            continue
        if table.place == "secrets":
            draft.changes["settings", "secrets", name] = settings.model_name
        else:
            draft.variables[name] = settings.model_name
        fate = Fate(
            setting="model",
            requested=settings.model,
            exported=settings.model_name,
            key=name,
            model_class=model_class,
        )
        held = secrets.get(name) if model_class in table.outranks else None
        if held and held != settings.model_name:
            draft.fates.append(overruled(fate, f"settings.secrets.{name}", held))
        elif model_class not in instead:
            draft.fates.append(fate)


def _sampling(draft: _Draft, selection: Selection, table: Table, token_key: str) -> None:
    """The one modelConfig of the character: the recommended settings."""
    choice = selection.settings
    for name in SAMPLING:
        key = token_key if name == "max_output_tokens" else name
        path = ("settings", "modelConfig", key)
        draft.changes[path] = None
        if name in table.sends:
            fate = _sent(draft, path, name, selection, table)
            draft.fates += [] if fate is None else [fate]
    draft.fates = [_ignored(fate, table) if fate.setting in table.ignores else fate for fate in draft.fates]
    draft.fates += unsendable(choice, table.sends, table.unsent, SAMPLING)


def _ignored(fate: Fate, table: Table) -> Fate:
    return replace(fate, effect="not sent by provider", reason=table.unsent, changes=bool(fate.requested))


def _sent(draft: _Draft, path: Path, name: str, selection: Selection, table: Table) -> Fate | None:
    """The fate of one setting that the provider's library sends on; `None`: nothing is sent, then and now."""
    settings, key = selection.settings, ".".join(path)
    value, default = settings.sent().get(name), table.fills.get(name, 0.0)
    if value is None and not default:
        return None
    if value is None:
        why = f"nothing was sent when it was measured; left out, Eliza would send {default:g}"
        refused = refusal(selection, settings, name)
        if name not in PENALTIES:
            why = f"nothing was sent when it was measured, but Eliza then sends its own {default:g}{refused}"
            return Fate(setting=name, requested=None, effect="not expressible", reason=why, changes=True)
        draft.changes[path] = TINY
        changes = refused != ""
        why += refused
        return Fate(setting=name, requested=None, exported=TINY, reason=why, key=key, changes=changes)
    if value == 0 and not default:
        return Fate(setting=name, requested=value, reason="left out: then Eliza sends 0")
    draft.changes[path] = TINY if value == 0 else value
    if value == 0:
        why = f"Eliza takes 0 for nothing and would send {default:g}; this is sent as it is"
        return Fate(setting=name, requested=value, exported=TINY, reason=why, key=key)
    if name == "max_output_tokens" and _refuses_limit(settings, table):
        why = "Eliza 0.x calls it max_tokens, and OpenAI refuses requests with that name for this model"
        return Fate(setting=name, requested=value, exported=value, reason=why, key=key, changes=True)
    return Fate(setting=name, requested=value, exported=value, key=key)


def _refuses_limit(settings: Settings, table: Table) -> bool:
    own = settings.provider == table.provider and table.limit_refused != ""
    return own and re.search(table.limit_refused, settings.model_name) is not None


def _input_limit(draft: _Draft, selection: Selection, placed: Placed) -> None:
    """Where Eliza cuts its input: as asked for, else where the smallest of the models would overflow."""
    limit, why = selection.max_input_tokens, ""
    if limit is None:
        rooms = [
            model.context_tokens - (settings.max_output_tokens or 0)
            for settings in placed.by_class.values()
            if (model := selection.known(settings)) is not None and model.context_tokens is not None
        ]
        limit = min(rooms, default=TABLE_INPUT_TOKENS)
        why = f"the context of the smallest model less its answer; Eliza would cut at {TABLE_INPUT_TOKENS}"
    if limit >= TABLE_INPUT_TOKENS and selection.max_input_tokens is None:
        return
    path = ("settings", "modelConfig", "maxInputTokens")
    draft.changes[path] = limit
    draft.fates.append(
        Fate(
            setting="max_input_tokens",
            requested=selection.max_input_tokens,
            exported=limit,
            reason=why,
            key=".".join(path),
        )
    )
    draft.remarks.append(
        f"Input is cut to maxInputTokens={limit}, as OpenAI's tokens count: its beginning is lost in silence."
    )


def _differences(draft: _Draft, choice: Settings, placed: Placed, table: Table) -> None:
    """What is lost of the settings of the other classes, because they share the modelConfig of the choice."""
    shared = {name: value for name, value in choice.sent().items() if name in table.sends}
    for model_class, settings in placed.by_class.items():
        if settings == choice:
            continue
        own = settings.sent()
        for name in table.sends:
            if own.get(name) != shared.get(name):
                stands = _words(shared.get(name))
                why = f"one modelConfig serves all classes; the recommended {stands} stands there"
                fate = lost(name, own.get(name), why, model_class=model_class)
                draft.fates.append(fate)
        draft.fates += with_class(unsendable(settings, table.sends, table.unsent, SAMPLING), model_class)


def _words(value: JsonValue) -> str:
    return "absence" if value is None else json.dumps(value)


def _embedding(draft: _Draft, selection: Selection) -> None:
    settings = selection.by_class.get("EMBEDDING")
    if settings is None:
        draft.remarks.append(
            "No embedding model was chosen: Eliza computes BGE-small-en-v1.5 (384 numbers) where it runs."
        )
        return
    switches = eliza_facts().switches
    switch = switches.get(settings.provider)
    own = selection.address(settings.provider)
    if switch is None and own is not None and own == selection.openai_address(settings.provider):
        switch = switches["openai"]
    if switch is None:
        why = "Eliza 0.x never asks it, even where it lists it; it computes BGE-small-en-v1.5 where it runs"
        draft.fates.append(lost("model", settings.model, why, model_class="EMBEDDING"))
        draft.remarks.append(f"{settings.model} cannot be used for embeddings in Eliza 0.x.")
        return
    draft.variables[switch.switch] = "true"
    draft.variables[switch.name] = settings.model_name
    draft.fates.append(
        Fate(
            setting="model",
            requested=settings.model,
            exported=settings.model_name,
            key=switch.name,
            model_class="EMBEDDING",
        )
    )
    _embedding_address(draft, selection, settings, switch)
    model = selection.known(settings)
    wanted = settings.extra.get("dimensions") or (None if model is None else model.dimensions)
    if wanted is not None:
        _dimensions(draft, wanted, switch.dimensions)
    draft.fates += unsent_with_texts(settings)


def _embedding_address(draft: _Draft, selection: Selection, settings: Settings, switch: Switch) -> None:
    """Where the embedding's provider is asked, when that is not where the core asks it by itself."""
    address = selection.address(settings.provider)
    texts = draft.changes.get((OVERRIDE,))
    openai = switch == eliza_facts().switches["openai"]
    if openai:
        _embedding_key(draft, selection, settings.provider)
    if not openai and texts is not None:
        why = f"the core asks for embeddings where it asks for texts: {texts}"
        fate = lost("address", address or "its own", why, model_class="EMBEDDING")
        draft.fates.append(fate)
    elif address is not None:
        draft.variables[switch.address] = address
        draft.fates.append(address_fate(address, switch.address, model_class="EMBEDDING"))
        if openai and selection.settings.provider == "openai" and texts is None:
            draft.changes[OVERRIDE,] = OPENAI_ADDRESS  # else the texts would be asked there too


def _embedding_key(draft: _Draft, selection: Selection, provider: str) -> None:
    """The fate of the key of an embedding's provider that is asked as OpenAI, where texts are too."""
    texts, tables = selection.settings.provider, eliza_facts().tables
    own = selection.key_variable(provider)
    if own == selection.key_variable(texts) or _table(selection) != tables["openai"]:
        return
    why = (
        f"Eliza 0.x has one OPENAI_API_KEY: {provider} is sent the key of {texts}, and refuses it; take both "
        "from one provider"
    )
    draft.fates.append(lost("api_key_env", own, why, model_class="EMBEDDING"))


def _dimensions(draft: _Draft, wanted: JsonValue, fixed: int) -> None:
    same = wanted == fixed
    why = "" if same else f"Eliza 0.x always asks for {fixed} numbers"
    draft.fates.append(
        Fate(
            setting="dimensions",
            requested=wanted,
            exported=fixed,
            effect="effective" if same else "not expressible",
            reason=why,
            model_class="EMBEDDING",
            changes=not same,
        )
    )


def _typescript(character: str, table: Table) -> str:
    """The same character as a module: the enumeration of 0.x refuses the provider's name as text."""
    document: Mapping[str, JsonValue] = json.loads(character)
    lines = [
        f"  {json.dumps(name)}: ModelProviderName.{table.member},"
        if name == "modelProvider"
        else f"  {json.dumps(name)}: {_nested(value)},"
        for name, value in document.items()
    ]
    head = 'import { type Character, ModelProviderName } from "@elizaos/core";\n\n'
    body = "\n".join(lines)
    return f"{head}export const character: Character = {{\n{body}\n}};\n\nexport default character;\n"


def _nested(value: JsonValue) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).replace("\n", "\n  ")
