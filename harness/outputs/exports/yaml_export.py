"""Settings as YAML, with their evidence: the same values as the JSON export.

Every text is quoted, because readers of YAML 1.1 take a bare `on` for true and a bare date for a date.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, cast

from harness.outputs.exports.document import document
from harness.records import JsonValue, Recommendation

DESCRIPTION = "model, prompt, parameters, evidence and provenance as YAML"


def files(choice: Recommendation, prompt_text: str | None = None) -> Mapping[str, str]:
    """One file, settings.yaml; see `document` for its layout."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _representer()
    yaml.indent(mapping=2, sequence=4, offset=2)
    # Breaking long lines would save nothing and make differences between two exports hard to read.
    yaml.width = 10_000
    stream = io.StringIO()
    cast("Any", yaml).dump(_quoted(document(choice, prompt_text)), stream)
    return {"settings.yaml": stream.getvalue()}


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


def _quoted(value: JsonValue) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, str):
        return DoubleQuotedScalarString(value)
    if isinstance(value, list):
        return [_quoted(part) for part in value]
    if isinstance(value, dict):
        return {name: _quoted(part) for name, part in value.items()}
    return value
