"""The terminal that a command prints to."""

from __future__ import annotations

import os
import shutil
import sys

NARROWEST = 60  # columns, below which tables would have no room


def columns() -> int | None:
    """How wide the terminal is; `None` in a pipe, where a row a line is easier to search. COLUMNS wins."""
    told = os.environ.get("COLUMNS") or sys.stdout.isatty()
    return max(NARROWEST, shutil.get_terminal_size().columns) if told else None
