"""Settings as environment variables: LLM_MODEL, LLM_TEMPERATURE and so on, each value as JSON has it."""

from __future__ import annotations

import json

from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, Settings

DESCRIPTION = "environment variables LLM_PROVIDER, LLM_MODEL, LLM_TEMPERATURE, ... in a .env file"
PREFIX = "LLM_"


def write(selection: Selection) -> Export:
    """One file, .env; lists and custom parameters (LLM_EXTRA) are JSON. The prompt is in the JSON export."""
    settings = selection.settings
    keys = {name: f"{PREFIX}{name.upper()}" for name in ("model", *SENT_FIELDS)}
    keys |= {name: f"{PREFIX}EXTRA.{name}" for name in settings.extra}
    return Export(files={".env": text_of(settings)}, fates=plain_fates(settings, keys))


def text_of(settings: Settings) -> str:
    """The variables, one a line; single quotes keep what is not plain as it is."""
    values: dict[str, str] = {
        "provider": settings.provider,
        "model": settings.model_name,
        "prompt": settings.prompt,
    }
    for name, value in settings.sent().items():
        if name in SENT_FIELDS and name not in settings.extra:
            values[name] = value if isinstance(value, str) else json.dumps(value)
    if settings.extra:
        values["extra"] = json.dumps(dict(settings.extra))
    return "".join(f"{PREFIX}{name.upper()}={_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    plain = value and all(one.isascii() and (one.isalnum() or one in "-._/:@+") for one in value)
    if plain:
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
