"""The message for a name that does not exist: what was found, what there is, which one was meant.

In: the name found and the valid ones. Out: an error to raise. It decides nothing.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def unknown_name(kind: str, found: str, valid: Iterable[str], hint: str = "") -> UsageError:
    """The error for an unknown name of this kind; `hint` is appended to the list of valid names."""
    names = list(valid)
    close = difflib.get_close_matches(found.casefold(), names, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(names) if names else "none"
    return UsageError(f"unknown {kind} {found!r}; expected one of: {listed}{hint}{meant}")
