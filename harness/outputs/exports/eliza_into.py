"""What stands in the way in a character that is given: keys that outrank the export's, or stay in force.

In: the character, the changes to it, the fates. Out: further changes, and fates that say what will really be
sent. Facts about Eliza come from `eliza_facts`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.outputs.exports.eliza_facts import FALLBACKS, KEYS, TEXT_CLASSES, Plugin
from harness.outputs.exports.json_splice import Path
from harness.outputs.exports.manifest import Fate
from harness.records import JsonValue, ModelClass


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a settings key of Eliza 1.x is about. model_class: `None`: all that have no key of their own."""

    setting: str
    model_class: ModelClass | None = None


def left_behind(changes: Mapping[Path, JsonValue], plugins: Collection[Plugin]) -> dict[Path, JsonValue]:
    """Keys that 1.x reads where one that an export takes out was; they are taken out too.

    Of the sampling settings only those that the first plugin, which writes the texts, sends.
    """
    text = next(iter(plugins))
    stale = [
        key
        for model_class in TEXT_CLASSES
        for name in text.sends[model_class]
        if changes.get(("settings", f"TEXT_{model_class}_{KEYS[name]}")) is None
        for key in FALLBACKS[name]
    ]
    stale += [
        key
        for plugin in plugins
        for asked, others in plugin.fallbacks.items()
        if ("settings", asked) in changes and changes["settings", asked] is None
        for key in others
    ]
    return {("settings", key): None for key in stale}


def outranked(
    given: Mapping[str, JsonValue], changes: Mapping[Path, JsonValue], fates: Sequence[Fate]
) -> list[Fate]:
    """The fates where the character's secrets hold keys that 1.x reads before the settings.

    Those beside the settings are read before them, those inside after them: where a key was taken out.
    """
    found = list(fates)
    for path, value in changes.items():
        if len(path) != 2 or path[0] != "settings":
            continue
        key = path[1]
        place, held = _held(given, key, written=value is not None)
        if held and str(held) != str(value):
            found = _overruled(found, key, place, held, taken_out=value is None)
    return found


def without_plugin(given: Mapping[str, JsonValue], packages: Sequence[str]) -> list[Fate]:
    """A fate for each of these plugins that the character does not load."""
    held = given.get("plugins", [])
    if not given or not isinstance(held, list):
        return []
    why = "it is not among the character's plugins; add it, or nothing here has an effect"
    return [
        Fate(setting="plugin", requested=package, effect="not expressible", reason=why, changes=True)
        for package in packages
        if package not in held
    ]


def nested_secrets(given: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The secrets inside the settings of this character; empty where there are none."""
    settings = given.get("settings")
    secrets = settings.get("secrets") if isinstance(settings, dict) else None
    return secrets if isinstance(secrets, dict) else {}


def overruled(fate: Fate, place: str, held: JsonValue) -> Fate:
    """The fate of a setting in whose stead Eliza reads what the character holds at this place."""
    why = f"the character's {place} holds {held!r}, which Eliza reads first; take it out there"
    return replace(fate, exported=held, key=place, effect="not expressible", reason=why, changes=True)


def _held(given: Mapping[str, JsonValue], key: str, *, written: bool) -> tuple[str, JsonValue]:
    """Place and value that Eliza reads before what an export writes; empty values are not read."""
    beside = given.get("secrets")
    value = beside.get(key) if isinstance(beside, dict) else None
    if value:
        return f"secrets.{key}", value
    inside = None if written else nested_secrets(given).get(key)
    return f"settings.secrets.{key}", inside


def _overruled(fates: list[Fate], key: str, place: str, held: JsonValue, *, taken_out: bool) -> list[Fate]:
    """The fates with those changed that this key decides; an address or a length without one gets its own."""
    meaning = _meaning(key)
    hit = [
        fate
        for fate in fates
        if fate.key == f"settings.{key}" or (taken_out and meaning is not None and _unset(fate, meaning))
    ]
    if hit:
        return [overruled(fate, place, held) if fate in hit else fate for fate in fates]
    if meaning is not None:
        return fates  # the plugin does not send it
    setting = "dimensions" if "DIMENSION" in key else "address"
    return [*fates, overruled(Fate(setting=setting, requested=None), place, held)]


def _unset(fate: Fate, meaning: _Meaning) -> bool:
    """Whether this fate is of a setting that has no key, so that the plugin's own value would be sent."""
    same = fate.setting == meaning.setting and meaning.model_class in (None, fate.model_class)
    return same and fate.requested is None and fate.key == "" and fate.effect == "not expressible"


def _meaning(key: str) -> _Meaning | None:
    for name, short in KEYS.items():
        if key in FALLBACKS[name]:
            return _Meaning(name)
        for model_class in TEXT_CLASSES:
            if key == f"TEXT_{model_class}_{short}":
                return _Meaning(name, model_class)
    return None
