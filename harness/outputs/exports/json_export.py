"""Settings as JSON, with their evidence: the format for applications that read their own configuration."""

from __future__ import annotations

import json

from harness.outputs.exports.document import document, fates
from harness.outputs.exports.manifest import Export
from harness.outputs.exports.selection import Selection

DESCRIPTION = "model, prompt, parameters, evidence and provenance as JSON"


def write(selection: Selection) -> Export:
    """One file, settings.json; see `document` for its layout."""
    content = document(selection)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return Export(files={"settings.json": text + "\n"}, fates=fates(selection))
