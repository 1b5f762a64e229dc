"""Settings as JSON, with their evidence: the format for applications that read their own configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.outputs.exports.document import document
from harness.records import Recommendation

DESCRIPTION = "model, prompt, parameters, evidence and provenance as JSON"


def files(choice: Recommendation, prompt_text: str | None = None) -> Mapping[str, str]:
    """One file, settings.json; see `document` for its layout."""
    text = json.dumps(document(choice, prompt_text), indent=2, ensure_ascii=False, allow_nan=False)
    return {"settings.json": text + "\n"}
