"""Which export targets there are, and the one door through which their files reach the disk.

In: a target's name, a recommendation, a folder. Out: files, all or none. Must never write a credential, and
never over a file that is there, unless told to.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

from harness.errors import UsageError
from harness.outputs.exports import json_export, openai_export, yaml_export
from harness.outputs.files import write_text
from harness.records import JsonValue, Recommendation

# Names and values that give a credential away; "max_tokens" must not be among them.
CREDENTIAL_NAME = re.compile(
    r"(^|[_.-])(api_?key|authorization|bearer|credentials?|password|passwd|secret|access_?token|auth_?token)($|[_.-])",
    re.IGNORECASE,
)
CREDENTIAL_VALUE = re.compile(
    r"\b(sk-[\w-]{16,}|Bearer\s+\S{8,}|AKIA[0-9A-Z]{16}|gsk_\w{16,}|AIza[\w-]{30,})"
)


@dataclass(frozen=True, slots=True)
class Target:
    """An export format. files: names and contents, made of a recommendation and its prompt's template."""

    description: str
    files: Callable[[Recommendation, str | None], Mapping[str, str]]


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "json": Target(json_export.DESCRIPTION, json_export.files),
        "yaml": Target(yaml_export.DESCRIPTION, yaml_export.files),
        "openai": Target(openai_export.DESCRIPTION, openai_export.files),
    }
)


def export(
    target: str,
    recommendation: Recommendation,
    folder: Path,
    *,
    force: bool = False,
    prompt_text: str | None = None,
) -> list[Path]:
    """Write the target's files into the folder and give their paths.

    prompt_text: source of the recommended prompt's template; `None`: the files hold its name alone.
    Raises UsageError, before anything is written, when the target is unknown, when a file is in the way
    and `force` is not given, and when a setting or the prompt looks like a credential.
    """
    found = TARGETS.get(target)
    if found is None:
        raise UsageError(_unknown(target))
    _refuse_credentials(recommendation, prompt_text)
    contents = {folder / name: text for name, text in found.files(recommendation, prompt_text).items()}
    in_the_way = [str(path) for path in contents if path.exists()]
    if in_the_way and not force:
        raise UsageError(
            f"{', '.join(in_the_way)} already there, and an export overwrites nothing by itself; "
            "choose another folder, or force it"
        )
    return [write_text(path, text) for path, text in contents.items()]


def _unknown(target: str) -> str:
    close = difflib.get_close_matches(target.lower(), TARGETS, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"export target {target!r} is unknown, expected one of {', '.join(sorted(TARGETS))}{hint}"


def _refuse_credentials(recommendation: Recommendation, prompt_text: str | None) -> None:
    sent = cast("JsonValue", recommendation.settings.sent())
    if prompt_text is not None and CREDENTIAL_VALUE.search(prompt_text):
        raise UsageError(
            "the prompt's template holds what looks like a credential, and exports must hold none; "
            "take it out"
        )
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
