"""Loading heavy libraries, at their doors."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def loading() -> Generator[None]:
    """Import in this block without the search for garbage: classes and functions stay, and there are many.

    Spares about a sixth of the time of a large library.
    """
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()
