"""Settings as environment variables: LLM_MODEL, LLM_TEMPERATURE and so on, each value as JSON has it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.outputs.exports.manifest import Export, address_fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, Settings

DESCRIPTION = "environment variables LLM_PROVIDER, LLM_MODEL, LLM_TEMPERATURE, ... in a .env file"
PREFIX = "LLM_"


def write(selection: Selection) -> Export:
    """One file, .env; lists, custom parameters (LLM_EXTRA) and work on vectors (LLM_LOCAL) are JSON.

    An address of the provider's own is LLM_API_BASE, the variable of its own key LLM_API_KEY_ENV.
    """
    settings = selection.settings
    address, variable = selection.address(settings.provider), selection.own_key_variable(settings.provider)
    reached = {"api_base": address, "api_key_env": variable}
    keys = {name: f"{PREFIX}{name.upper()}" for name in ("model", *SENT_FIELDS)}
    keys |= {name: f"{PREFIX}EXTRA.{name}" for name in settings.extra}
    keys |= {name: f"{PREFIX}LOCAL.{name}" for name in settings.local}
    text = text_of(settings, {name: value for name, value in reached.items() if value is not None})
    own = [] if address is None else [address_fate(address, f"{PREFIX}API_BASE")]
    return Export(files={".env": text}, fates=(*plain_fates(settings, keys), *own))


def text_of(settings: Settings, reached: Mapping[str, str]) -> str:
    """The variables, one a line; single quotes keep what is not plain as it is."""
    values: dict[str, str] = {
        "provider": settings.provider,
        "model": settings.model_name,
        "prompt": settings.prompt,
        **reached,
    }
    for name, value in settings.sent().items():
        if name in SENT_FIELDS and name not in settings.extra:
            values[name] = value if isinstance(value, str) else json.dumps(value)
    if settings.extra:
        values["extra"] = json.dumps(dict(settings.extra))
    if settings.local:
        values["local"] = json.dumps(dict(settings.local))
    return "".join(f"{PREFIX}{name.upper()}={_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    plain = value and all(one.isascii() and (one.isalnum() or one in "-._/:@+") for one in value)
    if plain:
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
