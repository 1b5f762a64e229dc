"""Settings as JSON, with their evidence: the format for applications that read their own configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.outputs.exports.document import document
from harness.records import Recommendation

DESCRIPTION = "model, parameters, evidence and provenance as JSON"


def files(choice: Recommendation) -> Mapping[str, str]:
    """One file, settings.json; see `document` for its layout."""
    text = json.dumps(document(choice), indent=2, ensure_ascii=False, allow_nan=False)
    return {"settings.json": text + "\n"}
