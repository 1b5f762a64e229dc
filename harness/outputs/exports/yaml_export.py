"""Settings as YAML, with their evidence: the same values as the JSON export.

Every text is quoted, because readers of YAML 1.1 take a bare `on` for true and a bare date for a date.
"""

from __future__ import annotations

import io
import re
from typing import Any, cast

from harness.outputs.exports.document import document, fates
from harness.outputs.exports.manifest import Export
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue

# What older readers take for true, false or nothing.
YAML_1_1_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
DESCRIPTION = "model, prompt, parameters, evidence and provenance as YAML"


def write(selection: Selection) -> Export:
    """One file, settings.yaml; see `document` for its layout."""
    text = yaml_text(document(selection))
    return Export(files={"settings.yaml": text}, fates=fates(selection))


def yaml_text(content: JsonValue) -> str:
    """JSON-like values as YAML that readers of every version take for the same values."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _representer()
    yaml.indent(mapping=2, sequence=4, offset=2)
    # Breaking long lines would save nothing and make differences between two exports hard to read.
    yaml.width = 10_000
    stream = io.StringIO()
    cast("Any", yaml).dump(_quoted(content), stream)
    return stream.getvalue()


def _representer() -> type[Any]:
    from ruamel.yaml.representer import RoundTripRepresenter

    class Plain(RoundTripRepresenter):
        """Writes 1e-06 as 1.0e-06: without the point, readers of YAML 1.1 take it for a text."""

        def represent_float(self, data: float) -> Any:
            text = repr(data)
            text = text if "." in text else text.replace("e", ".0e")
            return self.represent_scalar("tag:yaml.org,2002:float", text)

    Plain.add_representer(float, Plain.represent_float)
    return Plain


def _is_plain(name: str) -> bool:
    """Whether every reader takes this key for the text that it is, without quotes."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None and name.lower() not in YAML_1_1_WORDS


def _quoted(value: JsonValue) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, str):
        return DoubleQuotedScalarString(value)
    if isinstance(value, list):
        return [_quoted(part) for part in value]
    if isinstance(value, dict):
        return {name if _is_plain(name) else _quoted(name): _quoted(part) for name, part in value.items()}
    return value
