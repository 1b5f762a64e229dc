"""What both generations of Eliza share: which settings stand where, what becomes of an embedding, the files.

In: a selection. Out: settings by class that one character can hold, and the fates of those it cannot. Facts
about Eliza come from `eliza_facts`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from harness.errors import UsageError
from harness.outputs.exports.json_splice import GONE, Path, splice
from harness.outputs.exports.manifest import Fate, lost
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, ModelClass, Settings

CHARACTER_FILE = "tuned.character.json"
SAMPLING = ("temperature", "max_output_tokens", "frequency_penalty", "presence_penalty")
PENALTIES = ("frequency_penalty", "presence_penalty")


@dataclass(frozen=True, slots=True)
class Placed:
    """The settings of each class of one text provider. fates: of what could not be placed, or stands in."""

    provider: str
    by_class: Mapping[ModelClass, Settings]
    fates: tuple[Fate, ...]


def place(selection: Selection, classes: Sequence[ModelClass]) -> Placed:
    """Settings for each of these classes, all of the provider of the choice.

    A class that was not studied, or whose best model is another provider's, gets the recommended settings.
    Raises UsageError when the choice is an embedding model: a character needs a text model.
    """
    require_text(selection)
    choice = selection.settings
    placed: dict[ModelClass, Settings] = {}
    fates: list[Fate] = []
    for model_class in classes:
        own = selection.by_class.get(model_class)
        if own is not None and own.provider == choice.provider:
            placed[model_class] = own
            continue
        placed[model_class] = choice
        if own is None:
            why = "was not studied: it gets the recommended settings"
            fates.append(
                Fate(
                    setting="model",
                    requested=None,
                    exported=choice.model_name,
                    reason=why,
                    model_class=model_class,
                )
            )
        else:
            why = (
                f"one character has one provider of texts, that of the recommendation, {choice.provider}; "
                "the recommended settings stand here"
            )
            fates.append(lost("model", own.model, why, model_class=model_class))
    return Placed(provider=choice.provider, by_class=placed, fates=tuple(fates))


def require_text(selection: Selection) -> None:
    """Raise UsageError when the choice is an embedding model."""
    model = selection.settings.model
    if selection.choice.trial.model_class == "EMBEDDING":
        raise UsageError(
            f"{model} is an embedding model, and an Eliza character needs a text model; export a run of text "
            f"models with --embedding {model}"
        )


def require_embedding(selection: Selection, provider: str) -> None:
    """Raise UsageError when the choice is an embedding model, or its provider has none and none is given."""
    require_text(selection)
    if provider == "anthropic" and "EMBEDDING" not in selection.by_class:
        raise UsageError(
            "Anthropic has no embedding model, and an Eliza agent cannot remember without one; name one of "
            "another provider, as in --embedding openai/text-embedding-3-small"
        )


def unsendable(
    settings: Settings,
    sends: Collection[str],
    unsent: str,
    names: Collection[str],
    *,
    model_class: ModelClass | None = None,
) -> list[Fate]:
    """Fates of the settings that do not reach the request: known to Eliza and not sent, or not known at all.

    names: what Eliza has keys for. unsent: why the provider's package does not send one of them.
    """
    fates: list[Fate] = []
    for name, value in settings.sent().items():
        if name in sends:
            continue
        if name in names:
            fate = lost(name, value, unsent, effect="not sent by provider", model_class=model_class)
        elif name == "stop":
            fate = lost(
                name, value, "Eliza takes stop sequences from its callers only", model_class=model_class
            )
        elif name in settings.extra:
            fate = lost(name, value, "Eliza forwards no parameters of one's own", model_class=model_class)
        else:
            fate = lost(name, value, "Eliza has no such setting", model_class=model_class)
        fates.append(fate)
    return fates


def unsent_with_texts(settings: Settings) -> list[Fate]:
    """Fates of all that makes up the settings of an embedding model: Eliza knows of the length alone."""
    sent, own = "Eliza sends no such parameter with a text", "Eliza splits and searches in its own way"
    return [
        lost(name, value, own if name in settings.local else sent, model_class="EMBEDDING")
        for name, value in settings.held().items()
        if name != "dimensions"
    ]


def refusal(selection: Selection, settings: Settings, name: str) -> str:
    """What to add where Eliza sends a setting that the model does not take; empty when it does."""
    model = selection.known(settings)
    if model is None or name in model.settings:
        return ""
    return f"; {settings.model} takes none, and its provider may refuse the request"


def character_text(
    selection: Selection, fresh: Mapping[str, JsonValue], changes: Mapping[Path, JsonValue]
) -> str:
    """The character file: a fresh one with these changes, or the given one with nothing else changed.

    A change to `None` takes out what is there: a value that was not measured must not stay in force.
    """
    if selection.character is None:
        document = json.loads(json.dumps(fresh))
        for path, value in changes.items():
            if value is not None:
                _put(document, path, value)
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    file, text = selection.character
    return splice(
        text, {path: GONE if value is None else value for path, value in changes.items()}, file=file
    )


def character_file(selection: Selection) -> str:
    """The name of the character file in the export: that of the given one, where one is given."""
    return CHARACTER_FILE if selection.character is None else selection.character[0]


def given_character(selection: Selection) -> Mapping[str, JsonValue]:
    """The character that the settings are written into; empty where there is none."""
    if selection.character is None:
        return {}
    file, text = selection.character
    splice(text, {}, file=file)
    return cast("Mapping[str, JsonValue]", json.loads(text))


def environment_text(variables: Mapping[str, str]) -> str:
    """The variables as a .env file; values with other than plain characters are quoted."""
    lines = [
        "# Names of models. Settings for sampling stand in the character file: here they would do nothing."
    ]
    lines += [f"{name}={_quoted(value)}" for name, value in variables.items()]
    return "\n".join(lines) + "\n"


def with_class(fates: Sequence[Fate], model_class: ModelClass) -> list[Fate]:
    """The same fates, said of this class."""
    return [replace(fate, model_class=model_class) for fate in fates]


def _put(document: dict[str, JsonValue], path: Path, value: JsonValue) -> None:
    for name in path[:-1]:
        document = cast("dict[str, JsonValue]", document.setdefault(name, {}))
    document[path[-1]] = value


def _quoted(value: str) -> str:
    plain = all(character.isalnum() or character in "-._/:@+" for character in value)
    return value if plain else json.dumps(value, ensure_ascii=False)
