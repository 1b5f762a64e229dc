"""Sets of settings by name that a search may try early: data with a source, no advice.

In: `presets.yaml` beside this file. Out: settings by preset. Must not know spaces or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any, cast

from harness.errors import CatalogueError
from harness.records import SENT_FIELDS, JsonValue


def load_presets() -> dict[str, Mapping[str, JsonValue]]:
    """All presets that the package knows: settings by name, in the order of `presets.yaml`."""
    text = resources.files("harness.catalogue").joinpath("presets.yaml").read_text(encoding="utf-8")
    return read_presets(text, file="presets.yaml")


def read_presets(text: str, *, file: str) -> dict[str, Mapping[str, JsonValue]]:
    """The presets that a text in the form of `presets.yaml` describes.

    file: its name, for messages. Raises CatalogueError for text that is not of that form.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document: Any = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise CatalogueError(f"{file} is not YAML: {error}") from error
    presets: Any = document.get("presets") if isinstance(document, Mapping) else None
    if not isinstance(presets, Mapping) or not document.get("source") or not document.get("as_of"):
        raise CatalogueError(f"{file}: expected `source`, `as_of`, and settings by name under `presets`")
    found: dict[str, Mapping[str, JsonValue]] = {}
    for name, settings in cast("Mapping[str, Any]", presets).items():
        if not isinstance(settings, Mapping) or not settings:
            raise CatalogueError(f"{file}: presets.{name} is {settings!r}; expected settings with values")
        unknown = [key for key in cast("Mapping[str, Any]", settings) if key not in SENT_FIELDS]
        if unknown:
            raise CatalogueError(
                f"{file}: presets.{name}.{unknown[0]} is no setting; known are {', '.join(SENT_FIELDS)}"
            )
        found[name] = cast("Mapping[str, JsonValue]", settings)
    return found
