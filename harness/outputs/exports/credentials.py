"""Keeps credentials out of exports: in settings, prompt, addresses and the files that were made of them.

In: a selection, and perhaps files. Out: nothing, or a UsageError that never repeats what it found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

# Names and values that give a credential away; "max_tokens" must not be among them.
CREDENTIAL_NAME = re.compile(
    r"(^|[_.-])(api_?key|authorization|bearer|credentials?|password|passwd|secret|access_?token|auth_?token)($|[_.-])",
    re.IGNORECASE,
)
CREDENTIAL_VALUE = re.compile(
    r"\b(sk-[\w-]{16,}|Bearer\s+\S{8,}|AKIA[0-9A-Z]{16}|gsk_\w{16,}|AIza[\w-]{30,})"
)


def refuse_credentials(selection: Selection, files: Mapping[str, str] | None = None) -> None:
    """Raise UsageError when what is selected, or one of these files, holds what looks like a credential.

    files: contents by name; a character that was given may hold keys, which then must not be copied.
    """
    prompt = selection.prompt_text
    if prompt is not None and CREDENTIAL_VALUE.search(prompt):
        raise UsageError(
            "the prompt's template holds what looks like a credential, and exports must hold none; "
            "take it out"
        )
    for settings in (selection.settings, *selection.by_class.values()):
        _refuse_settings(settings)
    for provider, address in selection.addresses.items():
        if "@" in urlsplit(address).netloc:
            raise UsageError(
                f"providers.{provider}.api_base holds a user name or password, and exports must hold none; "
                "take it out of the address"
            )
    _refuse_character(selection)
    for name, text in (files or {}).items():
        if CREDENTIAL_VALUE.search(text):
            raise UsageError(
                f"{name} would hold what looks like a credential, and exports must hold none; move it "
                "from the file to the environment"
            )


def _refuse_character(selection: Selection) -> None:
    """Raise UsageError when the character that was given holds a value under the name of a credential."""
    if selection.character is None:
        return
    file, text = selection.character
    try:
        whole: JsonValue = json.loads(text)
    except ValueError:
        return  # the writer says what is wrong with it
    for place, name, value in _leaves(whole, "character", ""):
        if isinstance(value, str) and value and CREDENTIAL_NAME.search(name):
            raise UsageError(
                f"{file}: {place} looks like a credential, and exports must hold none; move it "
                "to the environment"
            )


def _refuse_settings(settings: Settings) -> None:
    sent = cast("JsonValue", settings.sent())
    for place, name, value in _leaves(sent, "settings", ""):
        secret = isinstance(value, str) and CREDENTIAL_VALUE.search(value)
        if secret or CREDENTIAL_NAME.search(name):
            raise UsageError(
                f"{place} looks like a credential, and exports must hold none; take it out of the spec and "
                "let the application read it from its environment"
            )


def _leaves(value: JsonValue, place: str, name: str) -> Iterator[tuple[str, str, JsonValue]]:
    """Every value inside, with its place, and the name of the key that it stands under."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, f"{place}.{key}", key)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, place, name)
    else:
        yield place, name, value
