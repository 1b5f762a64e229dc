"""Addresses and messages without the credentials that may stand in them: pure functions on text."""

from __future__ import annotations

import os
import re

# MLflow's own credentials, whose values a server's answer may repeat.
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "DATABRICKS_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
)
# Up to the last @ before the path: a password may hold one.
_USER = re.compile(r"://[^/\s]+@")
_QUERY = re.compile(r"([?&][\w.-]*(?:key|token|secret|pass|pwd|sig)[\w.-]*=)[^&\s'\"]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text without user names and passwords in addresses, and without MLflow's own credentials."""
    for name in SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    return _QUERY.sub(r"\1***", _USER.sub("://***@", text))
