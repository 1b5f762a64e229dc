"""Keeps credentials out of exports: in settings, prompt, addresses and the files that were made of them.

In: a selection, and perhaps files. Out: nothing, or a UsageError that never repeats what it found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.outputs.exports.credential_signs import (
    CREDENTIAL_VALUE,
    OPAQUE,
    looks_secret,
    names_credential,
    opaque_under,
    parameters,
)
from harness.outputs.exports.eliza_facts import eliza_keys
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

SECRET_PARAMETERS = frozenset(("key", "sig", "signature"))


def refuse_credentials(selection: Selection, files: Mapping[str, str] | None = None) -> None:
    """Raise UsageError when what is selected, or one of these files, holds what looks like a credential.

    files: contents by name; a character that was given may hold keys, which then must not be copied.
    """
    of_tasks = [(f"prompt of task {name}", text) for name, text in selection.task_templates.items()]
    known = [("prompt", selection.prompt_text), ("documents", selection.document_text), *of_tasks]
    for whose, template in known:
        if template is None or not looks_secret(template):
            continue
        raise UsageError(
            f"the template of the {whose} holds what looks like a credential, and exports must hold none; "
            "take it out"
        )
    for settings in (selection.settings, *selection.by_class.values()):
        _refuse_settings(settings)
    for provider, asked in selection.endpoints.items():
        if asked.api_base is not None:
            _refuse_address(provider, asked.api_base)
    _refuse_character(selection)
    for name, text in (files or {}).items():
        if looks_secret(text):
            raise UsageError(
                f"{name} would hold what looks like a credential, and exports must hold none; move it "
                "from the file to the environment"
            )


def _refuse_address(provider: str, address: str) -> None:
    found = ""
    if "@" in urlsplit(address).netloc:
        found = "a user name or password"
    elif any(names_credential(name) or name in SECRET_PARAMETERS for name, _ in parameters(address)):
        found = "a credential in its query"
    elif looks_secret(address):
        found = "what looks like a credential"
    if found:
        raise UsageError(
            f"providers.{provider}.api_base holds {found}, and exports must hold none; take it out of the "
            "address"
        )


def _refuse_character(selection: Selection) -> None:
    """Raise UsageError when the character that was given holds credentials, naming the place of each.

    Among its secrets every opaque text is one, but for the names of models and settings that exports write;
    words such as "OFF" stand there too in published characters.
    """
    if selection.character is None:
        return
    file, text = selection.character
    try:
        whole: JsonValue = json.loads(text)
    except ValueError:
        return  # the writer says what is wrong with it
    places = dict.fromkeys(
        _shown("character", path)
        for path, value in _leaves(whole, ())
        if _betrays(path, value) or (isinstance(value, str) and _opaque(path, value))
    )
    if places:
        look = "looks like a credential" if len(places) == 1 else "look like credentials"
        raise UsageError(
            f"{file}: {', '.join(places)} {look}, and exports must hold none; move it to the environment"
        )


def _opaque(path: tuple[str, ...], text: str) -> bool:
    """Whether this text of a character's settings or secrets is one that only a machine reads."""
    if path[0] not in ("secrets", "settings") or path[-1] in eliza_keys():
        return False
    among_secrets = path[0] == "secrets" or path[:2] == ("settings", "secrets")
    return opaque_under(path[-1], text) or (among_secrets and OPAQUE.fullmatch(text) is not None)


def _refuse_settings(settings: Settings) -> None:
    sent = cast("JsonValue", settings.sent())
    for path, value in _leaves(sent, ()):
        # A name alone is enough here: no parameter of a call is called so.
        if _betrays(path, value) or any(names_credential(name) for name in path):
            raise UsageError(
                f"{_shown('settings', path)} looks like a credential, and exports must hold none; take it "
                "out of the spec and let the application read it from its environment"
            )


def _betrays(path: tuple[str, ...], value: JsonValue) -> bool:
    """Whether this value is a credential, by its look or by the names that it stands under."""
    if any(CREDENTIAL_VALUE.search(name) for name in path):
        return True
    if isinstance(value, str):
        return looks_secret(value) or (value != "" and any(names_credential(name) for name in path))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and any(names_credential(name) for name in path)


def _shown(root: str, path: tuple[str, ...]) -> str:
    """The place in words; a key that is itself a credential is not repeated."""
    return ".".join([root, *("<hidden>" if CREDENTIAL_VALUE.search(name) else name for name in path)])


def _leaves(value: JsonValue, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    """Every value inside, with the keys that it stands under; places in lists are not counted."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, path)
    else:
        yield path, value
