"""Keeps credentials out of exports: in settings, prompt, addresses and the files that were made of them.

In: a selection, and perhaps files. Out: nothing, or a UsageError that never repeats what it found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from harness.errors import UsageError
from harness.outputs.exports.eliza_facts import eliza_keys
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

# Words of a name that give a credential away, wherever they stand in it. `tokens` must not be among them:
# limits are counted in them.
SECRET_WORDS = frozenset(
    [
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "mnemonic",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
    ]
)
# What a key is of, and what a token is of, where it is none that is to be kept secret.
SECRET_KEYS = frozenset(
    ["access", "api", "auth", "encryption", "master", "private", "secret", "service", "signing", "ssh"]
)
PLAIN_TOKENS = frozenset(
    ["bos", "cls", "end", "eos", "first", "last", "mask", "next", "pad", "per", "sep", "start", "stop", "unk"]
)
SECRET_PARAMETERS = frozenset(("key", "sig", "signature"))
CREDENTIAL_VALUE = re.compile(
    r"""(?<!\w)(?:
        sk-[\w-]{16,} | gsk_\w{16,} | xai-\w{16,} | tgp_[\w-]{16,} | hf_[A-Za-z0-9]{16,}
        | gh[oprsu]_\w{16,} | github_pat_\w{16,} | xox[abeprs]-[\w-]{10,}
        | AKIA[0-9A-Z]{16} | AIza[\w-]{30,}
        | Bearer\s+(?=[\w.~+/-]*\d)[\w.~+/-]{16,}
        | eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]{6,}
        | -----BEGIN\ (?:[A-Z]+\ )*PRIVATE\ KEY-----
        | [a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@]+@
    )""",
    re.VERBOSE,
)
OPAQUE = re.compile(r"[^\s:/]{12,}")
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>]+")


def refuse_credentials(selection: Selection, files: Mapping[str, str] | None = None) -> None:
    """Raise UsageError when what is selected, or one of these files, holds what looks like a credential.

    files: contents by name; a character that was given may hold keys, which then must not be copied.
    """
    of_tasks = [(f"prompt of task {name}", text) for name, text in selection.task_templates.items()]
    known = [("prompt", selection.prompt_text), ("documents", selection.document_text), *of_tasks]
    for whose, template in known:
        if template is None or not _is_secret(template):
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
        if _is_secret(text):
            raise UsageError(
                f"{name} would hold what looks like a credential, and exports must hold none; move it "
                "from the file to the environment"
            )


def names_credential(name: str) -> bool:
    """Whether a value under this name is a credential by it: API_TOKEN, clientSecret, but not max_tokens."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if not SECRET_WORDS.isdisjoint(words):
        return True
    pairs = list(zip(["", *words], words, strict=False))
    if any(last == "key" and kind in SECRET_KEYS for kind, last in pairs):
        return True
    return bool(pairs) and pairs[-1][1] == "token" and pairs[-1][0] not in PLAIN_TOKENS


def _is_secret(text: str) -> bool:
    """Whether a credential stands in this text, or an address with one."""
    if CREDENTIAL_VALUE.search(text):
        return True
    return any(
        names_credential(name) for address in ADDRESS.findall(text) for name, _ in _parameters(address)
    )


def _parameters(address: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(address).query)
    except ValueError:  # a text that only begins like an address
        return []


def _refuse_address(provider: str, address: str) -> None:
    found = ""
    if "@" in urlsplit(address).netloc:
        found = "a user name or password"
    elif any(names_credential(name) or name in SECRET_PARAMETERS for name, _ in _parameters(address)):
        found = "a credential in its query"
    elif _is_secret(address):
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
        if _betrays(path, value)
        or (_among_secrets(path) and isinstance(value, str) and OPAQUE.fullmatch(value))
    )
    if places:
        look = "looks like a credential" if len(places) == 1 else "look like credentials"
        raise UsageError(
            f"{file}: {', '.join(places)} {look}, and exports must hold none; move it to the environment"
        )


def _among_secrets(path: tuple[str, ...]) -> bool:
    among = path[:1] == ("secrets",) or path[:2] == ("settings", "secrets")
    return among and path[-1] not in eliza_keys()


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
        return _is_secret(value) or (value != "" and any(names_credential(name) for name in path))
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
